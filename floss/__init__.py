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
    from floss import memory as memory
    from floss.figures import plot as plot
    from floss.lyapunov.check import check_step
    from floss.lyapunov.closed_loop import close_loop
    from floss.lyapunov.condition import condition_from_exponents, condition_number
    from floss.lyapunov.conditional import conditional_exponents
    from floss.lyapunov.convergence import ConvergenceWarning
    from floss.lyapunov.covariant import angles, covariant_lyapunov_vectors, overlap, subspace_angle
    from floss.lyapunov.dimension import entropy_rate, kaplan_yorke_dimension
    from floss.lyapunov.finite_time import finite_time_exponents
    from floss.lyapunov.fixed_points import fixed_points
    from floss.lyapunov.flow import euler_map, stroboscopic_map
    from floss.lyapunov.function_step import step_from_function
    from floss.lyapunov.history import lyapunov_history
    from floss.lyapunov.jacobian import one_step_jacobians
    from floss.lyapunov.qr import qr
    from floss.lyapunov.spectrum import adaptive_t_ons, lyapunov_spectrum
    from floss.memory.hessian_spectrum import directional_sharpness, hessian_spectrum
    from floss.memory.sensitivity import sensitivity
    from floss.networks.time_constants import TimeConstantWarning, time_constants
    from floss.networks.torch_modules import step_from_module
    from floss.runs import load
    from floss.training.flossing_loss import flossing_loss
    from floss.training.user_network import callbacks as callbacks
    from floss.training.user_network.diagnosis import diagnose
    from floss.training.user_network.flosser import Flosser
    from floss.training.user_network.monitor import Monitor

__all__ = [
    "ConvergenceWarning",
    "Flosser",
    "Monitor",
    "TimeConstantWarning",
    "adaptive_t_ons",
    "angles",
    "check_step",
    "close_loop",
    "condition_from_exponents",
    "condition_number",
    "conditional_exponents",
    "covariant_lyapunov_vectors",
    "diagnose",
    "directional_sharpness",
    "entropy_rate",
    "euler_map",
    "finite_time_exponents",
    "fixed_points",
    "flossing_loss",
    "hessian_spectrum",
    "kaplan_yorke_dimension",
    "load",
    "lyapunov_history",
    "lyapunov_spectrum",
    "one_step_jacobians",
    "overlap",
    "qr",
    "sensitivity",
    "step_from_function",
    "step_from_module",
    "stroboscopic_map",
    "subspace_angle",
    "time_constants",
]

_MODULES = {
    "lyapunov.check": ("check_step",),
    "lyapunov.closed_loop": ("close_loop",),
    "lyapunov.conditional": ("conditional_exponents",),
    "lyapunov.condition": ("condition_from_exponents", "condition_number"),
    "lyapunov.convergence": ("ConvergenceWarning",),
    "lyapunov.covariant": ("angles", "covariant_lyapunov_vectors", "overlap", "subspace_angle"),
    "lyapunov.dimension": ("entropy_rate", "kaplan_yorke_dimension"),
    "training.flossing_loss": ("flossing_loss",),
    "training.user_network.diagnosis": ("diagnose",),
    "training.user_network.flosser": ("Flosser",),
    "training.user_network.monitor": ("Monitor",),
    "lyapunov.finite_time": ("finite_time_exponents",),
    "lyapunov.fixed_points": ("fixed_points",),
    "lyapunov.flow": ("euler_map", "stroboscopic_map"),
    "lyapunov.function_step": ("step_from_function",),
    "lyapunov.history": ("lyapunov_history",),
    "lyapunov.jacobian": ("one_step_jacobians",),
    "lyapunov.spectrum": ("adaptive_t_ons", "lyapunov_spectrum"),
    "memory.hessian_spectrum": ("directional_sharpness", "hessian_spectrum"),
    "memory.sensitivity": ("sensitivity",),
    "networks.time_constants": ("TimeConstantWarning", "time_constants"),
    "networks.torch_modules": ("step_from_module",),
    "runs": ("load",),
    "lyapunov.qr": ("qr",),
}
_HOMES = {name: f"floss.{module}" for module, names in _MODULES.items() for name in names}


_NAMESPACES = {"callbacks": "training.user_network.callbacks", "memory": "memory", "plot": "figures.plot"}
"""Modules whose names are used from there, as in `floss.memory.state_moment` and `floss.plot.spectrum`."""


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in _NAMESPACES:
        return import_module(f"floss.{_NAMESPACES[name]}")
    if name not in _HOMES:
        raise AttributeError(f"module 'floss' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*__all__, *_NAMESPACES])
