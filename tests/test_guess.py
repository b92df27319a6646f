"""Guesses without images: a planted leak is found, chance stays chance, no gold is seen."""

import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from fractions import Fraction
from math import prod, sqrt
from random import Random

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from rftcore import parsers, prompts, rewards
from rftcore.cli import main
from rftcore.config import load_recipe
from rftcore.errors import DataError, SampleError
from rftcore.guessing import words
from rftcore.guessing.measure import measure
from rftcore.guessing.questions import Question
from rftcore.images import Image
from rftcore.testing.rows import Rows
from rftcore.types import Prompt, Sample, Task, Term

FEW = settings(max_examples=5, deadline=None)
MANY = settings(max_examples=40, deadline=None)
SEEDS = st.integers(0, 2**32 - 1)
RECIPE = load_recipe(("test", {"task": "t"}))
LETTERS, COLORS = "ABCD", ("red", "green", "blue")
WORDS = ["lamp", "door", "tree", "cat", "house", "river", "table", "stone", "glass", "paper"]


def unseen():
    raise AssertionError("a guess has read an image")


def rows(make, count, seed, **changes):
    """`count` samples whose question and gold `make` draws. Their images cannot be read."""
    rng = Random(seed)
    drawn = [make(rng) for _ in range(count)]
    return [
        Sample(f"{seed}-{at}", text, gold, (Image(f"{seed}-{at}", unseen),), **changes)
        for at, (text, gold) in enumerate(drawn)
    ]


def task(parser, make, seed=0, sizes=(120, 80, 150), **changes):
    drawn = [rows(make, size, f"{seed}-{at}") for at, size in enumerate(sizes)]
    made = Task(
        name="t",
        dataset=Rows(**dict(zip(("sft", "rl", "val"), drawn, strict=True))),
        prompt=prompts.think_then_answer("Answer with one word, number or letter."),
        parser=parser,
        rewards={"accuracy": Term(rewards.exact), "format": Term(rewards.tags)},
    )
    return replace(made, **changes)


def measured(made, *splits, **changes):
    return measure(made, RECIPE.model_copy(update=changes), splits, progress=False)


def filler(rng):
    return " ".join(rng.choices(WORDS, k=5))


def longest_is_right(rng):
    texts = [" ".join(rng.choices(WORDS, k=size)) for size in rng.sample((1, 4, 8, 13), 4)]
    listed = " ".join(f"({letter}) {text}" for letter, text in zip(LETTERS, texts, strict=True))
    return f"What is shown? {listed}", LETTERS[max(range(4), key=lambda at: len(texts[at]))]


def word_decides(rng):
    at = rng.randrange(3)
    return f"The {filler(rng)} is {COLORS[at]}, the {filler(rng)} is not. How many?", str(at + 4)


def at_random(rng):
    return f"How many of {rng.randrange(9)} {filler(rng)}?", str(rng.randrange(4))


def last_word(rng):
    word = "".join(rng.choices("aeioulmnrst", k=8))
    return f"Is it {filler(rng)} or {word}?", word


def middle_number(rng):
    numbers = rng.sample(range(100), 3)
    listed = ", ".join(f"{a} {n}" for a, n in zip("ABC", numbers, strict=True))
    return f"How large? Choices: {listed}.", "ABC"[numbers.index(sorted(numbers)[1])]


def smallest(rng):
    numbers = rng.sample(range(100), 3)
    return "Of {:03}, {:03} and {:03}, which?".format(*numbers), str(min(numbers))


CHOICE = parsers.Choice("ABCD")


@FEW
@given(SEEDS)
def test_the_longest_choice_is_exposed_where_it_is_always_right(seed):
    found = measured(task(CHOICE, longest_is_right, seed))

    assert found.best.splits["val"].accuracy == 1.0
    assert ("choice", "the longest") in [(rule.name, rule.detail) for rule in found.rules]
    assert {*found.best.rules.values()} == {"choice"}


