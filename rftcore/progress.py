"""Progress on long work: a live bar in a terminal, plain lines anywhere else."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Self, TextIO

from tqdm import tqdm

from rftcore.distributed import is_main

PLAIN_EVERY_S = 10.0  # at first; long work prints less often
PLAIN_SHARE = 0.2  # of the time spent so far: an hour is about 30 lines

_hidden: ContextVar[bool] = ContextVar("hidden", default=False)


@contextmanager
def no_bars() -> Iterator[None]:
    """Show no bar that is opened within the block, by a plugin either."""
    token = _hidden.set(True)
    try:
        yield
    finally:
        _hidden.reset(token)


class Bar:
    """A progress bar up to `total`; use as a context manager.

    unit, many: what is counted, in the singular and, if that is not `unit` with an s, the plural.

    In a terminal a `tqdm` bar; elsewhere (a file, a CI log) a line after `PLAIN_EVERY_S` seconds,
    further ones at growing intervals, and one at the end. Only rank 0 prints.
    """

    def __init__(
        self,
        total: int,
        label: str,
        unit: str = "item",
        *,
        many: str = "",
        initial: int = 0,
        show: bool = True,
        stream: TextIO | None = None,
    ) -> None:
        self.total, self.label, self.n = total, label, initial
        self.unit = unit if total == 1 else many or f"{unit}s"
        self._stream = stream or sys.stderr
        self._show = show and is_main() and not _hidden.get()
        self._notes: dict[str, str] = {}
        self._start, self._from = time.monotonic(), initial
        self._printed_at, self._printed_n = self._start, initial
        live = self._show and self._stream.isatty()
        self._tqdm: tqdm[Any] | None = None
        if live:
            self._tqdm = tqdm(
                total=total, desc=label, unit=unit, initial=initial, file=self._stream
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def update(self, n: int = 1, **notes: str) -> None:
        """Advance by `n` and show `notes` beside the count."""
        self.n += n
        self._notes.update(notes)
        if self._tqdm is not None:
            self._tqdm.set_postfix(self._notes, refresh=False)
            self._tqdm.update(n)
        elif self._show and self._is_due():
            self._print_line()

    def note(self, **notes: str) -> None:
        """Show `notes` beside the count without advancing."""
        self.update(0, **notes)

    def close(self) -> None:
        """End the bar; its last state stays visible."""
        if self._tqdm is not None:
            self._tqdm.close()
        elif self._show and self.n > self._printed_n:
            self._print_line()
        self._show = False

    def _is_due(self) -> bool:
        now = time.monotonic()
        every = max(PLAIN_EVERY_S, PLAIN_SHARE * (self._printed_at - self._start))
        return now - self._printed_at > every

    def _print_line(self) -> None:
        self._printed_at, self._printed_n = time.monotonic(), self.n
        parts = [f"{self.label}: {self.n}/{self.total} {self.unit}"]
        parts += [f"{name} {value}" for name, value in self._notes.items()]
        if self._from < self.n < self.total:
            parts.append(f"{clock(self._left())} left")
        print(", ".join(parts), file=self._stream, flush=True)

    def _left(self) -> float:
        spent = time.monotonic() - self._start
        return spent / (self.n - self._from) * (self.total - self.n)


def clock(seconds: float) -> str:
    """Seconds as m:ss."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
