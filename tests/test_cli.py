"""The command line: names and settings in, a job or one clear line out."""

import io
import json
import logging
import sys
import types
from dataclasses import replace
from functools import partial
from pathlib import Path

import click
import pytest
from PIL import Image

from rftcore import builtin, cli, parsers, rewards
from rftcore.completions import ScoredCompletion
from rftcore.errors import RewardError, VisionError
from rftcore.evaluation.scores import SplitScore
from rftcore.hookspecs import hookimpl
from rftcore.pipeline.splits_evaluation import Found
from rftcore.runs import RunFolder
from rftcore.signals import Terminated
from rftcore.types import Prompt, Term
from tests.commands import rft
from tests.forked import Command


class Training:
    """Stands in for the module that loads torch: remembers its job and does as told."""

    def __init__(self):
        self.job = None
        self.fails_with = None
        self.after = ()

    def train(self, job):
        self.job = job
        job.announce()
        for phase in self.after:
            job.run.mark_done(phase)
        if self.fails_with:
            raise self.fails_with
        return types.SimpleNamespace(table=lambda: "the table")


@pytest.fixture
def training(monkeypatch):
    stand_in = Training()
    module = types.ModuleType("rftcore.pipeline.loop")
    module.train = stand_in.train
    monkeypatch.setitem(sys.modules, "rftcore.pipeline.loop", module)
    return stand_in


@pytest.fixture(autouse=True)
def world(tmp_path, monkeypatch, fakes):
    """An empty folder, and fake plugins: a task, two models, one broken task, one command."""
    monkeypatch.chdir(tmp_path)
    nano = tmp_path / "nano-folder"
    nano.mkdir()
    (nano / "rft.yaml").write_text("sft:\n  batch_size: 4\n  learning_rate: 1e-3\n")

    @click.command()
    def hello():
        """Say hello."""
        click.echo("hello")

    points = [
        fakes.point("rftcore", builtin),
        fakes.point("good", fakes.tasks(numbers=fakes.numbers)),
        fakes.point(
            "rft-nano", fakes.plugin(rft_models={"nano": lambda: nano, "toy": lambda: "."})
        ),
        fakes.point("rft-counting", ImportError("no module named 'cubes'")),
        fakes.point("greeter", fakes.plugin(rft_commands=[hello])),
        fakes.point("rude", types.SimpleNamespace(rft_commands=hookimpl(rft_commands))),
    ]
    fakes.install(points, monkeypatch)
    cli._plugin_commands.cache_clear()
    yield lambda name, plugin: points.append(fakes.point(name, plugin))
    cli._plugin_commands.cache_clear()


def rft_commands():
    raise ZeroDivisionError


def commands(group=cli.main, path=()):
    for name in group.list_commands(None):
        command = group.get_command(None, name)
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name)


@pytest.mark.parametrize("path", list(commands()), ids=" ".join)
def test_every_command_shows_an_example_of_itself(path):
    done = rft(*path, "--help")

    assert done.exit_code == 0
    assert f"  rft {' '.join(path)}" in done.output.partition("Example:")[2]


@pytest.mark.parametrize("path", [(), ("data",), ("new",), ("plugins",), ("tasks",)], ids=" ".join)
def test_help_shows_the_summary_of_each_command_whole(path):
    listed = rft(*path, "--help").output.partition("Commands:")[2].strip().split("\n\n")[0]

    assert all(line.endswith(".") and not line.endswith("..") for line in listed.splitlines())


