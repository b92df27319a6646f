"""Laws of the weighted sum: the gold is correct and earns the most."""

from collections.abc import Sequence
from statistics import fmean

from rftcore import tags
from rftcore.errors import SampleError
from rftcore.testing.digests import shown
from rftcore.testing.errors import BrokenError, NotApplicableError, NotCheckedError
from rftcore.testing.law import law
from rftcore.testing.laws.reward import COMPARED
from rftcore.testing.properties import for_all, one_of, reasonings, st
from rftcore.testing.subject import Subject
from rftcore.types import Sample

TRUTH = ("truth-is-correct",)
WRONG = ("wrong-is-not-correct",)
SHARE = 0.25  # the least worth of a right answer, of what a target earns above silence
LUCKY = 0.25  # share of other samples' golds that may be right by chance
_NOISE = 1e-9
_SCORED = ("parser-total", "rewards-total", "rewards-finite")  # what keeps a completion from it


@law(
    "truth-is-correct",
    "mix",
    "The SFT target is correct: its accuracy is exactly 1.",
    why="Evaluation reports the share of completions whose accuracy is 1.",
    cause="an accuracy on another scale, or a stricter comparison than the parser's",
    fix="return 1 from the accuracy term for the gold",
    needs=(*COMPARED, "parser-reads-target", "rewards-stateless"),
)
def truth_is_correct(subject: Subject) -> None:
    """Of many samples of all splits."""
    for sample in subject.readable[:200]:
        target = subject.target(sample)
        try:
            score = subject.score([target], sample)[0] if subject.can_be_scored(target) else None
        except SampleError as error:
            raise NotCheckedError(str(error), "rewards-read-golds") from error
        if score is None or score.correct:
            continue
        part = score.parts[subject.task.accuracy]
        if part.failed:
            raise NotCheckedError(f"{sample.where}: accuracy: {part.note}", "rewards-finite")
        if part.value is None:
            raise BrokenError(
                f"{sample.where}: accuracy does not apply (None)",
                cause="an accuracy that returns None for some samples, or nothing at its end",
                fix="return 1 from the accuracy term for the gold of every sample",
            )
        raise BrokenError(f"{sample.where}: accuracy is {part.value:g}")


@law(
    "wrong-is-not-correct",
    "mix",
    "The gold of another sample is not correct.",
    why="An accuracy that is 1 for everything reports 100 % and gives no signal.",
    cause="the answer is compared with itself, or only checked for being there",
    fix="compare x.answer with x.gold",
    needs=TRUTH,
)
def wrong_is_not_correct(subject: Subject) -> None:
    """But for a few, which a tolerance may let pass."""
    subject.require_other_golds()
    pairs = [
        (text, sample, score)
        for sample in subject.scorable
        for text, score in subject.scored_of(_wrong(subject, sample), sample)
    ]
    if not pairs:
        raise NotCheckedError(
            "no wrong answer could be scored", "parser-total", "rewards-total", "rewards-finite"
        )
    right = [(text, sample) for text, sample, score in pairs if score.correct]
    if len(right) > LUCKY * len(pairs):
        text, one = right[0]
        every = len(right) == len(pairs)
        raise BrokenError(
            f"{len(right)} of {len(pairs)} wrong answers are correct, such as {shown(text)} for "
            f"the gold {shown(one.gold)}",
            cause=""
            if every
            else "a comparison that lets too much pass: a wide tolerance, or `gold in answer`",
            fix="" if every else "compare x.answer with x.gold more strictly",
        )


@law(
    "truth-earns-most",
    "mix",
    "Nothing earns more than the SFT target.",
    why="GRPO moves to whatever earns more, and away from what SFT taught.",
    cause="a term that rewards what targets do not have, or a weight with the wrong sign",
    fix="look at the completion that earns more; remove that term or lower its weight",
    needs=(*TRUTH, *WRONG),
)
def truth_earns_most(subject: Subject) -> None:
    """Not another sample's target, and not saying nothing."""
    for sample in subject.scorable:
        target = subject.target(sample)
        most = subject.total(target, sample)
        for text in (*subject.wrong_targets(sample), *_wrong(subject, sample), ""):
            earned = subject.total(text, sample)
            if earned is not None and most is not None and earned > most + _NOISE:
                raise BrokenError(
                    f"{sample.where}: {shown(text)} earns {earned:g}, {shown(target)} {most:g}"
                )


