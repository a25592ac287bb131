"""Chains of recorded steps as compiled code: its products and decompositions, and gradients against plain autograd."""

# pyright: reportFunctionMemberAccess=false

import ctypes
from dataclasses import replace

import pytest
import torch
from problems import DOUBLE, gaussian
from torch import Tensor, nn

import floss
from floss.lyapunov import iteration
from floss.lyapunov.blas import instructions
from floss.lyapunov.compiler import built_text, compiler, load, text_beside
from floss.lyapunov.entry import checked_chain
from floss.lyapunov.traced import compiled, memory, merged, native, probe, products, recall
from floss.lyapunov.traced.native import pointer

T = 40
ROUNDING = 1e-10
"""What gradients may differ by that go through T decompositions in another order of sums, relative to the largest."""
LEVEL = {torch.float64: 1e-14, torch.float32: 4e-6}
"""Rounding of a decomposition."""

pytestmark = pytest.mark.skipif(compiler() is None, reason="no C++ compiler")


@pytest.fixture(autouse=True)
def compiled_at_once(monkeypatch):
    """No step is known, and all are compiled."""
    for known in (compiled._KNOWN, recall._KNOWN, probe._said):
        known.clear()
    monkeypatch.setattr(native, "WORTH", -1.0)
    # The checks of signatures draw random numbers, as a map must not.
    monkeypatch.setattr(memory.random, "getstate", lambda: None)


def eager(monkeypatch, run):
    with monkeypatch.context() as patch:
        patch.setattr(probe, "_LEAST", 10**9)
        return run()


def assert_close(found: list[Tensor], wanted: list[Tensor], bound: float = ROUNDING):
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=bound * max(1.0, float(b.abs().max())))


def gradients_are_compiled() -> bool:
    reverses = [reverse for each in compiled._KNOWN.values() for reverse in each.further.values()]
    return bool(reverses) and all(reverse._compiled for reverse in reverses)


# --- the header files --------------------------------------------------------------------------------------------

KERNELS = """
#define KERNELS(T, name) \\
    extern "C" void pack_##name(const T* a, int m, int k, long down, long right, T* out) { \\
        pack(a, m, k, down, right, out); \\
    } \\
    extern "C" void product_##name(int m, int n, int k, const T* a, const T* b, long down, long right, T* c, int ldc, \\
                                   int beta) { \\
        product(m, n, k, a, b, down, right, c, ldc, beta); \\
    } \\
    extern "C" void orthonormalise_##name(int n, int k, T* a, int lda, T* r, T* work) { \\
        orthonormalise(n, k, a, lda, r, work); \\
    } \\
    extern "C" void adjoint_##name(int n, int k, const T* q, const T* r, const T* g, T* z, int ld, T* mix) { \\
        adjoint(n, k, q, r, g, z, ld, mix); \\
    }
KERNELS(double, float64)
KERNELS(float, float32)
"""


@pytest.fixture(scope="module")
def kernels() -> ctypes.CDLL:
    text = text_beside(native.__file__, *native._HEADERS) + KERNELS
    path = built_text(text, "kernels", instructions())
    assert path is not None
    return load(path, "floss_supported")


def name_of(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def rows(*shape: int, dtype: torch.dtype, seed: int = 0) -> Tensor:
    """Columns that lie in memory as rows, with a gap after each."""
    n, k = shape
    return gaussian(seed, k, n + 3).to(dtype)[:, :n].mT


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=name_of)
def test_products_of_packed_weights(dtype, kernels):
    """Of all kinds of sizes: parts of tiles, one row, one column."""
    for m, n, k in ((1, 1, 1), (7, 3, 5), (16, 12, 16), (33, 13, 20), (64, 25, 3), (100, 1, 40), (5, 50, 9)):
        weights = gaussian(m, m, k).to(dtype)
        packed = torch.empty((m + 32) * k, dtype=dtype)
        longs = [ctypes.c_long(stride) for stride in weights.stride()]
        getattr(kernels, f"pack_{name_of(dtype)}")(pointer(weights), m, k, *longs, pointer(packed))
        for b in (rows(k, n, dtype=dtype), gaussian(1, k, n).to(dtype)):
            for beta in (0, 1):
                c = rows(m, n, dtype=dtype, seed=2)
                wanted = weights @ b + beta * c
                longs = [ctypes.c_long(stride) for stride in b.stride()]
                function = getattr(kernels, f"product_{name_of(dtype)}")
                function(m, n, k, pointer(packed), pointer(b), *longs, pointer(c), c.stride(1), beta)
                torch.testing.assert_close(c, wanted, rtol=0, atol=k * LEVEL[dtype] * 30)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=name_of)
