"""Who checks the laws: a sound task keeps all of them, and each bad one breaks its own alone."""

import json
import os
import pickle
import subprocess
import sys
from contextlib import nullcontext
from functools import cache
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from rftcore.cli import main
from rftcore.errors import PluginError
from rftcore.testing import LAWS, Law, Settings, Trial, parametrize_laws
from rftcore.testing.digests import canonical
from rftcore.testing.errors import BrokenError
from rftcore.testing.law import KINDS
from rftcore.testing.trial import Result as Checked
from rftcore.testing.tripwire import TrippedError, Tripwire

pytest_plugins = ("pytester",)
pytestmark = pytest.mark.xdist_group("test_laws")  # for `trial_of`

BAD = Path(__file__).parent / "bad_plugins"
QUICK = Settings(examples=10, samples=24, seconds=2.0)


@pytest.fixture(autouse=True)
def _bad_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(BAD)


def bad_plugin(law: Law) -> str:
    own = BAD / f"{law.id}.py"
    file = own if own.exists() else BAD / f"{law.about}.py"
    return f"{file}:{law.id.replace('-', '_')}"


@cache
def trial_of(name: str) -> Trial:
    """Checked once: a trial keeps its results."""
    return Trial(name, settings=QUICK)


def broken(name: str) -> dict[str, Checked]:
    return {result.law.id: result for result in trial_of(name).run() if result.bad}


def needed(law: Law) -> set[str]:
    """The laws that a law needs, and those that they need."""
    return {*law.needs}.union(*(needed(LAWS[one]) for one in law.needs))


def test_a_sound_task_keeps_every_law():
    results = Trial(f"{BAD}/sound_task.py:sound", settings=QUICK).run()

    assert {result.law.id: result.seen for result in results if result.state != "ok"} == {}


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_a_bad_plugin_breaks_its_law_and_no_other(law: Law):
    seen = broken(bad_plugin(law))

    assert list(seen) == [law.id], seen
    assert seen[law.id].seen


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_a_broken_law_is_shown_with_each_law_that_needs_it(law: Law):
    trial = trial_of(bad_plugin(law))

    for other in LAWS.values():
        states = {result.law.id: result for result in trial.run([other])}
        if law.id in needed(other):
            assert states[other.id].state == "not checked"
        if states[other.id].state == "not checked":
            assert states[other.id].roots == (law.id,)
        roots = {law.id} if other is law or law.id in needed(other) else {*states[other.id].roots}
        assert {one for one, result in states.items() if result.state == "broken"} == roots


@pytest.mark.long
def test_the_usual_cause_of_what_a_bad_plugin_does_is_one_of_its_own():
    causes = [result.cause for law in LAWS.values() for result in broken(bad_plugin(law)).values()]

    assert not [cause for cause in causes if not cause or "code raises" in cause]
    assert len({*causes}) == len(LAWS)


@pytest.mark.parametrize(
    ("reader", "raised", "cause"),
    [
        ("json_nested", "RecursionError", "json.loads"),
        ("literal_digits", "ValueError: Exceeds the limit", "thousands of digits"),
        ("encoded", "UnicodeEncodeError", "surrogate"),
        ("infinite", "OverflowError", "infinity"),
        ("divided", "ZeroDivisionError", "over zero"),
        ("first_word", "IndexError", "not always there"),
        ("unmatched", "AttributeError", "a match that found nothing"),
        ("unmatched_group", "TypeError", "a match that found nothing"),
        ("exhausted", "MemoryError", "without a bound"),
        ("exiting", "SystemExit", "exit()"),
        ("silent", "returned None", "a branch without return"),
        ("counting", "for the same text again", "keeps something between calls"),
    ],
)
def test_a_parser_that_fails_on_a_text_breaks_one_law_and_leaves_few_unchecked(
    reader: str, raised: str, cause: str
):
    results = {one.law.id: one for one in trial_of(f"{BAD}/readers.py:{reader}").run()}
    total = results["parser-total"]

    assert [one for one, result in results.items() if result.bad] == ["parser-total"]
    assert raised in total.seen
    assert cause in total.cause
    unchecked = {one for one, result in results.items() if result.state == "not checked"}
    assert unchecked <= {"accuracy-weight", "silence-earns-least"}  # if "" is such a text


def test_a_value_that_holds_nan_does_not_equal_itself():
    result = trial_of(f"{BAD}/readers.py:boxes").result("parser-self-equal")

    assert result.state == "broken"
    assert "holds nan" in result.seen


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_a_law_has_all_its_texts_and_needs_only_earlier_ones(law: Law):
    before = list(LAWS)[: list(LAWS).index(law.id)]

    assert law.about in KINDS
    assert all((law.title.endswith("."), law.why.endswith("."), law.cause, law.fix))
    assert {*law.needs} <= {*before, "samples-pure"}


# --- the command and the decorator -----------------------------------------------------------


def check(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["plugins", "check", *arguments])


