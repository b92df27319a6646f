"""Give TRL the number of tiles of each image, in families whose image processor does not.

Where `pixel_values` has a row per tile, TRL divides a batch by the `num_patches` that it gets from
the image processor when it passes `crop_to_patches`. Some families have no such number: Llama 4
and Ovis2. There an image is processed once more, alone, and its rows are counted.
"""

from __future__ import annotations

import copy
from typing import Any

from rftcore.models.vision import blank


def with_tile_counts(processor: Any) -> Any:
    """The processor as TRL is to call it: itself, or a copy whose image processor counts tiles.

    Copies are of the same names, so what is saved is the same.
    """
    plain = processor.image_processor
    made = plain(images=[[blank((64, 64)).open()]], return_tensors="pt")
    if "num_patches" in made or getattr(made.get("pixel_values"), "ndim", 0) != 4:
        return processor
    counting = copy.copy(plain)
    counting.__class__ = _counting(type(plain))
    whole = copy.copy(processor)
    whole.image_processor = counting
    return whole


def _counting(plain: type[Any]) -> type[Any]:
    def preprocess(self: Any, images: Any, *args: Any, **settings: Any) -> Any:
        wanted = settings.pop("crop_to_patches", None)  # by TRL, for this number alone
        if wanted is not None and hasattr(self, "crop_to_patches"):
            settings["crop_to_patches"] = self.crop_to_patches
        made = plain.preprocess(self, images, *args, **settings)
        if wanted and "num_patches" not in made:
            import torch

            rows = [image for each in images for image in (each or [])]
            counts = [
                len(plain.preprocess(self, [row], *args, **settings)["pixel_values"])
                for row in rows
            ]
            made["num_patches"] = torch.tensor(counts)
        return made

    return type(
        plain.__name__, (plain,), {"preprocess": preprocess, "__module__": plain.__module__}
    )
