"""Linear time-invariant networks, the students of the second paper: `arch=linear_dense`, `linear_lru`, ….

Each is its impulse response (`impulse_response`), and a cell like any other beside (`cells`).
"""

from floss.networks.linear_students.cells import CELLS, LinearStudent

__all__ = ["CELLS", "LinearStudent"]
