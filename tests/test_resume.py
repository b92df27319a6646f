"""How a run ends: interrupted and continued, it equals one that was not, to the last weight."""

import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from rftcore import cli
from rftcore.runs import RunFolder
from rftcore.testing.families import tiny_qwen2_vl
from rftcore.training.callbacks import Progress
from rftcore.training.checkpoints import SEAL

pytest.importorskip("rft_nano")
pytestmark = pytest.mark.slow

TASK = f"{Path(__file__).parent}/cases/lively_task.py:squares"
STEPS = 5
# Two epochs of SFT in uneven batches, a reference model, and rollouts at temperature 1.
SETTINGS = (
    *("sft.samples=12", "sft.batch_size=4", f"sft.max_steps={STEPS}", "sft.save_steps=2"),
    *("grpo.samples=8", f"grpo.max_steps={STEPS}", "grpo.save_steps=2", "grpo.beta=0.04"),
    *("grpo.learning_rate=1e-3", "sft.learning_rate=1e-3", "vision_check.enabled=false"),
    *("evaluation.splits=[val]", "evaluation.samples.val=2", "evaluation.zero_shot=false"),
)
# What measures the machine, and a check that every session makes anew on its first batch.
NOT_COMPARED = ("time", "runtime", "per_second", "shared_prefix/difference")


def rft(*arguments):
    """The command's exit code, in this process."""
    try:
        cli.main([*map(str, arguments)], standalone_mode=False)
    except SystemExit as left:
        return left.code
    return 0


def arguments(model, out, *more):
    settings = [f"--set={setting}" for setting in (*SETTINGS, *more)]
    return ["train", "--task", TASK, "--smoke", "--model", model, "--out", out, *settings]


def start(model, out, *more):
    return rft(*arguments(model, out, *more))


@pytest.fixture(scope="module")
def qwen(tmp_path_factory):
    return tiny_qwen2_vl(tmp_path_factory.mktemp("tiny") / "qwen2_vl")


class Interrupt:
    """Raises Ctrl-C once: at the end of a step, or when a phase's last file is written."""

    def __init__(self, monkeypatch):
        self._patch = monkeypatch

    def at_step(self, phase, step):
        plain = Progress.on_step_end

        def on_step_end(progress, args, state, control, **kwargs):
            if (progress.phase, state.global_step) == (phase, step):
                self._patch.setattr(Progress, "on_step_end", plain)
                raise KeyboardInterrupt
            plain(progress, args, state, control, **kwargs)

        self._patch.setattr(Progress, "on_step_end", on_step_end)

    def before_done(self, phase):
        plain = RunFolder.mark_done

        def mark_done(folder, name):
            if name == phase:
                self._patch.setattr(RunFolder, "mark_done", plain)
                raise KeyboardInterrupt
            plain(folder, name)

        self._patch.setattr(RunFolder, "mark_done", mark_done)


@pytest.fixture
def interrupt(monkeypatch):
    return Interrupt(monkeypatch)


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def recorded(run):
    """Everything a run wrote that does not measure time."""
    metrics = [
        {
            name: value
            for name, value in line.items()
            if not any(part in name for part in NOT_COMPARED)
        }
        for line in lines(run / "metrics.jsonl")
    ]
    evaluations = {path.name: path.read_text() for path in (run / "evaluation").iterdir()}
    return metrics, lines(run / "rollouts.jsonl"), evaluations


def weights(run, phase):
    return load_file(run / phase / "model" / "model.safetensors")


def assert_same(run, other):
    for one, its in zip(recorded(run), recorded(other), strict=True):
        assert one == its
    for phase in ("sft", "grpo"):
        mine, its = weights(run, phase), weights(other, phase)
        assert mine.keys() == its.keys()
        assert all(torch.equal(mine[name], its[name]) for name in mine)


@pytest.fixture(scope="module")
def whole(tmp_path_factory, qwen):
    """An uninterrupted run of each model, made on first use."""
    made = {}

    def of(model, *more):
        key = (model, more)
        if key not in made:
            made[key] = tmp_path_factory.mktemp("whole") / "run"
            assert start(qwen if model == "qwen2_vl" else model, made[key], *more) == 0
        return made[key]

    return of


@pytest.mark.parametrize("model", ["nano", "toy", "qwen2_vl"])
def test_a_run_interrupted_in_both_phases_equals_an_uninterrupted_one(
    model, qwen, whole, interrupt, tmp_path
):
    run = tmp_path / "run"
    interrupt.at_step("sft", 3)
    assert start(qwen if model == "qwen2_vl" else model, run) == 130
    interrupt.at_step("grpo", 3)
    assert rft("train", "--resume", run) == 130
    assert rft("train", "--resume", run) == 0

    assert_same(run, whole(model))


@pytest.mark.parametrize("closed", [True, False])
@pytest.mark.parametrize("phase", ["sft", "grpo"])
def test_a_phase_interrupted_after_its_last_step_takes_no_step_more(
    phase, closed, whole, interrupt, tmp_path
):
    run = tmp_path / "run"
    interrupt.before_done(phase)
    assert start("toy", run) == 130
    if not closed:  # the process died between the last checkpoint and the closing line
        *before, _closing = (run / "metrics.jsonl").read_text().splitlines(keepends=True)
        (run / "metrics.jsonl").write_text("".join(before))
    assert rft("train", "--resume", run) == 0

    assert_same(run, whole("toy"))


