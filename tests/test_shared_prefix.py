"""The prompt of a group read once: the same numbers as in the plain form, and less work."""

import copy
import io
from collections import Counter
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cache

import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as pil
from trl.trainer.utils import add_fused_lm_head

from rftcore.config import load_recipe
from rftcore.datasets.slices import take
from rftcore.errors import ModelError
from rftcore.images import Image
from rftcore.models import decode_loop
from rftcore.models.loading import load_model
from rftcore.parsers import Integer
from rftcore.scoring import Score
from rftcore.training.callbacks import Progress, quiet, quiet_libraries
from rftcore.training.configs import grpo_config
from rftcore.training.grpo import grpo_trainer
from rftcore.training.shared_prefix import Sharing, share_prefix
from rftcore.training.shared_prefix.family import TOLERANCES
from rftcore.training.shared_prefix.images import encode_once, equal_images
from rftcore.training.shared_prefix.packing import fill, lay_out
from rftcore.types import Parsed, Prompt, Sample, Task

PAD, END, IMAGE, VOCABULARY = 0, 1, 2, 48
TEXT = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "pad_token_id": PAD,
    "eos_token_id": END,
    "bos_token_id": None,
}


def llava(attention="sdpa", seed=0):
    from transformers import (
        LlavaConfig,
        LlavaForConditionalGeneration,
        Qwen2Config,
        SiglipVisionConfig,
    )

    tower = SiglipVisionConfig(
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=1,
        num_attention_heads=2,
        image_size=8,
        patch_size=4,
        vision_use_head=False,
    )
    config = LlavaConfig(
        vision_config=tower,
        text_config=Qwen2Config(**TEXT),
        image_token_index=IMAGE,
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
        attn_implementation=attention,
    )
    return made(LlavaForConditionalGeneration, config, seed)


def qwen2_vl(attention="sdpa", seed=0):
    from transformers import Qwen2VLConfig, Qwen2VLForConditionalGeneration

    rope = {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 10000.0}
    config = Qwen2VLConfig(
        text_config={**TEXT, "rope_parameters": rope},
        vision_config={
            "depth": 1,
            "embed_dim": 16,
            "hidden_size": 32,
            "num_heads": 2,
            "mlp_ratio": 2,
            "patch_size": 4,
            "spatial_merge_size": 2,
            "temporal_patch_size": 1,
        },
        image_token_id=IMAGE,
        video_token_id=VOCABULARY - 1,
        vision_start_token_id=VOCABULARY - 2,
        vision_end_token_id=VOCABULARY - 3,
        attn_implementation=attention,
    )
    return made(Qwen2VLForConditionalGeneration, config, seed)


def text_only(attention="sdpa", seed=0):
    from transformers import Qwen2Config, Qwen2ForCausalLM

    return made(Qwen2ForCausalLM, Qwen2Config(**TEXT, attn_implementation=attention), seed)


def made(kind, config, seed):
    """The model with weights large enough for every path to matter."""
    torch.manual_seed(seed)
    model = kind(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=0.25)
    model.generation_config.pad_token_id = PAD
    model.generation_config.eos_token_id = END
    return model


FAMILIES = {"llava": llava, "qwen2_vl": qwen2_vl, "text": text_only}


@dataclass(frozen=True)
class Row:
    """One row to be: images by number, each a size and a look; then text, then a completion."""

    images: tuple[int, ...]
    text: tuple[int, ...]
    completion: tuple[int, ...]


def picture(family, number):
    """Image `number`: its pixels and, where the family has one, its grid."""
    noise = torch.Generator().manual_seed(number)
    if family == "llava":
        return torch.randn(3, 8, 8, generator=noise), None, 4
    grid = torch.tensor([1, 2, 2 + 2 * (number % 3)])
    patches = int(grid.prod())
    return torch.randn(patches, 48, generator=noise), grid, patches // 4


def prompt(family, row):
    ids = [3]
    for number in row.images:
        ids += [4, *[IMAGE] * picture(family, number)[2], 5]
    return [*ids, *row.text]


