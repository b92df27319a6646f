"""Make a phase faster on a CPU, with equal results up to rounding.

- torch multiplies float32 matrices with MKL, whose kernels for AMD's processors do not use
  AVX-512. oneDNN's do: twice as fast, same precision. torch takes oneDNN where float32 products
  may be computed in bfloat16; on processors without units for that, oneDNN stays in float32.
  So the setting is used on AMD's processors only, and if a product measures as precise as before.
- TRL computes log-probabilities in tiles of 4,096 tokens, which fit a GPU. Smaller ones stay in
  a CPU's cache.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import torch

TILE = 128  # tokens
ROUNDING = 4  # times MKL's error is as precise as MKL; bfloat16 products are off 1,000 times that


@contextmanager
def fast_cpu() -> Iterator[None]:
    """Products by oneDNN and small tiles, if this process trains on a CPU."""
    if torch.cuda.is_available():
        yield
        return
    with _products("bf16" if onednn_is_precise() else None), _tiles():
        yield


@contextmanager
def plain_products() -> Iterator[None]:
    """Products by torch's default library, for products that are small or of ever new shapes.

    oneDNN plans each product whose shape is new. In torch's attention kernel, which multiplies
    block by block, that makes a decoded token ten times as slow.
    """
    with _products("ieee" if products_are_fast() else None):
        yield


def products_are_fast() -> bool:
    """Whether products are computed by oneDNN now."""
    return bool(_settings().fp32_precision == "bf16")


@cache
def onednn_is_precise() -> bool:
    """Whether oneDNN is the better choice here: AMD's processor, and float32 stays float32."""
    available: Any = torch.backends.mkldnn.is_available  # untyped in torch
    if not (available() and _vendor() == "AuthenticAMD"):
        return False
    random = torch.Generator().manual_seed(0)
    left, right = torch.randn(64, 512, generator=random), torch.randn(512, 192, generator=random)
    exact = left.double() @ right.double()
    plain = (left @ right - exact).abs().max()
    with _products("bf16"):
        fast = (left @ right - exact).abs().max()
    return bool(fast <= ROUNDING * plain)


def _vendor() -> str:
    """What Linux calls the maker of this processor; empty elsewhere."""
    file = Path("/proc/cpuinfo")
    lines = file.read_text().splitlines() if file.exists() else []
    found = [line.partition(":")[2].strip() for line in lines if line.startswith("vendor_id")]
    return found[0] if found else ""


def _settings() -> Any:
    backends: Any = torch.backends
    return backends.mkldnn.matmul


@contextmanager
def _products(precision: str | None) -> Iterator[None]:
    settings = _settings()
    before = settings.fp32_precision
    settings.fp32_precision = precision or before
    try:
        yield
    finally:
        settings.fp32_precision = before


@contextmanager
def _tiles() -> Iterator[None]:
    """Smaller tiles, where this TRL has a size to set; another TRL trains as it does by itself."""
    try:
        from trl.kernels import chunked_logprob

        before = chunked_logprob.TOKEN_CHUNK_SIZE
    except (ImportError, AttributeError):
        yield
        return
    chunked_logprob.TOKEN_CHUNK_SIZE = min(before, TILE)
    try:
        yield
    finally:
        chunked_logprob.TOKEN_CHUNK_SIZE = before
