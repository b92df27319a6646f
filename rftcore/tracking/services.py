"""W&B and MLflow."""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping
from typing import Any

from rftcore.tracking.identity import Identity
from rftcore.tracking.names import AXES, Row

LONGEST = 500  # characters of a parameter that every version of MLflow takes
AT_ONCE = 100  # parameters that MLflow takes


class WandB:
    """A run of W&B. Its own step must only grow, so each number is drawn over its own axis."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity

    def open(self) -> None:
        """Begin or continue the run; what it has is not read, since it may be offline."""
        import wandb

        run = self._identity
        self._run: Any = wandb.init(
            project=run.project,
            id=run.id,
            name=run.name,
            config=dict(run.config),
            resume="allow",
            dir=str(run.folder),
        )
        for word, axis in AXES.items():
            self._run.define_metric(f"{word}/*", step_metric=axis)

    def log(self, row: Row) -> None:
        """Hand the numbers to W&B's own process, which sends them."""
        self._run.log({**row.values, AXES[row.axis]: row.step})

    def close(self) -> None:
        """Send what is left."""
        self._run.finish()


class MLflow:
    """A run of MLflow, on the server in MLFLOW_TRACKING_URI or in the working folder."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity

    def open(self) -> Mapping[str, int]:
        """Begin or continue the run; the last step of each name that it has."""
        from mlflow import MlflowClient

        self._client: Any = MlflowClient()
        known = self._identity.run.tracking().get("mlflow")
        self._id = known or self._create()
        if not known:
            self._identity.run.note_tracking(mlflow=self._id)
            return {}
        self._client.update_run(self._id, status="RUNNING")
        names = self._client.get_run(self._id).data.metrics
        histories = {name: self._client.get_metric_history(self._id, name) for name in names}
        return {name: max(each.step for each in found) for name, found in histories.items()}

    def log(self, row: Row) -> None:
        """Send the numbers."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        metrics = [Metric(name, value, now, row.step) for name, value in row.values.items()]
        self._client.log_batch(self._id, metrics=metrics)

    def close(self) -> None:
        """Mark the run as ended."""
        self._client.set_terminated(self._id)

    def _create(self) -> str:
        """A new run with its settings as parameters."""
        from mlflow.entities import Param

        run = self._identity
        found = self._client.get_experiment_by_name(run.project)
        experiment = found.experiment_id if found else self._client.create_experiment(run.project)
        made = self._client.create_run(experiment, run_name=run.name)
        names = iter([Param(name, str(v)[:LONGEST]) for name, v in run.config.items()])
        while batch := list(itertools.islice(names, AT_ONCE)):
            self._client.log_batch(made.info.run_id, params=batch)
        return str(made.info.run_id)
