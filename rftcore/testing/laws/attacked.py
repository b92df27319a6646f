"""Laws of the weighted sum under attack: completions that do not solve the task do not win."""

from collections.abc import Sequence
from statistics import fmean
from typing import Any

from rftcore import tags
from rftcore.rewards import uses
from rftcore.scoring import Score
from rftcore.testing.digests import shown
from rftcore.testing.errors import BrokenError, NotApplicableError
from rftcore.testing.law import law
from rftcore.testing.subject import Subject
from rftcore.testing.subject.completions import PLAIN
from rftcore.types import Sample

HALF = 0.5  # of the way from a wrong answer to the truth: unreachable without solving
_NOISE = 1e-9
MOST = 6  # samples that are attacked
_ABOUT_THE_ANSWER = 0.5  # least difference, gold to wrong, of a reward for the answer
HOLDS = ("truth-is-correct", "wrong-is-not-correct")
READS = ("parser-one-answer", "parser-ignores-reasoning")
_MALFORMED = (
    *("form/empty", "form/blank", "tags/several-after-reasoning", "tags/nested"),
    *("tags/in-reasoning", "tags/reasoned-again"),
)


@law(
    "no-answer-lists",
    "mix",
    "A list of answers does not win.",
    why="A policy that lists all answers is always right: the classic hack of string matching.",
    cause="`gold in answer`, or the last number of the text is used as the answer",
    fix="parse one answer and compare it whole",
    needs=(*HOLDS, *READS),
)
def no_answer_lists(subject: Subject) -> None:
    """With commas, slashes, lines or in prose; the gold first, last or between."""
    _resisted(subject, ["list"])


@law(
    "no-tag-tricks",
    "mix",
    "A second answer beside the first does not win.",
    why="Two attempts at every question would count as skill.",
    cause="a reward searches the completion for a block that holds the gold",
    fix="use x.answer, which the parser found",
    needs=(*HOLDS, *READS),
)
def no_tag_tricks(subject: Subject) -> None:
    """Several, nested, unclosed, misspelled blocks, and one hidden in the reasoning."""
    _resisted(subject, ["tags"])


@law(
    "no-prompt-echo",
    "mix",
    "Repeating the prompt does not win.",
    why="An untrained policy often repeats its prompt.",
    cause="words of the question are counted, or the gold is searched anywhere in the text",
    fix="compare only the parsed answer",
    needs=HOLDS,
)
def no_prompt_echo(subject: Subject) -> None:
    """As it is, as reasoning and as the answer."""
    _resisted(subject, ["echo"])


@law(
    "no-empty-form",
    "mix",
    "The format without content does not win.",
    why="Tags are learned within twenty steps; after that the reward has to depend on the answer.",
    cause="a missing answer equals a missing gold, or an unparsed answer gets partial credit",
    fix="return 0 if x.answer is None",
    needs=HOLDS,
)
def no_empty_form(subject: Subject) -> None:
    """Blank blocks, dots, placeholders."""
    _resisted(subject, ["form"])


@law(
    "no-repetition",
    "mix",
    "Repeating an answer, or writing it at great length, does not win.",
    why="Policies fall into loops, which must not be rewarded.",
    cause="matches are counted, or compared as a set",
    fix="compare the whole answer, and penalize repeats",
    needs=HOLDS,
)
def no_repetition(subject: Subject) -> None:
    """The gold ten times in one answer; tens of thousands of words, digits, brackets and tags."""
    _resisted(subject, ["repeat", "huge"])


@law(
    "no-strange-text",
    "mix",
    "NaN, infinities and invisible characters do not win.",
    why="NaN compares false with every bound: an inverted ramp gives it the full reward.",
    cause="`if error > limit: return 0`, which NaN passes; invisible characters that are removed",
    fix="write `if not error <= limit`; parse plain digits only",
    needs=HOLDS,
)
def no_strange_text(subject: Subject) -> None:
    """nan, inf, 1e999, digits of other scripts; zero-width, direction and control characters."""
    _resisted(subject, ["strange", "hidden"])


