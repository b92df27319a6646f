"""Laws of the structure task: pure, disjoint, balanced, and without hints about the gold."""

import pickle
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rft_structure import structure
from rft_structure.kinds import HELD_OUT, TRAINED
from rft_structure.problems import bucket, draw

from rftcore import prompts
from rftcore.errors import RecipeError
from rftcore.scoring import Scorer
from rftcore.types import Sample

TASK = structure()
DATA = TASK.dataset
MANY = 300  # samples per split that the laws check
TRAINING = ("sft", "rl")


@pytest.fixture(scope="module")
def samples() -> dict[str, list[Sample]]:
    return {split: [DATA.sample(split, at) for at in range(MANY)] for split in DATA.splits}


@pytest.fixture(scope="module")
def everything(samples: dict[str, list[Sample]]) -> list[Sample]:
    return [sample for split in samples.values() for sample in split]


def content(sample: Sample) -> tuple:
    """A problem without letters, rotation, wording and choices."""
    return sample.meta["kind"], *sorted(value for *_, value in sample.meta["given"])


# -- splits -------------------------------------------------------------------------------------


def test_no_two_samples_are_the_same_whatever_their_splits(everything: list[Sample]):
    assert len({sample.content_hash() for sample in everything}) == len(everything)


def test_no_two_splits_share_a_problem(samples: dict[str, list[Sample]]):
    problems = [set(map(content, split)) for split in samples.values()]

    assert len(set.union(*problems)) == sum(map(len, problems))


def test_another_seed_keeps_to_the_same_problems(samples: dict[str, list[Sample]]):
    other = structure(seed=1).dataset
    trained = {content(sample) for split in TRAINING for sample in samples[split]}

    assert not trained & {content(other.sample("test", at)) for at in range(MANY)}


def test_every_kind_has_problems_in_every_split(samples: dict[str, list[Sample]]):
    for split, kinds in ((split, TRAINED) for split in samples if split != "ood-compose"):
        for at, kind in enumerate(kinds):
            assert samples[split][at].meta["kind"] == kind.name
    assert {sample.meta["kind"] for sample in samples["ood-compose"]} == {k.name for k in HELD_OUT}


def sets(samples: list[Sample]) -> set[frozenset[str]]:
    return {frozenset(sample.meta["theorems"]) for sample in samples}


def test_compositions_out_of_distribution_are_unseen_and_their_theorems_seen(samples):
    compositions = sets(samples["ood-compose"])
    seen = set.union(*(sets(samples[split]) for split in samples if split != "ood-compose"))

    assert not compositions & seen
    assert all(len(one) > 1 for one in compositions)
    assert frozenset.union(*compositions) <= frozenset.union(*seen)


def test_every_kind_needs_one_set_of_theorems(everything: list[Sample]):
    found = {kind: set() for kind in (sample.meta["kind"] for sample in everything)}
    for sample in everything:
        found[sample.meta["kind"]].add(frozenset(sample.meta["theorems"]))

    assert {kind: len(sets) for kind, sets in found.items()} == dict.fromkeys(found, 1)


def test_the_documented_table_is_the_table(everything: list[Sample]):
    page = (Path(__file__).parents[3] / "docs" / "tasks" / "structure.md").read_text()
    for sample in everything:
        theorems = ", ".join(dict.fromkeys(sample.meta["theorems"]))
        assert f"| `{sample.meta['kind']}` | {theorems} |" in page


def test_only_ood_diagram_leaves_the_values_to_the_drawing(samples: dict[str, list[Sample]]):
    for split in samples:
        for at, sample in enumerate(samples[split]):
            labelled = {text for *_, text in DATA.drawing(split, at).values}
            written = re.findall(r"(?:is|=) [\d.]*\d", sample.question.partition("Choices")[0])

            assert bool(labelled) == (split == "ood-diagram") == (not written)


# -- answers ------------------------------------------------------------------------------------


def choosing(samples: list[Sample]) -> list[Sample]:
    return [sample for sample in samples if sample.meta["choices"]]


def test_about_half_of_the_samples_are_multiple_choice(samples: dict[str, list[Sample]]):
    for split in samples.values():
        assert 0.4 < len(choosing(split)) / len(split) < 0.6


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_the_share_of_choices_can_be_set(share: float):
    data = structure(choices=share).dataset

    assert len(choosing([data.sample("rl", at) for at in range(40)])) == 40 * share


def test_choices_are_four_and_one_is_right(everything: list[Sample]):
    for sample in choosing(everything):
        reasons = list(sample.meta["choices"].values())

        assert len(reasons) == 4
        assert reasons.count("right") == 1
        assert "ABCD"[reasons.index("right")] == sample.gold
        assert all(reasons)


def test_wrong_choices_are_clearly_wrong(everything: list[Sample]):
    for sample in choosing(everything):
        values = list(map(float, sample.meta["choices"]))
        gold = values["ABCD".index(sample.gold)]

        assert min(values) > 0
        assert sorted(abs(value - gold) > 0.02 * gold for value in values) == [False] + 3 * [True]


