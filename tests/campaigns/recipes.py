"""Wrong settings, made by changing good recipes: each is one message before a model loads.

A rejected recipe ends with exit code 2 and one message that names the setting and its origin, with
no traceback and no run folder. An accepted one is a valid change only if the run has the value that
was set, and if the change was not one that is always wrong.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, chdir, contextmanager
from pathlib import Path
from typing import Any, NoReturn
from unittest import mock

from click.testing import CliRunner, Result

from rftcore import cli
from rftcore.config import load_recipe, read_recipe_file
from rftcore.pipeline import preflight
from rftcore.pipeline.job import Job
from rftcore.plugins import Catalogue
from rftcore.testing.families import tiny_qwen2_vl
from tests.campaigns.changes import Change, changed
from tests.campaigns.frame import Attempts, Verdict

EXAMPLES = Path(__file__).parents[2] / "examples" / "recipes"
FILE = "recipe.yaml"


class AcceptedError(Exception):
    """The settings have passed every check that reads no data."""

    def __init__(self, job: Job) -> None:
        super().__init__("accepted")
        self.job = job


class Recipes:
    """Changes one setting of a good recipe per case, in its file or with --set."""

    name = "recipes"
    promise = "a wrong setting is one message that names it and its origin, before a model loads"

    @contextmanager
    def opened(self) -> Iterator[Attempts]:
        """An empty working folder, the good recipes, and a small model in place of the hub's."""
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            model = tiny_qwen2_vl(folder / "models" / "tiny")
            self._good = dict(good_recipes(model))
            (folder / "work").mkdir()
            stack.enter_context(chdir(folder / "work"))
            stack.enter_context(mock.patch.dict(os.environ, {"HF_HUB_OFFLINE": "1"}))
            stack.enter_context(mock.patch.object(preflight, "_check_data", _accept))
            stack.enter_context(mock.patch("rftcore.models.loading.load_model", _no_model))
            yield self._attempt

    def _attempt(self, rng: random.Random) -> Verdict:
        name = rng.choice(list(self._good))
        change = changed(rng, self._good[name])
        tried = f"{name}: {change.what}"
        Path(FILE).write_bytes(change.file)
        result = CliRunner().invoke(cli.main, ["train", "--recipe", FILE, *change.arguments])
        if result.exit_code in (cli.INTERRUPTED, 128 + signal.SIGTERM):  # rft has caught the signal
            raise KeyboardInterrupt
        left = sorted(path.name for path in Path("runs").glob("*"))
        shutil.rmtree("runs", ignore_errors=True)
        if isinstance(result.exception, AcceptedError):
            return accepted(tried, change, result.exception.job.plan.recipe.model_dump())
        fault = fault_of(result, change)
        if left and not fault:
            fault = f"it leaves {left}: {message_of(result)}"
        return Verdict(tried, "broken" if fault else "held", fault or message_of(result)[:300])


def good_recipes(model: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The recipes of examples/, with a folder for a model of the hub, and each task's defaults."""
    for file in sorted(EXAMPLES.glob("*.yaml")):
        recipe = dict(read_recipe_file(file))
        yield file.stem, recipe if "/" not in recipe["model"] else {**recipe, "model": str(model)}
    for name, _ in Catalogue.load().names("task"):
        yield f"{name}'s defaults", load_recipe(("", {"task": name})).model_dump(mode="json")


def accepted(tried: str, change: Change, recipe: Mapping[str, Any]) -> Verdict:
    """The verdict on a run that would begin. recipe: its resolved settings."""
    if change.wrong:
        return Verdict(tried, "broken", "accepted, although it is wrong")
    value: Any = recipe
    for part in change.path:
        value = value.get(part, ...) if isinstance(value, Mapping) else ...
    if change.path and not change.is_section and not _same(value, change.value):
        return Verdict(tried, "broken", f"accepted, but the run has {value!r:.200}")
    return Verdict(tried, "valid")


def _same(value: object, given: object) -> bool:
    return (list(value) if isinstance(value, tuple) else value) == given


def message_of(result: Result) -> str:
    """What a command printed from "error:" on."""
    return result.stderr[result.stderr.find("error: ") :]


def fault_of(result: Result, change: Change) -> str:
    """What is wrong with how a change was rejected, or ""."""
    message = message_of(result)
    shown = f"exit code {result.exit_code}, {result.exception!r:.300}: {result.output[-1500:]}"
    if result.exit_code != 2 or "Traceback" in result.output:
        return shown
    if len(re.findall("^error: ", result.stderr, re.MULTILINE)) != 1:
        return f"not one message: {shown}"
    if change.named and not any(name in message for name in change.named):
        return f"it does not name {' or '.join(change.named)}: {shown}"
    if change.path and not _has_origin(message, change):
        return f"it does not name the origin {change.origin}: {shown}"
    return ""


def _has_origin(message: str, change: Change) -> bool:
    """Whether a fault has an origin; if it is the changed setting's, the right one."""
    dotted = ".".join(change.path)
    if f"{dotted} = " in message or f"{dotted} (" in message:
        return re.search(rf"{re.escape(change.origin)}\b", message) is not None
    return FILE in message or "--set" in message


def _accept(job: Job) -> NoReturn:
    raise AcceptedError(job)


def _no_model(*_: object, **__: object) -> NoReturn:
    raise AssertionError("a model was loaded")
