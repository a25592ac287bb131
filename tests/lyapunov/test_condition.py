"""floss.condition_number: exact answers, a slow twin, arbitrary precision, batches, singular products, and refusals."""

import math
import re
import sys
from typing import Any

import mpmath
import pytest
import torch
from problems import DOUBLE, gaussian, orthogonal

from floss.lyapunov.arbitrary_precision import _log2_norm_of_inverse
from floss.lyapunov.condition import condition_from_exponents, condition_number

EPS = torch.finfo(DOUBLE).eps

TWIN = 1e-9
"""Of log₁₀ κ₂ against many digits: the products below have Jacobians of condition number 10⁵ at most."""

SAME = 1e-12
"""Of log₁₀ κ₂ up to a few hundred, summed in another order."""


def tanh_network(seed: int, n: int, steps: int, g: float = 1.0) -> torch.Tensor:
    """Jacobians D = W diag(1 - tanh²(h)) along h' = W tanh(h) + V x + b, [T, n, n]."""
    W, V, b = g * gaussian(seed, n, n) / n**0.5, gaussian(seed + 1, n), 0.1 * gaussian(seed + 2, n)
    h, x, jacobians = gaussian(seed + 3, n), gaussian(seed + 4, steps), []
    for t in range(steps):
        jacobians.append(W * (1.0 - torch.tanh(h) ** 2))
        h = W @ torch.tanh(h) + V * x[t] + b
    return torch.stack(jacobians)


def triangular(seed: int, n: int, steps: int) -> torch.Tensor:
    """Upper triangular Jacobians whose diagonals ascend: the first unit vectors span the slowest directions."""
    return (torch.triu(gaussian(seed, n, n), 1) + torch.diag(10.0 ** torch.linspace(-1, 1, n, dtype=DOUBLE))).expand(
        steps, n, n
    )


def slow_condition(jacobians: torch.Tensor, q: torch.Tensor) -> float:
    """log₁₀ κ₂ of D[T-1] ⋯ D[0] Q, with 250 decimal digits."""
    with mpmath.workdps(250):
        product = mpmath.matrix(q.tolist())
        for D in jacobians.tolist():
            product = mpmath.matrix(D) * product
        values = mpmath.svd_r(product, compute_uv=False)
        return float(mpmath.log10(max(values) / min(values)))


def accuracy(jacobians: torch.Tensor) -> float:
    """Error of log₁₀ κ₂ that the docstring promises."""
    return EPS * float(torch.linalg.cond(jacobians).sum()) / math.log(10) + SAME


# --- exact answers -----------------------------------------------------------------------------------------------


def test_orthogonal():
    Q = torch.stack([orthogonal(seed, 8) for seed in range(40)])
    assert condition_number(Q) == pytest.approx(0.0, abs=1e-13)
    value = condition_number(3.7 * Q, dims=range(1, 9), horizons=range(1, 41))
    assert ((value >= 0) & (value < 1e-13)).all()


@pytest.mark.parametrize("order", ["descending", "ascending", "mixed"])
def test_diagonal(order):
    exponents = {"descending": [1.0, 0.5, 0.0, -3.0], "ascending": [-3.0, 0.0, 0.5, 1.0], "mixed": [0.5, -3.0, 1.0, 0]}
    D = torch.diag(10.0 ** torch.tensor(exponents[order], dtype=DOUBLE)).expand(500, 4, 4)
    value = condition_number(D, horizons=[1, 2, 500])
    torch.testing.assert_close(value, torch.tensor([4.0, 8.0, 2000.0], dtype=DOUBLE), rtol=1e-14, atol=0)


def test_diagonal_whose_order_turns_round():
    """Half of the steps undo what the others did: exact, since the unit vectors do not mix."""
    D = torch.diag(10.0 ** torch.tensor([0.5, 0.0, -1.0], dtype=DOUBLE))
    D = torch.cat((D.expand(50, 3, 3), torch.linalg.inv(D).expand(50, 3, 3)))
    torch.testing.assert_close(
        condition_number(D, horizons=[50, 90, 100]), torch.tensor([75.0, 15.0, 0.0], dtype=DOUBLE), rtol=0, atol=SAME
    )


