"""Each family of docs/models.md is tried whole: every claim of support.toml is a test here.

The quick tests are part of `make test`. `make families` runs those marked `families`, and
`make families-deep` those marked `families_deep`, forty seconds per family.
`python tests/test_families_matrix.py` (`make docs-outputs`) writes the table of the page.
"""

import json
import os
import re
import runpy
import shutil
from contextlib import contextmanager
from pathlib import Path

import pytest

from rftcore.errors import VisionError
from rftcore.models.cache_name import CACHE
from rftcore.models.support import KINDS, families
from rftcore.testing.families import FAMILIES
from tests.commands import exit_code as rft

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "models.md"
TASKS = ROOT / "tests" / "cases" / "family_tasks.py"
EVERY = bool(os.environ.get("RFT_EVERY_FAMILY"))  # also what support.toml does not claim
QUESTION = re.compile(r"Which number is (sft|rl|val) (\d+)\?")
# One step of each phase, on images of four sizes.
QUICK = (
    *("sft.samples=4", "sft.batch_size=4", "sft.max_steps=1", "sft.learning_rate=1e-3"),
    *("grpo.samples=2", "grpo.prompts_per_step=2", "grpo.group_size=2", "grpo.max_steps=1"),
    *("grpo.max_completion_length=8", "grpo.learning_rate=1e-3", "sft.check_lengths=false"),
    *("evaluation.splits=[val]", "evaluation.samples.val=2", "evaluation.max_new_tokens=4"),
    "evaluation.zero_shot=false",
    "evaluation.blind=0",
)
# Two steps of each phase, with a reference model: a change of form may change rounding alone.
DEEP = (
    *(*QUICK, "sft.samples=8", "sft.max_steps=2", "sft.save_steps=1", "grpo.samples=4"),
    *("grpo.max_steps=2", "grpo.save_steps=1", "grpo.beta=0.04", "vision_check.enabled=false"),
)
# peft would adapt the experts in place of other layers, which is an error that asks for these
TARGETS = {
    "glm4v_moe": ("policy.lora.targets=[q_proj,k_proj,v_proj,o_proj]",),
    # of others, plain peft, with which this is compared, does not load the adapter
    "mistral_large4": ("policy.lora.targets=[q_proj,kv_b_proj,o_proj]",),
}
pytestmark = [
    # PaliGemma's processor makes an array of a tensor
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    # peft asks transformers by a name that it has replaced
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"),
]


QUICK_FAMILIES = [*FAMILIES][:14]  # of `make test`; the others are tried by `make families`


def of(kind):
    """The families of which support.toml claims that a kind works."""
    found = [
        pytest.param(name, marks=marks_of(name))
        for name, family in families().items()
        if not family.refused and (EVERY or kind in family.tested)
    ]
    return pytest.mark.parametrize("family", found)


def marks_of(name):
    """A family's tests use one run; those of a later family are not quick."""
    later = [] if name in QUICK_FAMILIES else [pytest.mark.families]
    return [pytest.mark.xdist_group(name), *later]


def train(model, out, *settings, task="one"):
    """Train both phases in this process; the exit code."""
    given = [part for setting in settings for part in ("--set", setting)]
    return rft("train", "--task", f"{TASKS}:{task}", "--model", model, "--out", out, *given)


@contextmanager
def recording(seen, family):
    """Keep the token ids and labels of every call of the family's whole model with prompts."""
    from transformers import PreTrainedModel

    plain = PreTrainedModel.__call__

    def call(self, *args, **inputs):
        ids, mask = inputs.get("input_ids"), inputs.get("attention_mask")
        whole = self.config.model_type == family and hasattr(self, "lm_head")
        cache = inputs.get(CACHE)
        begins = cache is not None and not cache.get_seq_length()
        plain_mask = ids is not None and getattr(mask, "shape", None) == ids.shape
        if whole and ids is not None and (plain_mask or begins):  # else packed, or after a prompt
            if not plain_mask:  # Gemma 3's masks of layers
                mask = ids != self.generation_config.pad_token_id
            labels = inputs.get("labels")
            labels = ids.new_full(ids.shape, -100) if labels is None else labels
            kept = zip(ids, labels, mask.bool(), strict=True)
            seen.extend((i[m].tolist(), its[m].tolist()) for i, its, m in kept)
        return plain(self, *args, **inputs)

    PreTrainedModel.__call__ = call
    try:
        yield
    finally:
        del PreTrainedModel.__call__


