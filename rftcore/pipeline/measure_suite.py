"""Measure the policy of a run, or any model, on a suite: no task is involved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rftcore.config import PolicyRecipe, load_recipe, read_recipe_file
from rftcore.errors import RecipeError
from rftcore.evaluation.scores import SuiteScore
from rftcore.pipeline.measure import Within, run_at
from rftcore.pipeline.plan import Settings, setting_layers
from rftcore.plugins import Catalogue
from rftcore.runs import provenance
from rftcore.types import Suite

if TYPE_CHECKING:
    from rftcore.evaluation.suites import SuiteAnswer


@dataclass(frozen=True)
class SuiteEvaluation:
    """A model on a suite. about: where the numbers come from."""

    score: SuiteScore
    answers: Sequence[SuiteAnswer]
    title: str
    about: Mapping[str, Any]

    @cached_property
    def scores(self) -> list[dict[str, Any]]:
        """One mapping per measure and per kind of images: "own", or "swapped" ones."""
        kinds = {"own": self.score.measures, "swapped": self.score.blind}
        return [
            {"measure": key, "images": kind, **asdict(score)}
            for kind, measures in kinds.items()
            for key, score in measures.items()
        ]

    def notes(self, report: str = "", answers: str = "") -> list[str]:
        """How many answers could not be scored, if any. answers: the file that has them."""
        failed = [each.failure for each in self.answers if each.failure]
        if not failed:
            return []
        where = f": {answers}" if answers else ""
        number = f"{len(failed)} answer{'s' * (len(failed) != 1)}"
        return [f"{number} could not be scored{where}; first: {failed[0]}"]

    def table(self) -> str:
        """The scores as text."""
        from rftcore.evaluation.tables import suite_table

        return f"{self.title}\n{suite_table(self.score)}"

    def report(self, *files: str) -> dict[str, Any]:
        """Each measure under its key, the same with swapped images under `blind`, and `about`."""
        found = asdict(self.score)
        return {**found["measures"], "blind": found["blind"], "about": self.about}


def evaluate_on_suite(
    catalogue: Catalogue,
    target: str,
    name: str,
    *,
    options: Mapping[str, Any],
    limit: int | None = None,
    progress: bool = True,
    within: Within = nullcontext,
) -> SuiteEvaluation:
    """Measure a run's newest policy, or a model, on a suite: no task is involved.

    limit: how many samples of each measure. Raises: RecipeError for options; what a suite and a
    model raise.
    """
    from rftcore.distributed import main_first

    run = run_at(catalogue, target)
    suite = catalogue.suite(name, options, origin=_set_by)
    own = load_recipe((str(run.recipe_file), read_recipe_file(run.recipe_file))) if run else None
    named, how = (own.model, own.policy) if own else (target, PolicyRecipe())
    with main_first():  # a model such as toy is made on first use
        trained = run.newest_policy() if run else None
        source = trained or catalogue.model(named)
    with within():
        score, answers, facts = _measure_suite(source, how, suite, limit, progress=progress)
    about = {
        "model": str(source),
        "suite": catalogue.find("suite", name).qualified,
        "suite_options": options,
        "limit": limit,
        **facts,
        **provenance(catalogue.distributions()),
    }
    title = f"{trained or named}: {suite.summary or suite.name}"  # the model as the user wrote it
    return SuiteEvaluation(score, answers, title, about)


def _measure_suite(
    source: Path | str, how: PolicyRecipe, suite: Suite, limit: int | None, *, progress: bool
) -> tuple[SuiteScore, list[SuiteAnswer], dict[str, Any]]:
    from rftcore import prompts
    from rftcore.evaluation.suites import evaluate_suite, fingerprints, measures_of
    from rftcore.models.loading import load_model
    from rftcore.models.pixels import pixel_budget
    from rftcore.models.processor_check import ProcessorCheck

    measures = measures_of(suite, limit)
    check = ProcessorCheck(source, prompts.direct(), how)
    for measure in measures.values():
        for sample in measure.samples:
            check.require_no_special_token(sample)
    policy = load_model(source, how, dtype=how.evaluation_dtype)
    score, answers = evaluate_suite(policy, suite, measures, progress=progress)
    return (
        score,
        answers,
        {"data": fingerprints(measures), "pixel_budget": pixel_budget(policy.processor)},
    )


def suite_options(settings: Settings) -> dict[str, Any]:
    """What settings give to a suite's factory. Raises `RecipeError` for anything else."""
    options: dict[str, Any] = {}
    for origin, layer in setting_layers(settings):
        given = layer.get("suite_options")
        if not isinstance(given, Mapping):
            raise RecipeError(
                f"{origin}: no recipe is involved in measuring a suite; it has only options of "
                "its own: --set suite_options.NAME=VALUE"
            )
        options |= given
    return options


def _set_by(*path: str) -> str:
    return f"--set {'.'.join(path)}"