@pytest.mark.parametrize(
    ("parser", "make", "rule", "detail"),
    [
        (parsers.Integer(), word_decides, "naive Bayes on words", ""),
        (parsers.Text(), last_word, "from the question", "the last word"),
        (CHOICE, middle_number, "choice", "the second smallest"),
        (parsers.Integer(), smallest, "from the question", "the smallest number"),
        (parsers.Text(), lambda rng: (filler(rng), "yes"), "most frequent answer", "yes"),
    ],
)
def test_a_planted_leak_is_exposed(parser, make, rule, detail):
    found = measured(task(parser, make))

    assert found.best.splits["val"].accuracy == 1.0
    assert {*found.best.rules.values()} == {rule}
    assert detail in [each.detail for each in found.rules if each.name == rule]


def test_texts_that_are_the_same_answer_are_counted_as_one():
    golds = ["5", "05", "5.0", "7", "7"]
    found = measured(task(parsers.Integer(), lambda rng: (filler(rng), rng.choice(golds))))

    assert (found.rules[0].detail, found.best.splits["val"].accuracy > 0.5) == ("5", True)


def test_an_answer_that_a_tolerance_accepts_is_guessed():
    made = task(parsers.Integer(), lambda rng: (filler(rng), str(rng.randrange(1000, 2000))))
    term = Term(lambda x: float(x.answer is not None and abs(x.answer - x.gold) < 300))
    found = measured(replace(made, rewards={"accuracy": term}))

    assert found.best.rules == {"without choices": "most accepted answer"}
    assert abs(found.best.splits["val"].accuracy - 0.6) < 5 * sqrt(0.6 * 0.4 / 150)


@FEW
@given(SEEDS)
def test_answers_that_are_independent_of_the_question_are_guessed_at_chance(seed):
    best = measured(task(parsers.Integer(), at_random, seed)).best.splits["val"]

    assert abs(best.accuracy - 1 / 4) < 5 * sqrt(1 / 4 * 3 / 4 / best.n)


@FEW
@given(SEEDS)
def test_no_rule_sees_an_evaluated_answer(seed):
    made = task(parsers.Integer(), word_decides, seed)
    val = [made.dataset.sample("val", at) for at in range(made.dataset.size("val"))]
    golds = Random(seed).sample([sample.gold for sample in val], len(val))
    shuffled = [replace(sample, gold=gold) for sample, gold in zip(val, golds, strict=True)]
    train = {split: made.dataset._splits[split] for split in ("sft", "rl")}
    found, other = measured(made), measured(replace(made, dataset=Rows(**train, val=shuffled)))

    assert other.best.rules == found.best.rules
    assert [replace(rule, splits={}) for rule in other.rules] == [
        replace(rule, splits={}) for rule in found.rules
    ]
    assert other.best.splits["val"].accuracy < 0.6 < found.best.splits["val"].accuracy


@FEW
@given(SEEDS)
def test_the_same_questions_give_the_same_report(seed):
    assert measured(task(CHOICE, longest_is_right, seed)) == measured(
        task(CHOICE, longest_is_right, seed)
    )


def test_questions_about_one_image_are_held_out_together():
    def about(image):
        texts = (f"What is number {image}?", Random(image).choice(COLORS))
        keys = [(f"{image}", f"{image}, {at}") for at in range(12)]
        return [Sample(k, *texts, (Image(one, unseen), Image(k, unseen))) for one, k in keys]

    made = task(parsers.Text(), last_word)
    train = [sample for image in range(20) for sample in about(image)]
    found = measured(replace(made, dataset=Rows(rl=train, val=about(99))))

    assert found.held_out == 48
    assert all(rule.held_out.accuracy < 0.9 for rule in found.rules)


def test_one_image_for_all_questions_does_not_prevent_a_choice():
    made = task(parsers.Text(), last_word)
    train = [replace(s, images=(Image("one", unseen),)) for s in made.dataset._splits["rl"]]
    found = measured(replace(made, dataset=Rows(rl=train, val=made.dataset._splits["val"])))

    assert (found.held_out, found.best.splits["val"].accuracy) == (16, 1.0)


def test_a_training_question_that_two_splits_have_is_not_held_out_from_itself():
    made = task(parsers.Text(), at_random)
    train = made.dataset._splits["rl"]
    found = measured(replace(made, dataset=Rows(sft=train, rl=train, val=train[:40])))

    assert found.questions == {"sft": 80, "rl": 80}
    assert found.held_out == 16


