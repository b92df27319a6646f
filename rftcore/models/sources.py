"""Where a model is read from: its folder, the base of an adapter, or a name on a hub."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rftcore.config import PolicyRecipe
from rftcore.errors import ModelError
from rftcore.models.adapters import PEFT_MISSING, base_of, has_peft, is_adapter, revision_of
from rftcore.runs import runs_in

PLAIN = PolicyRecipe()  # how a model is loaded without a recipe


def check_source(source: str | Path) -> None:
    """Raise `ModelError` if `source` is a folder path without a model, or without its base."""
    path = Path(source)
    if is_adapter(path):
        if not has_peft():
            raise ModelError(f"model folder {str(source)!r} is an adapter, which {PEFT_MISSING}")
        check_source(base_of(path))
        return
    looks_local = path.is_absolute() or str(source).startswith((".", "~")) or path.exists()
    if looks_local and not (path / "config.json").is_file():
        inside = sorted(str(file.parent) for file in path.glob("*/model/config.json"))
        if inside:
            hint = f": it is a run, whose policies are {' and '.join(inside)}"
        elif (path / "model" / "config.json").is_file():
            hint = f": the policy in it is {path / 'model'}"
        else:
            hint = f", and it is no run.{runs}" if (runs := runs_in(path)) else ""
        raise ModelError(f"model folder {str(source)!r} has no config.json{hint}")


def complete_source(source: str | Path, settings: PolicyRecipe) -> tuple[str | Path, PolicyRecipe]:
    """The complete model of a source, and how to load it; of an adapter, its base's revision."""
    if not is_adapter(source):
        return source, settings
    revision = revision_of(source) or settings.revision
    return base_of(source), settings.model_copy(update={"revision": revision})


def arguments(source: str | Path, settings: PolicyRecipe) -> dict[str, Any]:
    """Arguments of every `from_pretrained`: whether code may run, and which revision to take."""
    found: dict[str, Any] = {"trust_remote_code": settings.trust_remote_code}
    if settings.revision is not None and not Path(source).is_dir():
        found["revision"] = settings.revision
    return found
