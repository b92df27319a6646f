"""The recipe: files and `--set key=value` in, one checked, frozen object out.

A setting keeps the place it came from, so that a fault names the file and
line, or the `--set`, that holds it. All faults are reported at once.
"""

import copy
import json
import math
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    PydanticSchemaGenerationError,
    PydanticUndefinedAnnotation,
    PydanticUserError,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from rftcore.errors import RecipeError, closest, one_line
from rftcore.types import OOD_PREFIX

Path_ = tuple[str, ...]
Layer = tuple[str, Mapping[str, Any]]
Frozen = Literal["vision", "projector"]
Count = Annotated[int, Field(ge=1)]
MODEL_RECIPE = "rft.yaml"  # in a model's folder: settings that belong to that model

FORBID = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, ser_json_inf_nan="constants")
ALLOW = ConfigDict(extra="allow", frozen=True, allow_inf_nan=False, ser_json_inf_nan="constants")


class RewardOverride(BaseModel):
    """Changes one reward term of the task, or adds one (then `use` is needed)."""

    model_config = FORBID

    use: str | None = Field(None, description="name of an offered reward")
    weight: float | None = Field(None, description="weight in the total; 0 only measures")
    options: dict[str, Any] = Field({}, description="options of the reward's factory")


class SftRecipe(BaseModel):
    """Phase 1. Any other field of TRL's `SFTConfig` can stand here too."""

    model_config = ALLOW

    enabled: bool = True
    samples: Count | None = Field(None, description="how many of split sft; null: all")
    batch_size: int = Field(16, ge=1, description="samples per optimiser step")
    micro_batch: Count | None = Field(None, description="samples per forward; null: batch_size")
    freeze: list[Frozen] = Field(["vision"], description="parts that do not train")
    check_lengths: bool = Field(True, description="whether the policy may write what SFT teaches")

    @field_validator("micro_batch")
    @classmethod
    def divides_the_batch(cls, size: int | None, info: ValidationInfo) -> int | None:
        whole = info.data.get("batch_size")
        if size and whole and whole % size:
            raise ValueError(f"must divide batch_size={whole}; try {_divisor(whole, size)}")
        return size


class GrpoRecipe(BaseModel):
    """Phase 2. Any other field of TRL's `GRPOConfig` can stand here too."""

    model_config = ALLOW

    enabled: bool = True
    prompts_per_step: int = Field(14, ge=1, description="prompts per optimiser step (P)")
    group_size: int = Field(8, description="completions per prompt (G)")
    micro_batch: Count | None = Field(None, description="completions per forward; null: P x G")
    samples: Count | None = Field(None, description="how many of split rl; null: all")
    freeze: list[Frozen] = Field([], description="parts that do not train")
    shared_prefix: Literal["auto", "on", "off"] = Field(
        "auto", description="read a group's prompt once; on: an error where that cannot be"
    )

    @field_validator("group_size")
    @classmethod
    def has_something_to_compare(cls, size: int) -> int:
        if size < 2:
            raise ValueError(
                "an advantage is a reward relative to its group: use 2 or more (8 in the paper)"
            )
        return size

    @field_validator("micro_batch")
    @classmethod
    def divides_the_step(cls, size: int | None, info: ValidationInfo) -> int | None:
        prompts, group = info.data.get("prompts_per_step"), info.data.get("group_size")
        if not (size and prompts and group):
            return size
        if prompts * group % size:
            whole = prompts * group
            raise ValueError(
                f"must divide prompts_per_step={prompts} x group_size={group} = {whole}; "
                f"try {_divisor(whole, size)}"
            )
        if size % group and group % size:
            raise ValueError(f"must be a multiple or a divisor of group_size={group}; try {group}")
        return size


class PolicyRecipe(BaseModel):
    """The weights in training. Computation runs in bfloat16 on a GPU all the same (autocast)."""

    model_config = FORBID

    dtype: Literal["float32", "bfloat16"] = Field(
        "float32", description="of the trained weights; bfloat16 loses small steps"
    )


