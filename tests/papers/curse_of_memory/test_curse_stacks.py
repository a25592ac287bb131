"""Gated networks and deep stacks of Figs 5 and 13 to 15 against slow twins: stepping, and automatic differentiation."""

import dataclasses
import math

import pytest
import torch
from torch.autograd import gradcheck
from torch.nn.functional import gelu

from floss.lyapunov.spectrum import lyapunov_spectrum
from floss.memory import gated_moments, surrogate_embeddings
from floss.memory.surrogate import EMBEDDINGS
from floss.networks.gru import GRUStep
from floss.papers.curse_of_memory import gated_flossing_jobs, gates_jobs, jacobian_jobs, stack, stack_jobs
from floss.papers.curse_of_memory.scans import diagonal_scan, gru_scan
from floss.papers.curse_of_memory.weights import lecun

F64 = torch.float64
JACOBIANS = jacobian_jobs.JacobiansJob(
    cell="gru",
    gain=2.0,
    seeds=1,
    n=5,
    features=4,
    steps=24,
    entries=7,
    surrogate="independent",
    data=None,
    data_file=None,
    results="",
)
GATES = gates_jobs.GatesJob(
    batches=1,
    networks=2,
    n=6,
    features=8,
    steps=12,
    longest=16,
    gain=2.0,
    surrogate="independent",
    data=None,
    data_file=None,
    results="",
)
STACK = stack_jobs.StackJob(
    cell="crnn",
    norm=False,
    times=(1.0, 10.0),
    layers=(3,),
    seeds=3,
    sequences=2,
    steps=7,
    width=4,
    features=6,
    surrogate="shared",
    data=None,
    data_file=None,
    results="",
)


def numbers(*shape: int, dtype: torch.dtype = F64) -> torch.Tensor:
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(sum(shape)))


def column(table, name):
    columns, rows = table
    return [row[columns.index(name)] for row in rows]


# --- Fig. 14 ---


def test_lags_are_different_and_reach_the_last_step():
    for steps in (20, 33, 64, 512):
        lags = jacobian_jobs.lags_of(steps)
        assert lags == sorted(set(lags))
        assert (lags[0], lags[-1], len(lags)) == (1, steps, 20)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_jacobians_are_those_of_automatic_differentiation(cell):
    """The product of torch's own cell, one network at a time."""
    job = dataclasses.replace(JACOBIANS, cell=cell)
    lags, n = [1, 3, 24], job.n
    U, found = jacobian_jobs.panel_jacobians(job, torch.tensor([4]), lags)
    _, parameters = jacobian_jobs.panel_networks(job, torch.tensor([4]))
    x = surrogate_embeddings(torch.tensor([4]), 1, 24, 4)[0, 0]
    for place, (T, _, _) in enumerate(jacobian_jobs.NETWORKS):
        assert (U[place] >= 1).all()
        assert (U[place] <= T).all()
        W, V, b = (parameters[name][place] for name in ("W", "V", "b"))

        def state(h0, steps, W=W, V=V, b=b):
            h, c = (h0, h0) if cell == "gru" else (torch.zeros(n, dtype=F64), h0)
            for t in range(steps):
                if cell == "gru":
                    drive, pushed = V @ x[t] + b, W @ h
                    r, z = (drive[: 2 * n] + pushed[: 2 * n]).sigmoid().chunk(2)
                    h = z * h + (1 - z) * torch.tanh(drive[2 * n :] + r * pushed[2 * n :])
                else:
                    i, f, g, o = (W @ h + V @ x[t] + b).chunk(4)
                    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
                    h = o.sigmoid() * c.tanh()
            return h if cell == "gru" else c

        for lag, jacobian in zip(lags, found[place], strict=True):
            wanted = torch.autograd.functional.jacobian(lambda h0, lag=lag: state(h0, lag), torch.zeros(n, dtype=F64))
            torch.testing.assert_close(jacobian, wanted, rtol=1e-10, atol=1e-13)


