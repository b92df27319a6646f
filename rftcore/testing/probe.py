"""The other process: it loads one plugin, makes its task, and reports what happened.

Started by `rftcore.testing.elsewhere` with another hash seed. It imports neither hypothesis
nor a law, so that it can report which modules a plugin's import loads. The request and the
report are JSON on standard input and output; what the plugin prints is captured.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rftcore.config import load_recipe
from rftcore.datasets.slices import parser_of
from rftcore.plugins import Catalogue
from rftcore.testing.clock import TooLong, within
from rftcore.testing.digests import digest, reading
from rftcore.testing.scores import Row, row_of, scorer_of
from rftcore.types import Task

_LONGEST_S = 300.0  # for all scores; a busy machine may keep this process waiting
HEAVY = (
    *("accelerate", "cv2", "datasets", "jax", "matplotlib", "mitsuba", "numpy", "pandas", "PIL"),
    *("scipy", "skimage", "sklearn", "sympy", "tensorflow", "torch", "torchvision"),
    *("transformers", "trl", "vllm"),
)


def main() -> None:
    """Handle the request on standard input."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    question = json.load(sys.stdin)
    with tempfile.TemporaryFile() as printed:
        for stream in (1, 2):
            os.dup2(printed.fileno(), stream)
        for stage in _stages(question, lambda: _new(printed)):
            print(json.dumps(stage), file=answers, flush=True)


def _stages(question: dict[str, Any], printed: Callable[[], str]) -> Iterator[dict[str, Any]]:
    """A report per stage of `elsewhere.STAGES`; a stage that ends the process ends the list."""
    facts: dict[str, Any] = {}
    with _captured(facts, "import_error"):
        facts |= _imported(question["task"], question["plugin"], printed)
    yield facts
    made: dict[str, Any] = {}
    task: Task | None = None
    with _captured(made, "task_error"):
        task = Catalogue.load().task_of(load_recipe(("the question", question["recipe"])))
        made["digests"] = _digests(task, question["indices"])
    yield made
    read: dict[str, Any] = {}
    with _captured(read, "answer_error"):
        if task is not None and "digests" in made:
            read["answers"] = [reading(parser_of(task), gold) for gold in question["golds"]]
    yield read
    scored: dict[str, Any] = {}
    with _captured(scored, "score_error"), within(_LONGEST_S):
        if task is not None and "digests" in made:
            scored["scores"] = _scores(task, question["scored"])
    yield scored


def _imported(task: str, plugin: str, printed: Callable[[], str]) -> dict[str, Any]:
    """What importing this one plugin loads, prints and changes."""
    old = os.environ.get("RFT_PLUGINS")
    if not task.partition(":")[0].endswith(".py"):
        os.environ["RFT_PLUGINS"] = plugin
    modules, state = set(sys.modules), _state()
    Catalogue.load().find("task", task)
    changed = [name for name, value in _state().items() if value != state[name]]
    loaded = sorted(set(HEAVY) & (set(sys.modules) - modules))
    os.environ.pop("RFT_PLUGINS", None)
    if old is not None:
        os.environ["RFT_PLUGINS"] = old
    return {"loaded": loaded, "changed": changed, "printed": printed()}


def _state() -> dict[str, Any]:
    """Global state of the process."""
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    return {
        "the working folder": str(Path.cwd()),
        "the environment": dict(os.environ),
        "the global random generator": random.getstate(),
        "the handlers of signals": handlers,
        "the number of threads": threading.active_count(),
        "the recursion limit": sys.getrecursionlimit(),
    }


def _digests(task: Task, indices: dict[str, list[int]]) -> dict[str, list[str]]:
    data: Any = task.dataset
    return {s: [digest(data.sample(s, at)) for at in some] for s, some in indices.items()}


def _scores(task: Task, scored: list[tuple[str, int, str]]) -> list[Row]:
    """Up to the first reward that hangs: the next ones would take as long."""
    data: Any = task.dataset
    scorer, rows = scorer_of(task), []
    for split, index, completion in scored:
        rows.append(row_of(scorer, completion, data.sample(split, index)))
        late = [name for name, (kind, _) in rows[-1].items() if kind == "timeout"]
        if late:
            raise TimeoutError(f"reward {late[0]!r} did not end in time")
    return rows


def _new(printed: Any) -> str:
    sys.stdout.flush()
    sys.stderr.flush()
    printed.seek(0)
    text: str = printed.read().decode("utf-8", "replace")
    return text


@contextmanager
def _captured(answer: dict[str, Any], name: str) -> Iterator[None]:
    """Put what a plugin raises in the report, under `name`."""
    try:
        yield
    except (Exception, SystemExit, TooLong) as error:
        answer[name] = traceback.format_exception_only(error)[-1].strip()


if __name__ == "__main__":
    main()
