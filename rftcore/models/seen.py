"""The size at which a policy sees an image: what its image processor makes of each size."""

from __future__ import annotations

from typing import Any

Size = tuple[int, int]  # width and height in pixels


class SeenSize:
    """The size of an image after a processor, by its size before; each size is tried once.

    Known of processors whose images become one grid of pixels or of patches each. An image that
    is split into tiles, or padded to the largest of its batch, has no such size: None.
    """

    def __init__(self, processor: Any) -> None:
        self._processor: Any = getattr(processor, "image_processor", None)
        self._known: dict[Size, Size | None] = {}

    def __call__(self, size: Size) -> Size | None:
        """The size that the policy sees of an image of `size`; None if that is not known."""
        if size not in self._known:
            self._known[size] = self._tried(size)
        return self._known[size]

    def _tried(self, size: Size) -> Size | None:
        from PIL import Image

        try:
            out = self._processor(images=[Image.new("RGB", size)], return_tensors="pt")
        except Exception:  # it is for display only; what needs the pixels reports the error
            return None
        grid = out.get("image_grid_thw")
        if grid is not None:
            patch = self._patch()
            return patch and (int(grid[0][2]) * patch, int(grid[0][1]) * patch)
        shape = tuple(getattr(out.get("pixel_values"), "shape", ()))
        if out.get("pixel_attention_mask") is None and len(shape) == 4 and shape[:2] == (1, 3):
            return int(shape[3]), int(shape[2])
        return None

    def _patch(self) -> Any:
        """The side of a patch in pixels, or None."""
        found = getattr(self._processor, "patch_size", None)
        return found if isinstance(found, int) else None
