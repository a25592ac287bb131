"""Condition numbers κ₂ of products of Jacobians in arbitrary precision, by python-flint (`pip install 'floss[exact]'`).

Jacobians are dyadic numbers and enter exactly; the product is rounded to a number of bits after every factor, as by
floats of that many bits. All that follows is as good as exact: the norms ‖B‖₂ and ‖B⁺‖₂ of the product B come from B
and the inverse of B or of BᵀB, inverted with so many bits that the ball of the result is tight. So the answers
saturate where the rounding of the product does, near 2^bits.
"""

import math
from collections.abc import Iterable
from importlib import import_module
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

from floss.lyapunov.work_counter import WorkCounter

_FIRST_BITS = 256
_AGREEMENT = 1e-10
"""Of two successive answers in log₁₀ κ₂, at which the doubling of the precision ends."""

_PRIMES = (2**31 - 1, 2**31 - 19)
"""Ranks modulo a prime are never larger than the true ones, and smaller with a chance of about T/2³¹."""

_TIGHT = 60
"""Bits by which the radii of an inverse must lie below its largest entry."""


def exact_condition(
    jacobians: Float[Tensor, "T B n n"],
    q: Float[Tensor, "B n k"] | None,
    times: list[int],
    dims: list[int],
    bits: int | None,
    counter: WorkCounter,
) -> Float64[Tensor, "times B dims"]:
    """log₁₀ κ₂(T_t Q_m) with so many bits per float, or with as many as it takes; the core of `floss.condition_number`.

    Args:
        jacobians: finite one-step Jacobians.
        q: orthonormal tangent vectors, or None for the whole product.
        times: numbers of steps t, ascending.
        dims: numbers of tangent directions m.
        bits: precision of the product; None for 256, 512, … until two answers agree to 10⁻¹⁰.
        counter: told of every product.

    Returns:
        log₁₀ κ₂, on the device of the Jacobians; inf where the rank of T_t Q_m is less than m, found in exact
        arithmetic, or of its rounded value.

    Raises:
        ValueError: python-flint is missing.
    """
    flint = _flint()
    D = jacobians.double().cpu().numpy()
    result = torch.empty(len(times), D.shape[1], len(dims), dtype=torch.float64)
    for b in range(D.shape[1]):
        basis = None if q is None else q[b].cpu().numpy()
        answers = _one_network(flint, D[:, b], basis, {(t, m) for t in times for m in dims}, bits, counter)
        result[:, b] = torch.tensor([[answers[t, m] for m in dims] for t in times], dtype=torch.float64)
    return result.to(jacobians.device)


def _flint() -> Any:
    try:
        return import_module("flint")
    except ImportError:
        raise ValueError("condition_number: bits needs python-flint: pip install 'floss[exact]'") from None


def _one_network(
    flint: Any,
    D: np.ndarray,
    basis: np.ndarray | None,
    wanted: set[tuple[int, int]],
    bits: int | None,
    counter: WorkCounter,
) -> dict[tuple[int, int], float]:
    """log₁₀ κ₂ of each wanted (t, m)."""
    full_rank = _full_rank(flint, D, basis, wanted)
    answers = dict.fromkeys(wanted, math.inf)
    pending, precision = full_rank, bits or _FIRST_BITS
    while pending:
        new = _answers(flint, D, basis, pending, precision, counter)
        settled = {key for key in pending if bits or abs(new[key] - answers[key]) <= _AGREEMENT}
        answers.update(new)
        pending, precision = pending - settled, 2 * precision
    return answers


def _answers(
    flint: Any, D: np.ndarray, basis: np.ndarray | None, wanted: set[tuple[int, int]], bits: int, counter: WorkCounter
) -> dict[tuple[int, int], float]:
    """log₁₀ κ₂ of each wanted (t, m), from one product rounded to so many bits."""
    last = max(t for t, _ in wanted)
    counter.expect(last)
    answers = {}
    product = None if basis is None else flint.arb_mat(basis.tolist())
    for t in range(1, last + 1):
        factor = flint.arb_mat(D[t - 1].tolist())
        with flint.ctx.workprec(bits):
            product = factor if product is None else (factor * product).mid()
        table = product.tolist() if any(s == t for s, _ in wanted) else []
        for m in sorted(m for s, m in wanted if s == t):
            columns = flint.arb_mat([row[:m] for row in table])
            log2 = _log2_norm(columns) + _log2_norm_of_inverse(flint, columns, bits)
            answers[t, m] = max(log2 * math.log10(2), 0.0)
        counter.step()
    return answers