@pytest.mark.parametrize("condition", [1.0, 1e2, 1e5])
def test_decompositions_are_orthonormal_at_any_condition(dtype, condition, kernels):
    name = name_of(dtype)
    for n, k in ((1, 1), (9, 9), (33, 17), (80, 80), (40, 8), (130, 70)):
        a = rows(n, k, dtype=dtype)
        a *= torch.logspace(0, -torch.tensor(condition).log10(), k).to(dtype)
        q, r = a.clone(memory_format=torch.preserve_format), torch.zeros(k, k, dtype=dtype)
        work = torch.empty(k * k, dtype=dtype)
        getattr(kernels, f"orthonormalise_{name}")(n, k, pointer(q), q.stride(1), pointer(r), pointer(work))
        factor = torch.triu(r.mT).double()
        assert float(factor.diagonal().min()) > 0
        identity = torch.eye(k, dtype=DOUBLE)
        torch.testing.assert_close(q.double().mT @ q.double(), identity, rtol=0, atol=10 * LEVEL[dtype])
        torch.testing.assert_close(q.double() @ factor, a.double(), rtol=0, atol=10 * LEVEL[dtype] * float(a.norm()))
        # The adjoint, with and without a gradient of log diag R.
        for g in (gaussian(3, k).to(dtype), None):
            z = rows(n, k, dtype=dtype, seed=4).mT.contiguous().mT
            wide, slopes = z.double(), torch.zeros(k, dtype=DOUBLE) if g is None else g.double()
            mix = torch.diag(slopes) - torch.triu(q.double().mT @ wide)
            inverse = torch.linalg.inv(factor)
            wanted = (wide + q.double() @ mix) @ inverse.mT
            room = torch.empty(k * 32, dtype=dtype)
            slope = None if g is None else pointer(g)
            arguments = (pointer(q.mT.contiguous()), pointer(r), slope, pointer(z), n, pointer(room))
            getattr(kernels, f"adjoint_{name}")(n, k, *arguments)
            size = float(inverse.norm() * wanted.norm())
            torch.testing.assert_close(z.double(), wanted, rtol=0, atol=100 * LEVEL[dtype] * max(1.0, size))


# --- gradients of whole chains -----------------------------------------------------------------------------------


def module(made: nn.Module, scale: float = 0.4) -> nn.Module:
    made = made.double()
    with torch.no_grad():
        for i, p in enumerate(made.parameters()):
            p.copy_(scale * gaussian(50 + i, *p.shape) / p.shape[-1] ** 0.5)
    return made


MODULES = {
    "lstm": lambda: module(nn.LSTM(3, 24), 1.5),
    "gru": lambda: module(nn.GRU(3, 48), 1.5),
    "stack": lambda: module(nn.LSTM(3, 12, num_layers=2), 1.5),
}


