"""Impulse responses against stepping through time, Hessians against autodiff, teachers against published numbers."""

# Wrong arguments are a part of it.
# pyright: reportArgumentType=false

import re

import pytest
import torch
from problems import DOUBLE

from floss.memory import STUDENTS, hessian, impulse_response, participation
from floss.memory.hessian import eigenvalue_hessian
from floss.networks.linear_students.impulse_response import powers
from floss.tasks.linear_teachers import authors_teacher, spread_eigenvalues, zero_student_loss

N, STEPS = 4, 37


def draw(student: str, seed: int = 0, batch: tuple[int, ...] = ()) -> dict[str, torch.Tensor]:
    """Parameters of a stable student."""
    generator = torch.Generator().manual_seed(seed)
    shapes = {"A": (2, 2, 2), "D": ()}
    scale = {"A": 0.4, "re": 0.4, "im": 0.4}
    parameters = {
        name: scale.get(name, 1.0) * torch.randn((*batch, *shapes.get(name, (N,))), generator=generator, dtype=DOUBLE)
        for name in STUDENTS[student].dims
    }
    if student == "s4":
        parameters["w_re"] = -parameters["w_re"].abs()
    return parameters


def stepped(student: str, p: dict[str, torch.Tensor]) -> list[float]:
    """The response to an impulse, one step after the other."""
    if student == "dense":
        A, B, C = torch.block_diag(*p["A"]).to(torch.complex128), p["B"] + 0j, p["C"] + 0j
    else:
        gain = {"diagonal_gamma": p.get("gamma"), "lru": p.get("w_gamma", torch.zeros(1)).exp()}.get(student, 1.0)
        if student == "s4":
            gain = torch.nn.functional.softplus(p["w_delta"])
        A = torch.diag(STUDENTS[student].eigenvalues(p))
        B, C = gain * torch.complex(p["B_re"], p["B_im"]), torch.complex(p["C_re"], p["C_im"])
    h, out = torch.zeros_like(B), []
    for t in range(STEPS):
        x = 1.0 if t == 0 else 0.0
        h = A @ h + B * x
        out.append(float((C @ h).real + p["D"] * x))
    return out


@pytest.mark.parametrize("student", STUDENTS)
def test_the_response_is_that_of_stepping(student):
    p = draw(student)
    assert impulse_response(student, p, STEPS).tolist() == pytest.approx(stepped(student, p), rel=1e-10, abs=1e-12)
    assert impulse_response(student, p, 1).shape == (1,)


@pytest.mark.parametrize("student", STUDENTS)
def test_stacked_is_looped_and_eigenvalues_are_those_of_the_recurrence(student):
    p = draw(student, batch=(3,))
    together = impulse_response(student, p, STEPS)
    for i in range(3):
        alone = impulse_response(student, {name: v[i : i + 1] for name, v in p.items()}, STEPS)
        assert torch.equal(together[i : i + 1], alone)
    assert STUDENTS[student].eigenvalues(p).shape == (3, N)


@pytest.mark.parametrize("student", STUDENTS)
def test_the_hessian_is_the_second_derivative_of_the_loss(student):
    p = draw(student)
    names, target = list(p), impulse_response(student, p, STEPS)
    weights = 1 - torch.arange(STEPS, dtype=DOUBLE) / STEPS

    def loss(*values):
        k = impulse_response(student, dict(zip(names, values, strict=True)), STEPS)
        return 0.5 * (weights * (k - target) ** 2).sum()

    blocks = torch.autograd.functional.hessian(loss, tuple(p.values()))
    sizes = [v.numel() for v in p.values()]
    rows = [
        torch.cat([block.reshape(a, b) for block, b in zip(row, sizes, strict=True)], 1)
        for row, a in zip(blocks, sizes, strict=True)
    ]
    result = hessian(student, p, STEPS)
    torch.testing.assert_close(result.matrix, torch.cat(rows), rtol=1e-8, atol=1e-10)
    assert sum(float(result.share(name)) for name in names) == pytest.approx(1.0)
    vectors, top = result.eigenvectors(3), result.eigenvalues()[:3]
    torch.testing.assert_close(result.matrix @ vectors, vectors * top, rtol=1e-8, atol=1e-8 * float(top[0]))
    assert bool((participation(vectors, dim=0) >= 1).all())


