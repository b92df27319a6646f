"""A law: a property that plugins must have, and the check that tests it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rftcore.testing.subject import Subject

Check = Callable[["Subject"], None]
KINDS = ("plugin", "dataset", "parser", "prompt", "reward", "mix")


@dataclass(frozen=True)
class Law:
    """One law.

    `about` is one of `KINDS`; "mix" is the weighted sum of a task's rewards. `why` is what
    goes wrong without it, `cause` the usual cause, `fix` what to do. `needs` are laws that
    must hold first, because this one cannot be checked without. `check` returns if the law
    holds and raises `BrokenError`, `NotApplicableError` or `NotCheckedError` if not.
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
