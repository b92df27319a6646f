"""A run of few steps with the toy model, and what it wrote, to be interrupted or damaged."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from tests.campaigns.forks import Running, Server
from tests.campaigns.frame import root

TASK = root() / "tests" / "cases" / "lively_task.py"
STEPS = 2
SETTINGS = (
    *(f"sft.max_steps={STEPS}", "sft.samples=8", "sft.batch_size=4", "sft.save_steps=1"),
    *(f"grpo.max_steps={STEPS}", "grpo.samples=4", "grpo.save_steps=1", "grpo.save_total_limit=2"),
    *("sft.save_total_limit=2", "grpo.learning_rate=1e-3", "sft.learning_rate=1e-3"),
    *("evaluation.splits=[val]", "evaluation.samples.val=4", "evaluation.batch_size=2"),
    *("grpo.max_completion_length=8", "evaluation.max_new_tokens=8"),
)
# What measures the machine, and checks that every session makes anew on its first batch.
NOT_COMPARED = ("time", "runtime", "per_second", "rollout_check", "gradient/", "difference")
TABLE = re.compile(r"^(time|used|note):.*$|\d+:\d\d|\d+(\.\d+)? s\b", re.MULTILINE)
NOTE = ".mine/note"


def start(server: Server, within: Path, *more: str, **options: Any) -> Running:
    """Start a run in the folder `run`."""
    settings = [word for each in (*SETTINGS, *more) for word in ("--set", each)]
    arguments = ("--task", f"{TASK}:squares", "--smoke", "--out", "run", *settings)
    return server.start("train", *arguments, within=within, **options)


def resumed(server: Server, within: Path, **options: Any) -> Running:
    """Continue the run."""
    return server.start("train", "--resume", "run", within=within, **options)


def with_a_note(run: Path) -> Path:
    """Make the folder of a run that is to come, with a hidden file of its user's in it."""
    note = run / NOTE
    note.parent.mkdir(parents=True)
    note.write_text("mine", encoding="utf-8")
    return run


def lost(run: Path) -> str:
    """That the file of the user's is gone or another, or ""."""
    try:
        same = (run / NOTE).read_text(encoding="utf-8") == "mine"
    except OSError:
        same = False
    return "" if same else f"it has lost {NOTE}, which was there before the run"


def results(run: Path) -> dict[str, Any]:
    """Everything a finished run wrote that does not measure time, by what it is."""
    files = [p for p in (run / "evaluation").rglob("*.json*") if "partial" not in p.parts]
    weights = [run / phase / "model" / "model.safetensors" for phase in ("sft", "grpo")]
    return {
        **{
            f"weights of {p.parts[-3]}": hashlib.sha256(p.read_bytes()).hexdigest() for p in weights
        },
        "metrics": [_lasting(line) for line in _lines(run / "metrics.jsonl")],
        "rollouts": _lines(run / "rollouts.jsonl"),
        "table": TABLE.sub("", (run / "summary.txt").read_text()),
        "phases": json.loads((run / "state.json").read_text()),
        **{p.relative_to(run).as_posix(): p.read_text() for p in files},
    }


def differences(run: Path, whole: dict[str, Any]) -> str:
    """What differs in a finished run from an uninterrupted one, or ""."""
    try:
        found = results(run)
    except (OSError, ValueError) as error:
        return f"it is not finished: {error!r}"
    names = [name for name in found.keys() | whole.keys() if found.get(name) != whole.get(name)]
    if not names:
        return ""
    first = sorted(names)[0]
    one, other = found.get(first), whole.get(first)
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        one, other = next((a, b) for a, b in zip(one, other, strict=True) if a != b)
    return f"{', '.join(sorted(names))} differ: {one!r:.400}, not {other!r:.400}"


def _lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def _lasting(line: dict[str, Any]) -> dict[str, Any]:
    return {n: v for n, v in line.items() if not any(part in n for part in NOT_COMPARED)}
