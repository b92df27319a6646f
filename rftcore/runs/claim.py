"""A run's folder as a whole: created once, locked by one process, with a list of finished phases."""

import fcntl
import os
import re
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from rftcore.distributed import is_main
from rftcore.errors import RunError, path_faults
from rftcore.runs.files import Files
from rftcore.runs.names import MANIFEST, RECIPE, STATE


_HALF = re.compile(r"\..+\.\d+\.tmp")  # a file of a writer that was killed (`Files`)


class Claimed(Files):
    """A folder with a lock, a manifest and a list of finished phases.

    Rank 0 writes; on the other ranks every method that writes does nothing.
    """

    def __init__(self, path: str | Path, *, writes: bool = True) -> None:
        super().__init__(path, writes=writes)
        self._lock_file: int | None = None
        self._created: frozenset[Path] | None = None  # files, if this process made the run
        self._made: list[Path] = []  # the folder and those above it, if this process made them
        self._before: frozenset[Path] = frozenset()  # hidden entries that were there before the run
        self._done_at_first: Sequence[str] = ()

    @classmethod
    def create(
        cls,
        path: str | Path,
        manifest: Mapping[str, Any],
        recipe: str = "",
        fill: Callable[[Self], Sequence[str]] = lambda run: (),
    ) -> Self:
        """Make the folder and lock it. `recipe` is the resolved recipe's YAML.

        fill: puts files into the new folder and returns the phases that are done with them.
        On other ranks than 0: wait for the folder that rank 0 makes.
        Raises `RunError` if the folder holds anything but hidden files.
        """
        if not is_main():
            return cls.follow(path)
        run = cls(path)
        with path_faults(f"output folder {path} cannot be made", RunError):
            run._made = [each for each in (run.path, *run.path.parents) if not each.exists()]
        try:
            run._claim()
        except BaseException:
            _remove_empty(run._made)
            raise
        try:
            run._done_at_first = list(fill(run))
            run.write_json(STATE, {"done": run._done_at_first})  # first: see `_half_made`
            if recipe:
                run.write_text(RECIPE, recipe)
            run.write_json(MANIFEST, manifest)  # last: with it the folder is a run
        except OSError as error:
            run._remove(run._files())
            raise RunError(
                f"output folder {path} cannot be written to: {error.strerror}"
            ) from error
        except BaseException:  # or half a run would be left of a Ctrl-C
            run._remove(run._files())
            raise
        run._created = run._files()
        return run

    def _claim(self) -> None:
        """Make and lock the folder. Raises: RunError if something else is there."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError(f"output folder {self.path} cannot be made: {error.strerror}") from error
        if within := [str(above) for above in self.path.absolute().parents if is_run(above)]:
            raise RunError(
                f"output folder {self.path} is inside the run {within[0]}: choose another"
            )
        self.lock()
        entries = set(self.path.iterdir())
        hidden = {entry for entry in entries if entry.name.startswith(".")}
        there = {entry.name for entry in entries - hidden}
        if there and not _half_made(there):
            self.unlock()
            raise RunError(_occupied(self.path))
        own = {entry for entry in hidden if entry.name == ".lock" or _HALF.fullmatch(entry.name)}
        self._before = frozenset(hidden - own)

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """An existing run, to read. Raises `RunError` if the folder is not a run."""
        run = cls(path, writes=is_main())
        with path_faults(f"run {path}", RunError):
            there = (run.path / MANIFEST).is_file()
        if not there:
            raise RunError(f"{path} is not a run folder: it has no {MANIFEST}.{_others(run.path)}")
        return run

    @classmethod
    def resume(cls, path: str | Path) -> Self:
        """An existing run, locked, to continue. Raises `RunError` if it is not a run or is in use."""
        if not is_main():
            return cls.follow(path)
        run = cls.open(path)
        run.lock()
        for half in run.path.rglob(".*.tmp"):
            if _HALF.fullmatch(half.name):
                half.unlink(missing_ok=True)
        return run

    @classmethod
    def follow(cls, path: str | Path, patience_s: float = 60.0) -> Self:
        """The folder that rank 0 makes, for another rank to read.

        Raises: RunError if it is not there after `patience_s`.
        """
        start = time.monotonic()
        while not (Path(path) / MANIFEST).is_file():
            if time.monotonic() - start > patience_s:
                raise RunError(
                    f"rank 0 did not create the run folder {path} within {patience_s:g} s. Is "
                    "--out on a file system that all nodes share?"
                )
            time.sleep(0.1)
        return cls(path, writes=False)

    def discard_unstarted(self) -> None:
        """Remove a new run of which no phase has ended, so that a corrected start finds it free."""
        if self._created is None or not (self.path / STATE).exists():
            return
        if self.read_json(STATE)["done"] != self._done_at_first:
            return
        self._remove(self._created)

    def _own(self) -> list[Path]:
        """All that is in the folder, but for what was there before the run."""
        top = [entry for entry in self.path.iterdir() if entry not in self._before]
        return top + [path for entry in top if _is_folder(entry) for path in entry.rglob("*")]

    def _files(self) -> frozenset[Path]:
        return frozenset(path for path in self._own() if not _is_folder(path))

    def _remove(self, files: Collection[Path]) -> None:
        """Delete files, then the folders that are empty: something of the user's may be there."""
        for file in files:
            file.unlink(missing_ok=True)
        (self.path / ".lock").unlink(missing_ok=True)
        folders = sorted(filter(_is_folder, self._own()), reverse=True)
        _remove_empty([*folders, *self._made])
        self._created = None

    # --- one process at a time ---

    def lock(self) -> Self:
        """Claim the folder until `unlock` or the end of this process, however it ends.

        Rank 0 holds the lock for all ranks. Raises `RunError` if another process has it.
        """
        if self._lock_file is None and self.writes:
            try:
                file = os.open(self.path / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
            except OSError as error:
                raise RunError(
                    f"output folder {self.path} cannot be written to: {error.strerror}"
                ) from error
            try:
                # lockf, not flock: forked workers that outlive a killed run must not hold it.
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                owner = os.read(file, 20).decode() or "unknown"
                os.close(file)
                raise RunError(
                    f"output folder {self.path} is in use by process {owner}: "
                    "wait for it, or choose another with --out"
                ) from error
            os.truncate(file, 0)
            os.write(file, str(os.getpid()).encode())
            self._lock_file = file
        return self

    def unlock(self) -> None:
        """Give the folder up."""
        if self._lock_file is not None:
            os.close(self._lock_file)
            self._lock_file = None

    def check_there(self) -> None:
        """Raise `RunError` if the folder was deleted: writing would make it again, without a run."""
        if self._lock_file is not None and os.fstat(self._lock_file).st_nlink == 0:
            raise RunError(
                f"run folder {self.path} was deleted while the run was writing to it: restore it "
                "and continue with --resume, or start the run again"
            )

    def __enter__(self) -> Self:
        return self.lock()

    def __exit__(self, *error: object) -> None:
        self.unlock()

    # --- progress ---

    def done(self, phase: str) -> bool:
        """Whether a phase has ended."""
        return phase in self.phases_done()

    def mark_done(self, phase: str) -> None:
        """Record that a phase has ended; call it after its last file is written."""
        done = self.phases_done()
        if phase not in done:
            self.write_json(STATE, {**self.read_json(STATE), "done": [*done, phase]})

    def phases_done(self) -> list[str]:
        """The phases that have ended, in order. Raises: RunError if the file lists none."""
        state = self.read_json(STATE)
        done = state.get("done") if isinstance(state, dict) else None
        if not isinstance(done, list) or not all(isinstance(phase, str) for phase in done):
            raise RunError(
                f"{self.path / STATE} does not list the phases that are done: restore it"
            )
        return done


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _remove_empty(folders: Sequence[Path]) -> None:
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()


def _half_made(names: Collection[str]) -> bool:
    """Whether a process was killed while it made the folder: it is no run yet and has no owner."""
    return STATE in names and {*names} <= {STATE, RECIPE}


def _occupied(path: Path) -> str:
    if (path / MANIFEST).exists():
        next_step = f"continue it with --resume {path}, or choose another with --out"
    else:
        next_step = "choose another with --out"
        if held := sorted(child.name for child in path.iterdir() if is_run(child)):
            return (
                f"output folder {path} holds runs ({', '.join(held[-3:])}): --out is the folder of "
                f"one run, such as {path / 'NAME'}"
            )
    return f"output folder {path} is in use: {next_step}"


def is_run(path: str | Path) -> bool:
    """Whether a folder holds a run. Raises: RunError if the disk rejects the path itself."""
    path = Path(path)
    with path_faults(f"folder {path}", RunError):
        return (path / MANIFEST).is_file() and (path / STATE).is_file()


def _others(path: Path) -> str:
    """The runs in a folder, or else beside it, as a sentence to append; "" without any."""
    return runs_in(path) or runs_in(path.parent)


def runs_in(path: str | Path) -> str:
    """The runs in a folder, or in that of a comparison, as a sentence to append; or ""."""
    for folder in (Path(path), Path(path) / "runs"):
        if runs := sorted(p.parent.name for p in folder.glob(f"*/{MANIFEST}")):
            return f" Runs in {folder}: {', '.join(runs[-5:])}."
    return ""