FAULTS = {
    "no task": ([], "give --task"),
    "unknown task": (["--task", "nubmers"], "Did you mean 'numbers'"),
    "broken plugin": (["--task", "counting"], "no module named 'cubes'"),
    "unknown model": (["--model", "nanno"], "Did you mean 'nano'"),
    "no model folder": (["--model", "./nowhere"], "no such folder"),
    "misspelt --set": (["--set", "grpo.group_sise=4", "--set", "sed=1"], "Did you mean 'seed'"),
    "misspelt option": (["--set", "task_options.lwo=4"], "Did you mean 'low'"),
    "misspelt in file": (["--recipe", "misspelt.yaml"], "misspelt.yaml line 2"),
    "wrong type": (["--set", "grpo.group_size=eight"], "must be a whole number"),
    "negative seed": (["--seed", "-1"], "(--seed)"),
    "does not divide": (["--set", "grpo.micro_batch=3"], "must divide"),
    "group of one": (["--set", "grpo.group_size=1"], "use 2 or more"),
    "no recipe": (["--recipe", "none.yaml"], "No such file"),
    "not YAML": (["--recipe", "broken.yaml"], "broken.yaml line 1: not YAML"),
    "not a mapping": (["--recipe", "list.yaml"], "is a mapping"),
    "folder in use": (["--out", "nano-folder"], "in use: choose another with --out"),
    "unknown split": (["--set", "evaluation.splits=[tset]"], "Did you mean 'test'"),
    "not a run": (["--resume", "nano-folder"], "is not a run folder"),
    "resume and recipe": (["--resume", "x", "--recipe", "y"], "leave out --recipe"),
    "fork and smoke": (["--fork", "x", "--smoke"], "leave out --smoke"),
    "fork of no run": (["--fork", "nano-folder"], "is not a run folder"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_what_a_user_can_fix_is_a_message_and_exit_code_2_before_training(name, training):
    arguments, expected = FAULTS[name]
    Path("misspelt.yaml").write_text("task: numbers\nsedd: 1\n")
    Path("broken.yaml").write_text("task: [")
    Path("list.yaml").write_text("- task")
    given = {"no task", "unknown task", "broken plugin", "resume and recipe", "not a run"}
    done = rft("train", *([] if name in given else ["--task", "numbers"]), *arguments)

    assert done.exit_code == 2
    assert done.stderr.startswith("error: ")
    assert expected in done.stderr
    assert done.stdout == ""
    assert training.job is None
    assert not Path("runs").exists()


def test_train_hands_over_a_resolved_job_and_prints_its_table(training):
    done = rft("train", "--task", "numbers", "--seed", "3", "--set", "task_options.high=5")

    assert done.exit_code == 0, done.stderr
    assert done.stdout.endswith("the table\n")
    assert training.job.plan.task.parser.high == 5
    assert training.job.plan.task.rewards["format"].reward is not None
    assert training.job.run.path.name.startswith("numbers-nano-s3-")
    assert training.job.run.read_json("manifest.json")["plugins"]["good"] == "1.0"


def test_set_beats_recipe_beats_the_models_own_layer(training):
    Path("r.yaml").write_text("task: numbers\nsft:\n  learning_rate: 2e-3\n  warmup_steps: 5\n")
    rft("train", "--recipe", "r.yaml", "--set", "sft.warmup_steps=7")

    sft = training.job.plan.recipe.sft
    assert (sft.batch_size, sft.learning_rate, sft.warmup_steps) == (4, 2e-3, 7)


@pytest.fixture
def stories(world, fakes):
    """Installs a task with recipe defaults."""

    def install(**defaults):
        task = replace(fakes.numbers(), name="stories", defaults=defaults)
        world("long", fakes.tasks(stories=lambda: task))

    return install


def test_a_task_beats_the_model_and_a_recipe_beats_the_task(training, stories):
    stories(sft={"batch_size": 6, "warmup_steps": 1}, evaluation={"max_new_tokens": 99})
    Path("r.yaml").write_text("task: stories\nsft: {warmup_steps: 5}\n")
    done = rft("train", "--recipe", "r.yaml", "--set", "sft.micro_batch=3")

    assert done.exit_code == 0, done.stderr  # 3 divides the task's 6, not the 4 and 16 below it
    sft = training.job.plan.recipe.sft
    assert (sft.batch_size, sft.warmup_steps, sft.learning_rate) == (6, 5, 1e-3)
    assert training.job.plan.recipe.evaluation.max_new_tokens == 99


def test_a_wrong_number_in_a_tasks_defaults_is_reported_with_task_and_plugin(training, stories):
    stories(grpo={"group_size": 1})
    done = rft("train", "--task", "stories", "--set", "sft.micro_batch=3")

    assert done.exit_code == 2
    assert "grpo.group_size = 1 (task 'stories' of long 1.0): " in done.stderr
    assert "sft.micro_batch = 3 (--set sft.micro_batch): " in done.stderr
    assert training.job is None


def test_smoke_shrinks_everything_but_what_is_set(training):
    rft("train", "--task", "numbers", "--smoke", "--set", "grpo.group_size=2")

    recipe = training.job.plan.recipe
    assert (recipe.model, recipe.grpo.group_size, recipe.grpo.max_steps) == ("toy", 2, 2)
    assert recipe.evaluation.samples == {"val": 8, "test": 8, "ood-big": 8}
    assert recipe.vision_check.enabled
    assert training.job.run.path.name.startswith("smoke-numbers-toy-")


@pytest.fixture
def stopped(training):
    """A run that was interrupted after its data was checked."""
    training.after, training.fails_with = ["data"], KeyboardInterrupt()
    done = rft("train", "--task", "numbers", "--seed", "1", "--out", "out")
    training.job, training.fails_with = None, None
    return done


def test_an_interrupt_prints_the_command_that_continues(stopped):
    assert stopped.exit_code == 130
    assert "rft train --resume out" in stopped.stderr


STOPS = [(KeyboardInterrupt, 130, "interrupted"), (Terminated, 143, "stopped by SIGTERM")]


@pytest.mark.parametrize(("stop", "code", "said"), STOPS)
@pytest.mark.parametrize("at", ["open", "lock", "record"])
def test_a_stop_before_a_run_continues_prints_the_command_too(
    at, stop, code, said, stopped, monkeypatch
):
    monkeypatch.setattr(RunFolder, at, raising(stop))
    done = rft("train", "--resume", "out")

    assert (done.exit_code, done.stderr) == (
        code,
        f"\n{said}; continue with: rft train --resume out\n",
    )


@pytest.mark.parametrize(("stop", "code", "said"), STOPS)
@pytest.mark.parametrize("at", ["lock", "write_text", "write_json"])
def test_a_stop_while_a_run_is_made_leaves_nothing(at, stop, code, said, training, monkeypatch):
    before = set(Path().iterdir())
    monkeypatch.setattr(RunFolder, at, raising(stop))
    done = rft("train", "--task", "numbers", "--out", "here/out")

    assert (done.exit_code, done.stderr) == (code, f"\n{said}\n")
    assert {*Path().iterdir()} == before


def raising(error):
    """A method that raises it."""

    def method(*_, **__):
        raise error

    return method


@pytest.mark.parametrize("how", ["--resume", "--fork"])
def test_a_run_whose_recipe_was_edited_is_an_error_with_the_settings(how, stopped, training):
    file = Path("out/recipe.yaml")
    file.write_text(file.read_text() + "# a comment\n")
    assert "was edited" not in rft("train", how, "out", "--set", "grpo.beta=0.1").stderr
    file.write_text(file.read_text().replace("seed: 1", "seed: 7"))

    done = rft("train", how, "out", "--set", "grpo.beta=0.1")
    assert done.exit_code == 2
    assert "seed was edited. Set it back" in done.stderr


def test_resume_goes_on_with_the_runs_own_recipe(stopped, training):
    done = rft("train", "--resume", "out", "--seed", "1", "--set", "seed=1")

    assert done.exit_code == 0, done.stderr
    assert training.job.plan.recipe.seed == 1
    assert len(training.job.run.read_json("manifest.json")["resumed"]) == 1


@pytest.mark.parametrize("change", [["--seed", "2"], ["--set", "sft.x=1"], ["--model", "toy"]])
def test_a_changed_setting_is_an_error_of_resume(change, stopped, training):
    done = rft("train", "--resume", "out", *change)

    assert done.exit_code == 2
    assert "--resume cannot change" in done.stderr
    assert training.job is None


@pytest.mark.parametrize(("after", "kept"), [([], False), (["data"], True)])
def test_a_start_that_fails_leaves_its_folder_free(after, kept, training):
    training.after, training.fails_with = after, VisionError("the model does not see")
    done = rft("train", "--task", "numbers", "--out", "out")

    assert (done.exit_code, done.stderr) == (2, "error: the model does not see\n")
    assert Path("out").exists() == kept


def test_a_fault_in_a_tasks_options_is_found_before_a_model_is_made(world, fakes, training):
    made = []
    world("maker", fakes.plugin(rft_models={"slow": lambda: made.append(1) or "."}))
    done = rft("train", "--task", "numbers", "--model", "slow", "--set", "task_options.lwo=4")

    assert "Did you mean 'low'" in done.stderr
    assert made == []


def test_a_start_makes_its_task_and_its_model_once(world, fakes, training):
    made = []
    once = lambda value: lambda: made.append(value) or value  # noqa: E731
    task = fakes.numbers()
    world("maker", fakes.plugin(rft_models={"own": once(".")}, rft_tasks={"made": once(task)}))
    rft("train", "--task", "made", "--model", "own")

    assert training.job is not None
    assert made == [task, "."]


LOCATED = """
import rftcore as rft
from pathlib import Path

class One:
    splits = ("sft", "rl", "val")

    def size(self, split):
        return 1

    def sample(self, split, index):
        return rft.Sample(split, "?", "1", cot="One.")

def count(data: str = "", file: Path = Path(), unit: str = ""):
    rewards = {"accuracy": rft.Term(rft.rewards.exact)}
    return rft.Task("count", One(), lambda s: rft.Prompt("?"), rft.parsers.Integer(0, 9), rewards)
"""


def test_what_a_run_is_made_of_is_found_from_any_folder(training, monkeypatch, tmp_path):
    Path("tasks").mkdir()
    Path("tasks/own.py").write_text(LOCATED)
    Path("kg").mkdir()
    Path("data.jsonl").write_text("")
    options = ("data=./data.jsonl", "file=kg", "unit=kg")
    rft(
        *("train", "--task", "tasks/own.py:count", "--model", "nano-folder", "--out", "out"),
        *(f"--set=task_options.{option}" for option in options),
    )
    training.job = None
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    done = rft("train", "--resume", "../out", "--model", "../nano-folder")

    assert done.exit_code == 0, done.stderr
    recipe = training.job.plan.recipe
    assert recipe.task == f"{tmp_path / 'tasks/own.py'}:count"
    assert recipe.model == str(tmp_path / "nano-folder") == str(training.job.plan.model)
    assert recipe.task_options == {
        "data": str(tmp_path / "data.jsonl"),
        "file": str(tmp_path / "kg"),
        "unit": "kg",  # a word, although a folder has that name
    }


def test_any_exception_before_a_phase_has_ended_leaves_the_folder_free(training):
    training.fails_with = ZeroDivisionError()
    done = rft("train", "--task", "numbers", "--out", "out")

    assert isinstance(done.exception, ZeroDivisionError)
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("after", "forks"),
    [(["data"], False), (["data", "sft"], True), (["data", "sft", "grpo"], False)],
)
def test_a_run_that_fails_after_sft_prints_the_command_that_goes_on(after, forks, training):
    training.after, training.fails_with = after, RewardError("too many failed")
    done = rft("train", "--task", "numbers", "--out", "o ut")

    assert done.stderr.startswith("error: too many failed\n")
    assert ("rft train --fork 'o ut' --set grpo.SETTING=VALUE" in done.stderr) == forks


def test_a_traceback_after_sft_ends_with_that_command(training):
    training.after, training.fails_with = ["data", "sft"], ZeroDivisionError()
    done = rft("train", "--task", "numbers", "--out", "out")

    assert "rft train --fork out" in done.exception.__notes__[0]


def trained(training, *options):
    """A run in `out` that has finished, as far as a fork needs it."""
    training.after = ["data", "sft", "grpo"]
    rft("train", "--task", "numbers", *options, "--out", "out")
    Path("out/sft/model").mkdir(parents=True)
    for name in ("out/sft.json", "out/sft/model/config.json"):
        Path(name).write_text("{}")
    training.after = []


@pytest.mark.parametrize(("options", "start"), [(["--smoke"], "smoke-numbers-"), ([], "numbers-")])
def test_a_fork_of_a_smoke_run_is_a_smoke_run_by_its_name(options, start, training):
    trained(training, *options)
    for change in ("0.1", "0.2"):
        done = rft("train", "--fork", training.job.run.path, f"--set=grpo.beta={change}")

        assert done.exit_code == 0, done.stderr
        assert training.job.run.path.name.startswith(start)
        for name in ("sft.json", "sft/model/config.json"):
            assert (training.job.run.path / name).is_file()


def test_a_fork_starts_a_run_with_the_parents_recipe_changed(training):
    trained(training, "--seed", "3")
    done = rft("train", "--fork", "out", "--set", "grpo.beta=0.1", "--out", "fork")

    assert done.exit_code == 0, done.stderr
    assert "taken over from out: sft" in done.stdout
    assert (training.job.plan.recipe.seed, training.job.plan.recipe.grpo.beta) == (3, 0.1)
    assert training.job.run.done("sft")


def test_rft_debug_shows_where_an_error_comes_from(monkeypatch):
    monkeypatch.setenv("RFT_DEBUG", "1")

    assert rft("train", "--task", "x").exc_info[0].__name__ == "UnknownNameError"


def test_an_unknown_command_gets_a_suggestion():
    done = rft("trian")

    assert done.exit_code == 2
    assert "Did you mean 'train'" in done.stderr


def test_a_plugin_adds_a_command_and_a_failing_one_leaves_the_others():
    assert rft("hello").output == "hello\n"
    assert "Did you mean 'hello'" in rft("helo").stderr
    assert "ZeroDivisionError" in rft("plugins", "list").output


@pytest.mark.parametrize("nested", [False, True])
def test_what_rft_logs_is_a_line_each_and_the_logger_stays_as_it_was(nested, world, fakes):
    logger = logging.getLogger("rftcore")
    before = logger.level, list(logger.handlers)

    @click.command()
    def chat():
        if nested:
            cli.main(["hello"], standalone_mode=False)
        logger.warning("late, by 50 %")
        logging.getLogger("rftcore.module").info("%s of %s", 1, 2)
        logger.debug("not shown")

    world("chatty", fakes.plugin(rft_commands=[chat]))

    assert rft("chat").stderr == "warning: late, by 50 %\nnote: 1 of 2\n"
    assert (logger.level, logger.handlers) == before


def test_help_loads_no_plugin(monkeypatch):
    monkeypatch.setattr("rftcore.plugins.Catalogue.load", lambda: pytest.fail("plugins loaded"))

    for arguments in ([], ["train"], ["tasks"], ["plugins"]):
        assert rft(*arguments, "--help").exit_code == 0


def test_plugins_list_shows_what_is_sound_and_what_is_broken():
    rows = {
        (r["distribution"], r["name"]): r
        for r in json.loads(rft("plugins", "list", "--json").output)
    }

    assert rows["good", "numbers"]["state"] == "ok"
    assert rows["greeter", "hello"]["kind"] == "command"
    broken = rows["rft-counting", "rft-counting-point"]
    assert broken["state"] == "broken"
    assert broken["reason"].startswith("ImportError")
    table = rft("plugins", "list").output
    assert f"broken: {broken['reason']}" in table
    assert all(row["state"] in table for row in rows.values())


def test_tasks_list_has_each_task_with_its_summary_and_each_broken_plugin():
    numbers, broken = rft("tasks", "list").output.splitlines()

    assert numbers.split() == ["numbers", "Say", "a", "number."]
    assert broken.startswith("rft-counting-point  broken, its tasks are missing: rft-counting 1.0")


def test_tasks_show_prints_every_part_of_a_task():
    shown = rft("tasks", "show", "numbers").output

    for fact in (
        "good 1.0",
        "low: int = 0",
        "ood-big: 5",
        "exact, weight 1",
        "tags, weight 0.5",
        "Integer(low=0, high=9, forgiving=False)",
        "Say 0.",
    ):
        assert fact in shown


def test_tasks_show_lists_what_the_task_sets(stories):
    stories(grpo={"max_completion_length": 99})

    assert "grpo.max_completion_length = 99" in rft("tasks", "show", "stories").output


def near(most: int, reach: int = 3):
    """Part of the credit for a near answer."""
    return nearness


def nearness(x):
    """Fall evenly.

    Returns: in [0, 1],
        no unit.
    """


def steep(power):
    """Fall steeply."""

    def reward(x):
        return 0.0

    return reward


def lenient(base):
    """A task whose answers are all right."""
    return replace(base(), rewards={"accuracy": Term(lambda x: 1.0)})


@pytest.fixture
def components(world, fakes):
    """Installs a component of every kind, one name of them twice."""
    offers = {
        "rft_tasks": {"twice": fakes.numbers},
        "rft_parsers": {"twice": fakes.numbers, "whole": lambda: fakes.numbers().parser},
        "rft_rewards": {"near": near, "flat": lambda: nearness},
        "rft_datasets": {"digits": lambda: fakes.numbers().dataset},
        "rft_suites": {"sights": lambda samples=4: print},
    }
    world("extra", fakes.plugin(**offers))


@pytest.mark.parametrize(
    ("arguments", "facts"),
    [
        (["near"], ["Part of the credit", "most: int  (must be given)", "reach: int = 3"]),
        (["flat"], ["Fall evenly.", "returns: in [0, 1], no unit.", "no options"]),
        (["digits"], ["dataset digits", "ood-big: 5 samples"]),
        (["whole"], ["An integer, in digits: 5"]),
        (["sights"], ["suite_options.NAME=VALUE", "samples: any = 4"]),
        (["extra:near"], ["reward near", "from extra 1.0, license unknown", "test_cli.py, line"]),
        (["twice", "--kind", "task"], ["task twice: Say a number.", "An integer, in digits"]),
    ],
)
def test_info_describes_a_component(arguments, facts, components):
    shown = rft("plugins", "info", *arguments).output

    assert [fact for fact in facts if fact not in shown] == []


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("twice", "of a task and of a parser: choose one with --kind"),
        ("extra:nera", "Did you mean 'near'"),
        ("nera", "no reward named 'nera'"),
        ("perception", "pip install ./plugins/rft-nano"),
        ("zzzzz", "no component is named 'zzzzz'"),
        ("zzzzz", "no module named 'cubes'"),
        ("rft-counting:cubes", "no module named 'cubes'"),
    ],
)
def test_info_on_an_unknown_name_suggests_the_closest(name, expected, components):
    done = rft("plugins", "info", name)

    assert done.exit_code == 2
    assert expected in done.stderr


