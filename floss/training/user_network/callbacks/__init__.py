"""`floss.Flosser` and `floss.Monitor` in the training loops of other packages; each needs the extra of its package."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from floss.training.user_network.callbacks.lightning import LightningFlossing
    from floss.training.user_network.callbacks.transformers import TransformersFlossing

__all__ = ["LightningFlossing", "TransformersFlossing"]

_PACKAGES = {"LightningFlossing": "lightning", "TransformersFlossing": "transformers"}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name not in _PACKAGES:
        raise AttributeError(f"module 'floss.callbacks' has no attribute {name!r}")
    package = _PACKAGES[name]
    try:
        module = import_module(f"floss.training.user_network.callbacks.{package}")
    except ModuleNotFoundError as error:
        extra = f"pip install 'floss[{package}]' adds it"
        raise ImportError(f"floss.callbacks.{name}: needs {error.name}, which is not installed; {extra}") from None
    return getattr(module, name)


def __dir__() -> list[str]:
    return __all__
