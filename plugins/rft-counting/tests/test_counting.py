"""Laws of the counting task: pure, disjoint, balanced, with golds recomputed independently."""

import pickle
import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rft_counting import counting
from rft_counting.language import WORDS, plural, words_of

from rftcore import prompts
from rftcore.errors import RecipeError
from rftcore.scoring import Scorer
from rftcore.types import Sample

FAMILIES = ("addition", "subtraction", "adversarial", "multi-hop")
TASK = counting()
DATA = TASK.dataset
MANY = 400  # samples per split that the laws check


@pytest.fixture(scope="module")
def samples() -> dict[str, list[Sample]]:
    sizes = {split: min(MANY, DATA.size(split)) for split in DATA.splits}
    return {split: [DATA.sample(split, at) for at in range(size)] for split, size in sizes.items()}


@pytest.fixture(scope="module")
def everything(samples: dict[str, list[Sample]]) -> list[Sample]:
    return [sample for split in samples.values() for sample in split]


def simulate(objects: list[dict[str, str]], program: dict) -> int:
    """Execute the program on a set of objects, without code of the generator.

    Added objects have only the named attributes, because a question must not depend on
    others.
    """

    def members(of: dict[str, str]) -> list[int]:
        return [at for at, thing in room.items() if of.items() <= thing.items()]

    room = dict(enumerate(objects))
    for step in program["steps"]:
        of = step["of"]
        if step["does"] == "add":
            room |= {len(room) + 100 + at: dict(of) for at in range(step["count"])}
            continue
        gone = members(of)
        if step["does"] == "leave":
            return len(gone[step["left"] :])
        for at in gone[: step.get("count")]:
            del room[at]
    return len(members(program["asked"]))


def things(sample: Sample) -> list[dict[str, str]]:
    names = ("size", "color", "material", "shape")
    return [dict(zip(names, text.split(), strict=True)) for text in sample.meta["objects"]]


def test_executing_the_program_gives_the_gold(everything: list[Sample]):
    for sample in everything:
        assert str(simulate(things(sample), sample.meta["program"])) == sample.gold, sample


def test_the_question_contains_the_words_of_the_program(everything: list[Sample]):
    for sample in everything:
        words = Counter(re.findall(r"\w+", sample.question.lower()))
        for step in sample.meta["program"]["steps"]:
            amounts = {str(step[name]) for name in ("count", "left") if name in step}
            noun = step["of"].get("shape", "object")
            assert {noun, plural(noun)} & words.keys()
            assert {*step["of"].values(), *amounts} - {noun} <= words.keys()


# -- the reasoning, read back from its text alone -----------------------------------------------

MARK = re.compile(r"(\w+ \w+ \w+ \w+) (\d+|no)[,.]")
SUM = re.compile(r"That makes (\d+)\.(?: (\d+) ([+-]) (\d+) = (\d+)\.)?$")
PLAN = re.compile(r"Count (.+?)((?:, not [\w ]+)*)(?:, (plus|minus) (\d+))?\. From left to right: ")


def is_one_of(phrase: str, thing: dict[str, str]) -> bool:
    """Whether "small red cubes" describes an object, word by word."""
    *adjectives, noun = phrase.split()
    return {*adjectives} <= {*thing.values()} and noun in ("objects", plural(thing["shape"]))


def marks(sample: Sample) -> list[str]:
    return [mark for _, mark in MARK.findall(PLAN.sub("", sample.cot))]


def test_the_reasoning_lists_every_object_from_left_to_right(everything: list[Sample]):
    for sample in everything:
        listed = [thing for thing, _ in MARK.findall(PLAN.sub("", sample.cot))]

        assert tuple(listed) == sample.meta["objects"]


def test_every_mark_follows_from_the_plan(everything: list[Sample]):
    for sample in everything:
        asked, out, *_ = PLAN.match(sample.cot).groups()
        others = out.split(", not ")[1:]
        for thing, mark in zip(things(sample), marks(sample), strict=True):
            left_out = any(is_one_of(other, thing) for other in others)
            assert (mark != "no") == (is_one_of(asked, thing) and not left_out)


def test_the_plan_announces_the_arithmetic(everything: list[Sample]):
    for sample in everything:
        *_, word, amount = PLAN.match(sample.cot).groups()
        *_, sign, right, _ = SUM.search(sample.cot).groups()

        assert (word, amount) == ({"+": "plus", "-": "minus", None: None}[sign], right)