@pytest.mark.parametrize(
    "setting",
    [
        *("grpo.num_iterations=2", "grpo.micro_batch=2", "sft.micro_batch=2"),
        *("grpo.shared_prefix=off", "policy.dtype=bfloat16", "grpo.bf16=true"),
    ],
)
def test_it_equals_whatever_the_shape_of_a_step(setting, whole, interrupt, tmp_path):
    run = tmp_path / "run"
    interrupt.at_step("sft" if setting.startswith("sft.") else "grpo", 3)
    assert start("toy", run, setting) == 130
    assert rft("train", "--resume", run) == 0

    assert_same(run, whole("toy", setting))


def truncate(file):
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def flip(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


DAMAGES = {
    "weights cut off": lambda folder: truncate(folder / "model.safetensors"),
    "optimizer cut off": lambda folder: truncate(folder / "optimizer.pt"),
    "a bit flipped": lambda folder: flip(folder / "model.safetensors"),
    "no optimizer": lambda folder: (folder / "optimizer.pt").unlink(),
    "no random state": lambda folder: (folder / "rng_state.pth").unlink(),
    "no seal": lambda folder: (folder / SEAL).unlink(),
    "seal cut off": lambda folder: truncate(folder / SEAL),
    "foreign weights": lambda folder: shutil.copy(
        folder / "optimizer.pt", folder / "pytorch_model.bin"
    ),
}


@pytest.fixture(scope="module")
def halfway(tmp_path_factory, qwen):
    """A run of each model, interrupted in GRPO after two checkpoints; made when first needed."""
    made = {}

    def of(model):
        if model not in made:
            made[model] = tmp_path_factory.mktemp("halfway") / "run"
            with pytest.MonkeyPatch.context() as patch:
                Interrupt(patch).at_step("grpo", 5)
                keep_two = "grpo.save_total_limit=2"
                source = qwen if model == "qwen2_vl" else model
                assert start(source, made[model], keep_two) == 130
        return made[model]

    return of


@pytest.mark.parametrize(
    ("model", "damage"),
    [
        *(("toy", name) for name in DAMAGES),
        ("nano", "weights cut off"),
        ("qwen2_vl", "weights cut off"),
    ],
)
def test_a_damaged_newest_checkpoint_is_passed_over_with_a_warning(
    model, damage, halfway, whole, tmp_path, capsys
):
    run = tmp_path / "moved" / "run"
    shutil.copytree(halfway(model), run)
    newest = run / "grpo" / "checkpoint-4"
    DAMAGES[damage](newest)
    capsys.readouterr()
    assert rft("train", "--resume", run) == 0

    output = capsys.readouterr().err
    assert f"warning: checkpoint not used, {newest}: " in output
    assert "continuing from checkpoint-2" in output
    assert_same(run, whole(model))


TORCHRUN = [
    *(sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone"),
    *("-m", "rftcore.cli"),
]


def children(pid):
    """All processes below `pid`."""
    psutil = pytest.importorskip("psutil")
    return [child.pid for child in psutil.Process(pid).children(recursive=True)]


class Process:
    """The command in a process of its own, or in two."""

    def __init__(self, *arguments, processes=1):
        begin = TORCHRUN if processes == 2 else [sys.executable, "-m", "rftcore.cli"]
        self._process = subprocess.Popen(
            [*begin, *map(str, arguments)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def send(self, number, when, *, all_of_it=False):
        """Send a signal, to its children too if `all_of_it`, once `when()` is true."""
        while not when():
            assert self._process.poll() is None, self._process.communicate()[1]
            time.sleep(0.01)
        if number == signal.SIGKILL:
            os.killpg(self._process.pid, number)
        else:
            for process in (self._process.pid, *(children(self._process.pid) if all_of_it else ())):
                with suppress(ProcessLookupError):
                    os.kill(process, number)
        return self

    def end(self):
        """Its exit code and what it wrote to stderr."""
        _, output = self._process.communicate()
        return self._process.returncode, output


def logged(run, phase):
    def seen():
        file = run / "metrics.jsonl"
        return file.exists() and f'"phase": "{phase}"' in file.read_text()

    return seen


def test_sigterm_finishes_the_step_and_saves_in_both_phases(whole, tmp_path):
    run = tmp_path / "run"
    never = [f"{phase}.save_steps=100" for phase in ("sft", "grpo")]
    code, output = Process(*arguments("toy", run, *never)).send(15, logged(run, "sft")).end()
    assert (code, f"continue with: rft train --resume {run}" in output) == (143, True)
    assert "Traceback" not in output
    step = int(re.search(r"after sft step (\d+)", output)[1])
    assert (run / "sft" / f"checkpoint-{step}" / SEAL).is_file()

    code, output = Process("train", "--resume", run).send(15, logged(run, "grpo")).end()
    assert (code, f"continue with: rft train --resume {run}" in output) == (143, True)
    assert Process("train", "--resume", run).end()[0] == 0
    assert_same(run, whole("toy"))


def test_sigterm_to_every_process_of_a_run_fails_no_reward(tmp_path):
    run, other = tmp_path / "run", tmp_path / "other"
    workers = ("scoring.isolate_all=true", "scoring.workers=1", "sft.max_steps=1")
    assert start("toy", other, *workers) == 0
    process = Process(*arguments("toy", run, *workers))
    assert process.send(15, logged(run, "grpo"), all_of_it=True).end()[0] == 143
    assert rft("train", "--resume", run) == 0

    assert not (run / "failures.jsonl").exists() or not (run / "failures.jsonl").read_text()
    assert_same(run, other)


def test_two_processes_interrupted_and_killed_equal_two_that_were_not(tmp_path):
    run, other = tmp_path / "run", tmp_path / "other"
    assert Process(*arguments("toy", other), processes=2).end()[0] == 0
    process = Process(*arguments("toy", run), processes=2).send(15, logged(run, "sft"))
    output = process.end()[1]
    assert output.count("continue with: torchrun --nproc-per-node=2") == 1

    saved = run / "grpo" / "checkpoint-2" / SEAL
    Process("train", "--resume", run, processes=2).send(9, saved.is_file).end()
    assert Process("train", "--resume", run, processes=2).end()[0] == 0
    assert_same(run, other)


@pytest.mark.parametrize(
    ("setting", "found"),
    [
        ("sft.learning_rate=1e30", "error: sft step 2: a gradient is not finite"),
        ("grpo.learning_rate=1e30", "error: grpo step 2: "),
    ],
)
def test_numbers_that_blow_up_end_the_run_with_the_step_and_the_last_good_checkpoint(
    setting, found, tmp_path, capsys
):
    phase = setting.partition(".")[0]
    steady = [f"{phase}.warmup_steps=0", f"{phase}.max_grad_norm=0", f"{phase}.save_steps=1"]
    assert start("toy", tmp_path / "run", setting, *steady) == 2

    output = capsys.readouterr().err
    assert found in output
    assert f"{phase}/checkpoint-1. " in output
    assert not (tmp_path / "run" / phase / "model").exists()


def test_a_phase_that_learns_nothing_is_in_the_summary(tmp_path, capsys):
    assert start("toy", tmp_path / "run", "grpo.max_completion_length=1") == 0
    notes = json.loads((tmp_path / "run" / "summary.json").read_text())["notes"]

    output = capsys.readouterr().out
    assert any(note.startswith("grpo: every completion was cut off") for note in notes)
    assert all(f"note: {note}" in output for note in notes)


def test_a_run_continues_only_with_the_model_it_began_with(interrupt, tmp_path, capsys):
    base, run = tiny_qwen2_vl(tmp_path / "base"), tmp_path / "run"
    interrupt.at_step("sft", 3)
    assert start(base, run) == 130
    flip(base / "model.safetensors")
    assert rft("train", "--resume", run) == 2

    assert f"the files of model '{base}' are not those that run {run} began with" in (
        capsys.readouterr().err
    )


def test_a_policy_that_is_not_what_sft_wrote_trains_no_further(halfway, tmp_path, capsys):
    run = shutil.copytree(halfway("toy"), tmp_path / "run")
    flip(run / "sft" / "model" / "model.safetensors")
    assert rft("train", "--resume", run) == 2

    assert "sft/model is not what sft wrote" in capsys.readouterr().err


def test_other_versions_than_the_run_began_with_are_a_warning(halfway, tmp_path, capsys):
    run = shutil.copytree(halfway("toy"), tmp_path / "run")
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["packages"]["torch"] = "1.0"
    (run / "manifest.json").write_text(json.dumps(manifest))
    assert rft("train", "--resume", run) == 0

    assert "other versions than the run began with (torch 1.0, now " in capsys.readouterr().err
    assert json.loads((run / "manifest.json").read_text())["resumed"][-1]["changed_versions"]


def test_a_disk_that_takes_no_more_is_one_message_with_the_command_that_continues(whole, tmp_path):
    def limit():  # a file system without room for larger files, full or with a quota
        resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, resource.RLIM_INFINITY))

    run = tmp_path / "run"
    command = [sys.executable, "-m", "rftcore.cli", *map(str, arguments("toy", run))]
    done = subprocess.run(command, preexec_fn=limit, capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    assert "File too large. Complete checkpoints are kept" in done.stderr
    assert "Traceback" not in done.stderr
    assert rft("train", "--resume", run) == 0

    assert_same(run, whole("toy"))


def test_a_checkpoint_is_a_model_to_train_from_with_the_defaults_of_its_base(halfway, tmp_path):
    folder = halfway("toy") / "grpo" / "checkpoint-4"
    assert start(folder, tmp_path / "run", "sft.enabled=false") == 0

    assert "adam_epsilon: 0.0001" in (tmp_path / "run" / "recipe.yaml").read_text()
