"""A tracker has the points of the run folder: none lost, none twice, whatever happens between."""

import importlib.util
import sys
import types
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rftcore import cli
from rftcore.config import load_recipe
from rftcore.disclosure import HIDDEN, shown_command, without_folders, without_secrets
from rftcore.errors import RecipeError
from rftcore.evaluation.scores import SplitScore
from rftcore.runs import RunFolder
from rftcore.tracking import NAMES, Mirror, check_tracking, mirror_of
from rftcore.tracking.identity import identify
from rftcore.tracking.names import STAGES, Row, gain_rows, run_rows, safe, score_rows

PAGE = Path(__file__).parent.parent / "docs" / "tracking.md"
SCORE = {"split": "val", "n": 8, "accuracy": 0.5, "low": 0.2, "high": 0.8, "unparsed": 0.0}
SCORE |= {"clipped": 0.0, "tokens": 9.5, "failed": 0, "rewards": {"accuracy": 0.5, "none": None}}
GAINS = [{"split": "val", "stage": "sft", "change": 0.1, "low": -0.1, "high": 0.3}]
LINES = [
    *({"phase": "sft", "step": step, "loss": 1 / step} for step in range(1, 6)),
    {"phase": "sft", "step": 5, "train_loss": 0.4},
    *({"phase": "grpo", "step": s, "reward/accuracy": s / 9, "kl": None} for s in range(1, 6)),
]


def recipe(*trackers, **more):
    return load_recipe(("test", {"task": "sums", "tracking": {"to": [*trackers], **more}}))


class Fake:
    """A tracker in memory. fails: which calls raise. asked: whether it knows what it has."""

    def __init__(self, points=None, fails=(), asked=True):
        self.points = [] if points is None else points
        self.fails, self.calls, self.asked = fails, 0, asked
        self.closed = 0

    def _call(self):
        self.calls += 1
        if self.calls in self.fails:
            raise ConnectionError("network is gone\nreally")

    def open(self):
        self._call()
        if not self.asked:
            return None
        return {name: max(s for n, s, _ in self.points if n == name) for name, *_ in self.points}

    def log(self, row):
        self._call()
        self.points += [(name, row.step, value) for name, value in row.values.items()]

    def close(self):
        self.closed += 1


def write(run, lines, stage=None):
    for line in lines:
        run.log(line)
    if stage:
        run.write_scores(stage, [SCORE, {**SCORE, "split": "test"}])


def points(rows):
    return sorted((name, row.step, value) for row in rows for name, value in row.values.items())


def truth(run):
    rows = run_rows(run.metrics(), {stage: run.scores(stage) for stage in STAGES})
    return points([*rows, *gain_rows(GAINS)])


@pytest.fixture
def folder(tmp_path):
    return RunFolder.create(tmp_path / "run", {"created": "now"}, "task: sums")


def whole_run(run, mirror):
    """A run from start to end; the notes of its trackers."""
    mirror.open()
    write(run, [], "start")
    write(run, LINES[:6], "sft")
    write(run, LINES[6:], "grpo")
    return mirror.finish(GAINS)


def test_a_tracker_receives_every_number_once(folder):
    tracker = Fake()
    notes = whole_run(folder, Mirror(folder, {"fake": tracker}))

    assert notes == []
    assert sorted(tracker.points) == truth(folder)
    assert ("evaluation/test/accuracy", 0, 0.5) in tracker.points
    assert ("grpo/reward/accuracy", 5, 5 / 9) in tracker.points


def test_groups_terms_blind_and_drawn_answers_are_numbers_of_an_evaluation():
    share = {"n": 8, "accuracy": 0.5, "low": 0.2, "high": 0.8}
    score = SplitScore.from_json(
        {
            **SCORE,
            "prompt": "reason",
            "rewards": {},
            "groups": {"kind": {"a/b": share, "c": {**share, "accuracy": None}}},
            "metrics": {"iou": {"n": 8, "mean": 0.3, "low": 0.1, "high": 0.5}},
            "blind": {**share, "accuracy": 0.25},
            "sampled": {"k": 4, "accuracy": share, "pass_at": {"4": 0.75}, "majority": share},
        }
    )
    (row,) = score_rows("grpo", [asdict(score)])
    got = {name.removeprefix("evaluation/val/"): value for name, value in row.values.items()}

    assert (row.axis, row.step) == ("evaluation", 2)
    assert (got["blind/accuracy"], got["metric/iou"], got["sampled/pass_at/4"]) == (0.25, 0.3, 0.75)
    assert got["group/kind/a_x2f_b"] == got["sampled/accuracy"] == got["sampled/majority"] == 0.5
    assert "group/kind/c" not in got
    assert [n for n in row.values if not any(m.covers(n) for m in NAMES)] == []


