"""Faster products and tiles on a CPU: only where they are as precise, only while a phase trains."""

import pytest
import torch
from trl.kernels import chunked_logprob

from rftcore.training import cpu

SETTINGS = torch.backends.mkldnn.matmul


@pytest.fixture
def on_a_cpu(monkeypatch):
    """The rule as on AMD's processors, without a GPU."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(cpu, "_vendor", lambda: "AuthenticAMD")
    cpu.onednn_is_precise.cache_clear()
    yield
    cpu.onednn_is_precise.cache_clear()


def test_settings_are_as_before_after_a_phase_that_failed(on_a_cpu):
    before = SETTINGS.fp32_precision, chunked_logprob.TOKEN_CHUNK_SIZE
    with pytest.raises(AssertionError), cpu.fast_cpu():
        assert chunked_logprob.TOKEN_CHUNK_SIZE > cpu.TILE

    assert (SETTINGS.fp32_precision, chunked_logprob.TOKEN_CHUNK_SIZE) == before


@pytest.mark.parametrize("spoil", [("_vendor", lambda: "GenuineIntel"), ("ROUNDING", 0)])
def test_products_stay_as_they_are_elsewhere_and_where_they_would_lose_precision(
    on_a_cpu, spoil, monkeypatch
):
    monkeypatch.setattr(cpu, *spoil)
    with cpu.fast_cpu():
        assert not cpu.products_are_fast()


def test_a_product_is_as_precise_in_a_phase_as_before_it(on_a_cpu):
    left, right = torch.randn(64, 300), torch.randn(300, 50)
    with cpu.fast_cpu():
        error = (left @ right - (left.double() @ right.double())).abs().max()

    assert error < 1e-4


def test_a_trl_without_the_size_of_its_tiles_trains_all_the_same(on_a_cpu, monkeypatch):
    monkeypatch.delattr(chunked_logprob, "TOKEN_CHUNK_SIZE")
    with cpu.fast_cpu():
        assert not hasattr(chunked_logprob, "TOKEN_CHUNK_SIZE")