@law(
    "accuracy-weight",
    "mix",
    "Being right is worth at least a quarter of the total reward.",
    why="If most of the reward is for the format, the policy learns the format and stays wrong.",
    cause="format or length weighs more than accuracy",
    fix="raise the weight of accuracy, or lower the other weights",
    needs=("truth-earns-most",),
)
def accuracy_weight(subject: Subject) -> None:
    """In the mean: targets, against other samples' targets, against saying nothing."""
    truth, wrong, silence = _means(subject)
    if truth - wrong < SHARE * (truth - silence) - _NOISE or truth - wrong <= _NOISE:
        accuracy = _mean_accuracy(subject)
        generous = accuracy > 1 - 2 * SHARE
        raise BrokenError(
            f"in the mean a target earns {truth:.3g}, a wrong answer in the same form {wrong:.3g}, "
            f"saying nothing {silence:.3g}",
            cause=f"accuracy pays a wrong answer {accuracy:.3g} in the mean" if generous else "",
            fix="let accuracy fall faster with what is wrong" if generous else "",
        )


@law(
    "silence-earns-least",
    "mix",
    "An empty completion is never right and earns no more than a wrong answer.",
    why="A policy that loses reward for answering stops answering.",
    cause="a reward for short completions, or a penalty for wrong answers only",
    fix="reward brevity among correct completions only; treat a missing answer as wrong",
    needs=(*TRUTH, *WRONG),
)
def silence_earns_least(subject: Subject) -> None:
    """The empty completion, and a blank one."""
    _, wrong, _ = _means(subject)
    for text in ("", " \n"):
        scores = [(one, s) for one in subject.scorable for _, s in subject.scored_of([text], one)]
        for sample, score in scores:
            if score.correct:
                raise BrokenError(
                    f"{sample.where}: {text!r} is correct",
                    cause="no answer (None) equals an empty gold, or is given the benefit of doubt",
                    fix="return 0 if x.answer is None",
                )
        if not scores:
            raise NotCheckedError(
                f"{text!r} could not be scored", "rewards-total", "rewards-finite"
            )
        earned = fmean(score.total or 0.0 for _, score in scores)
        if earned > wrong + _NOISE:
            raise BrokenError(
                f"{text!r} earns {earned:.3g} in the mean, a wrong answer {wrong:.3g}"
            )


@law(
    "accuracy-ignores-reasoning",
    "mix",
    "Correctness does not depend on the reasoning.",
    why="The reported accuracy would measure style.",
    cause="the accuracy searches the whole completion",
    fix="compare the parsed answer; reward reasoning in a term of its own",
    needs=(*TRUTH, "parser-ignores-reasoning"),
)
def accuracy_ignores_reasoning(subject: Subject) -> None:
    """The gold after any reasoning is correct."""

    def check(row: tuple[str, Sample]) -> None:
        reasoning, sample = row
        text = tags.write(reasoning, sample.gold)
        if any(not score.correct for _, score in subject.scored_of([text], sample)):
            raise BrokenError(f"{shown(text)} is not correct, and its answer is the gold")

    for_all(subject, st.tuples(reasonings(subject), one_of(subject.scorable)), check)


def _wrong(subject: Subject, sample: Sample) -> list[str]:
    """Wrong answers after this sample's own reasoning, as far as it has some."""
    reasoning = sample.cot if sample.cot and not tags.has_tags(sample.cot) else "I look."
    return [tags.write(reasoning, gold) for gold in subject.other_golds(sample)[:4]]


def _means(subject: Subject) -> tuple[float, float, float]:
    """What is earned in the mean by the truth, by the truth about others, by saying nothing."""
    lies = [(text, sample) for sample in subject.scorable for text in subject.wrong_targets(sample)]
    if not lies:
        raise NotApplicableError("all golds that were read are the same")
    rows = {
        "a target": [(subject.target(sample), sample) for sample in subject.scorable],
        "a wrong answer": lies,
        "saying nothing": [("", sample) for sample in subject.scorable],
    }
    truth, wrong, silence = (_mean(subject, name, pairs) for name, pairs in rows.items())
    return truth, wrong, silence


def _mean(subject: Subject, name: str, pairs: Sequence[tuple[str, Sample]]) -> float:
    """Of the totals of completions that can be scored."""
    totals = [subject.total(text, sample) for text, sample in pairs]
    found = [total for total in totals if total is not None]
    if not found:
        raise NotCheckedError(
            f"{name} could not be scored", "parser-total", "rewards-total", "rewards-finite"
        )
    return fmean(found)


def _mean_accuracy(subject: Subject) -> float:
    """What accuracy gives in the mean for other samples' targets."""
    values = [
        score.parts[subject.task.accuracy].value or 0.0
        for sample in subject.scorable
        for _, score in subject.scored_of(subject.wrong_targets(sample), sample)
    ]
    return fmean(values) if values else 0.0
