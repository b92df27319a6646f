"""Write an expression in any notation as LaTeX that math-verify's grammar can parse."""

import re
from collections.abc import Iterator

from rftcore.rewards.notation.brackets import last_closing
from rftcore.rewards.notation.names import (
    CONSTANTS,
    ENVIRONMENT,
    FUNCTIONS,
    GREEK,
    SPECIAL,
    is_letter,
    is_product,
)
from rftcore.rewards.notation.part import UnreadableError

_NUMBER = r"\d+(?:,\d{3})*(?:\.\d*)?|\.\d+"
_BASED = re.compile(r"([+-]?)\s*([0-9A-Za-z]+)\s*_\s*\{?\s*(\d{1,2})\s*\}?")
_MIXED = re.compile(
    r"(?<![\d.^_{(])([+-]?)\s*(\d+)(?:\s+(?:and\s+)?(\d+)\s*/\s*(\d+)"
    r"|\s*\\[dt]?frac\s*\{\s*(\d+)\s*\}\s*\{\s*(\d+)\s*\}|\s*\\[dt]?frac\s*(\d)\s*(\d))(?![\d.])"
)
_DIVIDED = re.compile(
    r"(/\s*\d+(?:\.\d+)?)(?=\s*(?:[^\W\d_]|\(|\\(?:sqrt|frac|"
    + "|".join([*FUNCTIONS, *CONSTANTS])
    + r")(?![A-Za-z])))"
)


def latex(text: str) -> str:
    """An expression in LaTeX or plain notation as LaTeX.

    Raises: UnreadableError if it is incomplete or ambiguous.
    """
    text = text.replace("**", "^")
    if based := _BASED.fullmatch(text):
        return _in_base(based)
    if re.search(r"\d\s+\d", re.sub(r"_\d+", "", _MIXED.sub("", text))):
        raise UnreadableError("it has two numbers without an operator between them")
    text = re.sub(r"(\d)\s*[xX]\s*(?=\d)", r"\1 \\cdot ", text)
    text = re.sub(r"(?<=\d)[eE]([+-]?\d+)(?!\d*\.)", r" \\cdot 10^{\1}", text)
    text = _MIXED.sub(_mixed, text)
    text = re.sub(rf"({_NUMBER})\s*°", r"(\\frac{\1\\pi}{180})", text)
    text = re.sub(r"(?<![\w.})])(\d+)\s*/\s*(\d+)(?![\d.,!])", r"(\\frac{\1}{\2})", text)
    text = _DIVIDED.sub(r"\1 \\cdot ", text)  # x/2y is (x/2)y, as in programming languages
    text = re.sub(r"\)\s*(?=\()", r") \\cdot ", text)
    text = re.sub(rf"(?<![\w.^_{{}}])({_NUMBER})\s*(?=\()", r"\1 \\cdot ", text)  # 3(4)
    text = text.replace("<=", r" \le ").replace(">=", r" \ge ").replace("!=", r" \ne ")
    text = re.sub(r"(?<!\\)\*", r" \\cdot ", text)
    text = re.sub(r"\\div(?![A-Za-z])", "/", text)
    text = re.sub(r"\\[dtc]frac(?![A-Za-z])", r"\\frac", text)
    return "".join(_Writer(text).all())


def _in_base(match: re.Match[str]) -> str:
    sign, digits, base = match[1], match[2], int(match[3])
    try:
        if not 2 <= base <= 36 or len(digits) > 200:
            raise ValueError
        return f"{sign}{int(digits, base)}"
    except ValueError:
        if digits.isdigit():
            raise UnreadableError(f"{digits} is not a number in base {base}") from None
        return match[0].replace(" ", "")


def _mixed(match: re.Match[str]) -> str:
    sign, whole, *parts = match.groups()
    top, bottom = (part for part in parts if part is not None)
    return rf"{sign}({whole}+\frac{{{top}}}{{{bottom}}})"


