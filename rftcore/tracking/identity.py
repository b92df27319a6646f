"""What a tracker's run is called, and the settings that it shows."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rftcore import jsontext
from rftcore.config import Recipe
from rftcore.config.recipe import leaves
from rftcore.disclosure import without_secrets
from rftcore.runs import RunFolder


@dataclass(frozen=True)
class Identity:
    """The run in its trackers, the same in every session. run: the folder that keeps it.

    name: the folder's name, with a part of `id`, so that two runs never share a name.
    """

    run: RunFolder
    id: str
    project: str
    name: str
    config: Mapping[str, Any]

    @property
    def folder(self) -> Path:
        """The run's folder."""
        return self.run.path


def identify(run: RunFolder, recipe: Recipe) -> Identity:
    """The identity of a run, new unless its folder has one."""
    known = run.tracking()
    if "id" not in known:
        known = {"id": uuid.uuid4().hex[:12], "name": run.path.absolute().name}
        run.note_tracking(**known)
    project = recipe.tracking.project or Path(recipe.task.partition(":")[0]).stem
    name = f"{known['name']}-{known['id'][:6]}"
    return Identity(run, known["id"], project, name, config(run, recipe))


def config(run: RunFolder, recipe: Recipe) -> dict[str, Any]:
    """Every setting by its dotted name, and the version; no token or password."""
    settings = without_secrets(recipe.model_dump(mode="json"))
    values = {".".join(path): value for path, value in leaves(settings)}
    plain = {
        name: value if isinstance(value, str | int | float) else jsontext.dumps(value)
        for name, value in values.items()
    }
    smoke = bool(run.manifest().get("smoke"))
    return {**plain, "rft_version": version("rftcore"), "smoke": smoke}
