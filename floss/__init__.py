"""floss: Lyapunov exponents of recurrent networks, seen and controlled (Engelken 2023, arXiv 2312.17306).

    q, r = floss.qr(a)                                          differentiable QR decomposition
    lam = floss.lyapunov_spectrum(step, h0, inputs, k=10)       exponents of any one-step map, in nats per step
    floss.flossing_loss(lam).backward()                         push them towards zero

Torch is imported at the first use of one of these names, so that the command line answers at once.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from floss.flossing import flossing_loss
    from floss.lyapunov import lyapunov_spectrum
    from floss.qr_decomposition import qr

__all__ = ["flossing_loss", "lyapunov_spectrum", "qr"]

_HOMES = {"flossing_loss": "floss.flossing", "lyapunov_spectrum": "floss.lyapunov", "qr": "floss.qr_decomposition"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'floss' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
