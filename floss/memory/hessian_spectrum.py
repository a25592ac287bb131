"""The largest curvatures of a loss, by products of its Hessian with vectors; the Hessian itself is never made."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from floss.lyapunov import arguments
from floss.lyapunov.derivatives import refuse_transforms
from floss.memory.arguments import first_line, parameter_groups, refuse_inference_mode

Parameters = nn.Module | Mapping[str, Tensor] | Sequence[Tensor]

_TOLERANCE = {np.dtype(np.float32): 1e-5, np.dtype(np.float64): 1e-10}
"""Largest residual relative to the eigenvalue; an eigenvalue's error is the residual's square over its gap."""
_REPEATED = 100.0
"""Units of rounding that two calls of a loss may differ by: sums may be in another order."""
_CUT = 1e-3
"""Part of the gradient that rounding may lose."""
_VECTORS = 20
"""Lanczos vectors at least, as `eigsh` chooses them."""


@dataclass(frozen=True)
class HessianSpectrum:
    """Leading eigenvalues of a Hessian, and their eigenvectors."""

    eigenvalues: Float[Tensor, "k"]
    """The k of largest magnitude, descending by value."""
    vectors: Mapping[str, Float[Tensor, "k *shape"]]
    """Unit vectors in the space of all parameters together, as the parts of each parameter; each one's largest entry is
    positive."""
    residuals: Float[Tensor, "k"]
    """‖H v - λ v‖: some eigenvalue is as close to λ as this."""
    products: int
    """Number of Hessian-vector products."""


def hessian_spectrum(
    loss: Callable[[], Tensor],
    parameters: Parameters,
    k: int = 1,
    *,
    tolerance: float | None = None,
    max_products: int = 10_000,
) -> HessianSpectrum:
    """The k eigenvalues of largest magnitude, and the eigenvectors, of the Hessian of a scalar loss.

        H v_i = λ_i v_i,     H = ∂²L/∂θ∂θ,     H v = ∂/∂θ (vᵀ ∂L/∂θ)

    by Lanczos iteration with restarts (`scipy.sparse.linalg.eigsh`). A product costs about two gradients; the graph of
    one gradient is kept for all of them.

        floss.hessian_spectrum(lambda: criterion(model(x), y), model, k=5).eigenvalues

    Args:
        loss: `loss()` returns the loss, one real number, from the parameters as they are. It must be deterministic. It
            is called twice, and a loss that differs is refused: for dropout or sampled data, fix the draw, as by
            `torch.manual_seed(0)` at its beginning. It must be differentiable twice (not so the fused recurrent layers
            of cuDNN: `torch.backends.cudnn.flags(enabled=False)`).
        parameters: a mapping of names to tensors, a list of tensors, named "0", "1", …, or a module; float32 or float64
            on any device, with gradients required. The loss need not depend on all of them.
        k: number of eigenvalues, at least 1; above the number P of parameters there are P.
        tolerance: largest residual relative to the eigenvalue; default 1e-10 in float64, 1e-5 in float32.
        max_products: number of products after which to give up.

    Returns:
        A `HessianSpectrum`: eigenvalues [k] in units of the loss over the parameters' squared.

    Raises:
        ValueError: a loss that is no real number, differs between two calls, is not finite or has no second derivative;
            parameters that are no tensors with gradients, or of which none matters; or no convergence.

    Source: Lanczos 1950; Lehoucq, Sorensen & Yang 1998 (ARPACK); products by Pearlmutter 1994. Sec. 4 of Zucchet &
    Orvieto 2024 for what the spectrum says about a recurrent network.
    """
    k = arguments.whole_number("hessian_spectrum", "k", k, 1)
    max_products = arguments.whole_number("hessian_spectrum", "max_products", max_products, 1)
    if tolerance is not None:
        allowed = "between 0 and 1"
        tolerance = arguments.real_number("hessian_spectrum", "tolerance", tolerance, allowed, lambda v: 0 < v < 1)
    hessian = _Hessian("hessian_spectrum", loss, parameters)
    k = min(k, hessian.size)
    if hessian.size <= max(2 * k + 1, _VECTORS):
        values, vectors = _dense(hessian, k)
    else:
        values, vectors = _lanczos(hessian, k, tolerance or _TOLERANCE[hessian.dtype], max_products)
    order = np.argsort(-values, kind="stable")
    values, vectors = values[order], vectors[order]
    vectors = vectors * np.sign(np.take_along_axis(vectors, np.abs(vectors).argmax(1)[:, None], 1))
    residuals = [np.linalg.norm(hessian(v) - value * v) for value, v in zip(values, vectors, strict=True)]
    like = next(iter(hessian.parameters.values()))
    numbers = [torch.as_tensor(np.asarray(v, hessian.dtype), device=like.device) for v in (values, residuals)]
    return HessianSpectrum(numbers[0], hessian.parts(vectors), numbers[1], hessian.products)


def directional_sharpness(loss: Callable[[], Tensor], parameters: Parameters) -> Float[Tensor, ""]:
    """Curvature of a loss along its gradient, gᵀ H g / gᵀ g with g = ∂L/∂θ.

    A step of gradient descent lowers the loss, to second order, where its learning rate is below 2 / this.

    Args:
        loss: as in `floss.hessian_spectrum`.
        parameters: as in `floss.hessian_spectrum`.

    Returns:
        One number, in units of the loss over the parameters' squared; at most the largest eigenvalue of H.

    Raises:
        ValueError: as `floss.hessian_spectrum`, and a gradient of zero, which has no direction.

    Source: the diagnostics of Zucchet & Orvieto 2024 (code).
    """
    hessian = _Hessian("directional_sharpness", loss, parameters)
    g = hessian.gradient()
    length = np.linalg.norm(g.astype(np.float64))
    if length == 0:
        raise ValueError("directional_sharpness: the gradient is zero, and has no direction")
    direction = (g / length).astype(hessian.dtype)
    like = next(iter(hessian.parameters.values()))
    return torch.as_tensor(np.asarray(direction @ hessian(direction), hessian.dtype), device=like.device)


class _Hessian:
    """H as a linear map of NumPy vectors of all parameters together."""

    def __init__(self, caller: str, loss: Any, parameters: Any) -> None:
        """One call of the loss for its gradient, whose graph is kept, and one to see whether it is the same."""
        refuse_inference_mode(caller)
        arguments.function(caller, "loss", loss, "a function loss() -> L")
        self.caller, self.products = caller, 0
        self.parameters = _single_tensors(caller, parameters)
        refuse_transforms(caller, *self.parameters.values())
        self.sizes = [tensor.numel() for tensor in self.parameters.values()]
        self.size = sum(self.sizes)
        double = any(tensor.dtype == torch.float64 for tensor in self.parameters.values())
        self.dtype = np.dtype(np.float64 if double else np.float32)
        value = self._loss(loss)
        again = self._loss(loss).detach()
        first = value.detach()
        if not abs(again - first) <= _REPEATED * torch.finfo(value.dtype).eps * abs(first):
            pair = f"{float(first):.9g} and {float(again):.9g}"
            raise ValueError(
                f"{caller}: loss() must be deterministic, and gave {pair} in two calls: fix its random draw"
            )
        one = torch.ones_like(value, requires_grad=True)
        self.pulled = self._derivative(
            [value], [one], "the loss has no derivative", create_graph=True, allow_unused=True
        )
        if not value.requires_grad or all(g is None for g in self.pulled):
            raise ValueError(f"{caller}: the loss depends on none of the parameters {', '.join(self.parameters)}")
        _check_homogeneous(caller, [g for g in self.pulled if g is not None], one)

    def _loss(self, loss: Callable[[], Any]) -> Tensor:
        with torch.enable_grad():
            value = loss()
        if not isinstance(value, Tensor) or value.numel() != 1 or not value.is_floating_point():
            raise ValueError(
                f"{self.caller}: loss() must return one real number in a tensor, got {arguments.shown(value)}"
            )
        if not torch.isfinite(value).all():
            raise ValueError(f"{self.caller}: loss() must be finite, got {float(value.detach()):.9g}")
        with torch.enable_grad():
            return value.reshape(())

    def _derivative(self, of: list[Tensor], along: list[Tensor], problem: str, **how: bool) -> list[Any]:
        """Of the tensors that depend on parameters at all; None for parameters that none of them depends on."""
        pairs = [(tensor, vector) for tensor, vector in zip(of, along, strict=True) if tensor.requires_grad]
        if not pairs:
            return [None] * len(self.sizes)
        outputs, vectors = zip(*pairs, strict=True)
        try:
            return list(torch.autograd.grad(outputs, [*self.parameters.values()], vectors, **how))
        except RuntimeError as error:
            raise ValueError(f"{self.caller}: {problem}: {first_line(error)}") from error

    def __call__(self, vector: np.ndarray) -> np.ndarray:
        """H v; each call is counted."""
        self.products += 1
        pieces = torch.from_numpy(np.array(vector, self.dtype).reshape(-1)).split(self.sizes)
        of, along = [], []
        for gradient, piece in zip(self.pulled, pieces, strict=True):
            if gradient is not None:
                of.append(gradient)
                along.append(piece.reshape(gradient.shape).to(gradient))
        problem = "the loss has no second derivative"
        product = self._flat(self._derivative(of, along, problem, retain_graph=True, allow_unused=True))
        if not np.isfinite(product).all():
            raise ValueError(f"{self.caller}: a product of the Hessian with a vector is not finite")
        return product

    def gradient(self) -> np.ndarray:
        """∂L/∂θ."""
        return self._flat(self.pulled)

    def _flat(self, pieces: list[Tensor | None]) -> np.ndarray:
        flat = np.zeros(self.size, self.dtype)
        for part, piece in zip(np.split(flat, np.cumsum(self.sizes)[:-1]), pieces, strict=True):
            if piece is not None:
                part[:] = piece.detach().cpu().reshape(-1).numpy()
        return flat

    def parts(self, vectors: np.ndarray) -> dict[str, Tensor]:
        """Vectors [k, P] as [k, *shape] for each parameter, with its dtype and on its device."""
        pieces = np.split(vectors, np.cumsum(self.sizes)[:-1], axis=1)
        return {
            name: torch.from_numpy(np.ascontiguousarray(piece)).reshape(-1, *tensor.shape).to(tensor.detach())
            for (name, tensor), piece in zip(self.parameters.items(), pieces, strict=True)
        }


def _check_homogeneous(caller: str, gradients: list[Tensor], one: Tensor) -> None:
    """Raise a ValueError where the graph of the gradient is cut, as by a `once_differentiable` backward: silent zeros.

    What reverse mode gives is linear in the derivative that it begins with, and its graph must say so.
    """
    signs = [gradient.detach().sign() for gradient in gradients]
    wanted = sum(float(gradient.detach().abs().sum()) for gradient in gradients)
    with torch.enable_grad():
        total = sum(((g * sign).sum().to(one) for g, sign in zip(gradients, signs, strict=True)), torch.zeros_like(one))
    found = None
    if total.requires_grad:
        (found,) = torch.autograd.grad(total, one, retain_graph=True, allow_unused=True)
    if abs(wanted - (0.0 if found is None else float(found))) > _CUT * wanted:
        raise ValueError(
            f"{caller}: the loss has no second derivative: an operation's gradient is cut off from its graph"
        )


def _single_tensors(caller: str, parameters: Any) -> dict[str, Tensor]:
    """One tensor of float32 or float64 for each name."""
    if isinstance(parameters, list | tuple):
        parameters = {str(i): tensor for i, tensor in enumerate(parameters)}
    tensors = {}
    for name, group in parameter_groups(caller, parameters).items():
        if len(group) > 1:
            raise ValueError(f"{caller}: parameters[{name!r}] must be one tensor, got {len(group)}")
        tensors[name] = group[0]
        if group[0].dtype not in (torch.float32, torch.float64):
            got = arguments.shown(group[0])
            raise ValueError(f"{caller}: parameters[{name!r}] must be float32 or float64, got {got}")
    return tensors


def _dense(hessian: _Hessian, k: int) -> tuple[np.ndarray, np.ndarray]:
    """From the whole matrix, where Lanczos vectors would fill the space."""
    matrix = np.stack([hessian(row) for row in np.eye(hessian.size, dtype=hessian.dtype)])
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    leading = np.argsort(-np.abs(values), kind="stable")[:k]
    return values[leading], vectors.T[leading]


def _lanczos(hessian: _Hessian, k: int, tolerance: float, max_products: int) -> tuple[np.ndarray, np.ndarray]:
    """By ARPACK, from a start that is the same at every call."""
    from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh  # takes a second to import

    start = np.random.default_rng(0).standard_normal(hessian.size).astype(hessian.dtype)
    if not hessian(start).any():  # of a Hessian that is zero; ARPACK refuses to begin
        return np.zeros(k, hessian.dtype), np.eye(k, hessian.size, dtype=hessian.dtype)

    def product(vector: np.ndarray) -> np.ndarray:
        if hessian.products >= max_products:
            help_ = "a larger max_products or tolerance may help"
            raise ValueError(f"hessian_spectrum: no convergence of k={k} within max_products={max_products}: {help_}")
        return hessian(vector)

    shape = (hessian.size, hessian.size)
    operator = LinearOperator(shape, matvec=product, dtype=hessian.dtype)  # pyright: ignore[reportCallIssue]
    try:
        values, vectors = eigsh(operator, k, which="LM", v0=start, tol=tolerance)  # pyright: ignore[reportArgumentType]
    except ArpackNoConvergence as error:
        found = f"{len(error.eigenvalues)} of k={k} eigenvalues after {hessian.products} products"
        raise ValueError(f"hessian_spectrum: no convergence: {found}; a larger tolerance may help") from None
    return values, vectors.T
