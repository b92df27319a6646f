"""From names and settings to a checked plan: every name resolved, every default in its place.

A setting comes from the last of these that has it:

    core < model (rft.yaml in its folder) < task < recipe file < --smoke < options < --set

The recipe names a model and a task, which may bring defaults, so it is resolved in steps.
Training and evaluation share them: `Request.plan`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rftcore import prompts
from rftcore.config import (
    ANSWERS,
    Layer,
    Recipe,
    check_splits,
    differences,
    evaluated_splits,
    load_recipe,
    model_defaults,
    parse_override,
    read_recipe_file,
)
from rftcore.datasets.slices import Slice, dataset_of, take, take_sft
from rftcore.errors import RecipeError
from rftcore.plugins import Catalogue
from rftcore.splits import PHASE_SPLITS
from rftcore.types import TASK_SECTIONS, Task

if TYPE_CHECKING:
    from rftcore.evaluation.splits import Drawn

# What a smoke run changes: every part runs, none of them long. --set still wins.
SMOKE: dict[str, Any] = {
    "model": "toy",  # of rft-nano: every part of a real model, tiny, with random weights
    "sft": {
        "samples": 16,
        "batch_size": 8,
        "micro_batch": None,
        "max_steps": 2,
        "check_lengths": False,  # few tokens are the point
    },
    "grpo": {
        "samples": 8,
        "prompts_per_step": 2,
        "group_size": 4,
        "micro_batch": None,
        "max_steps": 2,
        "max_completion_length": 16,
    },
    "evaluation": {"max_new_tokens": 16},
}
SMOKE_SAMPLES = 8  # evaluated per split
TASK_SETTINGS = ("task", "task_options", "dataset", "rewards")  # that a task is made of

Settings = Sequence[str] | Mapping[str, Any]  # "a.b=value", or {"a.b": value}


@dataclass(frozen=True)
class Plan:
    """What to do, every name resolved. splits: those to evaluate."""

    recipe: Recipe
    task: Task
    model: Path | str
    catalogue: Catalogue
    splits: tuple[str, ...]
    _parts: dict[str, Slice] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(
        cls,
        recipe: Recipe,
        task: Task,
        model: Path | str,
        catalogue: Catalogue,
        *,
        trains: bool = True,
    ) -> Plan:
        """The plan of a resolved recipe. trains: whether its phases are to run.

        Raises: RecipeError for a split that the task lacks.
        """
        offered = dataset_of(task).splits
        check_splits(recipe, offered, trains=trains)
        return cls(recipe, task, model, catalogue, evaluated_splits(recipe, offered))

    def located(self) -> Plan:
        """The plan with absolute paths, so that its recipe holds from any working directory."""
        recipe = self.catalogue.located(self.recipe)
        moved = recipe.model != self.recipe.model  # a folder; the name of an offered one stays
        return replace(self, recipe=recipe, model=Path(recipe.model) if moved else self.model)

    @cached_property
    def taught(self) -> Task:
        """The task as trained policies are evaluated, and as SFT teaches it where all is reasoned.

        Of ANS-SFT, the direct prompt takes the place of the prompt, and the bare answer is taught.
        """
        if self.recipe.paradigm != ANSWERS:
            return self.task
        prompt, other = prompts.direct_of(self.task), self.task.prompt
        return replace(self.task, prompt=prompt, direct_prompt=other, target=prompts.answer_target)

    @cached_property
    def sft_task(self) -> Task:
        """The task as SFT teaches it: `taught`, or with bare answers where reasoning is absent."""
        if self.recipe.sft.without_cot != "answer" or self.recipe.paradigm == ANSWERS:
            return self.taught
        return prompts.with_bare_answers(self.taught)

    @property
    def asked(self) -> str:
        """The name of the prompt that a trained policy is evaluated with."""
        return "direct" if self.recipe.paradigm == ANSWERS else "reason"

    @property
    def measures_base(self) -> bool:
        """Whether the model is evaluated before training; always if nothing is trained."""
        trained = any(map(self.enabled, PHASE_SPLITS))
        return self.recipe.evaluation.zero_shot or not trained

    @property
    def last_stage(self) -> str:
        """The stage that is evaluated last: "grpo", "sft" or "start"."""
        trained = [phase for phase in PHASE_SPLITS if self.enabled(phase)]
        return trained[-1] if trained else "start"

    @property
    def drawn(self) -> Drawn | None:
        """How completions are drawn beside the greedy ones, if they are."""
        from rftcore.evaluation.splits import Drawn

        settings = self.recipe.evaluation
        if not settings.sampled:
            return None
        return Drawn(settings.sampled, settings.temperature, self.recipe.seed)

    def enabled(self, phase: str) -> bool:
        """Whether a phase is switched on."""
        return bool(getattr(self.recipe, phase).enabled)

    def part(self, phase: str) -> Slice:
        """What a phase trains on. Raises: DataError if there is no such split, or it is empty."""
        if phase not in self._parts:
            most = getattr(self.recipe, phase).samples
            if phase == "sft":
                bare = self.recipe.paradigm == ANSWERS
                skip = self.recipe.sft.without_cot == "skip"
                self._parts[phase] = take_sft(self.task, most, bare=bare, skip=skip)
            else:
                self._parts[phase] = take(self.task, PHASE_SPLITS[phase], most)
        return self._parts[phase]

    @cached_property
    def parts(self) -> list[Slice]:
        """All that a run reads of the task's splits. Raises: RecipeError if that is nothing."""
        chosen = [self.part(phase) for phase in PHASE_SPLITS if self.enabled(phase)]
        samples = self.recipe.evaluation.samples
        chosen += [take(self.task, split, samples.get(split)) for split in self.splits]
        if not chosen:
            raise RecipeError("nothing to do: SFT, GRPO and every evaluation are switched off")
        return chosen