def _log2_norm(matrix: Any) -> float:
    """log₂ ‖A‖₂ of the midpoints; -inf for zero."""
    pairs = _mantissas(matrix.mid().entries())
    exponent = _exponent(pairs)
    if exponent is None:
        return -math.inf
    floats = [_float(man, exp - exponent) for man, exp in pairs]
    return float(np.log2(np.linalg.norm(np.array(floats).reshape(matrix.nrows(), matrix.ncols()), 2))) + exponent


def _log2_norm_of_inverse(flint: Any, matrix: Any, bits: int) -> float:
    """log₂ ‖A⁺‖₂ of an exact matrix, with as many bits as it takes; inf where its columns are dependent."""
    square = matrix.nrows() == matrix.ncols()
    working = (bits if square else 2 * bits) + 128  # κ₂ is about 2^bits at most, and its square that of AᵀA
    certain = False
    while True:
        with flint.ctx.workprec(working):
            try:
                inverse = (matrix if square else matrix.transpose() * matrix).inv()
            except ZeroDivisionError:
                inverse = None
            if inverse is not None and _is_tight(inverse):
                return _log2_norm(inverse) / (1 if square else 2)
        certain = certain or any(_independent(_modulo(flint, matrix, p)) == matrix.ncols() for p in _PRIMES)
        if not certain:
            return math.inf
        working *= 2


def _is_tight(matrix: Any) -> bool:
    """Whether all radii lie far below the largest entry."""
    entries = matrix.entries()
    if not all(x.is_finite() for x in entries):
        return False
    largest, error = _exponent(_mantissas(matrix.mid().entries())), _exponent(_mantissas(x.rad() for x in entries))
    return largest is not None and (error is None or error < largest - _TIGHT)


def _mantissas(entries: Iterable[Any]) -> list[tuple[int, int]]:
    """Whole numbers (man, exp) of exact entries man · 2^exp."""
    pairs = (x.man_exp() for x in entries)
    return [(int(man), int(exp)) for man, exp in pairs]


def _exponent(pairs: list[tuple[int, int]]) -> int | None:
    """The power of two just above the largest of the numbers; None where all are zero."""
    return max((man.bit_length() + exp for man, exp in pairs if man), default=None)


def _float(man: int, exp: int) -> float:
    """The float man · 2^exp, with man of any length; 0 where it is too small."""
    cut = max(man.bit_length() - 64, 0)
    return math.ldexp(float(man >> cut), exp + cut)


# --- exact ranks -------------------------------------------------------------------------------------------------


def _full_rank(
    flint: Any, D: np.ndarray, basis: np.ndarray | None, wanted: set[tuple[int, int]]
) -> set[tuple[int, int]]:
    """Those (t, m) for which T_t Q_m has rank m, in exact arithmetic."""
    found: set[tuple[int, int]] = set()
    for p in _PRIMES:
        open_questions = wanted - found
        if not open_questions:
            break
        product = None if basis is None else _residues(flint, basis, p)
        for t in range(1, max(t for t, _ in open_questions) + 1):
            factor = _residues(flint, D[t - 1], p)
            product = factor if product is None else factor * product
            sizes = [m for s, m in open_questions if s == t]
            if sizes:
                rank = _independent(product)
                found |= {(t, m) for m in sizes if m <= rank}
    return found


def _residues(flint: Any, floats: np.ndarray, p: int) -> Any:
    """Floats modulo a prime below 2³¹; a power of two is invertible."""
    mantissa, exponent = np.frexp(floats)
    different, place = np.unique(exponent, return_inverse=True)
    powers = np.array([pow(2, int(e) - 53, p) for e in different])[place].reshape(floats.shape)
    residues = np.ldexp(mantissa, 53).astype(np.int64) % p * powers % p
    return flint.nmod_mat(*floats.shape, residues.ravel().tolist(), p)


def _modulo(flint: Any, matrix: Any, p: int) -> Any:
    """An exact matrix modulo a prime."""
    residues = [man * pow(2, exp, p) % p for man, exp in _mantissas(matrix.entries())]
    return flint.nmod_mat(matrix.nrows(), matrix.ncols(), residues, p)


def _independent(matrix: Any) -> int:
    """How many of the first columns are linearly independent."""
    echelon, rank = matrix.rref()
    return next((i for i in range(rank) if int(echelon[i, i]) == 0), rank)
