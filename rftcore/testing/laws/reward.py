"""Laws of each reward: a pure, fast function that raises on faulty samples."""

import math
import numbers
import random
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import product
from typing import Any, cast

from rftcore import rewards, tags
from rftcore.errors import PluginError, SampleError, describe, place
from rftcore.rewards import attacks
from rftcore.scoring.outcomes import number_of
from rftcore.testing.clock import TooLong, least, within
from rftcore.testing.digests import canonical, shown
from rftcore.testing.errors import BrokenError, NotApplicableError, NotCheckedError
from rftcore.testing.law import law
from rftcore.testing.properties import Pair, attempts, for_all, one_of, st
from rftcore.testing.scores import PATIENCE_S, row_of, scorer_of
from rftcore.testing.subject import Subject
from rftcore.testing.subject.completions import PLAIN
from rftcore.testing.tripwire import BareSample, TrippedError, Tripwire
from rftcore.types import Reward, RewardResult, Sample

WHOLE = ("samples-valid",)
QUICK = ("rewards-fast",)
CALLED = (*QUICK, "rewards-in-evaluation")
COMPARED = (*CALLED, "rewards-deterministic")

DEADLINE_S = 0.05
_LONG = 8_000  # characters: about what a policy may write
_GROUP = 4  # completions of one prompt
_GOLDS = 300  # golds that each reward is tried on
_TRAINING = {"step": 1, "tokens": 7, "siblings": ("",), "sibling_tokens": (9,), "correct": True}


@law(
    "rewards-fast",
    "reward",
    "A reward call takes less than 50 ms in 99 of 100 cases.",
    why="Every step waits for P x G calls of each reward, and so does the GPU.",
    cause="work in every call that could be done once, or waiting for something",
    fix="prepare it in the factory; only compare values in the reward",
    needs=WHOLE,
)
def rewards_fast(subject: Subject) -> None:
    """By the clock, since waiting counts too; the shortest of ten calls if the first is late."""
    calls = list(_attempts(subject))
    late = 0
    for name, completion, sample in calls:
        seconds = _seconds(subject, name, completion, sample)
        late += seconds > DEADLINE_S
        if late > len(calls) / 100 or math.isinf(seconds):
            duration = f"more than {PATIENCE_S:g} s" if math.isinf(seconds) else f"{seconds:.2f} s"
            raise BrokenError(f"{name} took {duration} for {shown(completion)}")


@law(
    "rewards-in-evaluation",
    "reward",
    "A reward works without step, siblings and tokens.",
    why="Evaluation has none of them, and it runs after hours of training.",
    cause="x.tokens or x.step is used without a check for None",
    fix="return None, which means that the reward does not apply",
    needs=QUICK,
)
def rewards_in_evaluation(subject: Subject) -> None:
    """On the completions that SFT teaches; bad data is another law's."""
    for sample, name in product(subject.scorable, subject.terms):
        target = subject.target(sample)
        value = _called(subject, name, target, sample) if subject.can_be_scored(target) else None
        if not isinstance(value, Exception) or isinstance(value, SampleError):
            continue
        seen = f"{name} of {sample.where} raised {describe(value)}"
        if not isinstance(_called(subject, name, target, sample, **_TRAINING), Exception):
            raise BrokenError(seen)
        at = place(value)
        raise BrokenError(
            f"{seen}, and it also fails in training",
            cause=f"the reward itself fails{at and f' at {at}'}: a name, a type, or a key of meta "
            "that not every sample has",
            fix="fix that line; `rft score` calls the rewards on a completion",
        )


