"""The real command, from names to the table; and a run that is killed wherever it hurts."""

import json
import re
from pathlib import Path

import pytest

from rftcore import runs
from tests.forked import Command, two_ranks

ROOT = Path(__file__).parents[1]
RED_CUBES = ROOT / "examples/rft-red-cubes/rft_red_cubes.py"
FIND_SHAPES = ROOT / "examples/rft-find-shapes/rft_find_shapes.py"

pytest.importorskip("rft_nano")
pytestmark = pytest.mark.slow


def finished(folder):
    return {
        "state": json.loads((folder / "state.json").read_text())["done"],
        "summary": json.loads((folder / "summary.json").read_text()),
        "metrics": [json.loads(s) for s in (folder / "metrics.jsonl").read_text().splitlines()],
    }


def assert_listed(folder):
    """The docstring of `rftcore.runs` lists all files of a run, and no others."""
    lines = re.findall(r"^    (\S+(?:  \S+\.\w+)?)  ", runs.__doc__, re.M)
    listed = [name for line in lines for name in line.split()]
    words = {"PHASE": "(sft|grpo)", "STAGE": r"\w+(-\w+)?", "SPLIT": r"[\w-]+", "STEP": r"\d+"}
    patterns = {
        name: re.sub("|".join(words), lambda found: words[found[0]], name)
        + (".+" if name.endswith("/") else "")
        for name in listed
    }
    files = [str(f.relative_to(folder)) for f in folder.rglob("*") if f.is_file()]
    files.remove(".lock")

    assert [f for f in files if not any(re.fullmatch(p, f) for p in patterns.values())] == []
    unseen = {n for n, p in patterns.items() if not any(re.fullmatch(p, f) for f in files)}
    asked = {"prompts.jsonl", "tracking.json", "evaluation/sampled/STAGE-SPLIT.jsonl"}
    assert unseen <= {"failures.jsonl", *asked}
    assert len(listed) == 20


def untimed(run):
    """Without what measures the machine, and a check that every session makes anew."""
    no = ("time", "per_second", "shared_prefix/difference", "rollout_check")
    metrics = [{k: v for k, v in m.items() if not any(n in k for n in no)} for m in run["metrics"]]
    summary = {name: value for name, value in run["summary"].items() if name != "seconds"}
    machine = ("seconds", "peak_memory")
    summary["usage"] = {
        part: {name: value for name, value in used.items() if name not in machine}
        for part, used in summary["usage"].items()
    }
    return {**run, "metrics": metrics, "summary": summary}


@pytest.mark.parametrize(
    "task", ["counting", f"{RED_CUBES}:count_red_cubes", f"{FIND_SHAPES}:find_shapes"]
)
def test_a_task_trains_and_reports_from_end_to_end(task, tmp_path):
    out = tmp_path / "run"
    code, printed, errors = Command("train", "--task", task, "--smoke", "--out", out).end()

    assert code == 0, errors
    assert "after GRPO" in printed
    assert "SFT to GRPO" in printed
    assert str(out) in printed
    assert list(finished(out)["summary"]["scores"]) == ["start", "sft", "grpo"]
    assert_listed(out)


def test_two_processes_share_one_run_and_one_evaluation(tmp_path):
    out = tmp_path / "run"
    words = ("train", "--task", "counting", "--smoke", "--set=evaluation.splits=[val]")
    code, printed, errors = two_ranks(*words, "--out", out)

    assert code == 0, errors
    assert printed.count("SFT to GRPO") == 1
    answered = [json.loads(s) for s in (out / "evaluation/grpo-val.jsonl").read_text().splitlines()]
    assert len({answer["id"] for answer in answered}) == len(answered) == 8


SUITE = """
import io
import rftcore as rft

def squares():
    from PIL import Image

    def measures():
        samples = []
        for colour in ("red", "blue", "lime"):
            file = io.BytesIO()
            Image.new("RGB", (32, 32), colour).save(file, "PNG")
            picture = rft.Image.from_bytes(file.getvalue())
            samples.append(rft.Sample(colour, "Which colour?", colour, (picture,)))
        return {"colour": rft.Measure(samples), "one": rft.Measure(samples[:1])}

    return rft.Suite("squares", measures, max_new_tokens=2)

@rft.hookimpl
def rft_suites():
    return {"squares": squares}
"""


def test_two_processes_share_a_suite_that_a_plugin_brings(tmp_path, monkeypatch):
    info = tmp_path / "squares-1.0.dist-info"  # what pip leaves behind
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: squares\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[rft]\nsquares = squares\n")
    (tmp_path / "squares.py").write_text(SUITE)
    monkeypatch.syspath_prepend(tmp_path)
    out = tmp_path / "out.json"
    code, printed, errors = two_ranks("eval", "toy", "--suite", "squares", "--json", out)

    assert code == 0, errors
    assert printed.count("images swapped") == 1
    report = json.loads(out.read_text())
    assert (report["colour"]["n"], report["one"]["n"], list(report["blind"])) == (3, 1, ["colour"])


@pytest.mark.long
def test_a_run_killed_while_rendering_in_sft_and_in_grpo_equals_one_that_was_not(tmp_path):
    out, other, cache = tmp_path / "run", tmp_path / "other", tmp_path / "cache"
    saves = [f"--set={p}.{s}" for p in ("sft", "grpo") for s in ("max_steps=4", "save_steps=2")]

    def train(*arguments):
        return Command("train", *arguments, RFT_CACHE=str(cache))

    def rendered():
        return len(list(cache.glob("scenes/??/*.png"))) > 3

    def saved(phase):
        return (out / phase / "checkpoint-2" / "trainer_state.json").exists

    start = ("--task", "counting", "--smoke", *saves)
    train(*start, "--out", out).kill_when(rendered)
    train("--resume", out).kill_when(saved("sft"))
    train("--resume", out).kill_when(saved("grpo"))
    code, _, errors = train("--resume", out).end()

    assert code == 0, errors
    assert train(*start, "--out", other).end()[0] == 0  # rollouts have the paths of its images
    run, its = untimed(finished(out)), untimed(finished(other))
    assert run["state"][-1] == "evaluate:grpo"
    assert run == its
    assert (out / "rollouts.jsonl").read_text() == (other / "rollouts.jsonl").read_text()
