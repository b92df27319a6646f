"""Who checks the laws: a sound task keeps all of them, and each bad one breaks its own alone."""

import json
import pickle
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from rftcore.cli import main
from rftcore.errors import PluginError
from rftcore.testing import LAWS, Law, Settings, Trial, parametrize_laws
from rftcore.testing.digests import canonical
from rftcore.testing.law import KINDS, BrokenError
from rftcore.testing.tripwire import TrippedError, Tripwire

pytest_plugins = ("pytester",)

BAD = Path(__file__).parent / "bad_plugins"
QUICK = Settings(examples=10, samples=24, seconds=2.0)


@pytest.fixture(autouse=True)
def _bad_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(BAD)


def bad_plugin(law: Law) -> str:
    own = BAD / f"{law.id}.py"
    file = own if own.exists() else BAD / f"{law.about}.py"
    return f"{file}:{law.id.replace('-', '_')}"


def broken(name: str) -> dict[str, str]:
    results = list(Trial(name, settings=QUICK).run())
    return {result.law.id: result.seen for result in results if result.bad}


def test_a_sound_task_keeps_every_law():
    results = Trial(f"{BAD}/sound_task.py:sound", settings=QUICK).run()

    assert {result.law.id: result.seen for result in results if result.state != "ok"} == {}


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_a_bad_plugin_breaks_its_law_and_no_other(law: Law):
    seen = broken(bad_plugin(law))

    assert list(seen) == [law.id], seen
    assert seen[law.id]


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_a_law_says_all_it_should_and_needs_only_earlier_ones(law: Law):
    before = list(LAWS)[: list(LAWS).index(law.id)]

    assert law.about in KINDS
    assert all((law.title.endswith("."), law.why.endswith("."), law.cause, law.fix))
    assert {*law.needs} <= {*before, "samples-pure"}


# --- the command and the decorator -----------------------------------------------------------


def check(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["plugins", "check", *arguments])


def test_the_command_says_what_is_wrong_and_how_to_see_it_again():
    name = bad_plugin(LAWS["bounds-kept"])
    done = check(name, "--law", "bounds-kept", "--law", "sizes-whole", "--seed", "3")

    assert done.exit_code == 1
    assert "ok              sizes-whole" in done.output
    law = LAWS["bounds-kept"]
    assert all(text in done.output for text in (law.title, law.why, law.cause, law.fix))
    assert f"rft plugins check {name} --law bounds-kept --seed 3" in done.output


def test_the_command_as_json():
    done = check(bad_plugin(LAWS["bounds-kept"]), "--law", "bounds-kept", "--json")

    [law] = json.loads(done.stdout)["laws"]
    assert (law["law"], law["state"]) == ("bounds-kept", "broken")
    assert "sft--1" in law["seen"]


@pytest.mark.parametrize(
    ("law", "state", "code"), [("bounds-kept", "expected", 0), ("sizes-whole", "unexpected", 1)]
)
def test_an_expected_failure_is_strict(law: str, state: str, code: int):
    done = check(bad_plugin(LAWS["bounds-kept"]), "--law", law, "--expect", f"{law}=no bounds yet")

    assert done.exit_code == code
    assert f"\n{state} " in done.output
    assert "no bounds yet" in done.output


def test_a_law_that_needs_a_broken_one_waits_for_it():
    trial = Trial(bad_plugin(LAWS["samples-whole"]), settings=QUICK)

    assert trial.result("prompt-sure").state == "not applicable"
    assert "samples-whole" in trial.result("prompt-sure").seen


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["countin"], "Did you mean 'counting'"),
        (["counting", "--law", "bounds-kep"], "Did you mean 'bounds-kept'"),
        (["counting", "--expect", "bounds-kept"], "write LAW=REASON"),
        (["counting", "--expect", "bounds-kept="], "say why it is broken"),
        (["counting", "--set", "task_options.sead=3"], "Did you mean 'seed'"),
    ],
)
def test_what_cannot_be_checked_is_refused(arguments: list[str], says: str):
    done = check(*arguments)

    assert done.exit_code == 2
    assert says in done.output


def test_a_setting_changes_what_is_checked():
    name = f"{BAD}/sound_task.py:sound"

    assert check(name, "--law", "right-is-worth-it").exit_code == 0
    heavy = check(name, "--law", "right-is-worth-it", "--set", "rewards.format.weight=10")
    assert heavy.exit_code == 1
    assert "--set rewards.format.weight=10" in heavy.output


def test_without_hypothesis_the_command_says_what_to_install():
    code = "import sys; sys.modules['hypothesis'] = None; from rftcore.cli import main; main()"
    command = [sys.executable, "-c", code, "plugins", "check", "counting"]
    done = subprocess.run(command, capture_output=True, text=True)

    assert done.returncode == 2
    assert "pip install 'rftcore[testing]'" in done.stderr


def test_a_case_that_is_expected_to_break_must_break(pytester: pytest.Pytester):
    pytester.makepyfile(
        f"""
        from rftcore.testing import parametrize_laws
        ENDLESS = {bad_plugin(LAWS["bounds-kept"])!r}
        SOUND = {f"{BAD}/sound_task.py:sound"!r}

        @parametrize_laws(ENDLESS, expected_failures={{"bounds-kept": "not yet"}})
        def test_endless(law):
            law.check()

        @parametrize_laws(SOUND, expected_failures={{"bounds-kept": "not yet"}})
        def test_sound(law):
            law.check()

        @parametrize_laws(ENDLESS)
        def test_nothing_expected(law):
            law.check()
        """
    )
    done = pytester.runpytest_inprocess("-p", "no:cacheprovider", "-k", "bounds-kept")

    done.assert_outcomes(xfailed=1, failed=2)
    done.stdout.fnmatch_lines(["*see it again: rft plugins check *--law bounds-kept --seed 0*"])


def test_a_reason_for_no_law_is_refused_when_tests_are_collected():
    with pytest.raises(PluginError, match="Did you mean 'bounds-kept'"):
        parametrize_laws("counting", expected_failures={"bounds-kep": "not yet"})


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
