"""Intervals that can be trusted, and a table that shows what was measured."""

import base64
import pickle
from math import comb, isclose
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rftcore import parsers, rewards
from rftcore.evaluation.notes import failure_note, score_notes
from rftcore.evaluation.scores import SplitScore
from rftcore.evaluation.splits import evaluate_split, split_score
from rftcore.evaluation.tables import Summary, gain, score_table
from rftcore.images import Image
from rftcore.intervals import paired, wilson
from rftcore.models.completions import Completion
from rftcore.scoring import Scorer
from rftcore.types import Prompt, Sample, Task, Term

counts = st.integers(1, 2000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(counts)
def test_an_interval_holds_the_share_and_stays_within_0_and_1(count):
    correct, n = count
    low, high = wilson(correct, n)

    assert 0 <= low <= correct / n <= high <= 1


@given(counts)
def test_intervals_mirror_when_right_and_wrong_change_places(count):
    correct, n = count
    (low, high), (mirror_low, mirror_high) = wilson(correct, n), wilson(n - correct, n)

    assert abs(low - (1 - mirror_high)) < 1e-12
    assert abs(high - (1 - mirror_low)) < 1e-12


@given(counts)
def test_ten_times_the_samples_make_a_narrower_interval(count):
    correct, n = count
    (low, high), (low10, high10) = wilson(correct, n), wilson(10 * correct, 10 * n)

    assert high10 - low10 < high - low


def test_wilson_agrees_with_published_values():
    # Newcombe 1998, doi:10.1002/(SICI)1097-0258(19980430)17:8<857::AID-SIM777>3.0.CO;2-E, table I
    assert [round(x, 4) for x in wilson(81, 263)] == [0.2553, 0.3662]
    assert [round(x, 4) for x in wilson(15, 148)] == [0.0624, 0.1605]
    assert [round(x, 4) for x in wilson(0, 20)] == [0.0, 0.1611]


def test_without_samples_there_is_no_interval():
    assert wilson(0, 0) == (0.0, 1.0)


pairs = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=200)


@given(pairs)
def test_the_interval_of_a_gain_holds_the_gain_and_mirrors_when_before_and_after_change_places(
    right,
):
    there = gain("val", "sft", "grpo", right)
    back = gain("val", "sft", "grpo", [(after, before) for before, after in right])

    assert -1 <= there.low <= there.change <= there.high <= 1
    assert (there.change, there.low, there.high) == (-back.change, -back.high, -back.low)


@given(pairs)
def test_a_gain_is_the_difference_of_both_accuracies(right):
    before, after = (sum(column) / len(right) for column in zip(*right, strict=True))

    assert abs(gain("val", "sft", "grpo", right).change - (after - before)) < 1e-12


@pytest.mark.parametrize(("win", "lose"), [(0.05, 0.05), (0.1, 0.05), (0.3, 0.1), (0.02, 0.0)])
def test_of_a_hundred_intervals_of_a_gain_about_95_hold_the_truth(win, lose):
    n = 60
    covered = sum(
        comb(n, won) * comb(n - won, lost) * win**won * lose**lost * (1 - win - lose) ** rest
        for won in range(n + 1)
        for lost in range(n + 1 - won)
        for rest in [n - won - lost]
        for low, high in [paired(won, lost, n)]
        if low <= win - lose <= high
    )

    assert covered > 0.93


def test_the_interval_of_a_gain_agrees_with_published_values():
    # the example of ci.prop.ps in the R package statpsych, whose author proposed the interval
    assert [round(x, 7) for x in paired(won=26, lost=4, n=48)] == [0.2548067, 0.6251933]
    assert paired(0, 0, 0) == (-1.0, 1.0)


def test_the_table_shows_the_gain_of_each_stage():
    scores = [SplitScore("val", "reason", 100, 0.5, 0.4, 0.6, 0.0, 0.0, 30.0)]
    gained = [
        gain("val", "sft", "grpo", [(False, True)] * 9 + [(True, False)] + [(True, True)] * 90)
    ]
    table = score_table([("after SFT", scores), ("after GRPO", scores)], gained).splitlines()

    assert table[-1] == "SFT to GRPO  +8.0 [+1.4, +14.3]"
    assert set(table[1]) == set(table[-2]) == {"-", " "}


def test_the_table_gives_each_cell_in_percent_and_a_dash_for_what_was_not_measured():
    score = SplitScore("val", "reason", 200, 0.5, 0.431, 0.569, 0.0, 0.0, 30.0)
    table = score_table([("zero-shot", [score]), ("after SFT", [])])

    assert "val (n=200)" in table
    assert "50.0 [43.1, 56.9]" in table
    assert table.splitlines()[-1].split() == ["after", "SFT", "-"]


