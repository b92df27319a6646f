"""Laws of a parser: total, linear in time, and independent of text around the answer."""

from collections.abc import Callable
from math import inf

from rftcore import tags
from rftcore.errors import describe
from rftcore.rewards import attacks
from rftcore.testing.clock import TooLong, computing, within
from rftcore.testing.digests import canonical, shown
from rftcore.testing.errors import BrokenError, NotCheckedError
from rftcore.testing.hostile import completions, hostile
from rftcore.testing.law import law
from rftcore.testing.properties import answers, for_all, one_of, reasonings, st
from rftcore.testing.subject import Subject
from rftcore.testing.subject.answers import SlowError
from rftcore.testing.values import value_fault
from rftcore.types import Parsed, Sample

WHOLE = ("samples-valid",)
TARGETS = ("parser-reads-target",)
SPACES = ("", " ", "\n", "\r\n", "\t", "\n\n  ")

_SIZES = (500, 2_000, 8_000, 32_000)  # characters of hostile text, each four times the last
_SURELY_S = 0.02  # computing below which nothing is slow
_LATE_S, _HOPELESS_S = 1.5, 6.0  # for one text; from when it is not measured again
_NUMBERS = ("nan", "NaN", "-nan", "[NaN]", "[NaN, NaN, NaN, NaN]", '{"a": NaN}', "NaN, 1", "(nan)")
_GROWTH = 8.0  # of the time for four times the text: 4 is linear, 16 is quadratic

_CAUSES: dict[type[BaseException], tuple[str, str]] = {
    RecursionError: (
        "json.loads, ast.literal_eval or a reader that calls itself, on thousands of brackets",
        "catch RecursionError as well, or reject text with more brackets than an answer has",
    ),
    UnicodeError: (
        "encode() of a lone surrogate, or of text that is not ASCII",
        "reject such text first, or encode with errors='backslashreplace'",
    ),
    OverflowError: (
        "int() of an infinity, or float() of an integer of hundreds of digits",
        "reject what is not math.isfinite, and long numbers",
    ),
    ZeroDivisionError: ("a fraction over zero", "reject a zero below the line"),
    MemoryError: (
        "work that grows without a bound, such as 10 ** n",
        "reject long answers and large exponents first",
    ),
    LookupError: (
        "a part of the text that is not always there: an index, a group, a key",
        "look whether it is there; return rft.Parsed(error='...') if not",
    ),
    AttributeError: (
        "a match that found nothing (None) is used all the same, or JSON of another type",
        "look whether there is a match, and of which type the value is",
    ),
    TypeError: (
        "JSON of another type than expected, or a match that found nothing",
        "look of which type the value is before using it",
    ),
    SystemExit: ("exit() in a library", "call what does not exit, or catch SystemExit"),
}


@law(
    "parser-near-linear",
    "parser",
    "Parsing time grows linearly with the length of the text, for hostile texts too.",
    why="An untrained policy may repeat one letter or bracket for long; training would hang.",
    cause="a regular expression with nested or adjacent repeats, such as (\\w+\\s?)*$",
    fix="possessive quantifiers (++, *+), or reject long answers before matching",
    needs=WHOLE,
)
def parser_near_linear(subject: Subject) -> None:
    """By computing time; a slow result is measured again. Exceptions are for another law."""
    for name, make in _hostile(subject):
        for method in ("parse", "gold"):
            _near_linear(subject, f"{method} of {name}", getattr(subject.parser, method), make)


@law(
    "parser-total",
    "parser",
    "The parser returns an answer or a parse error for any text; it never raises.",
    why="A policy may write any text; a parser that raises stops the run.",
    cause="int() or float() of text that only resembles a number, such as \u00b2",
    fix="match strictly first; return rft.Parsed(error='...') for everything else",
    needs=WHOLE,
)
def parser_total(subject: Subject) -> None:
    """Every gold, hostile texts, random text, tags and answers in any mixture."""
    from rftcore.testing.properties import NASTY

    given = dict.fromkeys(sample.gold for sample in subject.sample_subset)
    fixed = [*NASTY, *given, "", "x" * 100_000, "<answer>" * 3, "<answer>\x00</answer>"]
    fixed += [text for _, text in attacks.library("Reason.", *_two(subject))]
    for text in fixed:
        _total(subject, text)
    for text in dict.fromkeys(sample.gold for sample in subject.all_samples):
        _total(subject, text, methods=("gold",))
    for name, text in hostile([*given][:1]):
        _total(subject, text, name, ("gold",), times=1)
        for where, completion in completions(name, text):
            _total(subject, completion, where, ("parse",), times=1)
    for_all(subject, st.text(max_size=40), lambda text: _total(subject, text))
    pieces = st.lists(st.sampled_from([*NASTY, *given, " "]), max_size=6).map("".join)
    for_all(subject, pieces, lambda text: _total(subject, text))


