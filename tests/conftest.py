"""Fake plugins: entry points of distributions that are not installed."""

import logging
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from rftcore import rewards
from rftcore.hookspecs import hookimpl
from rftcore.parsers import Integer
from rftcore.plugins import Catalogue
from rftcore.types import Prompt, Sample, Task, Term

# `make coverage`: which lines run is known after a few examples
hypothesis.settings.register_profile("coverage", max_examples=10, deadline=None)


@dataclass(frozen=True)
class FakeDistribution:
    name: str
    version: str = "1.0"


@dataclass(frozen=True)
class FakePoint:
    """An entry point; `load` gives `plugin`, calls it if it is a function, raises it if it can."""

    name: str
    dist: FakeDistribution
    plugin: Any
    value: str = "fake"

    def load(self) -> Any:
        if isinstance(self.plugin, BaseException):
            raise self.plugin
        return self.plugin


@dataclass(frozen=True)
class Numbers:
    """A dataset without images: the answer of sample i is i."""

    splits: tuple[str, ...] = ("sft", "rl", "val", "test", "ood-big")

    def size(self, split: str) -> int:
        return 5

    def sample(self, split: str, index: int) -> Sample:
        return Sample(f"{split}-{index}", f"Say {index}.", str(index), cot=f"It is {index}.")


OF_TIMM = {"gemma3n", "fast_vlm", "perception_lm"}  # their towers are of a package of its own


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip families that need timm where it is not installed."""
    if find_spec("timm") is not None:
        return
    for item in items:
        given = getattr(getattr(item, "callspec", None), "params", {})
        if given.get("family") in OF_TIMM:
            item.add_marker(pytest.mark.skip(reason="needs timm (rftcore[models])"))


def numbers(low: int = 0, high: int = 9) -> Task:
    """A task that works."""
    return Task(
        name="numbers",
        dataset=Numbers(),
        prompt=lambda sample: Prompt(sample.question),
        parser=Integer(low=low, high=high),
        rewards={"accuracy": Term(rewards.exact), "format": Term("tags", 0.5)},
        summary="Say a number.",
    )


def plugin(**hooks: Any) -> types.ModuleType:
    """A module whose marked hooks return the given values; a function stands as it is."""
    module = types.ModuleType("fake")
    for name, value in hooks.items():
        setattr(module, name, value if callable(value) else hookimpl(_returning(value)))
        getattr(module, name).__name__ = name
    return module


def _returning(value: Any) -> Callable[[], Any]:
    return lambda: value


class Fakes:
    """What a test of the loader expected: `fakes.load({"dist": plugin, ...})`."""

    numbers = staticmethod(numbers)
    plugin = staticmethod(plugin)

    def point(self, distribution: str, plugin: Any, version: str = "1.0") -> FakePoint:
        return FakePoint(f"{distribution}-point", FakeDistribution(distribution, version), plugin)

    def tasks(self, **tasks: Any) -> types.ModuleType:
        return plugin(rft_tasks=tasks)

    def install(self, points: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        """What `rft` finds as installed plugins: these entry points, or what a function returns."""
        made = points if callable(points) else lambda: points
        monkeypatch.setattr("rftcore.plugins.loading.found", lambda: (made(), []))

    def load(self, plugins: Mapping[str, Any]) -> Catalogue:
        from rftcore import builtin

        points = [self.point(name, value) for name, value in plugins.items()]
        return Catalogue.load([self.point("rftcore", builtin), *points])


@pytest.fixture
def fakes() -> Fakes:
    return Fakes()


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a tiny model, by its family, made once: `tiny("gemma3")`."""
    from rftcore.testing.families import FAMILIES

    root, made = tmp_path_factory.mktemp("tiny"), {}

    def folder(family: str) -> Path:
        if family not in made:
            made[family] = FAMILIES[family](root / family)
        return made[family]

    return folder


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """What rft logs, notes included: `logged.messages`."""
    caplog.set_level(logging.INFO, "rftcore")
    return caplog


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RFT_PLUGINS", raising=False)
    monkeypatch.delenv("RFT_DEBUG", raising=False)
