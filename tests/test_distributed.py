"""Several processes share one run: each does its part once, and one of them writes."""

import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rftcore import distributed
from rftcore.errors import RunError
from rftcore.runs import RunFolder


@pytest.fixture
def be(monkeypatch):
    def become(rank, world):
        monkeypatch.setenv("RANK", str(rank))
        monkeypatch.setenv("WORLD_SIZE", str(world))

    return become


@given(size=st.integers(0, 100), world=st.integers(1, 9))
def test_the_shares_are_everything_once(size, world):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORLD_SIZE", str(world))
        shares = []
        for rank in range(world):
            patch.setenv("RANK", str(rank))
            shares += distributed.shard(size)

    assert sorted(shares) == list(range(size))


def test_with_one_process_collectives_return_at_once():
    distributed.barrier()

    assert distributed.is_main()
    assert distributed.gather(["a", "b"], 2) == ["a", "b"]


def test_a_follower_reads_and_writes_nothing(tmp_path):
    with RunFolder.create(tmp_path / "run", {"seed": 3}) as run:
        follower = RunFolder.follow(run.path)
        with follower:
            follower.write_json("summary.json", {})
            follower.append_jsonl("metrics.jsonl", {})
            follower.mark_done("sft")

        assert follower.read_json("manifest.json") == {"seed": 3}
        assert not run.done("sft")
        assert not (run.path / "metrics.jsonl").exists()


def test_a_follower_without_a_leader_gives_up(tmp_path):
    with pytest.raises(RunError, match="rank 0 did not create the run folder"):
        RunFolder.follow(tmp_path / "run", patience_s=0)


def test_only_the_main_process_draws(be, capsys):
    from rftcore.progress import Bar

    for rank in (0, 1):
        be(rank, 2)
        with Bar(1, f"rank {rank}") as bar:
            bar.update()

    assert capsys.readouterr().err == "rank 0: 1/1 item\n"


def test_a_worker_ends_when_its_parent_is_killed():
    code = """
import multiprocessing, os, signal, time
from rftcore.distributed import leave_with_parent
def work():
    leave_with_parent()
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(10)
    print("still here", flush=True)
multiprocessing.get_context("fork").Process(target=work).start()
time.sleep(60)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    assert done.stdout == ""  # read to its end, which comes when the worker is gone
    assert done.returncode == -9


@pytest.mark.parametrize(
    ("name", "text"), [("RANK", "x"), ("RANK", "-1"), ("WORLD_SIZE", "0"), ("WORLD_SIZE", "")]
)
def test_an_invalid_number_of_processes_is_an_error_with_the_variable(name, text, monkeypatch):
    monkeypatch.setenv(name, text)
    with pytest.raises(RunError, match=f"environment variable {name}={text!r}"):
        distributed.rank() if name == "RANK" else distributed.world_size()


RANKS = """
import atexit, os
from rftcore import distributed
from rftcore.errors import DataError, RftError
def say(text):  # a line is one write: the ranks share a pipe
    os.write(1, f"rank {distributed.rank()}: {text}\\n".encode())
@atexit.register  # the first one runs last
def group():
    import torch
    say(f"group open: {torch.distributed.is_initialized()}")
for block in (distributed.main_first, distributed.together):
    try:
        with block():
            if distributed.rank() == FAILS:
                raise ERROR
            say("ran")
    except Exception as error:
        say(f"{type(error).__name__}: {error}")
    distributed.barrier()
"""
TORCHRUN = ("-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fails", "error", "ran", "others"),
    [
        (0, 'DataError("no data")', 1, "DataError: rank 0 of 2 stopped: no data"),
        (1, 'ValueError("odd")', 2, "RunError: rank 1 of 2 stopped: ValueError: odd"),
    ],
)
def test_no_rank_waits_for_one_that_failed(fails, error, ran, others, tmp_path):
    script = tmp_path / "ranks.py"
    script.write_text(RANKS.replace("FAILS", str(fails)).replace("ERROR", error))
    done = subprocess.run(
        [sys.executable, *TORCHRUN, str(script)], capture_output=True, text=True, timeout=300
    )

    assert done.returncode == 0, done.stderr
    found = done.stdout.splitlines()
    assert found.count(f"rank {1 - fails}: ran") == ran
    assert sum(line.startswith(f"rank {1 - fails}: {others}") for line in found) == 2
    assert found.count(f"rank {fails}: " + error.replace('("', ": ").rstrip('")')) == 2
    assert sum(line.endswith("group open: False") for line in found) == 2  # no thread is left


@pytest.mark.parametrize(("content", "code"), [(distributed.FAILED, 1), ("", 0)])
def test_a_process_ends_when_another_one_of_the_launcher_has_failed(content, code, tmp_path):
    (tmp_path / "reported").write_text(content)
    script = (
        "import time; from rftcore import distributed as d; d.PATIENCE_S = 0; "
        f"d.leave_with_launcher(); time.sleep({60 if code else 3})"
    )
    variables = {"TORCHELASTIC_RUN_ID": "1", distributed.REPORTED: str(tmp_path / "reported")}
    done = subprocess.run([sys.executable, "-c", script], env={**os.environ, **variables})

    assert done.returncode == code
