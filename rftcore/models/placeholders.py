"""Tokens that stand for images, videos or sound: what a model replaces by features.

In a completion such a token has no features, and the loss fails. Text never spells them, but a
policy may draw them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from rftcore.models.encoding import stop_ids
from rftcore.models.policy import Policy

# As families name them: image_token_id, vision_start_token_id, audio_token_index, image_patch_id
_NAMED = re.compile(r"(image|img|video|vision|visual|audio|frame|bo[ia]|eo[ia])_.*(id|ids|index)$")


def placeholder_ids(policy: Policy) -> list[int]:
    """The tokens of a model's configuration that a completion must not have, in order."""
    config = policy.model.config
    found = {*_numbers(getattr(config, "image_token_id", None))}
    for name, value in config.to_dict().items():
        if _NAMED.match(name):
            found |= {*_numbers(value)}
    return sorted(found - stop_ids(policy))


def _numbers(value: Any) -> Iterator[int]:
    for each in value if isinstance(value, list | tuple) else [value]:
        if isinstance(each, int) and not isinstance(each, bool) and each >= 0:
            yield each
