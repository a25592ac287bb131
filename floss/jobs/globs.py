"""What glob() matches in a sweep: the architectures that learn a task, and the tasks that an architecture learns.

`arch=glob(*)` is for comparing what can be compared. Linear students learn from the teacher of `task=teacher`, and
nothing else does; named one by one, a pair that does not fit is an error.
"""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override

TEACHER = "teacher"


def leave_out_misfits(overrides: Sequence["Override"]) -> None:
    """Exclude, in place, from each glob() what does not fit the task or the architecture that stands beside it."""
    globs: dict[str, Any] = {o.get_key_element(): o.value() for o in overrides if _matches_names(o)}
    if not globs.keys() & {"arch", "task"}:
        return
    from floss.networks import CELLS
    from floss.networks.linear_students import CELLS as STUDENTS

    asked = {o.get_key_element(): o for o in overrides if o.get_key_element() in ("arch", "task")}
    if "arch" in globs:
        with_teacher = "task" in asked and _only(asked["task"], {TEACHER})
        globs["arch"].exclude.extend(CELLS.keys() - STUDENTS.keys() if with_teacher else STUDENTS.keys())
    if "task" in globs and not ("arch" in asked and _only(asked["arch"], STUDENTS.keys())):
        globs["task"].exclude.append(TEACHER)


def _matches_names(override: "Override") -> bool:
    return override.value_type is not None and override.value_type.name == "GLOB_CHOICE_SWEEP"


def _only(override: "Override", names: Collection[str]) -> bool:
    """Whether an override asks for one or more of some names, and for no other."""
    if _matches_names(override):
        return False
    several = override.sweep_string_iterator() if override.is_sweep_override() else [str(override.value())]
    return {*several} <= {*names}