def test_a_question_has_the_best_guess_of_its_kind():
    made = task(parsers.Text(), lambda rng: (longest_is_right, last_word)[rng.randrange(2)](rng))
    best = measured(made).best

    assert best.rules == {"with choices": "choice", "without choices": "from the question"}
    assert [best.kinds[kind]["val"].accuracy for kind in best.kinds] == [1.0, 1.0]
    assert sum(best.kinds[kind]["val"].n for kind in best.kinds) == best.splits["val"].n == 150


def test_choices_that_only_the_prompt_shows_are_seen():
    made = task(CHOICE, longest_is_right)
    hidden = {
        split: [
            replace(s, question="Which?", meta={"listed": s.question})
            for s in made.dataset._splits[split]
        ]
        for split in made.dataset.splits
    }
    prompt = lambda s: Prompt(f"{s.question} {s.meta['listed']}\nAnswer in tags.", s.images)  # noqa: E731
    found = measured(replace(made, dataset=Rows(**hidden), prompt=prompt))

    assert found.best.splits["val"].accuracy == 1.0


def test_what_the_accuracy_term_does_not_apply_to_is_not_counted():
    made = task(parsers.Integer(), at_random)
    term = Term(lambda x: None if x.gold == 0 else float(x.answer == x.gold))
    found = measured(replace(made, rewards={"accuracy": term}))
    counted = sum(sample.gold != "0" for sample in made.dataset._splits["val"])

    assert {rule.splits["val"].n for rule in found.rules} == {counted}


@pytest.mark.parametrize(
    ("change", "splits", "expected"),
    [
        ({}, ["rl"], "--split rl: rules are fitted on it"),
        ({}, ["vall"], "no split 'vall'. Did you mean 'val'?"),
        ({"dataset": Rows(val=rows(at_random, 9, 1))}, [], "no training split to fit rules on"),
        ({"dataset": Rows(rl=rows(at_random, 20, 1))}, [], "no split 'val': name another"),
        (
            {"dataset": Rows(rl=rows(at_random, 9, 1), val=rows(at_random, 9, 2))},
            [],
            "9 different training questions in rl, but rules are fitted on 10 or more",
        ),
        ({"rewards": {"accuracy": Term(lambda x: 0.5)}}, [], "is 1 for none of them"),
    ],
)
def test_what_cannot_be_measured_is_an_error_with_the_reason(change, splits, expected):
    made = replace(task(parsers.Integer(), at_random), **change)
    with pytest.raises(DataError) as error:
        measured(made, *splits)

    assert expected in str(error.value)


def test_a_gold_that_the_parser_cannot_read_is_named():
    made = task(parsers.Integer(), last_word)

    with pytest.raises(SampleError, match="the parser cannot read the gold answer"):
        measured(made)


# --- what a rule sees of a question ---


@pytest.mark.parametrize(
    ("text", "choices"),
    [
        ("Find E. Choices: A 45, B 65, C 135, D 70.", "A=45 B=65 C=135 D=70"),
        ("Which?\n(A) a cat\n(B) two dogs\nAnswer with a letter.", "A=a cat B=two dogs"),
        ("Which? a) cat b) dog c) cow", "a=cat b=dog c=cow"),
        ("Which? A. cat; B. dog", "A=cat B=dog"),
        ("In angle A is 40. Options: [A] 1 [B] 2", "A=1 B=2"),
        ("A B C is a triangle. Angle A B C is 40.", ""),
        ("Answer with A, B, C or D.", ""),
        ("Answer with (A), (B), (C) or (D).", ""),
        ("Is it (A) or not?", ""),
        ("a dog and b cats", ""),
    ],
)
def test_choices_are_found(text, choices):
    found = Question(text).choices

    assert " ".join(f"{each.label}={each.text}" for each in found) == choices


