"""The paper's tasks, one file each; the folder listing is the list of `task=` values."""

from floss.tasks import copy, spatial_xor, xor, xor_continuous
from floss.tasks.task import Task

TASKS: dict[str, Task] = {module.TASK.name: module.TASK for module in (xor, xor_continuous, copy, spatial_xor)}

__all__ = ["TASKS", "Task"]