def test_a_network_s_jacobian_depends_on_its_own_seed_alone():
    together = jacobian_jobs.panel_jacobians(JACOBIANS, torch.tensor([2, 7]), [1, 5])[1]
    alone = jacobian_jobs.panel_jacobians(JACOBIANS, torch.tensor([7]), [1, 5])[1]
    torch.testing.assert_close(together[1::2], alone, rtol=1e-12, atol=1e-15)


def test_constant_gates_have_powers_of_their_forget_gates():
    tables = jacobian_jobs.jacobians_tables(JACOBIANS)
    rows = list(zip(*(column(tables["networks"], name) for name in ("row", "nonzero", "off_law")), strict=True))
    assert [row[0] for row in rows] == list("AAABBBCCC")
    assert all(nonzero == 0 and off < 1e-12 for name, nonzero, off in rows if name == "A")
    assert all(nonzero > 0 for name, nonzero, _ in rows if name == "B")
    i, j = jacobian_jobs.drawn_entries(0, 5, 200)
    assert (i != j).all()
    assert set(i.tolist()) == set(j.tolist()) == set(range(5))


# --- Fig. 15 ---


@pytest.mark.parametrize("gates", gates_jobs.GATES)
@pytest.mark.parametrize("cell", gates_jobs.CELLS)
def test_derivatives_by_biases_are_those_of_automatic_differentiation(cell, gates):
    b, drives, recurrent = gates_jobs.gated_networks(GATES, torch.arange(2))
    b, drives, recurrent = b.double(), *({k: v.double() for k, v in each.items()} for each in (drives, recurrent))
    h, slope = gates_jobs.run(cell, gates, b, drives, recurrent)

    def state(of_forget):
        h = torch.zeros_like(b)
        for t in range(GATES.steps):
            f, i = of_forget, -b
            if gates != "constant":
                f, i = f + drives["f"][:, t], i + drives["i"][:, t]
            if gates == "state":
                f, i = (value + torch.einsum("rij,rj->ri", recurrent[g], h) for g, value in (("f", f), ("i", i)))
            f, i = torch.sigmoid(f), torch.sigmoid(i)
            h = f * h + ((1 - f) if cell == "gru" else i) * drives["v"][:, t]
        return h

    jacobian = torch.autograd.functional.jacobian(state, b)
    torch.testing.assert_close(h, state(b))
    torch.testing.assert_close(slope, torch.einsum("riri->ri", jacobian))


@pytest.mark.parametrize("cell", gates_jobs.CELLS)
def test_the_theory_of_constant_gates_is_a_double_sum_over_lags(cell):
    """h = Σ k_i v_{t-i}, with k_i = (1 - λ) λ^i; ∂k_i/∂b by differences, in an LSTM with its input gate held."""
    T = 8.0
    row = next(row for row in gates_jobs.theory(cell, EMBEDDINGS) if row[0] == T)
    lags = torch.arange(400, dtype=F64)
    R = EMBEDDINGS.at((lags[:, None] - lags).abs())
    b, eps = math.log(T - 1.0), 1e-5

    def kernel(bias: float) -> torch.Tensor:
        lam = torch.sigmoid(torch.tensor(bias, dtype=F64))
        return (1.0 / T if cell == "lstm" else 1.0 - lam) * lam**lags

    k, slope = kernel(b), (kernel(b + eps) - kernel(b - eps)) / (2 * eps)
    assert row[1] == pytest.approx(float(k @ R @ k), rel=5e-8)  # nine digits
    assert row[2] == pytest.approx(float(slope @ R @ slope), rel=1e-6)
    white = gated_moments(
        torch.tensor(b, dtype=F64), torch.tensor([EMBEDDINGS.white + EMBEDDINGS.slow]), torch.zeros(1)
    )
    if cell == "gru":
        assert row[3:5] == pytest.approx([float(each) for each in white], rel=1e-6)


