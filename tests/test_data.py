"""The data check of a run: each fault is an error or a warning with its origin."""

import io
from dataclasses import replace

import pytest

from rftcore import parsers, prompts, rewards
from rftcore.datasets import checks, content, slices
from rftcore.errors import DataError, SampleError
from rftcore.images import Image
from rftcore.testing.rows import Rows
from rftcore.training import rows
from rftcore.types import Prompt, Sample, Task, Term

PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de"
    "0000000c49444154789c63f8cfc0000003010100c9fe92ef0000000049454e44ae426082"
)


def sample(name, **changes):
    base = Sample(name, f"how many in {name}?", "3", (Image.from_bytes(PIXEL),), cot="one, two, 3")
    return replace(base, **{"origin": f"rows.jsonl row {name}", **changes})


def task(**splits):
    return Task(
        name="t",
        dataset=Rows(**splits),
        prompt=prompts.think_then_answer("Answer with one integer."),
        parser=parsers.Integer(),
        rewards={"accuracy": Term(rewards.exact)},
    )


def checked(**splits):
    made = task(**splits)
    return checks.check(made, [slices.take(made, split) for split in splits], progress=False)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"gold": "three"}, "gold 'three'"),
        ({"cot": None}, "`cot` is empty"),
        ({"images": (Image.from_path("nowhere.png"),)}, "nowhere.png"),
        ({"images": (Image.from_bytes(b"not an image"),)}, "image"),
        ({"gold": 3}, "its gold is 3 (int), not text"),
        ({"question": None}, "its question is None (NoneType), not text"),
        ({"cot": ["one"]}, "its cot is ['one'] (list), not text"),
        ({"cot": " "}, "`cot` is empty"),
        ({"question": "how \ud83d?"}, "its question contains a lone surrogate, \\ud83d"),
        ({"gold": "3\ude00"}, "its gold contains a lone surrogate"),
        ({"cot": None, "meta": {"rationale": "so 3"}}, "'rationale' is not read as the reasoning"),
        ({"cot": "<thinking>one</thinking>"}, "cot has '<thinking>', a tag of another format"),
        ({"cot": "one <answer>"}, "cot contains think or answer tags"),
        ({"question": " \n"}, "its question ' \\n' is empty"),
        ({"meta": None}, "its meta is None, not a mapping"),
        ({"meta": {"a": 1, 3: 2}}, "its meta has the key 3, which is no text"),
        ({"images": ["a.png"]}, "its images are ['a.png'], not a tuple of rft.Image"),
        ({"images": ("a.png",)}, "not a tuple of rft.Image"),
    ],
)
def test_a_bad_sample_is_named_with_its_row(change, expected):
    with pytest.raises(SampleError, match="row 7") as error:
        checked(sft=[sample("6"), sample("7", **change)])

    assert expected in str(error.value)


def test_a_parser_that_fails_on_a_gold_is_named_with_the_row():
    class Broken(parsers.Integer):
        def gold(self, text):
            raise KeyError(text)

    made = replace(task(sft=[sample("7")]), parser=Broken())
    with pytest.raises(SampleError, match=r"row 7: Broken\.gold failed: KeyError: '3'"):
        checks.check(made, [slices.take(made, "sft")], progress=False)


class Sized(Rows):
    """A dataset whose methods return or raise what they are told."""

    def __init__(self, size, sample=None):
        super().__init__(rl=[sample])
        self.told = size

    def size(self, split):
        if isinstance(self.told, Exception):
            raise self.told
        return self.told


@pytest.mark.parametrize(
    ("dataset", "expected"),
    [
        (Sized(KeyError("x")), r"Sized\.size failed for split 'rl': KeyError: 'x'"),
        (Sized(None), r"Sized\.size\('rl'\) is None: return a whole number"),
        (Sized(2.0), r"is 2\.0: return a whole number"),
        (Sized(0), "has no samples to use"),
        (
            Sized(1, {"question": "?"}),
            r"sample 0 of split 'rl': it returned \{'question': '\?'\}",
        ),
        (Sized(1), "sample 0 of split 'rl': it returned None, which is not an rft.Sample"),
    ],
)
def test_a_dataset_that_is_none_is_one_error(dataset, expected):
    made = replace(task(), dataset=dataset)
    with pytest.raises(DataError, match=expected):
        checks.check(made, [slices.take(made, "rl")], progress=False)


def test_a_training_sample_in_an_evaluation_split_is_an_error():
    with pytest.raises(DataError, match="make the splits disjoint"):
        checked(sft=[sample("1")], test=[sample("1")])


def test_phase_2_may_see_the_samples_of_phase_1_again():
    assert set(checked(sft=[sample("1")], rl=[sample("1")]).fingerprints) == {"sft", "rl"}


def test_a_misspelled_split_gets_a_suggestion():
    with pytest.raises(DataError, match="Did you mean 'test'"):
        slices.take(task(test=[sample("1")]), "tset")


def test_a_slice_has_the_first_samples_and_ends_at_its_size():
    part = slices.take(task(rl=[sample(str(i)) for i in range(5)]), "rl", 3)

    assert [s.id for s in part] == ["0", "1", "2"]
    with pytest.raises(IndexError):
        part[3]


def test_an_error_of_a_dataset_names_the_sample():
    part = slices.Slice(Rows(rl=[]), "rl", 3)  # it promises more than it has

    with pytest.raises(SampleError, match="Rows failed at sample 2 of split 'rl': IndexError"):
        part[2]


