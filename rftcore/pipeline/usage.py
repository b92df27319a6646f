"""What each part of a run has used: read from what it logged, so that a resumed run is whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rftcore import distributed
from rftcore.pipeline.job import Job
from rftcore.progress import clock
from rftcore.runs import PHASES
from rftcore.usage import Usage, peak_memory


def of_phase(job: Job, phase: str, seconds: float) -> Usage:
    """What a phase that has ended used, in all sessions.

    Counts come from its lines of metrics.jsonl, which are those of an uninterrupted run.
    """
    lines = job.run.metrics(phase)
    counts = _sft(job, lines) if phase == "sft" else _grpo(job, lines)
    peak = max(distributed.all_gather(peak_memory()))
    return Usage(**counts, seconds=seconds, peak_memory=peak)


def _sft(job: Job, lines: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """TRL counts the tokens of prompts and targets; the mean target is from the data check."""
    rows, epochs = len(job.plan.part("sft")), _last(lines, "epoch")
    samples = round(rows * epochs)
    mean = job.run.manifest().get("sft_targets", {}).get("mean", 0.0)
    return {
        "samples": samples,
        "tokens_read": int(_last(lines, "num_tokens")),
        "tokens_trained": round(samples * mean),
    }


def _grpo(job: Job, lines: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """TRL counts the tokens of prompts and completions, and logs the mean length of the latter."""
    from rftcore.training import steps

    config = job.configs["grpo"]
    lengths = [each[_LENGTH] for each in lines if _LENGTH in each]
    taken = int(_last(lines, "step"))
    batches = -(-taken // steps.per_rollouts(config))
    samples = batches * int(config.generation_batch_size)
    generated = round(samples * sum(lengths) / len(lengths)) if lengths else 0
    return {
        "samples": samples,
        "tokens_read": max(0, int(_last(lines, "num_tokens")) - generated),
        "tokens_generated": generated,
        "tokens_trained": generated * int(config.num_iterations),
    }


_LENGTH = "completions/mean_length"


def _last(lines: Sequence[Mapping[str, Any]], name: str) -> float:
    """The last value of a number that grows, 0 if it was never logged."""
    return max((float(line[name]) for line in lines if name in line), default=0.0)


def of_run(job: Job) -> dict[str, Usage]:
    """What each phase and evaluation that has ended used, by name: "sft", "evaluate:sft", ..."""
    found: dict[str, Usage] = {}
    for phase in PHASES:
        if job.run.done(phase) and (fact := job.run.phase(phase).get("usage")):
            found[phase] = Usage.from_json(fact)
    for name, parts in job.run.usage().items():
        found[name] = sum((Usage.from_json(each) for each in parts.values()), Usage())
    return found


def line(used: Mapping[str, Usage]) -> str:
    """What a run used, as one line of its table."""
    return "used: " + "; ".join(f"{name} {_shown(one)}" for name, one in used.items())


def _shown(used: Usage) -> str:
    parts = [f"{used.samples:,} samples", f"{_short(used.tokens_read)} tokens read"]
    if used.tokens_generated:
        parts.append(f"{_short(used.tokens_generated)} generated")
    if used.tokens_trained:
        parts.append(f"{_short(used.tokens_trained)} trained")
    return ", ".join([*parts, clock(used.seconds), f"{used.peak_memory / 2**30:.1f} GiB"])


def _short(number: int) -> str:
    for size, unit in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if number >= size:
            return f"{number / size:.3g}{unit}"
    return str(number)
