"""The training script in miniature, and what must not be in its data: the tasks."""

import ast
import re
from pathlib import Path
from random import Random

import numpy as np
import pretraining
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pretraining import freeze, perception, practice
from pretraining.build import Build
from pretraining.corpus import diagrams, pairs, scenes
from pretraining.corpus.augment import Seen
from pretraining.corpus.scenes import HELD_OUT_SEED, SHAPES_SEED, VEHICLES_SEED, Shown
from pretraining.corpus.store import Corpus, to_model
from pretraining.corpus.streams import Scenes
from pretraining.practice import changes
from pretraining.practice import diagrams as drawn
from pretraining.practice import scenes as asked
from pretraining.team import Team
from pretraining.things import Thing, invent
from rft_nano.model import IMAGE_SIZE

PAINT = {"red": (200, 30, 30), "green": (30, 160, 30), "blue": (40, 60, 220), "gray": (60, 60, 60)}
PATIENCE_MIN = 30.0  # steps end a stage, not the clock of a busy machine
PARTS = ("train", freeze.PART)
few = settings(max_examples=25)
rngs = st.integers(0, 2**32).map(Random)


def painted(rng):
    """One disc on a light floor."""
    u, v, color = rng.uniform(0.2, 0.8), rng.uniform(0.2, 0.8), rng.choice(sorted(PAINT))
    pixels = np.full((IMAGE_SIZE, IMAGE_SIZE, 3), 170, np.uint8)
    rows, columns = np.mgrid[:IMAGE_SIZE, :IMAGE_SIZE] / IMAGE_SIZE
    pixels[np.hypot(columns - u, rows - v) < 0.08] = PAINT[color]
    return pixels, Shown([Seen(Thing("small", color, "metal", "sphere", u, v), 0.08)])


def corpus(seed, count):
    rng = Random(seed)
    pixels, shown = zip(*(painted(rng) for _ in range(count)), strict=True)
    return Corpus(np.stack(pixels), list(shown))


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_small_training_learns_colors_resumes_and_exports(tmp_path):
    def exhibits(seed):
        return Scenes(corpus(0, 200), seed)

    for steps in (40, 80):  # the second run resumes the first
        build = Build(tmp_path, 0, tmp_path / "weights", Team())
        build.see(exhibits, PATIENCE_MIN, batch=16, steps=steps)
    unseen = corpus(1, 64)
    pixels = torch.stack([torch.from_numpy(to_model(p)) for p in unseen.pixels])
    with torch.no_grad():
        logits = build.heads(perception.features(build.model, pixels))
    wanted = perception.targets([shown.seen for shown in unseen.facts], [[]] * 64)
    colors = perception.accuracy(logits, wanted)["color"]
    build.read(PATIENCE_MIN, lambda: None, written=2, steps=2)
    build.speak(exhibits, 0.001, lambda: None, pictured=2, written=1)
    build.export()

    assert colors > 0.5  # chance: 0.25 of the painted, 0.125 of all
    assert (tmp_path / "weights" / "model.safetensors").exists()


PUBLIC = {"rft_nano", "rft_scenes", "rft_structure.diagrams", "rft_transformation.generator"}


def test_of_other_plugins_only_public_modules_are_imported():
    files = Path(pretraining.__path__[0]).rglob("*.py")
    nodes = [node for file in files for node in ast.walk(ast.parse(file.read_text()))]
    modules = {node.module for node in nodes if isinstance(node, ast.ImportFrom)}

    assert {m for m in modules if m.startswith("rft_") and not m.startswith("rft_nano.")} <= PUBLIC


# --- no question, image or chain of thought of a task is in the training data ---------------------


@given(rngs)
def test_no_request_uses_tags(rng):
    requests = [practice.in_words(rng), asked.from_picture(rng, invent(rng, rng.randint(1, 9)))]

    assert not [text for request in requests for text in request if re.search("<|>", text)]


@given(rngs)
def test_nothing_is_added_to_an_image_or_taken_from_it(rng):
    ask, answer = asked.from_picture(rng, invent(rng, rng.randint(1, 9)))

    assert not re.search(
        r"\b(add|remove|subtract|take|taken|remain|put in)\b|are left", ask.lower()
    )
    assert not re.search(r"\d+ [+-] \d+ = \d+", answer)


@given(rngs)
def test_no_name_is_followed_by_its_mark_as_in_counting(rng):
    _, answer = asked.about(rng, invent(rng, rng.randint(1, 9)), seen=rng.random() < 0.5)

    shapes = "cube|sphere|cylinder|car|bus|bicycle|motorbike|aeroplane"
    assert not re.search(rf"(rubber|metal) ({shapes}) (\d|no|removed)", answer)


@st.composite
def some_pairs(draw):
    number = draw(st.integers(0, 10_000))
    return draw(st.sampled_from(pairs.pairs_of(*pairs.draw(number, "test"), 0)))


@few
@given(some_pairs(), rngs)
def test_changes_are_not_worded_as_in_transformation(pair, rng):
    ask, answer = changes.about(rng, pair)

    assert not re.search(r"change_|\bnow \w+[.,]|: same|moved (left|right|front)", answer)
    assert "calls" not in ask


@few
@given(st.integers(0, 10_000), rngs)
def test_nothing_is_derived_from_a_diagram_as_in_structure(number, rng):
    diagram = diagrams.describe(*diagrams.draw(number, "test"))
    _, answer = drawn.about(rng, diagram)
    read = set(re.findall(r"\d+(?:\.\d)?", answer))

    assert read <= {t for _, _, t in diagram.values} | {str(n) for n in range(9)}


def test_no_scene_of_counting_is_trained_on():
    counting = pytest.importorskip("rft_counting.dataset")
    ours = range(min(SHAPES_SEED, VEHICLES_SEED), HELD_OUT_SEED + 1_000_000)
    smallest = counting.VERSION * 256 * counting.LARGEST_SPLIT  # data seed 0, stream 0, index 0

    assert smallest >= ours.stop


def test_no_pair_or_diagram_is_one_of_a_task():
    changed = pytest.importorskip("rft_transformation").transformation_scenes()
    problems = pytest.importorskip("rft_structure").geometry_problems()
    starts = {pairs.draw(i, part)[0].state for i in range(12) for part in PARTS}
    figures = {diagrams.draw(i, part)[1].digest() for i in range(12) for part in PARTS}

    for split in changed.splits:
        assert not starts & {changed.story(split, i)[0].state for i in range(12)}
    for split in problems.splits:
        assert not figures & {problems.drawing(split, i).digest() for i in range(12)}


def test_the_images_of_the_suites_are_not_trained_on():
    trained = {scenes.scene(i).digest() for i in range(60)}
    trained |= {s.digest() for i in range(8) for s in pairs.scenes_of(*pairs.draw(i))}
    held = {scenes.held_out(i).digest() for i in range(60)}
    held |= {s.digest() for i in range(8) for s in pairs.scenes_of(*pairs.draw(i, freeze.PART))}

    assert not trained & held
    assert not {diagrams.draw(i)[1].digest() for i in range(20)} & {
        diagrams.draw(i, freeze.PART)[1].digest() for i in range(20)
    }
