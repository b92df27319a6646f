"""When each check runs, over the lines of a phase as they come."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from rftcore.training.signal import checks
from rftcore.training.signal.facts import Facts, Finding
from rftcore.training.signal.steps import Step

Check = Callable[[Sequence[Step], Facts], Finding | None]

EVERY = 5  # lines between two looks
LEAST = 8  # lines for a look at the end of a short phase

COLLAPSE = "policy-collapse"
# checks of the first steps only, which a collapse explains: the policy does not stay where it is
FIRST: tuple[Check, ...] = (checks.sampled, checks.malformed, checks.noise)
ONCE: tuple[Check, ...] = (checks.constant_term,)  # of the first steps, at one look
LATEST: tuple[Check, ...] = (checks.no_signal, checks.truncated, checks.length)


class Diagnosis:
    """The findings of one phase, each kind once, at the earliest look that shows it.

    Looks are after 10 lines, then every 5; checks of the first steps look at 10 and at 20. A
    phase that ends earlier is looked at then, if it has 8 lines.
    """

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._steps: list[Step] = []
        self._last = 0  # optimizer step of the newest line
        self._looked = 0  # lines at the newest look
        self._kinds: set[str] = set()
        self.findings: list[Finding] = []

    def add(self, line: Mapping[str, Any]) -> list[Finding]:
        """Take one line of the metrics; return what is found now and was not before."""
        if "loss" not in line:
            return []
        number = int(line["step"])
        batches = max(1, round((number - self._last) / self._facts.reuse))
        self._last = number
        if line.get("reward") is None:
            return []  # an update on rollouts of an earlier step, or nothing could be scored
        self._steps.append(Step(number, batches * self._facts.prompts, line))
        count = len(self._steps)
        return self._look(False) if count >= checks.WINDOW and count % EVERY == 0 else []

    def finish(self) -> list[Finding]:
        """Look once more at the end of the phase; return what is found now."""
        count = len(self._steps)
        return self._look(True) if count >= LEAST and count > self._looked else []

    def _look(self, ended: bool) -> list[Finding]:
        found: list[Finding] = []
        count = len(self._steps)
        first, self._looked = self._looked == 0, count
        self._run(found, checks.collapse)
        early = count <= checks.FIRST and (first or ended or count == checks.FIRST)
        for check in FIRST if early and COLLAPSE not in self._kinds else ():
            self._run(found, check)
        for check in (*(ONCE if first else ()), *LATEST):
            self._run(found, check)
        return found

    def _run(self, found: list[Finding], check: Check) -> None:
        finding = check(self._steps, self._facts)
        if finding is not None and finding.kind not in self._kinds:
            self._kinds.add(finding.kind)
            self.findings.append(finding)
            found.append(finding)


def diagnose(lines: Iterable[Mapping[str, Any]], facts: Facts, *, ended: bool) -> list[Finding]:
    """The findings of a phase from its lines. ended: whether these are all."""
    diagnosis = Diagnosis(facts)
    for line in lines:
        diagnosis.add(line)
    if ended:
        diagnosis.finish()
    return diagnosis.findings