class EvaluationRecipe(BaseModel):
    """What is measured, and how. Decoding is greedy."""

    model_config = FORBID

    splits: list[str] | None = Field(None, description="null: val, test and every ood-*")
    samples: dict[str, Count] = Field({}, description="at most so many samples, per split")
    batch_size: int = Field(64, ge=1)
    max_new_tokens: int = Field(512, ge=1)
    zero_shot: bool = Field(True, description="also measure the model before training")
    after_each_phase: bool = Field(True, description="false: only at the end")


class VisionRecipe(BaseModel):
    """The check that the image reaches the log-probabilities, before step 1."""

    model_config = FORBID

    enabled: bool = True
    samples: int = Field(8, ge=2)
    min_shift: float = Field(1e-3, gt=0, description="mean |shift|, nats per answer")


class ScoringRecipe(BaseModel):
    """How much failure of reward functions a run tolerates."""

    model_config = FORBID

    error_budget: int = Field(10, ge=0, description="failed reward calls before the run stops")
    timeout_s: float = Field(2.0, gt=0, description="deadline of one reward call")
    workers: int | None = Field(
        None,
        ge=0,
        le=1024,
        description="processes for slow rewards; null: one per core, at most 8; 0: none",
    )
    isolate_all: bool = Field(False, description="call every reward in a process that may be lost")

    @field_validator("isolate_all")
    @classmethod
    def needs_a_worker(cls, isolate_all: bool, info: ValidationInfo) -> bool:
        if isolate_all and info.data.get("workers") == 0:
            raise ValueError("needs processes to isolate rewards in, but scoring.workers is 0")
        return isolate_all


class Recipe(BaseModel):
    """One run, resolved. Defaults are the paper's; a model folder may bring its own."""

    model_config = FORBID

    task: str
    model: str = "nano"
    seed: int = Field(0, ge=0, lt=2**32)
    task_options: dict[str, Any] = Field({}, description="options of the task's factory")
    dataset: dict[str, Any] = Field(
        {}, description="{path: FOLDER or FILE, **options} or {use: NAME, **options}"
    )
    rewards: dict[str, RewardOverride] = {}
    policy: PolicyRecipe = PolicyRecipe()
    sft: SftRecipe = SftRecipe()
    grpo: GrpoRecipe = GrpoRecipe()
    evaluation: EvaluationRecipe = EvaluationRecipe()
    vision_check: VisionRecipe = VisionRecipe()
    scoring: ScoringRecipe = ScoringRecipe()

    _origins: dict[Path_, str] = PrivateAttr(default_factory=dict)

    def origin(self, *path: str) -> str:
        """Where a setting came from: "recipe.yaml line 7", "--set seed", or "default"."""
        return _origin(self._origins, path)


SECTIONS = tuple(
    name
    for name, field in Recipe.model_fields.items()
    if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
)


# --- reading -----------------------------------------------------------------


class RecipeFile(dict[str, Any]):
    """The mapping in a recipe file, with the line of every setting."""

    lines: dict[Path_, int]


def read_recipe_file(path: str | Path) -> RecipeFile:
    """Read a YAML mapping. Raises `RecipeError` naming the file and the line."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise RecipeError(f"recipe {path}: {reason}. Recipes are YAML files.") from error
    node, value = _parse(text, f"recipe {path}")
    if not isinstance(value, dict | None):
        raise RecipeError(
            f"recipe {path}: a recipe is a mapping of settings, e.g. `task: counting`"
        )
    recipe = RecipeFile(value or {})
    recipe.lines = dict(_lines(node, (), f"recipe {path}"))
    return recipe


def model_defaults(model: str | Path) -> list[Layer]:
    """What the model's folder says about recipes, if it is a folder and says anything."""
    file = Path(model) / MODEL_RECIPE
    return [(str(file), read_recipe_file(file))] if file.is_file() else []


