"""A killed evaluation goes on after its last finished batch, and shortcuts show without images."""

import types
from dataclasses import replace

import pytest

from rftcore import parsers, rewards
from rftcore.completions import ScoredCompletion
from rftcore.evaluation.keeping import Answered, Keeper
from rftcore.evaluation.splits import Drawn, evaluate_split
from rftcore.images import Image
from rftcore.models.completions import Completion
from rftcore.pipeline.keeper import RunKeeper
from rftcore.runs import RunFolder
from rftcore.scoring import Scorer
from rftcore.types import Prompt, Sample, Task, Term

POLICY = types.SimpleNamespace(seen_size=lambda size: None)
OPTIONS = ("short", "a much longer option", "middling")


class Leaky:
    """Choices whose right one is always the longest; the image shows its letter as well."""

    splits = ("val",)

    def size(self, split):
        return 12

    def sample(self, split, index):
        letter = "ABC"[index % 3]
        texts = [OPTIONS[(place - index + 1) % 3] for place in range(3)]
        question = "\n".join(f"{name}. {text}" for name, text in zip("ABC", texts, strict=True))
        image = Image(f"{letter}-{index}", read=lambda: b"")
        return Sample(str(index), question, letter, (image,), meta={"place": index % 3})


def fails_on_c(x):
    if x.answer == "C":
        raise KeyError("C")
    return 1.0


TASK = Task(
    "leaky",
    Leaky(),
    lambda sample: Prompt(sample.question, sample.images),
    parsers.Choice("ABC"),
    {"accuracy": Term(rewards.exact), "odd": Term(fails_on_c, required=False)},
    groups=("place",),
)


def longest(prompt):
    return max(prompt.text.splitlines(), key=len)[0]


def looks(prompt):
    return prompt.images[0].key[0]


@pytest.fixture
def answers(monkeypatch):
    """Sets what the policy answers to a prompt; the calls so far, a list of batch sizes."""
    calls = []

    def use(reads, fail_at=None):
        def generate(policy, prompts, most, draw=None):
            if len(calls) == fail_at:
                calls.append(0)
                raise KeyboardInterrupt
            calls.append(len(prompts))
            noise = draw.seed % 2 if draw else 0
            texts = ["B" if noise and at % 2 else reads(p) for at, p in enumerate(prompts)]
            return [Completion(text, 2, clipped=False, read=7) for text in texts]

        monkeypatch.setattr("rftcore.evaluation.splits.generate", generate)
        return calls

    monkeypatch.setattr("rftcore.evaluation.splits.opening", lambda policy, prompt: "")
    monkeypatch.setattr("rftcore.images.shown._size", lambda image, path: (1, 1))
    return use


def measure(keeper=None, record=None, **options):
    given = {"batch_size": 4, "blind": 12, "drawn": Drawn(2), "progress": False, **options}
    with Scorer(TASK, error_budget=99, record=record or (lambda failure: None)) as scorer:
        return evaluate_split(POLICY, TASK, "val", scorer=scorer, keeper=keeper, **given)


@pytest.mark.parametrize(("reads", "blind"), [(longest, 1.0), (looks, 0.0)])
def test_a_shortcut_in_the_text_shows_as_accuracy_with_other_images(answers, reads, blind):
    answers(reads)
    score, rows = measure(drawn=None)

    assert score.accuracy == 1.0
    assert (score.blind.n, score.blind.accuracy) == (12, blind)
    assert [row.meta["place"] for row in rows] == [index % 3 for index in range(12)]
    assert {name: one.n for name, one in score.groups["place"].items()} == {"0": 4, "1": 4, "2": 4}


def test_blind_answers_are_kept_with_the_images_that_were_shown(answers):
    answers(looks)
    keeper = Keeper()
    _, rows = measure(keeper, drawn=None)
    blind = keeper.finished["blind"]

    assert [row.id for row in blind] == [row.id for row in rows]
    assert all(one.images != two.images for one, two in zip(blind, rows, strict=True))
    assert keeper.usage.samples == 24
    assert (keeper.usage.tokens_read, keeper.usage.tokens_generated) == (24 * 7, 24 * 2)


