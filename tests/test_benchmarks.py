"""Relaxed accuracy, ANLS and quantities, against plain definitions of each."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rftcore import parsers, rewards
from rftcore.errors import PluginError, SampleError
from rftcore.rewards.attacks import library
from rftcore.types import Parser, Reward, RewardInput, Sample
from rftcore.units import unit_of

words = st.text("abcAB 1.,%", max_size=12) | st.text(max_size=12)
anls, relaxed, quantity = rewards.anls(), rewards.relaxed(), rewards.quantity()


def distance(one: str, other: str) -> int:
    """The textbook's table, row by row."""
    row = list(range(len(other) + 1))
    for char in one:
        above, row = row, [row[0] + 1]
        for at, match in enumerate(other):
            row.append(min(above[at + 1] + 1, row[at] + 1, above[at] + (char != match)))
    return row[-1]


# --- ANLS ---------------------------------------------------------------------


@given(one=words, other=words)
def test_the_levenshtein_distance_is_that_of_the_table(one, other):
    assert rewards.levenshtein(one, other) == distance(one, other)


@given(answer=words, golds=st.lists(words, min_size=1, max_size=3))
def test_anls_is_the_similarity_to_the_closest_gold_where_that_is_close(answer, golds):
    def similarity(gold: str) -> float:
        a, g = (" ".join(text.lower().split()) for text in (answer, gold))
        far = distance(a, g) / max(len(a), len(g), 1)
        return 1 - far if far < 0.5 else 0

    sample = Sample("a", "?", golds[0], meta={"answers": golds})
    earned = anls(RewardInput(answer, golds[0], sample=sample))

    assert earned == pytest.approx(max(map(similarity, golds)))
    assert 0 <= earned <= 1


@given(one=words, other=words)
def test_anls_is_symmetric_and_1_for_equal_texts(one, other):
    assert anls(RewardInput(one, other)) == anls(RewardInput(other, one))
    assert anls(RewardInput(one, one)) == 1


@pytest.mark.parametrize(
    ("answer", "gold", "earned"),
    [
        *(("Cat", "cat", 1), ("kat", "cat", 2 / 3), ("ct", "cat", 2 / 3), ("dog", "cat", 0)),
        *(("ab", "cd", 0), ("ab", "ac", 0), ("abc", "abd", 2 / 3), (None, "cat", 0)),
    ],
)
def test_anls_of_single_answers(answer, gold, earned):
    assert anls(RewardInput(answer, gold)) == pytest.approx(earned)


def test_other_right_answers_that_are_no_texts_are_bad_data():
    for wrong in ("cat", [3], {"cat": 1}):
        with pytest.raises(SampleError, match="list of texts"):
            anls(RewardInput("cat", "cat", sample=Sample("a", "?", "cat", meta={"answers": wrong})))


# --- relaxed accuracy ---------------------------------------------------------


@given(gold=st.integers(1, 10**6), percent=st.integers(-20, 20))
def test_a_number_is_right_up_to_five_percent_exactly(gold, percent):
    answer = f"{gold * (100 + percent)}e-2"

    assert relaxed(RewardInput(answer, str(gold))) == (abs(percent) <= 5)


@pytest.mark.parametrize(
    ("answer", "gold", "earned"),
    [
        *(("105", "100", 1), ("95", "100", 1), ("105.1", "100", 0), ("94.9", "100", 0)),
        *(("-105", "-100", 1), ("100", "-100", 0), ("0", "0.0", 1), ("0.001", "0", 0)),
        *(("Yes", "yes", 1), ("yes", "no", 0), ("1,000", "1000", 1), ("50%", "0.5", 1)),
        *(("50%", "50", 0), ("2010", "2009", 1), ("nan", "5", 0), ("nan", "nan", 1)),
        *(("5 cats", "5", 0), ("95, 100, 105", "100", 0), (None, "5", 0), (102.0, 100.0, 1)),
        *((3.0, "3", 1), ("inf", "5", 0), ("\u0665", "5", 0), ("1_0", "10", 0)),
    ],
)
def test_relaxed_accuracy_of_single_answers(answer, gold, earned):
    assert relaxed(RewardInput(answer, gold)) == earned


@given(text=words, gold=words)
def test_relaxed_accuracy_is_0_or_1_and_1_for_the_gold(text, gold):
    assert relaxed(RewardInput(text, gold)) in (0, 1)
    assert relaxed(RewardInput(gold, gold)) == 1


# --- quantities ---------------------------------------------------------------

UNITS = [
    "m",
    "cm",
    "mm",
    "km",
    "inch",
    "kg",
    "g",
    "s",
    "h",
    "km/h",
    "m^2",
    "L",
    "°",
    "rad",
    "%",
    "$",
]
number = st.floats(-1e9, 1e9).filter(lambda n: n == 0 or abs(n) > 1e-9)