@law(
    "golds-parse",
    "parser",
    "The parser can parse every gold.",
    why="No completion can match a gold that does not parse; it stops the run.",
    cause="a range that is too narrow, units or words in the gold, a gold stored with its tags",
    fix="write golds as the parser's show() writes them",
    needs=WHOLE,
)
def golds_parse(subject: Subject) -> None:
    """Of all samples that were read; an exception is the law of totality's."""
    read = {sample.gold: subject.read(sample.gold, "gold") for sample in subject.all_samples}
    if not any(read.values()):
        raise NotCheckedError("gold() returns nothing for any gold", "parser-total")
    for sample in subject.all_samples:
        parsed = read[sample.gold]
        if parsed is not None and not parsed.ok:
            raise BrokenError(f"{sample.where}: gold {shown(sample.gold)}: {parsed.error}")


@law(
    "parser-self-equal",
    "parser",
    "A parsed value equals itself and a copy of itself.",
    why="Rewards compare answers with ==: a NaN anywhere in a value makes a right answer wrong.",
    cause="float('nan') or json.loads, which reads NaN; an array or a class without a plain ==",
    fix="reject what is not finite (math.isfinite); return numbers, text, tuples or dataclasses",
    needs=WHOLE,
)
def parser_self_equal(subject: Subject) -> None:
    """The golds' values, and those of texts like them with NaN and other odd numbers inside."""
    golds = dict.fromkeys(sample.gold for sample in subject.all_samples)
    few = [sample.gold for sample in subject.sample_subset][:1]
    odd = [text for _, text in hostile([*few, "[1]", '{"a": 1}', "(1, 2)"])]
    for text in [*golds, *_NUMBERS, *odd]:
        _self_equal(subject, text)
    if subject.golds:
        for_all(subject, answers(subject), lambda text: _self_equal(subject, text))


@law(
    "parser-round-trip",
    "parser",
    "gold(show(value)) is the same value.",
    why="Reports, logs and stored answers are written by show(): they must mean the parsed value.",
    cause="show() rounds, or writes a form that gold() rejects",
    fix="write the value with all its digits, in the form that gold() parses",
    needs=WHOLE,
)
def parser_round_trip(subject: Subject) -> None:
    """The golds' values, and those of texts like them."""
    for _, text in hostile([sample.gold for sample in subject.scorable][:1]):
        _round_trip(subject, text)
    for_all(subject, answers(subject), lambda text: _round_trip(subject, text))


@law(
    "parser-same-in-other-process",
    "parser",
    "Another process with another hash seed reads and shows golds alike.",
    why="Reports of two runs, and a comparison of stored answers, would differ without a reason.",
    cause="show() writes a set in its order, or hash(text) is in a value",
    fix="sort what a set holds before it is written",
    needs=("samples-same-in-other-process", "parser-round-trip"),
)
def parser_same_in_other_process(subject: Subject) -> None:
    """By golds with distinct values."""
    mine, found = subject.answers, subject.elsewhere
    if error := found.task_error or found.answer_error:
        raise BrokenError(
            f"another process could not read or show golds: {error}",
            cause="a parser that relies on what only this process has, or that ends its process",
            fix="make what it needs in the factory",
        )
    for (gold, here), there in zip(mine.items(), found.answers, strict=True):
        for what, one, other in zip(("read", "shown"), here, there, strict=True):
            if one != other:
                raise BrokenError(
                    f"gold {shown(gold)} is {what} as {shown(one)} here and {shown(other)} there"
                )


@law(
    "parser-reads-target",
    "parser",
    "The parser finds the gold in the SFT target.",
    why="Otherwise SFT teaches completions that GRPO scores as having no answer.",
    cause="a pattern without re.DOTALL, which stops at the line break after the tag; other tags",
    fix="rftcore.parsers.in_tags finds the answer; your parser reads its text",
    needs=WHOLE,
)
def parser_reads_target(subject: Subject) -> None:
    """The target of every sample that was read, as far as its gold is."""
    if not any(map(subject.can_be_scored, subject.targets)):
        raise NotCheckedError("parse() returns nothing for any target", "parser-total")
    for sample in subject.readable:
        _means(subject, subject.target(sample), sample)


@law(
    "parser-ignores-space",
    "parser",
    "White space around an answer is ignored.",
    why="Models differ in the spaces they write; a right answer would sometimes be wrong.",
    cause="the text between the tags is compared unstripped",
    fix="strip() it before reading",
    needs=TARGETS,
)
def parser_ignores_space(subject: Subject) -> None:
    """Between tags and answer, and around the whole."""

    def check(row: tuple[Sample, str, str]) -> None:
        sample, before, after = row
        text = f"{before}<think>So.</think>{after}<answer>{before}{sample.gold}{after}</answer>"
        _means(subject, text + before, sample)

    for_all(subject, st.tuples(one_of(subject.scorable), one_of(SPACES), one_of(SPACES)), check)


