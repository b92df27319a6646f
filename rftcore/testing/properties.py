"""Hypothesis, which finds the smallest example that breaks a law, and strategies for text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from rftcore import tags
from rftcore.errors import PluginError

try:
    from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
    from hypothesis import strategies as st
except ImportError as error:
    raise PluginError(
        "the laws need hypothesis, which is not installed: pip install 'rftcore[testing]'"
    ) from error

__all__ = ["NASTY", "Pair", "answers", "attempts", "for_all", "one_of", "reasonings", "st", "texts"]

if TYPE_CHECKING:
    from rftcore.testing.subject import Subject
    from rftcore.types import Sample

Value = TypeVar("Value")
Pair = tuple[str, "Sample"]

_WORDS = ("Wait,", "3", "-1", "4.5", "the", "red", "A", "so", "or", ",", "\n", " ", "", "=", "()")
# Text that breaks parsers: NUL, bidirectional marks, a lone surrogate, digits of no decimal value.
NASTY = (
    *("\x00", "\u202e\u202d", "\ud800", "\u00b2", "\u0663", "\u2167", "\ufeff", "\U0001f9ca"),
    *("nan", "-inf", "1e999", "1_000", "0x1f", "%s", "{}", "\\", "\r\n", "<", ">", "&lt;"),
    *("<think>", "</think>", "<answer>", "</answer>", "<ANSWER >", "</ answer>", "<answer a='1'>"),
)


def for_all(
    subject: Subject, values: st.SearchStrategy[Value], law: Callable[[Value], Any]
) -> None:
    """Check `law` on many values; raises what it raises on the smallest value that breaks it."""
    tried = given(values)(law)
    tried = settings(
        max_examples=subject.settings.examples,
        database=None,
        deadline=None,
        derandomize=False,
        phases=(Phase.generate, Phase.shrink),
        print_blob=False,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
        verbosity=Verbosity.quiet,
    )(tried)
    seed(subject.settings.seed)(tried)()


def one_of(values: Sequence[Value]) -> st.SearchStrategy[Value]:
    """One of some values."""
    return st.sampled_from(values)


def joined(pieces: Sequence[str], most: int = 6) -> st.SearchStrategy[str]:
    """A few pieces, joined."""
    return st.lists(st.sampled_from(pieces), max_size=most).map("".join)


def texts(subject: Subject) -> st.SearchStrategy[str]:
    """Any text: random, hostile, or made of tags and this task's own answers."""
    pieces = [*NASTY, *_WORDS, *subject.golds]
    return st.one_of(st.text(max_size=30), joined(pieces), st.sampled_from(subject.targets))


def answers(subject: Subject) -> st.SearchStrategy[str]:
    """The text of an answer: this task's, such answers changed a little, or anything."""
    golds = st.sampled_from(list(subject.golds))
    changed = st.builds(_changed, golds, st.integers(0, 10**6), st.sampled_from([*NASTY, *_WORDS]))
    return st.one_of(golds, changed, joined([*NASTY, *_WORDS, *subject.golds], 3))


def reasonings(subject: Subject) -> st.SearchStrategy[str]:
    """Reasoning that mentions other answers, also in blocks, and is not closed early."""
    golds = list(subject.golds)
    blocks = [f"<answer>{gold}</answer>" for gold in golds]
    return joined([*_WORDS, *golds, *blocks, "Maybe ", "so ", "<answer>"]).map(lambda t: f"So: {t}")


def attempts(subject: Subject) -> st.SearchStrategy[Pair]:
    """A completion and the sample it is an answer to."""
    written = st.builds(tags.write, reasonings(subject), answers(subject))
    completions = st.one_of(written, texts(subject))
    return st.tuples(completions, st.sampled_from(subject.scorable))


def _changed(text: str, at: int, by: str) -> str:
    place = at % (len(text) + 1)
    return text[:place] + by + text[place + at % 2 :]
