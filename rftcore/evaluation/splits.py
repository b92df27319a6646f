"""Measure a policy on a split: fixed decoding, the same prompt, parser and rewards as training."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace

from rftcore import distributed, tags
from rftcore.completions import ScoredCompletion
from rftcore.datasets.slices import take
from rftcore.errors import RecipeError
from rftcore.evaluation.keeping import Answered, Keeper, Kind
from rftcore.evaluation.scores import SplitScore
from rftcore.evaluation.shares import REQUEST, sampled, share, split_score
from rftcore.evaluation.swapping import swaps
from rftcore.models.completions import Draw, generate
from rftcore.models.encoding import opening
from rftcore.models.endpoint import Endpoint
from rftcore.models.policy import Policy
from rftcore.models.vllm import Engine
from rftcore.progress import Bar
from rftcore.prompts import direct_of, made
from rftcore.scoring import Scorer
from rftcore.types import PromptMaker, Sample, Task
from rftcore.usage import Usage, peak_memory


@dataclass(frozen=True)
class Drawn:
    """Draw `completions` per question, at a temperature, from a seed."""

    completions: int
    temperature: float = 1.0
    seed: int = 0


def evaluate_split(
    policy: Policy | Endpoint | Engine,
    task: Task,
    split: str,
    *,
    scorer: Scorer,
    limit: int | None = None,
    prompt: str = "reason",
    batch_size: int = 64,
    max_new_tokens: int = 512,
    blind: int = 0,
    drawn: Drawn | None = None,
    keeper: Keeper | None = None,
    progress: bool = True,
) -> tuple[SplitScore, list[ScoredCompletion]]:
    """Greedy completions for the first `limit` samples of `split`, scored.

    prompt: "reason" shows the task's prompt, "direct" its `direct_prompt`, or the question alone.
    blind: how many samples are also evaluated with the images of others. drawn: also draw several
    completions per question. keeper: keeps the answers of each batch, and those beside the greedy
    ones.
    Raises: `DataError` for an unknown split; `RewardError` from `scorer`.
    """
    part = take(task, split, limit)
    with distributed.main_first():
        part.prepare()
    maker = prompt_of(task, prompt)
    label = f"evaluating {split}" + (f" ({prompt} prompt)" if prompt != "reason" else "")
    asker = _Asker(
        policy,
        maker,
        scorer,
        split,
        batch_size,
        max_new_tokens,
        keeper or Keeper(),
        label,
        progress,
    )
    answered = asker.ask("greedy", range(len(part)), part.__getitem__)
    score = split_score(split, prompt, answered, of=task, parser=scorer.reads)
    if blind and (others := swaps([part[i] for i in range(min(blind, len(part)))])):
        rows = asker.ask("blind", [*others], others.__getitem__)
        score = replace(score, blind=share(row.correct for row in rows))
    if drawn is not None:
        rows = asker.ask("sampled", range(len(part)), part.__getitem__, drawn)
        score = replace(score, sampled=sampled(rows))
    return score, answered


def prompt_of(task: Task, name: str) -> PromptMaker:
    """The task's prompt by name: "reason" or "direct"."""
    if name == "reason":
        return task.prompt
    if name == "direct":
        return direct_of(task)
    raise RecipeError(f"no prompt {name!r}: use 'reason' or 'direct'")


