"""Boxes: overlap against pixel counting, matching against every permutation, frames, text."""

import math
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rftcore import parsers, rewards
from rftcore.boxes import Box, iou, matching, resized
from rftcore.errors import PluginError, SampleError
from rftcore.types import RewardInput

GRID = 12
edges = st.integers(1, GRID).flatmap(lambda end: st.tuples(st.integers(0, end - 1), st.just(end)))
boxes = st.builds(lambda x, y: Box(x[0], y[0], x[1], y[1]), edges, edges)
several = st.lists(boxes, max_size=4).map(lambda found: tuple(sorted(found)))
coordinate = st.integers(0, 1000 * 10**6).map(lambda n: n / 10**6)
any_number = st.floats() | st.integers(-5, 5)


def pixels(box: Box) -> set[tuple[int, int]]:
    return {
        (x, y)
        for x in range(GRID)
        for y in range(GRID)
        if box.left <= x < box.right and box.top <= y < box.bottom
    }


@given(one=boxes, other=boxes)
def test_iou_is_the_share_of_common_pixels(one, other):
    a, b = pixels(one), pixels(other)

    assert iou(one, other) == pytest.approx(len(a & b) / len(a | b), abs=1e-12)


@given(one=boxes, other=boxes)
def test_iou_is_symmetric_and_1_for_equal_boxes_only(one, other):
    assert iou(one, other) == iou(other, one)
    assert (iou(one, other) == 1) == (one == other)


@given(one=boxes, other=boxes, x=st.integers(1, 9), y=st.integers(1, 9))
def test_iou_does_not_depend_on_the_frame(one, other, x, y):
    def stretched(box: Box) -> Box:
        return Box(box.left * x, box.top * y, box.right * x, box.bottom * y)

    assert iou(stretched(one), stretched(other)) == pytest.approx(iou(one, other))


@given(numbers=st.tuples(*[any_number] * 8))
def test_iou_of_any_numbers_is_between_0_and_1(numbers):
    assert 0 <= iou(Box(*numbers[:4]), Box(*numbers[4:])) <= 1


@pytest.mark.parametrize(
    "bad", [(2, 2, 2, 4), (4, 2, 2, 4), (math.nan, 0, 4, 4), (0, 0, math.inf, 1)]
)
def test_a_box_without_area_overlaps_with_nothing(bad):
    assert iou(Box(*bad), Box(*bad)) == iou(Box(*bad), Box(0, 0, 9, 9)) == 0


@given(rows=st.integers(0, 4), columns=st.integers(0, 4), data=st.data())
def test_the_matching_is_the_best_of_all(rows, columns, data):
    row = st.lists(st.floats(0, 1), min_size=columns, max_size=columns)
    weights = data.draw(st.lists(row, min_size=rows, max_size=rows))
    few, many = sorted((rows, columns))
    flat = weights if rows <= columns else [*zip(*weights, strict=True)]
    best = max(
        (
            sum(flat[at][to] for at, to in enumerate(order))
            for order in permutations(range(many), few)
        ),
        default=0,
    )

    assert matching(weights) == pytest.approx(best)


# --- frames -------------------------------------------------------------------


@given(size=st.tuples(st.integers(10, 3000), st.integers(10, 3000)), data=st.data())
def test_a_box_in_thousandths_is_within_half_a_thousandth(size, data):
    x = sorted(data.draw(st.lists(st.integers(0, size[0]), min_size=2, max_size=2, unique=True)))
    y = sorted(data.draw(st.lists(st.integers(0, size[1]), min_size=2, max_size=2, unique=True)))
    box = Box(x[0], y[0], x[1], y[1])
    made = box.scaled(size, (1000, 1000))

    assert made.width > 0
    assert made.height > 0
    assert parsers.Boxes().gold(parsers.Boxes().show((made,))).value == (made,)
    for number, exact, side in zip(made, box, size * 2, strict=True):
        assert abs(number - exact / side * 1000) <= 1


@settings(max_examples=300, deadline=None)
@given(
    size=st.tuples(st.integers(20, 3000), st.integers(20, 3000)),
    factor=st.sampled_from([28, 32]),
    low=st.sampled_from([3136, 65536]),
    high=st.sampled_from([200_000, 1_003_520]),
)
def test_an_image_is_resized_as_qwens_processor_does(size, factor, low, high):
    from transformers.models.qwen2_vl.image_processing_qwen2_vl import smart_resize

    width, height = size
    expected = smart_resize(height, width, factor=factor, min_pixels=low, max_pixels=high)
    assert resized(size, factor=factor, min_pixels=low, max_pixels=high) == expected[::-1]


# --- the parser ---------------------------------------------------------------

PARSERS = [
    *(parsers.Boxes(), parsers.Boxes(order="yxyx"), parsers.Boxes(order="xywh")),
    *(parsers.Boxes(frame="pixels", most=4), parsers.Boxes(order="xywh", most=4)),
]


@pytest.mark.parametrize("parser", PARSERS, ids=repr)
@given(data=st.data())
def test_boxes_that_are_shown_read_back(parser, data):
    side = st.lists(coordinate, min_size=2, max_size=2, unique=True).map(sorted)
    one = st.builds(lambda x, y: Box(x[0], y[0], x[1], y[1]), side, side)
    least = 1 if parser.most == 1 else 0
    value = tuple(sorted(data.draw(st.lists(one, min_size=least, max_size=parser.most))))

    assert parser.gold(parser.show(value)).value == value
    assert parser.parse(f"<think>a</think><answer>{parser.show(value)}</answer>").value == value


