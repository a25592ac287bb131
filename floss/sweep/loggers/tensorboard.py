"""`logger=tensorboard`: event files in `RESULTS/tensorboard`, a folder for each network.

tensorboard --logdir results/tensorboard
"""

# tensorboard is not there without the extra of its name.
# pyright: reportMissingImports=false, reportAttributeAccessIssue=false

import json
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from floss.runtime.files import write_whole
from floss.sweep.loggers.curves import Curves, Ended, Point

_STATE = "floss.json"
_EVENTS = "events.out.tfevents"
_VERSION = "brain.Event:2"
"""What an event file begins with."""


class TensorBoard(Curves):
    """Scalars against the epoch, in one file that grows: TensorBoard reads several in the order of their names."""

    @property
    def _folder(self) -> Path:
        return self.results / "tensorboard" / self.name

    def remembered(self) -> str:
        try:
            return (self._folder / _STATE).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            return ""

    def remember(self, text: str) -> None:
        write_whole(self._folder / _STATE, text.encode())

    def begin(self) -> None:
        if self._folder.is_dir():
            shutil.rmtree(self._folder)
        self._folder.mkdir(parents=True)
        settings = json.dumps(self.settings, indent=2)
        self._write([_event(0, file_version=_VERSION), _event(0, summary=_text("settings", settings))], new=True)

    def add(self, points: Sequence[Point], ended: Ended | None) -> None:
        events = [_event(point.epoch, summary=_scalars(point.values)) for point in points]
        if ended is not None and ended.values:
            events.append(_event(self.job.train.epochs, summary=_scalars(ended.values)))
        self._write(events)

    def _write(self, events: Sequence[Any], *, new: bool = False) -> None:
        from tensorboard.summary.writer.record_writer import RecordWriter

        path = self._folder / f"{_EVENTS}.{int(time.time())}.floss"
        if not new:
            (path,) = self._folder.glob(f"{_EVENTS}.*")
        with path.open("ab") as file:
            writer = RecordWriter(file)
            for event in events:
                writer.write(event.SerializeToString())


def _event(epoch: int, **content: Any) -> Any:
    from tensorboard.compat.proto.event_pb2 import Event

    return Event(wall_time=time.time(), step=epoch, **content)


def _scalars(values: dict[str, float]) -> Any:
    from tensorboard.compat.proto.summary_pb2 import Summary

    return Summary(value=[Summary.Value(tag=name, simple_value=value) for name, value in values.items()])


def _text(name: str, text: str) -> Any:
    """Text as Markdown shows it unchanged."""
    from torch.utils.tensorboard.summary import text as summary_of_text

    return summary_of_text(name, "\n".join(f"    {line}" for line in text.splitlines()))
