"""The figures are right: drawings are measured and compared with the texts."""

import ast
import math
import re
from collections.abc import Iterator

import pytest
from measuring import angle, measured, right_value, spots, values_in
from rft_structure import structure
from rft_structure.kinds import HELD_OUT, TRAINED

from rftcore.types import Sample

SAMPLES = 2000  # of each family
MANY = 2 * 10**6
DATA = structure(sft=MANY, ood_diagram=MANY, ood_compose=MANY).dataset
FAMILIES = sorted({kind.family for kind in (*TRAINED, *HELD_OUT)})
EXACT = 1e-3  # of a value: coordinates are kept to a thousandth of a pixel


def places(family: str) -> Iterator[tuple[str, int]]:
    """Splits and indices of the samples of one family, without end."""
    mine = [("sft", at) for at, kind in enumerate(TRAINED) if kind.family == family]
    mine += [("ood-compose", at) for at, kind in enumerate(HELD_OUT) if kind.family == family]
    for turn in range(MANY):
        for split, at in mine:
            yield split, at + turn * len(TRAINED if split == "sft" else HELD_OUT)


def drawn(split: str, index: int) -> tuple[Sample, float]:
    """A sample and the radius of its circle in pixels."""
    circles = DATA.drawing(split, index).circles
    return DATA.sample(split, index), circles[0][2] if circles else math.nan


def few(split: str, count: int = 400) -> list[Sample]:
    return [DATA.sample(split, at) for at in range(count)]


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_the_answer_is_what_the_drawing_measures(family: str):
    for (split, index), _ in zip(places(family), range(SAMPLES), strict=False):
        sample, radius = drawn(split, index)
        found = measured(sample, *sample.meta["asked"], radius)

        rounding = 0.05 if sample.meta["asked"][1] in ("circle", "sector") else 0.0
        assert abs(found - float(right_value(sample))) <= rounding + EXACT * found, sample


@pytest.mark.parametrize("split", ["sft", "ood-compose"])
def test_every_value_in_question_and_reasoning_is_what_the_drawing_measures(split: str):
    for sample in few(split):
        written = values_in(sample.question) + values_in(sample.cot)
        assert written or sample.meta["family"] in ("area", "circle")
        for kind, names, value in written:
            found = measured(sample, kind, "", names, math.nan)
            assert found == pytest.approx(value, rel=EXACT), (sample, names)


@pytest.mark.parametrize("split", ["sft", "ood-compose"])
def test_the_question_gives_every_value_and_nothing_but_what_is_given(split: str):
    for sample in few(split):
        given = {(kind, "".join(names), value) for kind, _, names, value in sample.meta["given"]}
        written = set(values_in(sample.question))

        assert given <= written
        assert all(value == 90 for _, _, value in written - given)


def cross(sample: Sample, names: str) -> float:
    """Sine of the angle between the directions of two segments."""
    a, b, c, d = (complex(*spot) for spot in spots(sample, names))
    way = (b - a) * (d - c).conjugate()
    return way.imag / abs(way)


@pytest.mark.parametrize("split", ["sft", "ood-compose"])
def test_lines_in_the_question_are_so_in_the_drawing(split: str):
    for sample in few(split):
        text = sample.question
        for names in re.findall(r"(\w \w) and (\w \w) are parallel\.", text):
            assert cross(sample, "".join(names).replace(" ", "")) == pytest.approx(0, abs=EXACT)
        for middle, a, b in re.findall(r"(\w) is on line (\w) (\w)\.", text):
            assert angle(*spots(sample, (a, middle, b))) == pytest.approx(180, abs=0.1)


@pytest.mark.parametrize("split", ["sft", "ood-compose"])
def test_sides_that_are_called_equal_are(split: str):
    for sample in few(split):
        for a, b, c, d in re.findall(r"(\w) (\w) and (\w) (\w) are equal\.", sample.question):
            p, q, r, s = spots(sample, (a, b, c, d))
            assert math.dist(p, q) == pytest.approx(math.dist(r, s), rel=EXACT)


# -- the reasoning, checked from its text alone ---------------------------------------------------


def value_of(expression: str) -> float:
    """Evaluate digits, pi and + - * / ( ) without anything of Python's own."""

    def walk(node: ast.AST) -> float:
        match node:
            case ast.BinOp(left, ast.Add(), right):
                return walk(left) + walk(right)
            case ast.BinOp(left, ast.Sub(), right):
                return walk(left) - walk(right)
            case ast.BinOp(left, ast.Mult(), right):
                return walk(left) * walk(right)
            case ast.BinOp(left, ast.Div(), right):
                return walk(left) / walk(right)
            case ast.Constant(float() | int() as value):
                return float(value)
            case ast.Name("pi"):
                return math.pi
        raise ValueError(expression)

    return walk(ast.parse(expression, mode="eval").body)


def calculations(sample: Sample) -> Iterator[list[str]]:
    """The sides of the equations of each line of the reasoning, without the names."""
    for line in re.findall(r": (.+?)\.(?= [A-Z]|$| \d)", sample.cot):
        for equation in line.split(", "):
            yield [side for side in equation.split(" = ") if re.fullmatch(r"[\d.+*/() pi-]+", side)]


@pytest.mark.parametrize("split", ["sft", "ood-compose"])
def test_every_calculation_comes_out(split: str):
    for sample in few(split):
        for sides in calculations(sample):
            values = [value_of(side) for side in sides]
            assert values
            assert values == pytest.approx([values[0]] * len(values), abs=0.0501), sample.cot


@pytest.mark.parametrize("split", ["sft", "ood-compose"])
def test_the_reasoning_ends_in_the_answer(split: str):
    for sample in few(split):
        value = right_value(sample)
        ending = f" {sample.gold} {value} yes." if sample.meta["choices"] else f"= {value}."

        assert sample.cot.endswith(ending)
        assert f"= {value}." in sample.cot


@pytest.mark.parametrize("split", ["sft", "ood-compose"])
def test_the_choices_are_tried_in_order_up_to_the_right_one(split: str):
    for sample in few(split):
        tried = re.findall(r"([A-D]) ([\d.]+) (yes|no)[,.]", sample.cot)
        assert [letter for letter, _, _ in tried] == [*"ABCD"][: len(tried)]
        assert [verdict for _, _, verdict in tried][:-1] == ["no"] * (len(tried) - 1)
        for letter, value, _ in tried:
            assert f" {letter} {value}" in sample.question.partition("Choices:")[2]


def test_the_reasoning_has_one_line_for_each_theorem():
    for sample in few("sft"):
        assert 1 <= len(sample.meta["theorems"]) <= 3
        assert sample.cot.count(": ") == len(sample.meta["theorems"])
