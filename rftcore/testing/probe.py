"""The other process: loads one plugin, makes its task, and says what it saw.

Started by `rftcore.testing.elsewhere` with another hash seed; it imports neither
hypothesis nor a law, so that what a plugin's import loads can be told. A question comes in
as JSON, an answer goes out as JSON; whatever a plugin prints goes elsewhere and is told.
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
from rftcore.plugins import Catalogue
from rftcore.testing.clock import TooLong, within
from rftcore.testing.digests import digest
from rftcore.testing.scores import Row, row_of, scorer_of
from rftcore.types import Task

_LONGEST_S = 300.0  # for all scores; a busy machine may keep this process waiting
HEAVY = (
    *("accelerate", "cv2", "datasets", "jax", "matplotlib", "mitsuba", "numpy", "pandas", "PIL"),
    *("scipy", "skimage", "sklearn", "sympy", "tensorflow", "torch", "torchvision"),
    *("transformers", "trl", "vllm"),
)


def main() -> None:
    """Answer the question on the standard input."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    question = json.load(sys.stdin)
    with tempfile.TemporaryFile() as printed:
        for stream in (1, 2):
            os.dup2(printed.fileno(), stream)
        answer = _answer(question, lambda: _new(printed))
    print(json.dumps(answer), file=answers, flush=True)


def _answer(question: dict[str, Any], printed: Callable[[], str]) -> dict[str, Any]:
    answer: dict[str, Any] = {}
    with _told(answer, "import_error"):
        answer |= _imported(question["task"], question["plugin"], printed)
    with _told(answer, "task_error"):
        task = Catalogue.load().task_of(load_recipe(("the question", question["recipe"])))
        answer["digests"] = _digests(task, question["indices"])
        with _told(answer, "score_error"), within(_LONGEST_S):
            answer["scores"] = _scores(task, question["scored"])
    return answer


def _imported(task: str, plugin: str, printed: Callable[[], str]) -> dict[str, Any]:
    """What discovering this one plugin loads, prints and changes."""
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
    """What a process shares with all that runs in it."""
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
    """Up to the first reward that hangs: others would hang as long."""
    data: Any = task.dataset
    scorer, rows = scorer_of(task), []
    for split, index, completion in scored:
        rows.append(row_of(scorer.score([completion], [data.sample(split, index)])[0]))
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
def _told(answer: dict[str, Any], name: str) -> Iterator[None]:
    """What a plugin raises becomes part of the answer."""
    try:
        yield
    except (Exception, SystemExit, TooLong) as error:
        answer[name] = traceback.format_exception_only(error)[-1].strip()


if __name__ == "__main__":
    main()