def dump_recipe(recipe: Recipe) -> str:
    """The resolved recipe as YAML; `read_recipe_file` reads it back unchanged."""
    return yaml.dump(recipe.model_dump(mode="json"), Dumper=_Dumper, sort_keys=False)


def load_recipe(
    *layers: Layer, overrides: Sequence[str] = (), without: Collection[str] = ()
) -> Recipe:
    """Merge layers (later wins) and overrides ("a.b=value"), and check the whole.

    without: sections to pass over, while layers that belong to them are still to come.
    Raises `RecipeError` with all faults at once, each with its origin.
    """
    merged: dict[str, Any] = {}
    origins: dict[Path_, str] = {}
    for origin, layer in (*layers, *map(parse_override, overrides)):
        _merge(merged, layer, origin, (), origins)
    merged = {name: value for name, value in merged.items() if name not in without}
    try:
        # As JSON, because strict JSON takes what a recipe file can hold and no more:
        # "3" and true are not integers, a list can be a tuple.
        recipe = Recipe.model_validate_json(json.dumps(merged, default=str), strict=True)
    except ValidationError as error:
        raise RecipeError(report(_faults(error, origins))) from error
    recipe._origins.update(origins)
    return recipe


def parse_override(text: str) -> Layer:
    """Turn "a.b=value" into the layer ("--set a.b", {"a": {"b": value}})."""
    key, equals, value = text.partition("=")
    path = key.strip().split(".")
    if not equals or not all(path):
        raise RecipeError(f"--set {text!r}: write key=value, e.g. --set grpo.group_size=8")
    _, layer = _parse(value, f"--set {key}")
    for part in reversed(path):
        layer = {part: layer}
    return f"--set {key.strip()}", layer


# --- checks that other modules share -----------------------------------------


def check_settings(
    recipe: Recipe, section: str, allowed: Mapping[str, Any], *, own: Iterable[str] = ()
) -> dict[str, Any]:
    """The free settings of a section, checked against names and their types, and converted.

    `allowed` maps a name to its annotation (`Any`: not checked); `own` are
    names to suggest as well. Raises `RecipeError` with every fault.
    """
    good, faults = settings_faults(recipe, section, allowed, own=own)
    if faults:
        raise RecipeError(report(faults))
    return good


def settings_faults(
    recipe: Recipe, section: str, allowed: Mapping[str, Any], *, own: Iterable[str] = ()
) -> tuple[dict[str, Any], list[str]]:
    """As `check_settings`, but the faults are returned beside the settings that are right."""
    value = getattr(recipe, section)
    free = value if isinstance(value, Mapping) else (value.model_extra or {})
    return _sorted_out(free, allowed, recipe.origin, (section,), own)


def checked(
    values: Mapping[str, Any],
    allowed: Mapping[str, Any],
    origin: Callable[..., str],
    prefix: Path_ = (),
    own: Iterable[str] = (),
) -> dict[str, Any]:
    """The values, converted to their annotations. Raises `RecipeError` with every fault."""
    good, faults = _sorted_out(values, allowed, origin, prefix, own)
    if faults:
        raise RecipeError(report(faults))
    return good


def _sorted_out(
    values: Mapping[str, Any],
    allowed: Mapping[str, Any],
    origin: Callable[..., str],
    prefix: Path_,
    own: Iterable[str],
) -> tuple[dict[str, Any], list[str]]:
    good, faults = {}, []
    for name, value in values.items():
        try:
            if name not in allowed:
                raise ValueError(f"no such setting.{closest(name, (*allowed, *own))}")
            good[name] = typed(value, allowed[name])
        except ValueError as error:
            faults.append(fault((*prefix, name), value, origin(*prefix, name), str(error)))
    return good, faults