@law(
    "rewards-read-golds",
    "reward",
    "A reward works with the gold of every sample.",
    why="A gold that a reward cannot use stops the run when its sample comes, maybe after hours.",
    cause="golds that the parser reads but the reward cannot compare, such as words for symbolic",
    fix="correct these golds in the data, or use a reward that compares such answers",
    needs=CALLED,
)
def rewards_read_golds(subject: Subject) -> None:
    """Of all samples that were read: their own target, two wrong answers and none at all.

    What a reward declares as `gold_fault` counts as well.
    """
    golds: dict[str, Sample] = {}
    for sample in subject.readable:
        golds.setdefault(sample.gold, sample)
    for sample in [*golds.values()][:_GOLDS]:
        for name in subject.terms:
            if fault := rewards.gold_fault(_reward(subject, name), subject.value(sample)):
                raise BrokenError(
                    f"{sample.where}, gold {shown(sample.gold)}: {name} cannot use it: {fault}"
                )
        texts = [subject.target(sample), *subject.wrong_targets(sample, 2), ""]
        readable = [text for text in texts if subject.can_be_scored(text)]
        for name in subject.terms:
            values = [_called(subject, name, text, sample) for text in readable]
            for text, value in zip(readable, values, strict=True):
                if isinstance(value, SampleError):
                    raise BrokenError(
                        f"{sample.where}, gold {shown(sample.gold)}: {name} of {shown(text)}: "
                        f"{value}"
                    )
            if values and all(isinstance(value, Exception) for value in values):
                raise BrokenError(
                    f"{sample.where}, gold {shown(sample.gold)}: {name} raised "
                    f"{describe(values[0])}, whatever is answered",
                    cause="something of this sample that others have: a kind of gold, a key of "
                    f"meta ({place(values[0]) or 'no line of the plugin'})",
                    fix="correct the sample, or let the reward cope with it",
                )


@law(
    "rewards-in-training",
    "reward",
    "A reward works for any group of completions.",
    why="A failed reward removes its completion from the step, and too many stop the run.",
    cause="a division by the difference of lengths, which is 0 when all are equal",
    fix="check for it first; all siblings may be equal, or all wrong",
    needs=CALLED,
)
def rewards_in_training(subject: Subject) -> None:
    """Groups of equal completions and of different ones, at the first step and a late one."""
    for sample in subject.scorable[:6]:
        target = subject.target(sample)
        mixed = [target, "", *subject.wrong_targets(sample, 2), PLAIN, PLAIN][:_GROUP]
        for group in ([target] * _GROUP, [""] * _GROUP, mixed):
            for step in (0, 100_000):
                _in_training(subject, sample, group, step)


@law(
    "rewards-total",
    "reward",
    "A reward returns a value for every completion; it does not raise.",
    why="A policy may write any text; a failed call gives no score.",
    cause="x.answer is None when there is no answer, and is used without a check",
    fix="return 0 first for a completion without an answer",
    needs=CALLED,
)
def rewards_total(subject: Subject) -> None:
    """Answers and texts in any mixture, and all attacks."""

    def check(pair: Pair) -> None:
        for name in subject.terms:
            value = _called(subject, name, *pair)
            if isinstance(value, Exception) and not isinstance(value, TimeoutError | SampleError):
                cause, fix = _cause(subject, pair[0], value)
                seen = f"{name} of {shown(pair[0])} raised {describe(value)}"
                raise BrokenError(seen, cause=cause, fix=fix)

    _for_attempts(subject, check)


@law(
    "rewards-finite",
    "reward",
    "A reward is a finite number, or None.",
    why="One NaN makes the advantage of its whole group NaN.",
    cause="float('nan') and overflows pass through; a comparison with NaN is always false",
    fix="reject what is not finite in the parser, or return 0 for it",
    needs=CALLED,
)
def rewards_finite(subject: Subject) -> None:
    """On the same completions."""

    def check(pair: Pair) -> None:
        for name in subject.terms:
            value = _called(subject, name, *pair)
            if isinstance(value, Exception) or _is_finite(value):
                continue
            seen = f"{name} of {shown(pair[0])} is {shown(value)}"
            if _number(value) is not None:
                raise BrokenError(seen)
            raise BrokenError(
                f"{seen}, a {type(_value(value)).__name__}",
                cause="text, an array or a tensor of one number is returned",
                fix="return float(...)",
            )

    _for_attempts(subject, check)


