"""Data of which a part has no reasoning: what SFT teaches, and that it is stated."""

import json
from dataclasses import asdict

import pytest

from rftcore import parsers, prompts, rewards, tags
from rftcore.config import check_splits, load_recipe
from rftcore.datasets import JsonlDataset, ReasonRftDataset, checks
from rftcore.datasets.audit import audit
from rftcore.datasets.reasoning import SftRows, note
from rftcore.datasets.slices import take_sft
from rftcore.errors import DataError, RecipeError, SampleError
from rftcore.models.loading import load_model
from rftcore.models.policy import tokenizer_of
from rftcore.pipeline.plan import Plan
from rftcore.plugins import Catalogue
from rftcore.testing.families import tiny_qwen2_vl
from rftcore.training.rows import Rows, written
from rftcore.types import RewardInput, Sample, Task, Term

REASON, DIRECT = prompts.think_then_answer("A number."), prompts.direct("One number.")
REASONED = Sample("a", "How many?", "3", cot="One, two, three.")
BARE, BLANK = Sample("b", "How many?", "4"), Sample("c", "How many?", "5", cot=" \n")


def task(dataset="none"):
    terms = {"accuracy": Term(rewards.exact)}
    return Task("t", dataset, REASON, parsers.Integer(), terms, direct_prompt=DIRECT)


def write(folder, split="sft", cots=(True, False, False, True, False)):
    """A file whose rows have a cot or not; ids count from 0."""
    path = folder / "rows.jsonl"
    rows = [
        {"id": str(at), "question": f"{at}?", "answer": at, "split": split}
        | ({"cot": "So."} if cot else {})
        for at, cot in enumerate(cots)
    ]
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def recipe(path, *settings, paradigm="reason-rft"):
    layer = {"task": "t", "paradigm": paradigm, "dataset": {"path": str(path)}}
    return load_recipe(("test", layer), overrides=settings)


def plan(path, *settings, **fields):
    made = recipe(path, *settings, **fields)
    return Plan(made, task(JsonlDataset(path)), "m", None, ())


def ids(part):
    return [sample.id for sample in part]


@pytest.mark.parametrize("sample", [BARE, BLANK])
def test_a_row_without_reasoning_has_the_prompt_and_the_target_of_ans_sft(sample):
    made = prompts.with_bare_answers(task())

    assert made.prompt(sample) == DIRECT(sample)
    assert prompts.target_of(made)(sample) == sample.gold
    assert made.prompt(REASONED) == REASON(REASONED)
    assert prompts.target_of(made)(REASONED) == prompts.sft_target(REASONED)


def test_the_tokens_that_are_taught_have_no_think_block_without_reasoning(tmp_path):
    policy = load_model(tiny_qwen2_vl(tmp_path))
    tokenizer = tokenizer_of(policy.processor)
    made = prompts.with_bare_answers(task())
    rows = Rows([REASONED, BARE], made.prompt, written(policy, prompts.target_of(made)))
    taught = [tokenizer(row["completion"])["input_ids"] for row in map(rows.__getitem__, (0, 1))]
    reasoned, bare = map(tokenizer.decode, taught)

    assert bare.removesuffix("\n") == "4<|im_end|>"
    assert reasoned.startswith("<think>\nOne, two, three.\n</think>\n<answer>\n3\n</answer>")
    assert "<think>" not in rows[1]["prompt"]
    assert tags.REQUEST in rows[0]["prompt"]


def test_the_format_reward_refuses_an_empty_think_block_and_a_bare_answer():
    score = rewards.tags
    for completion in ("<think>\n\n</think>\n<answer>\n4\n</answer>", "4"):
        assert score(RewardInput(4, 4, completion)) == 0.0


def test_by_default_a_row_without_reasoning_is_an_error_with_counts_and_choices(tmp_path):
    made = plan(write(tmp_path))
    with pytest.raises(SampleError, match="row 2") as error:
        checks.check(made.taught, [made.part("sft")], progress=False, taught=made.sft_task)

    assert "3 of 5 samples of split sft have none" in str(error.value)
    assert "sft.without_cot=answer" in str(error.value)
    assert "sft.without_cot=skip" in str(error.value)


@pytest.mark.parametrize(
    ("settings", "expected", "left_out"),
    [
        (["sft.without_cot=answer"], ["0", "1", "2", "3", "4"], 0),
        (["sft.without_cot=skip"], ["0", "3"], 3),
        (["sft.without_cot=skip", "sft.samples=1"], ["0"], 3),
        (["sft.without_cot=answer", "sft.samples=2"], ["0", "1"], 0),
    ],
)
def test_the_setting_decides_which_rows_are_taught(tmp_path, settings, expected, left_out):
    made = plan(write(tmp_path), *settings)
    part = made.part("sft")
    checks.check(made.taught, [part], progress=False, taught=made.sft_task)

    assert (ids(part), part.left_out) == (expected, left_out)


def test_rows_that_are_skipped_are_the_same_in_both_paradigms_of_sft(tmp_path):
    path, skip = write(tmp_path), "sft.without_cot=skip"
    paradigms = [plan(path, skip, paradigm=name) for name in ("cot-sft", "ans-sft")]

    assert ids(paradigms[0].part("sft")) == ids(paradigms[1].part("sft")) == ["0", "3"]


