"""Changes of a recipe, most of them wrong: misspelt, of another type, out of range, not YAML."""

from __future__ import annotations

import dataclasses
import json
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from rftcore.config import Recipe
from rftcore.config.recipe import leaves
from rftcore.training.toy import trl_config

Settings = Mapping[str, Any]
Path_ = tuple[str, ...]
ODD = (
    *("x", "3", "", "no", "\u202enano", "\x07", "..", "x" * 5_000, True, False, None, [], {}, [1]),
    *({"a": 1}, 0, -1, 1, 2, 7, 1.5, -0.5, 10**30, 1e-30, float("nan"), float("inf"), [[]], ["x"]),
)
TEXTS = ("x", "3", "", "no", [], {}, [1], {"a": 1}, float("nan"), float("-inf"))  # no numbers
UNKNOWN = {
    "task": "cuonting",
    "model": "./no-such-folder",
    "paradigm": "cot_sft",
    "evaluation.splits": ["val", "tset"],
    "rewards.accuracy.use": "exakt",
    "dataset.use": "no-such",
    "dataset.path": "./no-such-folder",
    "tracking.to": ["no-such"],
}
PAIRS = (  # each with the setting that a message must name
    ({"sft.batch_size": 16, "sft.micro_batch": 3}, "sft.micro_batch"),
    ({"grpo.prompts_per_step": 4, "grpo.group_size": 4, "grpo.micro_batch": 7}, "grpo.micro_batch"),
    ({"paradigm": "cot-sft", "grpo.enabled": True}, "grpo.enabled"),
    ({"scoring.workers": 0, "scoring.isolate_all": True}, "scoring.isolate_all"),
    ({"grpo.temperature": 0}, "grpo.temperature"),
    ({"grpo.generation_kwargs": {"temperature": 0.5}}, "grpo.generation_kwargs"),
    ({"evaluation.samples": {"no-such-split": 5}}, "evaluation.samples.no-such-split"),
    ({"sft.load_best_model_at_end": True}, "sft.load_best_model_at_end"),
)
FORMS = (
    "seed",
    "=1",
    "a..b=1",
    "grpo=1",
    "seed=[1",
    "seed={",
    "seed=!!python/name:os.system",
    ".=1",
)


@dataclass(frozen=True)
class Change:
    """A recipe that was changed. file: its bytes. arguments: options besides it.

    path, value: the setting that was changed, if it is one. origin: what a fault of it has to name.
    named: of these one has to be in the message. wrong: whether it is wrong for sure.
    """

    what: str
    file: bytes
    arguments: Sequence[str] = ()
    path: Path_ = ()
    value: Any = None
    origin: str = ""
    named: Sequence[str] = ()
    wrong: bool = False
    is_section: bool = False


def changed(rng: random.Random, good: Settings) -> Change:
    """A change of a good recipe."""
    return rng.choice(KINDS)(rng, good)


def _unchanged(rng: random.Random, good: Settings) -> Change:
    return Change("unchanged", written(good))


def _odd_value(rng: random.Random, good: Settings) -> Change:
    path, old = rng.choice(_settings(good))
    new = rng.choice(ODD)
    number = isinstance(old, int | float) and not isinstance(old, bool)
    wrong = number and any(new is text for text in TEXTS)
    return _set(rng, good, path, new, wrong=wrong)


def _wrong_type(rng: random.Random, good: Settings) -> Change:
    numbers = [(p, v) for p, v in _settings(good) if type(v) in (int, float)]
    return _set(rng, good, rng.choice(numbers)[0], rng.choice(TEXTS), wrong=True)


def _trl_field(rng: random.Random, good: Settings) -> Change:
    phase = rng.choice(("sft", "grpo"))
    names = [field.name for field in dataclasses.fields(trl_config(phase)) if field.init]
    return _set(rng, good, (phase, rng.choice(names)), rng.choice(ODD))


def _misspelt(rng: random.Random, good: Settings) -> Change:
    path, value = rng.choice(_settings(good))
    name = _typo(rng, path[-1])
    known = {p[-1] for p, _ in _settings(good)} | {*Recipe.model_fields} | _trl_names()
    return _set(rng, good, (*path[:-1], name), value, wrong=name not in known)


def _section(rng: random.Random, good: Settings) -> Change:
    sections = [name for name, value in good.items() if isinstance(value, Mapping)]
    name, value = rng.choice(sections), rng.choice((3, "x", [1], True, 1.5))
    return _set(rng, good, (name,), value, wrong=True)


def _unknown_name(rng: random.Random, good: Settings) -> Change:
    name, value = rng.choice(list(UNKNOWN.items()))
    return _set(rng, good, tuple(name.split(".")), value, wrong=True)


