"""Why the reward does not rise: each fault is found in time, and a healthy run is left alone.

Runs are simulated from known rates: P prompts of differing difficulty, G completions each.
"""

import math
import random
from statistics import fmean, variance

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rftcore.intervals import difference
from rftcore.scoring import Outcome, Score
from rftcore.training.groups import group_metrics
from rftcore.training.signal import Facts, Greedy, diagnose
from rftcore.training.signal.gradients import (
    Agreement,
    rollouts_for_half,
    signal_share,
    signal_to_noise,
)
from rftcore.training.signal.steps import Step, accuracy
from rftcore.types import Parsed

P, G = 8, 8
GREEDY = Greedy("val", 300, accuracy=0.48, unparsed=0.01, clipped=0.0)
HEALTHY = {
    "accuracy": 0.45,
    "slips": 0.02,
    "silent": 0.1,
    "clipped": 0.02,
    "length": 60.0,
    "entropy": 0.13,
    "cosine": 0.05,
    "process": 0.8,
}


def facts(steps=300, greedy=GREEDY, **changes):
    known = {"prompts": P, "group": G, "rows": 1440, "steps": steps, "greedy": greedy}
    weights = {"accuracy": 1.0, "format": 1.0, "process": 2.0}
    return Facts(**{**known, "weights": weights, **changes})


def simulate(seed=0, steps=60, then=None, **rates):
    """Lines of a run whose policy has `rates`, and from `then[0]` on those of `then[1]`."""
    chance = random.Random(seed)
    lines = []
    for number in range(1, steps + 1):
        now = {**HEALTHY, **rates, **(then[1] if then and number >= then[0] else {})}
        lines.append({"step": number, **line_of(now, chance, number)})
    return lines


def line_of(rates, chance, number):
    # some prompts are much easier than others: a Beta(p, 1 - p) law of their difficulty
    p = rates["accuracy"]
    ease = [chance.betavariate(p, 1 - p) if 0 < p < 1 else p for _ in range(P)]
    means = [fmean(chance.random() < e for _ in range(G)) for e in ease]
    slips = fmean(chance.random() < rates["slips"] for _ in range(P * G))
    clipped = fmean(chance.random() < rates["clipped"] for _ in range(P * G))
    silent = fmean(chance.random() < rates["silent"] for _ in range(P))
    line = {
        "loss": 0.01,
        "reward": 1.0,
        "accuracy": fmean(means),
        "groups/accuracy_variance": variance(means),
        "unparsed": slips + clipped,
        "completions/clipped_ratio": clipped,
        "groups/no_signal": silent,
        "groups/all_right": silent * 0.2,
        "groups/all_wrong": silent * 0.8,
        "completions/mean_length": chance.gauss(rates["length"], 3),
        "entropy": rates["entropy"],
        "reward_varies/process": float(rates["process"] not in (0.0, 1.0)),
        "reward/process": rates["process"],
    }
    if 2 <= number <= 16:
        noise = chance.gauss(0, 0.05 / math.sqrt(number - 1))
        line |= {"gradient/agreement": rates["cosine"] + noise, "gradient/pairs": number - 1}
    return line


def kinds(lines, known=None, ended=True):
    return {
        finding.kind: finding.step for finding in diagnose(lines, known or facts(), ended=ended)
    }


