"""floss.condition_number: exact answers, a slow twin, arbitrary precision, batches, singular products, and refusals."""

import math
import re
from typing import Any

import pytest
import torch
from lyapunov.products import SAME, TWIN, singular, slow_condition, tanh_network
from problems import DOUBLE, gaussian, orthogonal

from floss.lyapunov.condition import condition_from_exponents, condition_number

EPS = torch.finfo(DOUBLE).eps


def triangular(seed: int, n: int, steps: int) -> torch.Tensor:
    """Upper triangular Jacobians whose diagonals ascend: the first unit vectors span the slowest directions."""
    return (torch.triu(gaussian(seed, n, n), 1) + torch.diag(10.0 ** torch.linspace(-1, 1, n, dtype=DOUBLE))).expand(
        steps, n, n
    )


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
        ({"jacobians": D.int()}, "jacobians must be float32 or float64 of shape [T, ..., n, n], got torch.int32"),
        ({"jacobians": with_nan()}, "the Jacobian of step 2 at batch index (1,) is not finite"),
        ({"jacobians": with_nan()[:, 1] / 0}, "the Jacobian of step 0 is not finite"),
        ({"dims": 4}, "dims=4 must be from 1 to 3"),
        ({"dims": [1, 0]}, "dims=0 must be from 1 to 3"),
        ({"dims": 3, "q0": torch.eye(3)[:, :2]}, "dims=3 must be from 1 to 2"),
        ({"dims": 1.5}, "dims=1.5 must be a whole number, from 1 to 3"),
        ({"dims": []}, "dims=[] is empty"),
        ({"horizons": 5}, "horizons=5 must be from 1 to 4"),
        ({"horizons": [1, 0]}, "horizons=0 must be from 1 to 4"),
        ({"horizons": "all"}, "horizons='all' must be a whole number, from 1 to 4"),
        (
            {"q0": torch.eye(4)},
            "q0 must have shape [n, k] or [*batch, n, k] = [2, 3, 'k'] with 1 <= k <= n, got [4, 4]",
        ),
        ({"q0": torch.ones(5, 3, 1)}, "got [5, 3, 1]"),
        ({"q0": torch.ones(3, 2)}, "q0 is not a basis: qr: column 1 of the matrix depends linearly"),
        ({"bits": 1}, "bits=1 must be at least 2, None or 'auto'"),
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
        ({"exponents": torch.tensor(1.0)}, "exponents must be floating point of shape [..., k], got torch.float32 []"),
        ({"exponents": torch.ones(2, 0)}, "got torch.float32 [2, 0]"),
        ({"exponents": torch.tensor([2, 1])}, "got torch.int64 [2]"),
        ({"exponents": torch.tensor([[1.0, 0.0], [0.0, 1.0]])}, "at batch index (1,) are not in descending order"),
        ({"exponents": torch.tensor([torch.nan, 0.0])}, "the exponents are not finite"),
        ({"exponents": torch.tensor([torch.inf, 0.0])}, "the exponents are not finite"),
        ({"steps": 0}, "steps=0 must be at least 1"),
        ({"steps": [3, -1]}, "steps=-1 must be at least 1"),
        ({"steps": 2.5}, "steps=2.5 must be a whole number, at least 1"),
        ({"dims": 3}, "dims=3 must be from 1 to 2"),
    ],
)
def test_exponents_refuses(arguments, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        condition_from_exponents(**{"exponents": torch.tensor([1.0, 0.0]), "steps": 10, **arguments})
