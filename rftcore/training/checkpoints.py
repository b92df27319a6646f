"""Checkpoints: sealed once complete, verified before use, loaded whole.

transformers writes a checkpoint file by file, syncs none of them, and loads
weights by matching names, leaving out what does not match. So three things are
done here:

- `Checkpoints` seals each one: its files are synced, then `sealed.json` lists
  their sizes and SHA-256, so a partial or altered checkpoint is recognized.
- `newest_complete` takes the newest whose files are those of its seal.
- `load_weights` reads the weights as `from_pretrained` does, which maps a
  family's renamed parameters, and requires every one of them.

The other parts (optimizer, schedule, random state, position in the data) are
loaded by transformers, from files that the seal has verified.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from rftcore import distributed
from rftcore.config import MODEL_RECIPE, PolicyRecipe
from rftcore.errors import TrainerError
from rftcore.models.adapter_weights import load_adapter
from rftcore.models.loading import load_model
from rftcore.models.sources import PLAIN
from rftcore.training.trained import has_adapter

logger = logging.getLogger(__name__)

SEAL = "sealed.json"
# What a resumed phase needs beside the weights, by a part of the file's path (its name
# depends on the engine); save_only_model=true leaves out all but the first.
STATE = {
    "trainer_state.json": "trainer state",
    "optim": "optimizer state",
    "scheduler": "schedule",
    "rng_state": "random state",
}
PARTS = (".safetensors", ".bin", ".pt", ".pth", ".json")  # a stray one of these would be loaded
CHUNK = 1 << 20  # bytes
Lines = Mapping[str, Sequence[Any]]  # [size in bytes, SHA-256] by the name of a file of lines


@dataclass(frozen=True)
class Checkpoint:
    """A complete checkpoint: after which step, training how long, by how many processes.

    lines: size and hash of the run's files of lines when it was written, by name.
    """

    path: Path
    step: int
    seconds: float
    world_size: int
    lines: Lines = field(default_factory=dict)


class Checkpoints(TrainerCallback):
    """Seals every checkpoint that the trainer writes, and keeps the newest `keep` of them.

    transformers deletes old checkpoints before the new one is synced, so its own
    limit is switched off and the old ones go only after the new one is sealed.
    `seconds` returns how long the phase has trained, earlier sessions included; `lines`, size and
    hash of the run's files of lines.
    """

    def __init__(
        self,
        base: str | Path,
        keep: int | None,
        seconds: Callable[[], float],
        lines: Callable[[], Lines] = dict,
    ) -> None:
        self._base, self._keep, self._seconds, self._lines = base, keep, seconds, lines

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Seal the checkpoint of this step, once every process has written its part."""
        distributed.barrier()
        if distributed.is_main():
            path = Path(args.output_dir) / f"checkpoint-{state.global_step}"
            pass_on_defaults(self._base, path)
            seconds, lines = self._seconds(), self._lines()
            seal(path, step=state.global_step, seconds=seconds, lines=lines)
            if self._keep:
                self._delete_old(path.parent)
        distributed.barrier()

    def _delete_old(self, folder: Path) -> None:
        for path in sealed(folder)[self._keep :]:
            (path / SEAL).unlink()  # first: a half-deleted checkpoint has no seal
            shutil.rmtree(path)


def pass_on_defaults(base: str | Path, policy: Path) -> None:
    """Copy the base model's own settings into a policy's folder, for runs that start from it."""
    if distributed.is_main() and (file := Path(base) / MODEL_RECIPE).is_file():
        shutil.copyfile(file, policy / MODEL_RECIPE)


def seal(path: Path, *, step: int, seconds: float, lines: Lines | None = None) -> None:
    """Sync a checkpoint's files and list them, with their sizes and hashes, in `sealed.json`."""
    (path / SEAL).unlink(missing_ok=True)
    files = {}
    for file in _files(path):
        with file.open("rb") as handle:
            os.fsync(handle.fileno())
        files[file.relative_to(path).as_posix()] = _facts(file)
    facts = {
        "step": step,
        "seconds": seconds,
        "world_size": distributed.world_size(),
        "lines": lines or {},
        "files": files,
    }
    half = path / f".{SEAL}.tmp"
    with half.open("w", encoding="utf-8") as handle:
        json.dump(facts, handle, indent=1)
        handle.flush()
        os.fsync(handle.fileno())
    half.replace(path / SEAL)
    _sync_folder(path)
    _sync_folder(path.parent)


def sealed(folder: Path) -> list[Path]:
    """The checkpoints in `folder` that were written to their end, the newest first."""
    return [path for path in _checkpoints(folder) if (path / SEAL).is_file()]


def newest_complete(folder: Path) -> Checkpoint | None:
    """The newest complete checkpoint in `folder`, or None.

    Prints a warning for each newer one that is not complete, with the reason.
    Rank 0 decides, for every rank.
    """
    found = None
    if distributed.is_main():
        found = _newest_complete(folder)
    return distributed.all_gather(found)[0]