FAULTS = {  # what goes wrong: (rates, from which step, what is found, by which step)
    "sampling loses accuracy": ({"accuracy": 0.25}, 1, "sampled-far-below-greedy", 20),
    "sampling slips": ({"slips": 0.3}, 1, "malformed-completions", 10),
    "most groups are silent": ({"silent": 0.75}, 1, "groups-without-signal", 20),
    "completions are cut off": ({"clipped": 0.35}, 1, "truncated-completions", 15),
    "cut off later": ({"clipped": 0.35}, 30, "truncated-completions", 45),
    "the gradient is noise": ({"cosine": -0.02}, 1, "gradient-noise", 20),
    "a collapse": ({"accuracy": 0.05}, 6, "policy-collapse", 20),
    "a late collapse": ({"accuracy": 0.15}, 30, "policy-collapse", 55),
    "a reward that is never earned": ({"process": 0.0}, 1, "a-constant-reward", 10),
    "completions shrink": ({"length": 30.0}, 20, "length-drift", 45),
    "completions grow": ({"length": 120.0}, 20, "length-drift", 45),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found_in_time_in_nine_runs_of_ten(fault):
    rates, since, kind, by = FAULTS[fault]
    runs = [kinds(simulate(seed, then=(since, rates))) for seed in range(40)]

    assert sum(run.get(kind, math.inf) <= by for run in runs) >= 36


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_reported_as_what_it_is(fault):
    rates, since, kind, _ = FAULTS[fault]
    found = [set(kinds(simulate(seed, then=(since, rates)))) for seed in range(40)]

    assert sum(bool(each - {kind}) for each in found) <= 4


def test_of_two_hundred_healthy_runs_of_sixty_steps_hardly_any_is_warned():
    runs = [kinds(simulate(seed)) for seed in range(200)]

    assert sum(map(bool, runs)) <= 6  # 3 %


@pytest.mark.parametrize(
    "rates",
    [
        {"accuracy": 0.9, "greedy": 0.93},
        {"accuracy": 0.095, "greedy": 0.1},
        {"accuracy": 0.45, "greedy": 0.48, "slips": 0.05},
        {"silent": 0.4},
        {"clipped": 0.06},
        {"process": 1.0},
    ],
    ids=str,
)
def test_healthy_runs_of_other_kinds_are_left_alone(rates):
    greedy = Greedy("val", 300, rates.get("greedy", 0.48), 0.01, 0.0)
    own = {name: value for name, value in rates.items() if name != "greedy"}
    runs = [kinds(simulate(seed, **own), facts(greedy=greedy)) for seed in range(60)]

    assert sum(map(bool, runs)) <= 3


def test_a_long_run_that_stays_as_it_is_is_not_a_collapse():
    runs = [kinds(simulate(seed, steps=600)) for seed in range(25)]

    assert sum(map(bool, runs)) <= 1


@given(st.integers(0, 10_000), st.sampled_from(list(FAULTS)))
def test_a_kind_is_found_once_and_alike_line_by_line_or_all_at_once(seed, fault):
    rates, since, _, _ = FAULTS[fault]
    lines = simulate(seed, steps=30, then=(since, rates))
    whole = diagnose(lines, facts(), ended=True)

    assert len({finding.kind for finding in whole}) == len(whole)
    part = diagnose(lines[:20], facts(), ended=False)
    assert part == [finding for finding in whole if finding.step <= 20]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_line_has_its_number_its_settings_and_its_page(fault):
    rates, since, kind, _ = FAULTS[fault]
    found = next(
        finding
        for seed in range(40)
        for finding in diagnose(simulate(seed, then=(since, rates)), facts(), ended=True)
        if finding.kind == kind
    )

    assert "\n" not in found.line
    assert found.numbers
    assert all(
        name.removesuffix(".weight") in found.line or "rewards" in name for name in found.settings
    )
    assert f"docs/why-no-reward.md#{kind}" in found.line


# --- the parts ---


def test_the_interval_of_a_difference_agrees_with_published_values():
    # Newcombe 1998, doi:10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I, table II
    rounded = [
        [round(x, 4) for x in difference(*pair)]
        for pair in (((56, 70), (48, 80)), ((9, 10), (3, 10)))
    ]

    assert rounded == [[0.0524, 0.3339], [0.1705, 0.8090]]


def test_a_share_of_prompts_counts_for_more_than_prompts_and_less_than_completions():
    lines = [Step(n, P, line) for n, line in enumerate(simulate(steps=200), 1)]
    measured = accuracy(lines, G)
    means = [step.values["accuracy"] for step in lines]

    assert 200 * P < measured.n < 200 * P * G
    low, high = measured.interval()
    assert (high - low) / 2 / 1.96 == pytest.approx(math.sqrt(variance(means) / 200), rel=0.15)


def vectors(seed, cosine, steps=16, size=300):
    """Unit gradients of steps: a common part, and noise of their own in `size` directions."""
    chance = random.Random(seed)
    part = math.sqrt(cosine / (1 - cosine))
    made = []
    for _ in range(steps):
        noise = [chance.gauss(0, 1 / math.sqrt(size)) for _ in range(size)]
        noise[0] += part
        norm = math.sqrt(sum(x * x for x in noise))
        made.append([x / norm for x in noise])
    return made


def agreement(units):
    """What `GradientAgreement` logs for these gradients, summed up."""
    steps = []
    for at in range(1, len(units)):
        cosines = [sum(map(float.__mul__, units[at], other)) for other in units[:at]]
        values = {"gradient/agreement": fmean(cosines), "gradient/pairs": at}
        steps.append(Step(at + 1, P, values))
    return Agreement.of(steps)


@pytest.mark.parametrize("cosine", [0.0, 0.02, 0.05])
def test_the_interval_of_the_agreement_contains_the_truth(cosine):
    found = [agreement(vectors(seed, cosine)) for seed in range(60)]

    assert sum(each.low <= cosine <= each.high for each in found) >= 54
    assert fmean(each.cosine for each in found) == pytest.approx(cosine, abs=0.01)


@given(st.floats(0.001, 0.9), st.integers(1, 500))
def test_half_of_the_gradient_is_signal_after_the_rollouts_that_are_reported(cosine, rollouts):
    need = rollouts_for_half(cosine, rollouts)

    assert signal_share(cosine, need / rollouts) == pytest.approx(0.5)
    assert signal_share(cosine, 1) == pytest.approx(cosine)


@given(st.floats(0, 0.9))
def test_two_halves_of_a_step_agree_less_than_two_steps(halves):
    whole = 2 * halves / (1 + halves)

    assert signal_to_noise(whole) == pytest.approx(2 * signal_to_noise(halves))


def scored(total, correct=None, **parts):
    made = {name: Outcome("n/a" if v is None else "ok", v) for name, v in parts.items()}
    return Score(total, made, Parsed(3), correct)


RIGHT, WRONG = scored(2.0, True, format=1.0), scored(1.0, False, format=1.0)
UNKNOWN = scored(None, None, format=None)


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        (
            [RIGHT] * 4,
            {"no_signal": 1.0, "all_right": 1.0, "all_wrong": 0.0, "accuracy_variance": 0.0},
        ),
        (
            [WRONG] * 4,
            {"no_signal": 1.0, "all_right": 0.0, "all_wrong": 1.0, "accuracy_variance": 0.0},
        ),
        (
            [RIGHT, RIGHT, WRONG, WRONG],
            {"no_signal": 1.0, "all_right": 0.5, "all_wrong": 0.5, "accuracy_variance": 0.5},
        ),
        (
            [RIGHT, WRONG, WRONG, WRONG],
            {"no_signal": 0.5, "all_right": 0.0, "all_wrong": 0.5, "accuracy_variance": 0.125},
        ),
        (
            [UNKNOWN, RIGHT, UNKNOWN, UNKNOWN],
            {"no_signal": 1.0, "all_right": 0.0, "all_wrong": 0.0},
        ),
    ],
)
def test_groups_are_counted_by_what_they_teach(scores, expected):
    found = group_metrics([7, 7, 9, 9], scores, 2)

    assert {
        name.removeprefix("groups/"): value for name, value in found.items() if "groups" in name
    } == expected
    assert found["reward_varies/format"] == 0.0


def test_a_group_that_another_process_holds_in_part_is_left_out():
    assert group_metrics([7, 7, 9], [RIGHT, WRONG, WRONG], 2)["groups/no_signal"] == 0.0
    assert group_metrics([7], [RIGHT], 2) == {}
    assert group_metrics([7, 7, 7, 7], [RIGHT, RIGHT, RIGHT, WRONG], 2)["groups/no_signal"] == 0.5


@pytest.mark.parametrize(
    ("min_p", "text"),
    [
        (None, "grpo.min_p (now unset), such as 0.1,"),
        (0.1, "grpo.min_p (now 0.1), such as 0.3,"),
        (0.3, "grpo.min_p (now 0.3), or"),
    ],
)
def test_a_tail_is_cut_further_than_now(min_p, text):
    assert text in facts(settings={"min_p": min_p}).cut_the_tail()
