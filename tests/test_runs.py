"""A run folder survives a kill at any moment, and belongs to one process."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rftcore.errors import RunError
from rftcore.pipeline.start import work
from rftcore.runs import RunFolder, changed_versions, default_run_dir, manifest, storage_fault
from rftcore.runs.provenance import PACKAGES


@pytest.fixture
def run(tmp_path):
    with RunFolder.create(tmp_path / "run", {"seed": 0}, "task: x\n") as run:
        yield run


def test_a_new_run_has_its_recipe_manifest_and_state(run):
    assert (run.path / "recipe.yaml").read_text() == "task: x\n"
    assert run.read_json("manifest.json") == {"seed": 0}
    assert not run.done("sft")


def test_a_folder_with_something_in_it_is_in_use_and_stays_as_it_was(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")

    with pytest.raises(RunError, match="in use: choose another with --out"):
        RunFolder.create(tmp_path, {})
    assert (tmp_path / "thesis.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("names", "free"),
    [
        (["state.json"], True),
        (["state.json", "recipe.yaml"], True),
        (["recipe.yaml"], False),  # the user's own
        (["state.json", "recipe.yaml", "notes.txt"], False),
        (["state.json", "recipe.yaml", "manifest.json"], False),
    ],
)
def test_a_folder_that_a_kill_left_half_made_is_free_and_no_other(names, free, tmp_path):
    for name in names:
        (tmp_path / name).write_text("{}")
    try:
        with RunFolder.create(tmp_path, {}, "task: x\n"):
            made = True
    except RunError:
        made = False

    assert made == free


def test_a_run_is_not_overwritten_and_the_next_step_is_named(run):
    run.unlock()
    with pytest.raises(RunError, match="--resume"):
        RunFolder.create(run.path, {})


def test_a_path_that_cannot_be_a_folder_is_an_error_of_one_line(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(RunError, match="output folder"):
        RunFolder.create(tmp_path / "file" / "run", {})


def test_a_folder_of_runs_and_a_folder_inside_a_run_are_no_place_for_a_run(run, tmp_path):
    with pytest.raises(RunError, match=r"holds runs \(run\): --out is the folder of one run"):
        RunFolder.create(tmp_path, {})
    with pytest.raises(RunError, match="is inside the run"):
        RunFolder.create(run.path / "sft" / "again", {})


def test_only_a_run_can_be_resumed_and_the_runs_beside_it_are_named(run, tmp_path):
    with pytest.raises(RunError, match=r"no manifest\.json.*Runs in .*: run\."):
        RunFolder.resume(tmp_path / "rum")


def test_of_a_folder_of_runs_or_a_comparison_the_runs_in_it_are_named(run, tmp_path):
    shutil.copytree(run.path, tmp_path / "comparison" / "runs" / "zero-shot-s0")

    with pytest.raises(RunError, match=r"Runs in .*comparison/runs: zero-shot-s0\."):
        RunFolder.open(tmp_path / "comparison")
    with pytest.raises(RunError, match=r"Runs in .*comparison/runs: zero-shot-s0\."):
        RunFolder.open(tmp_path / "comparison" / "runs")


def in_another_process(code, path, **kwargs):
    command = [sys.executable, "-c", f"from rftcore.runs import *; path={str(path)!r}\n{code}"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_second_process_gets_an_error_that_names_the_first(run):
    other = in_another_process("RunFolder.resume(path)", run.path)

    assert f"in use by process {os.getpid()}" in other.communicate()[1]


def test_a_killed_owner_frees_the_folder_even_if_its_children_live(tmp_path):
    code = """