def batch(family, rows, complete=True):
    """What TRL hands a model: prompts padded on the left, completions on the right."""
    prompts = [prompt(family, row) for row in rows]
    wide, long = max(map(len, prompts)), max(len(row.completion) for row in rows)
    ids, mask = [], []
    for start, row in zip(prompts, rows, strict=True):
        before, after = wide - len(start), (long - len(row.completion)) * complete
        own = [*start, *(row.completion if complete else ())]
        ids.append([PAD] * before + own + [PAD] * after)
        mask.append([0] * before + [1] * len(own) + [0] * after)
    inputs = {"input_ids": torch.tensor(ids), "attention_mask": torch.tensor(mask)}
    if family == "qwen2_vl":
        inputs["mm_token_type_ids"] = (inputs["input_ids"] == IMAGE).int()
    shown = [picture(family, number) for row in rows for number in row.images]
    if shown:
        join = torch.stack if family == "llava" else torch.cat
        inputs["pixel_values"] = join([pixels for pixels, _, _ in shown])
        if family == "qwen2_vl":
            inputs["image_grid_thw"] = torch.stack([grid for _, grid, _ in shown])
    if complete:
        labels = inputs["input_ids"].masked_fill(inputs["attention_mask"] == 0, -100)
        labels[:, :wide] = -100
        inputs |= {"labels": labels, "fused_lm_head": True}
    return inputs


word = st.integers(6, VOCABULARY - 4)
words = st.lists(word, min_size=1, max_size=5).map(tuple)


@st.composite
def rows_of(draw, family):
    """Ragged groups of unequal size over few images, shuffled."""
    images = st.just(()) if family == "text" else st.lists(st.integers(0, 3), max_size=3).map(tuple)
    starts = draw(st.lists(st.tuples(images, words), min_size=1, max_size=3, unique=True))
    chosen = draw(st.lists(st.sampled_from(starts), min_size=2, max_size=7))
    return [Row(*start, draw(words)) for start in chosen]


GROUP = [Row((1,), (9, 7), (8, 9, 10)), Row((1,), (9, 7), (11,)), Row((1,), (9, 7), (12, 13))]
OTHERS = [Row((1, 0), (9, 7), (8, 9)), Row((1,), (7,), (8,)), Row((), (9, 7), (14,) * 4)]
MIXED = [GROUP[0], OTHERS[0], GROUP[1], OTHERS[1], OTHERS[0], GROUP[2], OTHERS[2], OTHERS[2]]


@dataclass
class Pair:
    """The same model twice, both with TRL's head: as it is, and sharing."""

    plain: torch.nn.Module
    shared: torch.nn.Module
    sharing: Sharing


def pair(family, attention="sdpa", required=True, checked=True):
    plain = FAMILIES[family](attention)
    shared = copy.deepcopy(plain)
    for model in (plain, shared):
        add_fused_lm_head(model, temperature=0.7, outputs=("log_probs", "entropy"))
    sharing = share_prefix(shared, required=required)
    if checked:  # no second opinion: what is tested is the shared form alone
        sharing.differences = {"SharedScoring": 0.0, "SharedPrefill": 0.0}
    return Pair(plain, shared, sharing)


@cache
def known(family):
    """One pair for all the batches of a property."""
    return pair(family)


@cache
def exact(family):
    """The same in float64: what differs in float32 by rounding alone is equal here."""
    both = pair(family)
    return Pair(both.plain.double(), both.shared.double(), both.sharing)


def in_float64(inputs):
    """Float tensors of a batch in float64."""
    tensors = {n: v for n, v in inputs.items() if isinstance(v, torch.Tensor)}
    return {n: v.double() if v.is_floating_point() else v for n, v in tensors.items()}


def mixed(family):
    return [Row((), row.text, row.completion) for row in MIXED] if family == "text" else MIXED


def gradients(model, output):
    """The gradient of something that every token takes part in."""
    model.zero_grad()
    weights = torch.linspace(-1, 1, output.log_probs.numel()).view_as(output.log_probs)
    ((output.log_probs + 0.1 * output.entropy) * weights).sum().backward()
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


def the_same(both, inputs, log_probs=1e-5, gradient=1e-4):
    """The accepted distance: nats per token, and of all gradients relative to their length."""
    mine, its = both.shared(**inputs), both.plain(**inputs)
    assert torch.allclose(mine.log_probs, its.log_probs, atol=log_probs, rtol=0)
    assert torch.allclose(mine.entropy, its.entropy, atol=log_probs, rtol=0)
    assert torch.equal(mine.label_mask, its.label_mask)
    ours, theirs = gradients(both.shared, mine), gradients(both.plain, its)
    assert (ours - theirs).norm() <= gradient * theirs.norm()