def test_the_running_count_never_jumps_and_is_the_sum(everything: list[Sample]):
    for sample in everything:
        counts = [int(mark) for mark in marks(sample) if mark.isdigit()]

        assert counts == list(range(1, len(counts) + 1))
        assert int(SUM.search(sample.cot)[1]) == len(counts)


def test_the_last_line_is_right_and_ends_in_the_gold(everything: list[Sample]):
    for sample in everything:
        count, left, sign, right, result = SUM.search(sample.cot).groups()
        assert sample.gold == (result or count)
        if result:
            change = int(right) if sign == "+" else -int(right)
            assert left == count
            assert int(left) + change == int(result)


# -- the samples as a whole ---------------------------------------------------------------------


def test_no_two_samples_are_the_same_whatever_their_splits(everything: list[Sample]):
    assert len({sample.content_hash() for sample in everything}) == len(everything)


def test_no_two_splits_share_an_image(samples: dict[str, list[Sample]]):
    images = [{sample.images[0].key for sample in split} for split in samples.values()]

    assert len(set.union(*images)) == sum(map(len, images))


@pytest.mark.parametrize("split", ["val", "test", "ood-vehicles"])
def test_evaluation_has_one_question_per_image(samples: dict[str, list[Sample]], split: str):
    assert len({sample.images[0].key for sample in samples[split]}) == len(samples[split])


def test_no_two_scenes_share_a_seed_whatever_their_splits():
    ends = [0, 1, 2**31, 2**32 - 1]
    seeds = [
        data._scene_seed(split, at)
        for data in (counting(seed=seed).dataset for seed in (0, 1, 255, 256, 2**40))
        for split in data.splits
        for at in ends
    ]

    assert len(set(seeds)) == len(seeds)


@given(split=st.sampled_from(DATA.splits), prefix=st.integers(1, MANY))
def test_in_any_prefix_of_a_split_families_are_equally_frequent(
    samples: dict[str, list[Sample]], split: str, prefix: int
):
    shares = Counter(sample.meta["family"] for sample in samples[split][:prefix])
    counts = [shares[family] for family in FAMILIES]

    assert max(counts) - min(counts) <= 1


@pytest.mark.parametrize(("high", "most"), [(1, 3), (5, 5), (9, 8)])
def test_only_sft_has_few_objects(high: int, most: int):
    data = counting(sft_objects_high=high, sft_fuller=0.0).dataset
    seen = {s: max(len(data.scene(s, at).objects) for at in range(0, 200, 4)) for s in data.splits}

    assert seen.pop("sft") == most
    assert set(seen.values()) == {8}


def test_sft_has_scenes_of_all_sizes_by_default():
    data = counting(objects_high=10).dataset
    assert {data.objects_between("sft", at) for at in range(800)} == {(3, 10)}


@given(share=st.floats(0, 1), prefix=st.integers(1, 200))
def test_any_prefix_of_sft_has_its_share_of_fuller_scenes_of_every_size(share: float, prefix: int):
    data = counting(sft_objects_high=5, sft_fuller=share).dataset
    sizes = Counter(data.objects_between("sft", at) for at in range(prefix))
    fuller = [sizes[objects, objects] for objects in (6, 7, 8)]

    assert sum(fuller) + sizes[3, 5] == prefix
    assert abs(sum(fuller) - share * prefix) <= 1
    assert max(fuller) - min(fuller) <= 1