def test_the_command_reports_what_is_wrong_and_how_to_see_it_again():
    name = bad_plugin(LAWS["index-error-outside-split"])
    done = check(name, "--law", "index-error-outside-split", "--law", "sizes-valid", "--seed", "3")

    assert done.exit_code == 1
    assert "ok              sizes-valid" in done.output
    law = LAWS["index-error-outside-split"]
    assert all(text in done.output for text in (law.title, law.why, law.cause, law.fix))
    assert f"rft plugins check {name} --law index-error-outside-split --seed 3" in done.output


def test_the_command_as_json():
    done = check(
        bad_plugin(LAWS["index-error-outside-split"]),
        "--law",
        "index-error-outside-split",
        "--json",
    )

    [law] = json.loads(done.stdout)["laws"]
    assert (law["law"], law["state"]) == ("index-error-outside-split", "broken")
    assert "sft--1" in law["seen"]


@pytest.mark.parametrize(
    ("law", "state", "code"),
    [("index-error-outside-split", "expected", 0), ("sizes-valid", "unexpected", 1)],
)
def test_an_expected_failure_is_strict(law: str, state: str, code: int):
    done = check(
        bad_plugin(LAWS["index-error-outside-split"]),
        "--law",
        law,
        "--expect",
        f"{law}=no bounds yet",
    )

    assert done.exit_code == code
    assert f"\n{state} " in done.output
    assert "no bounds yet" in done.output


def test_a_broken_law_that_is_needed_is_counted():
    done = check(bad_plugin(LAWS["samples-valid"]), "--law", "rewards-total", "--json")

    rows = [(row["law"], row["state"], row["roots"]) for row in json.loads(done.stdout)["laws"]]
    assert done.exit_code == 1
    assert rows == [
        ("samples-valid", "broken", []),
        ("rewards-total", "not checked", ["samples-valid"]),
    ]


def test_a_law_that_needs_one_that_is_expected_to_break_is_not_checked_and_counts_as_nothing():
    laws = ("--law", "rewards-total", "--expect", "samples-valid=numbers for now")
    done = check(bad_plugin(LAWS["samples-valid"]), *laws)

    assert done.exit_code == 0
    assert "1 expected, 1 not checked" in done.output
    assert "not checked     rewards-total  it needs samples-valid: fix that first" in done.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["countin"], "Did you mean 'counting'"),
        (
            ["counting", "--law", "index-error-outside-splt"],
            "Did you mean 'index-error-outside-split'",
        ),
        (["counting", "--expect", "index-error-outside-split"], "write LAW=REASON"),
        (["counting", "--expect", "index-error-outside-split="], "give a reason"),
        (["counting", "--set", "task_options.sead=3"], "Did you mean 'seed'"),
    ],
)
def test_what_cannot_be_checked_is_an_error(arguments: list[str], message: str):
    done = check(*arguments)

    assert done.exit_code == 2
    assert message in done.output


def test_a_setting_changes_what_is_checked():
    name = f"{BAD}/sound_task.py:sound"

    assert check(name, "--law", "accuracy-weight").exit_code == 0
    heavy = check(name, "--law", "accuracy-weight", "--set", "rewards.format.weight=10")
    assert heavy.exit_code == 1
    assert "--set rewards.format.weight=10" in heavy.output


def test_without_hypothesis_the_error_names_what_to_install():
    code = "import sys; sys.modules['hypothesis'] = None; from rftcore.cli import main; main()"
    command = [sys.executable, "-c", code, "plugins", "check", "counting"]
    done = subprocess.run(command, capture_output=True, text=True)

    assert done.returncode == 2
    assert "pip install 'rftcore[testing]'" in done.stderr


def test_a_case_that_is_expected_to_break_must_break(pytester: pytest.Pytester):
    pytester.makepyfile(
        f"""
        from rftcore.testing import parametrize_laws
        ENDLESS = {bad_plugin(LAWS["index-error-outside-split"])!r}
        SOUND = {f"{BAD}/sound_task.py:sound"!r}

        @parametrize_laws(ENDLESS, expected_failures={{"index-error-outside-split": "not yet"}})
        def test_endless(law):
            law.check()

        @parametrize_laws(SOUND, expected_failures={{"index-error-outside-split": "not yet"}})
        def test_sound(law):
            law.check()

        @parametrize_laws(ENDLESS)
        def test_nothing_expected(law):
            law.check()
        """
    )
    done = pytester.runpytest_inprocess("-p", "no:cacheprovider", "-k", "index-error-outside-split")

    done.assert_outcomes(xfailed=1, failed=2)
    done.stdout.fnmatch_lines(
        ["*see it again: rft plugins check *--law index-error-outside-split --seed 0*"]
    )


def test_selected_cases_fail_for_a_broken_law_that_they_need(pytester: pytest.Pytester):
    pytester.makepyfile(
        f"""
        from rftcore.testing import parametrize_laws

        @parametrize_laws({bad_plugin(LAWS["samples-valid"])!r})
        def test_law(law):
            law.check()
        """
    )
    options = ("-p", "no:cacheprovider", "-k")
    some = pytester.runpytest_inprocess(*options, "prompt-deterministic or golds-parse")
    both = pytester.runpytest_inprocess(
        *options, "prompt-deterministic or golds-parse or samples-valid"
    )

    some.assert_outcomes(failed=1, skipped=1)
    some.stdout.fnmatch_lines(["*golds-parse was not checked: it needs samples-valid*"])
    both.assert_outcomes(failed=1, skipped=2)