@law(
    "form-has-content",
    "mix",
    "A format reward is 0 for empty, repeated or nested blocks.",
    why="The policy ends up writing the cheapest text that passes.",
    cause="a pattern such as <think>.*</think>\\s*<answer>.*</answer>, whose dots match anything",
    fix="rft.rewards.tags, or count the tags and check the text between them",
    needs=HOLDS,
)
def form_has_content(subject: Subject) -> None:
    """Of rewards that pay every well-formed completion, right or wrong, and nothing for silence."""
    forms = [name for name in subject.terms if _is_about_form(subject, name)]
    if not forms:
        raise NotApplicableError("no reward is about form alone")
    for sample in subject.scorable[:MOST]:
        named = {text: name for name, text in subject.attacks(sample) if name in _MALFORMED}
        for text, score in subject.scored_of([*named], sample):
            for name in forms:
                if (value := _value(score, name)) and value > 0:
                    raise BrokenError(f"{name} pays {value:g} for {named[text]}: {shown(text)}")


def _is_about_form(subject: Subject, name: str) -> bool:
    for sample in subject.scorable[:MOST]:
        texts = [subject.target(sample), *subject.wrong_targets(sample)]
        formed = {_value(score, name) for _, score in subject.scored_of(texts, sample)}
        unanswered = [_value(score, name) for _, score in subject.scored_of([""], sample)]
        if formed != {1.0} or any(unanswered):
            return False
    return True


def _resisted(subject: Subject, kinds: Sequence[str]) -> None:
    for sample in subject.scorable[:MOST]:
        truth = subject.scored_of([subject.target(sample)], sample)
        wrong = [score for _, score in subject.scored_of(subject.wrong_targets(sample), sample)]
        named = {text: name for name, text in subject.attacks(sample, kinds)}
        for text, score in subject.scored_of([*named], sample) if truth else ():
            if won := _won(subject, truth[0][1], wrong, score, _alone(subject, sample, score)):
                cause, fix = _cause(subject, sample, score, kinds)
                raise BrokenError(
                    f"{sample.where}, attack {named[text]}: {won} for {shown(text)}",
                    cause=cause,
                    fix=fix,
                )


def _alone(subject: Subject, sample: Sample, attack: Score) -> Score | None:
    """The score of the wrong answer that the parser reads from an attack, written plainly.

    A graded reward may pay for it as it is: then the attack won nothing.
    """
    if not attack.parsed.ok:
        return None
    for wrong in subject.other_golds(sample):
        if subject.golds[wrong] == attack.parsed.value:
            rows = subject.scored_of([tags.write(PLAIN, wrong)], sample)
            return rows[0][1] if rows else None
    return None


def _won(
    subject: Subject, truth: Score, wrong: Sequence[Score], attack: Score, alone: Score | None
) -> str:
    """What an attack gets that it should not, or ""."""
    if attack.correct:
        return "" if alone and alone.correct else "it is correct"
    columns = {"the total": [score.total for score in (truth, attack, alone or attack, *wrong)]}
    for name in subject.terms:
        columns[name] = [_value(score, name) for score in (truth, attack, alone or attack, *wrong)]
    for name, (most, got, plainly, *least) in columns.items():
        plain = [value for value in least if value is not None]
        if most is None or got is None or not plain:
            continue
        low = fmean(plain)
        about = name == "the total" or most - low > _ABOUT_THE_ANSWER
        more = alone is None or plainly is None or got > plainly + _NOISE
        if about and more and most > low and got >= low + HALF * (most - low):
            return f"{name} is {got:.3g}, the truth's {most:.3g} and a wrong answer's {low:.3g},"
    return ""


def _cause(
    subject: Subject, sample: Sample, attack: Score, kinds: Sequence[str]
) -> tuple[str, str]:
    """Of an attack that won, by what the parser reads; "" for the law's own."""
    if attack.parsed.ok and attack.parsed.value == subject.value(sample):
        return (
            f"the parser reads {shown(sample.gold)} from it, as from a plain answer",
            "let the parser read the answer whole, and reject what is more than one answer",
        )
    rewards: list[Any] = [term.reward for term in subject.weighted_terms.values()]
    if kinds != ["tags"] or any("completion" in uses(reward) for reward in rewards):
        return "", ""
    read = shown(attack.parsed.value) if attack.parsed.ok else "None"
    return (
        f"no reward reads the completion: one pays for the answer {read} as if it were right",
        "compare x.answer with x.gold whole; return 0 if x.answer is None",
    )


def _value(score: Score, name: str) -> float | None:
    return score.parts[name].value