def test_triangular_with_the_slowest_direction_first():
    """The first unit vector stays what it is; D^t = [[1, (10^{3t} - 1)/999], [0, 10^{3t}]]."""
    D = torch.tensor([[1.0, 1.0], [0.0, 1e3]], dtype=DOUBLE).expand(1000, 2, 2)
    horizons = [1, 10, 200, 1000]
    value = condition_number(torch.stack((D, D.mT), dim=1), horizons=horizons)
    for i, t in enumerate(horizons[1:], 1):
        expected = 3 * t + math.log10(1 + 1 / 999**2)
        assert value[i].tolist() == pytest.approx([expected] * 2, abs=1e-10)
    assert value[0].tolist() == pytest.approx([float(torch.linalg.cond(D[0]).log10())] * 2, abs=SAME)


def test_one_diagonal_jacobian_beyond_the_precision():
    assert condition_number(torch.diag(torch.tensor([1e-50, 1.0, 1e100], dtype=DOUBLE))[None]) == pytest.approx(150.0)


@pytest.mark.parametrize("n", [1, 2, 7, 30])
def test_one_step(n):
    D = gaussian(n, 1, n, n)
    assert float(condition_number(D)) == pytest.approx(float(torch.linalg.cond(D[0]).log10()), abs=accuracy(D))


def test_powers_of_a_symmetric_matrix():
    values, Q = torch.linspace(0.3, 2.0, 9, dtype=DOUBLE), orthogonal(1, 9)
    D = (Q @ torch.diag(values) @ Q.mT).expand(300, 9, 9)
    once, steps = math.log10(2.0 / 0.3), [1, 3, 40, 300]
    expected = once * torch.tensor(steps, dtype=DOUBLE)
    torch.testing.assert_close(condition_number(D, horizons=steps), expected, rtol=0, atol=accuracy(D))


@pytest.mark.parametrize("factor", [1e-300, 1e300, -2.0])
def test_scale_does_not_matter(factor):
    D = gaussian(3, 20, 5, 5)
    torch.testing.assert_close(condition_number(factor * D), condition_number(D), rtol=0, atol=1e-10)


def test_rotations_do_not_matter():
    D, Q = tanh_network(20, 10, 30), orthogonal(5, 10)
    turned = torch.cat((D[:1] @ Q, D[1:-1], Q @ D[-1:]))
    assert float(condition_number(turned)) == pytest.approx(float(condition_number(D)), abs=accuracy(D))


# --- the slow twin -----------------------------------------------------------------------------------------------

PRODUCTS = {
    "tanh network": lambda: tanh_network(30, 6, 60),
    "gaussian": lambda: gaussian(31, 60, 6, 6),
    "triangular": lambda: triangular(32, 6, 60),
    "lower triangular": lambda: triangular(32, 6, 60).mT,
    "delay line": lambda: (torch.diag(torch.ones(5, dtype=DOUBLE), 1) + 0.1 * torch.eye(6)).expand(60, 6, 6),
    "Jordan block": lambda: (torch.diag(torch.ones(5, dtype=DOUBLE), 1) + torch.eye(6)).expand(60, 6, 6),
    "contracting after expanding": lambda: torch.cat((2.0 * gaussian(33, 30, 6, 6), 0.5 * gaussian(34, 30, 6, 6))),
}


@pytest.mark.parametrize("name", PRODUCTS)
@pytest.mark.parametrize("basis", ["unit vectors", "random"])
def test_agrees_with_the_slow_twin(name, basis):
    D = PRODUCTS[name]()
    Q = torch.eye(6, dtype=DOUBLE) if basis == "unit vectors" else orthogonal(40, 6)
    horizons, dims = [1, 7, 60], [2, 4, 6]
    expected = [[slow_condition(D[:t], Q[:, :m]) for m in dims] for t in horizons]
    ours = condition_number(D, q0=Q, horizons=horizons, dims=dims)
    torch.testing.assert_close(ours, torch.tensor(expected, dtype=DOUBLE), rtol=0, atol=TWIN)
    if basis == "unit vectors":
        torch.testing.assert_close(condition_number(D, horizons=horizons), ours[:, -1], rtol=0, atol=TWIN)