class Shown:
    """A split whose images cannot be sent to another process."""

    splits = ("val",)

    def size(self, split):
        return 3

    def sample(self, split, index):
        return Sample(f"val-{index}", "How many?", "5", (Image(str(index), read=lambda: DOT),))


DOT = base64.b64decode(  # a PNG of one pixel
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGNgYGAAAAAEAAH2FzhVAAAAAElFTkSuQmCC"
)


def test_answers_are_gathered_without_images(monkeypatch):
    travel = lambda mine: [pickle.loads(pickle.dumps(mine))]  # noqa: E731
    monkeypatch.setattr("rftcore.distributed.all_gather", travel)
    written = [Completion("<answer>5</answer>", 1, clipped=False)]
    monkeypatch.setattr(
        "rftcore.evaluation.splits.generate", lambda policy, prompts, most: written * len(prompts)
    )
    monkeypatch.setattr("rftcore.evaluation.splits.opening", lambda policy, prompt: "")
    terms = {"accuracy": Term(rewards.exact)}
    task = Task("t", Shown(), lambda s: Prompt(s.question, s.images), parsers.Integer(), terms)
    with Scorer(task) as scorer:
        policy = SimpleNamespace(seen_size=lambda size: None)
        score, answered = evaluate_split(policy, task, "val", scorer=scorer, progress=False)

    assert score.accuracy == 1.0
    assert [each.id for each in answered] == ["val-0", "val-1", "val-2"]


class AddsNothing:
    """A tokenizer without a start token."""

    bos_token_id = bos_token = None

    def __call__(self, text):
        return {"input_ids": []}


class OpensThink:
    """A processor of texts alone whose template opens the reasoning."""

    tokenizer = AddsNothing()

    def apply_chat_template(self, turns, **options):
        return turns[0]["content"][-1]["text"] + "<|a|><think>\n"


def test_a_think_tag_that_the_template_opens_is_scored_and_kept(monkeypatch):
    written = [Completion("a</think><answer>5</answer>", 9, clipped=False)]
    monkeypatch.setattr("rftcore.evaluation.splits.generate", lambda policy, prompts, n: written)
    policy = SimpleNamespace(processor=OpensThink(), seen_size=lambda size: None)
    terms = {"accuracy": Term(rewards.exact), "format": Term(rewards.tags)}
    task = Task("t", Shown(), lambda s: Prompt(s.question), parsers.Integer(), terms)
    with Scorer(task) as scorer:
        score, answered = evaluate_split(
            policy, task, "val", scorer=scorer, batch_size=1, progress=False
        )
        [again] = scorer.score([answered[0].completion], [Shown().sample("val", 0)])

    assert score.rewards == {"accuracy": 1.0, "format": 1.0}
    assert {name: part.value for name, part in again.parts.items()} == answered[0].rewards


def scored(ends, extra=()):
    """The answers to one question each, whose accuracy term, and another, end as told."""

    def ending(ends):
        def term(x):
            if ends[int(x.sample.id)] == "fails":
                raise KeyError("entri")
            return ends[int(x.sample.id)]

        return rewards.reward(uses=("sample",))(term)

    extra = extra or [0.0] * len(ends)
    terms = {"accuracy": Term(ending(ends)), "extra": Term(ending(extra))}
    task = Task("t", "none", str, parsers.Integer(), terms)
    samples = [Sample(str(at), "?", "5") for at in range(len(ends))]
    with Scorer(task, error_budget=999) as scorer:
        scores = scorer.score(["5"] * len(ends), samples)
    pairs = zip(scores, samples, strict=True)
    return [score.record(sample, "5", tokens=1, clipped=False) for score, sample in pairs]


outcomes = st.lists(st.sampled_from([0.0, 1.0, None, "fails"]), min_size=1, max_size=12)


@given(outcomes)
def test_what_could_not_be_scored_is_neither_right_nor_wrong(ends):
    score = split_score("val", "reason", scored(ends))
    known = [end for end in ends if isinstance(end, float)]

    assert (score.n, score.failed, score.not_applicable) == (
        len(known),
        ends.count("fails"),
        ends.count(None),
    )
    assert score.rewards["accuracy"] == score.accuracy
    assert score.accuracy == (sum(known) / len(known) if known else None)
    if known:
        assert (score.low, score.high) == wilson(int(sum(known)), len(known))


