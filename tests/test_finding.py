"""A sample by its id, and the boxes that previews draw over it."""

import json
import math
from pathlib import Path

import pytest
from PIL import Image as pil

from rftcore import parsers, rewards
from rftcore.boxes import Box
from rftcore.cli import preview
from rftcore.datasets import JsonlDataset
from rftcore.datasets.finding import find
from rftcore.datasets.overlays import Overlay, overlays, undrawn
from rftcore.errors import DataError
from rftcore.images import Image
from rftcore.prompts import think_then_answer
from rftcore.types import Sample, Task, Term
from tests.commands import rft

EXAMPLE = Path(__file__).parents[1] / "examples" / "rft-find-shapes" / "rft_find_shapes.py"
TASK = f"{EXAMPLE}:find_shapes"
GOLD, DECLARED = ((0, 163, 108), (232, 89, 12))


@pytest.fixture
def task(tmp_path) -> Task:
    pil.new("RGB", (200, 100), "white").save(tmp_path / "a.png")
    rows = [
        {"id": f"{split}{at}", "question": f"{split} {at}?", "answer": [100, 200, 500, 800]}
        for split in ("rl", "val", "ood-x")
        for at in range(5)
    ]
    lines = [{**r, "image": "a.png", "split": r["id"][:-1]} for r in rows]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, lines)))
    terms = {"accuracy": Term(rewards.iou(threshold=0.5))}
    data = JsonlDataset(tmp_path / "rows.jsonl")
    return Task("find", data, think_then_answer("?"), parsers.Boxes(), terms)


# --- by id --------------------------------------------------------------------


def test_a_sample_is_found_in_any_split_in_the_order_asked_for(task):
    found = find(task, ["val3", "rl0", "ood-x4"])

    assert [(split, s.id) for split, s in found] == [
        ("val", "val3"),
        ("rl", "rl0"),
        ("ood-x", "ood-x4"),
    ]
    assert found[0][1] == task.dataset.sample("val", 3)


@pytest.mark.parametrize(
    ("ids", "split", "reason"),
    [
        (["val-3"], None, "Did you mean 'val3'"),
        (["zzz"], None, "Ids are such as 'rl0'"),
        (["val3"], "rl", "no sample of split 'rl'"),
        (["val3"], "tset", "no split 'tset'"),
    ],
)
def test_an_id_that_no_sample_has_is_an_error_with_the_closest(task, ids, split, reason):
    with pytest.raises(DataError, match=reason):
        find(task, ids, split)


def test_a_sample_is_shown_by_its_id_as_text_and_as_json():
    text = rft("data", "show", "--task", TASK, "--id", "val-3")
    facts = json.loads(rft("data", "show", "--task", TASK, "--id", "val-3", "--json").output)

    assert facts["split"] == "val"
    assert facts["images"][0]["size"] in ([160, 128], [192, 192], [128, 224])
    assert facts["question"] in text.output
    assert facts["gold"] in text.output
    assert rft("data", "show", "--task", TASK, "--id", "none").exit_code == 2


def test_a_preview_shows_the_samples_that_are_asked_for(tmp_path):
    out = tmp_path / "a.png"
    done = rft("tasks", "preview", TASK, "--id", "val-3", "--id", "test-0", "--out", out)

    assert done.output == f"{out}: 2 samples of val, test\n"
    with pil.open(out) as page:
        colors = {color for _, color in page.getcolors(1 << 20)}
    assert {GOLD, DECLARED} <= colors


# --- boxes --------------------------------------------------------------------


def sample_with(**meta: object) -> Sample:
    data = pil.new("RGB", (200, 100), "white")
    return Sample("a", "?", "[100, 200, 500, 800]", (Image("k", lambda: png(data)),), meta=meta)


def png(image: pil.Image) -> bytes:
    import io

    data = io.BytesIO()
    image.save(data, "PNG")
    return data.getvalue()


SHARE = Box(0.1, 0.2, 0.5, 0.8)


@pytest.mark.parametrize(
    "parser",
    [parsers.Boxes(), parsers.forgiving(parsers.Boxes()), parsers.Forgiving(parsers.Boxes())],
)
def test_the_gold_of_a_parser_of_boxes_is_drawn(parser):
    assert overlays(sample_with(), parser) == [Overlay(0, SHARE, gold=True)]


