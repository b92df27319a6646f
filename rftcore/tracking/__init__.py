"""Send the numbers of a run to trackers: TensorBoard, trackio, W&B, MLflow.

The run folder is the truth, and a tracker is a copy of its numbers: each line of training and
each score becomes a `Row`, which is sent when it is written. When a run starts, resumes or forks,
the rows that the folder has and the tracker lacks are sent first, so a tracker that was away
misses nothing, and no point is sent twice.
"""

from rftcore.tracking.check import check_tracking
from rftcore.tracking.mirror import Mirror
from rftcore.tracking.names import NAMES, Name
from rftcore.tracking.opening import mirror_of

__all__ = ["NAMES", "Mirror", "Name", "check_tracking", "mirror_of"]