def test_answers_alone_are_taught_on_split_rl_if_there_is_no_split_sft(tmp_path):
    made = plan(write(tmp_path, "rl", [False] * 3), paradigm="ans-sft")
    check_splits(made.recipe, ["rl"])
    part = made.part("sft")

    assert (ids(part), part.split, part.source) == (["0", "1", "2"], "sft", "rl")
    checks.check(made.taught, [part], progress=False, taught=made.sft_task)
    with pytest.raises(RecipeError, match="to teach answers without reasoning, --paradigm ans-sft"):
        check_splits(recipe(made.task.dataset.path), ["rl"])


def test_skipping_every_row_is_an_error(tmp_path):
    made = task(JsonlDataset(write(tmp_path, cots=[False] * 3)))
    with pytest.raises(DataError, match="none of the 3 samples of split 'sft' has a `cot`"):
        take_sft(made, bare=False, skip=True)


def test_images_are_prepared_for_the_rows_that_are_used(tmp_path):
    class Noted(JsonlDataset):
        def prepare(self, split, indices):
            noted.extend((split, at) for at in indices)

    noted = []
    part = take_sft(task(Noted(write(tmp_path))), 2, bare=False, skip=True)
    part.prepare()

    assert noted == [("sft", 0), ("sft", 3)]


@pytest.mark.parametrize("needed", [True, False])
def test_rows_without_a_split_and_without_reasoning_go_to_sft_only_if_that_is_chosen(
    tmp_path, needed
):
    path = write(tmp_path, None, [False] * 40)
    (tmp_path / "train.jsonl").write_text(path.read_text())
    folder = ReasonRftDataset(tmp_path, train="train.jsonl", sft_rows=9, sft_needs_cot=needed)

    assert ("sft" in JsonlDataset(path, sft_needs_cot=needed).splits) != needed
    assert ("sft" in folder.splits) != needed
    assert needed or folder.size("sft") == 9


@pytest.mark.parametrize(
    ("settings", "expected"),
    [([], True), (["sft.without_cot=skip"], True), (["sft.without_cot=answer"], False)],
)
def test_a_recipe_that_teaches_bare_answers_lets_such_rows_go_to_sft(tmp_path, settings, expected):
    made, catalogue = recipe(write(tmp_path), *settings), Catalogue.load()
    name = catalogue.offer_task("t", task)

    made = made.model_copy(update={"task": name})
    assert catalogue.task_of(made).dataset.sft_needs_cot is expected


class OfMine(JsonlDataset):
    """A dataset of a plugin."""


@pytest.mark.parametrize(
    ("kind", "settings", "there"),
    [
        (JsonlDataset, [], False),
        (JsonlDataset, ["sft.without_cot=answer"], True),
        (JsonlDataset, ["sft.without_cot=answer", "dataset.sft_needs_cot=true"], False),
        (OfMine, [], False),
        (OfMine, ["sft.without_cot=answer"], True),
    ],
)
def test_so_it_is_with_the_dataset_of_a_task(tmp_path, kind, settings, there):
    path, catalogue = write(tmp_path, None, [False] * 40), Catalogue.load()
    name = catalogue.offer_task("t", lambda: task(kind(path)))
    made = load_recipe(("here", {"task": name}), overrides=settings)
    assert ("sft" in catalogue.task_of(made).dataset.splits) is there


def test_a_file_of_sft_without_any_reasoning_is_still_split_sft(tmp_path):
    (tmp_path / "sft.jsonl").write_text(write(tmp_path, None, [False] * 3).read_text())
    (tmp_path / "rows.jsonl").rename(tmp_path / "rl.jsonl")

    assert ReasonRftDataset(tmp_path, val_rows=0).size("sft") == 3


@pytest.mark.parametrize(("choice", "faults"), [("error", 3), ("answer", 0), ("skip", 0)])
def test_the_data_check_counts_rows_with_reasoning_and_faults_those_without(
    tmp_path, choice, faults
):
    dataset = JsonlDataset(write(tmp_path))
    found = audit(dataset, parsers.Integer(), REASON, progress=False, without_cot=choice)

    assert len(found.findings) == found.splits[0].faulty == faults
    assert (found.splits[0].rows, found.splits[0].reasoned) == (5, 2)


@pytest.mark.parametrize(
    ("rows", "bare", "expected"),
    [
        (SftRows(reasoned=5), False, ""),
        (SftRows(bare=5), True, ""),
        (SftRows(reasoned=2, bare=3), False, "2 of 5 samples have reasoning; the other 3 are"),
        (SftRows(reasoned=2, left_out=3), False, "3 samples of split sft without a cot are left"),
        (SftRows("rl", bare=4), True, "no split sft: answers are taught on split rl, 4 samples"),
    ],
)
def test_what_sft_did_without_reasoning_is_stated_exactly_if_it_did_something(rows, bare, expected):
    line = note(asdict(rows), bare=bare)

    assert bool(line) == bool(expected)
    assert expected in line