import os, time
RunFolder.create(path, {})
child = os.fork()
if child: print(child, flush=True)
time.sleep(60)
"""
    owner = in_another_process(code, tmp_path / "run")
    child = int(owner.stdout.readline())
    owner.kill()
    owner.wait()

    try:
        with RunFolder.resume(tmp_path / "run"):
            pass
    finally:
        os.kill(child, signal.SIGKILL)
        owner.communicate()


def test_a_released_folder_can_be_resumed(run):
    run.unlock()
    with RunFolder.resume(run.path) as again:
        assert again.read_json("manifest.json") == {"seed": 0}


def test_phases_are_done_once_marked(run):
    run.mark_done("sft")
    run.mark_done("sft")

    assert run.done("sft")
    assert RunFolder.open(run.path).read_json("state.json") == {"done": ["sft"]}


def test_a_run_that_never_started_is_discarded_and_one_that_did_is_kept(tmp_path):
    for started in (False, True):
        with RunFolder.create(tmp_path / "run", {}) as run:
            if started:
                run.mark_done("data")
            run.discard_unstarted()
        assert run.path.exists() == started


@pytest.mark.parametrize("fault", [None, OSError(errno.ENOSPC, "full"), KeyboardInterrupt()])
def test_what_was_in_the_folder_before_a_run_is_there_after_it_failed(fault, tmp_path, monkeypatch):
    for name in (".git/refs/heads/.none", ".git/config", ".env", ".keep.tmp", ".x/y.tmp"):
        (tmp_path / "run" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "run" / name).write_text("mine")
    (tmp_path / "run/.git/empty").mkdir()
    before = {*tmp_path.rglob("*")}
    if fault:
        monkeypatch.setattr(RunFolder, "write_text", Mock(side_effect=fault))
        with pytest.raises((RunError, KeyboardInterrupt)):
            RunFolder.create(tmp_path / "run", {}, "task: x")
    else:
        with RunFolder.create(tmp_path / "run", {}, "task: x") as run:
            run.discard_unstarted()

    assert {*tmp_path.rglob("*")} == before


def test_a_run_continues_beside_files_of_its_user(run):
    names = (".git/config", ".x.tmp", ".metrics.jsonl.17.tmp")
    for name in names:
        (run.path / name).parent.mkdir(exist_ok=True)
        (run.path / name).write_text("mine")
    run.unlock()
    RunFolder.resume(run.path).unlock()

    assert [(run.path / name).exists() for name in names] == [True, True, False]


def test_a_missing_or_damaged_file_is_an_error_that_names_it(run):
    with pytest.raises(RunError, match=r"has no sft\.json"):
        run.read_json("sft.json")
    run.write_text("sft.json", "{")
    with pytest.raises(RunError, match=r"sft\.json is damaged"):
        run.read_json("sft.json")


@pytest.mark.parametrize("state", ["[]", "{}", '{"done": 5}', '{"done": [5]}'])
def test_a_state_that_lists_no_phases_is_an_error(state, run):
    run.write_text("state.json", state)
    with pytest.raises(RunError, match=r"state\.json does not list the phases"):
        run.done("sft")


def test_update_keeps_the_other_facts(run):
    run.update_json("manifest.json", {"data": "abc"})

    assert run.read_json("manifest.json") == {"seed": 0, "data": "abc"}


WRITER = """
run = RunFolder.create(path, {})
print("ready", flush=True)
for i in range(10**9):
    run.write_json("state.json", {"done": ["phase"] * (i % 500)})
    run.append_jsonl("metrics.jsonl", {"step": i, "text": "x" * (i % 3000)})