def test_a_trial_of_a_prompt_is_not_a_stage(folder):
    tracker = Fake()
    Mirror(folder, {"fake": tracker}).open()
    write(folder, [], "start-direct")

    assert tracker.points == []


@given(
    cuts=st.lists(st.integers(0, len(LINES)), max_size=4).map(sorted),
    back=st.lists(st.integers(0, 3), min_size=4, max_size=4),
    fails=st.sets(st.integers(1, 60)),
    asked=st.booleans(),
)
def test_kills_and_failures_lose_no_point_and_repeat_none(
    tmp_path_factory, cuts, back, fails, asked
):
    run = RunFolder.create(tmp_path_factory.mktemp("any") / "run", {}, "task: sums")
    kept, done = [], 0
    for cut, steps in zip(cuts, back, strict=False):  # each session ends by a kill
        Mirror(run, {"fake": Fake(kept, fails, asked)}).open()
        for line in LINES[done:cut]:
            run.log(line)
        done = max(done, cut)
        if 0 < done <= len(LINES) and steps:  # and the next one begins at an older checkpoint
            last = LINES[done - 1]
            run.forget_after(last["phase"], last["step"] - steps)
            done = len(run.metrics())
    mirror = Mirror(run, {"fake": Fake(kept, asked=asked)})
    mirror.open()
    write(run, LINES[done:], "grpo")

    assert mirror.finish(GAINS) == []
    assert sorted(kept) == truth(run)


def test_a_failure_is_one_warning_and_a_note_and_the_points_come_later(folder, caplog):
    tracker = Fake(fails={3, 4})
    (note,) = whole_run(folder, Mirror(folder, {"fake": tracker}))

    assert len(caplog.records) == 1
    assert "fake failed (ConnectionError: network is gone really)" in caplog.text
    assert note.startswith("tracker fake: 2 calls failed, and it has received everything since")
    assert sorted(tracker.points) == truth(folder)


def test_a_dead_tracker_is_seldom_called_and_a_later_session_sends_all(folder):
    tracker = Fake(fails=range(1, 99))
    (note,) = whole_run(folder, Mirror(folder, {"fake": tracker}))

    assert tracker.calls < 8 < len(LINES)
    assert "rft train --resume" in note
    assert tracker.points == []
    later = Mirror(folder, {"fake": tracker})
    tracker.fails = ()
    later.open()
    assert later.finish(GAINS) == []
    assert sorted(tracker.points) == truth(folder)


def test_one_dead_tracker_does_not_keep_another_from_its_points(folder):
    good, bad = Fake(), Fake(fails=range(1, 99))
    whole_run(folder, Mirror(folder, {"bad": bad, "good": good}))

    assert sorted(good.points) == truth(folder)
    assert (good.closed, bad.closed) == (1, 0)


# --- the trackers themselves ---


def tensorboard_points(run):
    module = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = module.EventAccumulator(str(run.path / "tensorboard"), {"scalars": 0})
    events.Reload()
    return sorted(
        (tag, event.step, pytest.approx(event.value, rel=1e-6))
        for tag in events.Tags()["scalars"]
        for event in events.Scalars(tag)
    )


def trackio_points(run):
    storage = pytest.importorskip("trackio.sqlite_storage").SQLiteStorage
    own = identify(run, recipe("trackio"))
    return sorted(
        (name, line["step"], value)
        for line in storage.get_logs(own.project, own.name)
        for name, value in line.items()
        if name not in ("step", "timestamp")
    )


READ = {"tensorboard": tensorboard_points, "trackio": trackio_points}


@pytest.fixture
def trackio_here(tmp_path, monkeypatch):
    """trackio's files in a folder of the test: it reads the variable when it is imported."""
    if importlib.util.find_spec("trackio"):
        for module in ("utils", "sqlite_storage"):
            place = f"trackio.{module}.TRACKIO_DIR"
            monkeypatch.setattr(place, tmp_path / "trackio", raising=False)


@pytest.mark.usefixtures("trackio_here")
@pytest.mark.parametrize("name", READ)
def test_a_real_tracker_has_the_points_of_the_folder_after_a_kill(name, folder):
    pytest.importorskip(name)
    first = mirror_of(folder, recipe(name))
    first.open()
    write(folder, LINES[:4], "start")
    first.close()  # the process ends here; steps 3 and 4 will be taken again
    folder.forget_after("sft", 2)
    second = mirror_of(RunFolder.open(folder.path), recipe(name))
    second.open()
    write(second._run, LINES[2:6], "sft")
    write(second._run, LINES[6:], "grpo")

    assert second.finish(GAINS) == []
    assert READ[name](folder) == truth(folder)


