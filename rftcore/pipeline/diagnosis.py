"""The facts of a run's GRPO phase that its diagnosis needs."""

from __future__ import annotations

from typing import Any

from rftcore.evaluation.scores import SplitScore
from rftcore.pipeline.job import Job
from rftcore.splits import VAL
from rftcore.training import steps
from rftcore.training.signal import Facts, Finding, Greedy, diagnose


def facts_of(job: Job) -> Facts:
    """What is known of GRPO before its first step: shapes, settings, and how SFT's policy did."""
    config, plan = job.configs["grpo"], job.plan
    rows = len(plan.part("grpo"))
    return Facts(
        prompts=config.generation_batch_size // config.num_generations,
        group=config.num_generations,
        rows=rows,
        steps=steps.total("grpo", config, rows),
        reuse=steps.per_rollouts(config),
        weights={name: term.weight for name, term in plan.task.rewards.items()},
        settings=vars(config),
        greedy=_greedy(job),
    )


def _greedy(job: Job) -> Greedy | None:
    """How the policy that GRPO starts from did on `val`, with the prompt and parser of training."""
    if not job.plan.enabled("sft"):
        return None  # the evaluation before training reads answers forgivingly
    for row in job.run.scores("sft"):
        score = SplitScore.from_json(row)
        if score.split == VAL and score.accuracy is not None:
            return Greedy(VAL, score.n, score.accuracy, score.unparsed, score.clipped)
    return None


def findings_of(job: Job, phase: str) -> list[Finding]:
    """Why the reward of a phase that has ended did not rise; [] for SFT."""
    if phase != "grpo":
        return []
    return diagnose(job.run.metrics(phase), facts_of(job), ended=True)


def as_json(finding: Finding) -> dict[str, Any]:
    """A finding as the phase's file has it."""
    return {
        "kind": finding.kind,
        "step": finding.step,
        "settings": list(finding.settings),
        "numbers": dict(finding.numbers),
        "text": finding.text,
    }
