"""The recipe: every setting of a run, its default and its rule, as one frozen object."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationInfo, field_validator

from rftcore.config.paradigms import DEFAULT, Paradigm
from rftcore.config.policy import FORBID, PolicyRecipe
from rftcore.splits import evaluated

Path_ = tuple[str, ...]
Layer = tuple[str, Mapping[str, Any]]
Frozen = Literal["vision", "projector"]
WithoutCot = Literal["error", "answer", "skip"]
Settled = Literal["solved", "failed", "flat"]
Tracked = Literal["tensorboard", "trackio", "wandb", "mlflow"]
Count = Annotated[int, Field(ge=1)]
# of samples or completions in a step: what divides it is searched for
MOST = 1_000_000
Batch = Annotated[int, Field(ge=1, le=MOST)]

ALLOW = ConfigDict(extra="allow", frozen=True, allow_inf_nan=False, ser_json_inf_nan="constants")


class RewardOverride(BaseModel):
    """Changes one reward term of the task, or adds one (then `use` is needed)."""

    model_config = FORBID

    use: str | None = Field(None, description="name of an offered reward")
    weight: float | None = Field(None, description="weight in the total; 0 only measures")
    options: dict[str, Any] = Field({}, description="options of the reward's factory")


class SftRecipe(BaseModel):
    """Phase 1: SFT. Any other field of TRL's `SFTConfig` is a setting too."""

    model_config = ALLOW

    enabled: bool = True
    samples: Count | None = Field(None, description="how many of split sft; null: all")
    without_cot: WithoutCot = Field(
        "error", description="samples of split sft without reasoning: teach the answer, or skip"
    )
    batch_size: Batch = Field(16, description="samples per optimizer step")
    micro_batch: Batch | None = Field(None, description="samples per forward; null: batch_size")
    freeze: list[Frozen] = Field(["vision"], description="parts that are not trained")
    check_lengths: bool = Field(
        True, description="check that SFT targets fit the completion limits"
    )

    @field_validator("micro_batch")
    @classmethod
    def divides_the_batch(cls, size: int | None, info: ValidationInfo) -> int | None:
        whole = info.data.get("batch_size")
        if size and whole and whole % size:
            raise ValueError(f"must divide batch_size={whole}; try {_divisor(whole, size)}")
        return size


class GrpoRecipe(BaseModel):
    """Phase 2: GRPO. Any other field of TRL's `GRPOConfig` is a setting too."""

    model_config = ALLOW

    enabled: bool = True
    prompts_per_step: Batch = Field(14, description="prompts per optimizer step (P)")
    group_size: int = Field(8, le=MOST, description="completions per prompt (G)")
    micro_batch: Batch | None = Field(None, description="completions per forward; null: P x G")
    samples: Count | None = Field(None, description="how many of split rl; null: all")
    freeze: list[Frozen] = Field([], description="parts that are not trained")
    shared_prefix: Literal["auto", "on", "off"] = Field(
        "auto",
        description="compute a group's prompt once; on: fail if the model does not support it",
    )
    sampling_mask: Literal["auto", "on", "off"] = Field(
        "auto",
        description="the loss has the tokens that sampling keeps; on: fail if that is not possible",
    )
    skip: list[Settled] = Field([], description="groups after which a prompt is passed over")
    skip_after: int = Field(2, ge=1, description="how many such groups in a row")
    skip_for: int = Field(2, ge=1, description="passes over the split until it is drawn again")

    @field_validator("group_size")
    @classmethod
    def has_something_to_compare(cls, size: int) -> int:
        if size < 2:
            raise ValueError(
                "an advantage is a reward relative to its group: use 2 or more (8 in the paper)"
            )
        return size

    @field_validator("micro_batch")
    @classmethod
    def divides_the_step(cls, size: int | None, info: ValidationInfo) -> int | None:
        prompts, group = info.data.get("prompts_per_step"), info.data.get("group_size")
        if not (size and prompts and group):
            return size
        if prompts * group % size:
            whole = prompts * group
            raise ValueError(
                f"must divide prompts_per_step={prompts} x group_size={group} = {whole}; "
                f"try {_divisor(whole, size)}"
            )
        if size % group and group % size:
            raise ValueError(f"must be a multiple or a divisor of group_size={group}; try {group}")
        return size


class EvaluationRecipe(BaseModel):
    """Evaluation: splits, samples and limits. Scores are of greedy completions."""

    model_config = FORBID

    splits: list[str] | None = Field(None, description="null: val, test and every ood-*")
    samples: dict[str, Count] = Field({}, description="most samples, per split")
    batch_size: Batch = 64
    max_new_tokens: int = Field(512, ge=1)
    blind: int = Field(
        200, ge=0, description="samples per split asked again with other images, at the last stage"
    )
    sampled: int = Field(0, ge=0, description="completions drawn per question; 0: none")
    temperature: float = Field(1.0, gt=0, description="of drawn completions")
    zero_shot: bool = Field(True, description="also measure the model before training")
    after_each_phase: bool = Field(True, description="false: only at the end")


