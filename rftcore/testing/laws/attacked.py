"""Laws of the mix under attack: what does not solve the task does not win it."""

from collections.abc import Sequence
from statistics import fmean

from rftcore.scoring import Score
from rftcore.testing.digests import shown
from rftcore.testing.law import BrokenError, NotApplicableError, law
from rftcore.testing.subject import Subject
from rftcore.types import Sample

HALF = 0.5  # of the way from a wrong answer to the truth: nobody gets there without solving
MOST = 6  # samples that are attacked
_ABOUT_THE_ANSWER = 0.5  # a reward that tells truth from lie by so much is about the answer
HOLDS = ("right-is-worth-it", "silence-earns-least")
READS = ("parser-one-answer", "parser-ignores-reasoning")
_MALFORMED = (
    *("form/empty", "form/blank", "tags/several-after-reasoning", "tags/nested"),
    *("tags/in-reasoning", "tags/reasoned-again"),
)


@law(
    "no-answer-lists",
    "mix",
    "A list of answers does not win.",
    why="Whoever may list all answers is always right: the classic hack of string matching.",
    cause="`gold in answer`, or the last number of the text is taken for the answer",
    fix="parse one answer and compare it whole",
    needs=(*HOLDS, *READS),
)
def no_answer_lists(subject: Subject) -> None:
    """With commas, slashes, lines or in prose; the gold first, last or between."""
    _resisted(subject, ["list"])


@law(
    "no-tag-games",
    "mix",
    "A second answer beside the first does not win.",
    why="Two chances at every question look like skill.",
    cause="a reward searches the completion for a block that holds the gold",
    fix="use x.answer, which the parser found",
    needs=(*HOLDS, *READS),
)
def no_tag_games(subject: Subject) -> None:
    """Several, nested, unclosed, misspelt blocks, and one hidden in the reasoning."""
    _resisted(subject, ["tags"])


@law(
    "no-prompt-echo",
    "mix",
    "Repeating the prompt does not win.",
    why="It is the first thing that an untrained policy does.",
    cause="words of the question are counted, or the gold is looked for anywhere",
    fix="compare the parsed answer alone",
    needs=HOLDS,
)
def no_prompt_echo(subject: Subject) -> None:
    """As it is, as reasoning and as the answer."""
    _resisted(subject, ["echo"])


@law(
    "no-empty-form",
    "mix",
    "The form without content does not win.",
    why="Tags are learnt in twenty steps; what then pays has to be the answer.",
    cause="no answer equals no answer, or an unreadable one is given the benefit of the doubt",
    fix="earn 0 if x.answer is None",
    needs=HOLDS,
)
def no_empty_form(subject: Subject) -> None:
    """Blank blocks, dots, placeholders."""
    _resisted(subject, ["form"])


@law(
    "no-repetition",
    "mix",
    "Saying an answer over and over, or at great length, does not win.",
    why="Loops are what a policy falls into; they must not pay.",
    cause="hits are counted, or compared as a set",
    fix="compare the whole answer, and let repeats count against it",
    needs=HOLDS,
)
def no_repetition(subject: Subject) -> None:
    """The gold ten times in one answer; tens of thousands of words, digits, brackets and tags."""
    _resisted(subject, ["repeat", "huge"])


@law(
    "no-strange-text",
    "mix",
    "Numbers that are none, and text that nobody sees, do not win.",
    why="nan compares false with every bound: a ramp written the wrong way pays it in full.",
    cause="`if error > limit: return 0`, which NaN passes; invisible characters that are cut out",
    fix="write `if not error <= limit`; read plain digits only",
    needs=HOLDS,
)
def no_strange_text(subject: Subject) -> None:
    """nan, inf, 1e999, digits of other scripts; zero-width, direction and control characters."""
    _resisted(subject, ["strange", "hidden"])


@law(
    "form-has-content",
    "mix",
    "A reward for form pays nothing for empty, doubled or nested blocks.",
    why="The cheapest text that passes is what the policy ends up writing.",
    cause="a pattern such as <think>.*</think>\\s*<answer>.*</answer>, whose dots match anything",
    fix="rft.rewards.tags, or count the tags and look at what stands between them",
    needs=HOLDS,
)
def form_has_content(subject: Subject) -> None:
    """Of rewards that pay every well-formed completion, right or wrong, and nothing for silence."""
    forms = [name for name in subject.terms if _is_about_form(subject, name)]
    if not forms:
        raise NotApplicableError("no reward is about form alone")
    for sample in subject.few[:MOST]:
        named = [(name, text) for name, text in subject.attacks(sample) if name in _MALFORMED]
        scores = subject.score([text for _, text in named], sample)
        for (attack, text), score in zip(named, scores, strict=True):
            for name in forms:
                if (value := _value(score, name)) and value > 0:
                    raise BrokenError(f"{name} pays {value:g} for {attack}: {shown(text)}")


def _is_about_form(subject: Subject, name: str) -> bool:
    for sample in subject.few[:MOST]:
        texts = [subject.target(sample), *subject.lies(sample), ""]
        *formed, silent = [_value(score, name) for score in subject.score(texts, sample)]
        if {*formed} != {1.0} or silent:
            return False
    return True


def _resisted(subject: Subject, kinds: Sequence[str]) -> None:
    for sample in subject.few[:MOST]:
        truth = subject.score([subject.target(sample)], sample)[0]
        lies = subject.score(subject.lies(sample), sample)
        named = subject.attacks(sample, kinds)
        scores = subject.score([text for _, text in named], sample)
        for (name, text), score in zip(named, scores, strict=True):
            if won := _won(subject, truth, lies, score):
                raise BrokenError(f"{_named(sample)}, attack {name}: {won} for {shown(text)}")


def _won(subject: Subject, truth: Score, lies: Sequence[Score], attack: Score) -> str:
    """What an attack gets that it should not, or ""."""
    if attack.correct:
        return "it is correct"
    columns = {"the total": [score.total for score in (truth, attack, *lies)]}
    for name in subject.terms:
        columns[name] = [_value(score, name) for score in (truth, attack, *lies)]
    for name, (most, got, *least) in columns.items():
        plain = [value for value in least if value is not None]
        if most is None or got is None or not plain:
            continue
        low = fmean(plain)
        about = name == "the total" or most - low > _ABOUT_THE_ANSWER
        if about and most > low and got >= low + HALF * (most - low):
            return f"{name} is {got:.3g}, the truth's {most:.3g} and a wrong answer's {low:.3g},"
    return ""


def _value(score: Score, name: str) -> float | None:
    return score.parts[name].value


def _named(sample: Sample) -> str:
    return sample.origin or f"sample {sample.id}"
