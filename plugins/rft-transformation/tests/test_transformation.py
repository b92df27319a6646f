"""Laws of the transformation task: pure, disjoint, valid, with golds recomputed independently."""

import itertools
import pickle
import re
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rft_scenes import Object, Scene, legible
from rft_transformation import generator, transformation
from rft_transformation.language import FUNCTIONS, INSTRUCTION, question, words_of
from rft_transformation.reasoning import reasoning

from rftcore import prompts
from rftcore.errors import RecipeError
from rftcore.parsers import Call
from rftcore.scoring import Scorer
from rftcore.types import Sample

TASK = transformation()
DATA = TASK.dataset
MANY = 400  # samples per split that the laws check: 1,950 in all
VIEWS = {"ood-left": -40.0, "ood-right": 40.0}


@pytest.fixture(scope="module")
def samples() -> dict[str, list[Sample]]:
    sizes = {split: min(MANY, DATA.size(split)) for split in DATA.splits}
    return {split: [DATA.sample(split, at) for at in range(size)] for split, size in sizes.items()}


@pytest.fixture(scope="module")
def everything(samples: dict[str, list[Sample]]) -> list[Sample]:
    return [sample for split in samples.values() for sample in split]


@pytest.fixture(scope="module")
def scenes(samples: dict[str, list[Sample]]) -> list[tuple[str, Sample, Scene, Scene]]:
    return [
        (split, sample, *DATA.scenes(split, at))
        for split, some in samples.items()
        for at, sample in enumerate(some)
    ]


# -- the answer, from the two scenes alone ------------------------------------------------------


def direction(way: float, plus: str, minus: str) -> list[str]:
    return [plus] * (way > 0) + [minus] * (way < 0)


def calls_between(before: Scene, after: Scene) -> set[str]:
    """The calls between two scenes, without code of the generator."""
    calls = set()
    for number, (one, two) in enumerate(zip(before.objects, after.objects, strict=True)):
        for name in ("size", "color", "material", "shape"):
            if getattr(one, name) != getattr(two, name):
                calls.add(f"change_{name}({number}, {getattr(two, name)})")
        x, y = (round((b - a) / 1.5, 3) for a, b in ((one.x, two.x), (one.y, two.y)))
        if x or y:
            assert {abs(x), abs(y)} in ({0, 1}, {0, 2}, {1}, {2}), (x, y)
            words = direction(y, "behind", "front") + direction(x, "right", "left")
            calls.add(f"change_position({number}, {'_'.join(words)})")
    return calls


def test_the_two_scenes_give_the_gold(scenes):
    for _, sample, before, after in scenes:
        listed = sample.gold.split("), ")
        calls = [call.removesuffix(")") + ")" for call in listed]

        assert len(set(calls)) == len(calls) == sample.meta["calls"]
        assert set(calls) == calls_between(before, after)


def test_the_two_images_differ(everything):
    for sample in everything:
        first, second = sample.images
        assert first.key != second.key


def test_only_the_second_camera_moves_and_only_out_of_distribution(scenes):
    for split, _, before, after in scenes:
        turn = round(after.camera.azimuth - before.camera.azimuth, 3)

        assert turn == VIEWS.get(split, 0.0)
        assert abs(before.camera.azimuth) <= 5
        assert before.lights == after.lights


# -- the plane of TRANCE ------------------------------------------------------------------------

RADIUS = {"small": 0.38, "medium": 0.55, "large": 0.76}
WIDTH = {"cube": 0.75 * 2**0.5, "sphere": 1.0, "cylinder": 0.85}


def crowded(things) -> bool:
    return any(
        ((a.x - b.x) ** 2 + (a.y - b.y) ** 2) ** 0.5
        < 0.1499999 + RADIUS[a.size] * WIDTH[a.shape] + RADIUS[b.size] * WIDTH[b.shape]
        for a, b in itertools.combinations(things, 2)
    )


def test_objects_are_visible_and_apart_in_both_scenes(scenes):
    for _, _, before, after in scenes:
        for scene in (before, after):
            assert max(abs(way) for thing in scene.objects for way in (thing.x, thing.y)) < 3.00001
            assert not crowded(scene.objects)


def test_both_images_are_readable_from_every_view(scenes):
    for _, _, before, after in scenes[::5]:
        for scene in (before, after):
            assert legible(scene.objects, scene.camera)


def test_no_two_listed_objects_look_alike(everything):
    for sample in everything:
        looks = [(t["shape"], t["size"], t["color"], t["material"]) for t in sample.meta["start"]]
        assert len(set(looks)) == len(looks)


