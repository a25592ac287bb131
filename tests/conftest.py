"""Shapes and dtypes in the signatures of the numerical core are checked while the tests run.

Not those of `floss.qr` and `floss.lyapunov_spectrum`, which check their arguments themselves, for users.
"""

from jaxtyping import install_import_hook

CHECKED = (
    "floss.adam",
    "floss.bptt",
    "floss.cells",
    "floss.flossing",
    "floss.random",
    "floss.reduced_adjoint",
    "floss.tasks",
    "floss.training",
)

install_import_hook(CHECKED, "beartype.beartype")