def equal_numbers(examples):
    """The law that sharing changes where a number is computed, and no number."""

    @pytest.mark.parametrize("family", FAMILIES)
    @settings(max_examples=examples, deadline=None)
    @given(data=st.data())
    def law(family, data):
        inputs = batch(family, data.draw(rows_of(family)))
        the_same(exact(family), {**in_float64(inputs), "fused_lm_head": True}, log_probs=2e-6)

    return law


test_shared_and_plain_give_the_same_numbers = equal_numbers(10)
test_shared_and_plain_give_the_same_numbers_in_200_batches = pytest.mark.long(equal_numbers(200))


@pytest.mark.parametrize("family", FAMILIES)
def test_eager_attention_gives_the_same_numbers(family):
    the_same(pair(family, "eager"), batch(family, mixed(family)))


@pytest.mark.parametrize("family", FAMILIES)
def test_activation_checkpointing_gives_the_same_numbers(family):
    both = pair(family)
    for model in (both.plain, both.shared):
        model.train()
        model.activation_checkpointing_enable()

    the_same(both, batch(family, mixed(family)))


def test_half_precision_stays_within_its_rounding():
    both, inputs = pair("llava"), batch("llava", MIXED)
    with torch.autocast("cpu", torch.bfloat16):
        mine, its = both.shared(**inputs).log_probs, both.plain(**inputs).log_probs

    assert both.sharing.read
    assert (mine - its).abs().mean() < TOLERANCES[torch.bfloat16]


@pytest.mark.parametrize("cache_implementation", [None, "static", "our loop"])
@pytest.mark.parametrize("do_sample", [False, True])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_same_seed_writes_the_same_completions(family, do_sample, cache_implementation):
    both, prompts = known(family), batch(family, mixed(family), complete=False)
    read, written = both.sharing.read, []
    for model in (both.plain, both.shared):
        torch.manual_seed(3)
        options = {"max_new_tokens": 12, "do_sample": do_sample, "disable_compile": True}
        if cache_implementation == "our loop":
            arguments = {**prompts, **options}
            written.append(decode_loop.generate(model, model.generate, arguments))
        else:
            options["cache_implementation"] = cache_implementation
            written.append(model.generate(**prompts, **options))

    assert torch.equal(*written)
    assert read < both.sharing.read < read + prompts["input_ids"].numel()


@given(rows=rows_of("llava"))
@settings(max_examples=8, deadline=None)
def test_any_batch_of_prompts_is_continued_alike(rows):
    prompts = batch("llava", rows, complete=False)
    options = {"max_new_tokens": 6, "do_sample": False}
    both = known("llava")

    assert torch.equal(*(m.generate(**prompts, **options) for m in (both.plain, both.shared)))


def encoded_images(both, call):
    """How many images each tower sees in `call`: of the plain model, of the sharing one."""
    seen = []
    for model in (both.plain, both.shared):
        tower, counts = model.model.vision_tower, []
        hook = tower.register_forward_pre_hook(
            lambda _, args, kwargs, counts=counts: counts.append(
                len(args[0] if args else kwargs["pixel_values"])
            ),
            with_kwargs=True,
        )
        call(model)
        hook.remove()
        seen.append(sum(counts))
    return seen


def test_the_tower_sees_each_distinct_image_once_after_a_check_of_the_first_batch():
    both, inputs = pair("llava"), batch("llava", MIXED)
    prompts = batch("llava", MIXED, complete=False)

    assert encoded_images(both, lambda model: model.generate(**prompts, max_new_tokens=2))[1] == 10
    assert encoded_images(both, lambda model: model(**inputs)) == [8, 2]
    assert encoded_images(both, lambda model: model.generate(**prompts, max_new_tokens=2)) == [8, 2]


class Other(dict):
    """What an encoder returns, by attribute."""

    __getattr__ = dict.__getitem__


POOLED = {"pooler_output": None, "last_hidden_state": None, "hidden_states": None}
FIELDS = {**POOLED, "attentions": None, "reshaped_hidden_states": None, "deepstack_features": None}


def encoder(features, **fields):
    """An encoder (images, C, H, W) that counts its images. features: its output of some pixels."""

    def encode(pixel_values, pixel_attention_mask=None, return_dict=True, **kwargs):
        seen.append(len(pixel_values))
        return Other(FIELDS | {"pooler_output": features(pixel_values)} | fields)

    seen = []
    return encode, seen


IMAGES = torch.randn(2, 3, 4, 4)[[0, 0, 1, 0]]


