"""Recurrent cells, one file each; the folder listing is the list of `arch=` values."""

from floss.networks import gru, linear, lru, lstm, relu, vanilla
from floss.networks.cell import Cell, Parameters
from floss.networks.rate.network import RateNetwork

CELLS: dict[str, Cell] = {module.CELL.name: module.CELL for module in (vanilla, relu, linear, lstm, gru, lru)}

__all__ = ["CELLS", "Cell", "Parameters", "RateNetwork"]