@pytest.mark.parametrize(
    ("text", "template"),
    [
        ("Angle E R L is 40.5. Find angle L.", "angle @ @ @ is # find angle @"),
        ("How many cubes? Is Anna left of Ben?", "how many cubes is @ left of @"),
        ("Add 1,000 cubes.", "add # cubes"),
        ("Find E. Choices: A 45, B 65", "find @ choices"),
        ("有几个 2?", "有 几 个 #"),
    ],
)
def test_a_template_has_marks_for_numbers_and_names(text, template):
    assert Question(text).template == template


@settings(deadline=None)
@given(st.text(st.sampled_from("AaBbCc()[].,:; \n12²٣é有I'")) | st.text())
def test_any_text_is_a_question(text):
    question = Question(text)

    assert len(question.choices) != 1
    assert all(choice.text and choice.label for choice in question.choices)
    assert len({choice.label for choice in question.choices}) == len(question.choices)
    assert question.template.count("#") <= len(question.features)
    assert {*question.named.values()} <= {*words_of(text)}


def words_of(text):
    return (text[start:end] for start in range(len(text)) for end in range(start, len(text) + 1))


# --- the models of its words ---

QUESTIONS = st.lists(st.lists(st.sampled_from(WORDS[:5]), max_size=4), min_size=20, max_size=60)


@st.composite
def answered(draw):
    questions = [Question(" ".join(each)) for each in draw(QUESTIONS)]
    many = len(questions)
    return questions, draw(st.lists(st.sampled_from("xyz"), min_size=many, max_size=many))


@MANY
@given(answered())
def test_naive_bayes_gives_the_answer_of_its_formula(drawn):
    questions, answers = drawn
    table = words.Table.of(questions, answers)
    sizes = Counter(answers)

    def likelihood(answer, feature, question):
        own = [q for q, a in zip(questions, answers, strict=True) if a == answer]
        share = Fraction(sum(feature in q.features for q in own) + 1, sizes[answer] + 2)
        return share if feature in question.features else 1 - share

    def weight(answer, question):
        return sizes[answer] * prod(likelihood(answer, f, question) for f in table.features)

    guess = words.bayes(table)
    for question in questions[:3]:
        best = max(weight(answer, question) for answer in sizes)
        assert weight(guess(question), question) > best * (1 - Fraction(1, 10**9))


@MANY
@given(answered())
def test_a_tree_is_right_on_its_own_questions_no_less_often_than_the_most_frequent_answer(drawn):
    questions, answers = drawn
    guess = words.tree(words.Table.of(questions, answers))
    right = sum(guess(q) == a for q, a in zip(questions, answers, strict=True))

    assert right >= max(Counter(answers).values())


# --- the command ---

TASK = '''
import rftcore as rft


def letters() -> rft.Task:
    """Which letter?"""
    return rft.Task(
        name="letters",
        dataset=rft.JsonlDataset("rows.jsonl"),
        prompt=rft.prompts.think_then_answer("Answer with one letter."),
        parser=rft.parsers.Choice("ABCD"),
        rewards={"accuracy": rft.Term(rft.rewards.exact)},
    )
'''


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A task in a file, with rows in another, whose images do not exist."""
    monkeypatch.chdir(tmp_path)
    made = rows(longest_is_right, 100, 0)
    lines = [
        {
            "question": s.question,
            "answer": s.gold,
            "image": f"{s.id}.png",
            "split": "val" if at < 40 else "rl",
        }
        for at, s in enumerate(made)
    ]
    (tmp_path / "letters.py").write_text(TASK)
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return tmp_path


def test_the_command_shows_every_rule_and_the_best_guess(folder):
    result = CliRunner().invoke(main, ["data", "guess", "--task", "./letters.py:letters"])

    assert result.exit_code == 0, result.output
    assert "val (n=40)" in result.stdout
    assert "best guess: choice (the longest)" in result.stdout
    assert "100.0 [91.2, 100.0]" in result.stdout


def test_the_command_prints_the_same_json_in_every_process(folder):
    command = [
        sys.executable,
        "-m",
        "rftcore.cli",
        "data",
        "guess",
        "--task",
        "./letters.py:letters",
    ]
    first, second = (
        subprocess.run(
            [*command, "--json"],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    )

    assert first == second
    assert json.loads(first)["best"]["splits"]["val"]["accuracy"] == 1.0