def test_ranks_are_those_of_the_function():
    """2n + 1 degrees of freedom, whatever the number of parameters."""
    basis = torch.randn(N, N, generator=torch.Generator().manual_seed(1), dtype=torch.complex128)
    lam = torch.polar(*torch.tensor([[0.5, 0.5, 0.8, 0.8], [0.7, -0.7, 2.0, -2.0]], dtype=DOUBLE))
    basis[:, 1::2] = basis[:, ::2].conj()
    b, c = (torch.polar(*torch.tensor([[1.0, 1.0, 2.0, 2.0], [s, -s, 1.0, -1.0]], dtype=DOUBLE)) for s in (0.3, 0.9))
    write = {"B_re": b.real, "B_im": b.imag, "C_re": c.real, "C_im": c.imag, "D": torch.tensor(0.4, dtype=DOUBLE)}
    A = (basis @ torch.diag(lam) @ torch.linalg.inv(basis)).real
    read = {"B": (basis @ b).real, "C": (c @ torch.linalg.inv(basis)).real, "D": write["D"]}
    pairs = {"re": lam.real, "im": lam.imag, **write}
    students = (("dense", {"A": A[None], **read}, 2 * N + 1), ("diagonal", pairs, 2 * N + 1))
    responses = []
    for student, p, rank in (*students, ("diagonal", draw("diagonal"), 4 * N + 1)):
        H = hessian(student, p, 300).matrix
        scale = H.diagonal().sqrt()
        assert torch.linalg.matrix_rank(H / (scale[:, None] * scale), rtol=1e-11) == rank, student
        responses.append(impulse_response(student, p, 300))
    torch.testing.assert_close(responses[0], responses[1])  # one function, written in two ways


@pytest.mark.parametrize("rho", [0.0, 0.7])
def test_closed_form_of_the_eigenvalues_part(rho):
    """Against the same sum over lags, with a horizon that changes nothing."""
    generator = torch.Generator().manual_seed(2)
    lam = torch.polar(torch.tensor([0.5, 0.7], dtype=DOUBLE), torch.tensor([0.4, 1.0], dtype=DOUBLE))
    w = torch.randn(2, generator=generator, dtype=torch.complex128)
    T = 400
    slope = w[:, None] * torch.arange(T, dtype=DOUBLE) * torch.cat((torch.zeros(2, 1), powers(lam, T - 1)), dim=1)
    J = torch.cat((slope.real, -slope.imag))  # ∂k/∂Re λ, ∂k/∂Im λ
    lags = torch.arange(T, dtype=DOUBLE)
    R = torch.where(lags[:, None] == lags, 1.0, rho ** (lags[:, None] - lags).abs()).to(DOUBLE)
    torch.testing.assert_close(eigenvalue_hessian(lam, w, rho), J @ R @ J.mT, rtol=1e-10, atol=1e-10)


ZERO = {0.36: 0.70574, 0.68: 3.1836, 0.84: 9.0668, 0.92: 20.380, 0.96: 40.607, 0.98: 73.490, 0.99: 118.686}
TURNED = {0.993: 120.42, 0.314: 106.04, 0.0993: 56.905, 0.0314: 8.0275}


def test_the_authors_teacher():
    """Losses of the student that says nothing; the authors' θ₀ is 3.14, not π."""
    for nu, loss in ZERO.items():
        assert float(zero_student_loss(authors_teacher(nu, 3.14, 300))) == pytest.approx(loss, rel=1e-4)
    for theta, loss in TURNED.items():
        assert float(zero_student_loss(authors_teacher(0.99, theta, 300))) == pytest.approx(loss, rel=1e-4)


def test_spread_eigenvalues_lie_in_the_ring():
    generator = torch.Generator().manual_seed(4)
    moved = spread_eigenvalues(torch.randn(50, generator=generator, dtype=torch.complex128), 0.9, 0.3)
    assert 0.9 <= float(moved.abs().min()) <= float(moved.abs().max()) < 1
    assert float(moved.angle().abs().max()) <= 0.3


@pytest.mark.parametrize(
    ("student", "names", "steps", "message"),
    [
        ("gru", ("A",), 3, "student=gru: must be one of dense, diagonal"),
        ("dense", ("A", "B"), 3, "parameters of dense: must be A, B, C, D, not A, B"),
        ("dense", ("A", "B", "C", "D"), 0, "impulse_response: steps=0 must be at least 1"),
    ],
)
def test_what_cannot_be_asked(student, names, steps, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}[^\n]*$"):
        impulse_response(student, {name: draw("dense")[name] for name in names}, steps)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"B": torch.zeros(3, dtype=DOUBLE)}, "B must have 4 numbers, one for each hidden unit, got 3"),
        ({"A": torch.zeros(2, 2, 3, dtype=DOUBLE)}, "A must have shape [..., H, m, m], got [2, 2, 3]"),
        ({"A": torch.zeros(4, 4, dtype=DOUBLE)}, "A must have the leading axes of D, [], and 3 more, got [4, 4]"),
        ({"C": torch.zeros(5, 4, dtype=DOUBLE)}, "C must have the leading axes of D, [], and 1 more, got [5, 4]"),
        ({"C": torch.zeros(4, dtype=DOUBLE) * torch.nan}, "C has a value that is not finite"),
        (
            {"C": torch.zeros(4, dtype=torch.int64)},
            "C must be float32 or float64 of shape [..., n], got torch.int64 [4]",
        ),
        ({"D": 0.5}, "D=0.5 must be a tensor or a NumPy array, float32 or float64 of shape [...]"),
    ],
)
def test_parameters_that_do_not_fit(changed, message):
    for call in (impulse_response, hessian):
        with pytest.raises(ValueError, match=f"^dense: {re.escape(message)}$"):
            call("dense", draw("dense") | changed, 5)
