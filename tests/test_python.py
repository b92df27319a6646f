"""rft as a library: what the command line does, without its effects on the process."""

import dataclasses
import logging
import multiprocessing
import os
import runpy
import signal
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub.utils import (
    are_progress_bars_disabled,
    disable_progress_bars,
    enable_progress_bars,
)
from transformers.utils import logging as transformers_logging

import rftcore as rft
from rftcore.arguments import WORKER, checked
from rftcore.errors import PluginError, RecipeError, RunError, SampleError, UnknownNameError
from rftcore.pipeline.plan import setting_layers
from rftcore.runs import RunFolder
from rftcore.training.library_logs import without_bars

ROOT = Path(__file__).parents[1]
LIBRARIES = ("ACCELERATE_", "FSDP_", "KMP_", "TORCH", "PYTEST_")  # set variables of their own


class Letters:
    splits = ("sft", "rl", "val")

    def size(self, split):
        return 16

    def sample(self, split, index):
        return rft.Sample(f"{split}-{index}", f"{split} {index}?", str(index), cot="So it is.")


def letters(high: int = 99):
    """A task that only this module has."""
    terms = {"accuracy": rft.Term(rft.rewards.exact), "format": rft.Term(rft.rewards.tags)}
    prompt = lambda sample: rft.Prompt(sample.question)  # noqa: E731
    return rft.Task("letters", Letters(), prompt, rft.parsers.Integer(low=0, high=high), terms)


def process_state():
    """What a library must leave alone."""
    logger = logging.getLogger("rftcore")
    return (
        [each for each in warnings.filters if each[2] is FutureWarning],  # imports add others
        [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)],
        transformers_logging.is_progress_bar_enabled(),
        {name: value for name, value in os.environ.items() if not name.startswith(LIBRARIES)},
        (logger.level, list(logger.handlers), logger.propagate, list(sys.meta_path)),
    )


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_a_task_of_this_program_trains_and_its_run_is_plain_data(tmp_path, capfd):
    pytest.importorskip("rft_nano")
    before = process_state()
    settings = {"task_options.high": 50}
    made = rft.train(letters, smoke=True, out=tmp_path / "run", set=settings, progress=False)
    run = rft.load_run(made.path)

    assert process_state() == before
    assert capfd.readouterr() == ("", "")
    assert (run.recipe.task, run.recipe.task_options) == ("python:letters", {"high": 50})
    assert [(s["stage"], s["split"], s["n"]) for s in run.scores] == [
        (stage, "val", 8) for stage in ("start", "sft", "grpo")
    ]
    assert "after GRPO" in run.table()
    row = run.answers("sft", "val")[0]
    assert (row.split, row.index, row.correct) == ("val", 0, row.answer == row.gold)
    assert run.rollouts()[0].step == 1
    assert {line["step"] for line in run.metrics("sft")} == {1, 2}
    assert (run.policy, run.done[-1]) == (run.path / "grpo/model", "evaluate:grpo")

    with pytest.raises(UnknownNameError, match=r"pass the object again, as rft\.train\(resume"):
        rft.train(resume=run)
    assert rft.train(letters, resume=run).scores == run.scores
    found = rft.evaluate(run, task=letters, set={"evaluation.samples.val": 3})
    assert [(s["split"], s["n"]) for s in found.scores] == [("val", 3)]
    assert [row.id for row in found.answers] == ["val-0", "val-1", "val-2"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_the_notebook_runs(tmp_path, monkeypatch, capsys):
    pytest.importorskip("rft_nano")
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(ROOT / "examples/notebook_red_cubes.py"))
    printed = capsys.readouterr().out

    assert "after GRPO" in printed
    assert "val-0: gold " in printed
    assert "step 1, rl-" in printed
    name = "smoke-rft_red_cubes-count_red_cubes-toy-s0-*"
    assert list((tmp_path / "runs").glob(f"{name}/summary.txt"))


class Broken(Letters):
    splits = ("val", "test", "ood-far")

    def sample(self, split, index):
        if split == "test":
            raise SampleError("a bad row")
        return super().sample(split, index)


def test_an_evaluation_that_an_error_ends_keeps_its_finished_splits(capfd):
    pytest.importorskip("rft_nano")
    broken = dataclasses.replace(letters(), dataset=Broken())
    few = {"evaluation.samples": {"val": 2, "test": 2}, "evaluation.max_new_tokens": 4}
    with pytest.raises(SampleError, match="a bad row") as raised:
        rft.evaluate("toy", task=broken, set=few, progress=False)
    found = raised.value.evaluation

    assert [(s["split"], s["n"]) for s in found.scores] == [("val", 2)]
    assert [row.id for row in found.answers] == ["val-0", "val-1"]
    assert found.notes()[-1] == "not measured, because the evaluation stopped: test, ood-far"
    assert "measured before it: val; the attribute `evaluation`" in raised.value.__notes__[0]
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize("hub", [True, False])
def test_the_bars_of_libraries_are_as_before_afterwards(own, hub):
    shown = transformers_logging.is_progress_bar_enabled
    with without_bars():  # restores this process
        (
            transformers_logging.enable_progress_bar
            if own
            else transformers_logging.disable_progress_bar
        )()
        (enable_progress_bars if hub else disable_progress_bars)()
        with without_bars():
            assert (shown(), are_progress_bars_disabled()) == (False, True)
        assert (shown(), are_progress_bars_disabled()) == (own, not hub)


