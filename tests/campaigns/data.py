"""Hostile files of data through `rft data check` and `rft train`: one line that names file and row.

A clean file that only looks hostile (a byte order mark, CRLF) has the samples of the plain one.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, chdir, contextmanager
from pathlib import Path
from typing import Any, NoReturn
from unittest import mock

from click.testing import CliRunner, Result

from rftcore import cli
from rftcore.cache import VARIABLE, cache_folder
from rftcore.config import load_recipe
from rftcore.pipeline.job import Job
from rftcore.plugins import Catalogue
from tests.campaigns.bounds import TooLong, bounded
from tests.campaigns.frame import Attempts, Verdict
from tests.campaigns.hostile_data import Hostile, hostile
from tests.campaigns.rows import FORMS, good

TASK = "counting"
LONGEST = 2_000  # characters of a line of a message
CHECKED = (1, 2)  # exit codes of `rft data check` for faults, and for a file without rows


class AcceptedError(Exception):
    """The data has passed every check before a model loads."""


class Data:
    """Checks and trains on one hostile file per case, up to the point where a model would load."""

    name = "data"
    promise = "hostile data is one line that names file and row; a clean file has all its samples"

    @contextmanager
    def opened(self) -> Iterator[Attempts]:
        """A folder for files, a cache of its own that has the toy model, plugins loaded once."""
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            (folder / "cache").mkdir()
            self._catalogue = Catalogue.load()
            self._catalogue.model("toy")  # is made on first use
            (folder / "cache" / "models").symlink_to(cache_folder("models").absolute())
            stack.enter_context(chdir(folder))
            for patch in (
                mock.patch.dict(os.environ, {"HF_HUB_OFFLINE": "1", VARIABLE: f"{folder}/cache"}),
                mock.patch.object(Catalogue, "load", return_value=self._catalogue),
                mock.patch("rftcore.pipeline.loop.check_vision", _accept),
                mock.patch("rftcore.models.loading.load_model", _no_model),
            ):
                stack.enter_context(patch)
            FORMS["jsonl"].write(Path("rows.jsonl"), good(Path.cwd()))
            self._samples = self._read(Path("rows.jsonl"))
            checked, trained = _check("rows.jsonl"), _train("rows.jsonl")
            shutil.rmtree("run", ignore_errors=True)
            if checked.exit_code or not isinstance(trained.exception, AcceptedError):
                raise LookupError(f"good rows are rejected: {checked.output} {trained.output}")
            yield self._attempt

    def _attempt(self, rng: random.Random) -> Verdict:
        shutil.rmtree("case", ignore_errors=True)
        shutil.rmtree("cache/tables", ignore_errors=True)
        Path("case").mkdir()
        case = hostile(rng, Path("case"))
        try:
            with bounded():
                fault, state = self._fault(case)
        except TooLong:
            return Verdict(case.what, "broken", "it did not end within its deadline")
        except MemoryError:
            return Verdict(case.what, "broken", "it needed too much memory")
        return Verdict(case.what, "broken", fault) if fault else Verdict(case.what, state)

    def _fault(self, case: Hostile) -> tuple[str, Any]:
        """What is wrong with how the data was taken, or "", and whether it was accepted."""
        checked, trained = _check(str(case.path)), _train(str(case.path))
        found, accepted = checked.exit_code != 0, isinstance(trained.exception, AcceptedError)
        fault = told(case, checked, CHECKED) if found else ""
        fault = fault or ("" if accepted else told(case, trained, (2,), only=True))
        if not accepted and Path("run").exists():
            fault = fault or "the run folder is left behind"
        shutil.rmtree("run", ignore_errors=True)
        if case.expected == "fault" and not fault and (not found or accepted):
            who = "the check" if not found else "the training"
            fault = f"{who} accepts it: {checked.output[-300:]}"
        if case.expected == "remark" and not fault and not found:
            fault = f"the check does not report it: {checked.output[-300:]}"
        if case.expected == "clean" and not fault:
            if found or not accepted:
                fault = f"it is rejected: {checked.output[-500:]} {trained.output[-500:]}"
            elif (samples := self._read(case.path)) != self._samples:
                fault = f"it has other samples: {_differ(samples, self._samples)}"
        return fault, "held" if not accepted or case.expected != "any" else "valid"

    def _read(self, path: Path) -> list[tuple[Any, ...]]:
        """Everything in the samples of a file."""
        recipe = load_recipe(("", {"task": TASK, "dataset": {"path": str(path)}}))
        dataset: Any = self._catalogue.task_of(recipe).dataset
        samples = [
            (s, dataset.sample(s, n)) for s in dataset.splits for n in range(dataset.size(s))
        ]
        return [
            (split, s.id, s.question, s.gold, s.cot, [image.open().tobytes() for image in s.images])
            for split, s in samples
        ]


def _check(path: str) -> Result:
    return _rft("data", "check", path, "--task", TASK)


def _train(path: str) -> Result:
    settings = ("--smoke", "--out", "run", "--set", f"dataset.path={path}")
    return _rft("train", "--task", TASK, *settings)


def _rft(*arguments: str) -> Result:
    result = CliRunner().invoke(cli.main, arguments)
    if result.exit_code in (cli.INTERRUPTED, 128 + signal.SIGTERM):  # rft has caught the signal
        raise KeyboardInterrupt
    if isinstance(result.exception, TooLong | MemoryError):
        raise result.exception
    return result


def told(case: Hostile, result: Result, codes: Sequence[int], *, only: bool = False) -> str:
    """What is wrong with how a fault is told, or "". only: in a single line of stderr."""
    lines = result.output.splitlines()
    errors = [each for each in result.stderr.splitlines() if each.startswith("error: ")]
    shown = f"exit code {result.exit_code}, {result.exception!r:.300}: {result.output[-1500:]}"
    if result.exit_code not in codes or not isinstance(result.exception, SystemExit):
        return shown
    if "Traceback" in result.output:
        return shown
    if any(len(each) > LONGEST for each in lines):
        return f"a line of {max(map(len, lines))} characters"
    if only and (len(errors) != 1 or lines[-1] != errors[0]):
        return f"not one line: {shown}"
    row = rf" row {case.row}\b" if case.row is not None else ""
    if not any(re.search(re.escape(case.path.name) + row, each) for each in lines):
        return f"no line names {case.path.name}{row}: {shown}"
    return ""


def _differ(one: list[Any], other: list[Any]) -> str:
    if len(one) != len(other):
        return f"{len(one)}, not {len(other)}"
    return str(next((a, b) for a, b in zip(one, other, strict=True) if a != b))[:300]


def _accept(job: Job) -> NoReturn:
    raise AcceptedError


def _no_model(*_: object, **__: object) -> NoReturn:
    raise AssertionError("a model was loaded")