def test_info_and_show_print_the_same_for_a_task():
    assert rft("plugins", "info", "numbers").output == rft("tasks", "show", "numbers").output


@pytest.mark.parametrize(
    ("made", "name", "meaning"),
    [
        (rewards.iou(0.5), "iou", "The overlap of boxes with the gold ones"),
        (steep(2), "steep.reward", "Fall steeply."),
        (partial(nearness), "nearness", "Fall evenly."),
    ],
)
def test_a_reward_that_a_function_made_is_shown_by_the_name_of_that_function(
    made, name, meaning, world, fakes
):
    def task():
        terms = {"accuracy": Term(rewards.exact), "other": Term(made)}
        return replace(fakes.numbers(), rewards=terms)

    world("extra", fakes.tasks(other=task))
    shown = rft("tasks", "show", "other").output

    assert f"  other: {name}, weight 1\n    {meaning}" in shown


def test_a_reward_in_the_factory_of_a_task_does_not_have_its_summary(world, fakes):
    world("extra", fakes.tasks(other=partial(lenient, fakes.numbers)))
    facts = json.loads(rft("plugins", "info", "other", "--json").output)
    [reward] = facts["details"]["rewards"].values()

    assert (reward["reward"], reward["meaning"]) == ("lenient.<lambda>", "")


