"""Recurrent cells, one file each; the folder listing is the list of `arch=` values."""

from floss.cells import gru, linear, lru, lstm, relu, vanilla
from floss.cells.cell import Cell, Parameters
from floss.cells.rate_network import RateNetwork

CELLS: dict[str, Cell] = {module.CELL.name: module.CELL for module in (vanilla, relu, linear, lstm, gru, lru)}

__all__ = ["CELLS", "Cell", "Parameters", "RateNetwork"]
