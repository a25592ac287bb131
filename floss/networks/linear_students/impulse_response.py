"""Linear time-invariant students with one input and one output: each is its impulse response k.

    y_t = Σ_τ k_τ x_{t-τ},     h_t = A h_{t-1} + B x_t,     y_t = Re[C h_t] + D x_t,     k_τ = Re[C A^τ B] + D δ_{τ0}

All parameters are real (complex numbers are two of them), with any leading axes, which stand for networks side by side.
Nothing steps through time: powers of A are made by doubling, about log₂ T products for T steps.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from floss.lyapunov.arguments import check_finite_tensor, real_tensor, shown, whole_number

Parameters = dict[str, Tensor]


@dataclass(frozen=True)
class Student:
    """One way to write down a linear recurrent network."""

    name: str
    dims: dict[str, int]
    """Number of axes of each parameter, leading ones left out."""
    kernel: Callable[[Parameters, int], Tensor]
    """k without D, [..., T], of the parameters and T."""
    recurrent: tuple[str, ...]
    """Parameters that the eigenvalues depend on."""
    eigenvalues: Callable[[Parameters], Tensor]
    """λ of all hidden units, complex, [..., n]."""
    gain: Callable[[Parameters], Tensor | float] = lambda _: 1.0
    """What the input of each hidden unit is multiplied by."""
    modes: "Callable[[Parameters], tuple[Pair, Pair]] | None" = None
    """λ and w of k_τ = Re Σ_j w_j λ_j^τ, real and imaginary parts, where the recurrence is diagonal."""


def impulse_response(student: str, parameters: Parameters, steps: int) -> Float[Tensor, "*batch steps"]:
    """k_0 … k_{T-1} of a linear student.

    Args:
        student: a name from STUDENTS.
        parameters: its parameters by name, real, with the same leading axes.
        steps: T ≥ 1.

    Returns:
        The impulse response [..., T], differentiable in every parameter.

    Raises:
        ValueError: an unknown student, parameters that are not the student's, of shapes that do not fit or with a value
            that is not finite, or T < 1.

    Source: Sec. 2 of Zucchet & Orvieto 2024 for the models; the convolution is exact, since all are linear.
    """
    kind, parameters = checked(student, parameters)
    steps = whole_number("impulse_response", "steps", steps, 1)
    k = kind.kernel(parameters, steps)
    return torch.cat((k[..., :1] + parameters["D"][..., None], k[..., 1:]), dim=-1)


def checked(student: Any, parameters: Any) -> tuple[Student, Parameters]:
    """A student and its parameters as tensors; a ValueError where they do not belong together."""
    if not isinstance(student, str) or student not in STUDENTS:
        raise ValueError(f"student={_text(student)}: must be one of {', '.join(STUDENTS)}")
    kind = STUDENTS[student]
    if not isinstance(parameters, Mapping):
        raise ValueError(f"parameters={shown(parameters)} of {student}: must be a dictionary of {', '.join(kind.dims)}")
    if parameters.keys() != kind.dims.keys():
        raise ValueError(
            f"parameters of {student}: must be {', '.join(kind.dims)}, not {', '.join(map(str, parameters))}"
        )
    tensors = {
        name: real_tensor(student, name, parameters[name], f"[...{', n' * axes}]") for name, axes in kind.dims.items()
    }
    batch = list(tensors["D"].shape)
    for name, axes in kind.dims.items():
        shape = list(tensors[name].shape)
        if len(shape) < axes or shape[: len(shape) - axes] != batch:
            raise ValueError(
                f"{student}: {name} must have the leading axes of D, {batch}, and {axes} more, got {shape}"
            )
        check_finite_tensor(student, name, tensors[name])
    if "A" in tensors:
        heads, rows, columns = tensors["A"].shape[-3:]
        if rows != columns:
            raise ValueError(f"{student}: A must have shape [..., H, m, m], got {list(tensors['A'].shape)}")
        n = heads * rows
    else:
        n = tensors["B_re"].shape[-1]
    for name, axes in kind.dims.items():
        size = tensors[name].shape[-1] if axes == 1 else n
        if size != n:
            raise ValueError(f"{student}: {name} must have {n} numbers, one for each hidden unit, got {size}")
    return kind, tensors


def _text(name: Any) -> str:
    return name if isinstance(name, str) else shown(name)


def powers(lam: Tensor, steps: int) -> Tensor:
    """λ^0 … λ^{T-1}, [..., n, T]: by doubling, not by exp(τ log λ), which loses the phase at long lags."""
    out, factor = torch.ones_like(lam)[..., None], lam
    while out.shape[-1] < steps:
        out = torch.cat((out, out * factor[..., None]), dim=-1)
        factor = factor * factor
    return out[..., :steps]


def _dense(p: Parameters, steps: int) -> Tensor:
    A, C = p["A"], p["C"].unflatten(-1, p["A"].shape[-3:-1])
    states, factor = p["B"].unflatten(-1, A.shape[-3:-1])[..., None], A
    while states.shape[-1] < steps:
        width = states.shape[-1]
        # Two columns at least: a product with a single one has other bits where there is one matrix alone.
        pushed = factor @ (states if width > 1 else torch.nn.functional.pad(states, (0, 1)))
        states = torch.cat((states, pushed[..., :width]), dim=-1)
        factor = factor @ factor
    return torch.einsum("...hi,...hit->...t", C, states[..., :steps])


def _blocks_eigenvalues(p: Parameters) -> Tensor:
    return torch.linalg.eigvals(p["A"]).flatten(-2)


Pair = tuple[Tensor, Tensor]
"""Real and imaginary part. Torch's complex products have other bits at the end of a tensor, where its vector
instructions do not reach, and so would depend on how many networks there are."""


def _product(a: Pair, b: Pair) -> Pair:
    return a[0] * b[0] - a[1] * b[1], a[0] * b[1] + a[1] * b[0]


def _diagonal(lam: Pair, weight: Pair, steps: int) -> Tensor:
    """Re Σ_j w_j λ_j^τ, by doubling."""
    (re, im), factor = (part[..., None] for part in weight), lam
    while re.shape[-1] < steps:
        further = _product((re, im), (factor[0][..., None], factor[1][..., None]))
        re, im = (torch.cat(parts, dim=-1) for parts in zip((re, im), further, strict=True))
        factor = _product(factor, factor)
    return re[..., :steps].sum(-2)


def _free(p: Parameters) -> Pair:
    return p["re"], p["im"]


def _polar(magnitude: Tensor, angle: Tensor) -> Pair:
    return magnitude * torch.cos(angle), magnitude * torch.sin(angle)


def _exp(p: Parameters) -> Pair:
    return _polar(torch.exp(-torch.exp(p["w_nu"])), torch.exp(p["w_theta"]))


def _step_size(p: Parameters) -> Tensor:
    """Softplus of w_delta, of functions that have the same bits wherever an element stands."""
    w = p["w_delta"]
    return torch.where(w > 20.0, w, torch.log1p(torch.exp(w.clamp(max=20.0))))


def _s4(p: Parameters) -> Pair:
    step = _step_size(p)
    return _polar(torch.exp(step * p["w_re"]), step * p["w_im"])


_READ_WRITE = {"B_re": 1, "B_im": 1, "C_re": 1, "C_im": 1, "D": 0}
_GAINS: dict[str | None, Callable[[Parameters], Tensor | float]] = {
    None: lambda _: 1.0,
    "w_gamma": lambda p: torch.exp(p["w_gamma"]),
    "gamma": lambda p: p["gamma"],
    "w_delta": _step_size,
}


def _diagonal_student(
    name: str, recurrent: tuple[str, ...], lam: Callable[[Parameters], Pair], gain: str | None = None
) -> Student:
    """A student with a diagonal recurrence whose input is multiplied by exp(gain), by gain, or by its step size."""

    def modes(p: Parameters) -> tuple[Pair, Pair]:
        re, im = _product((p["C_re"], p["C_im"]), (p["B_re"], p["B_im"]))
        g = _GAINS[gain](p)
        return lam(p), (g * re, g * im)

    dims: dict[str, int] = dict.fromkeys((*recurrent, *([gain] if gain else [])), 1)
    return Student(
        name,
        {**dims, **_READ_WRITE},
        lambda p, steps: _diagonal(*modes(p), steps),
        recurrent,
        lambda p: torch.complex(*lam(p)),
        _GAINS[gain],
        modes,
    )


STUDENTS = {
    s.name: s
    for s in (
        Student("dense", {"A": 3, "B": 1, "C": 1, "D": 0}, _dense, ("A",), _blocks_eigenvalues),
        _diagonal_student("diagonal", ("re", "im"), _free),
        _diagonal_student("diagonal_gamma", ("re", "im"), _free, gain="gamma"),
        _diagonal_student("exp", ("w_nu", "w_theta"), _exp),
        _diagonal_student("lru", ("w_nu", "w_theta"), _exp, gain="w_gamma"),
        _diagonal_student("s4", ("w_delta", "w_re", "w_im"), _s4, gain="w_delta"),
    )
}
"""By name, with n hidden units:

- `dense`: A [H, m, m] in H heads of m units, n = Hm; B, C [n]; D. One head is an ordinary linear network.
- `diagonal`: λ = re + i im [n], free; B and C complex [n].
- `diagonal_gamma`: the same, its input multiplied by a trained γ [n].
- `exp`: λ = exp(-exp w_nu + i exp w_theta).
- `lru`: as `exp`, its input multiplied by exp(w_gamma).
- `s4`: λ = exp(Δ (w_re + i w_im)), Δ = softplus(w_delta), its input multiplied by Δ.
"""
