"""Check laws on a task, each after those it needs, and keep what came out."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from rftcore.errors import PluginError, closest
from rftcore.testing.clock import TooLong, computing_at_most, within
from rftcore.testing.digests import shown
from rftcore.testing.law import BrokenError, Law, NotApplicableError
from rftcore.testing.laws import LAWS
from rftcore.testing.subject import Settings, Subject

State = Literal["ok", "broken", "not applicable", "expected", "unexpected"]
BAD = ("broken", "unexpected")
# For one law: a plugin that hangs must not hang its check. A busy machine takes its time.
_COMPUTING_S, _WAITING_S = 90.0, 1800.0


@dataclass(frozen=True)
class Result:
    """What came of one law.

    `seen` says what broke it, or why it does not apply, or why it was expected to break.
    "expected": broken, and somebody had said why. "unexpected": somebody had, and it holds.
    """

    law: Law
    state: State
    seen: str = ""
    seconds: float = field(default=0.0, compare=False)

    @property
    def bad(self) -> bool:
        """Whether something is to be repaired."""
        return self.state in BAD


class Trial:
    """The laws on one task; each is checked once, when it is asked for.

    expected: reasons why laws are broken, by id. settings: a recipe's, as a mapping.
    Raises: PluginError for a law that does not exist or an empty reason.
    """

    def __init__(
        self,
        name: str,
        recipe: Mapping[str, Any] | None = None,
        *,
        expected: Mapping[str, str] | None = None,
        settings: Settings | None = None,
        extra: Iterable[str] = (),
    ) -> None:
        self.name, self.settings = name, settings or Settings()
        self.expected = dict(expected or {})
        self._recipe, self._extra = recipe, tuple(extra)
        self._subject: Subject | None = None
        self._results: dict[str, Result] = {}
        check_reasons(self.expected)

    @property
    def subject(self) -> Subject:
        """The task, made when first asked for. Raises RftError if it cannot be made."""
        if self._subject is None:
            self._subject = Subject(self.name, self._recipe, self.settings)
        return self._subject

    def run(self, laws: Iterable[Law] | None = None) -> Iterator[Result]:
        """Check all laws, or some, one by one."""
        _ = self.subject
        for law in laws or LAWS.values():
            yield self.result(law.id)

    def result(self, law_id: str) -> Result:
        """What comes of a law, with what was expected of it."""
        result = self._plain(law_id)
        if law_id not in self.expected:
            return result
        if result.state == "broken":
            seen = f"{self.expected[law_id]} (seen: {result.seen})"
            return Result(result.law, "expected", seen, result.seconds)
        seen = (
            f"expected to break ({self.expected[law_id]}), but it is {result.state}: say so no more"
        )
        return Result(result.law, "unexpected", seen, result.seconds)

    def command(self, law: Law) -> str:
        """What to type to see a result again."""
        words = ["rft", "plugins", "check", self.name, "--law", law.id]
        extra = [word for setting in self._extra for word in ("--set", setting)]
        return shlex.join([*words, "--seed", str(self.settings.seed), *extra])

    def _plain(self, law_id: str) -> Result:
        if law_id not in self._results:
            law = LAWS[law_id]
            blocked = [n for n in law.needs if self._plain(n).state == "broken" or self._waits(n)]
            self._results[law_id] = _waiting(law, blocked) if blocked else self._checked(law)
        return self._results[law_id]

    def _waits(self, law_id: str) -> bool:
        return self._plain(law_id).seen.startswith(_WAITS)

    def _checked(self, law: Law) -> Result:
        start = time.monotonic()
        state, seen = _outcome(lambda: law.check(self.subject))
        return Result(law, state, seen, time.monotonic() - start)


_WAITS = "not checked, it needs "


def check_reasons(expected: Mapping[str, str]) -> None:
    """Raise `PluginError` for a law that does not exist, or a reason that says nothing."""
    for law_id, reason in expected.items():
        law_named(law_id)
        if not reason.strip():
            raise PluginError(f"expected failure of {law_id!r}: say why it is broken")


def law_named(law_id: str) -> Law:
    """The law of that id. Raises `PluginError` with the closest names."""
    if law_id not in LAWS:
        raise PluginError(
            f"there is no law {law_id!r}.{closest(law_id, LAWS)} They are: {', '.join(LAWS)}"
        )
    return LAWS[law_id]


def _waiting(law: Law, needs: list[str]) -> Result:
    return Result(law, "not applicable", f"{_WAITS}{', '.join(needs)}")


def _outcome(check: Callable[[], None]) -> tuple[State, str]:
    try:
        with within(_WAITING_S), computing_at_most(_COMPUTING_S):
            check()
    except BrokenError as breach:
        return "broken", str(breach)
    except NotApplicableError as reason:
        return "not applicable", str(reason)
    except TooLong:
        return "broken", "a call did not end in time"
    except Exception as error:  # a plugin may raise anything, anywhere
        return "broken", shown(f"{type(error).__name__}: {error}", 400)
    return "ok", ""
