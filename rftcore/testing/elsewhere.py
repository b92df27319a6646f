"""Ask another process, with another hash seed, what it makes of a task."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_PATIENCE_S = 600.0  # of which it computes a second or two


@dataclass(frozen=True)
class Elsewhere:
    """What another process saw.

    loaded, changed, printed: what discovering the plugin loaded of heavy packages, changed in
    the process, and printed. digests, scores: of the samples and completions it was asked for.
    An error is text, "" if there was none.
    """

    loaded: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    printed: str = ""
    digests: dict[str, list[str]] = field(default_factory=dict)
    scores: list[dict[str, list[Any]]] = field(default_factory=list)
    import_error: str = ""
    task_error: str = ""
    score_error: str = ""


def ask(question: Mapping[str, Any]) -> Elsewhere:
    """Start the process, hand it the question, wait for its answer."""
    seed = "20250307" if os.environ.get("PYTHONHASHSEED") != "20250307" else "1"
    environment = {
        **os.environ,
        "PYTHONHASHSEED": seed,
        "PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path),
    }
    try:
        done = subprocess.run(
            [sys.executable, "-m", "rftcore.testing.probe"],
            input=json.dumps(question),
            env=environment,
            capture_output=True,
            text=True,
            timeout=_PATIENCE_S,
        )
    except subprocess.TimeoutExpired:
        return Elsewhere(task_error=f"it did not end within {_PATIENCE_S:g} s")
    if done.returncode:
        return Elsewhere(task_error=f"it ended with exit code {done.returncode}: {done.stderr}")
    return Elsewhere(**json.loads(done.stdout))
