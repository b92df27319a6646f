"""The campaigns in their short form, and that they find what is broken."""

import json
import random
import signal
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import click
import pytest
from click.testing import CliRunner

from rftcore.parsers import Integer
from rftcore.types import Parsed
from tests.campaigns import __main__ as command
from tests.campaigns import changes, disk, kills, recipes, soak
from tests.campaigns.bounds import TooLong, bounded
from tests.campaigns.completions import BrokenError, Completions, check_page, check_value
from tests.campaigns.data import Data, told
from tests.campaigns.disk import Disk
from tests.campaigns.forks import Ended
from tests.campaigns.frame import Verdict, numbers_of, run, summary
from tests.campaigns.hostile_data import Hostile
from tests.campaigns.kills import Kills
from tests.campaigns.plugins import Plugins
from tests.campaigns.soak import Soak

SEED = 0


def broken(cases):
    return [f"{case.verdict.tried}: {case.verdict.seen}\n{case.again}" for case in cases]


@pytest.mark.slow
def test_wrong_settings_are_one_message_each():
    cases = list(run(recipes.Recipes(), SEED, range(12), seconds=60))

    assert broken(case for case in cases if case.verdict.state == "broken") == []


@pytest.mark.slow
def test_no_completion_breaks_a_parser_a_reward_or_the_report():
    cases = list(run(Completions(), SEED, range(12), seconds=60))

    assert broken(case for case in cases if case.verdict.state == "broken") == []


@pytest.mark.slow
def test_hostile_data_is_one_line_each_and_clean_data_loads():
    cases = list(run(Data(), SEED, range(20), seconds=15))

    assert broken(case for case in cases if case.verdict.state == "broken") == []


@pytest.mark.slow
def test_a_broken_plugin_is_named_and_a_healthy_one_works():
    cases = list(run(Plugins(), SEED, range(8), seconds=15))

    assert broken(case for case in cases if case.verdict.state == "broken") == []


@pytest.mark.slow
def test_a_killed_run_continues_to_what_an_uninterrupted_one_gives():
    cases = list(run(Kills(most=1), SEED, range(1)))

    assert broken(case for case in cases if case.verdict.state == "broken") == []


@pytest.mark.slow
def test_a_fault_of_the_disk_is_named_and_repaired_or_rejected():
    cases = list(run(Disk(), SEED, range(2), seconds=15))

    assert broken(case for case in cases if case.verdict.state == "broken") == []


@pytest.mark.slow
def test_grpo_does_not_grow():
    cases = list(run(Soak(steps=8), SEED, range(1)))

    assert broken(case for case in cases if case.verdict.state == "broken") == []


# --- the frame ---


class Dice:
    """Breaks on a six, and raises on a one."""

    name = "dice"
    promise = "no six"

    @contextmanager
    def opened(self):
        yield self._throw

    def _throw(self, rng):
        number = rng.randrange(1, 7)
        if number == 1:
            raise ZeroDivisionError
        return Verdict(str(number), {6: "broken", 2: "valid"}.get(number, "held"))


def thrown(*arguments):
    return CliRunner().invoke(command.main, ["--log", "log", *arguments])


@pytest.fixture
def dice(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command, "PARTS", (Dice,))
    monkeypatch.setattr(command.main.params[2], "type", click.STRING)
    expected = [numbers_of(0, "dice", n).randrange(1, 7) for n in range(60)]
    assert {*expected} == {1, 2, 3, 4, 5, 6}
    return expected


def test_the_table_counts_what_held_was_valid_and_broke(dice):
    table = summary(run(Dice(), 0, range(60)))
    bad, fine = dice.count(6) + dice.count(1), dice.count(2)

    assert table.splitlines()[-1].split()[:5] == [
        "dice",
        *map(str, (60, 60 - bad - fine, fine, bad)),
    ]


def test_the_log_has_a_line_per_case_and_a_broken_one_ends_with_code_1(dice, tmp_path):
    done = thrown("--cases", "60")
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]

    assert done.exit_code == 1
    assert [line["state"] == "broken" for line in lines] == [n in (1, 6) for n in dice]
    assert [line["case"] for line in lines] == list(range(60))


