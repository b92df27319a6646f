"""TensorBoard, in the run folder, and trackio, on this machine or in a Space of the hub."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import redirect_stdout
from io import StringIO
from typing import Any

from rftcore import jsontext
from rftcore.tracking.identity import Identity
from rftcore.tracking.names import Row

FOLDER = "tensorboard"  # in the run folder
REMOTE = ("TRACKIO_SPACE_ID", "TRACKIO_SERVER_URL")  # variables that send trackio's runs away


class TensorBoard:
    """Event files in the run folder: `tensorboard --logdir runs` lists each run."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity
        self._folder = identity.folder / FOLDER

    def open(self) -> Mapping[str, int]:
        """Open a new event file; what the older ones have."""
        from torch.utils.tensorboard import SummaryWriter

        known = _last_steps(str(self._folder)) if self._folder.is_dir() else {}
        self._writer: Any = SummaryWriter(str(self._folder))
        if not known:
            text = jsontext.dumps(self._identity.config, indent=2)
            self._writer.add_text("recipe", "    " + text.replace("\n", "\n    "))
        return known

    def log(self, row: Row) -> None:
        """Write the numbers, to the disk: a kill loses none."""
        for name, value in row.values.items():
            self._writer.add_scalar(name, value, row.step)
        self._writer.flush()

    def close(self) -> None:
        """Close the event file."""
        self._writer.close()


def _last_steps(folder: str) -> dict[str, int]:
    """The last step of each scalar in TensorBoard's files."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(folder, {"scalars": 0, "tensors": 1}, purge_orphaned_data=False)
    events.Reload()
    return {
        tag: max(event.step for event in events.Scalars(tag)) for tag in events.Tags()["scalars"]
    }


class Trackio:
    """A run of trackio: `trackio show` opens its dashboard."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity

    def open(self) -> Mapping[str, int] | None:
        """Begin or continue the run; None if it is on a server, which is not read."""
        import trackio

        run = self._identity
        with redirect_stdout(StringIO()):  # five lines about its dashboard
            self._run: Any = trackio.init(
                project=run.project,
                name=run.name,
                config=dict(run.config),
                resume="allow",
                embed=False,
                auto_log_cpu=False,
                auto_log_gpu=False,
            )
        if any(os.environ.get(name) for name in REMOTE):
            return None
        return _stored(run.project, run.name)

    def log(self, row: Row) -> None:
        """Queue the numbers; trackio's thread stores them within a second."""
        self._run.log(dict(row.values), step=row.step)

    def close(self) -> None:
        """Store what is left."""
        import trackio

        with redirect_stdout(StringIO()):
            trackio.finish()


def _stored(project: str, name: str) -> dict[str, int]:
    """The last step of each name in trackio's file: what a killed process had queued is not."""
    from trackio.sqlite_storage import SQLiteStorage

    last: dict[str, int] = {}
    for line in SQLiteStorage.get_logs(project, name):
        for key in line.keys() - {"step", "timestamp"}:
            last[key] = max(last.get(key, -1), line["step"])
    return last
