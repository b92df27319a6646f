"""What a fork takes over from another run: the files of the phases that it does not repeat."""

import os
import shutil
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from rftcore.errors import RunError
from rftcore.runs.folder import RunFolder
from rftcore.runs.names import EVALUATION, FAILURES, KINDS, METRICS, PHASES, USAGE, result_name


def take_over(run: RunFolder, parent: RunFolder, phases: Collection[str]) -> None:
    """Put the files of the phases of another run into a run.

    Raises: RunError if a policy is not there.
    """
    for phase in phases:
        for file in _of_phase(parent, phase):
            _link(parent.path / file, run.path / file)
    for name in (METRICS, FAILURES):
        for line in parent.read_jsonl(name):
            if line["phase"] in phases:
                run.append_jsonl(name, line)
    if used := {name: parts for name, parts in parent.usage().items() if name in phases}:
        run.write_json(USAGE, used)


def _of_phase(run: RunFolder, phase: str) -> list[Path]:
    """The files that a phase wrote, but for checkpoints."""
    kind, _, stage = phase.partition(":")
    if kind == "evaluate":
        folder = run.path / EVALUATION
        found = [*folder.glob(f"{stage}.json"), *folder.glob(f"{stage}-*.json*")]
        found += [p for kind in KINDS[1:] for p in folder.glob(f"{kind}/{stage}-*.jsonl")]
    elif phase in PHASES:
        model = run.model_folder(phase)
        saved = [*model.rglob("*"), *run.adapter_folder(phase).rglob("*")]
        found = [run.path / result_name(phase), *(p for p in saved if p.is_file())]
        if not (model / "config.json").is_file():
            raise RunError(f"run {run.path}: the policy of {phase.upper()} is not in {model}")
    else:
        found = []
    return sorted(path.relative_to(run.path) for path in found)


def _link(source: Path, target: Path) -> None:
    """The same file in another place: weights take no room twice, where links are possible."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.suffix == ".safetensors":
        with suppress(OSError):  # another disk, or a file system without links
            os.link(source, target)
            return
    shutil.copyfile(source, target)