@given(number=number, unit=st.sampled_from(UNITS))
def test_a_quantity_that_is_shown_reads_back(number, unit):
    parser = parsers.Quantity()
    value = parser.gold(f"{number!r} {unit}").value

    assert parser.gold(parser.show(value)).value == value
    assert quantity(RewardInput(value, value)) == 1


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        *(("3.5 cm", "35 mm", 1), ("35mm", "0.035 m", 1), ("3.5 cm", "3.6 cm", 0)),
        *(("1 h", "60 min", 1), ("36 km/h", "10 m/s", 1), ("1 L", "1000 cm^3", 1)),
        *(("1 L", "1000 cm³", 1), ("180 °", "180 degrees", 1), ("$5", "5 dollars", 1)),
        *(("5 cm", "5 kg", 0), ("20 °C", "68 °F", 0), ("€5", "$5", 0), ("0 m", "0 cm", 1)),
        *(("0 m", "0 kg", 0), ("50 %", "0.5 m", 0), ("-5 m", "5 m", 0), ("12 in", "1 ft", 1)),
    ],
)
def test_quantities_are_compared_in_base_units(one, other, same):
    a, b = (parsers.Quantity().gold(text).value for text in (one, other))

    assert quantity(RewardInput(a, b)) == quantity(RewardInput(b, a)) == same == (a == b)


@given(length=st.integers(1, 10**6), percent=st.integers(-20, 20))
def test_a_quantity_is_right_up_to_its_tolerance_exactly(length, percent):
    parser = parsers.Quantity()
    gold, answer = parser.gold(f"{length} cm"), parser.gold(f"{length * (100 + percent)}e-3 cm")
    near = parser.gold(f"{length * (100 + percent)}e-1 mm")

    assert rewards.quantity(0.05)(RewardInput(near.value, gold.value)) == (abs(percent) <= 5)
    assert rewards.quantity(0.05)(RewardInput(answer.value, gold.value)) == 0


@pytest.mark.parametrize(
    "text",
    ["5", "cm", "5 apples", "$5 cm", "5 cm 3 mm", "5 cm or 35 mm", "1e999 m", "nan m", "five m"],
)
def test_what_is_not_one_quantity_is_a_parse_error(text):
    assert not parsers.Quantity().gold(text).ok


def test_a_bare_number_has_the_unit_of_the_task():
    assert parsers.Quantity("cm").gold("3.5") == parsers.Quantity().gold("3.5 cm")
    with pytest.raises(PluginError, match="not a known unit"):
        parsers.Quantity("bananas")
    assert unit_of("bananas") is None


# --- all of them --------------------------------------------------------------

TASKS: list[tuple[Parser, Reward, list[str]]] = [
    (
        parsers.Boxes(),
        rewards.iou(),
        ["[10, 10, 90, 90]", "[500, 20, 700, 90]", "[1, 800, 99, 999]"],
    ),
    (parsers.Boxes(most=5), rewards.iou(), ["[[10, 10, 90, 90]]", "[[500, 20, 700, 90]]", "[]"]),
    (parsers.Quantity(), rewards.quantity(0.01), ["3.5 cm", "4 kg", "12 %", "7 cm"]),
    (parsers.Text(), rewards.relaxed(), ["3.5", "12", "Brazil", "blue", "1999"]),
    (parsers.Text(), rewards.anls(), ["Dr. Miller", "12 May 1998", "total", "$ 45.00"]),
]
KINDS = [reward.func.__name__ for _, reward, _ in TASKS]


@pytest.mark.parametrize(("parser", "reward", "golds"), TASKS, ids=KINDS)
def test_no_attack_earns_half_of_what_the_truth_earns(parser, reward, golds):
    for gold in golds:
        wrong = [text for text in golds if text != gold]
        for name, attack in library("How long is it?", gold, wrong):
            value = parser.parse(attack).value
            earned = reward(RewardInput(value, parser.gold(gold).value))
            honest = name.startswith("repeat") and value == parser.gold(gold).value
            assert earned < 0.5 or honest, (name, attack[:90])


@pytest.mark.parametrize(("parser", "reward", "golds"), TASKS, ids=KINDS)
@given(text=st.text())
def test_any_answer_earns_between_0_and_1(parser, reward, golds, text):
    for read in (parser, parsers.forgiving(parser)):
        value = read.parse(text).value
        assert 0 <= reward(RewardInput(value, parser.gold(golds[0]).value)) <= 1


@pytest.mark.parametrize("make", [rewards.relaxed, rewards.quantity])
@pytest.mark.parametrize("within", [-0.1, 1, float("nan")])
def test_a_tolerance_that_means_nothing_is_an_error(make, within):
    with pytest.raises(PluginError, match="relative error"):
        make(within=within)
