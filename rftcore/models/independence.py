"""Check that what a model computes for a prompt does not depend on the prompts beside it.

    gap = max over tokens v of | log p(v | x alone) - log p(v | x beside a longer prompt) |

The longer prompt has larger images. Rollouts and evaluation pad prompts on the left to the longest
of their batch, so an answer would depend on the batch. Some models choose blocks of keys by their
places, padding included (MiniMax M3), or normalize an image together with its padding to the
largest of the batch (Emu3). Rollouts and loss read the same batch: that their log-probabilities are
equal does not show it.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rftcore.distributed import is_main
from rftcore.errors import ModelError
from rftcore.models.encoding import apply_processor, render
from rftcore.models.logprobs import keeps_logits
from rftcore.models.policy import Policy
from rftcore.models.support import PAGE
from rftcore.types import Prompt

if TYPE_CHECKING:
    from PIL.Image import Image as PilImage
    from torch import Tensor

logger = logging.getLogger(__name__)

LIMIT = 1e-3  # nats; rounding explains about 1e-5 in float32


def require_independent(policy: Policy, prompt: Prompt) -> None:
    """Raise `ModelError` if a longer prompt beside this one changes its next token's distribution.

    Tried with float32 weights alone, and logged where it is not: with fewer digits, rounding may
    choose other experts.
    """
    import torch

    dtype, products = policy.model.dtype, torch.get_float32_matmul_precision()
    if dtype != torch.float32 or products != "highest":
        rounded = str(dtype).removeprefix("torch.")
        if dtype == torch.float32:
            rounded += f" with products of precision {products!r}"
        if is_main():
            logger.info("not checked in %s: that a prompt is read alike beside another", rounded)
        return
    text = render(policy.processor, prompt)
    own = [image.open() for image in prompt.images]
    larger = [image.resize((2 * image.width, image.height)) for image in own]
    alone = _next(policy, [text], [own])
    # padding by whole blocks of keys may change nothing: two lengths of it
    tails = (prompt.text, f"{prompt.text}?")
    beside = [_next(policy, [text + tail, text], [larger, own]) for tail in tails]
    gap = max(float((alone - each).abs().max()) for each in beside)
    if gap > LIMIT:  # numbers that are not finite are found elsewhere
        raise ModelError(
            f"{policy.source}: what {type(policy.model).__name__} computes for a prompt depends on "
            f"the prompts of its batch: log-probabilities of the next token differ by {gap:.2g} "
            "nats where a longer prompt with larger images is beside it; rounding explains "
            f"{LIMIT:g}. Rollouts and evaluation would depend on the batch. Take a model of "
            f"another family; {PAGE} lists those that were tested"
        )


def _next(policy: Policy, texts: Sequence[str], images: Sequence[Sequence[PilImage]]) -> Tensor:
    """The log-probabilities (V,) of the token after the last of rendered texts."""
    import torch

    inputs = apply_processor(policy.processor, texts, images)
    inputs = inputs.to(policy.model.device, policy.model.dtype)
    was_training = policy.model.training
    policy.model.eval()
    kept = {"logits_to_keep": 1} if keeps_logits(policy.model) else {}
    with torch.inference_mode():
        logits: Tensor = policy.model(**inputs, **kept).logits[-1, -1]
    policy.model.train(was_training)
    return logits.log_softmax(-1)