def test_settings_are_texts_or_a_mapping():
    texts = setting_layers(["grpo.group_size=8", "rewards.format.weight=0.5"])

    assert setting_layers({"grpo.group_size": 8, "rewards.format.weight": 0.5}) == texts
    assert setting_layers("seed=3") == [("--set seed", {"seed": 3})]


@pytest.mark.parametrize(
    ("call", "error", "found"),
    [
        (lambda: rft.train(lambda: None), rft.RftError, "returned None, which is no"),
        (lambda: rft.train(5), RecipeError, "task=5 .*: give text, a Task, a function"),
        (
            lambda: rft.train("numbers", recipe=["x"]),
            RecipeError,
            "recipe=.*: give text, a Path",
        ),
        (lambda: rft.train("nubmers"), UnknownNameError, "no task named 'nubmers'"),
        (lambda: rft.train(letters, smoke=True, fork="x"), RecipeError, "leave out --smoke"),
        (lambda: rft.train("python:letters"), UnknownNameError, "was an object of the Python"),
        (lambda: rft.evaluate("nano", suite="words", task="x"), RecipeError, "leave out task"),
        (lambda: rft.evaluate("nano", suite="words", limit=-3), RecipeError, "limit=-3: use 1"),
        (lambda: rft.evaluate("nano", task="x", parser="lenient"), RecipeError, "'strict' or 'for"),
        (lambda: rft.load_run("nowhere"), RunError, "nowhere is not a run folder"),
    ],
)
def test_what_a_user_can_fix_is_an_rft_error(call, error, found):
    with pytest.raises(error, match=found):
        call()


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (
            lambda: rft.train("counting", set={3: 1}),
            r"set=\{3: 1\} .*: give a list of texts or",
        ),
        (lambda: rft.train("counting", out=3), r"out=3 \(int\): give text, a Path or None"),
        (lambda: rft.train("counting", smoke="no"), r"smoke='no' \(str\): give True or False"),
        (lambda: rft.train(resume=3), r"resume=3 \(int\): give text, a Path, a Run or None"),
        (lambda: rft.train("counting", seed=True), r"seed=True \(bool\): give a whole number"),
        (lambda: rft.load_run(3), r"path=3 \(int\): give text or a Path"),
        (lambda: rft.evaluate(3), r"run_or_model=3 \(int\): give text, a Path or a Run"),
        (lambda: rft.evaluate("nano", splits=[]), r"splits=\[\] names nothing: leave it out"),
        (lambda: rft.compare("a", "b", splits=[]), r"splits=\[\] names nothing: leave it out"),
        (
            lambda: rft.compare(task="counting", seeds="3"),
            r"seeds='3' \(str\): give a whole number",
        ),
        (lambda: rft.compare(task="counting", out="x", data_efficiency=[5]), "data_efficiency="),
        (lambda: rft.compare(task="counting", out="x", paradigms="cot-sft,x"), "no paradigm.*'x'"),
        (
            lambda: rft.plan("counting", signal="x"),
            r"signal='x' \(str\): give a whole number or None",
        ),
        (lambda: rft.plan("counting", device="tpu"), "device='tpu': give"),
        (lambda: rft.report(3), r"runs=3 \(int\): give text, a Path or a Run"),
    ],
)
def test_an_argument_of_another_type_is_one_error_that_names_it(call, told, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RecipeError, match=told):
        call()

    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["a\0b", "a\ud800b"])
@pytest.mark.parametrize("argument", ["out", "recipe", "model", "resume", "fork"])
def test_a_text_that_no_path_can_be_is_an_error_that_names_the_argument(argument, name):
    with pytest.raises(RecipeError, match=rf"{argument}=.*: no path has a null byte or"):
        rft.train(**{"task": "counting"} | {argument: name})


def test_numbers_of_numpy_are_numbers():
    @checked
    def take(number: int = 0, share: float = 0.0, flag: bool = False, many: Sequence[int] = ()):
        return number, share, flag, many

    given = np.int64(3), np.float32(0.5), np.bool_(True), np.arange(2)
    assert take(*given) == (3, 0.5, True, [0, 1])
    assert [type(one) for one in take(np.int64(3), flag=np.True_)[:3]] == [int, float, bool]


def test_a_worker_that_runs_the_script_again_is_told_so(monkeypatch):
    monkeypatch.setattr(multiprocessing.current_process(), "name", WORKER)
    with pytest.raises(PluginError, match=r'rft.train: put .* below `if __name__ == "__main__":`'):
        rft.train("counting")


def test_a_run_that_has_not_ended_has_what_it_has_so_far(tmp_path):
    folder = RunFolder.create(tmp_path / "run", {"seed": 0})
    run = rft.load_run(folder.path)

    assert (run.scores, run.rollouts(), run.metrics(), run.policy) == ([], [], [], None)
    with pytest.raises(RunError, match=r"has not finished\. `rft train --resume"):
        run.table()
    with pytest.raises(RunError, match=r"stage 'sft' on split 'val'\. It has: none"):
        run.answers("sft", "val")
    with pytest.raises(RunError, match="no metrics of phase 'grop': use 'sft' or 'grpo'"):
        run.metrics("grop")
