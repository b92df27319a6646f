"""`rft train --processes N`: the launcher, its messages and exit codes."""

import fcntl
import json
import os
import pty
import re
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path

import psutil
import pytest
from click.testing import CliRunner

from rftcore import cli, distributed
from rftcore.errors import RecipeError
from rftcore.pipeline import processes

RFT = (sys.executable, "-m", "rftcore.cli")
TWO = ("train", "--processes", "2")
TASK = f"{Path(__file__).parent}/cases/lively_task.py:squares"
LONG = (
    *(f"--task={TASK}", "--smoke", "--set=sft.max_steps=100000", "--set=evaluation.splits=[]"),
    *("--set=vision_check.enabled=false", "--set=sft.logging_steps=1"),
)


def begin(*words):
    return subprocess.Popen(
        [*RFT, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def trains(run):
    def seen():
        file = run / "metrics.jsonl"
        return file.exists() and '"step": 2,' in file.read_text()

    return seen


def wait_for(process, seen):
    while not seen():
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "code", "found"),
    [
        (signal.SIGTERM, 143, r"\nstopped by SIGTERM after sft step (\d+); continue with: "),
        pytest.param(
            *(signal.SIGINT, 130, "\ninterrupted; continue with: "), marks=pytest.mark.engines
        ),
    ],
)
def test_a_signal_ends_all_processes_as_it_ends_one(number, code, found, tmp_path):
    run = tmp_path / "run"
    process = begin(*TWO, f"--out={run}", *LONG)
    wait_for(process, trains(run))
    process.send_signal(number)
    _, errors = process.communicate()

    assert process.returncode == code
    assert "Traceback" not in errors
    (at,) = re.finditer(f"{found}rft train --processes 2 --resume {run}\n", errors)
    if number == signal.SIGTERM:
        assert (run / "sft" / f"checkpoint-{at[1]}" / "sealed.json").is_file()


@pytest.mark.slow
def test_a_run_whose_terminal_is_closed_saves_its_step(tmp_path):
    run, (ours, theirs) = tmp_path / "run", pty.openpty()
    words = ("train", f"--out={run}", *LONG)
    with subprocess.Popen(
        [*RFT, *words], stdin=theirs, stdout=theirs, stderr=theirs, preexec_fn=own_terminal
    ) as process:
        os.close(theirs)
        wait_for(process, trains(run))
        os.close(ours)
    (kept,) = (run / "sft").glob("checkpoint-*")

    assert process.returncode == 128 + signal.SIGHUP
    assert (kept / "sealed.json").is_file()


def own_terminal():
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup's children ignore it
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


@pytest.mark.engines
def test_processes_end_when_their_launcher_is_killed(tmp_path):
    run = tmp_path / "run"
    process = begin(*TWO, f"--out={run}", *LONG)
    wait_for(process, trains(run))
    workers = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    left = psutil.wait_procs(workers, timeout=60)[1]
    process.communicate()

    assert len(workers) >= 2
    assert left == []


@pytest.mark.slow
def test_an_error_of_all_processes_is_one_message_with_the_code_of_one(tmp_path):
    process = begin(*TWO, "--task=counting", "--smoke", "--set", "sft.batch_size=0")
    _, errors = process.communicate()

    assert process.returncode == 2
    assert re.fullmatch("error( on rank 1 of 2)?: sft.batch_size = 0 .*\n", errors)


@pytest.fixture
def started(monkeypatch):
    """What would be started, in place of starting it."""
    calls = []
    monkeypatch.setattr(processes, "_run", lambda words, reported: calls.append(words) or 0)
    return calls


def invoke(*words):
    return CliRunner().invoke(cli.main, ["train", *map(str, words)])


def test_the_processes_get_every_option_but_those_of_the_launcher(started):
    options = ["--task=numbers", "--set=a.b=1", "--set=c=[1, 2]", "--seed=3", "--smoke"]
    assert invoke(*options, "--processes=3").exit_code == 0

    (words,) = started
    assert words[words.index("-m") :] == ["-m", "rftcore.cli", "train", *sorted(options, key=order)]
    assert words[words.index("--num_processes") + 1] == "3"


def order(option):
    names = [f"--{p.name}" for p in cli.main.get_command(None, "train").params]
    names[names.index("--settings")] = "--set"
    return names.index(option.partition("=")[0])


CONFIG = {"compute_environment": "LOCAL_MACHINE", "distributed_type": "NO", "num_processes": 2}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (None, "there is no such file"),
        ("a: [", "accelerate cannot read it"),
        ("[1]", "accelerate cannot read it"),
        (json.dumps({**CONFIG, "distributed_type": "FDSP"}), "accelerate cannot read it"),
        (json.dumps({**CONFIG, "unknown": 1}), "accelerate cannot read it"),
        (json.dumps({**CONFIG, "num_machines": 3}), "--processes 2 do not divide over 3 machines"),
        (
            json.dumps({**CONFIG, "distributed_type": "DEEPSPEED", "deepspeed_config": {}}),
            "needs the package deepspeed: pip install deepspeed",
        ),
    ],
)
def test_a_faulty_file_of_accelerate_is_an_error_before_anything_starts(
    text, found, started, tmp_path
):
    file = tmp_path / "config.json"
    if text is not None:
        file.write_text(text)
    done = invoke("--task=numbers", "--accelerate-config", file)

    assert (done.exit_code, done.output.startswith("error: ")) == (2, True)
    assert found in done.output
    assert not started


def test_more_processes_than_gpus_are_an_error(started, monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 4)

    assert "8 on this machine, which has 4 GPUs" in invoke("--processes=8").output
    assert invoke("--processes=4").exit_code == 0


def test_a_process_of_several_starts_none(started, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")

    assert "this is one of several already" in invoke("--processes=2").output


@pytest.mark.parametrize(("code", "expected"), [(0, 0), (2, 2), (143, 143), (-15, 143)])
def test_exit_codes_are_those_of_a_shell(code, expected, tmp_path):
    (tmp_path / "reported").touch()

    assert processes._code(0, code, tmp_path / "reported") == expected


def test_a_process_that_is_killed_is_reported(tmp_path):
    with pytest.raises(RecipeError, match=r"rank 1 was ended by SIGKILL \(out of memory\?\)"):
        processes._code(1, -9, tmp_path / "reported")


def test_only_the_first_process_reports(tmp_path, monkeypatch):
    monkeypatch.setenv(distributed.REPORTED, str(tmp_path / "reported"))

    assert [distributed.first_to_report() for _ in range(3)] == [True, False, False]


def test_the_command_that_continues_has_the_options_of_the_launcher(monkeypatch):
    monkeypatch.setenv(distributed.LAUNCH_OPTIONS, "--processes 2")
    monkeypatch.setenv("WORLD_SIZE", "2")

    assert distributed.train_command() == "rft train --processes 2"
