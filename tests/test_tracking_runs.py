"""A whole run in its trackers: both phases, interrupted and not, and a fork; its card's example."""

import contextlib
import io
import re
from pathlib import Path

import pytest

from rftcore.config import load_recipe, read_recipe_file
from rftcore.runs import RunFolder
from rftcore.testing.families import tiny_qwen2_vl
from rftcore.tracking import NAMES
from rftcore.tracking.identity import identify
from rftcore.tracking.names import STAGES, gain_rows, run_rows
from rftcore.training.callbacks import Progress
from tests.commands import exit_code as rft

pytest.importorskip("rft_nano")
pytest.importorskip("tensorboard")
pytestmark = pytest.mark.slow

TASK = f"{Path(__file__).parent}/cases/lively_task.py:squares"
SETTINGS = (
    *("sft.samples=12", "sft.batch_size=4", "sft.max_steps=5", "sft.save_steps=2"),
    *("grpo.samples=8", "grpo.max_steps=5", "grpo.save_steps=2", "grpo.learning_rate=1e-3"),
    *("evaluation.splits=[val]", "evaluation.samples.val=2", "tracking.to=[tensorboard]"),
)
# What measures time, and checks that each session makes on its first batch.
NOT_COMPARED = ("time", "runtime", "per_second", "difference", "rollout_check", "gradient/")


def start(model, out):
    settings = [f"--set={setting}" for setting in SETTINGS]
    return rft("train", "--task", TASK, "--smoke", "--model", model, "--out", out, *settings)


def interrupt_at(monkeypatch, phase, step):
    plain = Progress.on_step_end

    def on_step_end(progress, args, state, control, **kwargs):
        if (progress.phase, state.global_step) == (phase, step):
            monkeypatch.setattr(Progress, "on_step_end", plain)
            raise KeyboardInterrupt
        plain(progress, args, state, control, **kwargs)

    monkeypatch.setattr(Progress, "on_step_end", on_step_end)


def points(run):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run / "tensorboard"), {"scalars": 0})
    events.Reload()
    return sorted(
        (tag, event.step, event.value)
        for tag in events.Tags()["scalars"]
        if not any(part in tag for part in NOT_COMPARED)
        for event in events.Scalars(tag)
    )


def names(found):
    return [(name, step) for name, step, _ in found]


def recorded(run):
    """The points that the folder of a run has."""
    folder = RunFolder.open(run)
    scores = {stage: folder.scores(stage) for stage in STAGES}
    rows = [*run_rows(folder.metrics(), scores), *gain_rows(folder.summary()["gains"])]
    found = [(name, row.step, value) for row in rows for name, value in row.values.items()]
    return sorted(each for each in found if not any(part in each[0] for part in NOT_COMPARED))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_qwen2_vl(tmp_path_factory.mktemp("tiny") / "qwen2_vl")


@pytest.fixture(scope="module")
def whole(tmp_path_factory, model):
    """An uninterrupted run."""
    run = tmp_path_factory.mktemp("whole") / "run"
    assert start(model, run) == 0
    return run


def test_an_interrupted_run_has_the_points_of_an_uninterrupted_one(
    model, whole, tmp_path, monkeypatch
):
    run = tmp_path / "run"
    interrupt_at(monkeypatch, "sft", 3)
    assert start(model, run) == 130
    interrupt_at(monkeypatch, "grpo", 3)
    assert rft("train", "--resume", run) == 130
    assert rft("train", "--resume", run) == 0

    assert points(run) == points(whole)
    assert names(points(whole)) == sorted({*names(recorded(whole))})
    assert len({step for name, step, _ in points(whole) if name == "grpo/reward"}) == 5


def test_a_run_logs_the_names_of_the_page_and_no_others(whole):
    logged = {name for name, *_ in recorded(whole)} | {"grpo/step_time", "grpo/scoring_time_s"}
    general = ("grpo/...", "sft/...")  # what TRL adds with other settings

    listed = [name for name in NAMES if name.pattern not in general]
    assert [name for name in logged if not any(each.covers(name) for each in listed)] == []
    measured = [
        each.pattern
        for each in NAMES
        if each.always and not any(part in each.pattern for part in NOT_COMPARED)
    ]
    missing = [
        n for n in measured if not any(e.covers(m) for e in NAMES for m in logged if e.pattern == n)
    ]
    assert missing == []


def test_a_fork_is_a_run_of_its_own_with_the_points_of_both_phases(whole, tmp_path):
    fork = tmp_path / "fork"
    setting = "--set=grpo.learning_rate=1e-4"
    assert rft("train", "--fork", whole, setting, "--out", fork) == 0

    shared = ("sft/", "evaluation/")
    mine, its = ([p for p in points(run) if p[0].startswith(shared)] for run in (fork, whole))
    until_sft = [[p for p in found if p[0].startswith("sft/") or p[1] < 2] for found in (mine, its)]
    assert until_sft[0] == until_sft[1] != []
    assert names(points(fork)) == sorted({*names(recorded(fork))})
    assert identity(fork) != identity(whole)


def identity(run):
    recipe = load_recipe(("recipe", read_recipe_file(RunFolder.open(run).recipe_file)))
    return identify(RunFolder.open(run), recipe).id


@pytest.mark.parametrize("phase", ["sft", "grpo"])
def test_the_example_of_a_card_runs_and_reads_the_prompt_as_rft_does(
    phase, whole, tmp_path, monkeypatch
):
    from rftcore.models.completions import generate
    from rftcore.models.loading import load_model
    from rftcore.plugins import Catalogue

    folder = RunFolder.open(whole).model_folder(phase)
    code = re.search(r"```python\n(.*?)\n```\n", (folder / "README.md").read_text(), re.S)[1]
    task = Catalogue.load().task(TASK)
    prompt = task.prompt(task.dataset.sample("sft", 0))
    prompt.images[0].open().save(tmp_path / "image-1.png")
    (expected,) = generate(load_model(folder), [prompt], 16)
    monkeypatch.chdir(tmp_path)
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(code.replace('source = "."', f"source = {str(folder)!r}"), {})

    assert printed.getvalue().strip() == expected.text.strip() != ""
    assert not (folder.parent / "README.md").exists()  # TRL's, which names no model
