"""A request to stop is kept while a step runs, and ends everything else at once."""

import os
import signal
import time
import weakref

import pytest

from rftcore.signals import REQUESTS, StopRequest, Terminated, on_stop


def terminate(times=1, number=signal.SIGTERM):
    for _ in range(times):
        os.kill(os.getpid(), number)
        time.sleep(0.01)  # Python runs the handler between two instructions


@pytest.fixture(autouse=True)
def _heard():
    """The signals with their defaults: under nohup SIGHUP is ignored, in xdist SIGINT."""
    before = {each: signal.signal(each, signal.SIG_DFL) for each in REQUESTS}
    before[signal.SIGINT] = signal.signal(signal.SIGINT, signal.default_int_handler)
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


class Node:
    """What a weak reference may point to."""


def cleared(number, seconds):
    """Let a signal arrive while Python clears a weak reference, then wait for what follows."""
    node = Node()
    reference = weakref.ref(node, lambda _: terminate(number=number))
    del node
    for _ in range(round(seconds / 0.01)):
        time.sleep(0.01)
    assert reference() is None


@pytest.mark.parametrize(
    ("number", "raised"), [(signal.SIGTERM, Terminated), (signal.SIGINT, KeyboardInterrupt)]
)
def test_a_request_is_not_lost_while_a_weak_reference_is_cleared(number, raised, capfd):
    with pytest.raises(raised), on_stop(StopRequest()):
        cleared(number, seconds=10)

    assert capfd.readouterr().err == ""


def test_a_lost_request_does_not_interrupt_a_deferred_block():
    request = StopRequest()

    def lose(_):
        request.received = True
        raise Terminated

    with on_stop(request):
        node = Node()
        reference = weakref.ref(node, lose)
        del node
        with request.deferred():
            time.sleep(0.3)

    assert (reference(), request.received) == (None, True)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_lost_request_is_not_raised_after_the_block_or_a_second_time(number):
    request = StopRequest()
    with on_stop(request):
        cleared(number, seconds=0)
        if number == signal.SIGTERM:
            with pytest.raises(Terminated):
                request.check()
            time.sleep(0.3)
    time.sleep(0.3)

    assert request.received is (number == signal.SIGTERM)
