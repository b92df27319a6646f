"""Intervals that can be trusted, and a table that says what it shows."""

from hypothesis import given
from hypothesis import strategies as st

from rftcore.evaluation import wilson
from rftcore.summary import score_table
from rftcore.types import SplitScore

counts = st.integers(1, 2000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(counts)
def test_an_interval_holds_the_share_and_stays_within_0_and_1(count):
    correct, n = count
    low, high = wilson(correct, n)

    assert 0 <= low <= correct / n <= high <= 1


@given(counts)
def test_intervals_mirror_when_right_and_wrong_change_places(count):
    correct, n = count
    (low, high), (mirror_low, mirror_high) = wilson(correct, n), wilson(n - correct, n)

    assert abs(low - (1 - mirror_high)) < 1e-12
    assert abs(high - (1 - mirror_low)) < 1e-12


@given(counts)
def test_ten_times_the_samples_make_a_narrower_interval(count):
    correct, n = count
    (low, high), (low10, high10) = wilson(correct, n), wilson(10 * correct, 10 * n)

    assert high10 - low10 < high - low


def test_wilson_agrees_with_published_values():
    # Newcombe 1998, doi:10.1002/(SICI)1097-0258(19980430)17:8<857::AID-SIM777>3.0.CO;2-E, table I
    assert [round(x, 4) for x in wilson(81, 263)] == [0.2553, 0.3662]
    assert [round(x, 4) for x in wilson(15, 148)] == [0.0624, 0.1605]
    assert [round(x, 4) for x in wilson(0, 20)] == [0.0, 0.1611]


def test_no_samples_say_nothing():
    assert wilson(0, 0) == (0.0, 1.0)


def test_the_table_gives_each_cell_in_percent_and_a_dash_for_what_was_not_measured():
    score = SplitScore("val", "reason", 200, 0.5, 0.431, 0.569, 0.0, 0.0, 30.0)
    table = score_table([("zero-shot", [score]), ("after SFT", [])])

    assert "val (n=200)" in table
    assert "50.0 [43.1, 56.9]" in table
    assert table.splitlines()[-1].split() == ["after", "SFT", "-"]
