"""Recipe files and `--set key=value` in, one checked recipe out.

Each setting has its origin, so that a fault names the file and line, or the `--set`. All
faults are reported at once.
"""

import copy
import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rftcore.config import yaml12
from rftcore.config.faults import faults_of
from rftcore.config.recipe import SECTIONS, Layer, Path_, Recipe, leaves
from rftcore.errors import RecipeError

MODEL_RECIPE = "rft.yaml"  # in a model's folder: settings that belong to that model


class RecipeFile(dict[str, Any]):
    """The mapping in a recipe file, with the line of every setting."""

    lines: dict[Path_, int]


def read_recipe_file(path: str | Path) -> RecipeFile:
    """Read a YAML mapping.

    Raises: RecipeError with the file and the line.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise RecipeError(f"recipe {path}: {reason}. Recipes are YAML files.") from error
    node, value = yaml12.parse(text, f"recipe {path}")
    if not isinstance(value, dict | None):
        raise RecipeError(
            f"recipe {path}: a recipe is a mapping of settings, e.g. `task: counting`"
        )
    recipe = RecipeFile(value or {})
    recipe.lines = dict(yaml12.lines_of(node, (), f"recipe {path}"))
    return recipe


def model_defaults(model: str | Path) -> list[Layer]:
    """The recipe defaults in the model's folder, if there are any."""
    file = Path(model) / MODEL_RECIPE
    return [(str(file), read_recipe_file(file))] if file.is_file() else []


def dump_recipe(recipe: Recipe) -> str:
    """The resolved recipe as YAML; `read_recipe_file` reads it back unchanged."""
    return yaml12.dump(recipe.model_dump(mode="json"))


def load_recipe(
    *layers: Layer, overrides: Sequence[str] = (), without: Collection[str] = ()
) -> Recipe:
    """Merge layers (later wins) and overrides ("a.b=value"), and check the whole.

    without: sections to ignore, while their layers are not known yet.
    Raises: RecipeError with all faults, each with its origin.
    """
    merged: dict[str, Any] = {}
    origins: dict[Path_, str] = {}
    for origin, layer in (*layers, *map(parse_override, overrides)):
        _merge(merged, layer, origin, (), origins)
    merged = {name: value for name, value in merged.items() if name not in without}
    try:
        # As JSON, because strict JSON accepts exactly what a recipe file can contain:
        # "3" and true are not integers, a list can be a tuple.
        recipe = Recipe.model_validate_json(json.dumps(merged, default=str), strict=True)
    except ValidationError as error:
        raise RecipeError(*faults_of(error, origins)) from error
    recipe._origins.update(origins)
    return recipe


def parse_override(text: str) -> Layer:
    """Turn "a.b=value" into the layer ("--set a.b", {"a": {"b": value}}).

    Raises: RecipeError for another form, or a value that is not YAML.
    """
    key, equals, value = text.partition("=")
    path = key.strip().split(".")
    if not equals or not all(path):
        raise RecipeError(f"--set {text!r}: write key=value, e.g. --set grpo.group_size=8")
    _, layer = yaml12.parse(value, f"--set {key}", ".".join(path))
    for part in reversed(path):
        layer = {part: layer}
    return f"--set {key.strip()}", layer


def _merge(
    into: dict[str, Any],
    layer: Mapping[str, Any],
    origin: str,
    path: Path_,
    origins: dict[Path_, str],
) -> None:
    lines = getattr(layer, "lines", {})
    for at, value in leaves(layer):
        if value is None and at[-1] in SECTIONS and len(at) == 1:
            continue  # `sft:` with nothing under it: the defaults
        _put(into, at, value)
        for old in [old for old in origins if old[: len(at)] == at]:
            del origins[old]
        origins[at] = f"{origin} line {lines[at]}" if at in lines else origin


def _put(into: dict[str, Any], path: Path_, value: Any) -> None:
    for part in path[:-1]:
        if not isinstance(into.get(part), dict):
            into[part] = {}
        into = into[part]
    into[path[-1]] = copy.deepcopy(value)  # later layers change it in place
