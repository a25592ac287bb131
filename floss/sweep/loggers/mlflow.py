"""`logger=mlflow`: runs in `RESULTS/mlflow.db`, or where MLFLOW_TRACKING_URI says, an experiment for each group.

mlflow ui --backend-store-uri sqlite:///results/mlflow.db
"""

# mlflow is not there without the extra of its name.
# pyright: reportMissingImports=false, reportAttributeAccessIssue=false

import functools
import logging
import os
import time
from collections.abc import Sequence
from typing import Any

from floss.sweep.loggers.curves import Curves, Ended, Point

_NETWORK, _STATE = "floss.network", "floss.state"
"""Tags of a run."""
_AT_ONCE = 500
"""Numbers in one message to a server, which takes no more than 1000."""
_LONGEST = 500
"""Letters of a value that a server takes."""


@functools.cache
def _client(uri: str) -> Any:
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    from mlflow.tracking import MlflowClient

    for name in ("mlflow", "alembic"):  # what they say of a new database is nothing for a user
        logging.getLogger(name).setLevel(logging.WARNING)
    return MlflowClient(uri)


class MLflow(Curves):
    """A run for each network, found again by a tag."""

    @functools.cached_property
    def _server(self) -> Any:
        return _client(os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{self.results.resolve()}/mlflow.db")

    @functools.cached_property
    def _experiment(self) -> str:
        name = f"floss {self.group}"
        found = self._server.get_experiment_by_name(name)
        if found is not None:
            return found.experiment_id
        return self._server.create_experiment(name, str(self.results.resolve() / "mlflow-artifacts"))

    def _run(self) -> Any:
        runs = self._server.search_runs([self._experiment], f"tags.`{_NETWORK}` = '{self.network_id}'")
        return runs[0] if runs else None

    def remembered(self) -> str:
        run = self._run()
        return "" if run is None else run.data.tags.get(_STATE, "")

    def remember(self, text: str) -> None:
        self._server.set_tag(self._run().info.run_id, _STATE, text)

    def begin(self) -> None:
        from mlflow.entities import Param

        if (old := self._run()) is not None:
            self._server.delete_run(old.info.run_id)
        tags = {_NETWORK: self.network_id}
        run = self._server.create_run(self._experiment, tags=tags, run_name=self.name.rpartition("/")[2])
        settings = [Param(key, str(value)[:_LONGEST]) for key, value in self.settings.items()]
        self._server.log_batch(run.info.run_id, params=settings)

    def add(self, points: Sequence[Point], ended: Ended | None) -> None:
        from mlflow.entities import Metric

        run, now = self._run().info.run_id, int(time.time() * 1000)
        numbers = [Metric(name, value, now, point.epoch) for point in points for name, value in point.values.items()]
        if ended is not None:
            numbers += [Metric(name, value, now, self.job.train.epochs) for name, value in ended.values.items()]
        for at in range(0, len(numbers), _AT_ONCE):
            self._server.log_batch(run, metrics=numbers[at : at + _AT_ONCE])
        if ended is not None:
            self._server.set_terminated(run, "FINISHED" if ended.row.get("status") == "done" else "FAILED")
