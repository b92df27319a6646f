"""All faults of a recipe are reported at once, each with its setting, value and origin."""

import enum
import math
import pickle
import re
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field
from pydantic_core.core_schema import ErrorType

from rftcore.config import (
    check_settings,
    check_splits,
    differences,
    dump_recipe,
    evaluated_splits,
    load_recipe,
    parse_override,
    read_recipe_file,
    yaml12,
)
from rftcore.config.faults import typed
from rftcore.config.rules import RULES
from rftcore.errors import Fault, RecipeError, SampleError, UnknownNameError

BASE = ("base", {"task": "counting"})
SPLITS = ("sft", "rl", "val", "test", "ood-a", "ood-b")


def load(*overrides):
    return load_recipe(BASE, overrides=overrides)


def error_of(*overrides):
    with pytest.raises(RecipeError) as caught:
        load(*overrides)
    return str(caught.value)


def test_the_defaults_are_the_papers():
    recipe = load()

    assert (recipe.model, recipe.seed, recipe.grpo.group_size) == ("nano", 0, 8)
    assert recipe.sft.freeze == ["vision"]


def test_later_layers_win_and_mappings_merge():
    recipe = load_recipe(
        BASE,
        ("model", {"sft": {"samples": 8, "learning_rate": 1.0}}),
        ("file", {"sft": {"learning_rate": 2.0}, "seed": 1}),
        overrides=["sft.learning_rate=3.0", "evaluation.samples.ood-a=5"],
    )

    assert (recipe.sft.samples, recipe.sft.learning_rate, recipe.seed) == (8, 3.0, 1)
    assert recipe.evaluation.samples == {"ood-a": 5}


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("sed=1", "Did you mean 'seed'"),
        ("group_size=8", "Did you mean 'grpo.group_size'"),
        ("learning_rate=1", "under sft: or grpo:"),
        ("evaluation.batchsize=8", "Did you mean 'evaluation.batch_size'"),
        ("rewards.accuracy.wieght=1", "Did you mean 'rewards.accuracy.weight'"),
        ("seed=x", "seed = 'x' (--set seed): must be a whole number"),
        ("seed='1'", "must be a whole number"),
        ("seed=true", "must be a whole number"),
        ("seed=1.5", "must be a whole number"),
        ("seed=-1", "must be 0 or more"),
        ("seed.x=1", "must be a whole number"),
        ("sft.freeze=[eyes]", "'vision' or 'projector'"),
        ("sft.micro_batch=3", "must divide batch_size=16; try 2"),
        (f"sft.batch_size={10**18}", "must be 1000000 or less"),
        (f"sft.micro_batch={10**18 - 1}", "must be 1000000 or less"),
        (f"grpo.group_size={10**18}", "must be 1000000 or less"),
        ("grpo.group_size=1", "use 2 or more"),
        ("grpo.micro_batch=5", "must divide prompts_per_step=14 x group_size=8 = 112; try 4"),
        ("grpo.micro_batch=14", "multiple or a divisor of group_size=8"),
        ("rewards.format.weight=.nan", "finite number"),
        ("seed", "write key=value"),
        ("=1", "write key=value"),
        ("a..b=1", "write key=value"),
        ("seed=[1", "(--set seed line 1): not YAML"),
    ],
)
def test_a_wrong_setting_is_an_error_with_the_next_step(setting, expected):
    message = error_of(setting)

    assert expected in message
    assert "\n" not in message


@pytest.mark.parametrize(("before", "after"), [(4, {"a": 1}), ({"a": 1}, "x")])
def test_a_mapping_and_a_number_that_replace_each_other_leave_no_origin(before, after):
    with pytest.raises(RecipeError) as caught:
        load_recipe(
            BASE,
            ("file", {"grpo": {"group_size": before}}),
            ("later", {"grpo": {"group_size": after}}),
        )

    assert f"grpo.group_size = {after!r} (later): must be a whole number" in str(caught.value)


