"""Fit rules on a task's training questions, choose the best, and score all on other splits.

A rule sees the text that a prompt shows, never an image, and no answer of a split that it is
scored on. The best guess is chosen by training questions that the rules were not fitted on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random

from rftcore.config import Recipe
from rftcore.datasets.grouping import groups, identity
from rftcore.datasets.slices import dataset_of, parser_of, take
from rftcore.errors import DataError
from rftcore.evaluation.scores import Share
from rftcore.guessing.asked import Answers, Asked, Shown, written
from rftcore.guessing.rules import Rule, fit
from rftcore.guessing.scored import Scored
from rftcore.guessing.words import most_common
from rftcore.progress import Bar
from rftcore.scoring import Scorer
from rftcore.splits import TRAINING, VAL, is_training
from rftcore.types import Sample, Task

LEAST = 10  # training questions
HELD_OUT, MOST_HELD_OUT = 0.2, 2000  # a share of the training questions, and how many at most
TRIED = 20  # golds that are scored before any guess
CONSTANTS, ASKED = 30, 100  # answers that are tried on as many questions each


@dataclass(frozen=True)
class RuleScore:
    """How often a rule is right: on the training questions held out, and by split."""

    name: str
    detail: str
    held_out: Share
    splits: Mapping[str, Share]


@dataclass(frozen=True)
class Best:
    """The rule chosen for each kind of question, and how often they are right, by split.

    kinds: the same for the questions of each kind; empty if there is one kind.
    """

    rules: Mapping[str, str]
    splits: Mapping[str, Share]
    kinds: Mapping[str, Mapping[str, Share]]


@dataclass(frozen=True)
class Report:
    """Rules and their scores. questions: how many each training split has.

    held_out: how many of them the rules were not fitted on while the best was chosen.
    """

    task: str
    questions: Mapping[str, int]
    held_out: int
    rules: Sequence[RuleScore]
    best: Best


def measure(
    task: Task, recipe: Recipe, splits: Sequence[str] = (), *, progress: bool = True
) -> Report:
    """Rules fitted on the training splits of a task, and how often each is right on `splits`.

    splits: `val` by default. Of each the first `evaluation.samples` are used, as in evaluation.
    Raises: DataError for a split that cannot be used and for too few training questions;
    SampleError, PluginError and RewardError as scoring does.
    """
    splits = _checked(task, splits)
    trained = [split for split in TRAINING if split in dataset_of(task).splits]
    rows = {split: _samples(task, split, None, progress) for split in trained}
    train = [*{s.content_hash(): s for samples in rows.values() for s in samples}.values()]
    if len(train) < LEAST:
        raise DataError(
            f"task {task.name!r} has {len(train)} different training questions in "
            f"{' and '.join(trained)}, but rules are fitted on {LEAST} or more: add rows"
        )
    shown, answers = Shown(task.prompt, train), Answers(parser_of(task), train[0])
    asked = [shown(sample) for sample in train]
    held, rest = _divided(asked, Random(recipe.seed))
    only = replace(task, rewards={task.accuracy: task.rewards[task.accuracy]})
    with Scorer.of(only, recipe) as scorer:
        _check_golds(scorer, [each.sample for each in held[:TRIED]], task)
        accepted = _accepted(scorer, rest, answers)
        tried = _fitted(rest, answers, accepted)
        chosen = Scored.of(scorer, tried, held, "held out", progress)
        rules = [r for r in _fitted(asked, answers, accepted) if r.name in chosen.right]
        scored = {}
        for split in splits:
            samples = _samples(task, split, recipe.evaluation.samples.get(split), progress)
            scored[split] = Scored.of(scorer, rules, [*map(shown, samples)], split, progress)
    return Report(
        task=task.name,
        questions={split: len(samples) for split, samples in rows.items()},
        held_out=len(held),
        rules=[
            RuleScore(
                rule.name,
                rule.detail,
                chosen.share(rule.name),
                {split: one.share(rule.name) for split, one in scored.items()},
            )
            for rule in rules
        ],
        best=_best(chosen, scored),
    )


def _checked(task: Task, splits: Sequence[str]) -> tuple[str, ...]:
    """The splits to score. Raises: DataError."""
    offered = dataset_of(task).splits
    others = ", ".join(split for split in offered if not is_training(split)) or "none"
    if not any(map(is_training, offered)):
        raise DataError(
            f"task {task.name!r} has no training split to fit rules on. It has: {others}. Name "
            f"one {' or '.join(TRAINING)}"
        )
    if not splits and VAL not in offered:
        raise DataError(
            f"task {task.name!r} has no split {VAL!r}: name another with --split. It has: {others}"
        )
    for split in filter(is_training, splits):
        raise DataError(
            f"--split {split}: rules are fitted on it, so it cannot be scored as well. Name "
            f"another: {others}"
        )
    chosen = tuple(dict.fromkeys(splits)) or (VAL,)
    for split in chosen:
        take(task, split)  # an error before minutes of reading
    return chosen


def _samples(task: Task, split: str, limit: int | None, progress: bool) -> list[Sample]:
    part = take(task, split, limit)
    found = []
    with Bar(len(part), f"reading {split}", "question", show=progress) as bar:
        for sample in part:
            found.append(sample)
            bar.update()
    return found


def _divided(asked: Sequence[Asked], rng: Random) -> tuple[list[Asked], list[Asked]]:
    """The questions to choose by, and the others. Those that share an image stay together."""
    links = [[identity("image", image.key) for image in each.sample.images] for each in asked]
    together: dict[tuple[str, int], list[Asked]] = {}
    for at, (each, group) in enumerate(zip(asked, groups(links), strict=True)):
        place = ("row", at) if group is None else ("image", group)
        together.setdefault(place, []).append(each)
    parts = [*together.values()]
    rng.shuffle(parts)
    most = min(MOST_HELD_OUT, round(HELD_OUT * len(asked)))
    held: list[Asked] = []
    rest: list[Asked] = []
    for part in parts:
        (held if len(held) + len(part) <= most else rest).extend(part)
    if not held:  # nearly all show the same images
        rng.shuffle(rest)
        held, rest = rest[:most], rest[most:]
    return held, rest


def _accepted(scorer: Scorer, asked: Sequence[Asked], answers: Answers) -> str | None:
    """Of some golds, the one that is right for most questions; None if only golds are right.

    A number within a tolerance and a box that overlaps are right without being the gold.
    """
    some = asked[:: max(1, len(asked) // ASKED)][:ASKED]
    golds = [answers.gold(each.sample) for each in some]
    tried = [*dict.fromkeys((*most_common(golds)[: CONSTANTS // 2], *golds))][:CONSTANTS]
    samples = [each.sample for each in some]
    right: dict[str, int] = {}
    for answer in tried:
        scores = scorer.score([written(answer)] * len(samples), samples)
        right[answer] = sum(bool(score.correct) for score in scores)
    if all(count <= golds.count(answer) for answer, count in right.items()):
        return None
    return max(tried, key=lambda answer: right[answer])


def _fitted(asked: Sequence[Asked], answers: Answers, accepted: str | None) -> list[Rule]:
    golds = [answers.gold(each.sample) for each in asked]
    return fit([each.question for each in asked], golds, answers.read, accepted)


def _best(chosen: Scored, scored: Mapping[str, Scored]) -> Best:
    """The best guess for each kind of question, by the questions held out, and its scores."""
    kinds = dict.fromkeys(kind for one in (chosen, *scored.values()) for kind in one.kinds)
    known = {kind: kind if kind in chosen.kinds else None for kind in kinds}
    rules = {kind: chosen.best(own) for kind, own in known.items()}
    return Best(
        rules,
        {split: one.of_kinds(rules) for split, one in scored.items()},
        {
            kind: {split: one.of_kinds(rules, kind) for split, one in scored.items()}
            for kind in (kinds if len(kinds) > 1 else ())
        },
    )


def _check_golds(scorer: Scorer, some: Sequence[Sample], task: Task) -> None:
    """Raises: DataError if no gold is right, so that no guess could be."""
    scores = scorer.score([written(sample.gold) for sample in some], some)
    if any(score.correct for score in scores):
        return
    first = scores[0]
    read = "no answer" if first.answer is None else f"{first.answer!r:.60}"
    raise DataError(
        f"task {task.name!r}: the golds of {len(some)} training questions were written in answer "
        f"tags, and the accuracy term {task.accuracy!r} is 1 for none of them, so no guess can be "
        f"right. From the gold of {some[0].where}, {some[0].gold!r:.60}, the parser reads {read}. "
        "`rft score` shows what parser and rewards make of a completion"
    )
