"""Make and score a task in another process with another hash seed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_TIMEOUT_S = 600.0  # it usually takes a second or two
STAGES = (
    "import_error",
    "task_error",
    "answer_error",
    "score_error",
)  # of the process, by their errors


@dataclass(frozen=True)
class Elsewhere:
    """The report of the other process.

    loaded, changed, printed: heavy packages that importing the plugin loaded, global state that
    it changed, and what it printed. digests, answers, scores: of the requested samples, golds and
    completions.
    An error is text, "" if there was none; after an import error all else is empty.
    """

    loaded: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    printed: str = ""
    digests: dict[str, list[str]] = field(default_factory=dict)
    answers: list[list[str]] = field(default_factory=list)
    scores: list[dict[str, list[Any]]] = field(default_factory=list)
    import_error: str = ""
    task_error: str = ""
    answer_error: str = ""
    score_error: str = ""


def run_elsewhere(request: Mapping[str, Any]) -> Elsewhere:
    """Run the process with a request and return its report."""
    seed = "20250307" if os.environ.get("PYTHONHASHSEED") != "20250307" else "1"
    environment = {
        **os.environ,
        "PYTHONHASHSEED": seed,
        "PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path),
    }
    try:
        done = subprocess.run(
            [sys.executable, "-m", "rftcore.testing.probe"],
            input=json.dumps(request).encode(),
            env=environment,
            capture_output=True,
            timeout=_TIMEOUT_S,
        )
    except subprocess.TimeoutExpired as late:
        return _read(late.stdout, f"it did not end within {_TIMEOUT_S:g} s")
    words = done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
    return _read(done.stdout, f"it ended with exit code {done.returncode}{words and f': {words}'}")


def _read(output: bytes | None, end: str) -> Elsewhere:
    """The reports of its stages; `end` is the error of the stage in which it ended."""
    report: dict[str, Any] = {}
    stages = [json.loads(line) for line in (output or b"").splitlines() if line.endswith(b"}")]
    for stage in stages:
        report |= stage
    if len(stages) < len(STAGES):
        report[STAGES[len(stages)]] = end
    return Elsewhere(**report)