def test_info_prints_json():
    facts = json.loads(rft("plugins", "info", "numbers", "--json").output)

    assert facts["options"][0] == {"name": "low", "type": "int", "default": "0"}
    assert facts["details"]["rewards"]["format"]["weight"] == 0.5
    assert facts["details"]["splits"]["ood-big"] == 5
    assert Path(facts["file"]).name == "conftest.py"


@pytest.mark.parametrize("count", [1, 4])
def test_preview_writes_an_image(count):
    done = rft("tasks", "preview", "numbers", "--count", count, "--out", "grid.png")

    assert done.exit_code == 0, done.stderr
    with Image.open("grid.png") as grid:
        assert grid.width > 400
        assert len(set(grid.convert("L").tobytes())) > 50  # letters, not blank paper


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--out", "x.png", "--split", "tset"], "Did you mean 'test'"),
        (["--out", "x.jpeg"], "its name must end in .png"),
        (["--out", "nowhere/x.png"], "nowhere/x.png"),
    ],
)
def test_an_error_names_what_preview_cannot_draw(arguments, expected):
    done = rft("tasks", "preview", "numbers", *arguments)

    assert done.exit_code == 2
    assert expected in done.stderr


def rows_of_a_file(*sizes):
    """A file of one row with images of these sizes."""
    names = [f"{at}.png" for at in range(len(sizes))]
    for name, size in zip(names, sizes, strict=True):
        Image.new("RGB", size, "red").save(name)
    row = {"question": "How many?", "answer": 3, "images": names, "split": "rl"}
    Path("own.jsonl").write_text(json.dumps(row) + "\n")
    return ("--set", "dataset.path=own.jsonl")