@law(
    "parser-ignores-reasoning",
    "parser",
    "The answer is never read from the reasoning.",
    why="A draft in the reasoning would replace the answer.",
    cause="the first answer tag of the text is used, wherever it is",
    fix="rftcore.parsers.in_tags, which searches after the reasoning only",
    needs=TARGETS,
)
def parser_ignores_reasoning(subject: Subject) -> None:
    """Reasoning that names other answers, in answer tags too."""

    def check(row: tuple[str, Sample]) -> None:
        reasoning, sample = row
        _means(subject, tags.write(reasoning, sample.gold), sample)

    for_all(subject, st.tuples(reasonings(subject), one_of(subject.scorable)), check)


@law(
    "parser-one-answer",
    "parser",
    "Several different answers are a parse error.",
    why="If several answers were accepted, a policy could list all answers, one of them right.",
    cause="the first or last of several answer blocks is used, or the first word of a block",
    fix="parse the whole block, and reject blocks that disagree",
    needs=("parser-ignores-reasoning",),
)
def parser_one_answer(subject: Subject) -> None:
    """Blocks that disagree are a parse error; a list in a block is not one of its members."""
    subject.require_other_golds()
    for sample in subject.scorable:
        others = subject.other_golds(sample)[:3]
        both = (sample.gold, others[0])
        for one, two in (both, both[::-1]):
            text = f"<think>So.</think><answer>{one}</answer><answer>{two}</answer>"
            parsed = subject.read(text)
            if parsed is not None and parsed.ok:
                raise BrokenError(f"{shown(text)} is read as {shown(parsed.value)}")
        for joint in (", ", " or ", "\n"):
            _no_member(subject, joint.join([sample.gold, *others]), [sample.gold, *others])