@dataclass(frozen=True)
class Request:
    """The layers of settings of a call; later ones override earlier ones.

    weak: settings of a run on another task, which that task's defaults override. file: a recipe.
    options: names and numbers with an option of their own. settings: single ones. settled: the
    file is a resolved recipe, and no default has a place in it. trains: whether phases are to run.
    policy: weights to measure in
    place of those of the recipe's model.
    """

    file: Layer | None = None
    options: Sequence[Layer] = ()
    settings: Sequence[Layer] = ()
    smoke: bool = False
    weak: Sequence[Layer] = ()
    settled: bool = False
    trains: bool = True
    policy: Path | None = None

    def plan(self, catalogue: Catalogue) -> Plan:
        """Resolve it in steps, the task first: a fault in its options is found before a model.

        Raises: RecipeError with all faults at once; UnknownNameError for a name.
        """
        first = self._named(())
        task = catalogue.task_of(first)
        model = self.policy or catalogue.model(first.model, first.origin("model"))
        defaults: list[Layer] = []
        if not self.settled:
            defaults = [*model_defaults(model, first.task), *self.weak]
            named = self._named(defaults)
            changed = {name.partition(".")[0] for name in differences(first, named)}
            if changed & {*TASK_SETTINGS}:
                task = catalogue.task_of(named)
            defaults.append(catalogue.defaults_of(named.task, task))
        recipe = self.recipe(defaults)
        offered = dataset_of(task).splits
        check_splits(recipe, offered, trains=self.trains)
        if self.smoke:
            recipe = self.recipe(defaults, evaluated_splits(recipe, offered))
        if not self.policy and recipe.model != first.model:
            model = catalogue.model(recipe.model, recipe.origin("model"))
        return Plan.of(recipe, task, model, catalogue, trains=self.trains)

    def recipe(
        self,
        defaults: Sequence[Layer] = (),
        splits: Sequence[str] = (),
        without: Sequence[str] = (),
    ) -> Recipe:
        """The recipe over `defaults`; of a smoke run with few samples of `splits`."""
        layers = [*defaults, *([self.file] if self.file else [])]
        if self.smoke:
            few = {"samples": dict.fromkeys(splits, SMOKE_SAMPLES)}
            layers += [("--smoke", SMOKE), ("--smoke", {"evaluation": few})]
        return load_recipe(*layers, *self.options, *self.settings, without=without)

    def _named(self, defaults: Sequence[Layer]) -> Recipe:
        """The recipe before all defaults are known: good for the names in it.

        Numbers that do not fit yet may fit then; if not, that is reported then.
        """
        defaults = defaults or self.weak
        try:
            return self.recipe(defaults)
        except RecipeError as every_fault:
            try:
                return self.recipe(defaults, without=TASK_SECTIONS)
            except RecipeError:
                raise every_fault from None


def recipe_layer(recipe: str | Path | Mapping[str, Any] | None) -> Layer | None:
    """A recipe file, or a mapping of settings, as a layer. Raises: RecipeError if it is no YAML."""
    if recipe is None:
        return None
    if isinstance(recipe, Mapping):
        return "recipe", recipe
    return str(recipe), read_recipe_file(recipe)


def setting_layers(settings: Settings) -> list[Layer]:
    """Single settings as layers, each with its origin: "--set a.b"."""
    if isinstance(settings, str):
        settings = [settings]
    if not isinstance(settings, Mapping):
        return [parse_override(text) for text in settings]
    layers: list[Layer] = []
    for name, value in settings.items():
        layer: Any = value
        for part in reversed(name.split(".")):
            layer = {part: layer}
        layers.append((f"--set {name}", layer))
    return layers