def typed(value: Any, annotation: Any) -> Any:
    """Convert a value as it stands in a recipe: a list to a tuple, text to a `Path`.

    Raises `ValueError` with the rule if it is not an `annotation`, or not finite.
    """
    if not _finite(value):
        raise ValueError("must be a finite number")
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(annotation)
    except (PydanticSchemaGenerationError, PydanticUndefinedAnnotation, PydanticUserError):
        return value  # a type that pydantic does not know is the factory's own business
    try:
        return adapter.validate_json(json.dumps(value, default=str), strict=True)
    except ValidationError as error:
        rules = dict.fromkeys(_rule(each["msg"]) for each in error.errors())
        raise ValueError("; ".join(rules)) from error


def _finite(value: Any) -> bool:
    """Whether no number in it is infinite or NaN; a recipe can write both (`.inf`, `1e400`)."""
    if isinstance(value, Mapping):
        return all(map(_finite, value.values()))
    if isinstance(value, list | tuple):
        return all(map(_finite, value))
    return not isinstance(value, float) or math.isfinite(value)


def _rule(message: str) -> str:
    return message.removeprefix("Value error, ")


def check_splits(recipe: Recipe, splits: Sequence[str]) -> None:
    """Check that the splits a recipe needs exist. Raises `RecipeError`."""
    named = {
        **dict.fromkeys(recipe.evaluation.splits or (), ("evaluation", "splits")),
        **dict.fromkeys(recipe.evaluation.samples, ("evaluation", "samples")),
    }
    faults = [
        fault(path, name, recipe.origin(*path), f"no such split.{closest(name, splits)}")
        for name, path in named.items()
        if name not in splits
    ]
    given = recipe.evaluation.splits or []
    if twice := [split for split in dict.fromkeys(given) if given.count(split) > 1]:
        at = ("evaluation", "splits")
        faults.append(fault(at, given, recipe.origin(*at), f"{', '.join(twice)} is given twice"))
    for phase, split in (("sft", "sft"), ("grpo", "rl")):
        if getattr(recipe, phase).enabled and split not in splits:
            rule = f"needs split {split!r}; to leave the phase out, --set {phase}.enabled=false"
            faults.append(fault((phase, "enabled"), True, recipe.origin(phase, "enabled"), rule))
    if faults:
        told = report(faults)
        stop = "" if told.endswith((".", "?")) else "."
        raise RecipeError(f"{told}{stop} The task has {', '.join(splits)}")


def evaluated_splits(recipe: Recipe, splits: Sequence[str]) -> tuple[str, ...]:
    """The splits to evaluate: those the recipe names, else val, test and every ood-*."""
    if recipe.evaluation.splits is not None:
        return tuple(dict.fromkeys(recipe.evaluation.splits))
    return tuple(s for s in splits if s in ("val", "test") or s.startswith(OOD_PREFIX))


def differences(one: Recipe, other: Recipe) -> list[str]:
    """The dotted names of the settings in which two recipes differ."""
    left, right = dict(_leaves(one.model_dump())), dict(_leaves(other.model_dump()))
    missing = object()
    return sorted(
        ".".join(path)
        for path in {*left, *right}
        if left.get(path, missing) != right.get(path, missing)
    )


# --- merging and reporting ---------------------------------------------------


def _merge(
    into: dict[str, Any],
    layer: Mapping[str, Any],
    origin: str,
    path: Path_,
    origins: dict[Path_, str],
) -> None:
    lines = getattr(layer, "lines", {})
    for at, value in _leaves(layer):
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
    into[path[-1]] = copy.deepcopy(value)  # a later layer may write into it


def _leaves(mapping: Mapping[str, Any], path: Path_ = ()) -> Iterator[tuple[Path_, Any]]:
    for key, value in mapping.items():
        at = (*path, str(key))
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, at)
        else:
            yield at, value


def _origin(origins: Mapping[Path_, str], path: Path_) -> str:
    for length in range(len(path), 0, -1):
        if path[:length] in origins:
            return origins[path[:length]]
    return next((o for at, o in origins.items() if at[: len(path)] == path), "default")


