"""Where a run's numbers come from: versions, machine, commit; and the name of a run's folder."""

import hashlib
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement

CORE = "rftcore"

# The packages whose version can change a number; what plugins require is added.
PACKAGES = (
    CORE,
    "accelerate",
    "datasets",
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


def default_run_dir(
    task: str,
    model: str,
    seed: int,
    root: str | Path = "runs",
    *,
    paradigm: str = "",
    smoke: bool = False,
) -> Path:
    """A new folder's path: runs/counting-nano-s0-20260131-235959, with -2 and so on if taken.

    A paradigm follows the task: runs/counting-cot-sft-nano-s0-20260131-235959.
    The task ./cubes.py:hard is in it as `cubes-hard`, and ./cubes.py:task as `cubes`.
    """
    stamp = time.strftime("%Y%m%d-%H%M%S")
    of = f"{'smoke-' * smoke}{_task_slug(task)}{paradigm and f'-{paradigm}'}"
    base = Path(root) / f"{of}-{_slug(model)}-s{seed}-{stamp}"
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
        "created": now(),
        "command": sys.argv,
        "plugins": dict(plugins),
        "packages": _packages(plugins),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "commit": _commit(),
    }


def now() -> str:
    """The time in UTC, as ISO 8601."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def changed_versions(manifest: Mapping[str, Any], plugins: Mapping[str, str]) -> list[str]:
    """What is installed in another version than when a run began: "torch 2.13.0, now 2.14.1"."""
    before = {**manifest.get("packages", {}), **manifest.get("plugins", {})}
    now = {**_packages(plugins), **plugins}
    return [
        f"{name} {before.get(name) or 'not installed'}, now {now.get(name) or 'not installed'}"
        for name in sorted({*before, *now})
        if before.get(name) != now.get(name)
    ]


def task_file(task: str) -> str | None:
    """The SHA-256 of the file of a task ./file.py:factory, which has no version; else None."""
    path = Path(task.rpartition(":")[0])
    if path.suffix != ".py" or not path.is_file():
        return None
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _packages(plugins: Iterable[str]) -> dict[str, str]:
    """Versions of `PACKAGES` and of what plugins require, as far as they are installed.

    Of a required library that itself builds on rft, such as a renderer that tasks share, the
    requirements count as well.
    """
    names, to_visit = {*PACKAGES}, [*plugins]
    while to_visit:
        required = _requirements(to_visit.pop()) - names - {*plugins}
        names |= required
        to_visit += [name for name in required if CORE in _requirements(name)]
    return {name: v for name in sorted(names) if (v := _version(name))}


def _requirements(distribution: str) -> set[str]:
    """What an installed distribution requires, without its extras."""
    try:
        texts = metadata.requires(distribution) or ()
        found = [Requirement(text) for text in texts]
    except (metadata.PackageNotFoundError, ValueError):  # or a requirement that is none
        return set()
    return {
        re.sub(r"[-_.]+", "-", each.name).lower()
        for each in found
        if each.marker is None or each.marker.evaluate({"extra": ""})
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except (metadata.PackageNotFoundError, ValueError):  # or its metadata is not UTF-8
        return None


def _commit() -> str | None:
    """The commit of the folder that rft is called in, "-dirty" if it has changes."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        answer = subprocess.run(command, capture_output=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.decode(errors="replace").strip()  # a tag may have any name


def _task_slug(task: str) -> str:
    file, _, factory = task.rpartition(":")
    if not file.endswith(".py"):
        return _slug(task)
    stem = _slug(Path(file).stem)
    return stem if factory in ("task", stem) else f"{stem}-{_slug(factory)}"


def _slug(name: str) -> str:
    last = re.split(r"[/:]", name.rstrip("/"))[-1]
    return re.sub(r"[^\w.]+", "-", last).strip("-.") or "run"