def test_means_are_weighted_by_the_kernel():
    tables = gates_jobs.gates_tables(GATES)
    b, drives, recurrent = gates_jobs.gated_networks(GATES, torch.arange(2))
    h, _ = gates_jobs.run("gru", "input", b, drives, recurrent)
    weights = torch.exp(-((1 + b.double().exp() - 8) ** 2) / 100)
    columns, rows = tables["means"]
    (row,) = [row for row in rows if row[1:3] == ["gru", "input"] and row[4] == 8]
    assert row[5:7] == pytest.approx([float(weights.sum()), float((weights * h.double() ** 2).sum())], rel=1e-5)
    assert columns[5:] == ("weight", "state", "sensitivity")


# --- Figs 5 and 13 ---


def test_lecun_weights_are_bounded_and_have_their_variance():
    weights = lecun(torch.tensor([0, 1]), 200, 100, 3)
    assert float(weights.var()) * 100 == pytest.approx(1, abs=0.02)
    assert float(weights.abs().max()) * 10 < 2 / 0.8796
    assert not torch.equal(weights[0], weights[1])


def test_scans_have_the_derivatives_of_differences():
    complex_ = torch.complex128
    lam, u = 0.5 * numbers(2, 3, dtype=complex_), numbers(2, 4, 2, 3, dtype=complex_)
    assert gradcheck(diagonal_scan, (lam.requires_grad_(), u.requires_grad_()))
    W, b_h, drive = (numbers(*shape).requires_grad_() for shape in ((2, 9, 3), (2, 3), (2, 4, 2, 9)))
    assert gradcheck(gru_scan, (W, b_h, drive))
    step = GRUStep(W, torch.zeros(2, 9, 1, dtype=F64), torch.zeros(2, 9, dtype=F64), b_h)
    h, states = torch.zeros(2, 2, 3, dtype=F64), gru_scan(W, b_h, drive)
    for t in range(4):
        h = step.driven(h, drive[:, t])
        torch.testing.assert_close(states[:, t], h)


def gradient(tensor):
    assert tensor.grad is not None
    return tensor.grad


def twin_loss(cell, norm, weights, x):
    """Loss of one network, step by step, with complex matrices; x is [T, B, F]."""
    ends, blocks = weights
    h = x @ ends["encoder"].T + ends["encoder_b"]
    for own in blocks:

        def normed(v, own=own):
            if not norm:
                return v
            centred = v - v.mean(-1, keepdim=True)
            return centred / (centred.square().mean(-1, keepdim=True) + 1e-6).sqrt() * own["scale"] + own["shift"]

        v, outputs = normed(h), []
        if cell == "gru":
            n = v.shape[-1]
            state = torch.zeros_like(v[0])
            for now in v:
                drive, pushed = now @ own["V"].T + own["b"], state @ own["W"].T
                r, z = (drive[:, : 2 * n] + pushed[:, : 2 * n]).sigmoid().chunk(2, -1)
                candidate = torch.tanh(drive[:, 2 * n :] + r * (pushed[:, 2 * n :] + own["b_h"]))
                state = z * state + (1 - z) * candidate
                outputs.append(state)
        else:
            B, C = (torch.complex(own[f"{name}_re"], own[f"{name}_im"]) for name in "BC")
            lam, gamma = None, 1.0
            if cell == "lru":
                lam = torch.exp(-torch.exp(own["nu"]) + 1j * torch.exp(own["theta"]))
                gamma = torch.exp(own["gamma"])
            else:
                lam = own["lam_re"] + 1j * own["lam_im"]
            state = torch.zeros_like(v[0]).to(lam.dtype)
            for now in v:
                state = lam * state + gamma * (now.to(lam.dtype) @ B.T)
                outputs.append((state @ C.T).real + now @ own["D"].T)
        v = normed(gelu(torch.stack(outputs), approximate="tanh"))
        h = h + (v @ own["W1"].T + own["b1"]) * torch.sigmoid(v @ own["W2"].T + own["b2"])
    y = h @ ends["decoder"].T + ends["decoder_b"]
    return 0.5 * (y[:-1] - x[1:]).square().mean(), h