def test_all_faults_come_at_once_each_with_its_origin(tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text("task: counting\nsft:\n  batch_size: many\nevaluation:\n  splitz: []\n")

    with pytest.raises(RecipeError) as caught:
        load_recipe((str(file), read_recipe_file(file)), overrides=["seed=x"])
    message = str(caught.value)
    assert message.startswith("3 faults")
    for place in (f"({file} line 3)", f"({file} line 5)", "(--set seed)"):
        assert place in message


def test_a_mapping_in_the_place_of_a_value_is_reported_with_the_line_of_the_setting(tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text("task: counting\nseed:\n  a: 1\ngrpo:\n  group_size:\n    a: 1\n")

    with pytest.raises(RecipeError) as caught:
        load_recipe((str(file), read_recipe_file(file)))
    for place in (f"seed = {{'a': 1}} ({file} line 2)", f"({file} line 5)"):
        assert place in str(caught.value)


def test_the_error_for_a_recipe_without_task_shows_how_to_give_one():
    with pytest.raises(RecipeError, match="task: not set; give --task"):
        load_recipe()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("task: [", "line 1: not YAML"),
        ("task: a\n\tseed: 1", "line 2: not YAML"),
        ("- task", "a recipe is a mapping"),
        ("just words", "a recipe is a mapping"),
        ("sft:\n  samples: 1\n  samples: 2", "line 3): set twice"),
        ("task: !!python/name:os.system", "not YAML"),
    ],
)
def test_a_file_that_is_not_a_recipe_is_an_error_with_file_and_line(text, expected, tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text(text)

    with pytest.raises(RecipeError) as caught:
        read_recipe_file(file)
    assert expected in str(caught.value)
    assert str(file) in str(caught.value)


@pytest.mark.parametrize(
    "make", [lambda p: None, lambda p: p.mkdir(), lambda p: p.write_bytes(b"\xff")]
)
def test_a_recipe_that_cannot_be_read_is_an_error_of_one_line(make, tmp_path):
    make(tmp_path / "run.yaml")

    with pytest.raises(RecipeError, match=r"run\.yaml: [^\n]*$"):
        read_recipe_file(tmp_path / "run.yaml")


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "sft:\ngrpo:\n"])
def test_an_empty_file_or_section_means_the_defaults(text, tmp_path):
    (tmp_path / "run.yaml").write_text(text)
    recipe = load_recipe(BASE, ("file", read_recipe_file(tmp_path / "run.yaml")))

    assert differences(recipe, load()) == []


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("no", "no"),
        ("on", "on"),
        ("true", True),
        ("010", "010"),
        ("12:30:00", "12:30:00"),
        ("2026-01-31", "2026-01-31"),
        ("", None),
        ("null", None),
        ("[val, test]", ["val", "test"]),
        ("rft-red-cubes:near-int", "rft-red-cubes:near-int"),
        ("a=b", "a=b"),
    ],
)
def test_a_scalar_means_what_it_looks_like(text, value):
    assert parse_override(f"sft.x={text}") == ("--set sft.x", {"sft": {"x": value}})


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=50)
@given(free=st.dictionaries(st.sampled_from(["learning_rate", "a", "no"]), values))
def test_a_resolved_recipe_reads_back_unchanged(free, tmp_path_factory):
    recipe = load_recipe(BASE, ("free", {"sft": free, "task_options": free}))
    file = tmp_path_factory.mktemp("recipe") / "recipe.yaml"
    file.write_text(dump_recipe(recipe), encoding="utf-8")

    again = load_recipe(("file", read_recipe_file(file)))
    assert differences(recipe, again) == []
    assert again.model_dump() == recipe.model_dump()


SEEN = ["Zähle die Würfel", "tab\tWürfel", "数えて", "می‌خواهم", "½ a", "😀", "zwei\nWürfel"]
HIDDEN = ["a\x85b", "a\u2028b", "\ufeffa", "a\u202eb", "a\u200bü", "\x07", "\x7f", "a\U000e0041"]


@pytest.mark.parametrize("text", [*SEEN, *HIDDEN])
def test_a_resolved_recipe_has_letters_as_they_are_and_what_nobody_sees_as_escapes(text):
    dumped = dump_recipe(load_recipe(BASE, ("x", {"task_options": {"text": text}})))

    assert yaml12.parse(dumped, "x")[1]["task_options"]["text"] == text
    assert all(char.isprintable() or char in "\n\u200c" for char in dumped)
    assert text in HIDDEN or {*text} - {*"\t\n"} <= {*dumped}


