"""floss: Lyapunov exponents of recurrent networks, seen and controlled (Engelken 2023, arXiv 2312.17306).

    step, n = floss.step_from_module(torch.nn.GRU(3, 64))       the one-step map of a torch module
    lam = floss.lyapunov_spectrum(step, h0, inputs, k=10)       exponents of any one-step map, in nats per step
    floss.flossing_loss(lam).backward()                         push them towards zero
    D = floss.one_step_jacobians(step, h0, inputs)
    floss.condition_number(D)                                   log10 of the condition number of their product

Torch is imported at the first use of one of these names, so that the command line answers at once.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from floss.flossing import flossing_loss
    from floss.jacobian import one_step_jacobians
    from floss.lyapunov import adaptive_t_ons, lyapunov_spectrum
    from floss.modules import step_from_module
    from floss.qr_decomposition import qr

__all__ = ["adaptive_t_ons", "flossing_loss", "lyapunov_spectrum", "one_step_jacobians", "qr", "step_from_module"]

_HOMES = {
    "adaptive_t_ons": "floss.lyapunov",
    "flossing_loss": "floss.flossing",
    "lyapunov_spectrum": "floss.lyapunov",
    "one_step_jacobians": "floss.jacobian",
    "qr": "floss.qr_decomposition",
    "step_from_module": "floss.modules",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'floss' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