@pytest.mark.parametrize(("number", "code"), [(1, 1), (6, 1), (2, 0), (3, 0)])
def test_a_case_is_repeated_by_its_number_alone(dice, number, code):
    done = thrown("--only", "dice", "--case", str(dice.index(number)))

    assert done.exit_code == code
    assert f"--only dice --case {dice.index(number)}" in done.stderr or code == 0


def test_a_part_ends_when_its_time_is_over():
    assert len(list(run(Dice(), 0, range(10**9), seconds=0))) == 1


# --- that completions find what is broken ---


class Faulty:
    """Reads no completion with a given piece as it should."""

    def __init__(self, fault):
        self._fault, self._sound = fault, Integer(0, 99)

    def parse(self, completion):
        return self._fault() if "</" in completion else self._sound.parse(completion)

    def gold(self, text):
        return self._sound.gold(text)

    def show(self, value):
        return self._sound.show(value)


def raises():
    raise KeyError("x")


def spins():
    while True:
        pass


FAULTS = {
    "KeyError": raises,
    "did not end": spins,
    "needed more than": lambda: Parsed(len(bytearray(2**34))),
    "returned 5": lambda: 5,
    "returned Parsed(value=nan": lambda: Parsed(float("nan")),
}


@pytest.mark.parametrize("wording", FAULTS)
def test_a_parser_that_fails_on_some_completions_is_found(wording, fakes):
    catalogue = fakes.load(
        {"x": fakes.plugin(rft_parsers={"faulty": lambda: Faulty(FAULTS[wording])})}
    )
    cases = list(run(Completions(catalogue, seconds=0.3), SEED, range(4)))

    seen = [case.verdict.seen for case in cases if case.verdict.state == "broken"]
    assert any("parser faulty.parse" in text and wording in text for text in seen), seen


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_is_not_finite_is_found(value):
    with pytest.raises(BrokenError, match=r"is (nan|inf|-inf)"):
        check_value("reward x", value)


def test_a_report_whose_data_block_escapes_nothing_is_found(monkeypatch):
    data = {"completion": "</script><script>alert(1)</script>"}
    check_page(data)
    monkeypatch.setattr("rftcore.reports.html.block", json.dumps)

    with pytest.raises(BrokenError):
        check_page(data)


def test_a_bound_ends_an_endless_loop():
    with pytest.raises(TooLong), bounded(0.1):
        spins()


# --- that data finds what is broken ---


def result(stderr, code=2):
    return SimpleNamespace(exit_code=code, exception=None, stderr=stderr, output=stderr)


HOSTILE = Hostile("x", Path("rows.jsonl"), 3, "fault")


@pytest.mark.parametrize(
    ("stderr", "code", "sound"),
    [
        ("error: rows.jsonl row 3: not JSON\n", 2, True),
        ("note: x\nerror: rows.jsonl row 3: not JSON\n", 2, True),
        ("error: rows.jsonl row 31: not JSON\n", 2, False),
        ("error: row 3: not JSON\n", 2, False),
        ("error: rows.jsonl row 3: not JSON\n", 1, False),
        ("error: rows.jsonl row 3: not\nJSON\n", 2, False),
        (f"error: rows.jsonl row 3: {'x' * 3000}\n", 2, False),
        ("Traceback: x\nerror: rows.jsonl row 3: not JSON\n", 2, False),
    ],
)
def test_a_message_without_file_and_row_or_on_several_lines_is_found(stderr, code, sound):
    ended = result(stderr, code)
    ended.exception = SystemExit(code)

    assert (told(HOSTILE, ended, (2,), only=True) == "") == sound


# --- that the soak finds what grows ---


def steps(**growing):
    """Samples of forty steps in which some numbers grow with each step."""
    flat = {"rss": 900 * soak.MB, "files": 40, "threads": 6, "children": 2, "folder": 5_000}
    return [
        soak.Sample(n, **{name: v + n * growing.get(name, 0) for name, v in flat.items()})
        for n in range(1, 41)
    ]