def rows(pixels):
    return pixels.flatten(1)[:, None]


@pytest.mark.parametrize(
    ("features", "arguments", "seen"),
    [
        (rows, {}, [2, 4, 2]),
        (lambda pixels: list(rows(pixels)), {}, [2, 4, 2]),
        (rows, {"pixel_attention_mask": torch.ones(4)}, [4, 4]),
        (lambda pixels: rows(pixels - pixels.mean()), {}, [2, 4, 4, 4]),
        (lambda pixels: rows(pixels)[:1], {}, [2, 4, 4]),
    ],
    ids=["tensor", "list", "another argument", "depends on the batch", "other shape"],
)
def test_an_encoder_is_used_once_per_image_only_if_that_changes_nothing(features, arguments, seen):
    encode, counted = encoder(features)
    once = encode_once(encode, lambda: False, pytest.fail, lambda: 1e-4)
    for _ in range(2):
        made, plain = once(IMAGES, **arguments), features(IMAGES)
        assert type(made.pooler_output) is type(plain)
        assert all(torch.equal(*pair) for pair in zip(made.pooler_output, plain, strict=True))

    assert counted == seen


def test_features_of_deeper_layers_are_taken_apart_by_image():
    encode, _ = encoder(lambda pixels: list(rows(pixels)))

    def deep(pixel_values, return_dict=True):
        layers = [rows(pixel_values)[:, 0], 2 * rows(pixel_values)[:, 0]]
        return Other(encode(pixel_values) | {"deepstack_features": layers})

    made = encode_once(deep, lambda: False, pytest.fail, lambda: 1e-4)(IMAGES)
    for ours, plain in zip(made.deepstack_features, deep(IMAGES).deepstack_features, strict=True):
        assert torch.equal(ours, plain)


def test_a_whole_group_reads_its_prompt_once():
    both, group = pair("text"), [Row((), (7,) * 20, (8,) * 5)] * 4
    both.shared(**batch("text", group))

    assert both.sharing.read == 20 + 4 * (1 + 5)  # 21 of the prompt, its last token four times
    assert both.sharing.unshared == 4 * (21 + 5)
    assert both.sharing.metrics()["shared_prefix/tokens_saved"] == pytest.approx(1 - 44 / 104)
    assert both.sharing.metrics()["shared_prefix/tokens_saved"] == 0


def test_a_token_sees_its_prompt_and_what_it_said_itself():
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 1, 0]])
    packing = lay_out(mask, [[0, 1]], start=3)
    sees = ["".join("x" if seen else "." for seen in query) for query in packing.mask()[0, 0]]

    assert packing.column.tolist() == [[0, 1, 2, 3, 4, 2, 3]]
    assert sees == ["x......", "xx.....", "xxx....", "xxxx...", "xxxxx..", "xx...x.", "xx...xx"]


@given(st.lists(st.integers(1, 9), min_size=1, max_size=12))
def test_rows_are_filled_to_the_longest_block_and_hold_every_block_once(lengths):
    rows = fill(lengths)

    assert Counter(n for row in rows for n in row) == Counter(range(len(lengths)))
    assert all(sum(lengths[n] for n in row) <= max(lengths) for row in rows)


def test_images_are_the_same_only_if_every_value_is():
    image = torch.rand(3, 4, 4)
    swapped = image.flip(0)  # the same values elsewhere: the same sum

    assert equal_images([image, swapped, image.clone(), image + 1e-3]) == [0, 1, 0, 3]


def changed(**changes):
    return lambda both, inputs: inputs.update(changes)


def gap(both, inputs):
    inputs["attention_mask"][0, -2] = 0
    inputs["attention_mask"][0, -1] = 1
    inputs["labels"][0, -2] = -100


def late_prompt(both, inputs):
    inputs["attention_mask"][0, inputs["labels"].eq(-100).all(0).sum() - 1] = 0


def image_said(both, inputs):
    inputs["input_ids"][0, -1] = IMAGE


def one_image_less(both, inputs):
    inputs["pixel_values"] = inputs["pixel_values"][:-1]


def dropout(both, inputs):
    both.shared.train()
    both.shared.model.language_model.layers[0].self_attn.attention_dropout = 0.1


def flash(both, inputs):
    both.shared.config.get_text_config()._attn_implementation_internal = "flash_attention_2"


