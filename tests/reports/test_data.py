"""What a report contains: the rows, advantages, images and limits, against the truth."""

import base64
import io
import json
import random
import re
import statistics
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as pil

from rftcore.completions import ScoredCompletion, ShownImage
from rftcore.errors import RunError, SampleError
from rftcore.images import Image
from rftcore.intervals import paired
from rftcore.reports import find_runs
from rftcore.reports.advantages import advantages, groups, scale_of
from rftcore.reports.facts import curves
from rftcore.reports.html import block
from rftcore.reports.images import Album, as_seen, encode
from rftcore.reports.rows import ROLLOUTS, Row, within
from rftcore.reports.seen import seen_size

BLOCK = r'<script type="application/json" id="{}">(.*?)</script>'
totals = st.lists(st.one_of(st.none(), st.floats(-5, 5)), min_size=2, max_size=9)


def shown(written):
    """The data and the images of a page."""
    text = written.path.read_text(encoding="utf-8")
    return [json.loads(re.search(BLOCK.format(n), text, re.S)[1]) for n in ("data", "images")]


@given(totals)
def test_an_advantage_is_the_formula_of_trl(values):
    import torch
    from trl.trainer.grpo_trainer import nanstd

    reward = torch.tensor([float("nan") if v is None else v for v in values], dtype=torch.float64)
    by_hand = (reward - reward.nanmean()) / (nanstd(reward) + 1e-4)

    assert advantages(values, "group") == pytest.approx(by_hand.nan_to_num(0.0).tolist(), abs=1e-6)


@given(totals)
def test_without_a_scale_it_is_the_distance_from_the_mean(values):
    known = [v for v in values if v is not None]
    mean = statistics.fmean(known) if len(known) > 1 else 0.0
    expected = [0.0 if v is None or len(known) < 2 else v - mean for v in values]

    assert advantages(values, "none") == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("settings", "scale"),
    [
        ({}, "group"),
        ({"scale_rewards": True}, "group"),
        ({"scale_rewards": False}, "none"),
        ({"scale_rewards": "batch"}, "batch"),
        ({"multi_objective_aggregation": "normalize_then_sum"}, "unknown"),
    ],
)
def test_the_scale_follows_the_recipe(settings, scale):
    assert scale_of(settings) == scale


def test_the_scale_without_a_setting_is_trls_default():
    from trl import GRPOConfig

    assert scale_of({}) == GRPOConfig.__dataclass_fields__["scale_rewards"].default


def test_a_sample_that_is_drawn_twice_in_a_step_is_two_groups(row):
    drawn = [row("rl", at, step=step) for step, at in [(1, 0)] * 4 + [(1, 3)] * 2 + [(2, 3)] * 1]

    assert list(groups(drawn, 2)) == [
        *(([0, 1], True), ([2, 3], True)),
        *(([4, 5], True), ([6], False)),
    ]


def test_each_row_of_the_run_is_in_the_page_with_its_advantage(world, row):
    answers = {"start": [row("val", at, str(3 - at)) for at in range(4)]}
    rollouts = [row("rl", 2, text, step=7) for text in ("2", "0", "0", "2")]
    run = world.run(answers, rollouts, recipe={"grpo": {"group_size": 4}})
    data, _ = shown(world.report(run))

    assert [each["completion"] for each in data["rows"]] == ["3", "2", "1", "0", "2", "0", "0", "2"]
    found = [each["advantage"] for each in data["rows"][4:]]
    deviation = statistics.stdev([1, 0, 0, 1]) + 1e-4
    assert found == pytest.approx([0.5 / deviation * sign for sign in (1, -1, -1, 1)])
    assert data["samples"][4]["gold"] == "2"


def test_gains_are_those_of_the_answers(world, row):
    before = [row("val", at, "0") for at in range(5)]
    after = [row("val", at, str(at if at % 2 else 9)) for at in range(5)]
    data, _ = shown(world.report(world.run({"start": before, "sft": after})))
    [found] = data["runs"][0]["gains"]
    low, high = paired(2, 1, 5)

    assert (found["change"], found["low"], found["high"]) == pytest.approx((1 / 5, low, high))
    assert found["name"] == "zero-shot to SFT"


