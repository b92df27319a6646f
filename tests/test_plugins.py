"""The loader keeps a broken plugin from hurting others; the catalogue settles no clash silently."""

import types
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import pluggy
import pytest

from rftcore import rewards
from rftcore.config import load_recipe
from rftcore.errors import DataError, Fault, PluginError, RecipeError, RftError, UnknownNameError
from rftcore.hookspecs import hookimpl
from rftcore.parsers import Integer
from rftcore.plugins import Catalogue
from rftcore.types import Task, Term


def misspelt():
    @hookimpl
    def rft_taks():
        return {}

    return types.SimpleNamespace(rft_taks=rft_taks)


def unmarked():
    def rft_tasks():
        return {}

    return types.SimpleNamespace(rft_tasks=rft_tasks)


def wrong_signature():
    @hookimpl
    def rft_models():
        return {}

    @hookimpl
    def rft_phase_start(phase, colour):
        return None

    return types.SimpleNamespace(rft_models=rft_models, rft_phase_start=rft_phase_start)


def observing(function):
    return types.SimpleNamespace(rft_phase_end=hookimpl(function))


def wrapper():
    @hookimpl(wrapper=True)
    def rft_tasks():
        return (yield)

    return types.SimpleNamespace(rft_tasks=rft_tasks)


class Panic(BaseException):
    """What a crash in an extension module looks like."""


class UnshowableError(Exception):
    def __str__(self):
        raise KeyError


