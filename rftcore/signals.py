"""SIGTERM, as batch systems send it before they kill: finish the step, save, stop.

Only the command line installs the handler; a library leaves signals alone.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

EXIT_CODE = 128 + signal.SIGTERM  # what a shell reports for a process that SIGTERM ended


class Terminated(BaseException):
    """A stop was requested; what can be saved is saved."""


class StopRequest:
    """Whether a stop was requested. Within `deferred()` it only sets `received`."""

    def __init__(self) -> None:
        self.received = False
        self._process = os.getpid()
        self._deferred = False

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Let the block end by itself: it checks `received`. A second request interrupts it."""
        self._deferred = True
        try:
            yield
        finally:
            self._deferred = False

    def check(self) -> None:
        """Raise `Terminated` if a stop was requested."""
        if self.received:
            raise Terminated

    def handle(self, signum: int, frame: FrameType | None) -> None:
        """Handle the signal. Raises `Terminated` unless deferred for the first time.

        A forked child has this handler too, and dies of the signal as if it had none.
        """
        if os.getpid() != self._process:
            signal.signal(signum, signal.SIG_DFL)
            os.kill(os.getpid(), signum)
            return
        again, self.received = self.received, True
        if again or not self._deferred:
            raise Terminated


@contextmanager
def on_sigterm(request: StopRequest) -> Iterator[None]:
    """Let SIGTERM reach `request` within the block; only a main thread can."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, request.handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