def window(both, inputs):
    both.shared.config.get_text_config().layer_types = ["full_attention", "sliding_attention"]


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (changed(token_type_ids=torch.zeros(3, 8)), "called with token_type_ids"),
        (changed(output_router_logits=True), "called with output_router_logits"),
        (gap, "a completion has gaps"),
        (late_prompt, "a prompt does not end where"),
        (image_said, "a completion has an image"),
        (one_image_less, "do not fill its image tokens"),
        (dropout, "dropout is on"),
        (flash, "its attention takes no mask"),
        (window, "do not attend to the whole text: full_attention, sliding_attention"),
    ],
)
def test_what_cannot_be_shared_is_an_error_or_left_plain_with_one_warning(spoil, expected, logged):
    both, inputs = pair("llava"), batch("llava", [*GROUP, GROUP[0]])
    spoil(both, inputs)
    with pytest.raises(ModelError, match=expected):
        both.shared(**inputs)

    both.sharing._required = False
    both.sharing._plain = lambda **given: given
    assert both.shared(**inputs) == both.shared(**inputs) == inputs
    assert logged.text.count(expected) == 1


def test_a_call_for_logits_passes_as_it_is():
    both, inputs = pair("llava"), batch("llava", GROUP)
    del inputs["fused_lm_head"]

    mine, its = (model(**inputs, use_cache=False).logits for model in (both.shared, both.plain))
    assert torch.allclose(mine, its, atol=1e-5)
    assert both.sharing.unshared == 0


def test_rows_that_share_nothing_pass_as_they_are():
    both, inputs = pair("llava"), batch("llava", [GROUP[0], *OTHERS])
    assert torch.equal(both.shared(**inputs).log_probs, both.plain(**inputs).log_probs)

    assert both.sharing.unshared == both.sharing.read == inputs["input_ids"].numel()


def score(model):
    return model(**batch("llava", MIXED)).log_probs


def write(model):
    prompts = batch("llava", MIXED, complete=False)
    return model.generate(**prompts, max_new_tokens=5, do_sample=False)


@pytest.mark.parametrize(
    ("call", "fault"),
    [
        (score, ("scoring", "lay_out", lambda *given: everyone_sees_all(lay_out(*given)))),
        (write, ("prefill", "group_rows", lambda *_: [[*range(len(MIXED))]])),
    ],
)
def test_a_model_that_disagrees_continues_in_the_plain_form_with_a_warning(
    call, fault, monkeypatch, logged
):
    module, name, broken = fault
    monkeypatch.setattr(f"rftcore.training.shared_prefix.{module}.{name}", broken)
    both = pair("llava", required=False, checked=False)

    assert torch.equal(call(both.shared), call(both.plain))
    assert "differs from the plain form" in logged.text
    assert both.sharing.metrics()["shared_prefix/on"] == 0
    assert torch.equal(call(both.shared), call(both.plain))
    with pytest.raises(ModelError, match="differs from the plain form"):
        call(pair("llava", required=True, checked=False).shared)


def other_arguments(*_):
    raise TypeError("get_rope_index() got an unexpected keyword argument")


@pytest.mark.parametrize(
    ("call", "place"),
    [
        (score, "scoring.lay_out"),
        (score, "scoring.SharedScoring.restore"),
        (score, "images.equal_images"),
        (write, "prefill.group_rows"),
        (write, "prefill.SharedPrefill.restore"),
    ],
)
def test_a_version_with_other_arguments_is_a_warning_and_the_plain_form(
    call, place, monkeypatch, logged
):
    monkeypatch.setattr(f"rftcore.training.shared_prefix.{place}", other_arguments)
    both = pair("llava", required=False, checked=False)

    assert torch.equal(call(both.shared), call(both.plain))
    assert "its shared form raised TypeError: get_rope_index() got" in logged.text
    assert len(logged.messages) == 1
    with pytest.raises(ModelError, match="raised TypeError"):
        call(pair("llava", required=True, checked=False).shared)


def everyone_sees_all(packing):
    packing.segment.zero_()
    return packing


@pytest.mark.parametrize("family", FAMILIES)
def test_the_first_batch_is_checked_and_agrees(family):
    both = pair(family, checked=False)
    both.shared(**batch(family, mixed(family)))
    both.shared.generate(**batch(family, mixed(family), complete=False), max_new_tokens=3)

    assert both.sharing.differences.keys() == {"SharedScoring", "SharedPrefill"}
    assert 0 <= both.sharing.metrics()["shared_prefix/difference"] < 1e-5
    assert both.sharing.off is None