def test_fewer_blind_samples_are_the_first_ones(answers):
    answers(looks)

    assert measure(blind=5, drawn=None)[0].blind.n == 5
    assert measure(blind=0, drawn=None)[0].blind is None


def lines(folder):
    names = ("evaluation/blind/sft-val.jsonl", "evaluation/sampled/sft-val.jsonl", "failures.jsonl")
    found = {name: folder.read_jsonl(name) for name in names}
    return {n: [{**one, "traceback": ""} for one in rows] for n, rows in found.items()}


def session(folder, about):
    noted = {"split": "val"}
    keeper = RunKeeper(folder, "sft", "val", noted, about)

    def record(failure):
        folder.add_failure({"phase": "evaluate:sft", **noted, "note": failure.note})

    return measure(keeper, record), keeper


def killed_before_keeping(monkeypatch, batch):
    """Kills once when the failures of a batch are written, and its answers are not."""
    plain, left = RunFolder.add_partial, [batch]

    def add_partial(*arguments):
        left[0] -= 1
        if left[0] == -1:
            raise KeyboardInterrupt
        plain(*arguments)

    monkeypatch.setattr(RunFolder, "add_partial", add_partial)


@pytest.mark.parametrize("at", range(12))
@pytest.mark.parametrize("scored", [False, True])
def test_a_killed_evaluation_goes_on_after_its_last_batch_and_equals_an_uninterrupted_one(
    answers, at, scored, tmp_path, monkeypatch
):
    about = {"phase": "evaluate:sft", "split": "val"}
    answers(looks)
    with RunFolder.create(tmp_path / "whole", {}) as whole:
        truth, keeper = session(whole, about)
    calls = answers(looks, fail_at=None if scored else 12 + at)
    if scored:
        killed_before_keeping(monkeypatch, at)
    with RunFolder.create(tmp_path / "half", {}) as half:
        with pytest.raises(KeyboardInterrupt):
            session(half, about)
        found, again = session(half, about)

    assert len(calls) == 12 + 13  # every batch once, and the one that was killed
    assert found == truth
    assert lines(half) == lines(whole)
    assert replace(again.usage, seconds=0, peak_memory=0) == replace(
        keeper.usage, seconds=0, peak_memory=0
    )


class Remembers(Keeper):
    """Has answers of an earlier session."""

    def __init__(self, rows):
        super().__init__()
        self.rows, self.began = rows, []

    def read(self, kind):
        return self.rows if kind == "greedy" else []

    def begin(self, kind, rows, batches):
        self.began.append((kind, rows, batches))


@pytest.mark.parametrize(
    ("kept", "expected"),
    [([], 0), ([0, 1, 2], 0), ([0, 1, 2, 3], 4), ([0, 1, 2, 3, 4], 4), ([1, 0, 2, 3], 0)],
)
def test_only_whole_batches_in_order_are_taken_over(answers, kept, expected):
    calls = answers(looks)
    row = ScoredCompletion(id="x", question="?", gold="A", completion="A", correct=False)
    keeper = Remembers([Answered(replace(row, index=index)) for index in kept])
    score, rows = measure(keeper, blind=0, drawn=None)

    assert keeper.began == [("greedy", expected, expected // 4)]
    assert sum(calls) == 12 - expected
    assert [r.id for r in rows] == ["x"] * expected + [str(i) for i in range(expected, 12)]
    assert score.accuracy == (12 - expected) / 12


def test_an_evaluation_that_was_kept_whole_shows_its_accuracy(answers, capsys):
    answers(looks)
    row = ScoredCompletion(id="x", question="?", gold="A", completion="A", correct=True)
    keeper = Remembers([Answered(replace(row, index=index)) for index in range(12)])
    measure(keeper, blind=0, drawn=None, progress=True)

    assert "12/12 samples, accuracy 100.0%" in capsys.readouterr().err
