"""A policy that does not see must not train, whatever its family and the images' sizes."""

import io

import pytest

from rftcore import prompts
from rftcore.errors import VisionError
from rftcore.images import Image
from rftcore.models import vision
from rftcore.models.loading import load_model
from rftcore.models.processor_check import ProcessorCheck
from rftcore.testing import families
from rftcore.testing.families import tiny_qwen2_vl
from rftcore.types import Prompt, Sample

COLORS = ("red", "blue", "lime", "black")
SIZES = ((56, 56), (112, 56), (56, 112), (84, 140))
TARGETS = ["1", "2", "3", "4"]


def picture(color, size=(56, 56)):
    from PIL import Image as pil

    buffer = io.BytesIO()
    pil.new("RGB", size, color).save(buffer, "PNG")
    return Image.from_bytes(buffer.getvalue())


def striped():
    from PIL import Image as pil

    stripes = pil.new("RGB", (56, 56))
    stripes.paste("red", (0, 0, 56, 9))
    buffer = io.BytesIO()
    stripes.save(buffer, "PNG")
    return Image.from_bytes(buffer.getvalue())


def prompt(*images):
    return Prompt("How many?", images)


SAME_SIZE = [prompt(picture(color)) for color in COLORS]
SIZED = [prompt(picture(*each)) for each in zip(COLORS, SIZES, strict=True)]
RAGGED = [prompt(*(picture(c) for c in COLORS[:n])) for n in (1, 3, 2, 1)]
PROMPTS = pytest.mark.parametrize("prompts", [SAME_SIZE, SIZED, RAGGED], ids=["same", "sized", "n"])


@pytest.fixture(scope="module", params=["nano", "qwen2_vl"])
def folder(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / request.param
    if request.param == "qwen2_vl":
        return tiny_qwen2_vl(folder)
    return pytest.importorskip("rft_nano.model").build_untrained(folder, seed=1)


@pytest.fixture
def policy(folder):
    return load_model(folder, device="cpu")


def check(policy, prompts):
    return vision.check_vision(policy, prompts, TARGETS[: len(prompts)], min_shift=1e-4)


@PROMPTS
def test_a_model_that_sees_passes_and_the_shift_is_returned(policy, prompts):
    assert check(policy, prompts) > 1e-4


def without_projector(policy):
    for name, parameter in policy.model.named_parameters():
        if "multi_modal_projector" in name or "merger" in name:
            parameter.data.zero_()


def without_pixels(policy):
    vision_of = policy.processor.image_processor
    policy.processor.image_processor = Zeroed(vision_of)


class Zeroed:
    """An image processor whose pixels are all zero."""

    def __init__(self, inner):
        self.inner = inner

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def __call__(self, *args, **kwargs):
        made = self.inner(*args, **kwargs)
        made["pixel_values"] = made["pixel_values"] * 0
        return made


@PROMPTS
@pytest.mark.parametrize(
    ("blind", "expected"),
    [
        (without_projector, "they are lost in the model"),
        (without_pixels, "the processor makes the same pixels"),
    ],
)
def test_a_blind_model_is_stopped_and_the_part_that_is_blind_is_named(
    policy, prompts, blind, expected
):
    blind(policy)

    with pytest.raises(VisionError, match=rf"does not see.*moved by 0 nats.*{expected}") as caught:
        check(policy, prompts)
    assert "enabled=false" not in str(caught.value)


def test_a_template_without_placeholder_is_named(policy):
    template = policy.processor.chat_template
    for mark in ("<image>", "<|vision_start|><|image_pad|><|vision_end|>"):
        template = template.replace(mark, "")
    policy.processor.chat_template = template

    with pytest.raises(VisionError, match=r"chat template of .* has no image placeholder"):
        check(policy, SAME_SIZE)


def test_a_template_with_two_placeholders_for_an_image_is_named(policy):
    template = policy.processor.chat_template
    for mark in ("<image>", "<|image_pad|>"):
        template = template.replace(mark, mark * 2)
    policy.processor.chat_template = template

    with pytest.raises(
        VisionError, match=r"chat template of .* does not fit its processor for an image"
    ):
        check(policy, SAME_SIZE)


def test_a_template_that_leaves_out_a_second_image_is_named(tmp_path):
    mark = "<|vision_start|><|image_pad|><|vision_end|>"
    once = "{%- if part is sameas message['content'][0] -%}{{- '" + mark + "' -}}{%- endif -%}"
    written = "{{- '" + mark + "' -}}"
    folder = tiny_qwen2_vl(tmp_path, chat_template=families.CHATML.replace(written, once))
    seen = ProcessorCheck(folder, prompts.direct())
    one, two = (Sample("s", "?", "1", prompt(*map(picture, COLORS[:n])).images) for n in (1, 2))

    assert seen.see(one, "rl") > 0
    with pytest.raises(VisionError, match="does not fit its processor for 2 images"):
        seen.see(two, "rl")


@pytest.mark.parametrize(
    ("prompts", "expected"),
    [
        ([SAME_SIZE[0]] * 2, "blank, of one color"),
        ([prompt(striped()), prompt(striped())], "the same pixels"),
        ([prompt(picture("red")), prompt(picture("red", (112, 56)))], "blank, of one color"),
    ],
)
def test_images_that_are_alike_are_the_datas_fault(policy, prompts, expected):
    with pytest.raises(VisionError, match=rf"the images do not differ.*{expected}") as caught:
        check(policy, prompts)
    assert "vision_check.samples" not in str(caught.value)


def test_a_prompt_that_drops_the_images_is_the_tasks_fault(policy):
    with pytest.raises(VisionError, match=r"return rft\.Prompt\(text, sample\.images\)"):
        check(policy, [prompt(), prompt()])


def test_weights_that_are_not_finite_are_named(policy):
    next(policy.model.parameters()).data.fill_(float("nan"))
    for parameter in policy.model.parameters():
        parameter.data.fill_(float("nan"))

    with pytest.raises(VisionError, match="not finite"):
        check(policy, SAME_SIZE)


def rows(*keys):
    return [Sample(str(at), "?", "1", tuple(map(unread, key))) for at, key in enumerate(keys)]


def unread(key):
    return Image(key, read=lambda: pytest.fail("nobody needs the pixels"))


@pytest.mark.parametrize(
    ("parts", "keys"),
    [
        ([rows("", "")], []),
        ([rows("", ""), rows("", "a", "b")], ["a", "b"]),
        ([rows(*"aaaaaaaabcd")], ["a", "b", "c", "d"]),  # several questions about one image
        ([rows(*"aaab")], ["a", "a", "a", "b"]),
        ([rows("a", "ab", "", "b")], ["a", "ab", "b"]),
        ([rows("a")], ["a"]),
    ],
)
def test_the_samples_that_are_compared_differ_in_their_images_if_they_can(parts, keys):
    chosen = vision.choose(parts, 4)

    assert sorted("".join(image.key for image in each.images) for each in chosen) == keys