def test_a_model_that_shares_is_saved_as_it_was(tmp_path):
    both = pair("llava")
    for name in ("plain", "shared"):
        getattr(both, name).save_pretrained(tmp_path / name)
    files = [sorted(f.name for f in (tmp_path / n).iterdir()) for n in ("plain", "shared")]

    assert files[0] == files[1]
    assert both.shared.state_dict().keys() == both.plain.state_dict().keys()
    for name in ("config.json", "model.safetensors"):
        assert (tmp_path / "plain" / name).read_bytes() == (tmp_path / "shared" / name).read_bytes()


@pytest.fixture
def half():
    """Accelerate in bfloat16; its state is one per process, so it goes before and afterwards."""
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state(reset_partial_state=True)
    yield Accelerator(cpu=True, mixed_precision="bf16")
    AcceleratorState._reset_state(reset_partial_state=True)


def test_accelerate_prepares_a_model_that_shares(half):
    both, inputs = pair("llava"), batch("llava", MIXED)
    told = half.prepare_model(both.shared)(**inputs).log_probs

    assert told.dtype == torch.float32
    assert both.sharing.read
    assert (told - both.plain(**inputs).log_probs).abs().mean() < 0.1


@dataclass(frozen=True)
class Squares:
    """Two images and a question, each time with another number."""

    splits: tuple[str, ...] = ("rl",)

    def size(self, split):
        return 40

    def sample(self, split, index):
        files = []
        for colour in ((index * 5, 80, 0), "blue"):
            files.append(io.BytesIO())
            pil.new("RGB", (32, 32), colour).save(files[-1], "PNG")
        pictures = tuple(Image.from_bytes(file.getvalue()) for file in files)
        return Sample(f"{split}-{index}", f"How many of the {index} cubes?", "1", pictures)


class ByLength:
    """A scorer whom any policy can please a little: it counts letters."""

    collective = staticmethod(nullcontext)  # one process has nobody to agree with

    def score(self, completions, samples, **_):
        totals = [len(text) % 7 / 7 for text in completions]
        return [Score(total, {}, Parsed(1), correct=False) for total in totals]


KL, MASK = {"beta": 0.04}, {"min_p": 0.1}  # a reference model; the loss of what sampling keeps


def trained(folder, setting, steps, more):
    """Steps of GRPO: what was logged, what was written."""
    nano = pytest.importorskip("rft_nano")
    transformers.set_seed(0)
    shape = {"prompts_per_step": 2, "group_size": 4, "max_completion_length": 12}
    options = {
        "max_steps": steps,
        "learning_rate": 1e-4,
        **more,
        "activation_checkpointing": False,
    }
    recipe = {"task": "t", "grpo": {"shared_prefix": setting, **shape, **options}}
    task = Task(
        name="squares",
        dataset=Squares(),
        prompt=lambda sample: Prompt(sample.question, sample.images),
        parser=Integer(),
        rewards={},
        summary="Count squares.",
    )
    logged, written = [], []
    made = load_recipe(("test", recipe))
    trainer = grpo_trainer(
        load_model(nano.toy()),
        task,
        made,
        take(task, "rl"),
        grpo_config(made, folder),
        scorer=ByLength(),
        observe=lambda step, rollouts: written.extend(r.completion for r in rollouts),
        callbacks=[Progress("grpo", logged.append, show=False)],
    )
    quiet(trainer).train()
    return [line for line in logged if "loss" in line], written


@pytest.mark.parametrize(
    ("steps", "more"), [(3, KL), (3, MASK), pytest.param(20, KL, marks=pytest.mark.long)]
)
def test_a_run_is_the_same_shared_and_plain(steps, more, tmp_path):
    with quiet_libraries():
        plain, its_rollouts = trained(tmp_path / "off", "off", steps, more)
        shared, my_rollouts = trained(tmp_path / "on", "on", steps, more)

    assert my_rollouts == its_rollouts
    for mine, its in zip(shared, plain, strict=True):
        assert mine["loss"] == pytest.approx(its["loss"], abs=1e-4)
        assert mine.get("kl", 0) == pytest.approx(its.get("kl", 0), abs=1e-4)
        assert mine.get("sampling_mask/mass") == pytest.approx(its.get("sampling_mask/mass"))
        assert mine["grad_norm"] == pytest.approx(its["grad_norm"], rel=1e-3)
        assert mine["shared_prefix/tokens_saved"] > 0.5
