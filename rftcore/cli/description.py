"""A component's description as text, for `rft tasks show` and `rft plugins info`."""

import textwrap
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rftcore.plugins.describe import Description

# By kind: how a recipe sets an option.
SET = {
    "task": "--set task_options.NAME=VALUE",
    "dataset": "--set dataset.NAME=VALUE",
    "reward": "--set rewards.TERM.options.NAME=VALUE",
    "parser": "arguments in a task's code",
    "suite": "--set suite_options.NAME=VALUE",
    "model": "the model's own",
}


def text_of(about: "Description") -> str:
    """The description as text, one paragraph per part."""
    return "\n\n".join("\n".join(lines) for lines in map(list, _paragraphs(about)) if lines)


def _paragraphs(about: "Description") -> Iterator[Iterator[str]]:
    yield _head(about)
    yield _options(about)
    yield _splits(about.details.get("splits", {}))
    if about.kind == "reward":
        yield _reward(about.details)
    yield _rewards(about.details.get("rewards", {}))
    yield _parser(about.details)
    yield _defaults(about.details.get("defaults", {}))
    yield _prompts(about.details)


def _head(about: "Description") -> Iterator[str]:
    yield f"{about.kind} {about.name}: {about.summary}".rstrip(": ")
    yield f"from {about.distribution} {about.version}, license {about.license}"
    if about.file:
        yield f"written in {about.file}, line {about.line}"


def _options(about: "Description") -> Iterator[str]:
    if not about.options:
        yield "no options"
        return
    yield f"options ({SET[about.kind]}):"
    for option in about.options:
        yield f"  {option}" + ("" if option.default is not None else "  (must be given)")


def _splits(splits: Mapping[str, int]) -> Iterator[str]:
    if splits:
        yield "splits:"
    for split, size in splits.items():
        yield f"  {split}: {size} samples"


def _rewards(terms: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    if terms:
        yield "rewards:"
    for name, term in terms.items():
        optional = "" if term["required"] else ", may fail"
        yield f"  {name}: {term['reward']}, weight {term['weight']:g}{optional}"
        yield from (f"    {line}" for line in _reward(term))


def _reward(facts: Mapping[str, Any]) -> Iterator[str]:
    if facts.get("meaning"):
        yield " ".join(facts["meaning"].split())
    if facts.get("returns"):
        yield f"returns: {facts['returns']}"
    if facts.get("uses"):
        yield f"uses: the answer, {', '.join(facts['uses'])}"


def _parser(facts: Mapping[str, Any]) -> Iterator[str]:
    if "parser" in facts:
        yield f"parser: {facts['parser']}"
        yield textwrap.indent(facts["grammar"], "  ")


def _defaults(defaults: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    if defaults:
        yield "recipe defaults:"
    for section, settings in defaults.items():
        yield from (f"  {section}.{name} = {value!r}" for name, value in settings.items())


def _prompts(facts: Mapping[str, Any]) -> Iterator[str]:
    for key, label in (("prompt", "prompt"), ("direct_prompt", "prompt for the bare answer")):
        if key in facts:
            yield f"{label} of {facts['sample']} (with {facts['images']} image(s)):"
            yield textwrap.indent(facts[key], "  ")
