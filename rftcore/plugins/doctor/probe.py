"""Load one plugin in its own process: measure the import, make each component, find faults.

A plugin that hangs, exits or crashes the interpreter ends only that process.
`python -m rftcore.plugins.doctor.probe POINT FILE` is the child, which writes JSON to FILE.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rftcore.errors import RftError
from rftcore.plugins.catalogue import Catalogue
from rftcore.plugins.components import task_fault
from rftcore.plugins.loading import Loaded
from rftcore.plugins.offers import GROUP, KINDS, Offer
from rftcore.types import Task

# Packages that are slow to import: at module level of a plugin they slow down every command.
HEAVY = frozenset(
    {
        *("PIL", "accelerate", "cv2", "datasets", "hypothesis", "math_verify", "matplotlib"),
        *("mitsuba", "numpy", "pandas", "pydantic", "scipy", "sklearn", "sympy", "torch"),
        *("torchvision", "transformers", "trl"),
    }
)


@dataclass(frozen=True)
class Offered:
    """A component of a plugin, made with its defaults: its fault, and the names it needs."""

    kind: str
    name: str
    fault: str = ""
    needs: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Probed:
    """The result of loading one entry point.

    seconds: the time of its import. heavy: slow packages that it imports. failures: the reason
    for each kind that it cannot offer ("" for all kinds). hooks: those that it implements.
    """

    seconds: float
    heavy: tuple[str, ...] = ()
    failures: tuple[tuple[str, str], ...] = ()
    hooks: tuple[str, ...] = ()
    offers: tuple[Offered, ...] = field(default=())


@dataclass(frozen=True)
class _Distribution:
    name: str
    version: str


@dataclass(frozen=True)
class _Point:
    """The part of `importlib.metadata.EntryPoint` that the loader uses."""

    name: str
    value: str
    dist: _Distribution

    def load(self) -> object:
        return metadata.EntryPoint(self.name, self.value, GROUP).load()


def probe(point: metadata.EntryPoint, distribution: str, version: str, timeout_s: float) -> Probed:
    """Load an entry point in another process; if that process fails, so does the plugin."""
    given = json.dumps([point.name, point.value, distribution, version])
    path = os.pathsep.join(entry or "." for entry in sys.path)
    environment = {**os.environ, "PYTHONPATH": path}
    environment.pop("RFT_PLUGINS", None)
    with TemporaryDirectory() as folder:
        file = Path(folder, "probed.json")
        command = [sys.executable, "-m", __name__, given, str(file)]
        try:
            done = subprocess.run(command, env=environment, capture_output=True, timeout=timeout_s)
        except subprocess.TimeoutExpired:
            return Probed(timeout_s, failures=(("", f"it did not load within {timeout_s:g} s"),))
        if not file.is_file():
            last = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
            reason = f"it ended Python with exit code {done.returncode}: {last}"
            return Probed(0.0, failures=(("", reason),))
        return _read(json.loads(file.read_text("utf-8")))


def _read(facts: dict[str, Any]) -> Probed:
    offers = [
        Offered(o["kind"], o["name"], o["fault"], tuple((k, n) for k, n in o["needs"]))
        for o in facts["offers"]
    ]
    failures = tuple((kind, reason) for kind, reason in facts["failures"])
    heavy, hooks = tuple(facts["heavy"]), tuple(facts["hooks"])
    return Probed(facts["seconds"], heavy, failures, hooks, tuple(offers))


def _load(point: _Point) -> Probed:
    before, start = set(sys.modules), time.perf_counter()
    loaded = Loaded.load([point])  # type: ignore[list-item]  # as much of one as it uses
    seconds = time.perf_counter() - start
    heavy = tuple(sorted(HEAVY & (sys.modules.keys() - before)))
    catalogue = Catalogue(loaded)
    offers = tuple(_offered(catalogue, o) for kind in KINDS for o in catalogue.offers(kind))
    list(catalogue.commands())
    failures = tuple((failure.kind or "", failure.reason) for failure in catalogue.failures)
    return Probed(seconds, heavy, failures, tuple(loaded.implemented()), offers)


def _offered(catalogue: Catalogue, offer: Offer) -> Offered:
    """Make a component with its defaults, unless an option has none; models are not made."""
    if offer.kind == "model" or any(p.default is p.empty for p in offer.options.values()):
        return Offered(offer.kind, offer.name)
    try:
        made = catalogue.make(offer.kind, offer.qualified)
    except RftError as error:
        return Offered(offer.kind, offer.name, str(error))
    if isinstance(made, Task) and (fault := task_fault(made)):
        return Offered(offer.kind, offer.name, f"{offer}: {fault}")
    return Offered(offer.kind, offer.name, needs=tuple(_names(made)))


def _names(made: object) -> Iterator[tuple[str, str]]:
    """Components that a task refers to by name, which another plugin may offer."""
    if isinstance(made, Task):
        rewards = [("reward", term.reward) for term in made.rewards.values()]
        parts = [("parser", made.parser), ("dataset", made.dataset), *rewards]
        yield from ((kind, part) for kind, part in parts if isinstance(part, str))


if __name__ == "__main__":
    name, value, distribution, version = json.loads(sys.argv[1])
    probed = _load(_Point(name, value, _Distribution(distribution, version)))
    Path(sys.argv[2]).write_text(json.dumps(asdict(probed)), encoding="utf-8")