def test_boxes_in_pixels_are_shares_of_the_image():
    pixels = parsers.Boxes(frame="pixels").gold("[20, 20, 100, 80]").value
    gold = parsers.Boxes(frame="pixels").show(pixels)
    sample = Sample("a", "?", gold, sample_with().images)

    assert overlays(sample, parsers.Boxes(frame="pixels")) == [Overlay(0, SHARE, gold=True)]


def test_declared_boxes_are_drawn_and_others_left_out():
    declared = [
        {"box": [20, 20, 100, 80], "label": "cat"},
        {"box": [0.1, 0.2, 0.5, 0.8], "frame": "unit"},
        *({"box": [1, 2, 3]}, {"box": "x"}, 5, {"box": [1, 2, 3, 4], "image": 7}, {"frame": "no"}),
    ]
    expected = [Overlay(0, SHARE, "cat"), Overlay(0, SHARE)]

    assert overlays(sample_with(boxes=declared), parsers.Text()) == expected
    assert overlays(sample_with(boxes="none"), parsers.Text()) == []


def test_a_preview_warns_of_boxes_that_it_does_not_draw(tmp_path, task):
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    (tmp_path / "odd.jsonl").write_text(json.dumps({**rows[0], "boxes": "abc"}))
    data, out = f"--set=dataset.path={tmp_path / 'odd.jsonl'}", tmp_path / "grid.png"
    done = rft("tasks", "preview", TASK, "--split=rl", data, "--out", out)

    assert "warning: boxes: " in done.stderr
    assert "odd.jsonl row 1: 'boxes' is 'abc'" in done.stderr


ITEM = {"box": [1, 2, 3, 4]}
UNDRAWN = {
    "'boxes' is 'abc': write a list of objects with 'box'": "abc",
    "'boxes' is {'box': [1, 2, 3, 4]}: write a list": ITEM,
    "item 2 of 'boxes' is 5: write": [ITEM, 5],
    "item 1 of 'boxes' is [1, 2, 3, 4]: write": [[1, 2, 3, 4]],
    "item 1 of 'boxes' has box [1, 2, 3]: write four numbers": [{"box": [1, 2, 3]}],
    "item 1 of 'boxes' has box [1, 2, 3, nan]": [{"box": [1, 2, 3, math.nan]}],
    "item 1 of 'boxes' has image 1, of 1 images": [{**ITEM, "image": 1}],
    "item 1 of 'boxes' has frame 'norm': use norm1000": [{**ITEM, "frame": "norm"}],
    "item 1 of 'boxes' has frame []": [{**ITEM, "frame": []}],
}


@pytest.mark.parametrize("expected", UNDRAWN)
def test_a_declared_box_that_cannot_be_drawn_is_named(expected):
    sample = sample_with(boxes=UNDRAWN[expected])

    assert undrawn(sample).startswith(expected)
    assert len(overlays(sample, parsers.Text())) == ("item 2" in expected)


@pytest.mark.parametrize("boxes", [None, 3, [], [ITEM], ({**ITEM, "label": 7, "image": 0},)])
def test_boxes_that_are_drawn_and_a_number_of_boxes_are_no_finding(boxes):
    assert undrawn(sample_with(boxes=boxes)) == ""


def test_the_outline_is_at_the_edges_of_the_box():
    sample = sample_with()
    page = preview.grid([sample], boxes=lambda sample: overlays(sample, parsers.Boxes()))
    green = [
        (x, y)
        for x in range(page.width)
        for y in range(page.height)
        if page.getpixel((x, y)) == GOLD
    ]
    width = preview.WIDTH - 2 * preview.MARGIN
    left, right = (min(x for x, _ in green), max(x for x, _ in green))

    assert left - preview.MARGIN == pytest.approx(0.1 * width, abs=2)
    assert right - preview.MARGIN == pytest.approx(0.5 * width, abs=2)
    assert max(y for _, y in green) - min(y for _, y in green) == pytest.approx(0.3 * width, abs=3)