@pytest.mark.parametrize("sizes", [[(20, 30)], [(900, 1)], [(1, 3000)], [(9, 9)] * 40])
def test_preview_draws_a_dataset_put_in_place_of_the_tasks_own(sizes):
    done = rft("tasks", "preview", "numbers", *rows_of_a_file(*sizes), *("--split", "rl"), *OUT)

    assert (done.exit_code, done.output) == (0, "grid.png: 1 samples of rl\n")
    with Image.open("grid.png") as grid:
        assert grid.height < 1500
        assert any(color == (255, 0, 0) for _, color in grid.getcolors(1 << 20))


OUT = ("--out", "grid.png")


def test_show_describes_the_task_with_what_is_set():
    own = rft("tasks", "show", "numbers", *rows_of_a_file((9, 9)), "--set", "task_options.high=3")

    assert own.exit_code == 0, own.stderr
    assert "Integer(low=0, high=3" in own.output
    assert "ood-big" not in own.output
    assert rft("tasks", "show", "numbers").output != own.output


@pytest.mark.parametrize("command", [("show",), ("preview", *OUT)])
@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("task_options.hihg=3", "Did you mean 'high'"),
        ("dataset.path=nowhere.jsonl", "there is no such file or folder"),
        ("sft.batch_size=3", "--set sft.batch_size: not a setting of the task"),
        ("high", "write key=value"),
    ],
)
def test_a_setting_that_a_task_does_not_have_is_an_error(command, setting, expected):
    name, *options = command
    done = rft("tasks", name, "numbers", *options, "--set", setting)

    assert done.exit_code == 2
    assert expected in done.stderr


