"""Recurrent cells, one file each; the folder listing is the list of `arch=` values."""

from floss.cells import linear, relu, vanilla
from floss.cells.rate_network import RateNetwork

CELLS: dict[str, RateNetwork] = {module.CELL.name: module.CELL for module in (vanilla, relu, linear)}

__all__ = ["CELLS", "RateNetwork"]
