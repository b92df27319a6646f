"""Run GRPO on nano with many settings, and record each run as one line of JSON.

    python benchmarks/grpo_study.py --runs runs/study                # all of QUEUE, in order
    python benchmarks/grpo_study.py --runs runs/study --only base-s0-sft160
    python benchmarks/grpo_study.py --table                          # print the recorded runs

Each entry of QUEUE starts from an SFT policy (`rft train` without GRPO, made once per seed and
number of chains of thought), forks it with GRPO's settings, and measures `val` (900 questions)
and `ood-vehicles` (500) before and after. Choose on `val`. An interrupted queue can be started
again: finished entries are skipped and unfinished runs are resumed. On one thread an entry takes
minutes to hours; use `nice`.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from types import MappingProxyType
from typing import Any

RESULTS = Path(__file__).parent / "results" / "grpo_study.jsonl"
SPLITS = ("val", "ood-vehicles")
COLLAPSE, COLLAPSE_OVER = 0.6, 30  # stop if accuracy over this many steps falls below this share
MEASURED = {
    "task_options.rl": "1440",
    "task_options.val": "900",
    "evaluation.zero_shot": "false",
    "evaluation.splits": f"[{', '.join(SPLITS)}]",
    "evaluation.blind": "0",
    "report": "false",
}
NOT_IN_A_FORK = ("policy.", "task_options.")  # such an entry starts from the SFT policy's folder
STEPS_OF_SFT = 200  # of 8 samples each, so epochs = 1600 / number of samples
BASE = {
    "min_p": "0.1",
    "adam_epsilon": "1e-4",
    "learning_rate": "1e-4",
    "lr_scheduler_type": "constant_with_warmup",
    "max_steps": "300",
    "num_train_epochs": "1000",  # max_steps decides
}


@dataclass(frozen=True)
class Entry:
    """One run of the study. settings: what differs from BASE, in section `grpo` unless dotted."""

    name: str
    settings: Mapping[str, str] = field(default_factory=dict)
    seed: int = 0
    chains: int = 160  # of thought, for SFT

    @property
    def parent(self) -> str:
        """The name of the SFT run."""
        return f"sft{self.chains}-s{self.seed}"

    def grpo(self) -> dict[str, str]:
        """All settings by their full names."""
        merged = {**BASE, **self.settings}
        return {k if "." in k else f"grpo.{k}": v for k, v in merged.items()}


def shape(prompts: int, group: int) -> dict[str, str]:
    """P prompts of G completions per step."""
    return {"prompts_per_step": str(prompts), "group_size": str(group)}


# Half the steps, of twice the prompts, so that many settings fit; "short" is their reference.
SHORT = {**shape(16, 4), "max_steps": "150"}
LONG = {"max_steps": "1000", "lr_scheduler_type": "cosine", **shape(16, 4)}
OTHER_REWARDS = {"rewards.process.weight": "0"}


def short(name: str, settings: Mapping[str, str] = MappingProxyType({}), **more: int) -> Entry:
    """An entry with the shape of `SHORT`, unless its settings say otherwise."""
    return Entry(name, {**SHORT, **settings}, **more)


QUEUE = [
    Entry("base"),
    Entry("base", seed=1),
    Entry("lr-2e-4-linear", {"learning_rate": "2e-4", "lr_scheduler_type": "linear"}),
    Entry("shape-16x4", shape(16, 4)),
    short("short"),
    short("accuracy-and-format", OTHER_REWARDS),
    short("scale-none", {"scale_rewards": "none"}),
    short("temperature-0.7", {"temperature": "0.7"}),
    short("short", chains=320),
    short("short", chains=80),
    short("lora-16", {"policy.lora.rank": "16", "learning_rate": "1e-3"}),
    short("kl-0.02", {"beta": "0.02"}),
    short("min-p-0.3", {"min_p": "0.3"}),
    short("accuracy-alone", {**OTHER_REWARDS, "rewards.format.weight": "0"}),
    short("shape-32x2", shape(32, 2)),
    short("shape-8x8", shape(8, 8)),
    short("skip", {"skip": "[failed, flat]", "skip_after": "1"}),
    short("train-vision", {"freeze": "[]"}),  # nano freezes the tower by default
    short("epsilon-1e-8", {"adam_epsilon": "1e-8"}),
    short("beta2-0.95", {"adam_beta2": "0.95"}),
    short("scale-batch", {"scale_rewards": "batch"}),
    short("sgd", {"optim": "sgd", "optim_args": "momentum=0.9", "learning_rate": "0.03"}),
    short("min-p-0.02", {"min_p": "0.02"}),
    short("top-p-0.95", {"min_p": "0", "top_p": "0.95"}),
    short("lr-5e-5", {"learning_rate": "5e-5"}),
    short("short", chains=40),
    short("short", seed=1),
    short("shape-32x4", {**shape(32, 4), "max_steps": "150"}),
    Entry("16x4-1000", LONG),
    Entry("16x4-1000-rl-8000", {**LONG, "task_options.rl": "8000"}),
]


def main() -> None:
    """Run the entries that are not recorded yet."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--runs", type=Path, default=Path("runs/study"))
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--only", nargs="*", help="keys of entries, such as base-s0-sft160")
    parser.add_argument(
        "--table", action="store_true", help="print the recorded runs and run nothing"
    )
    args = parser.parse_args()
    if not args.table:
        for entry in QUEUE:
            recorded = {line["key"] for line in read(args.results)}
            if key(entry) not in recorded and (not args.only or key(entry) in args.only):
                line = json.dumps(run(entry, args.runs))
                args.results.parent.mkdir(parents=True, exist_ok=True)
                with args.results.open("a") as file:
                    file.write(line + "\n")
    print(table(read(args.results)))