@law(
    "parser-rejects-unfinished",
    "parser",
    "A truncated completion has no answer.",
    why="Part of an answer may be another answer (12 of 128), and unfinished reasoning has none.",
    cause="the closing tag is optional, or the last number of the text is used",
    fix="require both answer tags and the closing tag of the reasoning",
    needs=TARGETS,
)
def parser_rejects_unfinished(subject: Subject) -> None:
    """What SFT teaches, cut anywhere between its first tag and its last."""
    for sample in subject.scorable:
        target = subject.target(sample)
        for end in {len(target) * part // 12 for part in range(1, 12)} | {len(target) - 4}:
            text = target[: max(end, len("<think>"))]
            parsed = subject.read(text)
            if parsed is not None and parsed.ok:
                raise BrokenError(f"{shown(text)} is read as {shown(parsed.value)}")


def _two(subject: Subject) -> tuple[str, list[str]]:
    golds = list(dict.fromkeys(sample.gold for sample in subject.sample_subset))
    return golds[0], golds[1:]


def _hostile(subject: Subject) -> list[tuple[str, Callable[[int], str]]]:
    """Texts of any length that readers stumble over, by name."""
    gold = subject.sample_subset[0].gold
    pieces = ["a", "1", "1,", "a ", "(", "[", "<", " ", "\n", "-", "\\", ".", "f(0, a) ", gold]
    named = {f"many {shown(piece)}": piece for piece in pieces}
    tags = ["<answer>", "</answer>", "<think>", "<answer></answer>", f"<answer>{gold}</answer>"]
    made: list[tuple[str, Callable[[int], str]]] = []
    for name, piece in named.items():
        made.append((name, lambda n, p=piece: p * (n // len(p)) + "!"))  # type: ignore[misc]
        made.append(
            (f"{name} in tags", lambda n, p=piece: f"<answer>{p * (n // len(p))}!</answer>")  # type: ignore[misc]
        )
    made += [(f"many {tag}", lambda n, p=tag: p * (n // len(p))) for tag in tags]  # type: ignore[misc]
    return made


def _near_linear(
    subject: Subject, what: str, read: Callable[[str], object], make: Callable[[int], str]
) -> None:
    last = 0.0
    for size in _SIZES:
        text = make(size)
        spent = _spent(read, text)
        for _ in range(3):  # a pause of the machine, or of the garbage collector, is soon over
            if spent <= _SURELY_S or spent <= min(_GROWTH * last, _LATE_S) or spent > _HOPELESS_S:
                break
            spent = min(spent, _spent(read, text))
        if spent > _LATE_S:
            raise BrokenError(f"{what}: {len(text)} characters take more than {_LATE_S:g} s")
        if spent > _SURELY_S and size > _SIZES[0] and spent > _GROWTH * max(last, 1e-4):
            raise BrokenError(
                f"{what}: {len(text)} characters take {spent:.3f} s, a quarter of them {last:.4f} s"
            )
        last = spent


def _spent(read: Callable[[str], object], text: str) -> float:
    """Seconds of computing; infinite if it does not end."""

    def call() -> None:
        try:
            read(text)
        except (Exception, SystemExit):
            return  # the law of totality has that

    try:
        with within(_LATE_S * 20):  # of a busy machine
            return computing(call)
    except TooLong:
        return inf


def _total(
    subject: Subject,
    text: str,
    name: str = "",
    methods: tuple[str, ...] = ("gold", "parse"),
    times: int = 2,
) -> None:
    for method in methods:
        call = f"{method}({name or shown(text)})"
        try:
            with subject.reading():
                parsed, *again = (getattr(subject.parser, method)(text) for _ in range(times))
        except NotCheckedError:
            raise
        except SlowError:
            continue  # the law of time has that
        except (Exception, SystemExit) as error:
            cause, fix = _cause(error)
            raise BrokenError(f"{call} raised {describe(error)}", cause=cause, fix=fix) from error
        if fault := _fault(parsed):
            raise BrokenError(
                f"{call} {fault}",
                cause="a branch without return, or the value itself is returned",
                fix="return rft.Parsed(value), or rft.Parsed(error='...') with the reason",
            )
        if fault := next((fault for one in again if (fault := _changed(parsed, one))), ""):
            raise BrokenError(
                f"{call} {fault}",
                cause="the parser keeps something between calls, or draws random numbers",
                fix="compute the value from the text alone",
            )


def _cause(error: BaseException) -> tuple[str, str]:
    """What usually raises this kind of error in a parser, and what to do; "" for the law's own."""
    if isinstance(error, ValueError) and "integer string conversion" in str(error):
        return (
            "int() of thousands of digits, which Python rejects",
            "reject long answers before int(), or catch ValueError",
        )
    for kind, (cause, fix) in _CAUSES.items():
        if isinstance(error, kind):
            return cause, fix
    return "", ""


def _fault(parsed: object) -> str:
    if not isinstance(parsed, Parsed):
        return f"returned {shown(parsed)}, not an rft.Parsed"
    if parsed.ok and parsed.value is None:
        return "returned a Parsed with neither a value nor an error"
    if not parsed.ok and not (isinstance(parsed.error, str) and parsed.error.strip()):
        return f"returned a Parsed with error={parsed.error!r}: give the reason in words"
    return ""


def _changed(parsed: Parsed, again: Parsed) -> str:
    one, two = canonical(parsed), canonical(again)
    return "" if one == two else f"returned {shown(one)}, and for the same text again {shown(two)}"


def _self_equal(subject: Subject, text: str) -> None:
    parsed = subject.read(text, "gold")
    if parsed is not None and parsed.ok and (fault := value_fault(parsed.value)):
        raise BrokenError(f"{shown(text)} is read as {shown(parsed.value)}, which {fault}")


def _round_trip(subject: Subject, text: str) -> None:
    parsed = subject.read(text, "gold")
    if parsed is None or not parsed.ok or value_fault(parsed.value):
        return
    try:
        written = subject.parser.show(parsed.value)
    except Exception as error:
        raise BrokenError(
            f"{shown(text)} is read as {shown(parsed.value)}, of which show() raises "
            f"{describe(error)}",
            cause="gold() reads more than show() can write, such as integers of 5,000 digits",
            fix="reject such answers in gold()",
        ) from error
    if not isinstance(written, str):
        raise BrokenError(
            f"show({shown(parsed.value)}) returned {shown(written)}, not text",
            cause="show() returns the value, or nothing",
            fix="return text, such as str(value)",
        )
    back = subject.read(written, "gold")
    if back is None:
        return  # the law of totality has that
    if not back.ok or back.value != parsed.value:
        read = shown(back.value) if back.ok else f"nothing: {back.error}"
        raise BrokenError(
            f"{shown(text)} is {shown(parsed.value)}, shown as {shown(written)}, read as {read}"
        )


def _means(subject: Subject, text: str, sample: Sample) -> None:
    """The completion holds the sample's gold as its answer."""
    parsed, wanted = subject.read(text), subject.value(sample)
    if parsed is None:
        return  # the law of totality has that
    if not parsed.ok or parsed.value != wanted:
        read = f"read as {shown(parsed.value)}" if parsed.ok else f"a parse error: {parsed.error}"
        raise BrokenError(f"{shown(text)}, where {shown(sample.gold)} is answered, is {read}")


def _no_member(subject: Subject, listed: str, members: list[str]) -> None:
    text = tags.write("So.", listed)
    parsed = subject.read(text)
    for member in members:
        value = subject.golds.get(member, subject.parser.gold(member).value)
        if parsed is not None and parsed.ok and parsed.value == value:
            raise BrokenError(f"{shown(text)} is read as {shown(member)}")
