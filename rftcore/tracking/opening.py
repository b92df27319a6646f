"""The mirror of a run, from its recipe."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from rftcore.config import Recipe
from rftcore.distributed import is_main
from rftcore.runs import RunFolder
from rftcore.tracking.identity import Identity, identify
from rftcore.tracking.local import TensorBoard, Trackio
from rftcore.tracking.mirror import Mirror, Tracker
from rftcore.tracking.services import MLflow, WandB

TRACKERS: Mapping[str, Callable[[Identity], Tracker]] = {
    "tensorboard": TensorBoard,
    "trackio": Trackio,
    "wandb": WandB,
    "mlflow": MLflow,
}


def mirror_of(run: RunFolder, recipe: Recipe) -> Mirror:
    """The mirror of a run to the trackers of its recipe; on rank 0 only."""
    names = dict.fromkeys(recipe.tracking.to) if is_main() else {}
    if not names:
        return Mirror(run, {})
    identity = identify(run, recipe)
    return Mirror(run, {name: TRACKERS[name](identity) for name in names})
