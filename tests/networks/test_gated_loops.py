"""Gated cells and the LRU by hand, against autograd through their plain loops."""

import functools

import pytest
import torch
from problems import DOUBLE, GATED_CELLS, gaussian
from twins import relative

from floss.lyapunov.chain import Chain, initial_tangent
from floss.lyapunov.iteration import qr_chain, run_exponents
from floss.networks import CELLS, Cell
from floss.networks.workspace import Workspace

EXACT = 1e-10
"""Relative: the same float64 sums in another order."""
SIZES = ((1, 1, 1, 3, 1), (3, 10, 2, 5, 2), (2, 21, 3, 4, 1))  # R, T, B, N, S: also at the ends of a chunk

LOOPS = (*GATED_CELLS, "lru")


def problem(arch, R, T, B, N, S):
    p = CELLS[arch].initial_parameters(torch.arange(R), torch.ones(R).double(), n=N, inputs=S, batch=B, dtype=DOUBLE)
    p = {name: (v + 0.1 * gaussian(i, *v.shape)).requires_grad_() for i, (name, v) in enumerate(p.items())}
    return p, gaussian(90, R, T, B, S).requires_grad_()


def chain_of(p, x, k, t_ons, transient):
    q = initial_tangent(torch.arange(len(x)), p["h0"].shape[-1], k)
    return Chain(p["h0"][:, 0], q, x[:, :, 0].transpose(0, 1), x.shape[1], t_ons, transient)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("arch", LOOPS)
def test_task_gradient(arch, size):
    """Of all parameters, h0 and inputs, also with buffers that a larger problem has left."""
    (p, x), cell, workspace = problem(arch, *size), CELLS[arch], Workspace()
    large = problem(arch, 3, 12, 4, 6, 2)
    cell.unroll(large[0], large[1], workspace=workspace).sum().backward()
    weight, of = gaussian(91, *x.shape[:3]), [*p.values(), x]
    ours, slow = cell.unroll(p, x, workspace=workspace), Cell.unroll(cell, p, x)
    torch.testing.assert_close(ours, slow, rtol=EXACT, atol=EXACT)
    found, wanted = (torch.autograd.grad((y * weight).sum(), of) for y in (ours, slow))
    for name, a, b in zip((*p, "x"), found, wanted, strict=True):
        assert float((a - b).norm()) <= EXACT * float(b.norm()), name


@pytest.mark.parametrize(("t_ons", "transient"), [(1, 0), (1, 3), (3, 2)])
@pytest.mark.parametrize("arch", GATED_CELLS)
def test_gradient_of_exponents(arch, t_ons, transient):
    p, x = problem(arch, 3, 10, 2, 5, 2)
    step, chain = CELLS[arch].step(p), chain_of(p, x, 3, t_ons, transient)
    ours, slow = run_exponents(step, chain), qr_chain(step, chain, total=True)[0][0] / (10 - transient)
    torch.testing.assert_close(ours, slow, rtol=EXACT, atol=EXACT)
    names = [name for name in p if name not in ("U", "c")]
    of, weight = [*(p[name] for name in names), x], gaussian(92, 3, 3)
    found, wanted = (torch.autograd.grad((lam * weight).sum(), of) for lam in (ours, slow))
    for name, a, b in zip((*names, "x"), found, wanted, strict=True):
        assert relative(a, b) < EXACT, name


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
@pytest.mark.parametrize("arch", LOOPS)
def test_stacked_equals_looped_beside_a_network_that_is_not_finite(arch, bad):
    p, x = problem(arch, 3, 8, 2, 4, 1)
    p = {name: v.detach().clone() for name, v in p.items()}
    p["C" if arch == "lru" else "W"][1, 0, 0] = bad

    def gradients(rows):
        own = {name: v[rows].requires_grad_() for name, v in p.items()}
        y = CELLS[arch].unroll(own, x.detach()[rows])
        q = initial_tangent(torch.arange(3), own["h0"].shape[-1], 3)[rows]
        chain = Chain(own["h0"][:, 0], q, x.detach()[rows, :, 0].transpose(0, 1), 8, 1, 2)
        loss = y.square().sum() + run_exponents(CELLS[arch].step(own), chain).square().sum()
        return torch.autograd.grad(loss, list(own.values()))

    together = gradients([0, 1, 2])
    for r in (0, 2):
        for a, b in zip(together, gradients([r]), strict=True):
            assert float((a[r] - b[0]).norm()) <= EXACT * float(b.norm())


@pytest.mark.parametrize("arch", LOOPS)
def test_second_derivatives(arch):
    (p, x), cell = problem(arch, 2, 4, 1, 3, 1), CELLS[arch]
    pairs = [(cell.unroll(p, x), Cell.unroll(cell, p, x))]
    if arch in GATED_CELLS:
        step, chain = cell.step(p), chain_of(p, x, 2, 1, 1)
        pairs.append((run_exponents(step, chain), qr_chain(step, chain, total=True)[0][0] / 3))
    of = p["nu" if arch == "lru" else "W"]
    for pair in pairs:
        found = []
        for value in pair:
            (first,) = torch.autograd.grad(value.square().sum(), of, create_graph=True)
            found.append(torch.autograd.grad(first.square().sum(), of)[0])
        assert relative(*found) < EXACT


@pytest.mark.parametrize("arch", LOOPS)
def test_single_precision(arch):
    p, x = problem(arch, 2, 12, 2, 6, 1)
    found = []
    for dtype in (torch.float32, DOUBLE):
        own = {name: v.detach().to(dtype).requires_grad_() for name, v in p.items()}
        found.append(torch.autograd.grad(CELLS[arch].unroll(own, x.detach().to(dtype)).sum(), list(own.values())))
    for a, b in zip(*found, strict=True):
        assert relative(a.double(), b) < 1e-4


def test_single_precision_of_the_lru_is_that_of_its_plain_loop():
    """Along 300 steps of eigenvalues up to 0.999, over which errors add up."""
    p, x = problem("lru", 2, 300, 2, 12, 1)
    p["nu"].data = (-torch.linspace(0.5, 0.999, 24, dtype=DOUBLE).log()).log().reshape(2, 12)
    single = {name: v.detach().float().requires_grad_() for name, v in p.items()}
    exact = torch.autograd.grad(Cell.unroll(CELLS["lru"], p, x).square().sum(), list(p.values()))
    errors = []
    for unroll in (CELLS["lru"].unroll, functools.partial(Cell.unroll, CELLS["lru"])):
        found = torch.autograd.grad(unroll(single, x.detach().float()).square().sum(), list(single.values()))
        errors.append(torch.stack([(a - b).norm() / b.norm() for a, b in zip(found, exact, strict=True)]))
    ours, plain = errors
    assert float(ours.max()) < 1e-4
    assert float((ours / plain).log().mean().exp()) < 1.5, "the mean of ten ratios of rounding errors"