"""


@pytest.mark.parametrize("delay_s", [0.0, 0.013, 0.05, 0.11, 0.2])
def test_after_a_kill_every_file_is_whole_and_the_run_goes_on(delay_s, tmp_path):
    writer = in_another_process(WRITER, tmp_path / "run")
    writer.stdout.readline()
    time.sleep(delay_s)
    writer.kill()
    writer.communicate()

    with RunFolder.resume(tmp_path / "run") as run:
        run.mark_done("sft")
        run.append_jsonl("metrics.jsonl", {"step": -1})
        steps = [line["step"] for line in run.read_jsonl("metrics.jsonl")]
    assert steps == [*range(len(steps) - 1), -1]
    assert not list(run.path.glob(".*.tmp"))


@given(rows=st.lists(st.dictionaries(st.text(), st.text()), min_size=1), data=st.data())
def test_a_torn_last_line_is_dropped_and_the_others_stay(rows, data, tmp_path_factory):
    run = RunFolder(tmp_path_factory.mktemp("run"))
    for row in rows:
        run.append_jsonl("m.jsonl", row)
    whole = (run.path / "m.jsonl").read_bytes()
    last = len(whole) - len(whole[:-1].rpartition(b"\n")[2]) - 1
    (run.path / "m.jsonl").write_bytes(whole[: data.draw(st.integers(last, len(whole) - 1))])

    assert run.read_jsonl("m.jsonl") == rows[:-1]
    run.append_jsonl("m.jsonl", {"new": "line"})
    assert run.read_jsonl("m.jsonl") == [*rows[:-1], {"new": "line"}]


def test_a_torn_line_longer_than_a_block_is_dropped(tmp_path):
    (tmp_path / "m.jsonl").write_bytes(b'{"a": 1}\n' + b"x" * 9999)
    run = RunFolder(tmp_path)
    run.append_jsonl("m.jsonl", {"a": 2})

    assert run.read_jsonl("m.jsonl") == [{"a": 1}, {"a": 2}]


def test_a_damaged_line_in_the_middle_is_an_error_that_names_it(tmp_path):
    (tmp_path / "m.jsonl").write_text('{"a": 1}\n{"a":\n{"a": 2}\n')

    with pytest.raises(RunError, match=r"m\.jsonl line 2 is damaged"):
        RunFolder(tmp_path).read_jsonl("m.jsonl")


def test_lines_can_be_dropped_and_no_file_is_no_lines(tmp_path):
    run = RunFolder(tmp_path)
    assert run.read_jsonl("m.jsonl") == []
    for step in range(4):
        run.append_jsonl("m.jsonl", {"step": step})
    run.keep_jsonl("m.jsonl", lambda line: line["step"] < 2)

    assert [line["step"] for line in run.read_jsonl("m.jsonl")] == [0, 1]


@pytest.mark.parametrize(
    ("task", "model", "start"),
    [
        ("counting", "nano", "counting-nano-s3-"),
        ("rft-counting:counting", "Qwen/Qwen2-VL-2B", "counting-Qwen2-VL-2B-s3-"),
        ("./my task.py:cubes", "/tmp/model/", "my-task-cubes-model-s3-"),
        ("/home/me/my_task.py:task", "nano", "my_task-nano-s3-"),
        ("./cubes.py:cubes", "nano", "cubes-nano-s3-"),
        ("counting", ".", "counting-run-s3-"),
    ],
)
def test_a_run_is_named_after_task_model_and_seed(task, model, start, tmp_path):
    assert default_run_dir(task, model, 3, tmp_path).name.startswith(start)
    smoke = default_run_dir(task, model, 3, tmp_path, smoke=True)
    assert smoke.name.startswith(f"smoke-{start}")


def test_two_runs_in_one_second_have_different_folders(tmp_path):
    paths = set()
    for _ in range(3):
        path = default_run_dir("counting", "nano", 0, tmp_path)
        path.mkdir()
        paths.add(path)

    assert len(paths) == 3


def test_a_manifest_has_what_a_number_can_be_traced_to():
    facts = manifest({"seed": 7, "task": "x"}, plugins={"rft-counting": "0.1.0"}, model="nano")

    assert facts["seed"] == 7
    assert facts["packages"]["torch"]
    assert facts["plugins"] == {"rft-counting": "0.1.0"}
    assert {"created", "command", "python", "platform", "commit", "model"} <= facts.keys()
    json.dumps(facts)


REQUIRED = {  # by distribution, as in its metadata
    "rft-cubes": ["rftcore>=0.1", "Rft_Shapes", "pytest; extra == 'testing'", "numpy"],
    "rft-shapes": ["rftcore", "mitsuba>=3; python_version > '3'"],
    "mitsuba": ["drjit"],
    "broken": ["no requirement !"],
}


def test_packages_are_those_of_the_core_and_what_the_plugins_build_on(monkeypatch):
    monkeypatch.setattr("importlib.metadata.requires", lambda name: REQUIRED[name])
    monkeypatch.setattr("importlib.metadata.version", lambda name: "1")
    packages = manifest({}, plugins={"rft-cubes": "1", "broken": "1"})["packages"]

    assert packages.keys() == {*PACKAGES, "rft-shapes", "mitsuba"}
    changed = changed_versions({"packages": packages | {"mitsuba": "0"}}, {"rft-cubes": "1"})
    assert changed == ["mitsuba 0, now 1", "rft-cubes not installed, now 1"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize("write", ["write_json", "append_jsonl"])
def test_a_full_disk_is_an_error_of_one_line_and_the_old_file_stays(write, run, monkeypatch):
    run.write_json("a.json", {"old": 1})
    before, plain = (run.path / "a.json").read_bytes(), Path.open
    full = lambda path, mode="r", **kwargs: plain(Path("/dev/full"), mode.strip("+"), **kwargs)  # noqa: E731
    monkeypatch.setattr(Path, "open", full)
    monkeypatch.setattr("rftcore.runs.files._drop_torn_line", lambda file: None)

    with pytest.raises(RunError, match=r"a\.json cannot be written: No space left on device"):
        getattr(run, write)("a.json", {"new": 1})
    monkeypatch.undo()
    assert (run.path / "a.json").read_bytes() == before


@pytest.mark.parametrize(
    "write", [lambda run: run.log({"phase": "sft", "step": 1}), lambda run: run.record(a=1)]
)
def test_a_run_folder_that_is_deleted_under_a_run_is_not_made_again(write, run):
    shutil.rmtree(run.path)

    with pytest.raises(RunError, match=r"was deleted while the run was writing to it"):
        write(run)
    run.discard_unstarted()
    assert not run.path.exists()


@pytest.mark.parametrize("gone", [True, False])
def test_what_a_library_raises_when_its_run_folder_is_gone_is_that_it_is_gone(
    gone, run, monkeypatch
):
    def train(job):
        if gone:
            shutil.rmtree(run.path)
        raise RuntimeError("Parent directory run/sft/checkpoint-1 does not exist.")

    monkeypatch.setattr("rftcore.pipeline.loop.train", train)
    with pytest.raises(RunError if gone else RuntimeError) as caught:
        work(SimpleNamespace(run=run))
    assert ("was deleted while the run" in str(caught.value)) == gone


@pytest.mark.parametrize(
    ("edit", "found"),
    [
        (lambda text: text + '{"step": 3}\n', []),
        (lambda text: text, []),
        (lambda text: text[:-2], ["a.jsonl"]),
        (lambda text: text.replace("1", "2", 1), ["a.jsonl"]),
        (lambda text: "", ["a.jsonl"]),
    ],
)
def test_a_file_of_lines_has_changed_unless_lines_were_added_alone(edit, found, run):
    for step in (1, 2):
        run.append_jsonl("a.jsonl", {"step": step})
    before = run.hashes(["a.jsonl", "none.jsonl"])
    file = run.path / "a.jsonl"
    file.write_text(edit(file.read_text()))

    assert run.changed(before) == found


def test_a_folder_in_the_way_of_a_file_is_an_error_of_one_line(run):
    (run.path / "a.json").mkdir()
    (run.path / "evaluation").write_text("")

    for name in ("a.json", "evaluation/start.json"):
        with pytest.raises(RunError, match="cannot be written"):
            run.write_json(name, {})
    for read in (run.read_json, run.read_jsonl):
        with pytest.raises(RunError, match="cannot be read"):
            read("a.json")


def nested(error):
    outer = RuntimeError("while saving")
    outer.__cause__ = error
    return outer


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(errno.ENOSPC, "full"), "No space left on device"),
        (OSError(errno.EDQUOT, "quota", "RUN/sft/x"), "Disk quota exceeded"),
        (nested(OSError(errno.EROFS, "read-only")), "Read-only file system"),
        (RuntimeError('IoError(Os { code: 28, kind: StorageFull, message: "no space" })'), "No sp"),
        (RuntimeError("I/O error: File too large (os error 27)"), "File too large"),
        (RuntimeError("basic_ios::clear: iostream error"), "torch could"),
        (RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos"), "torch could"),
        (OSError(errno.EACCES, "no", "/data/of/a/plugin.json"), ""),
        (FileNotFoundError(errno.ENOENT, "gone"), ""),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), ""),
    ],
)
def test_disk_errors_are_distinguished_from_other_faults(error, reason, monkeypatch):
    monkeypatch.setattr("rftcore.runs.faults._free_bytes", lambda folder: 10**12)
    found = storage_fault(error, Path("RUN"))

    assert found.startswith(reason)
    assert bool(found) == bool(reason)
