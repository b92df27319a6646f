"""The attack library: named, hostile, detectable, and fast to detect."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rftcore import rewards, tags
from rftcore.parsers import Integer
from rftcore.rewards import attacks
from rftcore.types import RewardInput

PROMPT = f"How many? {tags.REQUEST} Answer with one number."
LIBRARY = dict(attacks.library(PROMPT, "5", [str(number) for number in range(10)]))
# These can only be detected with the gold.
UNDETECTED = {"tags/in-reasoning-untagged", "tags/before", "tags/after"}


def test_every_kind_has_attacks_and_every_attack_a_kind():
    assert {name.partition("/")[0] for name in LIBRARY} == set(attacks.KINDS)


def test_no_attack_gives_the_right_answer_alone():
    for name, completion in LIBRARY.items():
        answer = Integer(0, 99).parse(completion)
        assert rewards.exact(RewardInput(answer.value, 5)) == 0.0, name


@pytest.mark.parametrize("name", sorted(LIBRARY.keys() - UNDETECTED))
def test_an_attack_has_the_sign_of_its_kind(name: str):
    assert name.partition("/")[0] in attacks.signs(LIBRARY[name])


@pytest.mark.parametrize("wrong", [[], ["5"]])
def test_without_wrong_answers_attacks_that_need_one_are_left_out(wrong: list[str]):
    kinds = {name.partition("/")[0] for name, _ in attacks.library(PROMPT, "5", wrong)}

    assert kinds == {"echo", "form", "repeat", "strange", "huge"}


@pytest.mark.parametrize(
    "completion",
    [
        "",
        "5",
        "I see 3 cubes and 2 spheres, so the answer is 5.",
        tags.write("There are two cubes, a sphere and a cone.", "4"),
        tags.write(
            "One moved.", "change_size(0, large), change_color(2, red), change_size(1, small)"
        ),
        tags.write("so " * 20, "-12.5"),
        "<think>\nit was cut off in the mid",
        "<think>a</think>\n<answer>1",
    ],
)
def test_an_honest_completion_has_no_sign(completion: str):
    assert attacks.signs(completion) == ()


@given(st.text())
def test_signs_of_any_text_are_kinds_in_order(text: str):
    found = attacks.signs(text)

    assert list(found) == [kind for kind in attacks.KINDS if kind in found]


@pytest.mark.parametrize("piece", ["7", "<answer>", "<", " ", "a, ", "\n", "or ", "(", "\u0663"])
def test_signs_of_a_long_text_are_found_at_once(piece: str):
    start = time.process_time()
    attacks.signs(tags.write("So.", piece * 200_000))

    assert time.process_time() - start < 20  # a hang guard; it takes a tenth of a second