@pytest.fixture
def measured(monkeypatch):
    """Stands in for the measurement; remembers what was measured."""
    seen = []

    def measure(plan, prompt, parser, *_, **__):
        seen.append(
            types.SimpleNamespace(
                source=plan.model, recipe=plan.recipe, splits=plan.splits, parser=parser
            )
        )
        answer = ScoredCompletion(id="a", question="?", gold="5", completion="5, or fünf")
        score = SplitScore("", prompt, 4, 0.5, 0.2, 0.8, 0.0, 0.0, 9.0)
        return Found(
            [(replace(score, split=at), [replace(answer, split=at)]) for at in plan.splits]
        )

    monkeypatch.setattr("rftcore.pipeline.measure_splits.score_splits", measure)
    return seen


def test_eval_measures_a_model_on_the_given_splits(measured):
    done = rft("eval", "nano", "--task", "numbers", "--split", "val", "--json", "val.json")

    assert done.exit_code == 0, done.stderr
    row = next(line for line in done.output.splitlines() if "50.0 [20.0, 80.0]" in line)
    assert row.split()[0] == "nano"  # the given name; the report has its folder
    assert measured[0].splits == ("val",)
    assert json.loads(Path("val.json").read_text())["model"].endswith("nano-folder")
    assert json.loads(Path("val.json").read_text())["scores"][0]["accuracy"] == 0.5


def test_eval_parses_as_in_training_unless_forgiving(measured):
    for given in ((), ("--parser", "forgiving")):
        assert rft("eval", "nano", "--task", "numbers", "--split", "val", *given).exit_code == 0

    assert [one.parser for one in measured] == ["strict", "forgiving"]
    assert rft("eval", "nano", "--suite", "s", "--parser", "forgiving").exit_code == 2


def test_eval_writes_answers_that_score_reads(measured):
    splits = ("--split", "val", "--split", "test")
    rft("eval", "nano", "--task", "numbers", *splits, "--answers", "answers.jsonl")
    rows = [json.loads(line) for line in Path("answers.jsonl").read_text("utf-8").splitlines()]

    assert [(row["split"], row["completion"]) for row in rows] == [
        ("val", "5, or fünf"),
        ("test", "5, or fünf"),
    ]
    assert rft("score", "numbers", "answers.jsonl").exit_code == 0