@pytest.fixture(scope="module")
def trained(tiny, tmp_path_factory):
    """A run of a family with one image per prompt, made once: folder, exit code, what was read."""
    made = {}

    def of_family(family):
        if family not in made:
            seen, out = [], tmp_path_factory.mktemp(family) / "run"
            with recording(seen, family):
                code = train(tiny(family), out, *QUICK)
            made[family] = out, code, seen
        return made[family]

    return of_family


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def steps(run):
    """(phase, loss, norm of the gradient) of each step."""
    logged = lines(run / "metrics.jsonl")
    return [(m["phase"], m["loss"], m["grad_norm"]) for m in logged if "grad_norm" in m]


def prompt_of(split, index, task="one"):
    made = runpy.run_path(str(TASKS))[task]()
    return made.prompt(made.dataset.sample(split, index))


def shown(processor, prompt):
    """What rft gives a model for a prompt: tensors of one row."""
    from rftcore.models.encoding import apply_processor, render

    images = [image.open() for image in prompt.images]
    return apply_processor(processor, [render(processor, prompt)], [images])


@of("one")
def test_both_phases_run_with_images_of_several_sizes(family, trained):
    run, code, _ = trained(family)

    assert code == 0
    assert [phase for phase, *_ in steps(run)] == ["sft", "grpo"]
    assert all(abs(loss) < 100 and 0 < norm < 1e4 for _, loss, norm in steps(run))


@pytest.mark.families
@of("two")
def test_both_phases_run_with_two_images_per_prompt(family, tiny, tmp_path):
    assert train(tiny(family), tmp_path / "run", *QUICK, task="two") == 0


@of("tokens")
def test_sft_rollouts_scoring_and_evaluation_read_the_same_prompt_tokens(family, tiny, trained):
    from rftcore.models.processors import load_processor

    processor, expected = load_processor(tiny(family)), {}
    for ids, _ in trained(family)[2]:
        asked = QUESTION.findall(processor.tokenizer.decode(ids))
        if len(asked) > 1:  # beside which another prompt was read, with other images
            continue
        ((split, index),) = asked
        if (split, index) not in expected:
            prompt = prompt_of(split, int(index))
            expected[split, index] = shown(processor, prompt)["input_ids"][0].tolist()
        prompt = expected[split, index]

        assert ids[: len(prompt)] == prompt
    assert {split for split, _ in expected} == {"sft", "rl", "val"}


@of("end")
def test_sft_teaches_a_token_that_ends_generation(family, tiny, trained):
    from rftcore.models.processors import load_processor

    ends = json.loads((tiny(family) / "generation_config.json").read_text())["eos_token_id"]
    stops = {*(ends if isinstance(ends, list) else [ends])}
    decode = load_processor(tiny(family)).tokenizer.decode
    taught = [
        [token for token in labels if token != -100]
        for ids, labels in trained(family)[2]
        if QUESTION.search(decode(ids))[1] == "sft"
    ]

    assert len([row for row in taught if row]) == 6  # two in the step before training
    assert all(stops & {*row[-2:]} for row in taught if row)  # a newline may follow


@of("blind")
def test_a_model_that_loses_its_pixels_is_refused_and_a_sound_one_is_not(family, tiny):
    from rftcore.models.loading import load_model
    from rftcore.models.vision import check_vision

    policy = load_model(tiny(family), device="cpu")
    prompts = [prompt_of("val", index) for index in range(3)]
    assert check_vision(policy, prompts, ["<answer>3</answer>"] * 3, 1e-3) >= 1e-3
    policy.model.register_forward_pre_hook(_without_pixels, with_kwargs=True)

    with pytest.raises(VisionError, match="does not see"):
        check_vision(policy, prompts, ["<answer>3</answer>"] * 3, 1e-3)


