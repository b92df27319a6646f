"""Evaluations of a run, by stage: before training, after SFT, after GRPO."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

from rftcore import distributed
from rftcore.completions import ScoredCompletion
from rftcore.errors import RunError
from rftcore.evaluation.scores import SplitScore
from rftcore.evaluation.splits import evaluate_split
from rftcore.models.policy import Policy
from rftcore.pipeline.job import Job
from rftcore.pipeline.keeper import RunKeeper
from rftcore.runs import STATE, scores_name
from rftcore.scoring import Scorer
from rftcore.splits import VAL


def evaluate_start(job: Job) -> None:
    """Evaluate the base model with whichever prompt does better on `val`.

    A base model that has never seen the tags would score 0 with the reasoning prompt and a
    strict parser, and any training would count as a gain.
    """
    both = job.plan.task.direct_prompt and VAL in job.plan.splits
    _measure(job, "start", job.base(), ("reason", "direct") if both else ("reason",))


def evaluate_stage(job: Job, stage: str) -> None:
    """Score a phase's policy on every split, or read the scores back."""
    _measure(job, stage, job.run.model_folder(stage), (job.plan.asked,))


def _measure(job: Job, stage: str, source: str | Path, prompts: Sequence[str]) -> None:
    """Score the policy in `source` on every split, unless that is done.

    prompts: names of prompts. If there are several, each is tried on `val` and the best is used.
    """
    phase = f"evaluate:{stage}"
    if not job.run.done(phase):
        evaluation = _Evaluation(job, stage, source, prompts)
        distributed.barrier()  # no rank writes before every rank has read the stored scores
        job.plan.catalogue.hooks.rft_phase_start(phase=phase)
        scores = evaluation.run()
        job.run.mark_done(phase)
        job.run.drop_partial()
        distributed.barrier()
        accuracies = {s.split: s.accuracy for s in scores if s.accuracy is not None}
        job.plan.catalogue.hooks.rft_phase_end(phase=phase, metrics=accuracies)
    job.scores[stage] = _scores(job, stage)
    if missing := {*job.plan.splits} - {score.split for score in job.scores[stage]}:
        raise RunError(
            f"{job.run.path / scores_name(stage)} has no score of split "
            f"{', '.join(sorted(missing))}, though {phase} is done: restore the file from a copy, "
            f'or take "{phase}" out of "done" in {STATE} to measure again'
        )


class _Evaluation:
    """The splits of one stage. Each is written when it is measured, so a killed run keeps it.

    Several prompts are tried on `val` as stages of their own, such as "start-direct"; what the
    best of them scored there is then also the score of `stage`.
    """

    def __init__(self, job: Job, stage: str, source: str | Path, prompts: Sequence[str]) -> None:
        self._job, self._stage, self._source = job, stage, source
        self._tried = {prompt: f"{stage}-{prompt}" for prompt in prompts}
        names = [stage, *self._tried.values()]
        self._known = {name: {s.split: s for s in _scores(job, name)} for name in names}
        self._about: dict[str, Any] = {}

    def run(self) -> list[SplitScore]:
        """Measure what is missing; the scores of all splits."""
        try:
            prompt = self._best_prompt()
            return [self._split(self._stage, split, prompt) for split in self._job.plan.splits]
        finally:
            if "_scorer" in vars(self):
                self._scorer.close()

    def _best_prompt(self) -> str:
        if len(self._tried) == 1:
            return next(iter(self._tried))
        tried = [self._split(name, VAL, prompt) for prompt, name in self._tried.items()]
        best = max(tried, key=lambda score: -1.0 if score.accuracy is None else score.accuracy)
        if VAL not in self._known[self._stage]:
            self._job.run.copy_answers(self._tried[best.prompt], self._stage, VAL)
            self._write(self._stage, best)
        return best.prompt

    def _split(self, name: str, split: str, prompt: str) -> SplitScore:
        """The score of one split for the stage `name`; measured unless it is stored."""
        if split not in self._known[name]:
            self._about.clear()
            self._about.update(split=split, prompt=prompt)
            about = {"phase": f"evaluate:{self._stage}", **self._about}
            keeper = RunKeeper(self._job.run, name, split, self._about, about)
            score, answered = self._score(split, prompt, keeper)
            used = keeper.usage.to_json()
            self._job.run.add_usage(f"evaluate:{self._stage}", f"{name}-{split}", used)
            self._job.run.write_answers(name, split, answered)
            self._write(name, score)
        return self._known[name][split]

    def _write(self, name: str, score: SplitScore) -> None:
        """Write the scores so far, which makes the split known: its rows are written already."""
        known = self._known[name]
        known[score.split] = score
        scores = [asdict(known[split]) for split in self._job.plan.splits if split in known]
        self._job.run.write_scores(name, scores)
        distributed.barrier()  # other ranks may read it now

    def _score(
        self, split: str, prompt: str, keeper: RunKeeper
    ) -> tuple[SplitScore, list[ScoredCompletion]]:
        plan = self._job.plan
        settings, last = plan.recipe.evaluation, self._stage == plan.last_stage
        return evaluate_split(
            self._policy,
            plan.task,
            split,
            scorer=self._scorer,
            limit=settings.samples.get(split),
            prompt=prompt,
            batch_size=settings.batch_size,
            max_new_tokens=settings.max_new_tokens,
            blind=settings.blind if last else 0,
            drawn=plan.drawn if last else None,
            keeper=keeper,
            progress=self._job.progress,
        )

    @cached_property
    def _policy(self) -> Policy:
        return self._job.policies.read(self._source)

    @cached_property
    def _scorer(self) -> Scorer:
        # the base model was not trained on this answer format
        forgiving = self._stage == "start"
        return self._job.scorer(f"evaluate:{self._stage}", self._about, forgiving=forgiving)


def _scores(job: Job, name: str) -> list[SplitScore]:
    """The scores of a stage, those written so far."""
    try:
        return [SplitScore.from_json(row) for row in job.run.scores(name)]
    except TypeError as error:
        file = job.run.path / scores_name(name)
        raise RunError(f"{file} does not hold scores: {error}") from error
