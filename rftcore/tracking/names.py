"""The names of the numbers that trackers receive, and the axis that each is drawn over.

A name begins with its axis: `sft/loss` is drawn over the optimizer steps of SFT, `grpo/loss` over
those of GRPO, `evaluation/test/accuracy` and `gain/test/change` over the stages of the run. After
that it is the name in the run folder. `NAMES` describes them all; docs/tracking.md shows it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

STAGES = ("start", "sft", "grpo")  # before training, after SFT, after GRPO: steps 0, 1, 2
EVALUATION, GAIN = "evaluation", "gain"
# What a number is drawn over, by the first word of its name, for trackers that need a number.
AXES = {
    "sft": "sft/step",
    "grpo": "grpo/step",
    EVALUATION: "evaluation/stage",
    GAIN: "evaluation/stage",
}
SCORES = ("accuracy", "low", "high", "n", "unparsed", "clipped", "tokens", "failed", "errors")


@dataclass(frozen=True)
class Row:
    """Numbers of one step. axis: the first word of their names."""

    axis: str
    step: int
    values: Mapping[str, float]


@dataclass(frozen=True)
class Name:
    """One name, or a family of names. Words in capitals vary, `...` is any end.

    source: "rft", or the library that chose the name and may change it. always: whether every
    run logs it that has the phase.
    """

    pattern: str
    meaning: str
    source: str = "rft"
    always: bool = True

    def covers(self, name: str) -> bool:
        """Whether a name is one of these."""
        return re.fullmatch(_regex(self.pattern), name) is not None


def _regex(pattern: str) -> str:
    """PHASE is sft or grpo; another word in capitals is anything without a slash."""
    text = re.escape(pattern).replace("PHASE", "(sft|grpo)").replace(re.escape("..."), ".+")
    return re.sub(r"\b(?:[A-Z]{3,}|K)\b", "[^/]+", text)


def line_row(line: Mapping[str, Any]) -> Row:
    """The numbers of a line of training."""
    phase = str(line["phase"])
    rest = {name: value for name, value in line.items() if name not in ("phase", "step")}
    return Row(phase, int(line["step"]), dict(_numbers(phase, rest)))


def score_rows(stage: str, scores: Iterable[Mapping[str, Any]]) -> Iterator[Row]:
    """The numbers of an evaluation, a row per split; none if `stage` is a trial of a prompt."""
    for score in scores if stage in STAGES else ():
        where = f"{EVALUATION}/{part(score['split'])}"
        values = dict(_numbers(where, {key: score.get(key) for key in SCORES}))
        values |= _numbers(f"{where}/reward", _parts(score.get("rewards")))
        values |= _numbers(f"{where}/blind", score.get("blind") or {})
        values |= _numbers(f"{where}/metric", _parts(score.get("metrics"), "mean"))
        for key, groups in (score.get("groups") or {}).items():
            values |= _numbers(f"{where}/group/{part(key)}", _parts(groups, "accuracy"))
        if sampled := score.get("sampled"):
            values |= _numbers(f"{where}/sampled", _parts(sampled, "accuracy"))
            values |= _numbers(f"{where}/sampled/pass_at", _parts(sampled["pass_at"]))
        yield Row(EVALUATION, STAGES.index(stage), values)


def gain_rows(gains: Iterable[Mapping[str, Any]]) -> Iterator[Row]:
    """What each stage gained, with its interval."""
    for gain in gains:
        values = {key: gain[key] for key in ("change", "low", "high")}
        name = f"{GAIN}/{part(gain['split'])}"
        yield Row(GAIN, STAGES.index(gain["stage"]), dict(_numbers(name, values)))


def run_rows(
    lines: Sequence[Mapping[str, Any]], scores: Mapping[str, Sequence[Mapping[str, Any]]]
) -> Iterator[Row]:
    """All rows of a run so far, in the order in which it wrote them. scores: by stage."""
    for stage in STAGES:
        for line in lines:
            if line["phase"] == stage:
                yield line_row(line)
        yield from score_rows(stage, scores.get(stage, ()))


def safe(name: str) -> str:
    """A name of characters that every tracker takes; others become `_xHEX_`."""
    return re.sub(r"[^A-Za-z0-9_./-]", lambda found: f"_x{ord(found[0]):x}_", name)


def part(name: object) -> str:
    """A name as a part of a longer one, between slashes."""
    return safe(str(name)).replace("/", "_x2f_")


def _parts(values: Mapping[str, Any] | None, field: str = "") -> dict[str, Any]:
    """Numbers by part of a name; with `field`, of each value that is a mapping, that number."""
    found = (values or {}).items()
    if not field:
        return {part(name): value for name, value in found}
    inner = ((name, value) for name, value in found if isinstance(value, Mapping))
    return {part(name): value.get(field) for name, value in inner}


def _numbers(prefix: str, values: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for name, value in values.items():
        if isinstance(value, int | float) and math.isfinite(value):
            yield f"{prefix}/{safe(name)}", value


NAMES = (
    Name("evaluation/SPLIT/accuracy", "share of right answers, in [0, 1]", always=False),
    Name("evaluation/SPLIT/low", "lower end of its 95 % interval", always=False),
    Name("evaluation/SPLIT/high", "upper end of its 95 % interval", always=False),
    Name("evaluation/SPLIT/n", "samples that were scored"),
    Name("evaluation/SPLIT/unparsed", "share of completions that the parser could not read"),
    Name("evaluation/SPLIT/clipped", "share of completions cut off at the token limit"),
    Name("evaluation/SPLIT/tokens", "mean length of a completion"),
    Name("evaluation/SPLIT/failed", "samples whose accuracy term failed"),
    Name("evaluation/SPLIT/reward/TERM", "mean of a reward term", always=False),
    Name("evaluation/SPLIT/errors", "samples to which an endpoint gave no answer", always=False),
    Name("evaluation/SPLIT/blind/accuracy", "the same with other images", always=False),
    Name("evaluation/SPLIT/blind/low", "lower end of its 95 % interval", always=False),
    Name("evaluation/SPLIT/blind/high", "upper end of its 95 % interval", always=False),
    Name("evaluation/SPLIT/blind/n", "samples that were scored in that way", always=False),
    Name("evaluation/SPLIT/metric/TERM", "mean of a term in `Task.metrics`", always=False),
    Name("evaluation/SPLIT/group/KEY/VALUE", "accuracy of a group of samples", always=False),
    Name("evaluation/SPLIT/sampled/accuracy", "accuracy of one drawn completion", always=False),
    Name("evaluation/SPLIT/sampled/majority", "accuracy of the majority", always=False),
    Name("evaluation/SPLIT/sampled/pass_at/K", "share solved by one of K", always=False),
    Name("gain/SPLIT/change", "change of the accuracy since the stage before", always=False),
    Name("gain/SPLIT/low", "lower end of its 95 % interval", always=False),
    Name("gain/SPLIT/high", "upper end of its 95 % interval", always=False),
    Name("grpo/accuracy", "share of right completions of the step", always=False),
    Name("grpo/unparsed", "share of completions that the parser could not read"),
    Name("grpo/reward/TERM", "mean of a reward term over the step", always=False),
    Name("grpo/reward_varies/TERM", "share of groups in which the term differs"),
    Name("grpo/reward_error/TERM", "share of its calls that failed"),
    Name("grpo/reward_timeout/TERM", "share of its calls that took too long"),
    Name("grpo/reward_time_s/TERM", "mean seconds of a call"),
    Name("grpo/scoring_time_s", "seconds of scoring the step"),
    Name("grpo/attacks", "share of completions with a sign of an attack on the reward"),
    Name("grpo/attack/KIND", "the same by kind of attack, if it occurs", always=False),
    Name("grpo/groups/...", "shares of groups by what they earned (docs/scoring.md)"),
    Name("grpo/prompts/passed_over", "with `grpo.skip`: prompts passed over", always=False),
    Name("grpo/gradient/...", "how far gradients agree, in the first steps", always=False),
    Name("grpo/rollout_check/...", "difference of the log-probabilities of rollouts and loss"),
    Name("grpo/shared_prefix/...", "whether prompts are computed once, and what that saves"),
    Name("grpo/sampling_mask/...", "what sampling keeps of the vocabulary", always=False),
    Name("PHASE/loss", "the loss", "TRL", always=False),
    Name("PHASE/train_loss", "its mean over the phase", "TRL"),
    Name("PHASE/learning_rate", "of the step", "TRL"),
    Name("PHASE/grad_norm", "norm of the gradient before it is cut", "TRL"),
    Name("PHASE/epoch", "passes over the data", "TRL"),
    Name("PHASE/num_tokens", "tokens so far", "TRL"),
    Name("PHASE/entropy", "mean entropy of the next token", "TRL"),
    Name("PHASE/train_runtime", "seconds of the last session", "TRL"),
    Name("PHASE/train_samples_per_second", "over the last session", "TRL"),
    Name("PHASE/train_steps_per_second", "over the last session", "TRL"),
    Name("PHASE/total_flos", "floating-point operations, estimated", "TRL"),
    Name("sft/mean_token_accuracy", "share of target tokens that are the most probable", "TRL"),
    Name("grpo/reward", "mean of the weighted total", "TRL"),
    Name("grpo/reward_std", "its standard deviation within groups", "TRL"),
    Name("grpo/frac_reward_zero_std", "share of groups of one reward", "TRL"),
    Name("grpo/rewards/...", "the weighted total under TRL's name of the reward function", "TRL"),
    Name("grpo/completions/...", "lengths, and the share cut off (`clipped_ratio`)", "TRL"),
    Name("grpo/clip_ratio/...", "share of tokens at the bounds of the ratio", "TRL"),
    Name("grpo/kl", "with `grpo.beta`: distance from the reference model", "TRL", always=False),
    Name("grpo/step_time", "seconds of the step", "TRL"),
    Name("grpo/...", "whatever else TRL logs with your settings", "TRL", always=False),
    Name("sft/...", "whatever else TRL logs with your settings", "TRL", always=False),
)