def _without_pixels(model, args, inputs):
    pixels = {k: v for k, v in inputs.items() if "pixel_values" in k and v is not None}
    gray = {k: v * 0 + 1 for k, v in pixels.items()}
    return args, {**inputs, **gray}  # SmolVLM takes zeros for padding


@of("plain")
def test_plain_transformers_gives_a_trained_folder_the_same_logits(family, trained):
    import torch
    from transformers import AutoModelForImageTextToText, AutoProcessor

    from rftcore.models.encoding import encode
    from rftcore.models.loading import load_model

    folder, prompt = trained(family)[0] / "grpo" / "model", prompt_of("val", 0)
    model = AutoModelForImageTextToText.from_pretrained(folder).eval()
    processor = AutoProcessor.from_pretrained(folder)
    asked = [
        {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": prompt.text}]}
    ]
    text = processor.apply_chat_template(asked, add_generation_prompt=True)
    begin = processor.tokenizer.bos_token
    plain = processor(
        text=[text],
        images=[[prompt.images[0].open()]],
        return_tensors="pt",
        add_special_tokens=not (begin and text.startswith(begin)),
    )
    ours = load_model(folder, device="cpu")
    with torch.no_grad():
        expected = model(**plain).logits[0, -1]
        found = ours.model.eval()(**encode(ours, [prompt])).logits[0, -1]

    assert torch.equal(found, expected)


REFUSED = [name for name, family in families().items() if family.refused]


@pytest.mark.parametrize("family", REFUSED)
def test_a_family_that_cannot_train_is_refused_before_its_weights_load(
    family, tiny, tmp_path, capsys
):
    folder = shutil.copytree(tiny(family), tmp_path / "model")
    (folder / "model.safetensors").unlink()
    assert train(folder, tmp_path / "run", *QUICK) == 2

    assert f"error: --model: rft does not train {folder}, which is a" in capsys.readouterr().err


@pytest.mark.families
@pytest.mark.parametrize("family", REFUSED)
def test_a_refused_family_ends_in_one_error_without_the_refusal_too(
    family, tiny, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr("rftcore.pipeline.preflight.require_trainable", lambda *_: None)
    assert train(tiny(family), tmp_path / "run", *QUICK) == 2

    assert "Traceback" not in capsys.readouterr().err


FAILS = [(f, kind) for f in families() for kind in families()[f].fails]


@pytest.mark.families
@pytest.mark.parametrize(("family", "kind"), FAILS)
def test_what_is_said_not_to_work_ends_in_one_error(family, kind, tiny, tmp_path, capsys):
    assert train(tiny(family), tmp_path / "run", *QUICK, task=kind) == 2

    assert "Traceback" not in capsys.readouterr().err


def test_a_family_that_was_not_tried_is_a_warning_before_its_weights_load(
    tiny, tmp_path, capsys, monkeypatch
):
    known = {name: family for name, family in families().items() if name != "gemma3"}
    monkeypatch.setattr("rftcore.models.support.families", lambda: known)
    folder = shutil.copytree(tiny("gemma3"), tmp_path / "model")
    (folder / "model.safetensors").unlink()
    train(folder, tmp_path / "run", *QUICK)

    assert "of a family that was not tested with rft (model_type gemma3" in capsys.readouterr().err


@pytest.mark.families
@of("none")
def test_both_phases_run_without_images(family, tiny, tmp_path):
    assert train(tiny(family), tmp_path / "run", *QUICK, task="none") == 0


@pytest.fixture(scope="module")
def deep(tiny, tmp_path_factory):
    """A run of two steps per phase, made once."""
    made = {}

    def of_family(family):
        if family not in made:
            made[family] = tmp_path_factory.mktemp(family) / "run"
            assert train(tiny(family), made[family], *DEEP) == 0
        return made[family]

    return of_family


def rollouts(run):
    return [row["completion"] for row in lines(run / "rollouts.jsonl")]


def assert_same_numbers(run, other):
    assert rollouts(run) == rollouts(other)
    for (phase, *found), (its_phase, *expected) in zip(steps(run), steps(other), strict=True):
        assert phase == its_phase
        assert found == pytest.approx(expected, rel=1e-3, abs=1e-4)


@pytest.mark.families_deep
@of("shared")
def test_sharing_the_prompt_changes_no_rollout_no_loss_and_no_gradient(
    family, tiny, deep, tmp_path
):
    assert train(tiny(family), tmp_path / "run", *DEEP, "grpo.shared_prefix=off") == 0

    assert_same_numbers(deep(family), tmp_path / "run")


@pytest.mark.families_deep
@of("one")
def test_the_loss_has_the_tokens_that_sampling_keeps(family, tiny, tmp_path):
    step = masked_step(tiny(family), tmp_path / "run")
    assert step["sampling_mask/on"] == 1
    assert 0 < step["sampling_mask/mass"] < 1


def masked_step(model, run, *settings):
    """The line of one step of GRPO whose loss has the tokens that sampling keeps."""
    kept = ("sft.enabled=false", "grpo.min_p=0.5", "grpo.sampling_mask=on")
    assert train(model, run, *QUICK, *kept, *settings) == 0
    (step,) = [line for line in lines(run / "metrics.jsonl") if "loss" in line]
    return step


@pytest.mark.families_deep
@pytest.mark.parametrize(
    "setting",
    [
        *("grpo.micro_batch=1", "grpo.activation_checkpointing=false", "grpo.shared_prefix=off"),
        "policy.lora.rank=4",  # which changes nothing before the first update
    ],
)
def test_the_loss_of_kept_tokens_is_the_same_whatever_the_shape_of_a_step(setting, tiny, tmp_path):
    names = ("loss", "reward", "sampling_mask/tokens", "sampling_mask/mass")
    plain = masked_step(tiny("qwen2_vl"), tmp_path / "plain")
    other = masked_step(tiny("qwen2_vl"), tmp_path / "other", setting)

    assert [other[name] for name in names] == pytest.approx(
        [plain[name] for name in names], abs=1e-5
    )


@pytest.mark.families_deep
@of("checkpointing")
def test_checkpointing_changes_no_rollout_no_loss_and_no_gradient(family, tiny, deep, tmp_path):
    off = ("sft.activation_checkpointing=false", "grpo.activation_checkpointing=false")
    assert train(tiny(family), tmp_path / "run", *DEEP, *off) == 0

    assert_same_numbers(deep(family), tmp_path / "run")


@pytest.mark.families_deep
@of("accumulation")
def test_accumulation_changes_no_rollout_no_loss_and_no_gradient(family, tiny, deep, tmp_path):
    small = ("sft.micro_batch=2", "grpo.micro_batch=2")
    assert train(tiny(family), tmp_path / "run", *DEEP, *small) == 0

    assert_same_numbers(deep(family), tmp_path / "run")


@pytest.mark.families_deep
@of("resume")
def test_a_run_interrupted_in_both_phases_equals_an_uninterrupted_one(
    family, tiny, deep, tmp_path, monkeypatch
):
    run = tmp_path / "run"
    interrupt_after_the_first_step(monkeypatch, "sft")
    assert train(tiny(family), run, *DEEP) == 130
    interrupt_after_the_first_step(monkeypatch, "grpo")
    assert rft("train", "--resume", run) == 130
    assert rft("train", "--resume", run) == 0

    weights = "grpo/model/model.safetensors"
    assert (run / weights).read_bytes() == (deep(family) / weights).read_bytes()
    assert rollouts(run) == rollouts(deep(family))


def interrupt_after_the_first_step(monkeypatch, phase):
    """Ctrl-C, once."""
    from rftcore.training.callbacks import Progress

    plain = Progress.on_step_end

    def on_step_end(progress, args, state, control, **kwargs):
        if (progress.phase, state.global_step) == (phase, 1):
            monkeypatch.setattr(Progress, "on_step_end", plain)
            raise KeyboardInterrupt
        plain(progress, args, state, control, **kwargs)

    monkeypatch.setattr(Progress, "on_step_end", on_step_end)


@pytest.mark.families_deep
@of("lora")
def test_an_adapter_trains_and_its_merge_computes_what_it_does(family, tiny, tmp_path):
    import torch
    from peft import PeftModel
    from transformers import AutoModelForImageTextToText

    from rftcore.models.encoding import encode
    from rftcore.models.loading import load_model

    run, lora = tmp_path / "run", ("policy.lora.rank=4", *TARGETS.get(family, ()))
    assert train(tiny(family), run, *DEEP, *lora) == 0

    def logits(model):
        with torch.no_grad():
            return model.eval()(**inputs).logits[0, -1]

    inputs = encode(load_model(tiny(family), device="cpu"), [prompt_of("val", 0)])
    load = AutoModelForImageTextToText.from_pretrained
    start, merged = logits(load(tiny(family))), logits(load(run / "grpo" / "model"))
    whole = logits(PeftModel.from_pretrained(load(run / "sft" / "model"), run / "grpo" / "adapter"))
    assert torch.allclose(merged, whole, atol=1e-4)
    assert not torch.allclose(merged, start, atol=1e-3)


TESTS = {
    "one": test_both_phases_run_with_images_of_several_sizes,
    "two": test_both_phases_run_with_two_images_per_prompt,
    "none": test_both_phases_run_without_images,
    "shared": test_sharing_the_prompt_changes_no_rollout_no_loss_and_no_gradient,
    "checkpointing": test_checkpointing_changes_no_rollout_no_loss_and_no_gradient,
    "accumulation": test_accumulation_changes_no_rollout_no_loss_and_no_gradient,
    "lora": test_an_adapter_trains_and_its_merge_computes_what_it_does,
    "resume": test_a_run_interrupted_in_both_phases_equals_an_uninterrupted_one,
    "tokens": test_sft_rollouts_scoring_and_evaluation_read_the_same_prompt_tokens,
    "end": test_sft_teaches_a_token_that_ends_generation,
    "blind": test_a_model_that_loses_its_pixels_is_refused_and_a_sound_one_is_not,
    "plain": test_plain_transformers_gives_a_trained_folder_the_same_logits,
}


def table():
    """The families with their status and kinds, what does not work, and the test of each kind."""
    head = ["Family", "`model_type`", "Status", *KINDS.values()]
    rows = [" | ".join(head), "|".join(["---"] * len(head))]
    notes = []
    for name, family in families().items():
        cells = ["yes" if k in family.tested else "no" if k in family.fails else "-" for k in KINDS]
        rows.append(" | ".join([family.name, f"`{name}`", family.status, *cells]))
        if family.refused:
            notes.append(f"- **{family.name}** is refused: {family.refused}.")
        notes += [
            f"- **{family.name}**, {KINDS[k].lower()}: {why}." for k, why in family.fails.items()
        ]
    kinds = [f"| {KINDS[kind]} | `{test.__name__}` |" for kind, test in TESTS.items()]
    families_table = "\n".join(f"| {row} |" for row in rows)
    return f"{families_table}\n\n" + "\n".join([*notes, "", "| Kind | Test |", "|---|---|", *kinds])


MARKS = ("<!-- families -->\n\n", "\n\n<!-- end of families -->")


def written():
    """The page with today's table."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(MARKS[0])
    after = rest.partition(MARKS[1])[2]
    return before + MARKS[0] + table() + MARKS[1] + after


def test_the_page_shows_what_was_tested():
    assert PAGE.read_text(encoding="utf-8") == written(), "run `make docs-outputs`"


def test_every_family_has_a_tiny_model_and_every_kind_has_a_test():
    assert families().keys() == FAMILIES.keys()
    assert KINDS.keys() == TESTS.keys()
    for family in families().values():
        assert {*family.tested, *family.fails} <= KINDS.keys()
        assert not {*family.tested} & family.fails.keys()


if __name__ == "__main__":
    PAGE.write_text(written(), encoding="utf-8")
