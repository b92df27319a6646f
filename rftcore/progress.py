"""Progress on long work: a live bar in a terminal, plain lines anywhere else."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any, Self, TextIO

from tqdm import tqdm

from rftcore.distributed import is_main

PLAIN_EVERY_S = 10.0


class Bar:
    """A progress bar up to `total`; use as a context manager.

    In a terminal a `tqdm` bar; elsewhere (a file, a CI log) a line every `PLAIN_EVERY_S` seconds
    and one at the end. Only rank 0 prints.
    """

    def __init__(
        self,
        total: int,
        label: str,
        unit: str = "it",
        *,
        initial: int = 0,
        show: bool = True,
        stream: TextIO | None = None,
    ) -> None:
        self.total, self.label, self.unit, self.n = total, label, unit, initial
        self._stream = stream or sys.stderr
        self._show = show and is_main()
        self._notes: dict[str, str] = {}
        self._start, self._from = time.monotonic(), initial
        self._printed_at, self._printed_n = 0.0, initial
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
        elif self._show and time.monotonic() - self._printed_at > PLAIN_EVERY_S:
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