def test_rows_open_their_images_only_when_they_are_read():
    made = task(sft=[sample("0"), sample("1", images=(Image.from_path("nowhere.png"),))])
    shown = rows.Rows(slices.take(made, "sft"), made.prompt)

    assert shown[0]["images"][0].size == (1, 1)
    with pytest.raises(SampleError):
        shown[1]


def animation(*colors):
    from PIL import Image as pil

    buffer = io.BytesIO()
    first, *others = (pil.new("RGB", (4, 4), color) for color in colors)
    first.save(buffer, "GIF", save_all=True, append_images=others)
    return Image.from_bytes(buffer.getvalue())


def test_what_image_files_leave_open_is_one_line_per_kind_with_its_first_row():
    moving = [sample(color, images=(animation("white", color),)) for color in ("red", "blue")]
    found = checked(sft=[sample("a"), *moving]).remarks

    assert len(found) == 1
    assert found[0].startswith("several frames in 2 images, the first in rows.jsonl row red: 2 fr")
    assert checked(sft=[sample("a")]).remarks == []


DOUBTFUL = {
    "duplicate id: rows.jsonl row 1: '1' is also": {"id": "1", "question": "and now?"},
    "contradiction: rows.jsonl row 2: gold '4', but rows.jsonl row 1 has '3'": {
        "question": "how many in 1?",
        "gold": "4",
    },
    "options: rows.jsonl row 2: the row has 'choices' with 'dog'": {"meta": {"choices": ["dog"]}},
}


@pytest.mark.parametrize("expected", DOUBTFUL)
def test_what_is_doubtful_about_a_sample_is_one_line_per_kind(expected):
    changed = DOUBTFUL[expected]
    second = sample(changed.get("id", "2"), **changed)
    [line] = checked(rl=[sample("1"), second, second]).remarks

    assert line.startswith(expected)
    assert "2 such samples" in line


def test_samples_that_repeat_another_one_of_an_evaluation_split_are_a_warning():
    twice = [sample("1"), sample("2", question="how many in 1?", cot=None)]
    [line] = checked(test=[*twice, sample("3")]).remarks

    assert line.startswith("1 of 3 samples of 'test' have the question, answer and images of an")
    assert "'2' repeats '1'" in line
    assert checked(rl=twice, val=[sample("3")]).remarks == []


def test_a_group_that_no_sample_of_an_evaluation_has_is_a_warning():
    made = task(test=[sample("1", meta={"color": "red"}), sample("2")])
    found = [
        checks.check(replace(made, groups=[key]), [slices.take(made, "test")], progress=False)
        for key in ("color", "colour")
    ]

    assert found[0].remarks == []
    assert "name 'colour', but no sample of an evaluation has it" in found[1].remarks[0]
    assert "Did you mean 'color'" in found[1].remarks[0]


def test_reasoning_under_another_name_is_named_where_sft_is_missing():
    bare = sample("1", cot=None, meta={"reasoning_content": "so 3"})

    assert "rename it to 'cot'" in checked(rl=[bare]).remarks[0]
    assert checked(test=[bare]).remarks == []
    with pytest.raises(DataError, match="'reasoning_content' is not read as the reasoning"):
        slices.take(task(rl=[bare]), "sft")


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "1", "question": "how many in 1?"},  # the same sample again
        {"question": "how many in 1?", "gold": "3.0"},  # the parser reads the same
        {"question": "A. one dog B. a cat?", "meta": {"A": "one  Dog", "B": "(B) a cat"}},
        {"meta": {"a": 1, "b": 2, "A": "a letter alone", "options": ["a.png", "b.png"]}},
        {"question": "one\ntwo", "meta": {"options": "['one', 'two']"}},
    ],
)
def test_samples_beyond_doubt_get_no_warning(changes):
    assert checked(rl=[sample("1"), sample(changes.get("id", "2"), **changes)]).remarks == []


def test_one_prompt_for_different_questions_is_a_warning():
    made = replace(task(rl=[sample("1"), sample("2")]), prompt=lambda one: Prompt("?", one.images))
    [line] = checks.check(made, [slices.take(made, "rl")], progress=False).remarks

    assert "the same for every sample ('?') although the questions differ" in line
    broken = replace(made, prompt=lambda one: None)
    with pytest.raises(SampleError, match=r"return rft\.Prompt"):
        checks.check(broken, [slices.take(broken, "rl")], progress=False)


def test_a_splits_fingerprint_is_that_of_the_check():
    made = task(val=[sample("1"), sample("2", meta={"a": 1})])

    assert (
        content.fingerprint(slices.take(made, "val"))
        == checked(val=[sample("1"), sample("2", meta={"a": 1})]).fingerprints["val"]
    )


class Heavy:
    """Texts that refer to a model."""

    copies = 0

    def __call__(self, sample, prompt):
        return prompt.text, sample.gold

    def __reduce__(self):
        Heavy.copies += 1
        return Heavy, ()


def test_a_dataset_for_a_trainer_makes_rows_on_access_and_copies_no_model():
    part = slices.take(task(sft=[sample("a"), sample("b", gold="4")]), "sft")
    made = rows.as_dataset(rows.Rows(part, prompts.direct(), Heavy()))

    assert len(made) == 2
    assert [row["completion"] for row in made] == ["3", "4"]
    assert made[1]["images"][0].size == (1, 1)
    assert Heavy.copies == 0