@pytest.mark.parametrize(("cell", "norm"), [("crnn", False), ("crnn", True), ("lru", False), ("gru", True)])
def test_gradients_of_a_stack_are_those_of_a_plain_loop(cell, norm):
    job = dataclasses.replace(STACK, cell=cell, norm=norm)
    seeds, times = torch.tensor([0, 0, 5]), torch.tensor([1.0, 10.0, 3.0], dtype=F64)
    squares, outputs = stack_jobs.measured(job, 3, seeds, times, F64)
    for r in range(3):
        sizes = {"cell": cell, "norm": norm, "layers": 3, "width": 4, "features": 6, "dtype": F64}
        ends, blocks = stack.initial_stack(seeds[r : r + 1], times[r : r + 1], **sizes)
        own = tuple({k: v.detach()[0].requires_grad_() for k, v in each.items()} for each in (ends, *blocks))
        x = surrogate_embeddings(seeds[r : r + 1], 2, 7, 6, kind="shared")[0].transpose(0, 1)
        loss, last = twin_loss(cell, norm, (own[0], list(own[1:])), x)
        loss.backward()
        assert float(outputs[-1][r]) == pytest.approx(float(last.detach().square().mean()), rel=1e-10)
        for layer, name, values, count in squares:
            recurrent = stack.RECURRENT[cell]
            taken = recurrent.get(name) if layer else None
            rest = [k for k in own[layer] if not layer or k not in sum(recurrent.values(), ())]
            every = torch.cat([gradient(own[layer][k]).flatten() for k in taken or rest])
            assert len(every) == count
            assert float(values[r]) == pytest.approx(float(every.square().mean()), rel=1e-9)


@torch.no_grad()
def test_magnitudes_and_time_constants_are_those_of_the_memory():
    seeds, times = torch.arange(2), torch.tensor([1.0, 100.0], dtype=F64)
    sizes = {"norm": False, "layers": 1, "width": 64, "features": 2, "dtype": F64}
    (crnn,), (lru,), (gru,) = (stack.initial_stack(seeds, times, cell=c, **sizes)[1] for c in stack.CELLS)
    for magnitude in (torch.hypot(crnn["lam_re"], crnn["lam_im"]), (-lru["nu"].exp()).exp()):
        for r, (low, high) in enumerate(((0.0, 0.5), (0.99, 0.995))):
            assert low <= float(magnitude[r].min()) <= float(magnitude[r].max()) <= high
            assert float(magnitude[r].min()) < low + 0.25 * (high - low) < float(magnitude[r].median())
    torch.testing.assert_close(lru["gamma"].exp() ** 2, 1 - (-2 * lru["nu"].exp()).exp())
    U = gru["b"].reshape(2, 3, 64)[:, 1].exp()
    assert all(t <= float(U[r].min()) <= float(U[r].max()) <= 2 * t for r, t in enumerate((1, 100)))


def test_tables_of_a_stack_have_a_row_for_every_group_and_do_not_depend_on_neighbours():
    tables = stack_jobs.stack_tables(STACK)
    assert len(tables["activity"][1]) == 3 * 2 * 3
    assert len(tables["gradients"][1]) == 3 * 2 * (1 + 3 * 2)
    alone = stack_jobs.measured(STACK, 3, torch.tensor([2]), torch.tensor([10.0], dtype=F64))[1]
    seed, t, square = (column(tables["activity"], name) for name in ("seed", "t", "mean_square"))
    own = [s for a, b, s in zip(seed, t, square, strict=True) if (a, b) == (2, 10.0)]
    assert own == pytest.approx([float(each) for each in alone], rel=1e-5)


# --- M5 ---