def test_a_reason_for_no_law_is_an_error_when_tests_are_collected():
    with pytest.raises(PluginError, match="Did you mean 'index-error-outside-split'"):
        parametrize_laws("counting", expected_failures={"index-error-outside-splt": "not yet"})


@pytest.mark.parametrize("value", [3, "a", {"b": {2, 1}}, (1, [2]), None])
def test_values_are_alike_in_any_process(value: object):
    assert canonical(value) == canonical(pickle.loads(pickle.dumps(value)))


@pytest.mark.parametrize("look", [len, iter, str, float, bool, sorted, abs])
def test_a_tripwire_trips_whatever_is_done_with_it(look):
    wire = Tripwire()

    with pytest.raises(TrippedError):
        look(wire)
    assert wire.tripped


@pytest.mark.parametrize(
    ("readings", "breaks"), [((2.0, 0.001), False), ((2.0, 2.0), True), ((9.0, 0.001), True)]
)
def test_a_reading_that_looks_late_is_measured_again(readings, breaks, monkeypatch):
    from rftcore.testing.laws import parser

    first = iter(readings)
    monkeypatch.setattr(parser, "computing", lambda _: next(first, readings[-1]))
    with pytest.raises(BrokenError, match="take more than") if breaks else nullcontext():
        parser._near_linear(None, "parse", str, lambda size: "x" * size)


@pytest.mark.parametrize(
    ("name", "law", "seen", "cause"),
    [
        ("image_of_nothing", "samples-valid", "bytes", "blamed.py line"),
        ("key_missing", "samples-valid", "KeyError: 'text' (", "blamed.py line"),
        ("question_blank", "samples-valid", "which is blank", "a row without question"),
        ("images_listed", "samples-valid", "its images are [", "images as a list"),
        ("bounds_by_key", "index-error-outside-split", "raised KeyError", "before it is checked"),
        ("nothing_to_measure", "splits-named", "nothing to measure", "one split"),
        ("nothing_to_train_on", "splits-named", "nothing to train on", "one split"),
        ("tags_in_cot", "sft-has-reasoning", "holds tags", "cot is stored with its"),
        ("prompt_key", "prompt-deterministic", "KeyError: 'text'", "some samples do not have"),
        ("prompt_text", "prompt-deterministic", "the prompt is How many", "returned by itself"),
        ("reward_key", "rewards-in-evaluation", "'entri'", "the reward itself fails at"),
        ("reward_on_answer", "rewards-total", "IndexError", "an answer that the parser reads"),
        ("reward_as_text", "rewards-finite", "a str", "text, an array"),
        ("group_of_strangers", "rewards-in-training", "IndexError", "what only training has"),
        ("accuracy_none", "truth-is-correct", "does not apply", "returns None"),
        ("tolerant", "wrong-is-not-correct", "wrong answers are correct", "a wide tolerance"),
        ("generous", "accuracy-weight", "in the mean", "accuracy pays a wrong answer 0.9"),
        ("nothing_is_right", "silence-earns-least", "'' is correct", "no answer (None)"),
        ("words_for_symbolic", "rewards-read-golds", "frac", "golds that the parser reads"),
        ("declared_gold", "rewards-read-golds", "seven is out of range", "golds that the parser"),
        ("raised_gold", "rewards-read-golds", "the gold 7 is not known", "golds that the parser"),
    ],
)
def test_a_cause_fits_what_was_seen(name: str, law: str, seen: str, cause: str):
    trial = trial_of(f"{BAD}/blamed.py:{name}")
    result = trial.result(law)

    assert result.state == "broken"
    assert seen in result.seen
    assert cause in result.cause


@pytest.mark.parametrize("name", ["words_for_symbolic", "declared_gold", "raised_gold"])
def test_golds_that_a_reward_cannot_read_are_no_fault_of_the_reward(name: str):
    assert list(broken(f"{BAD}/blamed.py:{name}")) == ["rewards-read-golds"]


def test_a_truth_of_numpy_is_a_number():
    assert trial_of(f"{BAD}/blamed.py:reward_of_numpy").result("rewards-finite").state == "ok"


def test_a_broken_law_has_the_same_example_in_every_process():
    program = (
        "import sys; from rftcore.testing import Trial; name, law = sys.argv[1:]\n"
        "print(Trial(name).result(law).seen)"
    )
    command = [
        sys.executable,
        "-c",
        program,
        f"{BAD}/dataset.py:images_disjoint",
        "images-disjoint",
    ]
    path = os.pathsep.join(sys.path)
    seen = {
        subprocess.check_output(
            command, env={**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": str(seed)}
        )
        for seed in (1, 2, 3)
    }

    assert len(seen) == 1, seen


def test_a_graded_wrong_answer_is_no_attack():
    trial = trial_of(f"{BAD}/blamed.py:half_for_ending")

    assert trial.result("no-tag-tricks").state == "ok"