def test_json_for_a_terminal_that_cannot_encode_it_stays_json(measured, monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    monkeypatch.setattr("sys.stdout", stream)
    Path("rows.jsonl").write_text('{"completion": "fünf 😀", "gold": "5"}', encoding="utf-8")
    with pytest.raises(SystemExit):
        cli.main(["score", "numbers", "rows.jsonl", "--json"])
    stream.flush()

    [row] = json.loads(stream.buffer.getvalue().decode("latin-1"))["rows"]
    assert row["completion"] == "fünf 😀"


COMPARISON = "Runs in comparison/runs: a-s0."
TAKES_A_RUN = {
    "eval": ["eval", "comparison"],
    "eval, suite": ["eval", "comparison", "--suite", "perception"],
    "replay": ["replay", "comparison"],
    "push": ["push", "comparison", "me/mine"],
    "compare": ["compare", "comparison"],
    "compare, stage": ["compare", "comparison@sft"],
    "resume": ["train", "--resume", "comparison"],
    "fork": ["train", "--fork", "comparison"],
    "score": ["score", "numbers", "comparison"],
}


@pytest.mark.parametrize("command", TAKES_A_RUN.values(), ids=TAKES_A_RUN)
def test_a_comparison_in_place_of_a_run_names_its_runs(command):
    Path("comparison/runs/a-s0").mkdir(parents=True)
    Path("comparison/runs/a-s0/manifest.json").write_text("{}")
    done = rft(*command)

    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.endswith(f"{COMPARISON}\n")


@pytest.mark.parametrize(
    ("phases", "policy"),
    [([], "nano-folder"), (["sft"], "sft/model"), (["sft", "grpo"], "grpo/model")],
)
def test_eval_of_a_run_measures_its_newest_policy(phases, policy, training, measured):
    training.after = phases
    rft("train", "--task", "numbers", "--seed", "5", "--out", "out")
    for phase in phases:
        Path("out", phase, "model").mkdir(parents=True)
        Path("out", phase, "model", "config.json").touch()
    done = rft("eval", "out")

    assert done.exit_code == 0, done.stderr
    assert str(measured[0].source).endswith(policy)
    assert measured[0].recipe.seed == 5


def test_eval_of_a_run_on_another_task_leaves_the_first_tasks_settings_behind(training, measured):
    rft("train", "--task", "numbers", "--set", "task_options.high=5", "--out", "out")
    rft("eval", "out", "--task", "good:numbers")

    assert measured[0].recipe.task_options == {}


def test_eval_of_a_run_on_another_task_takes_the_runs_model_and_not_its_splits(
    training, measured, stories
):
    stories(evaluation={"batch_size": 9})
    own = ("splits=[test]", "samples={ood-big: 3}", "max_new_tokens=16", "batch_size=7")
    settings = [word for each in own for word in ("--set", f"evaluation.{each}")]
    rft("train", "--task", "numbers", "--model", "toy", *settings, "--out", "out")
    done = rft("eval", "out", "--task", "stories")

    assert done.exit_code == 0, done.stderr
    assert measured[0].splits == ("val", "test", "ood-big")
    assert measured[0].recipe.model == "toy"
    evaluation = measured[0].recipe.evaluation
    assert (evaluation.samples, evaluation.max_new_tokens, evaluation.batch_size) == ({}, 512, 9)


def test_eval_ends_with_the_failures_and_their_file(measured, monkeypatch):
    failure = {"reward": "r", "note": "KeyError: 'x'", "sample": "3", "origin": "", "split": "val"}
    found = Found(
        [(SplitScore("val", "reason", 0, None, None, None, 0.0, 0.0, 9.0), [])], [failure]
    )
    monkeypatch.setattr("rftcore.pipeline.measure_splits.score_splits", lambda *_, **__: found)
    done = rft("eval", "nano", "--task", "numbers", "--json", "val.json")

    line = "1 reward call failed: val.json; first: reward 'r' on val sample 3: KeyError: 'x'"
    assert done.output.splitlines()[-1] == f"note: {line}"
    assert json.loads(Path("val.json").read_text())["failures"] == [failure]


@pytest.mark.parametrize(
    ("more", "changed"),
    [
        ((), True),
        (("--set", "evaluation.samples.val=3"), False),
        (("--task", "good:numbers"), False),
    ],
)
def test_eval_of_a_run_whose_data_changed_is_not_compared(more, changed, training, monkeypatch):
    rft("train", "--task", "numbers", "--out", "out")
    manifest = json.loads(Path("out/manifest.json").read_text())
    data = {"val": "as it was", "test": "as it is"}
    Path("out/manifest.json").write_text(json.dumps({**manifest, "data": data}))
    found = Found([], data={"val": "as it is", "test": "as it is", "ood-big": "new"})
    monkeypatch.setattr("rftcore.pipeline.measure_splits.score_splits", lambda *_, **__: found)
    done = rft("eval", "out", *more)

    note = "note: the data of val is not what the run began with"
    assert (note in done.output) == changed, done.output


@pytest.mark.parametrize(
    ("error", "code"), [(RewardError("bad row"), 2), (KeyboardInterrupt(), 130)]
)
def test_an_evaluation_that_stops_reports_what_it_has_measured(error, code, monkeypatch):
    def evaluate_split(policy, task, split, **options):
        if split == "test":
            raise error
        return SplitScore(split, "reason", 4, 0.5, 0.2, 0.8, 0.0, 0.0, 9.0), []

    monkeypatch.setattr("rftcore.evaluation.splits.evaluate_split", evaluate_split)
    monkeypatch.setattr("rftcore.models.loading.load_model", lambda *_, **__: None)
    done = rft("eval", "nano", "--task", "numbers", "--json", "all.json")

    assert done.exit_code == code
    assert "50.0 [20.0, 80.0]" in done.stdout
    assert "not measured, because the evaluation stopped: test, ood-big" in done.stdout
    assert [s["split"] for s in json.loads(Path("all.json").read_text())["scores"]] == ["val"]


def test_eval_names_the_prompt_and_the_parser(measured):
    done = rft("eval", "nano", "--task", "numbers", "--split", "val", "--prompt", "direct")

    assert "nano (direct prompt)  50.0" in done.output


def test_eval_without_a_split_to_measure_on_is_an_error(training, measured):
    rft("train", "--task", "numbers", "--set", "evaluation.splits=[]", "--out", "out")
    done = rft("eval", "out")

    assert (done.exit_code, measured) == (2, [])
    assert "no split to measure on: name one with --split. The task has sft, rl" in done.stderr


@pytest.mark.parametrize(("splits", "lines"), [("[tset]", 1), ("[tset, vall]", 3)])
def test_one_fault_is_one_line(splits, lines, training):
    done = rft("train", "--task", "numbers", "--set", f"evaluation.splits={splits}")

    assert len(done.stderr.splitlines()) == lines
    assert ("faults" in done.stderr) == (lines > 1)


@pytest.mark.parametrize(
    ("target", "task", "tokens"),
    [("nano", "stories", 99), ("out", "stories", 99), ("out", "numbers", 55)],
)
def test_eval_lets_answers_be_as_long_as_the_task_allows(
    target, task, tokens, training, measured, stories
):
    stories(evaluation={"max_new_tokens": 99})
    rft("train", "--task", "numbers", "--set", "evaluation.max_new_tokens=55", "--out", "out")
    done = rft("eval", target, "--task", task)

    assert done.exit_code == 0, done.stderr
    assert measured[0].recipe.evaluation.max_new_tokens == tokens


def test_eval_of_a_model_takes_what_the_model_asks_for(measured):
    Path("nano-folder/rft.yaml").write_text("evaluation:\n  batch_size: 7\n")
    rft("eval", "nano", "--task", "numbers")
    rft("eval", "nano", "--task", "numbers", "--set", "evaluation.batch_size=3")

    assert [m.recipe.evaluation.batch_size for m in measured] == [7, 3]


def test_eval_of_a_run_asks_as_the_run_did(training, measured, stories):
    stories(evaluation={"max_new_tokens": 99})
    rft("train", "--task", "stories", "--set", "evaluation.max_new_tokens=55", "--out", "out")
    rft("eval", "out")

    assert measured[0].recipe.evaluation.max_new_tokens == 55


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["nano"], "give --task"),
        (["nana", "--task", "numbers"], "Did you mean 'nano'"),
        (["nano", "--task", "numbers", "--split", "vall"], "Did you mean 'val'"),
        (["nano", "--task", "numbers", "--json", "no/val.json"], "there is no folder no"),
        (["nano", "--task", "numbers", "--json", "x", "--answers", "x"], "name two files"),
    ],
)
def test_wrong_arguments_of_eval_are_errors_before_a_model_loads(arguments, expected, measured):
    done = rft("eval", *arguments)

    assert done.exit_code == 2
    assert expected in done.stderr
    assert not measured