def _newest_complete(folder: Path) -> Checkpoint | None:
    rejected: list[str] = []
    found = None
    for path in _checkpoints(folder):
        fault = fault_of(path)
        if not fault:
            facts = json.loads((path / SEAL).read_text(encoding="utf-8"))
            step, seconds, world = facts["step"], facts["seconds"], facts["world_size"]
            found = Checkpoint(path, step, seconds, world, facts.get("lines", {}))
            break
        rejected.append(f"{path}: {fault}")
    instead = f"continuing from {found.path.name}" if found else "the phase starts over"
    for fault in rejected:
        logger.warning("checkpoint not used, %s; %s", fault, instead)
    return found


def fault_of(path: Path) -> str:
    """Why a phase cannot continue from the checkpoint in `path`, or ""."""
    try:
        facts = json.loads((path / SEAL).read_text(encoding="utf-8"))
        files = {str(name): dict(values) for name, values in facts["files"].items()}
        _ = int(facts["step"]), float(facts["seconds"]), int(facts["world_size"])
    except FileNotFoundError:
        return f"it was not written to its end (no {SEAL})"
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return f"its {SEAL} is damaged ({type(error).__name__}: {error})"
    for name, expected in files.items():
        if fault := _file_fault(path / name, expected):
            return f"{name} {fault}"
    for file in _files(path):
        name = file.relative_to(path).as_posix()
        if name not in files and file.suffix in PARTS:
            return f"{name} is not part of it"
    missing = [what for part, what in STATE.items() if not any(part in name for name in files)]
    if missing:
        return f"it has no {', no '.join(missing)} (is save_only_model set?)"
    return ""


def _file_fault(file: Path, expected: dict[str, Any]) -> str:
    try:
        found = _facts(file)
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    if found["bytes"] != expected.get("bytes"):
        return f"has {found['bytes']} bytes of {expected.get('bytes')}"
    if found["sha256"] != expected.get("sha256"):
        return "is not what was written (its SHA-256 differs)"
    return ""


def load_weights(model: Any, checkpoint: Path, settings: PolicyRecipe = PLAIN) -> None:
    """Copy the checkpoint's weights into `model`, in place; every one of them must be there.

    Raises: `ModelError` for missing or unexpected weights, `TrainerError` if those of the
    checkpoint are not those of the model.
    """
    if has_adapter(model):
        load_adapter(model, checkpoint)
        return
    dtype = str(model.dtype).removeprefix("torch.")
    saved = load_model(checkpoint, settings, dtype=dtype, device="cpu")
    own, loaded = model.state_dict(), saved.model.state_dict()
    if own.keys() != loaded.keys():
        apart = sorted(own.keys() ^ loaded.keys())
        raise TrainerError(
            f"{checkpoint} has another model than the one in training: "
            f"{len(apart)} weights are in one of them only, such as {apart[0]}"
        )
    model.load_state_dict(loaded)


class Weights(TrainerCallback):
    """Loads a checkpoint's weights when training begins, after transformers has loaded its own way.

    Not before: transformers then loads those names that match, and only those.
    """

    def __init__(self, checkpoint: Checkpoint, trainer: Any, settings: PolicyRecipe) -> None:
        self._checkpoint, self._trainer, self._settings = checkpoint, trainer, settings

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Load the weights; a model in parts on several processes is transformers' own to load.

        Raises: `NoStepLeft` after that, where transformers would take a step too many.
        """
        trainer = self._trainer
        if not (trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled):
            model = trainer.accelerator.unwrap_model(trainer.model)
            load_weights(model, self._checkpoint.path, self._settings)
        if state.global_step >= state.max_steps:
            raise NoStepLeft


class NoStepLeft(Exception):  # noqa: N818 - not an error: the checkpoint was the last one
    """The phase was interrupted after its last step: nothing is left to train."""


class Clock:
    """Seconds that a phase has trained, those of earlier sessions included."""

    def __init__(self, before: float = 0.0) -> None:
        self._before, self._start = before, time.monotonic()

    def seconds(self) -> float:
        """How long the phase has trained by now."""
        return self._before + time.monotonic() - self._start


def _checkpoints(folder: Path) -> list[Path]:
    """The checkpoint folders, the newest first."""
    found = [(path, path.name.rpartition("-")[2]) for path in folder.glob("checkpoint-*")]
    steps = [(int(step), path) for path, step in found if step.isdecimal() and path.is_dir()]
    return [path for _, path in sorted(steps, reverse=True)]


def _files(path: Path) -> Iterator[Path]:
    """Every file of a checkpoint except its seal and hidden files."""
    for file in sorted(path.rglob("*")):
        if file.is_file() and file.name != SEAL and not file.name.startswith("."):
            yield file


def _facts(file: Path) -> dict[str, Any]:
    digest = hashlib.sha256()
    with file.open("rb") as handle:
        while chunk := handle.read(CHUNK):
            digest.update(chunk)
        return {"bytes": handle.tell(), "sha256": digest.hexdigest()}


def _sync_folder(folder: Path) -> None:
    """Make renames and new names in `folder` survive a power loss."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
