"""Intervals that hold the truth as often as they claim, and tests that agree with scipy."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from rftcore.intervals import difference, paired, wilson
from rftcore.statistics import change, holm, share
from rftcore.statistics.crossed import _variance

DRAWS = 400
matrices = (
    st.integers(2, 4)
    .flatmap(
        lambda seeds: st.lists(
            st.lists(st.integers(0, 1), min_size=seeds, max_size=seeds), min_size=2, max_size=12
        )
    )
    .map(lambda rows: np.array(rows).T)
)


def answers(rng, share_right, *, seeds, questions, between_seeds, difficulty):
    """Right or wrong, (DRAWS, seeds, questions): probit, with effects of seed and question.

    between_seeds: the standard deviation of accuracy between seeds, near `share_right`.
    """
    at = stats.norm.ppf(share_right)
    scale = np.sqrt(2.0)  # of the question's effect and the residual
    effect = rng.normal(0, 1, (DRAWS, seeds, 1)) * between_seeds / stats.norm.pdf(at) * scale
    mean = at * np.sqrt(2 + (between_seeds / stats.norm.pdf(at) * scale) ** 2)
    noise = rng.normal(0, 1, (DRAWS, seeds, questions))
    return (mean + effect + difficulty + noise > 0).astype(float)


def covered(intervals, truth):
    return np.mean([low <= truth <= high for low, high in intervals])


@pytest.mark.parametrize("seeds", [2, 3, 5])
@pytest.mark.parametrize("between_seeds", [0.0, 0.02, 0.05])
@pytest.mark.parametrize("right", [0.3, 0.6])
def test_intervals_over_seeds_hold_the_truth(seeds, between_seeds, right):
    rng = np.random.default_rng([seeds, int(100 * between_seeds)])
    difficulty = rng.normal(0, 1, (DRAWS, 1, 300))
    shape = {"seeds": seeds, "questions": 300, "difficulty": difficulty}
    before = answers(rng, right, between_seeds=between_seeds, **shape)
    after = answers(rng, right + 0.1, between_seeds=between_seeds, **shape)
    changes = [change(a, b) for a, b in zip(after, before, strict=True)]
    shares = [share(y) for y in before]

    assert covered([(c.low, c.high) for c in changes], 0.1) > 0.92
    assert covered([(s.low, s.high) for s in shares], right) > 0.92


@pytest.mark.parametrize("right", [0.004, 0.5, 0.97])
def test_intervals_of_one_run_hold_the_truth(right):
    rng = np.random.default_rng(5)
    drawn, other = rng.binomial(300, right, 4000), rng.binomial(200, 0.4, 4000)
    both = [difference((a, 300), (b, 200)) for a, b in zip(drawn, other, strict=True)]

    assert 0.93 < covered([wilson(n, 300) for n in drawn], right) < 0.99
    assert 0.93 < covered(both, right - 0.4) < 0.99


def test_a_bootstrap_of_two_seeds_is_too_narrow_and_ours_is_not():
    rng = np.random.default_rng(1)
    difficulty = rng.normal(0, 1, (DRAWS, 1, 300))
    y = answers(rng, 0.5, seeds=2, questions=300, between_seeds=0.08, difficulty=difficulty)
    picked = rng.integers(0, 2, (DRAWS, 500, 2))
    means = np.take_along_axis(y.mean(2)[:, None, :], picked, axis=2).mean(2)
    bootstrap = np.quantile(means, [0.025, 0.975], axis=1).T

    assert covered(bootstrap, 0.5) < 0.7
    assert covered([(s.low, s.high) for s in map(share, y)], 0.5) > 0.92


@given(st.lists(st.floats(0, 1), min_size=2, max_size=6, unique_by=lambda x: round(x, 3)))
def test_where_only_seeds_vary_the_test_is_the_paired_t_test_over_seeds(gains):
    variance, df = _variance(np.repeat(np.array(gains)[:, None], 6, axis=1))
    expected = stats.ttest_1samp(gains, 0.0)

    assert np.mean(gains) / variance**0.5 == pytest.approx(expected.statistic)
    assert df == pytest.approx(expected.df)


@given(st.lists(st.integers(-1, 1), min_size=3, max_size=30))
def test_where_only_questions_vary_the_test_is_the_paired_t_test_over_questions(gained):
    y = np.array([gained, gained, gained], dtype=float)
    variance, df = _variance(y)

    assert variance == pytest.approx(np.var(gained, ddof=1) / len(gained))
    assert df >= 2


@given(matrices)
def test_the_mean_squares_are_those_of_the_analysis_of_variance(y):
    seeds, questions = y.shape
    total = ((y - y.mean()) ** 2).sum()
    of_seeds = questions * ((y.mean(1) - y.mean()) ** 2).sum()
    of_questions = seeds * ((y.mean(0) - y.mean()) ** 2).sum()
    rest = (total - of_seeds - of_questions) / ((seeds - 1) * (questions - 1))
    least = max(of_seeds / (seeds - 1), rest)
    total = least + max(of_questions / (questions - 1) - rest, 0)
    variance, df = _variance(y.astype(float))

    assert variance == pytest.approx(total / y.size, abs=1e-12)
    if least > 1e-9:
        assert df == pytest.approx((seeds - 1) * (total / least) ** 2, rel=1e-6)


@given(matrices, st.randoms(use_true_random=False))
def test_an_interval_contains_zero_exactly_if_its_test_does_not_reject(y, random):
    before = np.array([random.choices([0, 1], k=y.shape[1]) for _ in y])
    found = change(y, before)

    assert (found.low <= 0 <= found.high) == (found.p >= 0.05)
    assert -1 <= found.low <= found.high <= 1


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=80))
def test_one_seed_has_mcnemars_test_and_the_paired_interval(pairs):
    after, before = ([float(x) for x in column] for column in zip(*pairs, strict=True))
    won, lost = pairs.count((True, False)), pairs.count((False, True))
    found = change([after], [before])
    tail = stats.binom.cdf(min(won, lost), won + lost, 0.5)

    assert (found.low, found.high) == paired(won, lost, len(pairs))
    assert found.p == pytest.approx(min(1.0, 2 * tail))


@given(matrices)
def test_right_and_wrong_mirror_each_other(y):
    one, other = share(y), share(1 - y)
    change_, back = change(y, 1 - y), change(1 - y, y)

    assert (one.low, one.high) == pytest.approx((1 - other.high, 1 - other.low))
    assert (change_.low, change_.p) == pytest.approx((-back.high, back.p))


@pytest.mark.parametrize("right", [0, 1, 4])
def test_few_right_answers_of_many_seeds_have_an_interval_like_that_of_one(right):
    row = [1.0] * right + [0.0] * (1000 - right)

    assert share([row, row]).high == pytest.approx(share([row]).high, abs=0.002)
    assert share([row, [0.0] * 1000]).high < 0.06


@given(matrices)
def test_a_share_is_in_its_interval_within_0_and_1(y):
    found = share(y)

    assert 0 <= found.low <= found.value <= found.high <= 1
    assert found.high > found.low


def closed_testing(p_values):
    """Holm by its definition: the worst Bonferroni test of every set that a hypothesis is in."""
    every = range(len(p_values))
    sets = [s for size in every for s in combinations(every, size + 1)]
    bonferroni = {s: min(1.0, len(s) * min(p_values[i] for i in s)) for s in sets}
    return [max(p for s, p in bonferroni.items() if i in s) for i in every]


@given(st.lists(st.floats(0, 1), max_size=7))
def test_holm_is_closed_testing_with_bonferroni(p_values):
    assert holm(p_values) == pytest.approx(closed_testing(p_values))