def calls_needed(one, two) -> float:
    """The number of calls that turn one object into the other; positions within 0.5 are equal."""
    names = ("size", "color", "material", "shape")
    looks = sum(getattr(one, name) != getattr(two, name) for name in names)
    x, y = two.x - one.x, two.y - one.y
    ways = itertools.product((-1, 0, 1), (-1, 0, 1), (1.5, 3.0))
    near = {(a, b) for a, b, far in ways if max(abs(x - a * far), abs(y - b * far)) <= 0.5}
    return looks + (0 if (0, 0) in near else 1 if near else float("inf"))


def shortest(before: Scene, after: Scene) -> tuple[float, float]:
    """The gold's number of calls, and the least with objects exchanged."""
    cost = [[calls_needed(one, two) for two in after.objects] for one in before.objects]
    totals = [
        sum(row[at] for row, at in zip(cost, order, strict=True))
        for order in itertools.permutations(range(len(cost)))
    ]
    return totals[0], min(totals[1:])


def test_no_other_reading_has_as_few_calls_as_the_gold(scenes):
    for _, sample, before, after in scenes:
        gold, other = shortest(before, after)

        assert gold == sample.meta["calls"] < other


@pytest.mark.parametrize(
    ("apart", "allowed"), [(1.5, False), (1.8, False), (2.3, True), (3.1, False)]
)
def test_colors_are_not_exchanged_where_positions_could_be(apart, allowed):
    red = Object("cube", "small", "red", "metal", -1.0, 0.0, 0.0)
    blue = replace(red, color="blue", x=apart - 1.0)
    calls = (Call("change_color", 0, "blue"), Call("change_color", 1, "red"))
    end = (replace(red, color="blue"), replace(blue, color="red"))

    assert generator._is_shortest((red, blue), generator.Change(calls, (), end)) == allowed


# -- texts --------------------------------------------------------------------------------------

ENTRY = re.compile(r"(\d+) (\w+ \w+ \w+ \w+): ([^.]+)\.")


def read_back(sample: Sample) -> str:
    """The answer, from the reasoning's text alone."""
    kinds = {value: name for name, values in FUNCTIONS.items() for value in values}
    calls = []
    for number, _, news in ENTRY.findall(sample.cot):
        for part in news.split(", ") if news != "same" else []:
            kind, *values = part.split()
            values = ["_".join(values)] if kind == "moved" else values
            calls += [f"{kinds[value]}({number}, {value})" for value in values]
    return ", ".join(calls)


def test_the_reasoning_lists_every_object_and_leads_to_the_gold(everything):
    for sample in everything:
        entries = [f"{number} {look}" for number, look, _ in ENTRY.findall(sample.cot)]

        assert f"{', '.join(entries)}. Which" in sample.question
        assert read_back(sample) == sample.gold


def test_answers_name_the_calls_by_object_and_then_in_one_order(everything):
    functions = list(FUNCTIONS)
    for sample in everything:
        calls = TASK.parser.gold(sample.gold).value
        assert list(calls) == sorted(calls, key=lambda c: (c.id, functions.index(c.function)))


def test_the_prompt_lists_every_value_and_nothing_of_the_sample(everything):
    for name, values in FUNCTIONS.items():
        assert f"{name}: {' '.join(values)}" in INSTRUCTION
    assert all(TASK.prompt(sample).text.endswith(INSTRUCTION) for sample in everything[::50])


def test_texts_are_short(everything):
    for sample in everything:
        words = re.findall(r"\w+|[^\w\s]", sample.cot)
        assert len(words) <= 8 * len(sample.meta["start"]) + 4 * sample.meta["calls"]


def test_an_object_that_moved_and_changed_has_one_entry():
    look = {"size": "small", "color": "red", "material": "metal", "shape": "cube"}
    calls = [Call("change_size", 1, "large"), Call("change_position", 1, "front_left")]

    assert reasoning([look, look], calls) == (
        "0 small red metal cube: same. 1 small red metal cube: now large, moved front left."
    )
    assert "0 small red metal cube, 1 small" in question([look, look])


def test_the_words_are_few(everything):
    texts = [text for sample in everything for text in (sample.question, sample.cot, sample.gold)]

    assert len(words_of([*texts, INSTRUCTION])) < 90


# -- the samples as a whole ---------------------------------------------------------------------


def test_no_two_splits_share_a_sample_or_an_image(samples):
    for one, two in itertools.combinations(samples.values(), 2):
        assert not {s.content_hash() for s in one} & {s.content_hash() for s in two}
        assert not {i.key for s in one for i in s.images} & {i.key for s in two for i in s.images}


@pytest.mark.parametrize("split", ["val", "test", "ood-left", "ood-right"])
def test_evaluation_has_one_question_per_image(samples, split: str):
    keys = [image.key for sample in samples[split] for image in sample.images]

    assert len(set(keys)) == len(keys)


def test_every_number_of_calls_is_equally_frequent_in_every_split(samples):
    for some in samples.values():
        shares = Counter(sample.meta["calls"] for sample in some)

        assert set(shares) == {1, 2, 3, 4}
        assert max(shares.values()) - min(shares.values()) <= 1


