"""Recurrent modules of torch: what they look like from outside, alone or wrapped."""

import inspect
from typing import Any

from torch import nn

RECURRENT = (nn.RNNBase, nn.RNNCellBase)


_WRAPPERS = {
    "torch._dynamo.eval_frame.OptimizedModule": "_orig_mod",
    "torch.nn.parallel.data_parallel.DataParallel": "module",
    "torch.nn.parallel.distributed.DistributedDataParallel": "module",
    "torch.optim.swa_utils.AveragedModel": "module",
}
"""Classes of modules that compute what a module inside them computes, by name, since some take a second to import."""


def layers_of_wrapping(module: Any) -> list[Any]:
    """The module itself, what is inside it where it is a wrapper, and so on; the last one is no wrapper."""
    layers = [module]
    while (inside := _inside(layers[-1])) is not None:
        layers.append(inside)
    return layers


def _inside(module: Any) -> Any:
    names = (f"{kind.__module__}.{kind.__qualname__}" for kind in type(module).__mro__)
    attribute = next((_WRAPPERS[name] for name in names if name in _WRAPPERS), None)
    return None if attribute is None else getattr(module, attribute)


def recurrent_module(step: Any) -> nn.Module | None:
    """The recurrent module of torch that is given as a map itself, or by its method `forward`; None for other maps."""
    if inspect.ismethod(step) and step.__name__ in ("forward", "__call__", "_call_impl", "_wrapped_call_impl"):
        step = step.__self__
    module = layers_of_wrapping(step)[-1]
    return module if isinstance(module, RECURRENT) else None


def refuse_recurrent_module(caller: str, step: Any, what: str = "step") -> None:
    """Raise a ValueError where a map is a recurrent module of torch, which takes the input first."""
    module = recurrent_module(step)
    if module is not None:
        raise ValueError(
            f"{caller}: {what} is a {type(module).__name__}, which takes the input before the state; "
            "floss.step_from_module(module) makes a map of it"
        )