BROKEN = {
    "unshowable": (UnshowableError(), "UnshowableError"),
    "import": (ImportError("no module named 'cubes'"), "ImportError: no module named 'cubes'"),
    "exit": (SystemExit(3), "SystemExit: 3"),
    "panic": (Panic("core"), "Panic: core"),
    "misspelt": (misspelt(), "Did you mean 'rft_tasks'"),
    "unmarked": (unmarked(), "rft_tasks is not marked"),
    "half": (wrong_signature(), "colour"),
    "wrapper": (wrapper(), "wrapper"),
    "argument": (
        observing(lambda phse: None),
        "has an argument 'phse', which the hook does not pass. Did you mean 'phase'? It passes "
        "phase, metrics",
    ),
    "keyword argument": (observing(lambda *, phse: None), "'phse'"),
    "argument after a star": (observing(lambda phase, *, metrics: None), "'metrics' after a *"),
    "default": (observing(lambda phase, metrics=None: None), "'metrics' a default"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_plugin_is_listed_with_its_reason_and_leaves_the_others(name, fakes):
    broken, reason = BROKEN[name]
    catalogue = fakes.load({"bad": broken, "good": fakes.tasks(numbers=fakes.numbers)})

    assert catalogue.task("numbers").name == "numbers"
    [row] = [row for row in catalogue.rows() if row.distribution == "bad"]
    assert row.state == "broken"
    assert reason in row.reason


def test_a_wrong_argument_of_a_hook_is_reported_with_the_plugins_own_line(fakes):
    [failure] = fakes.load({"bad": wrong_signature()}).failures

    assert f"rft_phase_start ({__file__} line " in failure.reason
    assert failure.reason.endswith("which the hook does not pass. It passes phase")


@pytest.mark.parametrize("name", BROKEN)
def test_the_error_for_a_component_of_a_broken_plugin_has_the_reason(name, fakes):
    broken, reason = BROKEN[name]
    catalogue = fakes.load({"bad": broken})

    with pytest.raises(PluginError, match=r"bad 1\.0") as caught:
        catalogue.task("bad:cubes")
    assert reason in str(caught.value)


def test_a_command_that_is_none_is_a_failure_of_its_plugin(fakes):
    catalogue = fakes.load({"bad": fakes.plugin(rft_commands=[5])})

    assert catalogue.commands() == {}
    assert "returned 5, which is not a click.Command" in catalogue.failures[0].reason


def test_a_part_that_a_task_names_and_nobody_offers_is_reported_with_the_task(fakes):
    named = replace(fakes.numbers(), parser="no-such")
    catalogue = fakes.load({"bad": fakes.tasks(numbers=lambda: named)})

    with pytest.raises(UnknownNameError, match=r"no-such' \(of task 'numbers' of bad 1\.0\)"):
        catalogue.task("numbers")


def test_a_plugin_with_one_bad_hook_offers_nothing(fakes):
    catalogue = fakes.load({"half": wrong_signature()})
    catalogue.hooks.rft_phase_start(phase="sft")

    assert catalogue.offers("model") == []


def test_a_half_registered_plugin_is_taken_back(fakes, monkeypatch):
    register = pluggy.PluginManager.register

    def half(manager, plugin, name):
        register(manager, plugin, name)
        if name.startswith("half"):
            raise ValueError("in the middle")

    monkeypatch.setattr(pluggy.PluginManager, "register", half)
    catalogue = fakes.load({"half": fakes.tasks(numbers=fakes.numbers)})

    assert catalogue.offers("task") == []
    assert "in the middle" in catalogue.failures[0].reason


def test_an_interrupt_during_discovery_is_not_swallowed(fakes):
    with pytest.raises(KeyboardInterrupt):
        fakes.load({"slow": KeyboardInterrupt()})


def test_a_broken_first_party_plugin_does_not_give_its_name_to_another(fakes):
    stranger = fakes.tasks(counting=fakes.numbers)
    catalogue = fakes.load({"rft-counting": ImportError("gone"), "stranger": stranger})

    with pytest.raises(PluginError, match=r"rft-counting 1\.0.*gone"):
        catalogue.task("counting")


def test_a_third_party_cannot_take_a_name_whose_owner_is_not_installed(fakes):
    catalogue = fakes.load({"stranger": fakes.tasks(counting=fakes.numbers)})

    with pytest.raises(UnknownNameError, match=r"pip install \./plugins/rft-counting"):
        catalogue.task("counting")
    assert catalogue.task("stranger:counting").name == "numbers"


@pytest.mark.parametrize("name", ["exact", "tags", "integer"])
@pytest.mark.parametrize("stranger_first", [True, False])
def test_a_third_party_cannot_take_a_first_party_name(name, stranger_first, fakes):
    kind = "parser" if name == "integer" else "reward"
    stranger = fakes.plugin(**{f"rft_{kind}s": {name: lambda: print}})
    catalogue = fakes.load({"stranger": stranger})

    assert catalogue.find(kind, name).plugin.distribution == "rftcore"
    assert catalogue.find(kind, f"stranger:{name}").plugin.distribution == "stranger"
    states = {r.distribution: r.state for r in catalogue.rows() if r.name == name}
    assert states == {"rftcore": "ok", "stranger": "qualified"}


@pytest.mark.parametrize("order", list(permutations(["one", "two", "three"])))
def test_a_clash_is_an_error_that_lists_the_qualified_names_in_any_order(order, fakes):
    catalogue = fakes.load({name: fakes.tasks(cubes=fakes.numbers) for name in order})

    with pytest.raises(UnknownNameError, match="one:cubes, three:cubes, two:cubes"):
        catalogue.task("cubes")
    assert all(catalogue.task(f"{name}:cubes").name == "numbers" for name in order)


def test_a_distribution_that_sys_path_lists_twice_counts_once(fakes):
    first, second = fakes.tasks(cubes=fakes.numbers), fakes.tasks(cubes=fakes.numbers)
    points = [fakes.point("red_cubes", first, "2.0"), fakes.point("Red-Cubes", second, "1.0")]
    points[1] = type(points[1])(points[0].name, points[1].dist, second)
    catalogue = Catalogue.load(points)

    assert [str(o.plugin) for o in catalogue.offers("task")] == ["red-cubes 2.0"]


def test_one_module_behind_two_distributions_is_offered_once(fakes):
    module = fakes.tasks(cubes=fakes.numbers)
    catalogue = fakes.load({"old-name": module, "new-name": module})

    assert len(catalogue.offers("task")) == 1
    assert [failure.plugin.distribution for failure in catalogue.failures] == ["new-name"]


@pytest.mark.parametrize(
    ("setting", "offered"),
    [("one", ["a"]), ("two-point", ["b"]), ("one, TWO", ["a", "b"]), ("", [])],
)
def test_rft_plugins_loads_only_what_it_names(setting, offered, fakes, monkeypatch):
    monkeypatch.setenv("RFT_PLUGINS", setting)
    catalogue = fakes.load(
        {"one": fakes.tasks(a=fakes.numbers), "two": fakes.tasks(b=fakes.numbers)}
    )

    assert [offer.name for offer in catalogue.offers("task")] == offered
    assert catalogue.offers("parser")  # the core's own always load


def test_rft_plugins_with_a_missing_distribution_is_an_error(fakes, monkeypatch):
    monkeypatch.setenv("RFT_PLUGINS", "red-cube")

    with pytest.raises(PluginError, match="Did you mean 'red-cubes'"):
        fakes.load({"red-cubes": fakes.tasks()})


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("number", "Did you mean 'numbers'"),
        ("structur", "pip install ./plugins/rft-structure"),
        ("zzz", "Offered: numbers"),
        ("good:number", "Did you mean 'numbers'"),
    ],
)
def test_an_unknown_name_gets_suggestions_and_the_offered_names(name, expected, fakes):
    catalogue = fakes.load({"good": fakes.tasks(numbers=fakes.numbers)})

    with pytest.raises(UnknownNameError) as caught:
        catalogue.task(name)
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    ("offered", "expected"),
    [
        ([("cubes", print)], "not a mapping"),
        (None, "not a mapping"),
        ({"a:b": print}, "not a name"),
        ({3: print}, "not a name"),
    ],
)
def test_a_hook_that_offers_no_mapping_of_names_is_broken(offered, expected, fakes):
    catalogue = fakes.load({"bad": fakes.plugin(rft_tasks=offered)})

    [row] = [row for row in catalogue.rows() if row.distribution == "bad"]
    assert row.kind == "task"
    assert expected in row.reason


