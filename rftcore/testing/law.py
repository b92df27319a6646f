"""A law: what a plugin owes its users, in words, and the check that finds a breach."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rftcore.testing.subject import Subject

Check = Callable[["Subject"], None]
KINDS = ("plugin", "dataset", "parser", "prompt", "reward", "mix")


class BrokenError(AssertionError):
    """A law does not hold; the message says what was seen."""


class NotApplicableError(Exception):
    """A law has nothing to say about this plugin; the message says why."""


@dataclass(frozen=True)
class Law:
    """One law.

    `about` is one of `KINDS`; "mix" is the weighted sum of a task's rewards. `why` says what
    goes wrong without it, `cause` what it usually is, `fix` what to do. `needs` are laws that
    must hold first: what breaks one of them says nothing about this one. `check` returns if
    the law holds and raises `BrokenError` or `NotApplicableError` if not.
    """

    id: str
    about: str
    title: str
    why: str
    cause: str
    fix: str
    check: Check = field(compare=False, repr=False)
    needs: tuple[str, ...] = ()


def law(
    law_id: str,
    about: str,
    title: str,
    *,
    why: str,
    cause: str,
    fix: str,
    needs: tuple[str, ...] = (),
) -> Callable[[Check], Law]:
    """Make a law of the function that checks it."""

    def make(check: Check) -> Law:
        return Law(law_id, about, title, why, cause, fix, check, needs)

    return make
