"""The laws as cases of a pytest test."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rftcore.testing.errors import BrokenError
from rftcore.testing.law import Law
from rftcore.testing.laws import LAWS
from rftcore.testing.subject.samples import Settings
from rftcore.testing.trial import Result, Trial

if TYPE_CHECKING:
    import pytest


@dataclass(frozen=True)
class Case:
    """One law on one task: what a test gets as its argument `law`."""

    law: Law
    trial: Trial = field(repr=False)

    def check(self) -> None:
        """Return if the law holds; skip the test if there is nothing to check, or it needs others.

        A broken law that others need fails its own case. Where that case has not run, because
        tests were selected, the first case that needs it fails instead.
        Raises: BrokenError with what was seen and what to do, RftError if the task cannot be made.
        """
        import pytest

        result = self.trial.result(self.law.id)
        self.trial.reported.add(self.law.id)
        if result.state in ("broken", "expected"):
            raise BrokenError(explanation(self.trial, result))
        for root in map(self.trial.result, result.roots):
            if root.bad and root.law.id not in self.trial.reported:
                self.trial.reported.add(root.law.id)
                text = f"{self.law.id} was not checked: {result.seen}\n\n"
                pytest.fail(text + explanation(self.trial, root), pytrace=False)
        if result.state in ("not applicable", "not checked"):
            pytest.skip(f"{result.state}: {result.seen}")

    def __str__(self) -> str:
        return self.law.id


def parametrize_laws(
    name: str,
    /,
    *,
    expected_failures: Mapping[str, str] | None = None,
    settings: Settings | None = None,
    **options: Any,
) -> pytest.MarkDecorator | Callable[[Any], Any]:
    """Run a test once for every law, as its argument `law`, on the task of that name.

        @parametrize_laws("my-task", expected_failures={"no-dominant-answer": "90 % are yes"})
        def test_law(law):
            law.check()

    expected_failures: reasons by law; one that holds all the same fails its case.
    options: the task's.
    Raises: PluginError for a law that does not exist, or an empty reason.
    """
    import pytest

    trial = Trial(name, {"task_options": options}, expected=expected_failures, settings=settings)
    cases = [
        pytest.param(Case(law, trial), id=law_id, marks=_marks(trial.expected.get(law_id)))
        for law_id, law in LAWS.items()
    ]
    return pytest.mark.parametrize("law", cases)


def explanation(trial: Trial, result: Result) -> str:
    """All that helps to repair a broken law, line by line."""
    law = result.law
    lines = {
        "seen": result.seen,
        "why it matters": law.why,
        "typical cause": result.cause,
        "fix": result.fix,
        "see it again": trial.command(law),
    }
    listed = "\n".join(f"  {name}: {text}" for name, text in lines.items())
    return f"{law.id}: {law.title}\n{listed}"


def _marks(reason: str | None) -> tuple[pytest.MarkDecorator, ...]:
    import pytest

    return (pytest.mark.xfail(reason=reason, strict=True, raises=BrokenError),) if reason else ()
