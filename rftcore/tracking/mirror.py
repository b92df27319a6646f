"""Keep the trackers of a run equal to its folder, and the run alive if a tracker fails."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from rftcore.errors import one_line
from rftcore.runs import RunFolder
from rftcore.tracking.names import STAGES, Row, gain_rows, line_row, run_rows, score_rows

logger = logging.getLogger(__name__)


class Tracker(Protocol):
    """The run of one tracker. Any method may raise what its library raises."""

    def open(self) -> Mapping[str, int] | None:
        """Begin or continue the tracker's run; the last step of each name that it has.

        None: it cannot be read, and the run folder keeps what it has been sent.
        """

    def log(self, row: Row) -> None:
        """Send the numbers of a step."""

    def close(self) -> None:
        """Send what is left."""


@dataclass
class _Feed:
    """What goes to one tracker. Rows wait in order, so what it has is never with gaps."""

    name: str
    tracker: Tracker
    waiting: deque[Row] = field(default_factory=deque)
    last: dict[str, int] = field(default_factory=dict)
    open: bool = False
    noted: bool = False  # whether the run folder keeps what was sent
    failures: int = 0
    rest: int = 0  # rows to wait for before the next attempt
    first: str = ""  # why the first call failed

    def new(self, row: Row) -> Row:
        """The numbers of the row that have not been sent."""
        fresh = {k: v for k, v in row.values.items() if row.step > self.last.get(k, -1)}
        return Row(row.axis, row.step, fresh)


class Mirror:
    """The trackers of a run. On ranks other than 0, and without trackers, it does nothing.

    A tracker that fails is one warning; it is tried again after 2, 4, 8, ... rows and at the
    end, and what it lacks then is in the notes of the run and is sent by `--resume`.
    """

    def __init__(self, run: RunFolder, trackers: Mapping[str, Tracker]) -> None:
        self._run = run
        self._feeds = [_Feed(name, tracker) for name, tracker in trackers.items()]

    def open(self) -> None:
        """Begin: the trackers receive what the folder has, and then what is written to it."""
        if not self._feeds:
            return
        scores = {stage: self._run.scores(stage) for stage in STAGES}
        rows = [*run_rows(self._run.metrics(), scores)]
        for feed in self._feeds:
            feed.waiting.extend(rows)
            self._flush(feed)
        self._run.watcher = self

    def logged(self, line: Mapping[str, Any]) -> None:
        """Send a line of training."""
        self._send([line_row(line)])

    def scored(self, stage: str, scores: Sequence[Mapping[str, Any]]) -> None:
        """Send the scores of a stage so far."""
        self._send(score_rows(stage, scores))

    def finish(self, gains: Iterable[Mapping[str, Any]]) -> list[str]:
        """Send the gains and what is left; a note for each tracker that failed."""
        self._send(gain_rows(gains))
        for feed in self._feeds:
            self._flush(feed)
        self.close()
        return [_note(feed, self._run) for feed in self._feeds if feed.failures]

    def close(self) -> None:
        """End the trackers' runs, which a later session can continue."""
        self._run.watcher = None
        for feed in self._feeds:
            if feed.open:
                self._attempt(feed, feed.tracker.close)
                feed.open = False

    def _send(self, rows: Iterable[Row]) -> None:
        for row in rows:
            for feed in self._feeds:
                feed.waiting.append(row)
                feed.rest -= 1
                if feed.rest <= 0:
                    self._flush(feed)

    def _flush(self, feed: _Feed) -> None:
        """Send the rows that wait, in order, up to the first that fails."""
        if not feed.open and not self._attempt(feed, partial(self._begin, feed)):
            return
        while feed.waiting:
            row = feed.new(feed.waiting[0])
            if row.values:
                if not self._attempt(feed, partial(feed.tracker.log, row)):
                    return
                feed.last.update(dict.fromkeys(row.values, row.step))
                if feed.noted:
                    self._run.note_sent(feed.name, feed.last)
            feed.waiting.popleft()

    def _begin(self, feed: _Feed) -> None:
        known = feed.tracker.open()
        feed.noted = known is None
        feed.last.update(self._run.sent(feed.name) if known is None else known)
        feed.open = True

    def _attempt(self, feed: _Feed, call: Callable[[], None]) -> bool:
        """Call a tracker; whether it worked. No error of a tracker ends a run."""
        try:
            call()
        except Exception as error:  # each library raises its own, over its own network
            feed.failures += 1
            feed.rest = min(2**feed.failures, 1024)
            if feed.failures == 1:
                feed.first = f"{type(error).__name__}: {one_line(error, 200)}"
                logger.warning(
                    "tracker %s failed (%s): the run goes on, its folder has every number, and "
                    "the tracker is tried again",
                    feed.name,
                    feed.first,
                )
            return False
        return True


def _note(feed: _Feed, run: RunFolder) -> str:
    calls = f"tracker {feed.name}: {feed.failures} call{'s' * (feed.failures != 1)} failed"
    if not feed.waiting:
        return f"{calls}, and it has received everything since; first: {feed.first}"
    return (
        f"{calls}, and it lacks the numbers of {len(feed.waiting)} steps and scores, which the "
        f"run folder has: rft train --resume {run.path} sends them; first: {feed.first}"
    )