def test_a_misspelled_trl_setting_is_an_error_before_a_model_loads(tmp_path):
    out = tmp_path / "o"
    words = ("train", "--task", "counting", "--set", "sft.lerning_rate=1", "--out", out)
    code, _, errors = Command(*words).end()

    assert code == 2
    assert "Did you mean 'learning_rate'" in errors
    assert "Traceback" not in errors
    assert not (tmp_path / "o").exists()


def test_text_that_the_terminal_cannot_encode_is_printed_escaped(world, fakes):
    task = replace(fakes.numbers(), prompt=lambda sample: Prompt("half \ud83d of a pair"))
    world("odd", fakes.tasks(odd=lambda: task))
    done = rft("tasks", "show", "odd")

    assert done.exit_code == 0
    assert r"half \ud83d of a pair" in done.output


@pytest.mark.parametrize("more", [[], ["--json"]])
def test_score_prints_any_text(more, world, fakes):
    task = replace(fakes.numbers(), parser=parsers.Text())
    world("odd", fakes.tasks(odd=lambda: task))
    row = {"completion": "<think>x</think><answer>\ud83d</answer>", "gold": "5"}
    Path("rows.jsonl").write_text(json.dumps(row) + "\n")
    done = rft("score", "odd", "rows.jsonl", *more)

    assert done.exit_code == 0
    assert r"\ud83d" in done.output


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["--task=nubmers"], "no task named 'nubmers' (--task)"),
        (["--set=task=nubmers"], "no task named 'nubmers' (--set task)"),
        (["--recipe=r.yaml"], "no task named 'nubmers' (r.yaml line 2)"),
        (["--task=./no.py:make"], "task './no.py:make' (--task): there is no file"),
        (["--task=numbers", "--model=nanu"], "no model named 'nanu' (--model)"),
        (["--task=numbers", "--set=model=./no"], "model './no' (--set model): there is no"),
    ],
)
def test_an_unknown_name_is_reported_with_where_it_was_given(words, found):
    Path("r.yaml").write_text("seed: 1\ntask: nubmers\n")
    result = rft("train", *words)

    assert result.exit_code == 2
    assert result.stderr.startswith(f"error: {found}")


def test_a_folder_that_is_no_model_is_reported_with_where_it_was_given():
    result = rft("train", "--task=numbers", "--smoke", "--set=model=nano-folder")

    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1].startswith("error: --set model: model folder ")
