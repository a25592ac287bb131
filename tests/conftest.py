"""Shapes and dtypes in the signatures of the numerical core are checked while the tests run.

Not those of `floss.qr`, `floss.lyapunov_spectrum` and `floss.step_from_module`, which check their arguments themselves,
for users; nor `floss.lyapunov.jacobian`, through which every step of a map goes: the checks would take half as long
again.
"""

import torch
from jaxtyping import install_import_hook

# The matrices here are tiny: a second thread only waits, and on a busy machine it waits long.
torch.set_num_threads(1)

CHECKED = (
    "floss.training.adam",
    "floss.networks.cell",
    "floss.networks.gated",
    "floss.networks.gru",
    "floss.networks.lru",
    "floss.networks.lstm",
    "floss.networks.rate",
    "floss.networks.stacked",
    "floss.training.diagnostics",
    "floss.training.engines.native",
    "floss.training.engines.operators",
    "floss.training.ensemble",
    "floss.training.flossing",
    "floss.lyapunov.orthonormalisation",
    "floss.random",
    "floss.tasks",
    "floss.training.engines.torch_engine",
    "floss.training.training",
)

install_import_hook(CHECKED, "beartype.beartype")

from floss.runtime.messages import show_messages  # noqa: E402
from floss.training import engines  # noqa: E402

show_messages()

engines.available("cpu")  # builds the native engine now, if ever, and says so here instead of in the middle of a test