@law(
    "rewards-deterministic",
    "reward",
    "A reward is the same each time for the same completion and sample.",
    why="A random reward teaches noise, and results cannot be reproduced.",
    cause="random numbers or the time in the reward, or a counter kept between calls",
    fix="compute it from the completion and the sample alone",
    needs=CALLED,
)
def rewards_deterministic(subject: Subject) -> None:
    """Three times in a row."""

    def check(pair: Pair) -> None:
        for name in subject.terms:
            values = [shown(_called(subject, name, *pair)) for _ in range(3)]
            if len(set(values)) > 1:
                raise BrokenError(f"{name} of {shown(pair[0])} is {', then '.join(values)}")

    _for_attempts(subject, check)


@law(
    "rewards-in-range",
    "reward",
    "A weighted reward is in [-1, 1].",
    why="Then its weight alone determines its share, and no completion dominates a step.",
    cause="a sum of points, a number of characters, a distance",
    fix="divide by the maximum, and set its share by the weight",
    needs=CALLED,
)
def rewards_in_range(subject: Subject) -> None:
    """Of terms whose weight is not 0, on the same completions."""

    def check(pair: Pair) -> None:
        for name in subject.weighted_terms:
            value = _number(_called(subject, name, *pair))
            if value is not None and math.isfinite(value) and not -1 <= value <= 1:
                raise BrokenError(f"{name} of {shown(pair[0])} is {value:g}")

    _for_attempts(subject, check)


@law(
    "rewards-stateless",
    "reward",
    "A reward does not depend on what was scored before.",
    why="Batches differ between one process and eight: scores would differ as well.",
    cause="a cache whose key lacks the sample, or a stored best value",
    fix="keep no state between calls; a cache key must contain all inputs",
    needs=COMPARED,
)
def rewards_stateless(subject: Subject) -> None:
    """Two samples' answers in one order and then in the other, in tasks made again."""
    subject.require_other_golds()
    one = subject.scorable[0]
    two = next((s for s in subject.scorable if subject.value(s) != subject.value(one)), None)
    if two is None:
        raise NotApplicableError("the golds of the samples that are scored are all the same")
    for gold in (one.gold, two.gold):
        forward = _in_order(subject, gold, [one, two], "seen so")
        backward = _in_order(subject, gold, [two, one], "so seen")
        if forward != backward[::-1]:
            raise BrokenError(
                f"the answer {shown(gold)} to {one.where} and then {two.where} earns "
                f"{shown(forward)}, in the other order {shown(backward[::-1])}"
            )


@law(
    "rewards-same-in-other-process",
    "reward",
    "A worker process with another hash seed gives the same scores.",
    why="Scoring is divided among workers: rewards would depend on the worker.",
    cause="the order of a set, hash(text), or state of the parent process",
    fix="sort sets; create what is needed in the factory",
    needs=(*COMPARED, "parser-same-in-other-process", "rewards-stateless"),
)
def rewards_same_in_other_process(subject: Subject) -> None:
    """What SFT teaches, wrong answers and nothing at all."""
    mine, found = subject.scores, subject.elsewhere
    if error := found.task_error or found.score_error:
        raise BrokenError(
            f"another process could not score: {error}",
            cause="a reward that relies on what only this process has, or that ends its process",
            fix="make what it needs in the factory",
        )
    for (split, index, text), here, there in zip(subject.scored, mine, found.scores, strict=True):
        for name, outcome in here.items():
            if list(outcome) != list(there[name]):
                raise BrokenError(
                    f"{name} of {shown(text)} for {split}[{index}] is {outcome[1]} here and "
                    f"{there[name][1]} there"
                )


@law(
    "rewards-raise-on-faults",
    "reward",
    "A reward raises on a faulty sample; it does not return a score.",
    why="An exception turned into 0.0 trains on a bug, and no curve shows it.",
    cause="try: ... except Exception: return 0.0",
    fix="let it raise: the scorer counts the failure and names the sample",
    needs=CALLED,
)
def rewards_raise_on_faults(subject: Subject) -> None:
    """Each reward is given a gold, then a sample, that raises whatever is done with it."""
    for sample in subject.scorable[:4]:
        for completion in filter(
            subject.can_be_scored, (subject.target(sample), *subject.wrong_targets(sample, 1))
        ):
            for name in subject.terms:
                _trip(subject, name, completion, sample)


