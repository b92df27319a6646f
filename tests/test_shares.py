"""Shares by group, pass@k and majority votes equal what counting by hand gives."""

import random
from collections import Counter
from dataclasses import asdict
from itertools import combinations
from statistics import fmean, stdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rftcore import jsontext
from rftcore.completions import ScoredCompletion
from rftcore.evaluation import shares
from rftcore.evaluation.details import detail_tables
from rftcore.evaluation.scores import Mean, SplitScore
from rftcore.evaluation.shares import by_group, majority, mean, pass_at, sampled, share
from rftcore.evaluation.tables import score_table
from rftcore.intervals import wilson
from rftcore.types import Task


def row(index=0, correct=True, answer=None, **meta):
    return ScoredCompletion(
        id=str(index),
        index=index,
        question="?",
        gold="1",
        completion="",
        answer=answer,
        correct=correct,
        meta=meta,
    )


@given(st.integers(1, 7), st.data())
def test_pass_at_k_is_the_share_of_all_choices_of_k_with_a_right_one(n, data):
    right, k = data.draw(st.integers(0, n)), data.draw(st.integers(1, n))
    choices = list(combinations([True] * right + [False] * (n - right), k))

    assert pass_at(k, n, right) == pytest.approx(sum(map(any, choices)) / len(choices))


def test_pass_at_k_is_unbiased_where_the_plug_in_estimator_is_not():
    rng, p, n, k = random.Random(0), 0.3, 5, 3
    counts = [sum(rng.random() < p for _ in range(n)) for _ in range(20_000)]
    truth = 1 - (1 - p) ** k

    assert fmean(pass_at(k, n, right) for right in counts) == pytest.approx(truth, abs=0.01)
    assert abs(fmean(1 - (1 - right / n) ** k for right in counts) - truth) > 0.03


letters = st.lists(st.tuples(st.sampled_from(["a", "b", None]), st.booleans()), min_size=1)


@given(letters)
def test_the_majority_is_right_if_the_first_of_the_most_frequent_answers_is(drawn):
    truth = dict(reversed(drawn))
    group = [row(correct=truth[answer], answer=answer) for answer, _ in drawn]
    votes = [answer for answer, _ in drawn if answer is not None]
    most = max(Counter(votes).values(), default=0)
    winners = [answer for answer in votes if votes.count(answer) == most]

    assert majority(group) == (bool(winners) and truth[winners[0]])


def test_drawn_completions_are_summed_up_by_question():
    rights = {0: [True, False, False, False], 1: [True] * 4, 2: [False] * 4, 3: [None] * 4}
    rows = [row(index, right, answer=str(right)) for index, of in rights.items() for right in of]
    found = sampled(rows)

    assert (found.k, found.accuracy.n) == (4, 3)
    assert found.accuracy.accuracy == pytest.approx((0.25 + 1 + 0) / 3)
    assert found.pass_at == pytest.approx({"1": 1.25 / 3, "2": 1.5 / 3, "4": 2 / 3})
    assert found.majority.accuracy == pytest.approx(1 / 3)
    assert sampled([row(0, None)]) is None


def test_drawn_completions_of_which_one_alone_was_scored_have_pass_at_1_only():
    assert sampled([row(0, True), row(0, None)]).pass_at == {"1": 1.0}


@given(st.lists(st.tuples(st.sampled_from("xy"), st.none() | st.booleans()), max_size=9))
def test_the_accuracy_of_a_group_is_that_of_its_samples(pairs):
    groups = by_group(
        [row(at, right, kind=kind) for at, (kind, right) in enumerate(pairs)], ["kind"]
    )

    assert {*groups["kind"]} == {kind for kind, _ in pairs}
    for kind, found in groups["kind"].items():
        assert found == share(right for name, right in pairs if name == kind)


def test_groups_are_named_by_value_or_length_and_sorted_as_numbers():
    values = [10, 9, [1, 2], None, "b", True, 0.5, {"a": 1, "b": 2, "c": 3}]
    groups = by_group([row(at, key=value) for at, value in enumerate(values)], ["key"])

    assert list(groups["key"]) == ["0.5", "2", "3", "9", "10", "b", "true", "none"]


def test_the_rarest_of_many_groups_are_one():
    rows = [row(at, key=at) for at in range(40)] + [row(at, key=7) for at in range(3)]
    groups = by_group(rows, ["key"])["key"]

    assert len(groups) == shares.MOST_GROUPS + 1
    assert groups["7"].n == 4
    assert sum(found.n for found in groups.values()) == 43


def test_a_mean_has_the_normal_interval_and_none_where_there_are_too_few_values():
    values = [0.2, 0.9, 0.4, 0.4]
    found, half = mean([*values, None]), 1.959963984540054 * stdev(values) / 2

    assert (found.n, found.mean) == (4, pytest.approx(fmean(values)))
    assert (found.low, found.high) == pytest.approx((fmean(values) - half, fmean(values) + half))
    assert mean([0.5]) == Mean(1, 0.5, None, None)
    assert mean([None]) == Mean(0, None, None, None)


TASK = Task("t", "none", str, "integer", {}, groups=("kind",), metrics=("iou",))


def test_a_score_with_everything_reads_back_from_json_and_is_in_the_table():
    rows = [row(at, at < 3, answer="1", kind=at % 2) for at in range(4)]
    score = shares.split_score("val", "reason", rows, of=TASK)
    full = SplitScore.from_json(
        {
            **asdict(score),
            "metrics": {"iou": {"n": 4, "mean": 0.5, "low": 0.25, "high": 0.75}},
            "blind": asdict(share([True, False])),
            "sampled": asdict(sampled([*rows, *rows])),
        }
    )
    again = SplitScore.from_json(jsontext.loads(jsontext.dumps(asdict(full))))
    shown = "\n".join([score_table([("nano", [full])]), *detail_tables([("nano", [full])])])

    assert again == full
    assert full.groups["kind"]["0"].low == wilson(2, 2)[0]
    for part in ("nano, other images", "majority of", "nano, by kind", "mean iou", "0.500 [0.250"):
        assert part in shown


def test_rates_of_faults_are_shown_where_there_are_any():
    score = SplitScore("val", "reason", 100, 0.5, 0.4, 0.6, 0.02, 0.01, 30.0)

    assert [t.splitlines()[-1].split() for t in detail_tables([("nano", [score])])] == [
        ["nano", "2.0,", "1.0"]
    ]
