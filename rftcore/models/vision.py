"""Check that a policy sees its images, before it is trained on images that never reach it.

    shift = mean over samples of | log p(answer | image) - log p(answer | other image) |

The other image is resized to the first, so both take the same number of tokens at the
same positions: what moves the log-probability is pixels alone, for processors of fixed and
of dynamic resolution alike. A blind model's shift is zero.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from rftcore.errors import ModelError, VisionError
from rftcore.images import Image
from rftcore.models.encoding import apply_processor, encode, render
from rftcore.models.logprobs import answer_logprobs
from rftcore.models.policy import Policy
from rftcore.types import Prompt, Sample

if TYPE_CHECKING:
    from PIL.Image import Image as PilImage


def check_placeholder(processor: Any, source: str, count: int = 1) -> None:
    """Raise `VisionError` unless the chat template has a placeholder for each of `count` images."""
    images = (blank((64, 64)),) * count
    text, without = render(processor, Prompt("?", images)), render(processor, Prompt("?"))
    missing, reason = text == without, ""
    try:
        opened = [image.open() for image in images]
        ids = apply_processor(processor, [text], [opened])["input_ids"][0].tolist()
    except ModelError as error:
        reason = f" ({error})"
    else:  # a processor may put images into a text without a place for them
        if not missing or getattr(processor, "image_token_id", None) in ids:
            return
    one = "an image" if count == 1 else f"{count} images"
    fault = "has no image placeholder" if missing else f"does not fit its processor for {one}"
    raise VisionError(
        f"the chat template of {source} {fault}, so the model would not see what it is "
        f"shown{reason}. Repair the template (chat_template.jinja in the model's folder): for "
        "each part of type 'image' it writes the model's image token, once"
    )


def blank(size: tuple[int, int]) -> Image:
    """A gray image of this width and height."""
    from PIL import Image as pil

    return _encoded(pil.new("RGB", size, (127, 127, 127)))


class Samples(Protocol):
    """Samples by index, such as a slice of a split."""

    def __len__(self) -> int:
        """How many there are."""

    def __getitem__(self, index: int, /) -> Sample:
        """The sample at `index`."""


def choose(parts: Sequence[Samples], count: int) -> list[Sample]:
    """At most `count` samples with images, from the first of `parts` that has any.

    They are spread over the split and, as far as there are enough, differ in their images:
    neighbors are often several questions about one image.
    """
    for part in parts:
        chosen: dict[tuple[str, ...], Sample] = {}
        repeated: list[Sample] = []
        for index in _apart(len(part), count):
            sample = part[index]
            key = tuple(image.key for image in sample.images)
            if key and key not in chosen:
                chosen[key] = sample
            elif key and len(repeated) < count:
                repeated.append(sample)
            if len(chosen) == count:
                break
        if chosen:
            return [*chosen.values(), *repeated][:count]
    return []


def _apart(size: int, count: int) -> Iterator[int]:
    """Every index once, `count` evenly spread ones first."""
    first = dict.fromkeys(at * size // count for at in range(count))
    yield from first
    yield from (index for index in range(size) if index not in first)


def check_vision(
    policy: Policy, prompts: Sequence[Prompt], targets: Sequence[str], min_shift: float
) -> float:
    """Show each sample other images and require the log-probability of its answer to move.

    prompts, targets: samples with images. An image is replaced by the next one of another
    sample that differs in pixels, resized to it, so samples may differ in number and sizes.
    Returns: the mean absolute shift in nats.
    Raises: `VisionError` naming the cause: the chat template, the images, the processor or the
    model.
    """
    if not any(prompt.images for prompt in prompts):
        raise VisionError(
            "the samples have images, but the prompts that the task makes of them have none: "
            "return rft.Prompt(text, sample.images)"
        )
    for count in sorted({len(prompt.images) for prompt in prompts} - {0}):
        check_placeholder(policy.processor, policy.source, count)
    own = [[image.open() for image in prompt.images] for prompt in prompts]
    others = [_others(own, at) for at in range(len(own))]
    if not any(others):
        raise VisionError(_alike(own, prompts))
    compared = [at for at, other in enumerate(others) if other]
    mine = [_with(prompts[at], own[at]) for at in compared]
    swapped = [_with(prompts[at], others[at]) for at in compared]
    replies = [targets[at] for at in compared]
    before = answer_logprobs(policy, mine, replies)
    after = answer_logprobs(policy, swapped, replies)
    shift = float((before - after).abs().mean())
    if not math.isfinite(shift):
        raise VisionError(
            f"{policy.source} gives the answers of {len(compared)} samples a log-probability that "
            "is not finite, so the check cannot be made: its weights are damaged, or too "
            "large for its dtype"
        )
    if shift < min_shift:
        raise VisionError(_blind(policy, mine[0], swapped[0], len(compared), shift, min_shift))
    return shift


def _others(own: Sequence[Sequence[PilImage]], at: int) -> list[PilImage]:
    """For each image of sample `at` one of another sample with other pixels, in its size.

    An image for which there is none stays; an empty list if that is so for all.
    """
    found, changed = [], False
    for place, image in enumerate(own[at]):
        other = next((o for o in _candidates(own, at, place, image)), None)
        changed |= other is not None
        found.append(image if other is None else other)
    return found if changed else []


def _candidates(
    own: Sequence[Sequence[PilImage]], at: int, place: int, image: PilImage
) -> Iterator[PilImage]:
    for step in range(1, len(own)):
        images = own[(at + step) % len(own)]
        for i in range(len(images)):  # the one at the same place first
            other = images[(place + i) % len(images)].resize(image.size)
            if other.tobytes() != image.tobytes():
                yield other
    if len(own) == 1:
        yield blank(image.size).open()


def _with(prompt: Prompt, images: Sequence[PilImage]) -> Prompt:
    return Prompt(prompt.text, tuple(_encoded(image) for image in images))


def _encoded(image: PilImage) -> Image:
    buffer = io.BytesIO()
    image.save(buffer, "PPM")  # fast, and exact for RGB
    return Image.from_bytes(buffer.getvalue())


def _alike(own: Sequence[Sequence[PilImage]], prompts: Sequence[Prompt]) -> str:
    """The message for images that decode to the same pixels."""
    blank = all(image.getcolors(1) for images in own for image in images)
    keys = dict.fromkeys(image.key for prompt in prompts for image in prompt.images)
    what = "blank, of one color" if blank else "the same pixels"
    return (
        f"the images do not differ: all images of the {len(own)} samples checked are {what} "
        f"after decoding ({', '.join(list(keys)[:3])}). Look at them with `rft tasks preview`, and "
        "at the paths in the rows"
    )


def _blind(
    policy: Policy, mine: Prompt, swapped: Prompt, count: int, shift: float, least: float
) -> str:
    """The message for a model whose answers do not depend on the pixels."""
    pairs = zip(*(encode(policy, [prompt]).items() for prompt in (mine, swapped)), strict=True)
    changed = any(not bool((a == b).all()) for (_, a), (_, b) in pairs)
    where = (
        "The chat template has its placeholder and the processor's pixels differ, so they are "
        "lost in the model: between its vision tower and its language model (missing or "
        "randomly initialized weights of the projector, for instance)"
        if changed
        else "The chat template has its placeholder, but the processor makes the same pixels of "
        "different images: look at its preprocessor_config.json (size, rescaling, normalization)"
    )
    return (
        f"{policy.source} does not see: with the images of {count} samples replaced by others of "
        f"the same size, the gold answers' log-probability moved by {shift:.2g} nats (at least "
        f"{least:.2g} expected, vision_check.min_shift). {where}."
    )