def test_columns_of_q0_that_are_not_orthonormal():
    D, Q = tanh_network(35, 6, 20), gaussian(36, 6, 3)
    expected = slow_condition(D, torch.linalg.qr(Q)[0])
    assert float(condition_number(D, q0=Q)) == pytest.approx(expected, abs=TWIN)


# --- axes --------------------------------------------------------------------------------------------------------


def test_stacked_equals_looped():
    D = torch.stack([tanh_network(10 * seed, 8, 40) for seed in range(6)], dim=1)
    D[:, 1] = triangular(50, 8, 40)
    stacked = condition_number(D.reshape(40, 2, 3, 8, 8), dims=[3, 8], horizons=[5, 40])
    assert stacked.shape == (2, 2, 3, 2)
    for i in range(6):
        alone = condition_number(D[:, i], dims=[3, 8], horizons=[5, 40])
        torch.testing.assert_close(stacked[:, i // 3, i % 3], alone, rtol=0, atol=SAME)


@pytest.mark.parametrize("shared", [True, False])
def test_basis_of_each_network(shared):
    D, Q = gaussian(60, 10, 3, 5, 5), gaussian(61, 3, 5, 2)
    stacked = condition_number(D, q0=Q[0] if shared else Q)
    alone = [condition_number(D[:, i], q0=Q[0 if shared else i]) for i in range(3)]
    torch.testing.assert_close(stacked, torch.stack(alone), rtol=0, atol=SAME)


def test_dims_and_horizons_equal_separate_calls():
    D, horizons, dims = tanh_network(70, 9, 50), [50, 3, 17, 3], [9, 1, 4]
    together = condition_number(D, dims=dims, horizons=horizons)
    for i, t in enumerate(horizons):
        for j, m in enumerate(dims):
            alone = condition_number(D[:t], dims=m)
            torch.testing.assert_close(together[i, j], alone, rtol=0, atol=accuracy(D))


@pytest.mark.parametrize(
    ("dims", "horizons", "shape"),
    [
        (None, None, (2, 3)),
        (2, 4, (2, 3)),
        ([2], None, (2, 3, 1)),
        (None, [4], (1, 2, 3)),
        (range(1, 5), (1, 2), (2, 2, 3, 4)),
        (torch.tensor(2), torch.tensor([1, 2, 3]), (3, 2, 3)),
    ],
)
def test_shapes(dims: Any, horizons: Any, shape: tuple[int, ...]):
    value = condition_number(gaussian(80, 4, 2, 3, 5, 5), dims=dims, horizons=horizons)
    assert value.shape == shape
    assert value.dtype == DOUBLE


def test_no_networks():
    assert condition_number(gaussian(81, 4, 0, 5, 5), dims=[1, 2]).shape == (0, 2)


def test_all_dimensions_do_not_depend_on_the_basis():
    D = tanh_network(82, 7, 30)
    values = [condition_number(D), condition_number(D, dims=7), condition_number(D, q0=orthogonal(83, 7))]
    assert [float(v) for v in values] == pytest.approx([float(values[0])] * 3, abs=accuracy(D))


def test_more_directions_are_worse_conditioned():
    value = condition_number(tanh_network(84, 12, 40), dims=range(1, 13))
    assert value[0] == pytest.approx(0.0, abs=1e-14)
    assert (value.diff() > 0).all()


def test_float32_is_computed_in_float64():
    D = tanh_network(85, 6, 80).float()
    value = condition_number(D)
    assert value.dtype == DOUBLE
    assert float(value) == pytest.approx(slow_condition(D, torch.eye(6)), abs=TWIN)


def test_differentiable_input_is_left_alone():
    D = gaussian(86, 5, 3, 3).requires_grad_()
    assert not condition_number(D).requires_grad


@pytest.mark.parametrize("dims", [None, [3, 8]])
def test_callback(dims):
    seen = []
    D = triangular(87, 8, 12)
    condition_number(D, dims=dims, horizons=[4, 11], callback=lambda done, total: seen.append((done, total)))
    assert [done for done, _ in seen] == list(range(1, len(seen) + 1))
    assert all(done <= total for done, total in seen)
    assert seen[0] == (1, 11)
    assert seen[-1][0] == seen[-1][1]


# --- singular products -------------------------------------------------------------------------------------------


def singular(kind: str, D: torch.Tensor) -> torch.Tensor:
    """Jacobians [T, n, n] of which the third is singular."""
    D = D.clone()
    if kind == "zero":
        D[2] = 0.0
    elif kind == "silent unit":
        D[2, :, 1] = 0.0
    elif kind == "row":
        D[2, 0] = 0.0
    elif kind == "dependent columns":
        D[2, :, 0] = D[2, :, 1:].sum(-1)
    return D


@pytest.mark.parametrize("kind", ["zero", "silent unit", "row", "dependent columns"])
@pytest.mark.parametrize("dims", [None, 5])
def test_singular_jacobian(kind, dims):
    whole = gaussian(90, 20, 5, 5)
    D = torch.stack((whole, singular(kind, whole), gaussian(91, 20, 5, 5)), dim=1)
    value = condition_number(D, dims=dims, horizons=[2, 3, 20])
    assert value[:, 1].isinf().tolist() == [False, True, True]
    torch.testing.assert_close(
        value[:, [0, 2]], condition_number(D[:, [0, 2]], dims=dims, horizons=[2, 3, 20]), rtol=0, atol=SAME
    )
    torch.testing.assert_close(value[0, 1], value[0, 0], rtol=0, atol=SAME)


def test_directions_that_do_not_feel_the_singular_jacobian():
    """Two of six units are silent in one step: up to four directions keep their finite condition number."""
    D = gaussian(92, 30, 6, 6)
    D[10, :, [1, 4]] = 0.0
    value = condition_number(D, dims=range(1, 7))
    assert value.isinf().tolist() == [False] * 4 + [True] * 2
    torch.testing.assert_close(value[:4], condition_number(D, dims=range(1, 5)), rtol=0, atol=SAME)


def test_nilpotent_product():
    D = torch.diag(torch.ones(4, dtype=DOUBLE), 1).expand(6, 5, 5)
    assert condition_number(D).isinf()
    assert condition_number(D, q0=torch.eye(5)[:, 3:], horizons=[1, 3]).tolist() == pytest.approx([0.0, 0.0])
    assert condition_number(D, q0=torch.eye(5)[:, 3:], horizons=[4, 6]).isinf().all()


@pytest.mark.parametrize("n", [2, 3, 6, 40])
def test_every_rank_deficient_jacobian_is_found(n):
    """Rounding makes singular values of 1e-17 or so of the zero ones: four hundred products."""
    D = gaussian(93, 3, 100, 4, n, n)
    D[1, :, 0] = D[1, :, 0, :, :-1] @ gaussian(94, 100, n - 1, n)
    D[1, :, 1] *= (torch.arange(n) > 0).double()
    D[1, :, 2] *= (torch.arange(n) != n - 1).double()[:, None]
    D[1, :, 3, :, -1] = D[1, :, 3, :, 0]
    assert condition_number(D).isinf().all()


# --- arbitrary precision -----------------------------------------------------------------------------------------


def test_exact_agrees_with_the_slow_twin():
    pytest.importorskip("flint")
    D, Q = tanh_network(100, 5, 30), orthogonal(101, 5)
    expected = [slow_condition(D, Q[:, :m]) for m in (1, 3, 5)]
    assert condition_number(D, q0=Q, dims=[1, 3, 5], bits=800).tolist() == pytest.approx(expected, abs=SAME)


@pytest.mark.parametrize("bits", [900, "auto"])
@pytest.mark.parametrize("whole", [True, False])
def test_float64_agrees_with_arbitrary_precision(bits, whole):
    pytest.importorskip("flint")
    D = torch.stack((tanh_network(110, 16, 60), tanh_network(120, 16, 60)), dim=1)
    arguments: dict[str, Any] = {"horizons": [1, 20, 60]} | ({} if whole else {"dims": [2, 9, 16]})
    exact = condition_number(D, bits=bits, **arguments)
    torch.testing.assert_close(condition_number(D, **arguments), exact, rtol=0, atol=TWIN)


@pytest.mark.slow
def test_float64_agrees_with_arbitrary_precision_on_networks_of_the_paper():
    pytest.importorskip("flint")
    D, horizons = tanh_network(130, 80, 150), [20, 100, 150]
    ours, exact = condition_number(D, horizons=horizons), condition_number(D, horizons=horizons, bits=1536)
    assert exact[-1] > 200
    torch.testing.assert_close(ours, exact, rtol=0, atol=TWIN)
    dims = [10, 40, 80]
    torch.testing.assert_close(
        condition_number(D, dims=dims), condition_number(D, dims=dims, bits=1536), rtol=0, atol=TWIN
    )


def test_fixed_precision_saturates():
    """256 bits hold κ₂ up to about 2^256 = 10⁷⁷, and are right far below it."""
    pytest.importorskip("flint")
    D, horizons = tanh_network(140, 16, 300), [20, 200, 250, 300]
    ours, fixed = condition_number(D, horizons=horizons), condition_number(D, horizons=horizons, bits=256)
    assert (ours[1:] > 120).all()
    assert float(fixed[0]) == pytest.approx(float(ours[0]), abs=TWIN)
    assert ((fixed[1:] > 75) & (fixed[1:] < 83)).all()
    assert (condition_number(D, bits=64) < 24).all()


def test_fixed_precision_rounds_to_so_many_bits():
    """Symmetric factors whose square has κ₂ = 10⁸: in 12 bits it is lost, and nothing hangs at two bits."""
    pytest.importorskip("flint")
    Q = orthogonal(150, 4)
    D = (Q @ torch.diag(torch.tensor([1.0, 0.5, 0.1, 1e-4], dtype=DOUBLE)) @ Q.mT).expand(2, 4, 4)
    assert float(condition_number(D, bits=60)) == pytest.approx(8.0, abs=1e-6)
    assert 3 < condition_number(D, bits=12) < 6
    assert condition_number(D, bits=2, dims=[1, 4], q0=Q)[0] == pytest.approx(0.0, abs=1e-15)


@pytest.mark.parametrize("bits", [256, "auto"])
def test_exact_singular(bits):
    """Found in exact arithmetic: rounding to 256 bits would leave 10⁷⁷."""
    pytest.importorskip("flint")
    whole = gaussian(160, 20, 5, 5)
    D = torch.stack((whole, singular("silent unit", whole)), dim=1)
    value = condition_number(D, horizons=[2, 3, 20], bits=bits)
    assert value.isinf().tolist() == [[False, False], [False, True], [False, True]]
    value = condition_number(D, dims=[1, 4, 5], bits=bits)
    assert value.isinf().tolist() == [[False] * 3, [False, False, True]]
    torch.testing.assert_close(value, condition_number(D, dims=[1, 4, 5]), rtol=0, atol=TWIN)


def test_exact_beyond_float64():
    """Two products that float64 cannot tell: nearly singular, and one that undoes itself."""
    pytest.importorskip("flint")
    D = orthogonal(170, 3) @ torch.diag(torch.tensor([1.0, 1.0, 2.0**-60], dtype=DOUBLE)) @ orthogonal(171, 3)
    assert condition_number(D[None], bits="auto") > 15
    half = torch.diag(2.0 ** torch.tensor([3.0, 0.0, -4.0], dtype=DOUBLE)).expand(60, 3, 3)
    there_and_back = torch.cat((half, torch.linalg.inv(half)))
    assert condition_number(there_and_back, q0=orthogonal(172, 3), bits="auto") == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("power", [10, 150, 1500])
def test_exact_inverse_takes_the_bits_it_needs(power):
    """[[1, 1], [1, 1 + 2^-p]] has the inverse 2^p [[1 + 2^-p, -1], [-1, 1]], of norm 2^(p + 1) (1 + 2^-p / 4 + …)."""
    flint = pytest.importorskip("flint")
    with flint.ctx.workprec(2000):
        small = flint.arb(2) ** -power
        columns = flint.arb_mat([[1, 1], [1, 1 + small]])
        tall = flint.arb_mat([[1, 1], [1, 1 + small], [0, 0]])
        dependent = flint.arb_mat([[1, 1], [1, 1]])
    expected = power + 1 + 2.0**-power / 4 / math.log(2)
    for matrix in (columns, tall):
        assert _log2_norm_of_inverse(flint, matrix, 53) == pytest.approx(expected, abs=4.0**-power + SAME)
    assert _log2_norm_of_inverse(flint, dependent, 53) == math.inf


@pytest.mark.parametrize("scale", [1e-300, 1e300])
def test_exact_neither_overflows_nor_underflows(scale):
    pytest.importorskip("flint")
    D = gaussian(180, 8, 4, 4)
    value = condition_number(scale * D, horizons=[1, 8], dims=[2, 4], bits=300)
    torch.testing.assert_close(value, condition_number(D, horizons=[1, 8], dims=[2, 4]), rtol=0, atol=TWIN)


def test_exact_leaves_the_precision_of_flint_alone():
    flint = pytest.importorskip("flint")

    def interrupt(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with flint.ctx.workprec(77):
        condition_number(gaussian(190, 3, 4, 4), bits="auto")
        assert flint.ctx.prec == 77
        with pytest.raises(KeyboardInterrupt):
            condition_number(gaussian(190, 3, 4, 4), bits=300, callback=interrupt)
        assert flint.ctx.prec == 77


def test_exact_callback():
    pytest.importorskip("flint")
    seen = []
    D = tanh_network(191, 8, 40)[:, None].expand(40, 2, 8, 8)
    condition_number(D, bits="auto", callback=lambda done, total: seen.append((done, total)))
    assert [done for done, _ in seen] == list(range(1, len(seen) + 1))
    assert seen[-1][0] == seen[-1][1]


def test_without_flint(monkeypatch):
    monkeypatch.setitem(sys.modules, "flint", None)
    with pytest.raises(ValueError, match=re.escape("bits needs python-flint: pip install 'floss[exact]'")):
        condition_number(gaussian(192, 3, 4, 4), bits=256)


# --- Eq. 10 ------------------------------------------------------------------------------------------------------


def test_condition_from_exponents():
    lam = torch.tensor([[0.1, -0.2, -1.0], [0.0, -0.5, -torch.inf]], dtype=DOUBLE)
    value = condition_from_exponents(lam, [10, 20], [1, 2, 3])
    expected = torch.tensor([[0.0, 3.0, 11.0], [0.0, 5.0, torch.inf]], dtype=DOUBLE) / math.log(10)
    torch.testing.assert_close(value, torch.stack((expected, 2 * expected)))
    torch.testing.assert_close(condition_from_exponents(lam, 10), expected[:, -1])
    torch.testing.assert_close(condition_from_exponents(lam, [10], 2), expected[None, :, 1])
    assert condition_from_exponents(lam[0].float(), 10).dtype == DOUBLE
    assert condition_from_exponents(torch.full((2,), -torch.inf), 3, [1, 2]).tolist() == [0.0, torch.inf]


def test_exponents_tell_the_condition_number_of_long_products():
    """Of a constant Jacobian: Eq. 10 is off by the condition of the eigenvectors, whatever t."""
    values = torch.tensor([1.5, 1.0, 0.6, 0.2], dtype=DOUBLE)
    basis = torch.eye(4, dtype=DOUBLE) + 0.2 * gaussian(200, 4, 4)
    D = (basis @ torch.diag(values) @ torch.linalg.inv(basis)).expand(400, 4, 4)
    horizons, dims = [100, 200, 400], [2, 3, 4]
    error = condition_number(D, horizons=horizons, dims=dims) - condition_from_exponents(values.log(), horizons, dims)
    torch.testing.assert_close(error[1:], error[:1].expand(2, 3), rtol=0, atol=1e-10)
    assert (error.abs() < 2 * torch.linalg.cond(basis).log10()).all()


# --- what is refused ---------------------------------------------------------------------------------------------

D = gaussian(210, 4, 2, 3, 3)


def with_nan() -> torch.Tensor:
    bad = D.clone()
    bad[2, 1, 0, 2] = torch.nan
    return bad


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"jacobians": D[0, 0]}, "needs Jacobians [T, ..., n, n] with T >= 1 and n >= 1, got [3, 3]"),
        ({"jacobians": D[..., :2]}, "got [4, 2, 3, 2]"),
        ({"jacobians": D[:0]}, "got [0, 2, 3, 3]"),
        ({"jacobians": D.int()}, "needs float32 or float64 numbers, got torch.int32"),
        ({"jacobians": with_nan()}, "the Jacobian of step 2 at batch index (1,) is not finite"),
        ({"jacobians": with_nan()[:, 1] / 0}, "the Jacobian of step 0 is not finite"),
        ({"dims": 4}, "dims=4 must be from 1 to 3"),
        ({"dims": [1, 0]}, "dims=0 must be from 1 to 3"),
        ({"dims": 3, "q0": torch.eye(3)[:, :2]}, "dims=3 must be from 1 to 2"),
        ({"dims": 1.5}, "dims=1.5 must be a whole number or several, from 1 to 3"),
        ({"dims": []}, "dims=[] is empty"),
        ({"horizons": 5}, "horizons=5 must be from 1 to 4"),
        ({"horizons": [1, 0]}, "horizons=0 must be from 1 to 4"),
        ({"horizons": "all"}, "horizons='all' must be a whole number or several"),
        (
            {"q0": torch.eye(4)},
            "q0 must have shape [n, k] or [*batch, n, k] = [2, 3, 'k'] with 1 <= k <= n, got [4, 4]",
        ),
        ({"q0": torch.ones(5, 3, 1)}, "got [5, 3, 1]"),
        ({"q0": torch.ones(3, 2)}, "q0 is not a basis: qr: column 1 of the matrix depends linearly"),
        ({"bits": 1}, "bits=1 must be None, 'auto' or a whole number from 2 on"),
        ({"bits": 64.0}, "bits=64.0 must be"),
        ({"bits": True}, "bits=True must be"),
        ({"bits": "many"}, "bits='many' must be"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        condition_number(**{"jacobians": D, **arguments})
    assert str(caught.value).startswith("condition_number: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"exponents": torch.tensor(1.0)}, "needs exponents [..., k] with k >= 1, got torch.float32 []"),
        ({"exponents": torch.ones(2, 0)}, "got torch.float32 [2, 0]"),
        ({"exponents": torch.tensor([2, 1])}, "got torch.int64 [2]"),
        ({"exponents": torch.tensor([[1.0, 0.0], [0.0, 1.0]])}, "at batch index (1,) are not in descending order"),
        ({"exponents": torch.tensor([torch.nan, 0.0])}, "the exponents are not finite"),
        ({"exponents": torch.tensor([torch.inf, 0.0])}, "the exponents are not finite"),
        ({"steps": 0}, "steps=0 must be at least 1"),
        ({"steps": [3, -1]}, "steps=-1 must be at least 1"),
        ({"steps": 2.5}, "steps=2.5 must be a whole number or several, at least 1"),
        ({"dims": 3}, "dims=3 must be from 1 to 2"),
    ],
)
def test_exponents_refuses(arguments, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        condition_from_exponents(**{"exponents": torch.tensor([1.0, 0.0]), "steps": 10, **arguments})