def test_no_letter_and_no_rank_is_a_safe_guess(everything: list[Sample]):
    chosen = choosing(everything)
    ranks = Counter(
        sorted(values).index(values["ABCD".index(sample.gold)])
        for sample in chosen
        for values in [list(map(float, sample.meta["choices"]))]
    )
    for counts in (ranks, Counter(sample.gold for sample in chosen)):
        assert set(counts) in ({0, 1, 2, 3}, {*"ABCD"})
        assert max(counts.values()) < 0.34 * len(chosen)


def test_no_number_is_a_safe_guess(everything: list[Sample]):
    golds = Counter(s.gold for s in everything if not s.meta["choices"])

    assert golds.most_common(1)[0][1] < 0.08 * golds.total()


def test_one_instruction_whatever_the_gold(everything: list[Sample]):
    def instruction(sample: Sample) -> str:
        return TASK.prompt(sample).text.removeprefix(sample.question)

    assert len({instruction(sample) for sample in everything}) == 1
    assert {sample.meta["answer"] for sample in everything} == {"choice", "number"}


def test_golds_are_read_by_the_parser(everything: list[Sample]):
    kinds = {"choice": str, "number": float}
    for sample in everything:
        assert type(TASK.parser.gold(sample.gold).value) is kinds[sample.meta["answer"]]
        if sample.meta["answer"] == "number":
            assert TASK.parser.show(TASK.parser.gold(sample.gold).value) == sample.gold


def test_angles_keep_to_their_step():
    for step in (1, 2, 5):
        data = structure(angle_step=step).dataset
        golds = {float(data.sample("sft", 38 * at).meta["given"][0][-1]) for at in range(40)}
        assert all(value % step == 0 for value in golds)
        assert step == 5 or any(value % 5 for value in golds)


# -- purity -------------------------------------------------------------------------------------


def digest(data, split: str, index: int) -> list[str]:
    sample = data.sample(split, index)
    return [sample.content_hash(), sample.cot, sample.id, repr(sample.meta)]


@given(split=st.sampled_from(DATA.splits), index=st.integers(0, 299))
def test_a_sample_depends_on_its_split_and_index_alone(split: str, index: int):
    fresh = structure(sft=300, rl=300, val=300, test=300).dataset

    assert digest(fresh, split, index) == digest(DATA, split, index)


def test_another_seed_makes_other_samples():
    assert digest(structure(seed=1).dataset, "val", 0) != digest(DATA, "val", 0)


def test_dataset_and_task_can_be_pickled():
    task = pickle.loads(pickle.dumps(TASK))

    assert digest(task.dataset, "rl", 3) == digest(DATA, "rl", 3)
    assert pickle.loads(pickle.dumps(DATA.sample("rl", 3))) == DATA.sample("rl", 3)


def test_a_bucket_is_independent_of_order():
    kind = TRAINED[0]

    assert bucket(kind, [40.0, 60.0]) == bucket(kind, [60.0, 40.0])
    assert len({bucket(kind, [40.0, value]) for value in range(30, 100)}) > 8


def test_a_problem_from_no_bucket_is_rejected():
    assert draw(TRAINED[0], DATA.rng("any", "sft", 0), 5, ()) is None


# -- options and errors -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {"seed": -1},
        {"seed": "0"},
        {"sft": 0},
        {"ood_diagram": -3},
        {"ood_compose": 2.5},
        {"rl": 2**33},
        {"choices": 1.5},
        {"choices": True},
        {"angle_step": 3},
        {"image_size": 32},
        {"image_size": 4096},
    ],
)
def test_an_option_out_of_range_is_an_error_that_names_it(options: dict):
    with pytest.raises(RecipeError, match=next(iter(options))):
        structure(**options)


# -- the task -----------------------------------------------------------------------------------


def test_what_sft_teaches_earns_every_reward():
    from rftcore.scoring import Scorer

    samples = [DATA.sample("sft", at) for at in range(60)]
    scores = Scorer(TASK).score([prompts.sft_target(sample) for sample in samples], samples)

    assert {score.total for score in scores} == {2.0}
    assert all(score.correct for score in scores)


@pytest.mark.parametrize("answer", ["A", "7.25", "no idea", ""])
def test_any_answer_to_either_kind_is_a_score(answer: str):
    from rftcore.scoring import Scorer

    samples = [DATA.sample("sft", at) for at in range(12)]
    scores = Scorer(TASK).score([f"<answer>{answer}</answer>"] * 12, samples)

    assert all(score.total is not None for score in scores)


def test_reasoning_is_short_enough_for_nano(everything: list[Sample]):
    for sample in everything:
        tokens = re.findall(r"[A-Za-z]+|\d|[^\w\s]", sample.cot)
        assert len(tokens) <= 110


def test_points_are_never_named_like_choices(everything: list[Sample]):
    assert not any({*"ABCDI"} & sample.meta["points"].keys() for sample in everything)


def test_making_a_task_and_a_sample_loads_no_matplotlib():
    script = (
        "import sys; from rft_structure import structure; structure().dataset.sample('sft', 0); "
        "print('matplotlib' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "False"


@pytest.mark.parametrize(("compat", "earned"), [("repaired", 1), ("paper", 0)])
def test_compat_chooses_between_our_rewards_and_the_papers(compat: str, earned: float):
    scored = Scorer(structure(compat=compat)).score(
        ["<think>x</think><answer>5.0</answer>"], [Sample("a", "?", "5")]
    )

    assert scored[0].parts["accuracy"].value == earned
    assert scored[0].total == 1 + earned
