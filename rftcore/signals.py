"""Requests to stop: finish the step, save, stop.

Batch systems send SIGTERM before they kill, a terminal that is closed sends SIGHUP. Only the
command line installs the handler; a library leaves signals alone.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from rftcore.errors import Interrupt

REQUESTS = (signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else []))


AGAIN_S = 0.05


class Terminated(Interrupt):
    """A stop was requested; what can be saved is saved."""


class StopRequest:
    """Whether a stop was requested. Within `deferred()` it only sets `received`.

    signum: the signal of the last request.
    """

    def __init__(self) -> None:
        self.received, self.signum = False, signal.SIGTERM
        self._process = os.getpid()
        self._deferred = False
        self._dropped: int | None = None  # the signal whose exception Python has dropped

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Let the block end by itself: it checks `received`. A second request interrupts it."""
        self._deferred = True
        try:
            yield
        finally:
            self._deferred = False

    @property
    def name(self) -> str:
        """The signal's name."""
        return signal.Signals(self.signum).name

    @property
    def exit_code(self) -> int:
        """What a shell reports for a process that the signal has ended."""
        return 128 + self.signum

    def check(self) -> None:
        """Raise `Terminated` if a stop was requested."""
        if self.received:
            self._dropped = None
            raise Terminated

    def handle(self, signum: int, frame: FrameType | None) -> None:
        """Handle the signal. Raises `Terminated` unless deferred for the first time.

        A forked child has this handler too, and dies of the signal as if it had none.
        """
        if os.getpid() != self._process:
            signal.signal(signum, signal.SIG_DFL)
            os.kill(os.getpid(), signum)
            return
        if self._dropped is not None:  # sent by `_again`
            self._dropped = None
            if not self._deferred:  # or `received` is checked at the end of the block
                raise Terminated
            return
        _leave_terminal()
        self.signum = signal.Signals(signum)
        again, self.received = self.received, True
        if again or not self._deferred:
            raise Terminated

    @contextmanager
    def insisted(self) -> Iterator[None]:
        """Within the block, raise a `Terminated` or a Ctrl-C once more where Python dropped it.

        Python prints, and drops, what is raised while it clears weak references.
        """
        before = sys.unraisablehook

        def hook(lost: Any) -> None:
            if lost.exc_type is Terminated and self.received:
                self._dropped = self.signum
            elif lost.exc_type is KeyboardInterrupt:
                self._dropped = signal.SIGINT
            else:
                before(lost)
                return
            _later(self._again)

        sys.unraisablehook = hook
        try:
            yield
        finally:
            sys.unraisablehook, self._dropped = before, None

    def _again(self) -> None:
        """Send the signal again, unless the stop was raised or the block has ended meanwhile."""
        if (number := self._dropped) is None:
            return
        if number == signal.SIGINT:  # Python's own handler
            self._dropped = None
        os.kill(os.getpid(), number)


@contextmanager
def on_stop(request: StopRequest) -> Iterator[None]:
    """Let `REQUESTS` reach `request` within the block; only a main thread can.

    A signal that is ignored stays so: nohup keeps a run from ending with its terminal.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {each: signal.getsignal(each) for each in REQUESTS}
    heard = [each for each, handler in before.items() if handler != signal.SIG_IGN]
    for each in heard:
        signal.signal(each, request.handle)
    try:
        with request.insisted():
            yield
    finally:
        for each in heard:
            signal.signal(each, before[each])


def _later(call: Callable[[], object]) -> None:
    """Call it in a moment, from another thread."""
    timer = threading.Timer(AGAIN_S, call)
    timer.daemon = True
    timer.start()


def _leave_terminal() -> None:
    """Give up standard output and error if their terminal is closed: writing to it is an error."""
    for stream in (1, 2):
        try:
            os.write(stream, b"")
        except OSError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream)
            os.close(nowhere)
