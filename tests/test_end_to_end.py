"""The real command, from names to the table; and a run that is killed wherever it hurts."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rftcore import runs

ROOT = Path(__file__).parents[1]
RFT = Path(sys.executable).with_name("rft")
TORCHRUN = [
    *(sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone"),
    *("-m", "rftcore.cli"),
]
RED_CUBES = ROOT / "examples/rft-red-cubes/rft_red_cubes.py"
PATIENCE_S = 600

pytest.importorskip("rft_nano")
pytestmark = pytest.mark.slow


def command(*arguments):
    return [str(RFT), "train", *map(str, arguments)]


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
    assert unseen <= {"failures.jsonl"}
    assert len(listed) == 14


def untimed(run):
    """Without what measures the machine, and a check that every session makes anew."""
    no = ("time", "per_second", "shared_prefix/difference")
    metrics = [{k: v for k, v in m.items() if not any(n in k for n in no)} for m in run["metrics"]]
    summary = {name: value for name, value in run["summary"].items() if name != "seconds"}
    return {**run, "metrics": metrics, "summary": summary}


@pytest.mark.parametrize("task", ["counting", f"{RED_CUBES}:count_red_cubes"])
def test_a_task_trains_and_reports_from_end_to_end(task, tmp_path):
    out = tmp_path / "run"
    done = subprocess.run(
        command("--task", task, "--smoke", "--out", out), capture_output=True, text=True
    )

    assert done.returncode == 0, done.stderr
    assert "after GRPO" in done.stdout
    assert "SFT to GRPO" in done.stdout
    assert str(out) in done.stdout
    assert list(finished(out)["summary"]["scores"]) == ["start", "sft", "grpo"]
    assert_listed(out)


def test_two_processes_share_one_run_and_one_evaluation(tmp_path):
    out = tmp_path / "run"
    done = subprocess.run(
        [*TORCHRUN, *command("--task", "counting", "--smoke", "--out", out)[1:]],
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.count("SFT to GRPO") == 1
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


def test_two_processes_share_a_suite_that_a_plugin_brings(tmp_path):
    info = tmp_path / "squares-1.0.dist-info"  # what pip leaves behind
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: squares\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[rft]\nsquares = squares\n")
    (tmp_path / "squares.py").write_text(SUITE)
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    out = tmp_path / "out.json"
    done = subprocess.run(
        [*TORCHRUN, "eval", "toy", "--suite", "squares", "--json", str(out)],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.count("images swapped") == 1
    report = json.loads(out.read_text())
    assert (report["colour"]["n"], report["one"]["n"], list(report["blind"])) == (3, 1, ["colour"])


def kill_when(there, arguments, cache):
    """Start the command and kill -9 it as soon as `there()` is true."""
    process = subprocess.Popen(
        arguments,
        env={**os.environ, "RFT_CACHE": str(cache)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    start = time.monotonic()
    while not there():
        assert process.poll() is None, f"{arguments} ended by itself: {process.returncode}"
        assert time.monotonic() - start < PATIENCE_S
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()


def test_a_run_killed_while_rendering_in_sft_and_in_grpo_equals_one_that_was_not(tmp_path):
    out, other, cache = tmp_path / "run", tmp_path / "other", tmp_path / "cache"
    saves = [f"--set={p}.{s}" for p in ("sft", "grpo") for s in ("max_steps=4", "save_steps=2")]
    resume = command("--resume", out)

    def pictures():
        return list(cache.glob("scenes/??/*.png"))

    def saved(phase):
        return (out / phase / "checkpoint-2" / "trainer_state.json").exists()

    start = command("--task", "counting", "--smoke", "--out", out, *saves)
    kill_when(lambda: len(pictures()) > 3, start, cache)
    kill_when(lambda: saved("sft"), resume, cache)
    kill_when(lambda: saved("grpo"), resume, cache)
    done = subprocess.run(
        resume, env={**os.environ, "RFT_CACHE": str(cache)}, capture_output=True, text=True
    )

    assert done.returncode == 0, done.stderr
    whole = command("--task", "counting", "--smoke", "--out", other, *saves)
    subprocess.run(whole, capture_output=True, check=True)
    run, its = untimed(finished(out)), untimed(finished(other))
    assert run["state"][-1] == "evaluate:grpo"
    assert run == its
    assert (out / "rollouts.jsonl").read_text() == (other / "rollouts.jsonl").read_text()