LATE = {"t_ons": 3, "transient": 7}
CHAINS = [
    pytest.param("lstm", 5, LATE),
    pytest.param("gru", 48, {}),
    pytest.param("lstm", 5, {}, marks=pytest.mark.slow),
    pytest.param("lstm", 48, {}, marks=pytest.mark.slow),
    pytest.param("gru", 48, {"t_ons": 2, "transient": 6}, marks=pytest.mark.slow),
    pytest.param("stack", 6, LATE, marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("name", "k", "how"), CHAINS)
def test_gradients_of_modules(name, k, how, monkeypatch):
    """Few exponents and all: with many the rows of the gates' weights are merged."""
    made = MODULES[name]()
    step, n = floss.step_from_module(made)
    weights, inputs, h0 = list(made.parameters()), gaussian(2, T, 3), 0.1 * gaussian(3, n)

    def run():
        x, h = inputs.clone().requires_grad_(), h0.clone().requires_grad_()
        lam = floss.lyapunov_spectrum(step, h, x, k=k, **how)
        return list(torch.autograd.grad((lam * torch.arange(1.0, k + 1.0)).square().sum(), [*weights, x, h]))

    wanted = eager(monkeypatch, run)
    assert_close(run(), wanted, 1e-6 if k == n else 1e-8)
    assert gradients_are_compiled()


@pytest.mark.slow
def test_gradients_of_a_history(monkeypatch):
    """Of each interval's growth, and of the last state."""
    made = MODULES["lstm"]()
    step, n = floss.step_from_module(made)
    inputs = gaussian(2, T, 3)

    def run():
        history = floss.lyapunov_history(step, torch.zeros(n, dtype=DOUBLE), inputs, k=4, t_ons=2, transient=5)
        loss = (history.local * gaussian(5, *history.local.shape)).sum() + history.h.square().sum()
        return list(torch.autograd.grad(loss, list(made.parameters())))

    wanted = eager(monkeypatch, run)
    assert_close(run(), wanted)
    assert gradients_are_compiled()


def test_gradients_of_a_step_with_a_mask(monkeypatch):
    """What the way back needs are numbers and truth values."""
    W = (1.2 * gaussian(1, 8, 8) / 8**0.5).requires_grad_()

    def run():
        def step(h):
            return torch.relu(W @ h) + 0.1 * torch.tanh(h) * (h > 0) + 0.5 * h

        lam = floss.lyapunov_spectrum(step, gaussian(2, 8), steps=T, k=4)
        return [lam.detach(), *torch.autograd.grad(lam.sum(), W)]

    wanted = eager(monkeypatch, run)
    assert_close(run(), wanted)


def test_bits_do_not_depend_on_threads():
    made = MODULES["gru"]()
    step, n = floss.step_from_module(made)
    inputs, before = gaussian(2, T, 3), torch.get_num_threads()

    def run():
        q0 = torch.eye(n, dtype=DOUBLE)  # a random basis goes through LAPACK, whose bits depend on threads
        lam = floss.lyapunov_spectrum(step, torch.zeros(n, dtype=DOUBLE), inputs, q0=q0)
        return [lam, *torch.autograd.grad(lam.square().sum(), list(made.parameters()))]

    try:
        torch.set_num_threads(1)
        one = run()
        torch.set_num_threads(2)
        two = run()
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


# --- stacked networks --------------------------------------------------------------------------------------------

B, N = 3, 6
STACKED = {
    "bmm": lambda W, r: torch.bmm(W, r[..., None])[..., 0],
    "matmul": lambda W, r: (W @ r[..., None]).squeeze(-1),
    "rows": lambda W, r: (r[:, None] @ W.mT)[:, 0],
    "einsum": lambda W, r: torch.einsum("rij,rj->ri", W, r),
}


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=[] if kind == "matmul" else pytest.mark.slow) for kind in STACKED]
)
def test_stacked_networks_have_one_product_each(kind, monkeypatch):
    W = (1.4 * gaussian(1, B, N, N) / N**0.5).requires_grad_()

    def run():
        lam = floss.lyapunov_spectrum(lambda h: STACKED[kind](W, torch.tanh(h)), gaussian(2, B, N), steps=T, k=4)
        return [lam.detach(), *torch.autograd.grad(lam.square().sum(), W)]

    found = run()
    bodies = [each.stages.body for each in compiled._KNOWN.values()]
    shapes = [body.kinds[node.outs[0]].shape for body in bodies for node in body.nodes if "bmm" in str(node.func)]
    assert max(shape[0] for shape in shapes) == B
    assert gradients_are_compiled()
    assert_close(found, eager(monkeypatch, run))


@pytest.mark.slow
def test_stacked_networks_with_several_states_each(monkeypatch):
    """Factors of which there are several columns for each tangent vector."""
    W = (1.4 * gaussian(1, B, N, N) / N**0.5).requires_grad_()

    def step(h):
        both = torch.tanh(h).reshape(B, N, 2)
        return (W @ both).reshape(B, 2 * N)

    def run():
        lam = floss.lyapunov_spectrum(step, gaussian(2, B, 2 * N), steps=T, k=4)
        return [lam.detach(), *torch.autograd.grad(lam.square().sum(), W)]

    assert_close(run(), eager(monkeypatch, run))


@pytest.mark.slow
def test_a_network_that_explodes_disturbs_no_other():
    W = 1.4 * gaussian(1, B, N, N) / N**0.5
    gain = torch.tensor([[0.0], [0.5], [0.0]], dtype=DOUBLE)

    def exponents(networks: slice):
        def step(h):
            return (W[networks] @ torch.tanh(h)[..., None])[..., 0] + gain[networks] * h * h

        with torch.no_grad():
            chain, _ = checked_chain("test", step, gaussian(2, B, N)[networks], None, T, 3, 1, 0, None)
            return iteration.run_exponents(step, replace(chain, watch=None))

    found = exponents(slice(None))
    assert found[1].isnan().all()
    for network in (0, 2):
        assert_close([found[network]], [exponents(slice(network, network + 1))[0]], 1e-12)


# --- the passes over graphs --------------------------------------------------------------------------------------


def test_graphs_without_such_products_stay_as_they_are():
    with torch.no_grad():
        floss.lyapunov_spectrum(lambda h: torch.tanh(1.3 * h) + 0.1, gaussian(1, N), steps=T, k=2)
    (graph,) = {id(each.graph): each.graph for each in compiled._KNOWN.values()}.values()
    assert merged.merged(graph) is graph
    assert products.joined(graph).structure() == graph.structure()