A, B = Box(1, 2, 3, 4), Box(5, 6, 7.5, 8)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("[1, 2, 3, 4]", (A,)), ("(1,2,3,4)", (A,)), ("1 2 3 4", (A,)), (" [[1,2 ,3,4]] ", (A,))),
        *(("[1, 2, 3, 4], [5, 6, 7.5, 8]", (A, B)), ("[[5,6,7.50,8],[1,2,3,4]]", (A, B))),
        *(("(5,6,7.5,8) (1,2,3,4)", (A, B)), ("[]", ()), ("[ ]", ()), ("+1, 2.0, 3, 4", (A,))),
    ],
)
def test_which_texts_are_boxes(text, value):
    assert parsers.Boxes(most=3).gold(text).value == value
    assert parsers.Boxes().gold(text).value == (value if len(value) == 1 else None)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        *(("[1, 2, 3]", "not one box"), ("[1,2,3,4,5]", "not one box"), ("", "not one box")),
        *(("[nan, 2, 3, 4]", "not one box"), ("[1,2,3,4", "not one box"), ("a cat", "not one box")),
        *(("[1,2,3,4] [5,6,7,8]", "not one box"), ("[1e2,2,300,4]", "not one box")),
        *(("[3, 2, 1, 4]", "without area"), ("[1, 2, 1, 4]", "without area")),
        *(("[0, 0, 1280, 720]", "outside the frame"), ("[-1, 0, 5, 5]", "outside the frame")),
        *(("[1, 2, 3, 4]" * 99, "too long"), ("[[1,2,3,4],]", "not one box")),
    ],
)
def test_what_is_not_a_box_is_a_parse_error_with_the_reason(text, reason):
    assert reason in parsers.Boxes().gold(text).error


@pytest.mark.parametrize(
    "text",
    [
        *("(1, 2), (3, 4)", "<|box_start|>(1,2),(3,4)<|box_end|>", "<box>[[1, 2, 3, 4]]</box>"),
        "<|object_ref_start|>a cat<|object_ref_end|><|box_start|>(1,2),(3,4)<|box_end|>",
        '```json\n[{"bbox_2d": [1, 2, 3, 4], "label": "cat"}]\n```',
        *('{"bbox": [1, 2, 3, 4]}', "The answer is [1, 2, 3, 4].", "**[1, 2, 3, 4]**"),
    ],
)
def test_a_forgiving_parser_reads_the_boxes_that_models_write(text):
    assert not parsers.Boxes().parse(text).ok
    assert parsers.forgiving(parsers.Boxes()).parse(text).value == (A,)


@pytest.mark.parametrize("options", [{"frame": "norm"}, {"order": "xyx"}, {"most": 0}])
def test_an_unknown_format_is_an_error_that_lists_the_known_ones(options):
    with pytest.raises(PluginError, match="Boxes:"):
        parsers.Boxes(**options)


@pytest.mark.parametrize("parser", PARSERS, ids=repr)
def test_the_instruction_of_the_prompt_has_frame_and_order(parser):
    assert all(word in parser.instruction for word in ("left", "top", "image"))
    assert ("1000" in parser.instruction) == (parser.frame == "norm1000")


# --- the reward ---------------------------------------------------------------

overlap, found = rewards.iou(), rewards.iou(threshold=0.5)


@given(answer=several, gold=several)
def test_the_reward_is_the_best_matching_over_the_larger_number(answer, gold):
    few, many = sorted((answer, gold), key=len)
    sums = [
        sum(iou(one, other) for one, other in zip(few, order, strict=False))
        for order in permutations(many, len(few))
    ]
    expected = max(sums) / len(many) if many else 1

    assert overlap(RewardInput(answer, gold)) == pytest.approx(expected)
    assert overlap(RewardInput(answer, gold)) == pytest.approx(overlap(RewardInput(gold, answer)))


@given(answer=several, gold=several)
def test_only_the_gold_boxes_earn_everything(answer, gold):
    assert (overlap(RewardInput(answer, gold)) == 1) == (answer == gold)
    assert found(RewardInput(gold, gold)) == 1


@given(
    gold=st.lists(boxes, min_size=1, max_size=4).map(tuple),
    more=st.lists(boxes, min_size=1, max_size=3),
)
def test_more_guesses_never_pay(gold, more):
    assert overlap(RewardInput((*gold, *more), gold)) < 1
    assert found(RewardInput((*gold, *more), gold)) < 1


@pytest.mark.parametrize(
    ("answer", "pays"), [((0, 0, 10, 10), 1), ((0, 0, 10, 5), 1), ((0, 0, 10, 4), 0), (None, 0)]
)
def test_with_a_threshold_a_box_is_found_or_not(answer, pays):
    value = None if answer is None else (Box(*answer),)

    assert found(RewardInput(value, (Box(0, 0, 10, 10),))) == pays


@pytest.mark.parametrize("threshold", [0, -1, 1.5, math.nan])
def test_a_threshold_that_means_nothing_is_an_error(threshold):
    with pytest.raises(PluginError, match="threshold"):
        rewards.iou(threshold=threshold)


def test_a_gold_that_is_no_box_is_bad_data():
    assert "parser boxes" in rewards.gold_fault(overlap, 5.0)
    with pytest.raises(SampleError, match="parser boxes"):
        overlap(RewardInput(None, "[1, 2, 3, 4]"))
