"""Two processes that are stopped and continued give what they give without the stop."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForImageTextToText

from rftcore.testing.families import tiny_qwen2_vl

pytest.importorskip("rft_nano")
pytestmark = pytest.mark.engines

CASES = Path(__file__).parent / "cases"
FSDP = Path(__file__).parents[1] / "examples" / "accelerate" / "fsdp2_cpu.yaml"
TORCHRUN = ("torch.distributed.run", "--nproc-per-node=2", "--standalone")
ACCELERATE = (
    *("accelerate.commands.launch", f"--config_file={FSDP}"),
    *("--num_cpu_threads_per_process=1", "--main_process_port=0"),
)
SETTINGS = (
    *("sft.samples=8", "sft.batch_size=4", "sft.max_steps=4", "sft.learning_rate=1e-3"),
    *("grpo.samples=8", "grpo.max_steps=4", "grpo.learning_rate=1e-3", "grpo.beta=0.04"),
    *("vision_check.enabled=false", "evaluation.splits=[]", "sft.warmup_steps=0"),
)
LORA = ("policy.lora.rank=4", "policy.lora.between=continue")
MEASURED = ("time", "runtime", "per_second", "rollout_check", "gradient/", "shared_prefix/")


def run(engine, script, *words, stop=""):
    """The exit code of two processes."""
    start = TORCHRUN if engine == "ddp" else ACCELERATE
    variables = {**os.environ, "OMP_NUM_THREADS": "1", "STOP_AT": stop}
    command = [sys.executable, "-m", *start, *script, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, env=variables)
    return done.returncode, done.stderr


def numbers(folder):
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [
        {name: line[name] for name in line if not any(part in name for part in MEASURED)}
        for line in lines
    ]


@pytest.mark.parametrize(
    ("engine", "model", "settings", "stop"),
    [
        ("ddp", "toy", LORA, "grpo:2"),
        ("fsdp", "toy", (), "sft:2"),
        ("fsdp", "qwen2_vl", LORA, "grpo:2"),
    ],
)
def test_a_stopped_run_of_two_processes_continues_exactly(engine, model, settings, stop, tmp_path):
    source = tiny_qwen2_vl(tmp_path / "qwen2_vl") if model == "qwen2_vl" else model
    whole, other = tmp_path / "whole", tmp_path / "other"
    chosen = [f"--set={each}" for each in (*SETTINGS, *settings)]
    words = ["train", "--smoke", f"--task={CASES}/lively_task.py:squares", f"--model={source}"]
    code, errors = run(engine, ("-m", "rftcore.cli"), *words, *chosen, f"--out={whole}")
    assert code == 0, errors[-3000:]
    stopping = (str(CASES / "stop_at.py"),)
    code, errors = run(engine, stopping, *words, *chosen, f"--out={other}", stop=stop)
    assert code != 0
    phase, _, step = stop.partition(":")
    assert f"stopped by SIGTERM after {phase} step {step}; continue with: " in errors
    code, errors = run(engine, ("-m", "rftcore.cli"), "train", f"--resume={other}")
    assert code == 0, errors[-3000:]

    assert numbers(other) == numbers(whole)
    for part in ("sft", "grpo"):
        weights = [
            load_file(each / part / "model" / "model.safetensors") for each in (whole, other)
        ]
        assert weights[0].keys() == weights[1].keys()
        assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())


def test_fsdp_saves_whole_weights_that_plain_transformers_loads(tmp_path):
    folder = tmp_path / "run"
    words = ["train", "--smoke", f"--task={CASES}/lively_task.py:squares", f"--out={folder}"]
    chosen = [f"--set={each}" for each in (*SETTINGS, "grpo.enabled=false")]
    code, errors = run("fsdp", ("-m", "rftcore.cli"), *words, *chosen)
    assert code == 0, errors[-3000:]
    models = AutoModelForImageTextToText
    trained, report = models.from_pretrained(folder / "sft" / "model", output_loading_info=True)
    checkpoint = models.from_pretrained(folder / "sft" / "checkpoint-4")

    assert (folder / "sft" / "checkpoint-4" / "pytorch_model_fsdp.bin").is_file()
    assert not any(report[what] for what in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    pairs = zip(trained.parameters(), checkpoint.parameters(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)