@given(batch=st.integers(1, 64), micro=st.integers(1, 64))
def test_a_micro_batch_divides_its_batch_and_a_error_of_names_one_that_does(batch, micro):
    size, part = f"sft.batch_size={batch}", f"sft.micro_batch={micro}"
    if batch % micro == 0:
        assert load(size, part).sft.micro_batch == micro
    else:
        hint = int(error_of(size, part).rpartition("try ")[2])
        assert load(size, f"sft.micro_batch={hint}").sft.micro_batch == hint


def test_a_recipe_has_the_origin_of_each_setting():
    recipe = load_recipe(BASE, ("file", {"sft": {"samples": 3}}), overrides=["seed=2"])

    assert recipe.origin("sft", "samples") == "file"
    assert recipe.origin("seed") == "--set seed"
    assert recipe.origin("grpo", "samples") == "default"


def test_free_settings_are_checked_by_name_and_type():
    recipe = load("sft.learning_rat=1e-4", "sft.warmup_steps=many", "sft.max_grad_norm=1")
    allowed = {"learning_rate": float, "warmup_steps": int, "max_grad_norm": float}

    with pytest.raises(RecipeError) as caught:
        check_settings(recipe, "sft", allowed)
    message = str(caught.value)
    assert message.startswith("2 faults")
    assert "sft.learning_rat = 0.0001 (--set sft.learning_rat)" in message
    assert "Did you mean 'learning_rate'" in message


@pytest.mark.parametrize(
    ("overrides", "splits", "expected"),
    [
        (["evaluation.splits=[val, val]"], SPLITS, "val is given twice"),
        (["evaluation.splits=[vall]"], SPLITS, "Did you mean 'val'"),
        (["evaluation.samples.ood-c=3"], SPLITS, "Did you mean 'ood-"),
        ([], ("rl", "val"), "--paradigm reason-rft-zero"),
        ([], ("sft", "val"), "needs split 'rl'"),
    ],
)
def test_a_split_that_does_not_exist_is_an_error(overrides, splits, expected):
    with pytest.raises(RecipeError) as caught:
        check_splits(load(*overrides), splits)
    assert expected in str(caught.value)


def test_what_is_evaluated_by_default_is_never_trained_on():
    assert evaluated_splits(load(), SPLITS) == ("val", "test", "ood-a", "ood-b")
    assert evaluated_splits(load("evaluation.splits=[test]"), SPLITS) == ("test",)


def test_recipes_differ_in_the_settings_that_differ():
    assert differences(load(), load("seed=1", "sft.x=1")) == ["seed", "sft.x"]


PIECES = [
    *("[", "]", "{", "}", ":", " ", "- ", "\n", "&a", "*a", "!!binary", "!!timestamp", "1e400"),
    *("1" * 5000, '"\\ud800"', "'", "?", "|", "#", "\x00", "\ud800", "<<: *a", "[" * 2000),
]


@settings(max_examples=60)
@given(
    name=st.sampled_from(["seed", "sft.x", "evaluation.samples", "rewards", "task_options.a"]),
    value=st.lists(st.sampled_from(PIECES), max_size=8).map("".join) | st.text(),
)
def test_no_value_of_a_setting_is_a_traceback(name, value):
    try:
        dump_recipe(load(f"{name}={value}"))
    except RecipeError as error:
        assert name.partition(".")[0] in str(error) or "--set" in str(error)  # noqa: PT017


def test_bytes_of_a_terminal_that_are_no_text_are_named_with_their_setting():
    with pytest.raises(RecipeError, match=r"^model = 'w\\udcc3' \(--model\): .* PYTHONUTF8=1"):
        load_recipe(BASE, ("--model", {"model": "w\udcc3"}))


@pytest.mark.parametrize(
    "setting",
    ["vision_check.min_shift=.inf", "scoring.timeout_s=.inf", "scoring.timeout_s=1e400"],
)
def test_a_number_that_is_not_finite_is_an_error(setting):
    assert f"(--set {setting.partition('=')[0]}): must be a finite number" in error_of(setting)


def test_a_split_that_does_not_exist_is_an_error_with_the_splits_of_the_task():
    with pytest.raises(
        RecipeError, match=r"no such split; the task has sft, rl.* Did you mean 'test'"
    ):
        check_splits(load("evaluation.splits=[tset]"), SPLITS)


