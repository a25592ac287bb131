"""The QR decompositions of one chain of tangent vectors, and its derivatives of every order.

The exponents depend on the chain Z_j = D Q_{j-1} = Q_j R_j only through log diag R_j. For the gradient of such a loss
the general pullback of the QR decomposition (Eq. 8, `floss.lyapunov.qr`) reduces exactly. With g_j = ∂L/∂ log diag R_j
and Q̄ the adjoint of Q_j,

    Z̄ = [Q̄ + Q (diag(g_j) - triu(Qᵀ Q̄))] R_j^{-T}

since Q̄ᵀ Q is upper triangular by induction, backwards in time. In floating point its lower part is rounding noise that
would grow from step to step; taking triu of its transpose projects it out.

The gradient itself depends on Q_j and X = R_j^{-1} in other ways, so this does not hold for its derivatives. They need

    Z̄ = [Q̄ + Q copyltu(diag(g) - Q̄ᵀ Q - X̄ᵀ X)] Xᵀ

which is right for any loss of Q, log diag R and X, and itself made of nothing but Q and X: it can be differentiated
again and again. It serves the whole chain from the moment on at which one of its adjoints is recorded (`create_graph`),
since only then can a cotangent of another kind arrive.

Directions that a rank-deficient Jacobian annihilates (log R_ii = -inf) are constants: the first i exponents depend on
the first i columns alone.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from floss.lyapunov.derivatives import is_transformed
from floss.lyapunov.orthonormalisation import Orthonormaliser, orthonormalise
from floss.lyapunov.qr import copyltu, pushforward_factors


class TangentQR:
    """The QR decompositions of one chain: Q and log diag R of z = Q R, for losses of all its log diag R.

    Never raises: see `Orthonormaliser`. For a general loss of Q and R use `floss.qr`.
    """

    def __init__(self, orthonormaliser: Orthonormaliser = orthonormalise) -> None:
        """For one chain; another one gets an object of its own."""
        self.orthonormaliser = orthonormaliser
        self.recorded = False
        """Whether an adjoint of this chain is part of a graph."""

    def __call__(self, z: Float[Tensor, "*batch N k"]) -> tuple[Float[Tensor, "*batch N k"], Float[Tensor, "*batch k"]]:
        """Q [..., N, k] and log diag R [..., k], -inf for a dependent column and those after it."""
        stack = z.reshape(-1, *z.shape[-2:])
        if is_transformed(stack):
            q, log_r, _ = _Transformed.apply(stack, self)  # pyright: ignore[reportGeneralTypeIssues]
        elif torch.is_grad_enabled() and z.requires_grad:
            q, log_r, _ = _Differentiable.apply(stack, self)  # pyright: ignore[reportGeneralTypeIssues]
        else:
            q, log_r, _ = self.orthonormaliser(stack, inverse=False)
        return q.reshape(z.shape), log_r.reshape(*z.shape[:-2], z.shape[-1])


class _Differentiable(torch.autograd.Function):
    """Q, log diag R and R^{-1}; the last one for the derivatives of the gradient alone."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, chain: TangentQR) -> tuple[Tensor, Tensor, Tensor]:
        output = chain.orthonormaliser(z)
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*output)
        ctx.chain = chain
        return output

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor, None]:
        q, log_r, inverse = ctx.saved_tensors
        grad_q = torch.zeros_like(q) if grads[0] is None else grads[0]
        grad_log_r = torch.zeros_like(log_r) if grads[1] is None else grads[1]
        lost = log_r == -torch.inf
        g = torch.where(lost, 0.0, grad_log_r)
        ctx.chain.recorded |= torch.is_grad_enabled()
        if not ctx.chain.recorded:
            mix = torch.diag_embed(g) - torch.triu(q.mT @ grad_q)
            return torch.baddbmm(grad_q, q, mix) @ inverse.mT, None
        grad_q = torch.where(lost[..., None, :], 0.0, grad_q)
        m = torch.diag_embed(g) - grad_q.mT @ q
        if grads[2] is not None:
            m = m - torch.where(_outside(lost), 0.0, grads[2]).mT @ inverse
        return (grad_q + q @ copyltu(m)) @ inverse.mT, None


class _Transformed(torch.autograd.Function):
    """The same under `torch.func` and in forward mode; its calls cost more."""

    @staticmethod
    def forward(z: Tensor, chain: TangentQR) -> tuple[Tensor, Tensor, Tensor]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return chain.orthonormaliser(z)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, TangentQR], output: tuple[Tensor, Tensor, Tensor]) -> None:
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*output)
        ctx.save_for_forward(*output)
        ctx.chain = inputs[1]

    backward = _Differentiable.backward

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor, _: None) -> tuple[Tensor, Tensor, Tensor]:  # pyright: ignore[reportIncompatibleMethodOverride]
        q, log_r, inverse = ctx.saved_tensors
        lost = log_r == -torch.inf
        scaled = torch.where(lost[..., None, :], 0.0, tangent @ inverse)
        tangent_q, growth = pushforward_factors(q, scaled)  # Ṙ R^{-1} = growth
        growth = torch.where(_outside(lost), 0.0, growth)
        return tangent_q, growth.diagonal(dim1=-2, dim2=-1), -inverse @ growth

    @staticmethod
    def vmap(  # pyright: ignore[reportIncompatibleMethodOverride]
        info: Any,  # noqa: ARG004
        in_dims: Any,
        z: Tensor,
        chain: TangentQR,
    ) -> tuple[tuple[Tensor, ...], tuple[int, ...]]:
        z = z.movedim(in_dims[0], 0)
        output = _Transformed.apply(z.flatten(0, 1), chain)
        return tuple(value.unflatten(0, z.shape[:2]) for value in output), (0, 0, 0)  # pyright: ignore[reportOptionalIterable]


def _outside(lost: Tensor) -> Tensor:
    """Entries of R in the row or the column of a lost direction."""
    return lost[..., :, None] | lost[..., None, :]
