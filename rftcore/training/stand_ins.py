"""Images of families that TRL does not know, in the loss of GRPO.

TRL passes on the fields of images that it knows by name (`image_grid_thw`, ...) and divides
`pixel_values` by the rules of the families that it knows. Other processors make more: a mask of
pixels (Aria), the image at a second size (DeepSeek-VL hybrid), the number of images of each prompt
(LLaVA-OneVision), indices into all patches of the batch (Molmo 2); or patches of all images without
their numbers (Inkling).

So TRL receives a stand-in for each image in place of `pixel_values`: two whole numbers, which it
divides, repeats, shuffles and moves like one image each. The model's `forward` exchanges the
stand-ins of a call for what the processor makes of exactly these prompts, all its fields, in the
layout of its own. That is what SFT, rollouts and evaluation read. Whole numbers are not cast, and
two prompts with different images never have one number.
"""

from __future__ import annotations

import copy
import functools
import hashlib
import inspect
from collections.abc import Mapping, Sequence
from types import MethodType
from typing import Any, TypeGuard

import torch
from torch import Tensor

from rftcore.errors import ModelError
from rftcore.models.encoding import apply_processor, render
from rftcore.models.image_fields import KINDS, OF_TOKENS, PIXELS, restored, undivided
from rftcore.models.vision import blank
from rftcore.types import Prompt


def are_stand_ins(values: Any) -> TypeGuard[Tensor]:
    """Whether `pixel_values` are stand-ins (images, 2): the number of a prompt, its images."""
    whole = isinstance(values, Tensor) and values.dtype == torch.int64
    return whole and values.ndim == 2 and values.shape[1] == 2


def prompts_of(values: Tensor) -> list[tuple[int, int]]:
    """The prompts of stand-ins (images, 2), in their order: number, and how many images it has.

    Raises: `ModelError` for a part of a prompt's images.
    """
    found: list[tuple[int, int]] = []
    at, rows = 0, values.tolist()
    while at < len(rows):
        number, images = rows[at]
        if images < 1 or rows[at : at + images] != [[number, images]] * images:
            raise ModelError(
                f"TRL has divided the {images} images of a prompt, which belong together: take "
                "a tested version of TRL, or leave out GRPO (--set grpo.enabled=false)"
            )
        found.append((number, images))
        at += images
    return found


class StandIns:
    """What stands for the images of one batch of rollouts, and how a model reads it.

    names: the fields for which stand-ins are needed; without any, nothing is changed.
    """

    def __init__(self, processor: Any) -> None:
        made = _made(processor)
        self.names = sorted(restored(made) | ({PIXELS} if undivided(made) else set()))
        self._make: Any = None  # the plain processor of TRL
        self._prompts: dict[int, tuple[str, Sequence[Any]]] = {}
        self._fields: dict[tuple[int, ...], dict[str, Tensor]] = {}
        self._next = 0

    def processor(self, processor: Any) -> Any:
        """The processor as TRL is to call it: a copy that makes stand-ins.

        It is of the same name, so what is saved is the same. Its chat template, with which
        TRL prepares rollouts, makes all fields: `generate` takes them.
        """
        plain, rollouts = type(processor), [0]

        def apply_chat_template(this: Any, *args: Any, **options: Any) -> Any:
            rollouts[0] += 1
            try:
                return plain.apply_chat_template(this, *args, **options)
            finally:
                rollouts[0] -= 1

        def call(this: Any, *args: Any, **options: Any) -> Any:
            made = plain.__call__(this, *args, **options)
            if args or rollouts[0] or not options.get("images"):
                return made
            given = dict(options)
            texts, images = given.pop("text"), given.pop("images")
            self._make = functools.partial(plain.__call__, this, **given)
            return self._stand_in(made, texts, images)

        methods = {"__call__": call, "apply_chat_template": apply_chat_template}
        own: dict[str, Any] = {**methods, "__module__": plain.__module__}
        standing = copy.copy(processor)
        standing.__class__ = type(plain.__name__, (plain,), own)
        return standing

    def _stand_in(self, made: Any, texts: Sequence[str], images: Sequence[Any]) -> Any:
        """Put stand-ins for all fields of images; forget those of the batch before."""
        self._prompts, self._fields = {}, {}
        numbers: dict[Any, int] = {}
        rows = []
        for text, its in zip(texts, images, strict=True):
            if not its:
                continue
            key = text, tuple(map(_content, its))
            if key not in numbers:
                numbers[key], self._next = self._next, self._next + 1
                self._prompts[numbers[key]] = text, its
            rows += [[numbers[key], len(its)]] * len(its)
        for name in {*made} - OF_TOKENS:
            made.pop(name)
        made[PIXELS] = torch.tensor(rows, dtype=torch.int64)
        return made

    def install(self, trainer: Any) -> None:
        """Let the policy and the reference model, if there is one, read stand-ins."""
        for model in (trainer.model, trainer.ref_model):
            if model is not None and self.names:
                self._read(model.get_base_model() if hasattr(model, "get_base_model") else model)

    def _read(self, base: Any) -> None:
        plain = base.forward
        taken = {
            name
            for part in (base, base.base_model)
            for name in inspect.signature(type(part).forward).parameters
        }

        @functools.wraps(type(base).forward)  # `generate` reads the signature
        def forward(_: Any, *args: Any, **inputs: Any) -> Any:
            values = inputs.get(PIXELS)
            if are_stand_ins(values):
                fields = self._fields_of(values)
                inputs |= {n: v.to(values.device) for n, v in fields.items() if n in taken}
            elif base.training and KINDS in taken and values is None and "input_ids" in inputs:
                # TRL passes them with images alone; some models (Molmo 2) require them in training
                inputs.setdefault(KINDS, torch.zeros_like(inputs["input_ids"]))
            return plain(*args, **inputs)

        base.forward = MethodType(forward, base)

    def _fields_of(self, values: Any) -> Mapping[str, Tensor]:
        """What the processor makes of the images of these stand-ins (images, 2).

        It is kept until the next batch of rollouts, since several passes read the same rows.
        Raises: `ModelError` for a stand-in of another batch.
        """
        numbers = tuple(number for number, _ in prompts_of(values))
        if numbers not in self._fields:
            if missing := {*numbers} - self._prompts.keys():
                raise ModelError(
                    f"{', '.join(self.names)}: {len(missing)} prompts of this step are not of the "
                    "batch that the processor has read last, so their images are not known: take "
                    "a tested version of TRL, or leave out GRPO (--set grpo.enabled=false)"
                )
            texts, images = zip(*(self._prompts[number] for number in numbers), strict=True)
            made = self._make(text=list(texts), images=list(images))
            self._fields[numbers] = {
                name: value
                for name, value in made.items()
                if name not in OF_TOKENS and isinstance(value, Tensor)
            }
        return self._fields[numbers]


def _made(processor: Any) -> Mapping[str, Any]:
    """What a processor makes of a prompt with an image; nothing if it cannot read this one."""
    shown = Prompt("?", (blank((64, 64)),))
    try:
        made: Mapping[str, Any] = apply_processor(
            processor, [render(processor, shown)], [[image.open() for image in shown.images]]
        )
    except ModelError:
        return {}
    return made


def _content(image: Any) -> tuple[object, ...]:
    """What two images have in common exactly if they are equal."""
    return image.mode, image.size, hashlib.sha256(image.tobytes()).hexdigest()