@dataclass(frozen=True)
class _Asker:
    """Asks a policy the questions of a split, batch by batch."""

    policy: Policy | Endpoint | Engine
    maker: PromptMaker
    scorer: Scorer
    split: str
    batch_size: int
    max_new_tokens: int
    keeper: Keeper
    label: str
    progress: bool

    def ask(
        self,
        kind: Kind,
        indices: Sequence[int],
        sample_of: Callable[[int], Sample],
        drawn: Drawn | None = None,
    ) -> list[ScoredCompletion]:
        """The scored completions of the questions at `indices`, in that order.

        With one process, whole batches that the keeper has are taken over.
        """
        per = drawn.completions if drawn else 1
        mine = [indices[i] for i in distributed.shard(len(indices))]
        size = max(1, self.batch_size // per)
        batches = [mine[start : start + size] for start in range(0, len(mine), size)]
        answers = self._kept(kind, batches, per)
        done = len(answers) // per
        label = self.label + ("" if kind == "greedy" else f", {kind}")
        alone = distributed.world_size() == 1
        whole = nullcontext() if alone else self.scorer.collective()
        with whole, Bar(len(mine), label, "sample", show=self.progress) as bar:
            if done:  # else the bar of answers that are all kept would end without it
                bar.update(done, accuracy=_so_far([each.row for each in answers]))
            for number, batch in enumerate(batches):
                if number * size < done:
                    continue
                self.keeper.at(kind, number)
                # failures are recorded where the block ends, before the batch is kept
                with self.scorer.collective() if alone else nullcontext():
                    made = self._answer(batch, sample_of, drawn)
                if alone:
                    self.keeper.add(kind, made)
                answers += made
                bar.update(len(batch), accuracy=_so_far([each.row for each in answers]))
        questions = [answers[at : at + per] for at in range(0, len(answers), per)]
        gathered = distributed.gather(questions, len(indices))
        found = [one for question in gathered for one in question]
        rows = [one.row for one in found]
        self.keeper.finish(kind, rows, _used(found))
        return rows

    def _kept(self, kind: Kind, batches: Sequence[Sequence[int]], each: int) -> list[Answered]:
        """The answers of whole batches that an earlier session kept."""
        kept = self.keeper.read(kind) if distributed.world_size() == 1 else []
        at = [one.row.index for one in kept]
        count = whole = 0
        for batch in batches:
            expected = [index for index in batch for _ in range(each)]
            if at[count : count + len(expected)] != expected:
                break
            count, whole = count + len(expected), whole + 1
        self.keeper.begin(kind, count, whole)
        return kept[:count]

    def _answer(
        self, indices: Sequence[int], sample_of: Callable[[int], Sample], drawn: Drawn | None
    ) -> list[Answered]:
        start = time.perf_counter()
        each = drawn.completions if drawn else 1
        at = [index for index in indices for _ in range(each)]
        samples = [sample_of(index) for index in at]
        shown = [made(self.maker, sample) for sample in samples]
        draw = [Draw(drawn.temperature, _seed(drawn.seed, self.split, at[0]))] if drawn else []
        if isinstance(self.policy, Endpoint | Engine):
            written = self.policy.complete(shown, self.max_new_tokens, *draw)
            opened = self.policy.opening(shown[0])
        else:
            written = generate(self.policy, shown, self.max_new_tokens, *draw)
            opened = opening(self.policy, shown[0])
        texts = [tags.after_prompt(opened, one.text) for one in written]
        scores = self.scorer.score(texts, samples, tokens=[one.tokens for one in written])
        seconds = (time.perf_counter() - start) / len(at)
        rows = [
            _noted(
                score.record(
                    sample,
                    text,
                    split=self.split,
                    index=index,
                    tokens=one.tokens,
                    clipped=one.clipped,
                    images=prompt.images,
                    seen=self.policy.seen_size,
                ),
                one.error,
            )
            for index, sample, prompt, text, one, score in zip(
                at, samples, shown, texts, written, scores, strict=True
            )
        ]
        return [Answered(row, one.read, seconds) for row, one in zip(rows, written, strict=True)]


def _noted(row: ScoredCompletion, error: str) -> ScoredCompletion:
    """The row with the reason why an endpoint gave no answer, if it gave none: it is wrong then."""
    if not error:
        return row
    return replace(row, notes={**row.notes, REQUEST: error}, correct=False)


def _seed(*parts: object) -> int:
    """A seed for a batch: the same in a resumed evaluation."""
    digest = hashlib.sha256(repr(parts).encode()).digest()
    return int.from_bytes(digest[:7])


def _used(answers: Sequence[Answered]) -> Usage:
    return Usage(
        samples=len(answers),
        tokens_read=sum(one.read for one in answers),
        tokens_generated=sum(one.row.tokens or 0 for one in answers),
        seconds=sum(one.seconds for one in answers) / distributed.world_size(),
        peak_memory=peak_memory(),
    )


def _so_far(answered: Sequence[ScoredCompletion]) -> str:
    known = [a.correct for a in answered if a.correct is not None]
    return f"{sum(known) / len(known):.1%}" if known else "-"
