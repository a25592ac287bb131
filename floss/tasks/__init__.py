"""The papers' tasks, one file each; the folder listing is the list of `task=` values.

An installed package adds a task without a change here: it registers a `Task` as an entry point of the group
`floss.tasks`, under the task's name. It is imported when it is first looked up.
"""

from importlib.metadata import entry_points

from floss.tasks import copy, spatial_xor, teacher, xor, xor_continuous
from floss.tasks.task import Task


class _Tasks(dict[str, Task]):
    """Tasks by name; those of other packages are in it once they have been looked up."""

    def __missing__(self, name: str) -> Task:
        for entry in entry_points(group="floss.tasks", name=name):
            return self.setdefault(name, entry.load())
        raise KeyError(name)


TASKS: dict[str, Task] = _Tasks(
    {module.TASK.name: module.TASK for module in (xor, xor_continuous, copy, spatial_xor, teacher)}
)

__all__ = ["TASKS", "Task"]