@law(
    "rewards-keep-input",
    "reward",
    "A reward does not modify its input.",
    why="The next reward and the next epoch would see another sample.",
    cause="a list of the sample is sorted or cleared in place",
    fix="copy before modifying: sorted(x) instead of x.sort()",
    needs=CALLED,
)
def rewards_keep_input(subject: Subject) -> None:
    """Answer and gold before and after; the samples before the first call of all and now."""
    for sample, untouched in zip(subject.sample_subset, subject.originals, strict=True):
        if sample not in subject.scorable or not subject.can_be_scored(subject.target(sample)):
            continue
        for name in subject.terms:
            function, x = subject.reward_call(name, subject.target(sample), sample)
            before = canonical([x.answer, x.gold])
            with suppress(Exception):  # for another law
                function(x)
            if (after := canonical([x.answer, x.gold])) != before:
                raise BrokenError(f"{name} changed {shown(before)} to {shown(after)}")
        if (after := canonical(sample)) != untouched:
            raise BrokenError(f"a reward changed {shown(untouched)} to {shown(after)}")


@law(
    "closer-earns-more",
    "reward",
    "A closer number never earns less.",
    why="GRPO follows the slope of the reward, away from the gold if it points there.",
    cause="a difference without abs(), or an inverted ramp",
    fix="let the reward fall with abs(answer - gold)",
    needs=COMPARED,
)
def closer_earns_more(subject: Subject) -> None:
    """On either side of the gold, for rewards that read the answer alone."""
    named = [name for name in subject.weighted_terms if not rewards.uses(_reward(subject, name))]
    samples = [sample for sample in subject.scorable if _is_number(subject.value(sample))]
    if not named or not samples:
        raise NotApplicableError("no answer is a number, or no reward reads the answer alone")
    steps = st.integers(0, 30) | st.sampled_from([50, 100, 1000])
    near_by = [(one, one + 1) for one in range(6)]

    def check(row: tuple[Sample, int, int, int]) -> None:
        sample, side, one, two = row
        near, far = sorted((one, two))
        for name in named:
            _closer(subject, name, sample, side * near, side * far)

    for sample, side, pair in product(samples[:4], (-1, 1), near_by):
        check((sample, side, *pair))
    for_all(subject, st.tuples(one_of(samples), one_of([-1, 1]), steps, steps), check)


def _reward(subject: Subject, name: str) -> Reward:
    made: Any = subject.terms[name].reward  # resolved: the task was made by the catalogue
    return cast("Reward", made)


def _called(subject: Subject, name: str, completion: str, sample: Sample, **more: Any) -> Any:
    """What a reward gives, or the exception that it raises."""
    function, x = subject.reward_call(name, completion, sample, **more)
    try:
        with within(PATIENCE_S):
            return function(x)
    except (Exception, SystemExit) as error:
        return error if isinstance(error, Exception) else RuntimeError("SystemExit")


def _value(output: object) -> object:
    return output.value if isinstance(output, RewardResult) else output


def _is_finite(output: object) -> bool:
    number = _number(output)
    return _value(output) is None if number is None else math.isfinite(number)


def _number(output: object) -> float | None:
    return number_of(_value(output))


def _is_number(value: object) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def _cause(subject: Subject, completion: str, error: Exception) -> tuple[str, str]:
    """Of a reward that raises on a completion; "" for the law's own."""
    parsed = subject.read(completion)
    if parsed is None or not parsed.ok:
        return "", ""
    at = place(error)
    return (
        f"an answer that the parser reads, {shown(parsed.value)}, and the reward does not expect"
        f"{at and f' ({at})'}",
        "score such an answer 0.0, or reject it in the parser",
    )


def _for_attempts(subject: Subject, check: Any) -> None:
    """All attacks on two samples, then what hypothesis makes of tags and answers."""
    for sample in subject.scorable[:2]:
        for _, completion in subject.attacks(sample):
            if subject.can_be_scored(completion):
                check((completion, sample))

    def check_read(pair: Pair) -> None:
        if subject.can_be_scored(pair[0]):
            check(pair)

    for_all(subject, attempts(subject), check_read)