@pytest.mark.parametrize(
    ("growing", "found"),
    [
        ({}, ""),
        ({"folder": 10_000}, ""),
        ({"rss": soak.MB}, ""),
        ({"rss": 10 * soak.MB}, "rss is"),
        ({"files": 1}, "files is 80 at step 40"),
        ({"threads": 1}, "threads is 46"),
        ({"children": 1}, "children is 42"),
        ({"folder": 100_000}, "folder is"),
    ],
)
def test_what_grows_after_the_warm_up_is_found(growing, found):
    seen = soak.growth(steps(**growing))

    assert seen.startswith(found) if found else seen == ""


def test_a_soak_without_samples_shows_nothing():
    assert "too few samples" in soak.growth([])


# --- that disk and kills find what is broken ---

NAMED = "error: run/sft could not write: No space left on device"


@pytest.mark.parametrize(
    ("code", "err", "sound"),
    [
        (2, NAMED, True),
        (0, "warning: the report was not written", True),
        (1, NAMED, False),
        (2, f"Traceback\n{NAMED}", False),
        (2, f"{NAMED}\n{NAMED}", False),
        (2, "error: something failed", False),
    ],
)
def test_a_fault_of_the_disk_that_is_not_named_is_found(code, err, sound):
    assert (disk.end_fault(Ended(code, "", err), "No space left") == "") == sound


AGAIN = "continue with: rft train --resume run"


@pytest.mark.parametrize(
    ("number", "code", "err", "sound"),
    [
        ("SIGTERM", 143, AGAIN, True),
        ("SIGTERM", 143, "", False),
        ("SIGTERM", 1, AGAIN, False),
        ("SIGINT", 130, AGAIN, True),
        ("SIGINT", 130, f"Traceback\n{AGAIN}", False),
        ("SIGKILL", 137, "", True),
        ("SIGKILL", 1, "", False),
    ],
)
def test_a_signal_that_leaves_without_a_word_is_found(number, code, err, sound, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "manifest.json").touch()

    fault = kills.end_fault(signal.Signals[number], Ended(code, "", err), tmp_path)
    assert (fault == "") == sound


# --- that recipes find what is broken ---

WRONG = changes.Change("seed", b"", (), ("seed",), -1, "recipe.yaml line 3", ["seed"], wrong=True)


@pytest.mark.parametrize(
    ("stderr", "code", "sound"),
    [
        ("error: seed = -1 (recipe.yaml line 3): must be 0 or more\n", 2, True),
        ("note: x\nerror: seed = -1 (recipe.yaml line 3): must be 0 or more\n", 2, True),
        ("error: seed = -1 (recipe.yaml line 3): must be 0 or more\n", 1, False),
        ("error: seed = -1 (recipe.yaml line 31): must be 0 or more\n", 2, False),
        ("error: seed = -1: must be 0 or more\n", 2, False),
        ("error: a number (recipe.yaml line 3) must be 0 or more\n", 2, False),
        ("error: seed (recipe.yaml line 3): x\nTraceback\n", 2, False),
        ("error: seed (recipe.yaml line 3): x\nerror: again\n", 2, False),
        ("", 2, False),
    ],
)
def test_a_message_without_setting_origin_or_code_is_found(stderr, code, sound):
    assert (recipes.fault_of(result(stderr, code), WRONG) == "") == sound


@pytest.mark.parametrize(
    ("wrong", "value", "has", "state"),
    [(True, -1, -1, "broken"), (False, 3, 3, "valid"), (False, 3, 0, "broken")],
)
def test_a_valid_change_is_not_counted_as_held(wrong, value, has, state):
    change = changes.Change("seed", b"", (), ("seed",), value, "", ["seed"], wrong=wrong)

    assert recipes.accepted("seed", change, {"seed": has}).state == state


def test_a_change_has_the_line_of_its_setting():
    good = {"task": "counting", "sft": {"batch_size": 4, "micro_batch": 2}}

    assert changes.line_of(changes.written(good), ("sft", "micro_batch")) == 4


def test_a_seed_repeats_the_changes():
    good = {"task": "counting", "sft": {"batch_size": 4}, "rewards": {"format": {"weight": 1.0}}}
    made = [[changes.changed(random.Random(n), good) for n in range(30)] for _ in range(2)]

    assert [c.what for c in made[0]] == [c.what for c in made[1]]
    assert [c.file for c in made[0]] == [c.file for c in made[1]]
