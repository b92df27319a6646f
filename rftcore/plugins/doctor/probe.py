"""Load one plugin in a process of its own: what it costs, and what of it is broken.

A plugin that hangs, exits or crashes the interpreter takes only that process with it.
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

# Packages that take long to import: at the top of a plugin they slow down every command.
HEAVY = frozenset(
    {
        *("PIL", "accelerate", "cv2", "datasets", "hypothesis", "math_verify", "matplotlib"),
        *("mitsuba", "numpy", "pandas", "pydantic", "scipy", "sklearn", "sympy", "torch"),
        *("torchvision", "transformers", "trl"),
    }
)


@dataclass(frozen=True)
class Offered:
    """A component of a plugin: its fault when made with its defaults, and the names in it."""

    kind: str
    name: str
    fault: str = ""
    needs: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Seen:
    """What loading one entry point showed.

    `seconds` it took to import, `heavy` packages that were imported with it, `failures` by the
    kind that is not offered ("" for all), and `hooks` that it implements.
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
    """As much of an entry point as the loader asks for."""

    name: str
    value: str
    dist: _Distribution

    def load(self) -> Any:
        return metadata.EntryPoint(self.name, self.value, GROUP).load()


def probe(point: metadata.EntryPoint, distribution: str, version: str, timeout_s: float) -> Seen:
    """Load an entry point elsewhere; a failure of that process is a failure of the plugin's."""
    asked = json.dumps([point.name, point.value, distribution, version])
    path = os.pathsep.join(entry or "." for entry in sys.path)
    environment = {**os.environ, "PYTHONPATH": path}
    environment.pop("RFT_PLUGINS", None)
    with TemporaryDirectory() as folder:
        file = Path(folder, "seen.json")
        command = [sys.executable, "-m", __name__, asked, str(file)]
        try:
            done = subprocess.run(
                command, env=environment, capture_output=True, text=True, timeout=timeout_s
            )
        except subprocess.TimeoutExpired:
            return Seen(timeout_s, failures=(("", f"it did not load within {timeout_s:g} s"),))
        if not file.is_file():
            said = done.stderr.strip().rpartition("\n")[2]
            return Seen(0.0, failures=(("", f"it ended Python with {done.returncode}: {said}"),))
        return _read(json.loads(file.read_text("utf-8")))


def _read(facts: dict[str, Any]) -> Seen:
    offers = [
        Offered(o["kind"], o["name"], o["fault"], tuple((k, n) for k, n in o["needs"]))
        for o in facts["offers"]
    ]
    failures = tuple((kind, reason) for kind, reason in facts["failures"])
    heavy, hooks = tuple(facts["heavy"]), tuple(facts["hooks"])
    return Seen(facts["seconds"], heavy, failures, hooks, tuple(offers))


def _look(point: Any) -> Seen:
    before, start = set(sys.modules), time.perf_counter()
    loaded = Loaded.load([point])
    seconds = time.perf_counter() - start
    heavy = tuple(sorted(HEAVY & (sys.modules.keys() - before)))
    catalogue = Catalogue(loaded)
    offers = tuple(_offered(catalogue, o) for kind in KINDS for o in catalogue.offers(kind))
    list(catalogue.commands())
    failures = tuple((failure.kind or "", failure.reason) for failure in catalogue.failures)
    return Seen(seconds, heavy, failures, tuple(loaded.implemented()), offers)


def _offered(catalogue: Catalogue, offer: Offer) -> Offered:
    """Make it with its defaults, if it has them; a model may take long to make."""
    if offer.kind == "model" or any(p.default is p.empty for p in offer.options.values()):
        return Offered(offer.kind, offer.name)
    try:
        made = catalogue.make(offer.kind, offer.qualified)
    except RftError as error:
        return Offered(offer.kind, offer.name, str(error))
    if offer.kind == "task" and (fault := task_fault(made)):
        return Offered(offer.kind, offer.name, f"{offer}: {fault}")
    return Offered(offer.kind, offer.name, needs=tuple(_names(made)))


def _names(made: Any) -> Iterator[tuple[str, str]]:
    """Components that a task names, and somebody else may offer."""
    if isinstance(made, Task):
        rewards = [("reward", term.reward) for term in made.rewards.values()]
        parts = [("parser", made.parser), ("dataset", made.dataset), *rewards]
        yield from ((kind, part) for kind, part in parts if isinstance(part, str))


if __name__ == "__main__":
    name, value, distribution, version = json.loads(sys.argv[1])
    seen = _look(_Point(name, value, _Distribution(distribution, version)))
    Path(sys.argv[2]).write_text(json.dumps(asdict(seen)), encoding="utf-8")