class VisionRecipe(BaseModel):
    """The check before step 1 that the image changes the log-probabilities."""

    model_config = FORBID

    enabled: bool = True
    samples: int = Field(8, ge=2)
    min_shift: float = Field(1e-3, gt=0, description="mean |shift|, nats per answer")


class ScoringRecipe(BaseModel):
    """How rewards run, and how many failed calls a run tolerates."""

    model_config = FORBID

    error_budget: int = Field(10, ge=0, description="failed reward calls before the run stops")
    timeout_s: float = Field(2.0, gt=0, description="deadline of one reward call")
    workers: int | None = Field(
        None,
        ge=0,
        le=1024,
        description="processes for slow rewards; null: one per core, at most 8; 0: none",
    )
    isolate_all: bool = Field(
        False, description="run every reward in a worker process, so that a crash costs one call"
    )

    @field_validator("isolate_all")
    @classmethod
    def needs_a_worker(cls, isolate_all: bool, info: ValidationInfo) -> bool:
        if isolate_all and info.data.get("workers") == 0:
            raise ValueError("needs processes to isolate rewards in, but scoring.workers is 0")
        return isolate_all


class TrackingRecipe(BaseModel):
    """The trackers that receive the numbers of a run, besides its folder."""

    model_config = FORBID

    to: list[Tracked] = Field([], description="trackers, each with one run for both phases")
    project: Annotated[str, Field(min_length=1)] | None = Field(
        None, description="the project that the trackers list the run in; null: the task's name"
    )


class Recipe(BaseModel):
    """The settings of one run. Defaults are the paper's; a model folder can have its own."""

    model_config = FORBID

    task: str
    model: str = "nano"
    paradigm: Paradigm = Field(DEFAULT, description="which phases run, and what SFT teaches")
    seed: int = Field(0, ge=0, lt=2**32)
    task_options: dict[str, Any] = Field({}, description="options of the task's factory")
    dataset: dict[str, Any] = Field(
        {}, description="{path: FOLDER or FILE, **options} or {use: NAME, **options}"
    )
    rewards: dict[str, RewardOverride] = {}
    policy: PolicyRecipe = PolicyRecipe()
    sft: SftRecipe = SftRecipe()
    grpo: GrpoRecipe = GrpoRecipe()
    evaluation: EvaluationRecipe = EvaluationRecipe()
    vision_check: VisionRecipe = VisionRecipe()
    scoring: ScoringRecipe = ScoringRecipe()
    tracking: TrackingRecipe = TrackingRecipe()
    report: bool = Field(True, description="write the run as an HTML page when it ends")

    _origins: dict[Path_, str] = PrivateAttr(default_factory=dict)

    def origin(self, *path: str) -> str:
        """The origin of a setting: "recipe.yaml line 7", "--set seed", or "default"."""
        return origin_of(self._origins, path)


SECTIONS = tuple(
    name
    for name, field in Recipe.model_fields.items()
    if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
)


def evaluated_splits(recipe: Recipe, splits: Sequence[str]) -> tuple[str, ...]:
    """The splits to evaluate: those the recipe names, else val, test and every ood-*."""
    if recipe.evaluation.splits is not None:
        return tuple(dict.fromkeys(recipe.evaluation.splits))
    return evaluated(splits)


def differences(one: Recipe, other: Recipe) -> list[str]:
    """The dotted names of the settings in which two recipes differ."""
    left, right = dict(leaves(one.model_dump())), dict(leaves(other.model_dump()))
    missing = object()
    return sorted(
        ".".join(path)
        for path in {*left, *right}
        if left.get(path, missing) != right.get(path, missing)
    )


def leaves(mapping: Mapping[str, Any], path: Path_ = ()) -> Iterator[tuple[Path_, Any]]:
    """Every setting below a mapping, with its path."""
    for key, value in mapping.items():
        at = (*path, str(key))
        if isinstance(value, Mapping) and value:
            yield from leaves(value, at)
        else:
            yield at, value


def origin_of(origins: Mapping[Path_, str], path: Path_) -> str:
    """The origin of a setting, or else of the settings above or below it."""
    for length in range(len(path), 0, -1):
        if path[:length] in origins:
            return origins[path[:length]]
    return next((o for at, o in origins.items() if at[: len(path)] == path), "default")


def _divisor(whole: int, near: int) -> int:
    return max(d for d in range(1, near + 1) if whole % d == 0)
