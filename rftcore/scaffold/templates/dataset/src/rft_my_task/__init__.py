"""The dataset my-task: images of shapes, and how many are triangles.

rft imports this module at every start: keep Pillow, torch and the like out of module level.
"""

from collections.abc import Callable, Mapping

import rftcore as rft

from rft_my_task.dataset import SIZES, Triangles


def triangles(most: int = 5, seed: int = 0) -> Triangles:
    """Images with 0 to `most` triangles; the arguments are the dataset's options."""
    return Triangles(most=most, seed=seed, sizes=SIZES)


@rft.hookimpl
def rft_datasets() -> Mapping[str, Callable[..., Triangles]]:
    """Offer the dataset to rft by its name."""
    return {"my-task": triangles}
