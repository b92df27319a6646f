"""A task in a file: what it imports from beside it is its own."""

import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest

from rftcore.errors import PluginError, UnknownNameError
from rftcore.plugins import Catalogue

TASK = """
import rftcore as rft
from dataclasses import dataclass
{imports}

@dataclass(frozen=True)
class Numbers:
    splits = ("rl", "val")
    def size(self, split):
        return 4
    def sample(self, split, index):
        meta = {{"kind": {kind}}}
        return rft.Sample(f"{{split}}-{{index}}", f"Say {{index}}.", str(index), meta=meta)

@rft.rewards.reward(uses=("sample",), slow=True)
def same(x):
    return rft.rewards.exact(x) * (x.sample.meta["kind"] == {kind})

def task() -> rft.Task:
    prompt = rft.prompts.think_then_answer("Answer with one number.")
    rewards = {{"accuracy": rft.Term(same)}}
    return rft.Task("t", Numbers(), prompt, rft.parsers.Integer(), rewards, summary=str({kind}))
"""


def write(folder: Path, kind: str, imports: str = "import shapes", use: str = "shapes.KIND") -> str:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "shapes.py").write_text(f"KIND = {kind!r}\n")
    (folder / "task.py").write_text(TASK.format(imports=imports, kind=use))
    return f"{folder}/task.py:task"


def summary(name: str) -> str:
    return Catalogue.load().task(name).summary


@pytest.mark.parametrize(
    ("imports", "use"),
    [
        ("import shapes", "shapes.KIND"),
        ("import shapes as s", "s.KIND"),
        ("from shapes import KIND", "KIND"),
        ("from shapes import *", "KIND"),
        ("import inner.deep", "inner.deep.KIND"),
        ("from inner import deep", "deep.KIND"),
        ("from inner.deep import KIND", "KIND"),
        ("import inner.again", "inner.again.KIND"),
        ("def kind():\n    import shapes\n    return shapes.KIND", "kind()"),
    ],
)
def test_a_file_imports_what_is_beside_it(tmp_path: Path, imports: str, use: str):
    name = write(tmp_path, "round", imports, use)
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner/__init__.py").write_text("")
    (tmp_path / "inner/deep.py").write_text("from shapes import KIND\n")
    (tmp_path / "inner/again.py").write_text("from .deep import KIND\n")

    assert summary(name) == "round"


def test_only_functions_of_the_file_are_offered_for_a_wrong_name(tmp_path: Path):
    name = write(tmp_path, "round").removesuffix("task") + "tsk"

    with pytest.raises(UnknownNameError, match=r"Functions there: same, task\.$"):
        summary(name)


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("./task:task", "'./task.py:task'"),
        ("task:task", "'task.py:task'"),
        ("./task", "'./task.py:FACTORY'"),
        ("./task.task", "'./task.py:task'"),
        ("task.py.task", "'task.py:task'"),
        ("./tsak.py:task", "'task.py'"),
    ],
)
@pytest.mark.parametrize("lookup", [Catalogue.find_any, lambda c, name: c.find("task", name)])
def test_a_task_in_a_file_that_is_named_otherwise_is_suggested(
    given, meant, lookup, tmp_path, monkeypatch
):
    write(tmp_path, "round")
    monkeypatch.chdir(tmp_path)

    with pytest.raises(UnknownNameError, match=rf"Did you mean {re.escape(meant)}\?"):
        lookup(Catalogue.load(), given)


def test_a_reward_in_a_file_is_not_named_by_the_file(tmp_path: Path):
    with pytest.raises(UnknownNameError, match="Only a task is named by its file: pass the reward"):
        Catalogue.load().find("reward", write(tmp_path, "round"))


def test_modules_of_one_name_in_two_folders_stay_apart(tmp_path: Path):
    late = ("def kind():\n    import shapes\n    return shapes.KIND", "kind()")
    one, two = write(tmp_path / "a", "round", *late), write(tmp_path / "b", "square", *late)
    path, modules = list(sys.path), {*sys.modules}

    assert [summary(name) for name in (one, two, one)] == ["round", "square", "round"]
    assert sys.path == path
    assert "shapes" not in {*sys.modules} - modules


def test_what_a_file_defines_can_be_pickled(tmp_path: Path):
    name = write(tmp_path, "round")
    dataset = Catalogue.load().task(name).dataset

    assert pickle.loads(pickle.dumps(dataset)) == dataset


def test_a_worker_process_and_another_folder_find_the_same_modules(tmp_path: Path):
    write(tmp_path, "round")
    (tmp_path / "rows.jsonl").write_text('{"completion": "3", "split": "val", "index": 3}\n')
    (tmp_path / "elsewhere").mkdir()
    command = [sys.executable, "-m", "rftcore.cli", "score", "../task.py:task", "../rows.jsonl"]
    done = subprocess.run(
        command, cwd=tmp_path / "elsewhere", capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[1].split() == ["1", "3", "1", "1"]


def test_a_module_that_is_nowhere_is_named(tmp_path: Path):
    with pytest.raises(PluginError, match=r"No module named 'shape' .*task.py line 4"):
        summary(write(tmp_path, "round", "import shape"))


def test_a_library_that_python_has_loaded_is_no_file_beside_it(tmp_path: Path):
    name = write(tmp_path, "round")
    (tmp_path / "dataclasses.py").write_text("raise SystemExit\n")

    assert summary(name) == "round"