def test_fuller_scenes_of_sft_have_questions_of_every_family():
    data = counting(sft_objects_high=5).dataset
    fuller = [at for at in range(1600) if data.objects_between("sft", at // 2)[0] > 5]

    assert {data.sample("sft", at).meta["family"] for at in fuller} == set(FAMILIES)


def test_answers_are_0_to_20_and_none_is_a_safe_guess(samples: dict[str, list[Sample]]):
    for split in samples.values():
        answers = Counter(int(sample.gold) for sample in split)

        assert 0 <= min(answers) <= max(answers) <= 20
        assert answers.most_common(1)[0][1] < 0.27 * len(split)
        assert len(answers) > 12


def test_counting_everything_is_mostly_wrong(samples: dict[str, list[Sample]]):
    for split in samples.values():
        right = sum(sample.gold == str(len(sample.meta["objects"])) for sample in split)

        assert right < 0.1 * len(split)


def test_shapes_are_in_distribution_and_vehicles_out_of_it(samples: dict[str, list[Sample]]):
    shapes = {
        split: {thing["shape"] for sample in of for thing in things(sample)}
        for split, of in samples.items()
    }

    assert shapes.pop("ood-vehicles") == {"car", "bus", "bicycle", "motorbike", "aeroplane"}
    assert all(seen == {"cube", "sphere", "cylinder"} for seen in shapes.values())


def test_texts_are_short_and_in_the_vocabulary(everything: list[Sample]):
    for sample in everything:
        assert words_of([sample.question, sample.cot]) <= WORDS
        assert len(TASK.prompt(sample).text.split()) <= 35
        objects = len(sample.meta["objects"])
        assert len(re.findall(r"\w+|[^\w\s]", sample.cot)) <= 6 * objects + 28


@pytest.mark.parametrize(
    ("noun", "many"), [("bus", "buses"), ("cube", "cubes"), ("motorbike", "motorbikes")]
)
def test_plurals(noun: str, many: str):
    assert plural(noun) == many


# -- purity -------------------------------------------------------------------------------------


def digest(data, split: str, index: int) -> list[str]:
    sample = data.sample(split, index)
    return [sample.content_hash(), sample.cot, sample.id, repr(sample.meta)]


@given(split=st.sampled_from(DATA.splits), index=st.integers(0, 299))
def test_a_sample_depends_on_its_split_and_index_alone(split: str, index: int):
    fresh = counting(sft=300, rl=300, val=300, test=300, ood=300).dataset

    assert digest(fresh, split, index) == digest(DATA, split, index)


def test_another_seed_makes_other_samples():
    assert digest(counting(seed=1).dataset, "val", 0) != digest(DATA, "val", 0)


def test_dataset_and_task_can_be_pickled():
    task = pickle.loads(pickle.dumps(TASK))

    assert digest(task.dataset, "rl", 3) == digest(DATA, "rl", 3)
    assert pickle.loads(pickle.dumps(DATA.sample("rl", 3))) == DATA.sample("rl", 3)


# -- options and errors -------------------------------------------------------------------------


@given(low=st.integers(1, 10), high=st.integers(1, 10), index=st.integers(0, 7))
def test_every_allowed_range_of_objects_has_samples(low: int, high: int, index: int):
    low, high = sorted([low, high])
    sample = counting(objects_low=low, objects_high=high).dataset.sample("ood-vehicles", index)

    assert low <= len(sample.meta["objects"]) <= high
    assert 0 <= simulate(things(sample), sample.meta["program"]) <= 20


@pytest.mark.parametrize(
    "options",
    [
        {"objects_low": 0},
        {"objects_low": 9},
        {"objects_high": 11},
        {"objects_low": 2.5},
        {"objects_high": True},
        {"seed": -1},
        {"sft_objects_high": 0},
        {"sft_fuller": 1.5},
        {"seed": "0"},
        {"sft": 0},
        {"ood": -3},
        {"rl": 2**33},
    ],
)
def test_an_option_out_of_range_is_an_error_that_names_it(options: dict):
    with pytest.raises(RecipeError, match=next(iter(options))):
        counting(**options)


# -- the task -----------------------------------------------------------------------------------


def test_what_sft_teaches_earns_every_reward():
    samples = [DATA.sample("sft", at) for at in range(20)]
    scores = Scorer(TASK).score([prompts.sft_target(sample) for sample in samples], samples)

    assert {score.total for score in scores} == {4.0}


def test_images_are_rendered_once_and_open(tmp_path, monkeypatch):
    monkeypatch.setenv("RFT_CACHE", str(tmp_path))
    data = counting(objects_low=3, objects_high=3, seed=99).dataset
    data.prepare("val", [0, 1])
    files = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.png")}
    data.prepare("val", [0, 1])

    assert len(files) == 2
    assert files == {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.png")}
    assert data.sample("val", 1).images[0].open().mode == "RGB"
    assert len(list(tmp_path.rglob("*.png"))) == 2


@pytest.mark.parametrize(("compat", "earned"), [("repaired", 1), ("paper", 0)])
def test_compat_chooses_between_our_rewards_and_the_papers(compat: str, earned: float):
    sample = Sample("a", "?", "5")
    scored = Scorer(counting(compat=compat)).score(
        ["<think>x</think><answer>05</answer>"], [sample]
    )

    assert scored[0].parts["accuracy"].value == earned
    assert scored[0].total == 1 + earned


def test_another_compat_is_an_error_with_a_suggestion():
    with pytest.raises(RecipeError, match="Did you mean 'paper'"):
        counting(compat="papers")