def test_functions_and_values_are_about_equally_frequent(everything):
    calls = [call for sample in everything for call in TASK.parser.gold(sample.gold).value]
    functions = Counter(call.function for call in calls)

    assert max(functions.values()) < 1.25 * min(functions.values())
    for name, values in FUNCTIONS.items():
        counts = Counter(call.value for call in calls if call.function == name)
        assert set(counts) == set(values)
        assert max(counts.values()) < 2 * min(counts.values())


def test_no_blind_guess_is_right_often(samples):
    for name in samples.keys() - {"sft", "rl"}:
        golds = Counter(sample.gold for sample in samples[name])

        assert golds.most_common(1)[0][1] < 0.05 * len(samples[name])


# -- purity -------------------------------------------------------------------------------------


def digest(data, split: str, index: int) -> list[str]:
    sample = data.sample(split, index)
    return [sample.content_hash(), sample.cot, sample.id, repr(sample.meta)]


@given(split=st.sampled_from(DATA.splits), index=st.integers(0, 99))
def test_a_sample_depends_on_its_split_and_index_alone(split: str, index: int):
    fresh = transformation(sft=100, rl=100, val=100, test=100, ood=100).dataset

    assert digest(fresh, split, index) == digest(DATA, split, index)


def test_a_sample_is_the_same_on_every_machine():
    hashes = [DATA.sample(split, 3).content_hash()[:12] for split in ("sft", "val", "ood-left")]

    assert hashes == [
        "85583a4ecc4a",
        "4851166a3b5d",
        "8bc045db148a",
    ]  # new values need a new VERSION


def test_another_seed_makes_other_samples():
    assert digest(transformation(seed=1).dataset, "val", 0) != digest(DATA, "val", 0)


def test_dataset_and_task_can_be_pickled():
    task = pickle.loads(pickle.dumps(TASK))

    assert digest(task.dataset, "rl", 3) == digest(DATA, "rl", 3)
    assert pickle.loads(pickle.dumps(DATA.sample("rl", 3))) == DATA.sample("rl", 3)


# -- options and errors -------------------------------------------------------------------------


@given(objects=st.integers(1, 10), calls=st.integers(1, 4), index=st.integers(0, 2))
def test_every_allowed_option_gives_samples(objects: int, calls: int, index: int):
    options = {"objects_low": objects, "objects_high": objects, "calls_low": calls}
    sample = transformation(**options, calls_high=calls).dataset.sample("ood-left", index)

    assert len(sample.meta["start"]) == objects
    assert sample.meta["calls"] == calls


@pytest.mark.parametrize(
    "options",
    [
        {"objects_low": 0},
        {"objects_low": 9},
        {"objects_high": 11},
        {"objects_low": 2.5},
        {"objects_high": True},
        {"calls_low": 0},
        {"calls_high": 5},
        {"seed": -1},
        {"seed": "0"},
        {"sft": 0},
        {"ood": -3},
        {"rl": 2**33},
    ],
)
def test_an_option_out_of_range_is_an_error_that_names_it(options: dict):
    with pytest.raises(RecipeError, match=next(iter(options))):
        transformation(**options)


# -- the task -----------------------------------------------------------------------------------


def test_what_sft_teaches_earns_every_reward():
    from rftcore.scoring import Scorer

    samples = [DATA.sample("sft", at) for at in range(20)]
    scores = Scorer(TASK).score([prompts.sft_target(sample) for sample in samples], samples)

    assert {score.total for score in scores} == {2.0}
    assert all(score.correct for score in scores)
    assert {score.parts["state"].value for score in scores} == {1.0}
    assert {score.parts["state-distance"].value for score in scores} == {0.0}


def test_images_are_rendered_once_and_open(tmp_path, monkeypatch):
    monkeypatch.setenv("RFT_CACHE", str(tmp_path))
    data = transformation(objects_low=3, objects_high=3, seed=99).dataset
    data.prepare("rl", [0, 1])
    files = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.png")}
    data.prepare("rl", [0, 1])
    first, second = data.sample("rl", 1).images

    assert len(files) == 3  # one first image, two second ones
    assert files == {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.png")}
    assert first.open().tobytes() != second.open().tobytes()
    assert len(list(tmp_path.rglob("*.png"))) == 3


@pytest.mark.parametrize(("compat", "earned"), [("repaired", 1), ("paper", 0)])
def test_compat_chooses_between_our_rewards_and_the_papers(compat: str, earned: float):
    sample = transformation(calls_high=1).dataset.sample("test", 0)
    hyphens = sample.gold.replace("_", "-")
    scored = Scorer(transformation(compat=compat)).score(
        [f"<think>x</think><answer>{hyphens}</answer>"], [sample]
    )

    assert scored[0].parts["accuracy"].value == earned
    assert scored[0].total == 1 + earned
