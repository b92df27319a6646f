"""A deadline ends what may never end, and only that."""

import time
from contextlib import suppress

import pytest

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
