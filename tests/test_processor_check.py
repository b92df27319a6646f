"""A row that the policy's processor cannot take is named before weights load."""

import io
import logging
from dataclasses import replace
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rftcore import prompts
from rftcore.datasets.slices import Slice
from rftcore.errors import DataError, ModelError, SampleError
from rftcore.images import Image
from rftcore.models.completions import generate
from rftcore.models.configs import Context
from rftcore.models.encoding import apply_processor, placeholders, render, special_tokens
from rftcore.models.loading import load_model
from rftcore.models.processor_check import ProcessorCheck
from rftcore.models.processors import load_processor
from rftcore.testing.families import tiny_qwen2_vl
from rftcore.training.rows import Rows, written
from rftcore.types import Prompt, Sample

ROW = "rows.jsonl row 7"


def picture(width, height):
    from PIL import Image as pil

    buffer = io.BytesIO()
    pil.new("RGB", (width, height), "red").save(buffer, "PNG")
    return Image.from_bytes(buffer.getvalue())


def row(*sizes, question="How many?", gold="3", cot=None):
    return Sample("7", question, gold, tuple(picture(*s) for s in sizes), cot, origin=ROW)


@pytest.fixture(scope="module", params=["nano", "qwen2_vl"])
def folder(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / request.param
    if request.param == "qwen2_vl":
        return tiny_qwen2_vl(folder)
    return pytest.importorskip("rft_nano.model").build_untrained(folder, seed=1)


@pytest.fixture(scope="module")
def check(folder):
    return ProcessorCheck(folder, prompts.think_then_answer("Answer with a number."))


SIDES = st.tuples(st.integers(1, 150), st.integers(1, 150))
WORDS = st.text(st.characters(codec="ascii", exclude_characters="<|>"), max_size=30)


@given(sizes=st.lists(SIDES, max_size=3), question=WORDS)
def test_a_prompt_is_counted_as_the_policy_reads_it(check, sizes, question):
    sample = row(*sizes, question=question)
    prompt = prompts.think_then_answer("Answer with a number.")(sample)
    images = [[image.open() for image in prompt.images]]
    read = apply_processor(check.processor, [render(check.processor, prompt)], images)

    assert check.see(sample, "rl") == read["input_ids"].shape[1]


@pytest.mark.parametrize("field", ["question", "cot", "gold"])
def test_every_special_token_is_an_error_in_every_text_by_row(check, field):
    specials = special_tokens(check.processor).values()
    assert len(specials) > 5
    for token in {*specials, *placeholders(check.processor)}:
        sample = replace(row(cot="One."), **{field: f"a {token}b"})
        with pytest.raises(SampleError, match=rf"^{ROW}: the {field} contains ") as caught:
            check.see(sample, "sft")
        assert repr(token) in str(caught.value)


@pytest.mark.parametrize(
    "text", ["<image1>", "<br>", "a < b > c", "[IMG]", "<think>", "é 图 😀", ""]
)
def test_text_that_is_no_special_token_passes(check, text):
    assert check.see(row(question=text, cot=text), "sft") > 0


def test_a_special_token_that_the_task_itself_writes_is_an_error(folder, check):
    token = placeholders(check.processor)[0]
    other = ProcessorCheck(folder, lambda s: Prompt(f"{token}{s.question}", s.images))

    with pytest.raises(SampleError, match=f"{ROW}: the task's prompt contains '.*puts an image"):
        other.see(row((50, 50)), "rl")


def test_sides_that_the_processor_rejects_are_named_with_its_rule(tmp_path):
    check = ProcessorCheck(tiny_qwen2_vl(tmp_path / "model"), prompts.direct())

    assert check.see(row((1, 200)), "rl")
    with pytest.raises(
        SampleError, match=rf"{ROW}: image of 2 x 500 pixels: Qwen2VLProcessor cann"
    ):
        check.see(row((2, 500)), "rl")
    with pytest.raises(SampleError, match="ratio must be smaller than 200, got 250"):
        check.see(row((500, 2)), "rl")


def lengths(check, *words):
    """A check that has seen prompts of so many words, and how many tokens they took."""
    fresh = ProcessorCheck.__new__(ProcessorCheck)
    fresh.__dict__ |= check.__dict__ | {"splits": {}}
    rows = [replace(row(question="a " * n), origin=f"row of {n}") for n in words]
    return fresh, [fresh.see(each, "rl") for each in rows]


@given(words=st.lists(st.integers(0, 40), min_size=1, max_size=5), off=st.integers(-1, 1))
def test_a_prompt_longer_than_the_context_is_an_error_with_its_row(check, words, off):
    seen, tokens = lengths(check, *words)
    seen.context = Context(1, max(tokens) + off)
    if off >= 0:
        return seen.require_prompts_fit()
    over = [n for n in tokens if n > seen.context.largest]
    with pytest.raises(DataError, match=rf"^{len(over)} of {len(words)} prompts of split rl") as e:
        seen.require_prompts_fit()
    assert f"row of {max(words)}, takes {max(tokens)}" in str(e.value)
    return None


@given(words=st.lists(st.integers(0, 40), min_size=1, max_size=5), off=st.integers(-1, 1))
def test_a_warning_is_given_exactly_if_a_completion_may_not_fit(check, words, off):
    seen, tokens = lengths(check, *words)
    seen.context = Context(max(tokens) + 8 + off, None)
    warnings = list(seen.crowded("rl", "grpo.max_completion_length", 8))

    assert len(warnings) == (off < 0)
    assert all(f"row of {max(words)}, takes {max(tokens)}" in warning for warning in warnings)


@pytest.mark.parametrize("mixed", [[(9, 9)], [], [(9, 9), ()], [(), (9, 9)], [(), ()]])
def test_a_split_with_and_without_images_is_an_error_with_a_row_of_each(check, mixed):
    seen, _ = lengths(check)
    for at, size in enumerate(mixed):
        seen.see(replace(row(*([size] if size else [])), origin=f"row {at}"), "rl")
    if {bool(size) for size in mixed} == {True, False}:
        with pytest.raises(DataError, match=r"row \d has images, row \d has none \(1 of 2"):
            seen.require_one_kind("rl")
    else:
        seen.require_one_kind("rl")


def test_a_tokenizer_that_would_drop_the_tags_is_an_error(tmp_path):
    folder = tiny_qwen2_vl(tmp_path / "model")
    processor = load_processor(folder)
    processor.tokenizer.add_special_tokens({"additional_special_tokens": ["</answer>"]})
    processor.save_pretrained(folder)

    with pytest.raises(ModelError, match="treats </answer> as a special token"):
        ProcessorCheck(folder, prompts.direct())


def test_a_long_text_makes_no_noise(folder):
    heard = []
    handler = logging.Handler()
    handler.emit = heard.append
    logger = logging.getLogger("transformers.tokenization_utils_base")
    logger.addHandler(handler)
    try:
        ProcessorCheck(folder, prompts.direct()).see(row(question="word " * 9000), "rl")
    finally:
        logger.removeHandler(handler)
    assert not heard


def test_rows_with_and_without_images_train_and_answer_as_each_does_alone(folder):
    import torch
    from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

    policy = load_model(folder, device="cpu")
    collate = DataCollatorForVisionLanguageModeling(policy.processor, completion_only_loss=True)
    several = ((28, 56), (84, 28), (56, 56))
    samples = [row(*sizes, cot="one") for sizes in (((56, 56),), (), several)]
    part = Slice(SimpleNamespace(sample=lambda _, at: samples[at]), "sft", len(samples))
    rows = Rows(part, prompts.direct(), written(policy))

    def summed(*indices):
        batch = collate([rows[at] for at in indices])
        with torch.inference_mode():
            loss = policy.model(**batch).loss
        return float(loss) * int((batch["labels"][:, 1:] != -100).sum())

    assert summed(0, 1, 2) == pytest.approx(sum(map(summed, range(3))), rel=1e-4)
    shown = [prompts.direct()(sample) for sample in samples]
    alone = [generate(policy, [prompt], 4)[0] for prompt in shown]
    assert generate(policy, shown, 4) == alone
