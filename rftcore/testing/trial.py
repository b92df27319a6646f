"""Check laws on a task, each after the laws it needs, and keep the results."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from rftcore.errors import CacheError, PluginError, RftError, closest, describe, place
from rftcore.testing.clock import TooLong, computing_at_most, within
from rftcore.testing.errors import BrokenError, NotApplicableError, NotCheckedError
from rftcore.testing.law import Law
from rftcore.testing.laws import LAWS
from rftcore.testing.subject import Subject
from rftcore.testing.subject.samples import Settings

State = Literal["ok", "broken", "not applicable", "not checked", "expected", "unexpected"]
BAD = ("broken", "unexpected")
# Per law: a plugin that hangs must not hang the check. Generous, for busy machines.
_COMPUTING_S, _WAITING_S = 90.0, 1800.0


@dataclass(frozen=True)
class Result:
    """The result of one law.

    seen: what broke it, or why it does not apply, was not checked or was expected to fail.
    cause, fix: the usual cause, and what to do. roots: for a law that was not checked, the
    broken laws to fix first.
    "not checked": a law that it needs is broken. "expected": broken, as declared in `expected`.
    "unexpected": declared as broken in `expected`, but it holds.
    """

    law: Law
    state: State
    seen: str = ""
    seconds: float = field(default=0.0, compare=False)
    cause: str = ""
    fix: str = ""
    roots: tuple[str, ...] = ()

    @property
    def bad(self) -> bool:
        """Whether something has to be fixed."""
        return self.state in BAD


class Trial:
    """The laws on one task; each is checked once, on first use.

    expected: by law id, the reason why it is broken. recipe: settings of the task.
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
        self.reported: set[str] = set()  # laws whose result a test has reported
        check_reasons(self.expected)

    @property
    def subject(self) -> Subject:
        """The task, made on first use. Raises RftError if it cannot be made."""
        if self._subject is None:
            self._subject = Subject(self.name, self._recipe, self.settings)
        return self._subject

    def run(self, laws: Iterable[Law] | None = None) -> Iterator[Result]:
        """Check all laws, or some, in order; broken laws that one needs come before it."""
        _ = self.subject
        given: set[str] = set()
        for law in laws or LAWS.values():
            for law_id in [*self._wrong_before(law.id), law.id]:
                if law_id not in given:
                    given.add(law_id)
                    yield self.result(law_id)

    def result(self, law_id: str) -> Result:
        """The result of a law, compared with `expected`."""
        result = self._plain(law_id)
        if law_id not in self.expected or result.state == "not checked":
            return result
        if result.state == "broken":
            seen = f"{self.expected[law_id]} (seen: {result.seen})"
            return replace(result, state="expected", seen=seen)
        seen = f"expected to fail ({self.expected[law_id]}), but it is {result.state}"
        return replace(
            result,
            state="unexpected",
            seen=seen,
            cause="the fault was fixed",
            fix="remove it from the expected failures",
        )

    def command(self, law: Law) -> str:
        """The command that repeats a check."""
        words = ["rft", "plugins", "check", self.name, "--law", law.id]
        extra = [word for setting in self._extra for word in ("--set", setting)]
        return shlex.join([*words, "--seed", str(self.settings.seed), *extra])

    def _plain(self, law_id: str) -> Result:
        if law_id not in self._results:
            law = LAWS[law_id]
            roots = dict.fromkeys(root for need in law.needs for root in self._roots(need))
            self._results[law_id] = _waiting(law, roots) if roots else self._checked(law)
        return self._results[law_id]

    def _roots(self, law_id: str) -> tuple[str, ...]:
        """The broken laws because of which a law that needs this one is not checked."""
        result = self._plain(law_id)
        return (law_id,) if result.state == "broken" else result.roots

    def _wrong_before(self, law_id: str) -> list[str]:
        """The broken laws that this one needs, directly or indirectly."""
        needed = {*self._plain(law_id).roots}
        more = [*LAWS[law_id].needs]
        while more:
            one = more.pop()
            if one not in needed and self.result(one).state in (*BAD, "expected"):
                needed.add(one)
            more += LAWS[one].needs
        return [one for one in LAWS if one in needed]

    def _checked(self, law: Law) -> Result:
        start = time.monotonic()
        result = _outcome(law, lambda: law.check(self.subject))
        if isinstance(result, NotCheckedError):
            roots = dict.fromkeys(root for one in result.roots for root in self._roots(one))
            seen = f"it could not be checked: {result.seen}"
            result = _waiting(law, roots) if roots else _broken(law, seen)
        return replace(result, seconds=time.monotonic() - start)


def check_reasons(expected: Mapping[str, str]) -> None:
    """Raise `PluginError` for a law that does not exist, or an empty reason."""
    for law_id, reason in expected.items():
        law_named(law_id)
        if not reason.strip():
            raise PluginError(f"expected failure of {law_id!r}: give a reason")


def law_named(law_id: str) -> Law:
    """The law of that id. Raises `PluginError` with the closest names."""
    if law_id not in LAWS:
        raise PluginError(
            f"there is no law {law_id!r}.{closest(law_id, LAWS)} The laws are: {', '.join(LAWS)}"
        )
    return LAWS[law_id]


def _waiting(law: Law, roots: Iterable[str]) -> Result:
    roots = tuple(roots)
    return Result(law, "not checked", f"it needs {', '.join(roots)}: fix that first", roots=roots)


def _broken(law: Law, seen: str, cause: str = "", fix: str = "") -> Result:
    return Result(law, "broken", seen, cause=cause or law.cause, fix=fix or law.fix)


def _outcome(law: Law, check: Callable[[], None]) -> Result | NotCheckedError:
    try:
        with within(_WAITING_S), computing_at_most(_COMPUTING_S):
            check()
    except BrokenError as breach:
        _raise_cache_error(breach)
        return _broken(law, str(breach), breach.cause, breach.fix)
    except NotApplicableError as reason:
        return Result(law, "not applicable", str(reason))
    except NotCheckedError as needed:
        return needed
    except TooLong as late:
        at = place(late)
        return _broken(
            law,
            f"a call did not end in time{at and f' (at {at})'}",
            cause="an endless loop, or work that grows much faster than its input",
            fix="bound the work by the length of the input",
        )
    except RftError as error:
        _raise_cache_error(error)
        cause, fix = "the data, setting or plugin in the message", "fix that"
        return _broken(law, str(error), cause=cause, fix=fix)
    except (Exception, SystemExit) as error:  # a plugin may raise anything, anywhere
        _raise_cache_error(error)
        at = place(error)
        return _broken(
            law,
            describe(error),
            cause=f"the plugin's code raises at {at}"
            if at
            else "the error was raised outside the plugin: it may be a bug in rft",
            fix="fix that line" if at else "report it, with the output of `RFT_DEBUG=1`",
        )
    return Result(law, "ok")


def _raise_cache_error(error: BaseException | None) -> None:
    """Raise the `CacheError` behind an exception: a full disk is not the plugin's fault."""
    while error is not None:
        if isinstance(error, CacheError):
            raise error
        error = error.__cause__ or error.__context__