def _pair(rng: random.Random, good: Settings) -> Change:
    settings, name = rng.choice(PAIRS)
    words = [w for k, v in settings.items() for w in ("--set", f"{k}={flow(v)}")]
    origin = f"--set {name.partition('.no-such')[0]}"
    path = tuple(name.split("."))
    return Change(f"{settings}", written(good), words, path, None, origin, [path[-1]], wrong=True)


def _form(rng: random.Random, good: Settings) -> Change:
    form = rng.choice(FORMS)
    return Change(f"--set {form}", written(good), ["--set", form], named=["--set"], wrong=True)


def _no_task(rng: random.Random, good: Settings) -> Change:
    rest = {name: value for name, value in good.items() if name != "task"}
    return Change("without a task", written(rest), named=["--task"], wrong=True)


def _file(rng: random.Random, good: Settings) -> Change:
    whole = written(good)
    first = next(iter(good)).encode()
    bad = {
        "with an open bracket": b"x: [\n" + whole,
        "with a tab": whole + b"\tseed: 1\n",
        "not UTF-8": whole + b"# \xff\xfe\n",
        "with a NUL": whole + b"# \x00\n",
        "a list": b"- task\n",
        "text": b"counting",
        "with a setting twice": whole + first + b": 1\n",
        "with a tag": whole + b"x: !!python/object:os.system {}\n",
        "with an endless alias": b"x: &a [*a]\n" + whole,
        "deeply nested": b"x: " + b"[" * 3_000 + b"\n" + whole,
        "UTF-16": whole.decode().encode("utf-16"),
    }
    name = rng.choice(list(bad))
    return Change(f"a file {name}", bad[name], named=["recipe.yaml"], wrong=True)


def _truncated(rng: random.Random, good: Settings) -> Change:
    whole = written(good)
    at = rng.randrange(len(whole))
    return Change(f"a file cut after {at} bytes", whole[:at])


KINDS: Sequence[Callable[[random.Random, Settings], Change]] = (
    *(_odd_value, _odd_value, _odd_value, _wrong_type, _wrong_type, _trl_field, _trl_field),
    *(_misspelt, _misspelt, _section, _unknown_name, _pair, _form, _no_task, _file, _truncated),
    _unchanged,
)


def _set(
    rng: random.Random, good: Settings, path: Path_, value: Any, *, wrong: bool = False
) -> Change:
    """Set one setting, in the file or with --set."""
    dotted = ".".join(path)
    what = f"{dotted} = {value!r:.60}"
    section = isinstance(value, dict) or (value is None and len(path) == 1)
    if rng.random() < 0.5:
        words = ["--set", f"{dotted}={flow(value)}"]
        file, origin = written(good), f"--set {dotted}"
    else:
        file, words = written(_with(good, path, value)), []
        origin = f"recipe.yaml line {line_of(file, path)}"
    return Change(
        what, file, words, path, value, origin, [path[-1]], wrong=wrong, is_section=section
    )


def _settings(good: Settings) -> list[tuple[Path_, Any]]:
    return list(leaves(good))


def _with(good: Settings, path: Path_, value: Any) -> dict[str, Any]:
    first, *rest = path
    below = good.get(first)
    inner = below if isinstance(below, Mapping) else {}
    return {**good, first: _with(inner, tuple(rest), value) if rest else value}


def _typo(rng: random.Random, name: str) -> str:
    at = rng.randrange(len(name))
    typos = (name[:at] + name[at + 1 :], name[:at] + name[at] * 2 + name[at + 1 :], f"{name}s")
    return rng.choice([typo for typo in typos if typo and typo != name])


def _trl_names() -> set[str]:
    return {f.name for phase in ("sft", "grpo") for f in dataclasses.fields(trl_config(phase))}


def written(settings: Settings) -> bytes:
    """Settings as a YAML file, in UTF-8."""
    text: str = yaml.safe_dump(dict(settings), sort_keys=False, allow_unicode=True, width=10**6)
    return text.encode("utf-8", "surrogatepass")


def flow(value: object) -> str:
    """A value on one line, as --set takes it."""
    text = json.dumps(value)
    for name, yaml_name in (("NaN", ".nan"), ("-Infinity", "-.inf"), ("Infinity", ".inf")):
        text = re.sub(rf"(?<![\w.\"]){name}\b", yaml_name, text)
    return text


def line_of(file: bytes, path: Path_) -> int:
    """The line of a setting in a file, found with PyYAML alone."""
    node: Any = yaml.compose(file.decode())
    line = 0
    for part in path:
        key, node = next((k, v) for k, v in node.value if str(k.value) == part)
        line = key.start_mark.line + 1
    return line