class _Writer:
    """One pass over an expression that rewrites names, powers and roots as LaTeX."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def all(self) -> Iterator[str]:
        while self.at < len(self.text):
            yield self.next()

    def next(self) -> str:
        """The next symbol with its arguments."""
        text, at = self.text, self.at
        if environment := ENVIRONMENT.match(text, at):
            self.at = environment.end()
            return environment[0]
        if text[at] == "^":
            self.at += 1
            return f"^{{{self.argument(signed=True)}}}"
        if text[at] == "°":
            self.at += 1
            return r"\frac{\pi}{180}"
        if subscript := re.compile(r"_\s*(?:(\w)|\{\s*(\w+)\s*\})").match(text, at):
            self.at = subscript.end()
            return f"_{{{_index(subscript[1] or subscript[2])}}}"
        if text[at] == "\\":
            command = re.compile(r"\\(?:[A-Za-z]+|.?)", re.DOTALL).match(text, at)
            assert command is not None
            self.at = command.end()
            return self.command(command[0])
        if is_letter(text[at]):
            end = at
            while end < len(text) and is_letter(text[end]):
                end += 1
            self.at = end
            return self.name(text[at:end])
        if (primes := re.compile("'+").match(text, at)) and self._is_primed(at):
            self.at = primes.end()
            return self.symbol(primes[0])
        if number := re.compile(_NUMBER).match(text, at):
            self.at = number.end()
            return _exact(number[0])
        self.at += 1
        return text[at]

    def _is_primed(self, at: int) -> bool:
        """Whether a name or bracket is before this prime: math-verify would drop the prime."""
        return re.search(r"(?:[^\W\d]\d*|[)\]}])\s*$", self.text[max(0, at - 40) : at]) is not None

    def command(self, name: str) -> str:
        if name == r"\frac":
            return rf"\frac{{{self.argument()}}}{{{self.argument()}}}"
        if name in (r"\sqrt", r"\cbrt"):
            return self.root("3" if name == r"\cbrt" else "")
        if name[1:] in CONSTANTS or name[1:] in FUNCTIONS:
            return self.function(name) if name[1:] in FUNCTIONS else f"{name} "
        return name + (" " if name[1:].isalpha() else "")

    def name(self, run: str) -> str:
        low = run.casefold()
        if primes := re.compile("'+").match(self.text, self.at):  # math-verify drops primes
            self.at = primes.end()
            whole = len(run) > 2 and not is_product(run)
            first, last = ("", low) if whole else (run[:-1], low[-1])
            return " ".join(first) + self.symbol(last + primes[0])
        if run in GREEK:
            return rf"\{GREEK[run]} "
        if low in SPECIAL:
            if low == "abs":
                return rf"|{self.argument()}|"
            return self.root("3" if low == "cbrt" else "")
        if low in FUNCTIONS and len(run) > 1:
            return self.function(FUNCTIONS[low])
        if low in CONSTANTS:
            return f"{CONSTANTS[low]} "
        if len(run) > 2 and not is_product(run):
            return self.symbol(low)
        if not run.isascii():
            return self.symbol(low)
        index = re.compile(r"\d+").match(self.text, self.at)  # x1 is a name, not x times 1
        self.at = index.end() if index else self.at
        return " ".join(run) + (f"_{{{index[0]}}}" if index else "")

    def symbol(self, name: str) -> str:
        """A whole name as one variable, written as a digit subscript."""
        subscript = re.compile(r"\s*_\s*(\{[^{}]*\}|\w)").match(self.text, self.at)
        if subscript:
            self.at = subscript.end()
            name += subscript[0]
        return f" w_{{{_coded(name)}}} "

    def function(self, name: str) -> str:
        """A function; a base may follow, as in log2(8)."""
        base = re.compile(r"\s*_?\s*(\d+)\s*(?=\()").match(self.text, self.at)
        if name == r"\log" and base:
            self.at = base.end()
            return rf"\log_{{{base[1]}}}"
        return f"{name} "

    def root(self, degree: str) -> str:
        index = re.compile(r"\s*\[([^\[\]]*)\]").match(self.text, self.at)
        if index:
            self.at = index.end()
            degree = index[1]
        return (rf"\sqrt[{degree}]" if degree else r"\sqrt") + f"{{{self.argument()}}}"

    def argument(self, *, signed: bool = False) -> str:
        """The next group without its brackets, number or letter.

        Raises: UnreadableError if there is none.
        """
        text = self.text
        while self.at < len(text) and text[self.at].isspace():
            self.at += 1
        if self.at >= len(text):
            raise UnreadableError("its end is missing")
        if text[self.at] in "({":
            end = last_closing(text[self.at :])
            if end < 0:
                raise UnreadableError("a bracket is not closed")
            inside = text[self.at + 1 : self.at + end]
            self.at += end + 1
            return "".join(_Writer(inside).all())
        if signed and text[self.at] in "+-":
            sign = text[self.at]
            self.at += 1
            return sign + self.argument()
        if text[self.at].isdigit() and not signed and self._digits_are_arguments():
            self.at += 1
            return text[self.at - 1]
        if text[self.at].isdigit() or text[self.at] == "\\":
            return self.next()
        run = re.compile(r"[^\W\d_]+").match(text, self.at)
        if run and (run[0].casefold() in CONSTANTS or run[0].casefold() in SPECIAL):
            return self.next()
        self.at += 1
        return text[self.at - 1]

    def _digits_are_arguments(self) -> bool:
        """Whether the position is at the 1 of \\frac12, where each digit is an argument."""
        return re.search(r"\\frac\s*(?:\d|\{[^{}]*\})?\s*$", self.text[: self.at]) is not None


def _index(text: str) -> str:
    return text if text.isdigit() or len(text) == 1 else _coded(text.casefold())


def _coded(name: str) -> str:
    """A name in digits: LaTeX reads letters as a product, and some as a function."""
    return "".join(f"{ord(char):07}" for char in name)


def _exact(number: str) -> str:
    """A decimal as a fraction, which keeps every digit; any other number unchanged."""
    whole, point, after = number.replace(",", "").partition(".")
    after = after.rstrip("0")
    if not point or not after:
        return whole or "0"
    return rf"(\frac{{{int(whole + after)}}}{{{10 ** len(after)}}})"
