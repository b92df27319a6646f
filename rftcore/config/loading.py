"""Recipe files and `--set key=value` in, one checked recipe out.

Each setting has its origin, so that a fault names the file and line, or the `--set`. All
faults are reported at once.
"""

import copy
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rftcore.config import paradigms, yaml12
from rftcore.config.faults import fault, faults_of
from rftcore.config.recipe import SECTIONS, Layer, Path_, Recipe, leaves, origin_of
from rftcore.errors import Fault, RecipeError
from rftcore.jsontext import BOM
from rftcore.spelling import has_half_a_character

MODEL_RECIPE = "rft.yaml"  # in a model's folder: settings that belong to that model


class RecipeFile(dict[str, Any]):
    """The mapping in a recipe file, with the line of every setting."""

    lines: dict[Path_, int]


def read_recipe_file(path: str | Path) -> RecipeFile:
    """Read a YAML mapping.

    Raises: RecipeError with the file and the line.
    """
    try:
        text = Path(path).read_text(encoding="utf-8").lstrip(BOM)
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


def model_defaults(model: str | Path, task: str = "") -> list[Layer]:
    """The recipe defaults in the model's folder, then those that it has for a task.

    Raises: RecipeError if `tasks` in the file maps no names to settings.
    """
    file = Path(model) / MODEL_RECIPE
    if not file.is_file():
        return []
    recipe = read_recipe_file(file)
    tasks, name = recipe.pop("tasks", None) or {}, task.rpartition(":")[2]
    if not isinstance(tasks, dict) or not all(isinstance(one, dict) for one in tasks.values()):
        line = recipe.lines[("tasks",)]
        rule = "must map names of tasks to settings, as {counting: {grpo: {beta: 0.04}}}"
        raise RecipeError(Fault("tasks", rule, tasks, f"{file} line {line}"))
    layers: list[Layer] = [(str(file), recipe)]
    if own := tasks.get(name):
        of_task = RecipeFile(own)
        start = ("tasks", name)
        of_task.lines = {at[2:]: line for at, line in recipe.lines.items() if at[:2] == start}
        layers.append((str(file), of_task))
    return layers


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
        if "paradigm" in layer:
            paradigms.give_way(merged, origins)
        _merge(merged, layer, origin, (), origins)
    merged = {name: value for name, value in merged.items() if name not in without}
    faults = paradigms.settle(merged, origins)
    if undecoded := list(_undecoded(merged, origins)):
        raise RecipeError(*faults, *undecoded)
    try:
        # As JSON, because strict JSON accepts exactly what a recipe file can contain:
        # "3" and true are not integers, a list can be a tuple.
        recipe = Recipe.model_validate_json(json.dumps(merged, default=str), strict=True)
    except ValidationError as error:
        raise RecipeError(*faults, *faults_of(error, origins)) from error
    if faults:
        raise RecipeError(*faults)
    recipe._origins.update(origins)
    return recipe


def _undecoded(merged: Mapping[str, Any], origins: Mapping[Path_, str]) -> Iterator[Fault]:
    """The settings with bytes of a command line that Python could not decode."""
    rule = "it is not text in the encoding of your terminal: PYTHONUTF8=1 reads UTF-8 in any"
    for at, value in leaves(merged):
        if isinstance(value, str) and has_half_a_character(value):
            yield fault(at, value, origin_of(origins, at), rule)


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
        for old in [old for old in origins if old[: len(at)] == at or at[: len(old)] == old]:
            del origins[old]  # a value, or a mapping, in the place of the other
        for above in (at[:length] for length in range(1, len(at))):
            if above in lines:  # comes first, so that it is the origin of the mapping as a whole
                origins[*above, ""] = f"{origin} line {lines[above]}"
        origins[at] = f"{origin} line {lines[at]}" if at in lines else origin


def _put(into: dict[str, Any], path: Path_, value: Any) -> None:
    for part in path[:-1]:
        if not isinstance(into.get(part), dict):
            into[part] = {}
        into = into[part]
    into[path[-1]] = copy.deepcopy(value)  # later layers change it in place
