"""Read answers with a task's parser. What a parser must not do is an error that names it."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

from rftcore import distributed
from rftcore.errors import PluginError, SampleError, describe
from rftcore.types import Parsed, Parser, Sample

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Answer:
    """A completion, the answer in it, and the sample's gold."""

    completion: str
    sample: Sample
    gold: Any
    parsed: Parsed


class Reader:
    """Reads golds and completions, and writes answers for people to see."""

    def __init__(self, parser: Parser) -> None:
        self._parser = parser
        self._show_failed = False

    def read(self, completion: str, sample: Sample) -> Answer:
        """The answer in a completion.

        Raises: SampleError for a gold that cannot be read, PluginError for a parser that raises.
        """
        gold = self._call("gold", sample.gold, sample)
        if not gold.ok:
            raise SampleError(
                f"{sample.where}: the parser cannot read the gold answer: {gold.error}"
            )
        return Answer(completion, sample, gold.value, self._call("parse", completion, sample))

    def shown(self, answer: Answer) -> str | None:
        """The answer as `parser.show` writes it; None without an answer.

        If `show` fails, the answer as `repr` writes it, with one warning: a display of an
        answer is not a reason to end a run of hours.
        """
        value = answer.parsed.value
        if not answer.parsed.ok or value is None:
            return None
        try:
            text = self._parser.show(value)
            if isinstance(text, str):
                return text
            fault = f"returned {type(text).__name__}, not text,"
        except Exception as error:
            fault = f"raised {describe(error)}"
        if not self._show_failed and distributed.is_main():
            logger.warning(
                "parser %s.show %s on the answer of %s: such answers are stored as `repr` writes "
                "them. Repair `show`; `rft plugins check` tests it",
                type(self._parser).__name__,
                fault,
                answer.sample.where,
            )
        self._show_failed = True
        return _as_python_writes(value)

    def _call(self, method: str, text: str, sample: Sample) -> Parsed:
        try:
            return _parsed(getattr(self._parser, method)(text))
        except (Exception, SystemExit) as error:
            raise PluginError(
                f"parser {type(self._parser).__name__}.{method} raised {describe(error)} on "
                f"{sample.where}: a parser returns an rft.Parsed for any text and never raises"
            ) from error


def _parsed(made: object) -> Parsed:
    if not isinstance(made, Parsed):
        raise TypeError(f"it returned {made!r:.60}, which is not an rft.Parsed")
    if made.ok and made.value is None:
        raise TypeError("it returned an rft.Parsed with neither a value nor a parse error")
    return made


def _as_python_writes(value: object) -> str:
    try:
        return repr(value)
    except Exception:  # of a plugin's own class
        return f"<{type(value).__name__}>"