def raising():
    raise ValueError("no cubes today")


def leaving():
    raise SystemExit(1)


@pytest.mark.parametrize(
    ("factory", "expected"),
    [
        (raising, "ValueError: no cubes today"),
        (leaving, "SystemExit: 1"),
        (lambda: 3, "returned 3"),
        ("text", "must be callable"),
    ],
)
def test_a_factory_that_fails_names_the_component_and_its_distribution(factory, expected, fakes):
    catalogue = fakes.load({"bad": fakes.tasks(cubes=factory)})

    with pytest.raises(PluginError, match=r"task 'cubes' of bad 1\.0") as caught:
        catalogue.task("cubes")
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"rewards": {"accuracy": print}}, "write rftcore.Term"),
        ({"rewards": {"accuracy": Term(3)}}, "its reward is 3"),
        ({"rewards": {"accuracy": Term(rewards.quantity)}}, "is none: write quantity()"),
        ({"rewards": {"accuracy": Term(lambda x, y: 1.0)}}, "missing a required argument: 'y'"),
        ({"rewards": {"accuracy": Term(lambda x: x.correct or 0.0)}}, 'reward(uses=["correct"])'),
        ({"groups": "color"}, "write a list of keys of meta, ('color',)"),
        ({"rewards": {}}, "is not one of its rewards"),
        ({"accuracy": "acc"}, "accuracy='acc' is not one of its rewards (accuracy, format)"),
        ({"parser": int}, "which is not a parser"),
        ({"parser": Integer}, "which is not a parser"),
        ({"dataset": [1, 2]}, "which is not a dataset"),
        ({"prompt": "How many?"}, "it must be callable"),
        ({"defaults": {"model": "nano"}}, "set 'model', but a task can set only sft, grpo, eval"),
        ({"defaults": {"gpro": {}}}, "Did you mean 'grpo'"),
        ({"defaults": {"grpo": 8}}, "set grpo = 8: write a mapping"),
        ({"defaults": ["grpo"]}, "its defaults are ['grpo']: write a mapping"),
    ],
)
def test_the_error_for_a_task_names_the_wrong_part(change, expected, fakes):
    catalogue = fakes.load({"bad": fakes.tasks(cubes=lambda: replace(fakes.numbers(), **change))})

    with pytest.raises(PluginError) as caught:
        catalogue.task("cubes")
    assert str(caught.value).startswith("task 'cubes' of bad 1.0: ")
    assert expected in str(caught.value)


def test_a_default_that_is_a_relative_path_holds_from_any_folder(fakes, tmp_path, monkeypatch):
    def cubes(data: str = "my data/a.csv", between: str = "./", name: str = "data") -> Task:
        return fakes.numbers()

    (tmp_path / "my data").mkdir()
    (tmp_path / "my data" / "a.csv").touch()
    monkeypatch.chdir(tmp_path)
    catalogue = fakes.load({"own": fakes.tasks(cubes=cubes)})

    recipe = catalogue.located(load_recipe(("t", {"task": "cubes"})))
    assert recipe.task_options == {"data": str(tmp_path / "my data" / "a.csv")}


