"""A request to stop is kept while a step runs, and ends everything else at once."""

import os
import signal
import time

import pytest

from rftcore.signals import REQUESTS, StopRequest, Terminated, on_stop


def terminate(times=1, number=signal.SIGTERM):
    for _ in range(times):
        os.kill(os.getpid(), number)
        time.sleep(0.01)  # Python runs the handler between two instructions


@pytest.fixture(autouse=True)
def _heard():
    """The signals with their defaults: under nohup SIGHUP is ignored."""
    before = {each: signal.signal(each, signal.SIG_DFL) for each in REQUESTS}
    yield
    for each, handler in before.items():
        signal.signal(each, handler)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_request_outside_a_deferred_block_ends_it_at_once(number, code):
    request = StopRequest()
    with pytest.raises(Terminated), on_stop(request):
        terminate(number=number)

    assert (request.name, request.exit_code) == (number.name, code)


def test_a_request_within_a_deferred_block_is_only_kept():
    request = StopRequest()
    with on_stop(request), request.deferred():
        terminate()

    assert request.received
    with pytest.raises(Terminated):
        request.check()


def test_a_second_request_ends_even_a_deferred_block():
    request = StopRequest()
    with pytest.raises(Terminated), on_stop(request), request.deferred():
        terminate(times=2)


def test_the_handler_of_before_comes_back():
    before = signal.getsignal(signal.SIGTERM)
    with on_stop(StopRequest()):
        assert signal.getsignal(signal.SIGTERM) != before

    assert signal.getsignal(signal.SIGTERM) == before


def test_a_signal_that_is_ignored_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    request = StopRequest()
    with on_stop(request):
        terminate(number=signal.SIGHUP)
    signal.signal(signal.SIGHUP, before)

    assert not request.received


def test_a_forked_child_dies_of_the_signal_as_if_there_were_no_handler():
    with on_stop(StopRequest()):
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            os.write(write, b".")
            time.sleep(30)
            os._exit(0)
        os.read(read, 1)  # before that, Python drops signals in a new child
        os.kill(child, signal.SIGTERM)
        _, status = os.waitpid(child, 0)

    assert os.WTERMSIG(status) == signal.SIGTERM