def key(entry: Entry) -> str:
    """The unique name of an entry."""
    return f"{entry.name}-s{entry.seed}-sft{entry.chains}"


def read(results: Path) -> list[dict[str, Any]]:
    """The lines recorded so far."""
    return (
        [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []
    )


def run(entry: Entry, runs: Path) -> dict[str, Any]:
    """Run one entry, with SFT if it is missing, and return its record."""
    parent, out = runs / entry.parent, runs / key(entry)
    new = ["--task", "counting", "--seed", str(entry.seed)]
    sft = {
        "sft.samples": str(entry.chains),
        "sft.num_train_epochs": str(STEPS_OF_SFT * 8 // entry.chains),
    }
    train(parent, new, {**MEASURED, **sft, "paradigm": "cot-sft"})
    if any(name.startswith(NOT_IN_A_FORK) for name in entry.settings):
        model = ["--model", str(parent / "sft" / "model")]
        train(out, [*new, *model], {**MEASURED, "paradigm": "reason-rft-zero", **entry.grpo()})
    else:
        train(out, ["--fork", str(parent)], {"paradigm": "reason-rft", **entry.grpo()})
    return record(entry, parent, out)


def train(out: Path, how: Sequence[str], settings: Mapping[str, str]) -> None:
    """Start or resume a run of `rft train` unless it is finished."""
    if (out / "summary.json").exists():
        return
    sets = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
    words = ["--resume", str(out)] if out.exists() else [*how, *sets, "--out", str(out)]
    command = ["rft", "train", *words]
    print(shlex.join(command), flush=True)
    running = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    while running.poll() is None:
        time.sleep(10)
        if collapsed(steps_of(out)):
            running.terminate()
            running.wait()
            return
    if running.returncode:
        raise SystemExit(f"exit code {running.returncode}: {shlex.join(command)}")


def steps_of(out: Path) -> list[dict[str, Any]]:
    """The logged GRPO steps of a run so far."""
    file = out / "metrics.jsonl"
    lines = file.read_text().splitlines() if file.exists() else []
    logged = [json.loads(line) for line in lines if line.endswith("}")]
    return [line for line in logged if line["phase"] == "grpo" and "loss" in line]


def collapsed(steps: Sequence[Mapping[str, float]]) -> bool:
    """Whether the accuracy of the last rollouts is far below that of the first."""
    if len(steps) < 2 * COLLAPSE_OVER:
        return False
    first, last = steps[:COLLAPSE_OVER], steps[-COLLAPSE_OVER:]
    start, now = (sum(step["accuracy"] for step in part) for part in (first, last))
    return now < COLLAPSE * start


def record(entry: Entry, parent: Path, out: Path) -> dict[str, Any]:
    """The record of a run that has finished or was stopped after a collapse."""
    from rftcore import load_run
    from rftcore.statistics import change

    steps = steps_of(out)
    line = {
        "key": key(entry),
        "chains": entry.chains,
        "seed": entry.seed,
        "settings": dict(entry.settings),
        "steps": len(steps),
        "rollouts": len(steps) * size(entry),
        "agreement": agreement(steps),
        "curve": list(curve(steps)),
    }
    if not (out / "summary.json").exists():
        return {**line, "collapsed": True}
    right = {
        stage: {s: [float(a.correct) for a in load_run(run).answers(stage, s)] for s in SPLITS}
        for stage, run in (("sft", parent), ("grpo", out))
    }
    gains = {s: change([right["grpo"][s]], [right["sft"][s]]) for s in SPLITS}
    return {
        **line,
        "seconds": round(json.loads((out / "summary.json").read_text())["seconds"]["grpo"]),
        "scores": {
            stage: {s: round(100 * fmean(answers), 2) for s, answers in splits.items()}
            for stage, splits in right.items()
        },
        "gains": {
            s: [round(100 * part, 2) for part in (gain.value, gain.low, gain.high)]
            for s, gain in gains.items()
        },
    }


def size(entry: Entry) -> int:
    """Completions per step."""
    settings = {**shape(8, 8), **entry.settings}
    return int(settings["prompts_per_step"]) * int(settings["group_size"])


def agreement(steps: Sequence[Mapping[str, float]]) -> float | None:
    """Mean cosine between the gradients of any two of the first 16 steps."""
    pairs = [(s["gradient/agreement"], s["gradient/pairs"]) for s in steps if "gradient/pairs" in s]
    total = sum(count for _, count in pairs)
    return round(sum(mean * count for mean, count in pairs) / total, 5) if total else None


def curve(steps: Sequence[Mapping[str, float]], every: int = 50) -> Iterator[dict[str, float]]:
    """Means of the rollouts' metrics over every 50 steps."""
    names = ("accuracy", "reward/process", "reward/format", "entropy", "completions/mean_length")
    for start in range(0, len(steps), every):
        part = steps[start : start + every]
        values = {n: [step[n] for step in part if n in step] for n in names}
        yield {n: round(sum(v) / len(v), 4) for n, v in values.items() if v}


def table(lines: Sequence[Mapping[str, Any]]) -> str:
    """One row per recorded run."""
    rows = [
        f"| {line['key']} | {line['rollouts']:,} | {line.get('seconds', 0) / 60:.0f} | "
        + " | ".join(cell(line, split) for split in SPLITS)
        + f" | {line.get('agreement') or ''} | "
        + ", ".join(f"{100 * part['accuracy']:.0f}" for part in line["curve"])
        + " |"
        for line in lines
    ]
    head = "| run | rollouts | minutes | val | vehicles | agreement | sampled, by 50 steps |"
    return "\n".join([head, "|---|---|---|---|---|---|---|", *rows])


def cell(line: Mapping[str, Any], split: str) -> str:
    """Accuracy before and after GRPO, and the gain with its interval."""
    if "gains" not in line:
        return "collapsed"
    before, after = (line["scores"][stage][split] for stage in ("sft", "grpo"))
    gain, low, high = line["gains"][split]
    return f"{before:.1f} to {after:.1f}: {gain:+.1f} [{low:+.1f}, {high:+.1f}]"


if __name__ == "__main__":
    main()
