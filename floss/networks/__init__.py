"""Recurrent cells, one file each, and the linear ones of one folder: the list of `arch=` values.

An installed package adds a cell without a change here: it registers a `Cell` as an entry point of the group
`floss.cells`, under the cell's name. It is imported when it is first looked up.
"""

from importlib.metadata import entry_points

from floss.networks import gru, linear, lru, lstm, relu, vanilla
from floss.networks.cell import Cell, Parameters
from floss.networks.linear_students import CELLS as LINEAR_STUDENTS
from floss.networks.rate.network import RateNetwork


class _Cells(dict[str, Cell]):
    """Cells by name; those of other packages are in it once they have been looked up."""

    def __missing__(self, name: str) -> Cell:
        for entry in entry_points(group="floss.cells", name=name):
            return self.setdefault(name, entry.load())
        raise KeyError(name)


_MODULES = (vanilla, relu, linear, lstm, gru, lru)
CELLS: dict[str, Cell] = _Cells({module.CELL.name: module.CELL for module in _MODULES} | LINEAR_STUDENTS)

__all__ = ["CELLS", "Cell", "Parameters", "RateNetwork"]
