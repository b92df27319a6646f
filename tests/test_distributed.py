"""Several processes share one run: each does its part once, and one of them writes."""

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

    assert capsys.readouterr().err == "rank 0: 1/1 it\n"


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