def _faults(error: ValidationError, origins: Mapping[Path_, str]) -> list[str]:
    faults = []
    for each in error.errors():
        path = tuple(str(part) for part in each["loc"])
        if each["type"] == "missing":
            faults.append(f"{'.'.join(path)} is missing: give --{path[0]}, or set it in the recipe")
            continue
        rule = _rule(each["msg"])
        if each["type"] == "extra_forbidden":
            rule = f"no such setting.{_suggest(path)}"
        faults.append(fault(path, each["input"], _origin(origins, path), rule))
    return faults


def _suggest(path: Path_) -> str:
    names = list(_names(Recipe))
    if path[0] == "rewards" and len(path) > 1:
        names = [".".join((*path[:2], name)) for name in RewardOverride.model_fields]
    suggestion = closest(".".join(path), names) or closest(
        path[-1], [name.rpartition(".")[2] for name in names]
    )
    if suggestion or len(path) > 1:
        return suggestion
    return " TRL's settings go under sft: or grpo:."


def _names(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield prefix + name
        if name in SECTIONS and not prefix:
            yield from _names(field.annotation, f"{name}.")  # type: ignore[arg-type]


def fault(path: Path_, value: Any, origin: str, rule: str) -> str:
    """One line: the setting, its value, where it came from, and the rule it breaks."""
    return f"{'.'.join(path)} = {value!r} ({origin}): {rule}"


def report(faults: Sequence[str]) -> str:
    """The message of a `RecipeError` that holds all faults of a recipe."""
    if len(faults) == 1:
        return faults[0]
    return "\n".join((f"{len(faults)} faults in the recipe:", *(f"  {line}" for line in faults)))


def _divisor(whole: int, near: int) -> int:
    return max(d for d in range(1, near + 1) if whole % d == 0)


# --- YAML --------------------------------------------------------------------


class _Loader(yaml.SafeLoader):
    """YAML 1.2's scalars: in 1.1, 1e-4 is a string, `no` is false and 010 is 8."""


class _Dumper(yaml.SafeDumper):
    """Quotes the strings that `_Loader` would read as something else."""


_SCALARS = {
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "bool": (r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    "int": (r"[-+]?(0|[1-9][0-9]*)", list("-+0123456789")),
    "float": (
        r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?|[-+]?[0-9]+[eE][-+]?[0-9]+"
        r"|[-+]?\.(inf|Inf)|\.(nan|NaN)",
        list("-+0123456789."),
    ),
}
for _yaml in (_Loader, _Dumper):
    _yaml.yaml_implicit_resolvers = {}
    for _tag, (_pattern, _first) in _SCALARS.items():
        _yaml.add_implicit_resolver(
            f"tag:yaml.org,2002:{_tag}", re.compile(rf"(?:{_pattern})\Z"), _first
        )


def _parse(text: str, origin: str) -> tuple[yaml.Node | None, Any]:
    """The one YAML document in `text`: its nodes, which know their lines, and its value."""
    try:
        loader = _Loader(text)
        node: yaml.Node | None = loader.get_single_node()
        value = None if node is None else loader.construct_document(node)
        json.dumps(value, default=str, ensure_ascii=False).encode()  # what the checks go through
        return node, value
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or error
        raise RecipeError(f"{origin}{line}: not YAML: {problem}") from error
    except Exception as error:  # PyYAML's readers of tags and Python's of numbers raise anything
        raise RecipeError(f"{origin}: no recipe can hold this value: {one_line(error)}") from error


def _lines(node: yaml.Node | None, path: Path_, origin: str) -> Iterator[tuple[Path_, int]]:
    if not isinstance(node, yaml.MappingNode):
        return
    seen: set[str] = set()
    for key, value in node.value:
        at, line = (*path, str(key.value)), key.start_mark.line + 1
        if key.value in seen:
            raise RecipeError(f"{origin} line {line}: {'.'.join(at)} is set twice")
        seen.add(key.value)
        yield at, line
        yield from _lines(value, at, origin)