def _attempts(subject: Subject) -> Iterator[tuple[str, str, Sample]]:
    kinds = [kind for kind in attacks.KINDS if kind != "huge"]
    for number, sample in enumerate(subject.scorable):
        tried = [subject.target(sample), *subject.wrong_targets(sample, 2)]
        tried += [text for _, text in subject.attacks(sample, kinds)] if number == 0 else []
        for completion in (text[:_LONG] for text in tried):
            if subject.can_be_scored(completion):
                yield from ((name, completion, sample) for name in subject.terms)


def _seconds(subject: Subject, name: str, completion: str, sample: Sample) -> float:
    function, x = subject.reward_call(name, completion, sample)

    def call() -> None:
        try:
            function(x)
        except Exception:
            return  # another law's

    try:
        with within(PATIENCE_S):  # a reward may start a process when it is first called
            return least(call, DEADLINE_S)
    except TooLong:
        return math.inf


def _in_training(subject: Subject, sample: Sample, group: list[str], step: int) -> None:
    group = [text for text in group if subject.can_be_scored(text)]
    count = len(group)
    for tokens in ([7] * count, list(range(1, count + 1))):
        try:
            scores = scorer_of(subject.task).score(
                group, [sample] * count, step=step, groups=[0] * count, tokens=tokens
            )
        except SampleError:
            return  # for `rewards-read-golds`
        except PluginError as error:
            raise NotCheckedError(str(error), "samples-picklable") from error
        for text, score in zip(group, scores, strict=True):
            for name, part in score.parts.items():
                alone = _called(subject, name, text, sample)
                if part.kind == "error" and not isinstance(alone, Exception) and _is_finite(alone):
                    divided = part.note.startswith(ZeroDivisionError.__name__)
                    raise BrokenError(
                        f"{name} at step {step}, {tokens} tokens: {part.note}",
                        cause=""
                        if divided
                        else "what only training has, step, tokens, siblings "
                        "or their tokens, is used in a way that fails for this group",
                        fix="" if divided else "repair it; siblings may be alike, and all wrong",
                    )


def _in_order(subject: Subject, gold: str, samples: list[Sample], salt: str) -> list[Any]:
    """In a task made again and with reasoning of its own, so that no cache has it."""
    unique = "".join(random.sample("abcdefghijklmnopqrstuvwxyz", 12))
    text = tags.write(f"I looked, {salt} {unique}.", gold)
    scorer = scorer_of(subject.remade_task())
    return [row_of(scorer, text, sample) for sample in samples]


def _trip(subject: Subject, name: str, completion: str, sample: Sample) -> None:
    function, x = subject.reward_call(name, completion, sample)
    wire = Tripwire()
    traps: list[tuple[str, Tripwire, Mapping[str, Any]]] = [("gold", wire, {"gold": wire})]
    if x.sample is not None:
        bare = BareSample(wire := Tripwire())
        traps.append(("sample", wire, {"sample": bare}))
    for what, trap, change in traps:
        changed: Any = type(x)(**{**vars(x), **change})
        try:
            value = function(changed)
        except (Exception, SystemExit):
            continue
        if trap.tripped and value is not None:
            fault = f"reading its {what} raised {TrippedError.__name__}"
            raise BrokenError(f"{name} returned {shown(value)} although {fault}")


def _closer(subject: Subject, name: str, sample: Sample, near: int, far: int) -> None:
    gold = subject.value(sample)
    unit = 1 if isinstance(gold, int) else max(abs(gold), 1.0) / 100
    texts = [subject.parser.show(type(gold)(gold + unit * off)) for off in (near, far)]
    read = [subject.read(text, "gold") for text in texts]
    if not all(parsed is not None and parsed.ok for parsed in read):
        return  # outside what the parser reads
    completions = [tags.write(PLAIN, text) for text in texts]
    if not all(map(subject.can_be_scored, completions)):
        return
    one, two = (_number(_called(subject, name, text, sample)) for text in completions)
    if one is not None and two is not None and one < two - 1e-9:
        raise BrokenError(
            f"{name}: gold {shown(sample.gold)}, {texts[0]} earns {one:g}, {texts[1]} {two:g}"
        )