@given(outcomes)
def test_a_term_that_failed_is_averaged_over_the_calls_that_worked(ends):
    score = split_score("val", "reason", scored([1.0] * len(ends), ends))
    known = [end for end in ends if isinstance(end, float)]

    assert score.accuracy == 1.0
    assert score.rewards["extra"] == (sum(known) / len(known) if known else None)
    assert score.failures.get("extra", 0) == ends.count("fails")


@given(st.data())
def test_a_gain_is_of_the_questions_that_were_scored_in_both_stages(data):
    ends = st.lists(st.sampled_from([True, False, None]), min_size=5, max_size=5)
    pairs = list(zip(data.draw(ends), data.draw(ends), strict=True))
    both = [(b, a) for b, a in pairs if b is not None and a is not None]
    found = gain("val", "sft", "grpo", pairs)

    assert found.n == len(both)
    if both:
        assert isclose(found.change, sum(a - b for b, a in both) / len(both))
    else:
        assert (found.change, found.low, found.high) == (None, None, None)


def test_the_table_shows_how_many_answers_were_not_scored():
    stages = [
        ("zero-shot", [1.0] * 3 + [0.0]),
        ("after SFT", [1.0, 1.0, 0.0, "fails"]),
        ("after GRPO", ["fails", "fails", None, "fails"]),
    ]
    rows = [(name, [split_score("val", "reason", scored(ends))]) for name, ends in stages]
    gained = [gain("val", "start", "sft", [(True, True)] * 2 + [(True, False), (False, None)])]
    table = score_table(rows, gained).splitlines()

    assert table[0].split()[-1] == "(n=4)"
    assert table[2].endswith("75.0 [30.1, 95.4]")
    assert table[3].endswith("66.7 [20.8, 93.9], 1 not scored")
    assert table[4].split(maxsplit=2)[2] == "—, 4 not scored"
    assert table[6].endswith(", n=3")


def test_a_run_without_evaluation_has_no_empty_table():
    assert Summary("run", {"sft": []}).table().splitlines() == [
        "no accuracy: evaluation.splits names no split",
        "run: run",
    ]


def test_a_row_names_its_prompt_and_parser_if_they_differ():
    score = SplitScore("val", "direct", 4, 0.5, 0.2, 0.8, 0.0, 0.0, 9.0, parser="forgiving")
    table = Summary("run", {"start": [score]}).table()

    assert "zero-shot (direct prompt, forgiving parser)" in table


def test_a_rows_record_distinguishes_failed_from_not_applicable():
    failed, blank = scored(["fails", None])

    assert failed.correct is blank.correct is None
    assert failed.rewards == blank.rewards == {"accuracy": None, "extra": 0.0}
    assert failed.failures == {"accuracy": "error"}
    assert failed.notes["accuracy"].startswith("KeyError: 'entri' (")
    assert blank.failures == blank.notes == {}


def noted(unparsed, clipped, **more):
    score = SplitScore("val", "reason", 8, 0.5, 0.2, 0.8, unparsed, clipped, 9.0, **more)
    return " ".join(score_notes({"after SFT": [score]}, 16, lambda measured: "'x' is no number"))


@pytest.mark.parametrize(
    ("unparsed", "clipped", "cause"),
    [
        (0.5, 0.1, ""),
        (1.0, 0.95, "95 % of the completions ran into evaluation.max_new_tokens=16 (after SFT:"),
        (0.3, 0.3, "ran into evaluation.max_new_tokens=16"),
        (0.9, 0.0, "no answer could be read from 90 % of the completions (after SFT: val)"),
        (1.0, 0.1, "The first: 'x' is no number."),
    ],
)
def test_answers_that_hardly_count_are_explained(unparsed, clipped, cause):
    written = noted(unparsed, clipped)

    assert cause in written
    assert bool(cause) == bool(written)


def test_an_accuracy_term_that_did_not_apply_is_noted():
    assert "did not apply to 3 completions (after SFT: val)" in noted(0, 0, not_applicable=3)


FAILURE = {"reward": "partial", "note": "KeyError: 'entri' (my_task.py line 12)", "sample": "2"}


@pytest.mark.parametrize(
    ("more", "all_kept", "begins"),
    [
        ([0], True, "1 reward call failed: run/failures.jsonl; first: reward 'partial' on val "),
        ([0, 0, 97], True, "100 reward calls failed: "),
        ([0, 0], False, "more than 2 reward calls failed: "),
    ],
)
def test_failures_end_a_run_with_their_number_file_and_first_cause(more, all_kept, begins):
    failures = [{**FAILURE, "origin": "", "split": "val", "more": each} for each in more]
    written = failure_note(failures, "run/failures.jsonl", all_kept=all_kept)

    assert written.startswith(begins)
    assert written.endswith("sample 2: KeyError: 'entri' (my_task.py line 12)")