FLOSSING = gated_flossing_jobs.GatedFlossingJob(
    cell="gru",
    sigma=1.0,
    tied=False,
    targets=(-0.1, 0.0),
    lr=0.1,
    episodes=4,
    k=3,
    window=8,
    seeds=2,
    n=4,
    features=3,
    steps=9,
    sequences=2,
    surrogate="independent",
    results="",
)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_exponents_of_constant_gates_are_those_that_are_flossed(cell):
    job = dataclasses.replace(FLOSSING, cell=cell, sigma=0.0)
    b, build = gated_flossing_jobs.gated_networks(job, torch.arange(2))
    step = build(b, slice(None))
    x = surrogate_embeddings(torch.arange(2), 1, 40, 3)[:, 0].transpose(0, 1)
    q = torch.eye(step.state_size, dtype=F64)[:, -4:].expand(2, -1, -1)
    with torch.no_grad():
        found = lyapunov_spectrum(step, torch.zeros(2, step.state_size, dtype=F64), x, k=4, q0=q)
    wanted = -torch.log1p(torch.exp(-b))
    # The tangent vectors of an LSTM get a part along h once, in the first of 40 steps.
    atol = 1e-12 if cell == "gru" else 0.01
    torch.testing.assert_close(found, wanted.sort(-1, descending=True).values, rtol=0, atol=atol)
    reached = gated_flossing_jobs.floss_biases(b, torch.tensor([-0.1, -0.5], dtype=F64), 0.05, 400)
    torch.testing.assert_close(
        reached.sigmoid().log().mean(-1), torch.tensor([-0.1, -0.5], dtype=F64), rtol=0.01, atol=0
    )


def test_an_lstm_s_input_gates_follow_where_they_are_tied():
    for tied in (False, True):
        b, build = gated_flossing_jobs.gated_networks(
            dataclasses.replace(FLOSSING, cell="lstm", tied=tied), torch.arange(2)
        )
        step = build(b + 1.0, slice(None)).network(b + 1.0)
        i, f = step.b.reshape(2, 4, 4)[:, :2].unbind(1)
        torch.testing.assert_close(f, b + 1.0)
        torch.testing.assert_close(-i, b + 1.0 if tied else b)


@pytest.mark.parametrize(("cell", "sigma"), [("gru", 0.0), ("lstm", 0.0), ("tanh", 1.0)])
def test_the_sensitivity_is_that_of_automatic_differentiation(cell, sigma, monkeypatch):
    """With constant gates any random direction is exact; elsewhere many of them are close."""
    monkeypatch.setattr(gated_flossing_jobs, "PROBES", 3000 if sigma else 2)
    job = dataclasses.replace(FLOSSING, cell=cell, sigma=sigma)
    rows = gated_flossing_jobs.gated_flossing_tables(job)["networks"][1]
    assert [row[4:6] for row in rows] == [[seed, t] for t in ("none", -0.1, 0.0) for seed in (0, 1)]
    networks = gated_flossing_jobs.tanh_networks if cell == "tanh" else gated_flossing_jobs.gated_networks
    theta, build = networks(job, torch.tensor([1]))
    x = surrogate_embeddings(torch.tensor([1]), 22, 9, 3)[:, 20:].movedim(2, 0)

    def state(theta):
        step = build(theta, slice(None))
        h = torch.zeros(1, 2, step.state_size, dtype=F64)
        for now in x:
            h = step(h, now)
        return h

    jacobian = torch.autograd.functional.jacobian(state, theta)
    wanted = float(jacobian.square().sum()) / 2 / theta.numel()
    assert rows[1][-1] == pytest.approx(wanted, rel=0.1 if sigma else 1e-5)


def test_flossing_moves_exponents_of_tanh_networks_towards_the_target():
    job = dataclasses.replace(FLOSSING, cell="tanh", episodes=60, lr=0.02, targets=(-0.05,))
    rows = gated_flossing_jobs.gated_flossing_tables(job)["networks"][1]
    before, after = [row[-2] for row in rows[:2]], [row[-2] for row in rows[2:]]
    assert all(abs(b + 0.05) < abs(a + 0.05) for a, b in zip(before, after, strict=True))