def test_a_torn_event_file_of_tensorboard_is_continued(folder):
    pytest.importorskip("tensorboard")
    mirror = mirror_of(folder, recipe("tensorboard"))
    mirror.open()
    write(folder, LINES[:6])
    mirror.close()
    (events,) = (folder.path / "tensorboard").iterdir()
    events.write_bytes(events.read_bytes()[:-20])  # as a power cut leaves it

    mirror = mirror_of(folder, recipe("tensorboard"))
    mirror.open()
    mirror.finish(GAINS)
    assert tensorboard_points(folder) == truth(folder)


class FakeWandB(types.ModuleType):
    """Records what W&B is called with."""

    def __init__(self):
        super().__init__("wandb")
        self.inits, self.rows, self.axes = [], [], {}

    def init(self, **options):
        self.inits.append(options)
        return self

    def define_metric(self, name, step_metric):
        self.axes[name] = step_metric

    def log(self, values):
        self.rows.append(values)

    def finish(self):
        pass


def test_wandb_continues_one_run_and_draws_each_number_over_its_axis(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", wandb := FakeWandB())
    mirror_of(folder, recipe("wandb")).open()
    write(folder, LINES[:4])
    mirror = mirror_of(folder, recipe("wandb", project="mine"))
    mirror.open()
    write(folder, LINES[4:], "grpo")
    mirror.finish(GAINS)

    assert {(o["id"], o["name"], o["resume"]) for o in wandb.inits} == {
        (identify(folder, recipe()).id, identify(folder, recipe()).name, "allow")
    }
    assert [o["project"] for o in wandb.inits] == ["sums", "mine"]
    sent = [
        (name, row[wandb.axes[f"{name.partition('/')[0]}/*"]], value)
        for row in wandb.rows
        for name, value in row.items()
        if name not in wandb.axes.values()
    ]
    assert sorted(sent) == truth(folder)


class FakeMLflow(types.ModuleType):
    """As much of MLflow's client as is used, in memory."""

    def __init__(self):
        super().__init__("mlflow")
        self.runs, self.params = {}, {}
        self.entities = types.ModuleType("mlflow.entities")
        names = types.SimpleNamespace
        self.entities.Metric = lambda key, value, at, step: names(key=key, value=value, step=step)
        self.entities.Param = lambda key, value: names(key=key, value=value)
        self.MlflowClient = lambda: self

    def get_experiment_by_name(self, name):
        return None

    def create_experiment(self, name):
        return f"experiment {name}"

    def create_run(self, experiment, run_name):
        run = f"id of {run_name} in {experiment}"
        self.runs[run] = []
        return types.SimpleNamespace(info=types.SimpleNamespace(run_id=run))

    def log_batch(self, run, metrics=(), params=()):
        assert len(params) <= 100
        self.runs[run] += metrics
        self.params |= {each.key: each.value for each in params}

    def update_run(self, run, status):
        assert status == "RUNNING"

    def get_run(self, run):
        return types.SimpleNamespace(
            data=types.SimpleNamespace(metrics={each.key: each.value for each in self.runs[run]})
        )

    def get_metric_history(self, run, name):
        return [each for each in self.runs[run] if each.key == name]

    def set_terminated(self, run):
        assert run in self.runs


def test_mlflow_continues_one_run_and_has_the_settings_as_parameters(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", mlflow := FakeMLflow())
    monkeypatch.setitem(sys.modules, "mlflow.entities", mlflow.entities)
    mirror_of(folder, recipe("mlflow")).open()
    write(folder, LINES[:4])
    mirror = mirror_of(folder, recipe("mlflow"))
    mirror.open()
    write(folder, LINES[4:], "grpo")
    mirror.finish(GAINS)

    ((run, found),) = mlflow.runs.items()
    assert run == f"id of {identify(folder, recipe()).name} in experiment sums"
    assert sorted((each.key, each.step, each.value) for each in found) == truth(folder)
    assert mlflow.params["seed"] == "0"
    assert mlflow.params["tracking.to"] == '["mlflow"]'


# --- names, settings, secrets ---


def test_a_copied_folder_is_the_same_run_and_a_new_folder_another(folder, tmp_path):
    other = RunFolder.create(tmp_path / "other" / "run", {}, "")

    assert identify(folder, recipe()) == replace(identify(folder, recipe()))
    assert identify(other, recipe()).name != identify(folder, recipe()).name


@given(st.text(), st.text())
def test_names_are_of_characters_that_trackers_take_and_stay_different(one, other):
    assert not set(safe(one)) - set(safe("aA0_./-")) - set(map(chr, range(48, 123)))
    if "_x" not in one + other:
        assert (safe(one) == safe(other)) == (one == other)


def test_the_page_has_the_table_of_names():
    assert names_table() in PAGE.read_text(encoding="utf-8"), "run `python tests/test_tracking.py`"


def names_table():
    rows = [f"| `{name.pattern}` | {name.meaning} | {name.source} |" for name in NAMES]
    return "\n".join(["| Name | Meaning | Chosen by |", "|---|---|---|", *rows]) + "\n"


def test_a_package_that_is_not_installed_is_an_error_with_the_command(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)

    with pytest.raises(RecipeError, match=r"tracking.to = 'trackio' \(test\): needs the package"):
        check_tracking(recipe("trackio"))
    with pytest.raises(RecipeError, match=r"pip install 'rftcore\[mlflow\]'"):
        check_tracking(recipe("mlflow"))


@pytest.mark.parametrize(
    ("variable", "value", "logged_in"),
    [
        ("WANDB_API_KEY", "k", True),
        ("WANDB_MODE", "offline", True),
        ("WANDB_MODE", "online", False),
        ("NETRC", "machine api.wandb.ai login user password k\n", True),
        ("NETRC", "machine example.org login user password k\n", False),
    ],
)
def test_wandb_needs_a_login_before_a_model_loads(
    variable, value, logged_in, tmp_path, monkeypatch
):
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    if variable == "NETRC":
        (tmp_path / "netrc").write_text(value)
    else:
        monkeypatch.setenv(variable, value)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)

    if logged_in:
        check_tracking(recipe("wandb"))
    else:
        with pytest.raises(RecipeError, match="wandb login"):
            check_tracking(recipe("wandb"))


def test_settings_reach_trackers_without_secrets(folder):
    layer = {"task": "sums", "seed": 7, "sft": {"hub_token": "hf_x", "max_steps": 3}}
    layer["dataset"] = {"path": "https://me:pw@host/data", "keys": {"api_key": "k"}}
    config = identify(folder, load_recipe(("test", layer))).config

    assert (config["seed"], config["sft.max_steps"]) == (7, 3)
    assert config["evaluation.max_new_tokens"] == 512
    assert config["sft.hub_token"] == config["dataset.keys.api_key"] == HIDDEN
    assert config["dataset.path"] == "https://host/data"


def test_a_command_is_shown_without_secrets_and_folders():
    words = ["/home/me/bin/rft", "train", "--set=sft.hub_token=hf_x", "--set", "grpo.beta=0.1"]
    words += ["--model", "/data/qwen", "--set", "dataset.path=/data/mine", "--out=runs/a"]

    assert shown_command(words) == [
        *("rft", "train", f"--set=sft.hub_token={HIDDEN}", "--set", "grpo.beta=0.1"),
        *("--model", "qwen", "--set", "dataset.path=mine", "--out=runs/a"),
    ]
    assert without_folders({"a": ["/x/y", "z/w"]}) == {"a": ["y", "z/w"]}
    assert without_secrets({"eos": "t", "x": {"token": None}}) == {"eos": "t", "x": {"token": None}}


def test_a_row_skips_what_is_not_a_number():
    (row,) = run_rows([{"phase": "sft", "step": 1, "a": None, "b": "text", "c d": 2}], {})

    assert row == Row("sft", 1, {"sft/c_x20_d": 2})


if __name__ == "__main__":
    import re

    text = PAGE.read_text(encoding="utf-8")
    table = re.sub(r"^\| Name \|.*?(?=^$|\Z)", lambda _: names_table(), text, flags=re.M | re.S)
    PAGE.write_text(table, encoding="utf-8")


def test_a_missing_tracker_is_reported_before_anything_else_and_leaves_nothing(
    tmp_path, monkeypatch, capsys
):
    pytest.importorskip("rft_counting")
    monkeypatch.chdir(tmp_path)
    real = importlib.util.find_spec
    absent = lambda name, *_: None if name == "wandb" else real(name, *_)  # noqa: E731
    monkeypatch.setattr(importlib.util, "find_spec", absent)
    words = ["train", "--task=counting", "--smoke", "--set=tracking.to=[wandb]"]
    with pytest.raises(SystemExit) as left:
        cli.main(words)
    said = capsys.readouterr()

    assert (left.value.code, said.out) == (2, "")
    assert said.err.startswith("error: tracking.to = 'wandb'")
    assert list(tmp_path.iterdir()) == []