def test_failures_of_one_cause_are_one_line_whatever_their_notes_have(world, row):
    run = world.run({"start": [row("val", 0, "0")]})
    for at, cause in enumerate(("ValueError a", "ValueError a", "", "")):
        run.add_failure({"reward": "accuracy", "kind": "error", "note": f"n{at}", "cause": cause})
    data, _ = shown(world.report(run))
    kinds = data["runs"][0]["failures"]["kinds"]

    assert [(kind["note"], kind["count"]) for kind in kinds] == [("n0", 2), ("n2", 1), ("n3", 1)]


sizes = st.lists(st.integers(0, 400), min_size=1, max_size=40)


@given(sizes, sizes, st.integers(0, 30_000))
def test_what_is_kept_fits_and_groups_stay_whole(answers, rollouts, room):
    def one(text, source, at, group=None):
        found = ScoredCompletion(id="a", index=at, question="", gold="", completion=text)
        return Row(0, source, found, group)

    stages = [one("a" * n, stage, at) for stage in ("start", "sft") for at, n in enumerate(answers)]
    drawn = [one("b" * n, ROLLOUTS, 0, at // 4) for at, n in enumerate(rollouts)]
    kept = within(stages, drawn, room)
    weight = sum(row.weight for row in kept.rows)

    assert weight <= room
    start, sft = ([r.answer.index for r in kept.rows if r.source == s] for s in ("start", "sft"))
    assert start == sft == list(range(len(start)))
    for group in {row.group for row in kept.rows if row.source == ROLLOUTS}:
        assert [r for r in kept.rows if r.group == group] == [r for r in drawn if r.group == group]
    assert len(kept.rows) + kept.answers_left_out + kept.rollouts_left_out == len(stages + drawn)
    if sum(row.weight for row in stages + drawn) <= room:
        assert list(kept.rows) == stages + drawn


@given(st.integers(1, 2000))
def test_a_curve_keeps_its_mean_and_has_few_points(steps):
    lines = [{"phase": "sft", "step": at, "loss": float(at % 7)} for at in range(steps)]
    points = curves(lines).get("loss", [])

    assert len(points) <= 600
    if 1 < steps <= 600:
        assert points == [(at, at % 7) for at in range(steps)]


def test_an_image_is_in_the_page_once_and_as_the_model_saw_it(world, row):
    world.data = replace(world.data, picture=lambda at: world.data.__class__().picture(at // 2))
    answers = [row("val", at) for at in range(4)]
    data, images = shown(world.report(world.run({"start": answers, "sft": answers})))
    decoded = [pil.open(io.BytesIO(base64.b64decode(text))).convert("RGB") for text in images]

    assert [image.size for image in decoded] == [(12, 8)] * 2
    assert [image.getpixel((5, 5)) for image in decoded] == [(0, 0, 90), (1, 0, 90)]
    assert data["pictures"] == [[0, 0, [0]], [0, 1, [0]], [0, 2, [1]], [0, 3, [1]]]
    assert data["captions"] == ["12 x 8 seen, 24 x 16 in the data"] * 2


def test_the_limit_holds_and_the_page_says_what_it_left_out(world, row):
    answers = [row("val", at, "x" * 400, answer="1") for at in range(5)]
    run = world.run({"start": answers, "sft": answers})
    written = world.report(run, max_mb=0.005)
    data, images = shown(written)

    assert len(data["rows"]) == 4
    assert sum(map(len, images)) + sum(len(r["completion"]) for r in data["rows"]) <= 5000
    assert written.notes == data["notes"]
    assert "6 answers of evaluations are left out for size" in data["notes"][0]


def test_images_without_room_are_counted(world, row):
    world.data = replace(world.data, picture=noise)
    run = world.run({"start": [row("val", at) for at in range(5)]}, pixel_budget={})
    data, whole = shown(world.report(run))
    used = len(block({name: data[name] for name in ("samples", "rows")}))
    data, images = shown(world.report(run, max_mb=(used + len(whole[0]) * 2.5) / 1e6))

    assert images == whole[:2]
    assert data["notes"] == [
        "the images of 3 samples are left out for size; --max-mb raises the limit"
    ]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda w: setattr(w, "data", replace(w.data, word="Tell")), "has changed since"),
        (lambda w: setattr(w, "data", replace(w.data, count=0)), "val"),
        (lambda w: setattr(w, "data", replace(w.data, picture=lambda at: 1 / 0)), "division"),
        (lambda w: setattr(w, "data", replace(w.data, picture=broken)), "not an image"),
        (lambda w: setattr(w, "catalogue", w.catalogue.load([])), "was an object of the Python"),
    ],
)
def test_a_page_without_images_says_why(world, row, change, reason):
    run = world.run({"start": [row("val", 1)]})
    change(world)
    data, images = shown(world.report(run))

    assert (images, len(data["rows"]), len(data["notes"])) == ([], 1, 1)
    assert data["notes"][0].startswith("the images of 1 samples are not shown: ")
    assert reason in data["notes"][0]


def test_the_file_that_a_row_names_is_shown_and_else_the_sample(world, row, tmp_path):
    file = tmp_path / "red.png"
    pil.new("RGB", (24, 16), (250, 0, 0)).save(file)
    named = [ShownImage(key="red", path=str(file), size=(24, 16))]
    run = world.run({"start": [row("val", 1, images=(*named,))]})
    found = []
    for _ in range(2):
        [image] = shown(world.report(run))[1]
        decoded = pil.open(io.BytesIO(base64.b64decode(image))).convert("RGB")
        found.append(decoded.getpixel((5, 5)))
        file.unlink(missing_ok=True)

    assert found == [(250, 0, 0), (1, 0, 90)]


def noise(at):
    buffer = io.BytesIO()
    data = random.Random(at).randbytes(64 * 64 * 3)
    pil.frombytes("RGB", (64, 64), data).save(buffer, "PNG")
    return Image.from_bytes(buffer.getvalue())


def png(image):
    image.save(buffer := io.BytesIO(), "PNG")
    return Image.from_bytes(buffer.getvalue())


def broken(at):
    return Image.from_bytes(b"no image")


@pytest.mark.parametrize("size", [(30, 20), (64, 64), (200, 31), (33, 180), (5, 5)])
@pytest.mark.parametrize("family", ["qwen2_vl", "qwen3_vl", "llava", "gemma3", "paligemma"])
def test_the_size_is_that_of_the_familys_own_processor(tiny, family, size):
    from transformers import AutoProcessor

    from rftcore.models.pixels import pixel_budget

    processor = AutoProcessor.from_pretrained(tiny(family))
    image, _ = as_seen(pil.new("RGB", size, (9, 8, 7)), pixel_budget(processor))
    inputs = processor.image_processor(pil.new("RGB", size), return_tensors="pt")
    if "image_grid_thw" in inputs:
        _, rows, columns = inputs["image_grid_thw"][0].tolist()
        patch = processor.image_processor.patch_size
        assert image.size == (columns * patch, rows * patch)
    else:
        assert image.size == tuple(reversed(inputs["pixel_values"].shape[-2:]))


def test_the_images_of_a_page_have_the_sizes_that_a_model_of_dynamic_resolution_saw(
    world, row, tiny
):
    from transformers import AutoProcessor

    from rftcore.models.pixels import pixel_budget

    processor = AutoProcessor.from_pretrained(tiny("qwen2_vl"))
    sizes = [(300, 100), (100, 300), (64, 64), (1200, 300), (40, 30), (220, 700), (128, 128)]
    drawn = [pil.new("RGB", size, (at, 8, 7)) for at, size in enumerate(sizes)]
    world.data = replace(world.data, count=len(sizes), picture=lambda at: png(drawn[at]))
    run = world.run(
        {"start": [row("val", at) for at in range(len(sizes))]},
        pixel_budget=pixel_budget(processor),
    )
    data, images = shown(world.report(run))
    grids = processor.image_processor(drawn, return_tensors="pt")["image_grid_thw"].tolist()
    seen = [(14 * columns, 14 * rows) for _, rows, columns in grids]

    assert [pil.open(io.BytesIO(base64.b64decode(text))).size for text in images] == seen
    assert list(map(tuple, data["sizes"])) == seen
    assert len({*seen}) > 4


@pytest.mark.parametrize(
    ("size", "seen"), [((200, 31), (270, 42)), ((31, 200), (42, 270)), ((9, 9), (42, 42))]
)
def test_a_shortest_edge_keeps_the_shape(size, seen):
    assert seen_size({"size": {"shortest_edge": 42}}, size) == seen


@pytest.mark.parametrize("family", ["smolvlm", "internvl", "llava_next"])
def test_a_family_that_cuts_images_into_tiles_has_no_single_size(tiny, family):
    from transformers import AutoProcessor

    from rftcore.models.pixels import pixel_budget

    budget = pixel_budget(AutoProcessor.from_pretrained(tiny(family)))
    assert seen_size(budget, (100, 50)) is None
    assert as_seen(pil.new("RGB", (3000, 1500)), budget)[0].size == (1024, 512)


def test_few_colors_are_stored_exactly_and_many_nearly():
    drawing = pil.new("RGB", (40, 40), "white")
    drawing.paste((1, 2, 3), (5, 5, 20, 20))
    photo = noise(0).open().resize((8, 8)).resize((256, 256), pil.Resampling.BICUBIC)
    for image, most in ((drawing, 0), (photo, 2)):
        again = pil.open(io.BytesIO(encode(image))).convert("RGB")
        pairs = zip(image.tobytes(), again.tobytes(), strict=True)
        assert statistics.fmean(abs(a - b) for a, b in pairs) <= most


def test_an_unreadable_image_leaves_the_album_as_it_is():
    album = Album(10_000)
    with pytest.raises(SampleError):
        album.add(broken(0), {})
    assert (album.encoded, album.full, album.room) == ([], False, 10_000)


def test_a_folder_stands_for_the_runs_in_it(world, tmp_path):
    for name in ("b", "a", "below/c"):
        world.run({}, name=name)

    assert [run.path.name for run in find_runs([tmp_path])] == ["a", "b", "c"]
    assert [run.path.name for run in find_runs([tmp_path / "b", tmp_path])] == ["b", "a", "c"]


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("nothing", "nothing does not exist: give"),
        ("empty", r"no run in .*empty \(it is empty\): give"),
        ("data", r"no run in .*data \(it has 0, 1, 2, 3, 4 and 2 more\): give"),
        ("data/0", "0 is a file: give"),
        ("run/sft", r"sft is inside the run .*run: give that folder"),
    ],
)
def test_a_place_without_runs_is_told_with_what_it_has(world, tmp_path, path, reason):
    world.run({}, name="run")
    for folder in ("empty", "data", "run/sft"):
        (tmp_path / folder).mkdir(exist_ok=True)
    for number in range(7):
        (tmp_path / "data" / str(number)).touch()

    with pytest.raises(RunError, match=reason):
        find_runs([tmp_path / path])


def test_several_runs_need_a_file_and_a_limit_must_be_positive(world):
    one, two = world.run({}, name="one"), world.run({}, name="two")

    with pytest.raises(RunError, match=r"2 runs is in no run's folder.*--out"):
        world.report(one, two)
    for limit in (0, -1, float("nan")):
        with pytest.raises(RunError, match="--max-mb"):
            world.report(one, max_mb=limit)
    (world.folder / "file").write_text("")
    with pytest.raises(RunError, match="file"):
        world.report(one, out=world.folder / "file" / "page.html")
