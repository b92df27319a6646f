"""Where a run's numbers come from: versions, machine, commit; and the name of a run's folder."""

import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

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


def default_run_dir(
    task: str, model: str, seed: int, root: str | Path = "runs", *, smoke: bool = False
) -> Path:
    """A new folder's path: runs/counting-nano-s0-20260131-235959, with -2 and so on if taken."""
    stamp = time.strftime("%Y%m%d-%H%M%S")
    base = Path(root) / f"{'smoke-' * smoke}{_slug(task)}-{_slug(model)}-s{seed}-{stamp}"
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
        "packages": {name: v for name in PACKAGES if (v := _version(name))},
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
