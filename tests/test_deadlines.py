"""A deadline ends what may never end, and only that."""

import importlib
import sys
import time
from contextlib import nullcontext, suppress

import pytest

from rftcore import deadlines
from rftcore.deadlines import DeadlineExceeded, deadline


class Outer(BaseException):
    """Of the deadline around another."""


def spin():
    while True:
        pass


def one_after_another():
    """What a law does: calls with deadlines of their own, one of which is late."""
    with suppress(DeadlineExceeded), deadline(0.05):
        spin()
    spin()


def test_a_deadline_around_another_goes_on_and_keeps_its_own_name():
    with pytest.raises(Outer), deadline(0.3, Outer):
        one_after_another()


def test_a_swallowed_alarm_rings_at_the_end_of_the_block():
    with pytest.raises(DeadlineExceeded), deadline(0.05), suppress(BaseException):
        spin()


def test_waiting_is_not_computing():
    with deadline(0.1, computing=True):
        time.sleep(0.3)
    with pytest.raises(DeadlineExceeded), deadline(0.1, computing=True):
        spin()


def stubborn():
    for _ in range(3):
        with suppress(BaseException):
            time.sleep(30)


def test_code_that_catches_every_exception_and_waits_again_is_interrupted_again():
    start = time.monotonic()
    with pytest.raises(DeadlineExceeded), deadline(0.05):
        stubborn()

    assert time.monotonic() - start < 30


@pytest.mark.parametrize(("limit", "ends"), [(0.2, True), (120.0, False)])
def test_a_deadline_waits_for_an_import_and_not_for_ever(limit, ends, tmp_path, monkeypatch):
    (tmp_path / "endless_import.py").write_text("import time\nfor _ in range(80): time.sleep(0.01)")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(deadlines, "IMPORT_S", limit)
    rings = []
    late = pytest.raises(DeadlineExceeded) if ends else nullcontext()
    with late, deadline(0.1, importing=lambda: rings.append(1)):
        import endless_import  # noqa: F401

    assert rings
    sys.modules.pop("endless_import", None)


def test_what_runs_below_an_import_of_its_own_is_still_interrupted(tmp_path, monkeypatch):
    (tmp_path / "scores.py").write_text(
        "from tests.test_deadlines import *\n"
        "with deadline(0.05, importing=lambda: None):\n    spin()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(DeadlineExceeded):
        importlib.import_module("scores")
