"""The run folder: everything a number can be traced to, written so that a kill spares it.

    recipe.yaml  manifest.json  state.json  summary.json
    metrics.jsonl  rollouts.jsonl  failures.jsonl
    evaluation/<stage>.json     checkpoints: sft/ grpo/     models: sft/model grpo/model

A file is either the old one or the new one, never half of one. JSON lines are
appended; a line torn by a kill is dropped when the next one is written or read.
"""

import errno
import fcntl
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path
from typing import Any, Self

from rftcore import jsontext
from rftcore.errors import RunError

RECIPE, MANIFEST, STATE = "recipe.yaml", "manifest.json", "state.json"
# The packages whose version can change a number.
PACKAGES = (
    "rftcore",
    "rft-scenes",
    "accelerate",
    "datasets",
    "mitsuba",
    "numpy",
    "pillow",
    "pydantic",
    "safetensors",
    "tokenizers",
    "torch",
    "torchvision",
    "transformers",
    "trl",
    "vllm",
)


class RunFolder:
    """One run's files. Use it as a context manager to hold its lock."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._lock_file: int | None = None
        self._created: frozenset[Path] | None = None  # files, if this process made the run
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
        Raises `RunError` if the folder holds anything but hidden files.
        """
        run = cls(path)
        try:
            run.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError(f"output folder {path} cannot be made: {error.strerror}") from error
        if within := [str(above) for above in run.path.absolute().parents if _is_run(above)]:
            with suppress(OSError):
                run.path.rmdir()
            raise RunError(f"output folder {path} is inside the run {within[0]}: choose another")
        run.lock()
        if any(not entry.name.startswith(".") for entry in run.path.iterdir()):
            run.unlock()
            raise RunError(_occupied(run.path))
        try:
            run._done_at_first = list(fill(run))
            if recipe:
                run.write_text(RECIPE, recipe)
            run.write_json(STATE, {"done": run._done_at_first})
            run.write_json(MANIFEST, manifest)  # last: with it the folder is a run
        except OSError as error:
            run._remove(run._files())
            raise RunError(
                f"output folder {path} cannot be written to: {error.strerror}"
            ) from error
        except RunError:
            run._remove(run._files())
            raise
        run._created = run._files()
        return run

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """An existing run, to read. Raises `RunError` if it is none."""
        run = cls(path)
        if not (run.path / MANIFEST).is_file():
            raise RunError(f"{path} is not a run folder: it has no {MANIFEST}.{_others(run.path)}")
        return run

    @classmethod
    def resume(cls, path: str | Path) -> Self:
        """An existing run, locked, to go on with. Raises `RunError` if it is none or in use."""
        run = cls.open(path)
        run.lock()
        for half in run.path.rglob(".*.tmp"):  # of a writer that was killed
            half.unlink(missing_ok=True)
        return run

    def discard_unstarted(self) -> None:
        """Remove a new run of which no phase has ended, so that a corrected start finds it free."""
        if self._created is None or self.read_json(STATE)["done"] != self._done_at_first:
            return
        self._remove(self._created)

    def _files(self) -> frozenset[Path]:
        return frozenset(path for path in self.path.rglob("*") if not path.is_dir())

    def _remove(self, files: Collection[Path]) -> None:
        """Delete files, then the folders that are empty: something of the user's may be there."""
        for file in files:
            file.unlink(missing_ok=True)
        (self.path / ".lock").unlink(missing_ok=True)
        folders = [path for path in self.path.rglob("*") if path.is_dir()]
        for folder in (*sorted(folders, reverse=True), self.path):
            with suppress(OSError):
                folder.rmdir()
        self._created = None

    # --- one process at a time ---

    def lock(self) -> Self:
        """Claim the folder until `unlock` or the end of this process, however it ends.

        Raises `RunError` if another process has it.
        """
        if self._lock_file is None:
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

    def __enter__(self) -> Self:
        return self.lock()

    def __exit__(self, *error: object) -> None:
        self.unlock()

    # --- whole files ---

    def write_text(self, name: str, text: str) -> Path:
        """Write a file, atomically; `name` may have folders in it.

        Raises `RunError` if it cannot be written: then the old file is as it was.
        """
        target = self.path / name
        half = target.with_name(f".{target.name}.{os.getpid()}.tmp")
        with _writing(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                with half.open("w", encoding="utf-8", errors="backslashreplace") as file:
                    file.write(text)
                    file.flush()
                    os.fsync(file.fileno())
                half.replace(target)
            except OSError:
                half.unlink(missing_ok=True)
                raise
        return target

    def read_text(self, name: str) -> str:
        """Read a file. Raises `RunError` if it is missing or is not UTF-8."""
        path = self.path / name
        try:
            return path.read_text(encoding="utf-8")
        except FileNotFoundError as error:
            raise RunError(f"run {self.path} has no {name}: has that phase run?") from error
        except UnicodeDecodeError as error:
            raise RunError(f"{path} is damaged ({error}): start the run again") from error
        except OSError as error:
            raise RunError(f"{path} cannot be read: {error.strerror or error}") from error

    def write_json(self, name: str, value: object) -> Path:
        """Write a JSON file, atomically."""
        return self.write_text(name, jsontext.dumps(value, indent=2) + "\n")

    def read_json(self, name: str) -> Any:
        """Read a JSON file. Raises `RunError` if it is missing or damaged."""
        text = self.read_text(name)
        try:
            return jsontext.loads(text)
        except ValueError as error:
            path = self.path / name
            raise RunError(f"{path} is damaged ({error}): start the run again") from error

    def update_json(self, name: str, facts: Mapping[str, Any]) -> None:
        """Add facts to a JSON mapping, atomically; a fact that is there is replaced."""
        self.write_json(name, {**self.read_json(name), **facts})

    # --- lines ---

    def append_jsonl(self, name: str, value: object, *, most_bytes: int | None = None) -> None:
        """Add one line; first drop a line that a kill has torn.

        A file that is larger than `most_bytes` already stays as it is. Raises `RunError` if it
        cannot be written.
        """
        path = self.path / name
        with _writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a+b") as file:
                _drop_torn_line(file)
                if most_bytes is not None and file.seek(0, os.SEEK_END) > most_bytes:
                    return
                file.write(jsontext.line(value).encode())

    def read_jsonl(self, name: str) -> list[Any]:
        """All whole lines; [] if there is no such file. Raises `RunError` for a damaged one."""
        path = self.path / name
        if not path.exists():
            return []
        try:
            *lines, _torn = path.read_bytes().split(b"\n")
        except OSError as error:
            raise RunError(f"{path} cannot be read: {error.strerror or error}") from error
        values = []
        for number, line in enumerate(lines, 1):
            try:
                values.append(jsontext.loads(line))
            except ValueError as error:
                raise RunError(f"{path} line {number} is damaged: {error}") from error
        return values

    def keep_jsonl(self, name: str, keep: Callable[[Any], bool]) -> None:
        """Drop lines, atomically: what a resumed run will write a second time."""
        lines = self.read_jsonl(name)
        kept = [value for value in lines if keep(value)]
        if len(kept) < len(lines):
            self.write_text(name, "".join(map(jsontext.line, kept)))

    # --- progress ---

    def done(self, phase: str) -> bool:
        """Whether a phase has ended."""
        return phase in self._done()

    def mark_done(self, phase: str) -> None:
        """Record that a phase has ended; call it after its last file is written."""
        done = self._done()
        if phase not in done:
            self.write_json(STATE, {**self.read_json(STATE), "done": [*done, phase]})

    def _done(self) -> list[str]:
        state = self.read_json(STATE)
        done = state.get("done") if isinstance(state, dict) else None
        if not isinstance(done, list) or not all(isinstance(phase, str) for phase in done):
            raise RunError(
                f"{self.path / STATE} does not list the phases that are done: restore it"
            )
        return done


class Follower(RunFolder):
    """The run folder as the other processes of a run see it: they read, the main one writes."""

    @classmethod
    def follow(cls, path: str | Path, patience_s: float = 60.0) -> Self:
        """The folder, once the main process has made it. Raises `RunError` if it does not."""
        start = time.monotonic()
        while not (Path(path) / MANIFEST).is_file():
            if time.monotonic() - start > patience_s:
                raise RunError(f"the main process has made no run folder {path}")
            time.sleep(0.1)
        return cls(path)

    def lock(self) -> Self:
        """Leave the lock to the main process."""
        return self

    def write_text(self, name: str, text: str) -> Path:
        """Write nothing: the main process does."""
        return self.path / name

    def append_jsonl(self, name: str, value: object, *, most_bytes: int | None = None) -> None:
        """Write nothing: the main process does."""


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Turn what a full or lost disk makes of a writer into a `RunError`."""
    try:
        yield
    except OSError as error:
        raise RunError(
            f"{path} cannot be written: {error.strerror or error}. What was complete is kept: "
            "once it can be, continue with --resume"
        ) from error


def storage_fault(error: BaseException, folder: Path) -> str:
    """Why a file could not be written in `folder`, if that is what `error` comes from, else "".

    Writers of tensors raise errors of their own for a full disk, without a number.
    """
    seen: BaseException | None = error
    while seen is not None:
        if reason := _storage_fault(seen, folder):
            return reason
        seen = seen.__cause__ or seen.__context__
    return ""


def _storage_fault(error: BaseException, folder: Path) -> str:
    number = error.errno if isinstance(error, OSError) else _number_in(str(error))
    file = error.filename if isinstance(error, OSError) else None
    if file is not None and not Path(str(file)).is_relative_to(folder):
        return ""  # a file of a plugin's or a dataset's
    if number is not None and number in _STORAGE_ERRORS:
        return os.strerror(number)
    if any(mark in str(error) for mark in _TORCH_WRITER):
        full = _free_bytes(folder) < NEARLY_FULL
        return os.strerror(errno.ENOSPC) if full else f"torch could not write a file ({error})"
    return ""


def _number_in(text: str) -> int:
    """The system's error number in a message of safetensors', or 0."""
    found = re.search(r"\bcode: (\d+)|\bos error (\d+)", text)
    return int(found[1] or found[2]) if found else 0


_STORAGE_ERRORS = tuple(
    getattr(errno, name)
    for name in ("ENOSPC", "EDQUOT", "EFBIG", "EROFS", "EIO", "ESTALE", "EACCES", "EPERM")
)
_TORCH_WRITER = ("inline_container", "PytorchStreamWriter", "unexpected pos")
NEARLY_FULL = 64 * 2**20  # bytes


def _free_bytes(folder: Path) -> int:
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return 0  # the folder is gone


def default_run_dir(task: str, model: str, seed: int, root: str | Path = "runs") -> Path:
    """A new folder's path: runs/counting-nano-s0-20260131-235959, with -2 and so on if taken."""
    stamp = time.strftime("%Y%m%d-%H%M%S")
    base = Path(root) / f"{_slug(task)}-{_slug(model)}-s{seed}-{stamp}"
    path, number = base, 1
    while path.exists():
        number += 1
        path = base.with_name(f"{base.name}-{number}")
    return path


def manifest(
    recipe: Mapping[str, Any], *, plugins: Mapping[str, str], **facts: object
) -> dict[str, Any]:
    """Where a run's numbers come from: its recipe, and `provenance`."""
    return {
        "seed": recipe.get("seed"),
        "recipe": dict(recipe),
        **provenance(plugins),
        **facts,
    }


def provenance(plugins: Mapping[str, str]) -> dict[str, Any]:
    """Where any number comes from: command, versions, machine, commit."""
    return {
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "command": sys.argv,
        "plugins": dict(plugins),
        "packages": {name: v for name in PACKAGES if (v := _version(name))},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "commit": _commit(),
    }


def changed_versions(manifest: Mapping[str, Any], plugins: Mapping[str, str]) -> list[str]:
    """What is installed in another version than when a run began: "torch 2.13.0, now 2.14.1"."""
    before = {**manifest.get("packages", {}), **manifest.get("plugins", {})}
    now = {**{name: _version(name) for name in PACKAGES}, **plugins}
    return [
        f"{name} {before.get(name) or 'not installed'}, now {now.get(name) or 'not installed'}"
        for name in sorted({*before, *now})
        if before.get(name) != now.get(name)
    ]


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _commit() -> str | None:
    """The commit of the folder that rft is called in, "-dirty" if it has changes."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()


def _slug(name: str) -> str:
    last = re.split(r"[/:]", name.rstrip("/"))[-1]
    return re.sub(r"[^\w.]+", "-", last).strip("-.") or "run"


def _occupied(path: Path) -> str:
    if (path / MANIFEST).exists():
        next_step = f"go on with it by --resume {path}, or choose another with --out"
    else:
        next_step = "choose another with --out"
        if held := sorted(child.name for child in path.iterdir() if _is_run(child)):
            return (
                f"output folder {path} holds runs ({', '.join(held[-3:])}): --out is the folder of "
                f"one run, such as {path / 'NAME'}"
            )
    return f"output folder {path} is in use: {next_step}"


def _is_run(path: Path) -> bool:
    return (path / MANIFEST).is_file() and (path / STATE).is_file()


def _others(path: Path) -> str:
    runs = sorted(p.parent.name for p in path.parent.glob(f"*/{MANIFEST}"))
    return f" Runs in {path.parent}: {', '.join(runs[-5:])}." if runs else ""


def _drop_torn_line(file: Any) -> None:
    size = file.seek(0, os.SEEK_END)
    keep = size
    while keep:
        start = max(0, keep - 4096)
        file.seek(start)
        newline = file.read(keep - start).rfind(b"\n")
        if newline >= 0:
            keep = start + newline + 1
            break
        keep = start
    if keep < size:
        file.truncate(keep)
