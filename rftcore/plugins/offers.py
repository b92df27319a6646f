"""Plugins and what they offer, as values, and the owners of names."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

GROUP = "rft"
KINDS = {
    "task": "rft_tasks",
    "dataset": "rft_datasets",
    "parser": "rft_parsers",
    "reward": "rft_rewards",
    "model": "rft_models",
    "suite": "rft_suites",
}
CORE = "rftcore"
FIRST_PARTY = frozenset({CORE, "rft-counting", "rft-structure", "rft-transformation", "rft-nano"})
# Names that belong to a distribution whether or not it is installed: no other distribution
# can take one, and the error for a missing one names the distribution to install.
OWNERS = {
    ("task", "counting"): "rft-counting",
    ("task", "structure"): "rft-structure",
    ("task", "transformation"): "rft-transformation",
    ("model", "nano"): "rft-nano",
    ("model", "toy"): "rft-nano",
    ("suite", "perception"): "rft-nano",
    ("suite", "words"): "rft-nano",
}


@dataclass(frozen=True)
class Plugin:
    """One entry point of one distribution, or a Python file, which has no version."""

    name: str
    distribution: str
    version: str

    @property
    def first_party(self) -> bool:
        """Whether it comes with rft, by the name of its distribution."""
        return self.distribution in FIRST_PARTY

    def __str__(self) -> str:
        return f"{self.distribution} {self.version}".rstrip()


@dataclass(frozen=True)
class Failure:
    """Why a plugin does not work; `kind` is the kind it cannot offer, None for all."""

    plugin: Plugin
    reason: str
    kind: str | None = None
    error: BaseException | None = field(default=None, compare=False)

    def __str__(self) -> str:
        return f"{self.plugin} (plugin {self.plugin.name!r}): {self.reason}"


@dataclass(frozen=True)
class Offer:
    """A component that a plugin offers, before its factory is called."""

    kind: str
    name: str
    plugin: Plugin
    factory: Callable[..., object] = field(compare=False)

    @property
    def qualified(self) -> str:
        """`distribution:name`, which is unique."""
        return f"{self.plugin.distribution}:{self.name}"

    def __str__(self) -> str:
        return f"{self.kind} {self.name!r} of {self.plugin}"

    @property
    def options(self) -> dict[str, inspect.Parameter]:
        """The factory's keyword arguments, which a recipe can set."""
        named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
        return {p.name: p for p in signature(self.factory).values() if p.kind in named}

    @property
    def takes_any_option(self) -> bool:
        """Whether the factory has `**kwargs`."""
        kinds = [p.kind for p in signature(self.factory).values()]
        return inspect.Parameter.VAR_KEYWORD in kinds


@dataclass(frozen=True)
class Row:
    """One line of `rft plugins list`.

    state: "ok", "qualified" if only `distribution:name` finds it, or "broken"; reason: why it is
    broken.
    """

    name: str
    kind: str
    distribution: str
    version: str
    state: Literal["ok", "qualified", "broken"] = "ok"
    reason: str = ""

    @property
    def qualified(self) -> str:
        """`distribution:name`, which is unique."""
        return f"{self.distribution}:{self.name}"


def signature(factory: Callable[..., object]) -> Mapping[str, inspect.Parameter]:
    """Parameters of a factory; none if its signature cannot be read."""
    try:
        return inspect.signature(factory, eval_str=True).parameters
    except (TypeError, ValueError):  # not callable, or a builtin without a signature
        return {}
    except Exception:  # an annotation that only a type checker can read
        return inspect.signature(factory).parameters