def test_an_rft_error_of_a_factory_passes_unchanged(fakes):
    def cubes():
        raise DataError("cubes.jsonl: no such file")

    with pytest.raises(DataError, match=r"^cubes\.jsonl: no such file$"):
        fakes.load({"good": fakes.tasks(cubes=cubes)}).task("cubes")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"lo": 3}, "Did you mean 'low'"),
        ({"low": "3"}, "must be a whole number"),
        ({"low": True}, "must be a whole number"),
        ({"low": 1.5}, "must be a whole number"),
        ({"low": None}, "must be a whole number"),
    ],
)
def test_an_option_is_checked_against_the_factory(options, expected, fakes):
    catalogue = fakes.load({"good": fakes.tasks(numbers=fakes.numbers)})

    with pytest.raises(RecipeError, match=r"task_options\.lo") as caught:
        catalogue.task("numbers", options)
    assert expected in str(caught.value)


def test_options_arrive_as_the_types_that_the_factory_declares(fakes):
    seen = {}

    def cubes(size: tuple[int, int] = (1, 1), folder: Path | None = None) -> Task:
        seen.update(size=size, folder=folder)
        return fakes.numbers()

    catalogue = fakes.load({"good": fakes.tasks(cubes=cubes)})
    catalogue.task("cubes", {"size": [2, 3], "folder": "x"})

    assert seen == {"size": (2, 3), "folder": Path("x")}


def test_an_annotation_that_only_a_type_checker_can_read_is_no_obstacle(fakes):
    def cubes(colour: "Colour" = "red") -> Task:  # noqa: F821
        return fakes.numbers()

    assert fakes.load({"good": fakes.tasks(cubes=cubes)}).task("cubes", {"colour": "blue"})


def test_a_missing_option_without_default_is_an_error(fakes):
    def cubes(path: str) -> Task:
        return fakes.numbers()

    with pytest.raises(
        RecipeError, match=r"task_options\.path: not set; task 'cubes' of good 1\.0 needs"
    ):
        fakes.load({"good": fakes.tasks(cubes=cubes)}).task("cubes")


def resolved(fakes, *settings):
    catalogue = fakes.load({"good": fakes.tasks(numbers=fakes.numbers)})
    return catalogue.task_of(load_recipe(("t", {"task": "numbers"}), overrides=settings))


def test_names_in_a_task_become_objects(fakes):
    from rftcore import rewards

    assert resolved(fakes).rewards["format"].reward is rewards.tags


def test_a_recipe_swaps_weighs_and_adds_rewards(fakes):
    from rftcore import rewards

    task = resolved(
        fakes,
        "rewards.accuracy.use=tags",
        "rewards.format.weight=0.25",
        "rewards.near.use=tolerance",
        "rewards.near.options.full_within=0.1",
    )

    assert task.rewards["accuracy"].reward is rewards.tags
    assert task.rewards["format"].weight == 0.25
    assert list(task.rewards) == ["accuracy", "format", "near"]


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("rewards.acuracy.weight=1", "Did you mean 'accuracy'"),
        ("rewards.format.options.x=1", "no such setting; there are no options"),
        ("rewards.accuracy.options.x=1", "as an object"),
        ("rewards.accuracy.use=exat", "Did you mean 'exact'"),
        ("task_options.hihg=3", "Did you mean 'high'"),
        ("task_options.high=x", "--set task_options.high"),
        ("dataset.use=counting-scene", "no dataset named"),
        ("dataset.size=3", "set where the data is"),
    ],
)
def test_a_recipe_that_does_not_fit_the_task_is_an_error(setting, expected, fakes):
    with pytest.raises(RftError) as caught:
        resolved(fakes, setting)
    assert expected in str(caught.value)
    assert setting.partition("=")[0].removesuffix(".weight") in str(caught.value)


WRONG = (
    *("rewards.acuracy.weight=1", "rewards.format.options.x=1", "rewards.accuracy.options.x=1"),
    *("task_options.hihg=3", "task_options.high=x", "task_options.high=-1", "dataset.path=nowhere"),
)


@pytest.mark.parametrize("setting", WRONG)
def test_every_fault_has_its_setting_and_origin(setting, fakes):
    def numbers(high: int = 9) -> Task:
        if high < 1:
            raise RecipeError(Fault("high", "use 1 or more", high))
        return fakes.numbers(high=high)

    catalogue = fakes.load({"good": fakes.tasks(numbers=numbers)})
    with pytest.raises(RecipeError) as caught:
        catalogue.task_of(load_recipe(("t", {"task": "numbers"}), overrides=[setting]))

    [fault] = caught.value.faults
    assert setting.startswith(fault.setting)
    assert fault.origin.startswith(f"--set {fault.setting}")