WRONG = [
    ("seed=x", "x"),
    ("sed=1", 1),
    ("sft.batch_size=0", 0),
    ("grpo.micro_batch=5", 5),
    ("rewards.accuracy.wieght=1", 1),
    ("evaluation.samples.val=-1", -1),
    ("scoring.timeout_s=.inf", float("inf")),
    ("policy.dtype=float8", "float8"),
    ("seed=[1", "[1"),
]


@pytest.mark.parametrize(("setting", "value"), WRONG)
def test_every_fault_has_its_setting_value_and_origin(setting, value):
    with pytest.raises(RecipeError) as caught:
        load(setting, "sft.enabled=false")
    [fault] = caught.value.faults
    name = setting.partition("=")[0]

    assert (fault.setting, fault.value) == (name, value)
    assert fault.origin.startswith(f"--set {name}")
    assert str(caught.value) == str(fault)


def test_a_fault_has_the_names_that_were_meant():
    with pytest.raises(RecipeError) as caught:
        load("evaluation.splitz=[]", "sed=1")

    meant = {fault.setting: fault.suggestions[0] for fault in caught.value.faults}
    assert meant == {"evaluation.splitz": "evaluation.splits", "sed": "seed"}


def test_an_error_keeps_its_fields_between_processes():
    error = RecipeError(Fault("seed", "use 0 or more", -1, "--set seed", ("sft",)), "and this")
    name = UnknownNameError("no x", kind="task", name="x", suggestions=["y"], offered=["y", "z"])
    data = SampleError("no gold", origin="a.jsonl row 3")

    for one in (error, name, data):
        copy = pickle.loads(pickle.dumps(one))
        assert (str(copy), copy.args, vars(copy)) == (str(one), one.args, vars(one))


def test_a_layer_is_not_changed_by_those_above_it():
    layer = ("file", {"task": "counting", "rewards": {}})
    load_recipe(layer, overrides=["rewards.format.weight=2"])

    assert layer[1]["rewards"] == {}


class Size(enum.Enum):
    SMALL, LARGE = "small", "large"


Short = Annotated[list[int], Field(min_length=2, max_length=3)]
Word = Annotated[str, Field(min_length=2, max_length=3, pattern="^a")]
Even = Annotated[int, Field(gt=1, lt=9, multiple_of=2)]
Part = Annotated[float, Field(ge=0, le=1)]


@pytest.mark.parametrize(
    ("annotation", "value", "rule"),
    [
        (int, "x", "must be a whole number"),
        (int, 1.5, "must be a whole number"),
        (float, "x", "must be a number"),
        (float, math.inf, "must be a finite number"),
        (bool, 1, "must be true or false"),
        (str, 5, "must be text"),
        (Path, 5, "must be text"),
        (list[int], 5, "must be a list"),
        (tuple[int, ...], {"a": 1}, "must be a list"),
        (set[int], 5, "must be a list"),
        (list[int], [1, "x"], "must be a whole number"),
        (dict[str, int], [], "must be a mapping"),
        (None, 5, "must be null"),
        (Literal["a", "b"], "c", "must be 'a' or 'b'"),
        (Size, "tiny", "must be 'small' or 'large'"),
        (Even, 0, "must be greater than 1"),
        (Even, 10, "must be less than 9"),
        (Even, 3, "must be a multiple of 2"),
        (Part, -1, "must be 0 or more"),
        (Part, 2, "must be 1 or less"),
        (Short, [1], "must have 2 or more items, and has 1"),
        (Short, [1, 2, 3, 4], "must have 3 or fewer items, and has 4"),
        (Word, "a", "must have 2 or more characters"),
        (Word, "aaaa", "must have 3 or fewer characters"),
        (Word, "ba", "must match ^a"),
        (int | None, "x", "must be a whole number"),
        (int | str, [], "must be a whole number or text"),
        (int | Literal["all"], "some", "must be a whole number or 'all'"),
        (Callable[[], int], "x", "must be a function, which a recipe cannot contain"),
    ],
)
def test_each_kind_of_wrong_value_has_a_rule_in_our_words(annotation, value, rule):
    with pytest.raises(ValueError, match=f"^{re.escape(rule)}$"):
        typed(value, annotation)


def test_the_rules_are_for_types_of_errors_that_pydantic_has():
    assert RULES.keys() <= {*get_args(ErrorType)}


def test_an_error_without_a_rule_of_ours_keeps_its_message():
    with pytest.raises(ValueError, match=r"^must be a valid UUID"):
        typed("x", uuid.UUID)