def test_a_rule_over_two_options_has_the_origin_of_the_one_that_was_set(fakes):
    def numbers(low: int = 3, high: int = 9) -> Task:
        raise RecipeError(Fault("low", f"use low <= high, and high is {high}", low))

    catalogue = fakes.load({"good": fakes.tasks(numbers=numbers)})
    with pytest.raises(RecipeError) as caught:
        catalogue.task_of(
            load_recipe(("t", {"task": "numbers"}), overrides=["task_options.high=1"])
        )

    told = "task_options.low = 3 (default): use low <= high, and high is 1"
    assert str(caught.value) == f"{told} (high: --set task_options.high)"


def test_a_missing_name_has_its_kind_origin_and_suggestions(fakes):
    with pytest.raises(UnknownNameError) as caught:
        resolved(fakes, "rewards.accuracy.use=exat")

    error = caught.value
    assert (error.kind, error.name) == ("reward", "exat")
    assert error.suggestions[0] == "exact"
    assert "exact" in error.offered
    assert error.origin == "rewards.accuracy.use, --set rewards.accuracy.use"


def test_a_plugin_error_has_its_distribution(fakes):
    with pytest.raises(PluginError) as caught:
        fakes.load({"bad": fakes.tasks(cubes=raising)}).task("cubes")

    assert caught.value.plugin == "bad"


def test_a_task_in_a_file_needs_no_plugin(tmp_path, fakes):
    file = tmp_path / "mine.py"
    file.write_text("from rftcore import Task\ndef cubes(): raise ValueError('reached')\n")
    catalogue = fakes.load({})

    with pytest.raises(PluginError, match=r"task 'cubes' of \S+mine\.py failed: Value.* reached"):
        catalogue.task(f"{file}:cubes")
    with pytest.raises(UnknownNameError, match="Did you mean 'cubes'"):
        catalogue.task(f"{file}:cube")


@pytest.mark.parametrize("text", ["def cubes(:", "import nothing_of_the_kind", "raise SystemExit"])
def test_a_task_file_that_does_not_load_is_an_error_that_names_it(text, tmp_path, fakes):
    file = tmp_path / "mine.py"
    file.write_text(text)

    with pytest.raises(PluginError, match=r"mine\.py"):
        fakes.load({}).task(f"{file}:cubes")


def test_a_model_is_an_offered_name_a_folder_or_a_hub_name(tmp_path, fakes, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny").mkdir()  # a folder of that name does not hide an offered model
    (tmp_path / "weights").mkdir()
    catalogue = fakes.load({"zoo": fakes.plugin(rft_models={"tiny": lambda: tmp_path})})

    assert catalogue.model("tiny") == tmp_path
    assert catalogue.model("weights") == Path("weights")
    assert catalogue.model("Qwen/Qwen2-VL-2B-Instruct") == "Qwen/Qwen2-VL-2B-Instruct"
    for wrong in ("tyni", "./nowhere", "a/b/c"):
        with pytest.raises(UnknownNameError):
            catalogue.model(wrong)


def test_an_observing_hook_that_fails_names_plugin_and_hook(fakes):
    @hookimpl
    def rft_phase_end(phase):
        raise ZeroDivisionError(phase)

    catalogue = fakes.load({"watcher": types.SimpleNamespace(rft_phase_end=rft_phase_end)})

    with pytest.raises(PluginError, match=r"hook rft_phase_end of watcher 1\.0.*ZeroDivisionError"):
        catalogue.hooks.rft_phase_end(phase="sft", metrics={})


def test_every_observer_is_called_with_what_it_asks_for(fakes):
    heard = []

    @hookimpl
    def rft_phase_end(phase):
        heard.append(phase)

    @hookimpl(specname="rft_phase_end")
    def later(metrics):
        heard.append(metrics)

    one, two = (
        types.SimpleNamespace(rft_phase_end=rft_phase_end),
        types.SimpleNamespace(later=later),
    )
    fakes.load({"one": one, "two": two}).hooks.rft_phase_end(phase="sft", metrics={"a": 1.0})

    assert sorted(map(str, heard)) == ["sft", "{'a': 1.0}"]


def test_a_plugin_that_only_observes_is_listed(fakes):
    @hookimpl
    def rft_run_end(run_dir):
        return None

    rows = fakes.load({"watcher": types.SimpleNamespace(rft_run_end=rft_run_end)}).rows()

    assert [(r.kind, r.state) for r in rows if r.distribution == "watcher"] == [("hooks", "ok")]


def test_what_is_installed_here_is_all_sound():
    assert [row for row in Catalogue.load().rows() if row.state != "ok"] == []
