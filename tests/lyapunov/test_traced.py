"""Steps that are recorded and replayed: the same numbers as without, and nothing replayed that may differ."""

# pyright: reportOptionalMemberAccess=false, reportFunctionMemberAccess=false, reportAttributeAccessIssue=false

import collections
import decimal
import itertools
import logging
import types

import numpy as np
import pytest
import torch
from lyapunov.traced_steps import Case, N, T, cases, weight
from problems import DOUBLE, gaussian
from torch import Tensor, nn

import floss
import floss.lyapunov.step
from floss.lyapunov.compiler import compiler
from floss.lyapunov.traced import (
    compiled,
    gradient,
    native,
    native_chain,
    native_gradient,
    plain,
    probe,
    pullback,
    recall,
)

SAME = 1e-12
"""What two orders of the same sums may differ by, of exponents and relative to the largest number of a gradient."""
CASES = cases()
IDS = [case.name for case in CASES]
COMPILERS = [(compiled, "native_chain"), (pullback, "native_forward"), (pullback, "native_backward")]


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch):
    """No step is known from another test, and none is compiled."""
    for known in (compiled._KNOWN, recall._KNOWN, probe._said):
        known.clear()
    set_worth(monkeypatch, float("inf"))
    for module, name in COMPILERS:
        monkeypatch.setattr(module, name, never)


def never(*_, **__):
    return None


def set_worth(monkeypatch, seconds: float):
    monkeypatch.setattr(native, "WORTH", seconds)


@pytest.fixture
def with_compiler(monkeypatch, nothing_known):
    """Everything is compiled at once."""
    if compiler() is None:
        pytest.skip("no C++ compiler")
    for module, name in COMPILERS:
        monkeypatch.setattr(module, name, getattr(native_chain if module is compiled else native_gradient, name))
    set_worth(monkeypatch, -1.0)


@pytest.fixture
def replays(monkeypatch) -> list[str]:
    """Names of what was replayed."""
    done = []
    for module, name in ((plain, "plain_chain"), (gradient, "gradient_chain")):
        function = getattr(module, name)

        def watched(*args, function=function, name=name, **kwargs):
            result = function(*args, **kwargs)
            done.append(name)
            return result

        monkeypatch.setattr(f"floss.lyapunov.iteration.{name}", watched)
    return done


def eager(monkeypatch, run):
    with monkeypatch.context() as patch:
        patch.setattr(probe, "_LEAST", 10**9)
        return run()


def exponents(case: Case, **how) -> Tensor:
    steps = T if case.inputs is None else None
    return floss.lyapunov_spectrum(case.step, case.h0, case.inputs, steps=steps, k=case.k, **how)


def gradients(case: Case, **how) -> list[Tensor]:
    lam = exponents(case, **how)
    loss = (lam.square() * torch.arange(1.0, case.k + 1.0, dtype=lam.dtype)).sum()
    return list(torch.autograd.grad(loss, case.weights))


def assert_same(found: list[Tensor], wanted: list[Tensor], bound: float = SAME):
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=bound * max(1.0, float(b.abs().max())))


@pytest.fixture
def never_longer(monkeypatch):
    """Intervals are not lengthened: then the numbers are the same but for the order of sums."""
    monkeypatch.setattr(plain, "_WIDEST", dict.fromkeys(plain._WIDEST, 1e-9))


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_exponents_are_those_without(case, monkeypatch, replays, never_longer):
    with torch.no_grad():
        wanted = eager(monkeypatch, lambda: exponents(case, transient=5))
        found = exponents(case, transient=5)
    assert replays == ["plain_chain"]
    assert_same([found], [wanted])


@pytest.mark.parametrize("case", [c for c in CASES if c.weights], ids=[c.name for c in CASES if c.weights])
def test_gradients_are_those_without(case, monkeypatch, replays):
    wanted = eager(monkeypatch, lambda: gradients(case, transient=5))
    found = gradients(case, transient=5)
    assert replays == ["gradient_chain"]
    assert_same(found, wanted, 1e-10)


@pytest.mark.parametrize("name", ["fft", "fft of complex numbers", "conv1d", "conv2d", "writes into parts"])
def test_gradients_are_finite_differences(name, replays, never_longer):
    """Of operations whose reverse writes into parts of tensors, or leaves out results."""
    (case,) = [case for case in CASES if case.name == name]
    (w,) = case.weights
    (gradient,) = gradients(case, t_ons=2)
    v = torch.cos(torch.arange(1.0, w.numel() + 1.0, dtype=w.dtype)).reshape(w.shape)
    weigh, along = torch.arange(1.0, case.k + 1.0, dtype=w.dtype), (gradient * v).sum()
    assert replays == ["gradient_chain"]

    @torch.no_grad()
    def loss(step: float) -> Tensor:
        w.add_(v, alpha=step)
        try:
            return (exponents(case, t_ons=2).square() * weigh).sum()
        finally:
            w.sub_(v, alpha=step)

    def error(e: float) -> float:
        difference = (loss(-2 * e) - 8.0 * loss(-e) + 8.0 * loss(e) - loss(2 * e)) / (12.0 * e)
        return float((along - difference).abs() / difference.abs())

    # Long differences are off by the curvature of chaotic maps, short ones by rounding where directions contract alike.
    assert min(map(error, (1e-6, 1e-3))) < 1e-6


def test_longer_intervals_leave_half_of_the_digits(monkeypatch, replays):
    with torch.no_grad():
        for case in CASES:
            wanted = eager(monkeypatch, lambda case=case: exponents(case))
            assert_same([exponents(case)], [wanted], 1e-9)
    assert len(replays) == len(CASES)


COMPILED = [
    pytest.param(case, id=case.name, marks=[] if case.name in ("lstm stack", "softmax") else pytest.mark.slow)
    for case in CASES
]


@pytest.mark.parametrize("case", COMPILED)
def test_compiled_code_gives_the_same(case, monkeypatch, replays, with_compiler, never_longer):
    with torch.no_grad():
        wanted = eager(monkeypatch, lambda: exponents(case, transient=5))
        found = exponents(case, transient=5)
    assert replays == ["plain_chain"]
    assert_same([found], [wanted])
    if case.weights:
        wanted = eager(monkeypatch, lambda: gradients(case))
        assert_same(gradients(case), wanted, 1e-10)
        assert replays == ["plain_chain", "gradient_chain"]


def test_thresholds_are_numbers_and_not_masks(with_compiler):
    """A state that is on one side when compiled code is compared, and on the other later on."""

    def step(h):
        return torch.where(h < 0.5, 0.9 * h + 0.15, 0.3 - 0.2 * h)

    h = h0 = torch.tensor([-3.0], dtype=DOUBLE)
    slopes = []
    for _ in range(100):
        slopes.append(0.9 if h < 0.5 else 0.2)
        h = step(h)
    with torch.no_grad():
        lam = floss.lyapunov_spectrum(step, h0, steps=100)
    assert {len(each._natives) for each in compiled._KNOWN.values()} == {1}
    assert float(lam) == pytest.approx(np.log(slopes).mean(), abs=SAME)


def test_a_sum_of_masks_is_not_compiled(with_compiler):
    with torch.no_grad():
        floss.lyapunov_spectrum(lambda h: torch.sin(h) * ((h > 0) + (h > 5)), gaussian(1, 3), steps=T, singular="-inf")
    assert {len(each._natives) for each in compiled._KNOWN.values()} == {0}


def test_most_kinds_are_compiled(with_compiler):
    """What is not is replayed, without a word."""
    with torch.no_grad():
        for name in ("tanh", "lstm stack", "flow"):
            exponents(CASES[IDS.index(name)])
    assert {len(each._natives) for each in compiled._KNOWN.values()} == {1}


@pytest.mark.parametrize("how", [{"t_ons": 3}, {"t_ons": 4, "transient": 6}, {"t_ons": "adaptive"}], ids=str)
def test_every_kind_of_chain(how, monkeypatch, replays, never_longer):
    case = CASES[IDS.index("batch")]
    with torch.no_grad():
        found, wanted = exponents(case, **how), eager(monkeypatch, lambda: exponents(case, **how))
    assert_same([found], [wanted], 1e-9)  # long intervals lose digits of their own
    found, wanted = gradients(case, **how), eager(monkeypatch, lambda: gradients(case, **how))
    assert "gradient_chain" in replays
    assert_same(found, wanted, 1e-8)


@pytest.mark.parametrize("how", [{}, {"t_ons": 3, "transient": 7}], ids=str)
def test_history_is_the_same(how, monkeypatch, replays):
    case = CASES[IDS.index("batch")]

    def history():
        return floss.lyapunov_history(case.step, case.h0, case.inputs, k=4, **how)

    with torch.no_grad():
        found, wanted = history(), eager(monkeypatch, history)
    assert replays == ["plain_chain"]
    assert_same([found.growth, found.h, found.q], [wanted.growth, wanted.h, wanted.q], 1e-10)
    (g,) = torch.autograd.grad(history().local.square().sum() + history().h.sum(), case.weights[:1])
    (u,) = eager(
        monkeypatch,
        lambda: torch.autograd.grad(history().local.square().sum() + history().h.sum(), case.weights[:1]),
    )
    assert_same([g], [u], 1e-10)


@pytest.mark.parametrize("compile_it", [False, True])
def test_single_precision(compile_it, monkeypatch, request, replays):
    if compile_it:
        request.getfixturevalue("with_compiler")
    W, x = weight(1, N, N).float().detach(), gaussian(2, T, N).float()

    def run():
        return floss.lyapunov_spectrum(lambda h, u: torch.tanh(h @ W.T) + u, x[0], x, k=4)

    found, wanted = run(), eager(monkeypatch, run)
    assert found.dtype == torch.float32
    assert replays == ["plain_chain"]
    assert_same([found], [wanted], 2e-4)


def test_gradients_of_states_and_inputs(monkeypatch, replays):
    case = CASES[IDS.index("batch")]

    def run():
        h0, x = case.h0.clone().requires_grad_(), case.inputs.clone().requires_grad_()
        lam = floss.lyapunov_spectrum(case.step, h0, x, k=3)
        return list(torch.autograd.grad(lam.square().sum(), [h0, x, *case.weights]))

    assert_same(run(), eager(monkeypatch, run), 1e-10)
    assert replays == ["gradient_chain"]


@pytest.mark.parametrize(
    "step",
    [
        lambda h: torch.tanh(
            torch.baddbmm(h.new_ones(1, N, 1), h.new_ones(1, N, N), h[None, :, None], beta=0.7)[0, :, 0]
        ),
        lambda h: (1.7j * torch.tanh(h)).exp().imag,
    ],
    ids=["a factor of an absent tangent", "a conjugate"],
)
def test_operations_that_torch_does_not_do_below_its_transforms(step, monkeypatch):
    """Neither ends the process, as reading the memory of absent tangents does, nor the run."""

    def run():
        return floss.lyapunov_spectrum(step, gaussian(2, N), steps=T, singular="-inf")

    assert_same([run()], [eager(monkeypatch, run)])


def test_lost_directions_are_lost(monkeypatch):
    W = weight(1, N, N).detach()
    mask = torch.tensor([1.0] * 3 + [0.0] * 5, dtype=DOUBLE)

    def run():
        return floss.lyapunov_spectrum(
            lambda h: torch.tanh(mask * h) @ W.T, gaussian(2, N), steps=T, k=5, singular="-inf"
        )

    found = run()
    assert torch.isneginf(found).tolist() == [False] * 3 + [True] * 2
    assert_same([found[:3]], [eager(monkeypatch, run)[:3]])
    with pytest.raises(ValueError, match="lost to rank deficiency at step 1 of 40, with 2 of 5 directions"):
        floss.lyapunov_spectrum(lambda h: torch.tanh(mask * h) @ W.T, gaussian(2, N), steps=T, k=5)


def test_a_state_that_explodes_is_told_with_its_step():
    with pytest.raises(ValueError, match=r"is not finite: the state is not finite after step \d+ of 40"):
        floss.lyapunov_spectrum(lambda h: h * h + 5.0, gaussian(2, N), steps=T, k=1)


# --- derivatives of other kinds ----------------------------------------------------------------------------------


def test_second_derivatives_and_transforms_go_the_general_way(monkeypatch):
    x = gaussian(3, 30, N)

    def loss(W):
        return floss.lyapunov_spectrum(lambda h, u: torch.tanh(h) @ W.mT + u, x[0], x, k=3).square().sum()

    W, v = weight(1, N, N).detach(), gaussian(4, N, N)

    def all_of_them():
        _, curved = torch.autograd.functional.hvp(loss, W, v)
        return [curved, torch.func.grad(loss)(W), torch.func.jvp(loss, (W,), (v,))[1]]

    assert_same(all_of_them(), eager(monkeypatch, all_of_them), 1e-7)


# --- what changes is seen ----------------------------------------------------------------------------------------


def test_changed_weights_are_seen(monkeypatch, replays):
    case = CASES[IDS.index("leaky module")]
    optimizer = torch.optim.SGD(case.weights, lr=0.05)
    for _ in range(3):
        optimizer.zero_grad()
        loss = exponents(case).square().sum()
        wanted = eager(monkeypatch, lambda: exponents(case).square().sum())
        assert float(loss.detach()) == pytest.approx(float(wanted.detach()), abs=SAME)
        loss.backward()
        optimizer.step()
    assert replays == ["gradient_chain"] * 3


def test_what_a_step_reads_is_looked_up_at_every_run(monkeypatch, replays):
    module = CASES[IDS.index("leaky module")].step
    weights = {"W": weight(1, N, N).detach(), "gain": 1.0}

    def step(h):
        return torch.tanh(weights["gain"] * (h @ weights["W"].T)) + 0.1 * module.scale * h

    def check():
        found = floss.lyapunov_spectrum(step, gaussian(2, N), steps=T)
        assert_same([found], [eager(monkeypatch, lambda: floss.lyapunov_spectrum(step, gaussian(2, N), steps=T))])
        return found

    found = [check(), check()]
    weights["gain"] = 1.5
    found.append(check())
    weights["W"] = weight(9, N, N).detach()
    found.append(check())
    weights["W"].mul_(0.5)
    found.append(check())
    module.scale = 2.0
    found.append(check())
    module.scale = 1.3
    assert torch.equal(found[0], found[1])
    assert all(not torch.allclose(a, b) for a, b in itertools.pairwise(found[1:]))
    assert replays == ["plain_chain"] * 6


def test_modules_in_another_mode(monkeypatch):
    drop = nn.Dropout(0.5)
    W = weight(1, N, N).detach()

    def run():
        torch.manual_seed(0)
        return floss.lyapunov_spectrum(lambda h: drop(torch.tanh(h @ W.T)) + 0.1 * h, gaussian(2, N), steps=T, k=2)

    drop.eval()
    calm, wanted = run(), eager(monkeypatch, run)
    assert_same([calm], [wanted])
    drop.train()
    assert torch.equal(run(), eager(monkeypatch, run))
    drop.eval()
    assert torch.equal(run(), calm)


# --- what cannot be replayed -------------------------------------------------------------------------------------


class Counting:
    """Another map at every tenth call."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, h):
        self.calls += 1
        return torch.tanh((1.5 if self.calls % 10 else 0.5) * h) + 0.1


def refused() -> dict[str, tuple]:
    """Makers of steps, and what is said of them."""
    state = {"t": 0}

    def nonlocal_counter():
        t = 0

        def step(h):
            nonlocal t
            t += 1
            return torch.tanh(1.5 * h) * (1.0 if t < 20 else 0.5) + 0.1

        return step

    def dictionary():
        state["t"] = 0

        def step(h):
            state["t"] += 1
            return torch.tanh(1.5 * h) / (1 + state["t"] // 30)

        return step

    def iterator():
        gains = itertools.cycle([1.1, 1.1, 1.1, 2.0])
        return lambda h: torch.tanh(next(gains) * h) + 0.1

    class Buffers(floss.lyapunov.step.TangentStep):
        """Writes into a tensor that it keeps."""

        def __init__(self):
            self.count = torch.zeros((), dtype=DOUBLE)

        def __call__(self, h):
            return self.advance(h, h[..., None])[0]

        def advance(self, h, q):
            self.count.add_(1.0)
            r = torch.tanh(1.5 * h) * (1 + 0.001 * self.count)
            return r, (1.5 * (1 + 0.001 * self.count) * (1 - torch.tanh(1.5 * h) ** 2))[..., None] * q

    def switching(count):
        """Another map once a count of calls, wherever it is kept, is above half of the run."""

        def step(h):
            return torch.tanh(1.5 * h) * (1.0 if count() < T // 2 else 0.5) + 0.1

        return step

    def queue():
        calls = collections.deque()
        return switching(lambda: calls.append(0) or len(calls))

    def buffer_of_bytes():
        calls = bytearray()
        return switching(lambda: calls.append(0) or len(calls))

    def large_array():
        calls = np.zeros(2**14)
        return switching(lambda: np.add(calls, 1.0, out=calls)[0])

    def attribute_of_a_module():
        settings = types.ModuleType("settings")
        settings.calls = 0

        def count():
            settings.calls += 1
            return settings.calls

        return switching(count)

    return {
        "deque": (queue, "keeps a deque, into which nobody can look"),
        "bytes": (buffer_of_bytes, "keeps a bytearray, into which nobody can look"),
        "large array": (large_array, "keeps something that changes"),
        "module": (attribute_of_a_module, "keeps something that changes"),
        "random": (lambda: lambda h: torch.tanh(1.5 * h) + 0.1 * torch.rand_like(h), "draws random numbers"),
        "counter": (Counting, "keeps something that changes"),
        "nonlocal": (nonlocal_counter, "keeps something that changes"),
        "dictionary": (dictionary, "keeps something that changes"),
        "iterator": (iterator, "keeps a cycle, which changes at every call"),
        "branch": (
            lambda: lambda h: torch.tanh(1.5 * h) if h.sum() > 0 else torch.tanh(2.0 * h) + 0.5,
            "looks at numbers",
        ),
        "item": (lambda: lambda h: torch.tanh(1.5 * h) * (1.0 + 0.1 * round(float(h.norm()))), "looks at numbers"),
        "buffer": (Buffers, "writes into a tensor that it keeps|keeps something that changes"),
    }


@pytest.mark.parametrize("name", refused())
def test_what_may_differ_from_step_to_step_is_not_replayed(name, monkeypatch, replays, caplog):
    """The numbers are exactly those without, and it is said once."""
    make, reason = refused()[name]

    def run():
        torch.manual_seed(3)
        return floss.lyapunov_spectrum(make(), gaussian(2, N), steps=T, k=3)

    with caplog.at_level(logging.INFO, logger="floss"):
        found = run()
        run()
    assert torch.equal(found, eager(monkeypatch, run))
    assert not replays
    said = [r.getMessage() for r in caplog.records if "computed anew at every step" in r.getMessage()]
    assert len(said) == 1
    assert any(part in said[0] for part in reason.split("|"))


def test_a_step_that_changes_during_the_run_is_caught(replays):
    """Though by numbers that nobody can see: states of the map itself are compared now and then."""
    steps = 0

    def step(h):
        return torch.tanh(0.1 * decimal.getcontext().prec * h) + 0.1

    known = plain._Run._chunk

    def chunk(run, begin, *args, **kwargs):
        decimal.getcontext().prec = 15 if begin < 100 else 5
        nonlocal steps
        steps = begin
        return known(run, begin, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch, decimal.localcontext(prec=15):
        patch.setattr(plain._Run, "_chunk", chunk)
        floss.lyapunov_spectrum(step, gaussian(2, N), steps=500, k=2)
    assert steps >= 100
    assert not replays


@pytest.mark.parametrize("how", ["detach", "no_grad"])
def test_gradients_that_a_step_cuts_stay_cut(how, monkeypatch, replays, caplog):
    W, V = weight(1, N, N), weight(2, N, N)

    def step(h):
        if how == "detach":
            held = torch.tanh(V.detach() @ h)
        else:
            with torch.no_grad():
                gate = torch.sigmoid(V @ torch.ones(N, dtype=DOUBLE))
            held = gate * h
        return torch.tanh(W @ h) + held

    def run():
        lam = floss.lyapunov_spectrum(step, gaussian(3, N), steps=T, k=3)
        return list(torch.autograd.grad(lam.square().sum(), [W, V], allow_unused=True, materialize_grads=True))

    with caplog.at_level(logging.INFO, logger="floss"):
        found = run()
    assert not replays
    assert not found[1].any()
    for a, b in zip(found, eager(monkeypatch, run), strict=True):
        assert torch.equal(a, b)
    assert "gradients that are not those of its operations" in caplog.text


def test_short_runs_are_not_recorded(replays):
    floss.lyapunov_spectrum(torch.tanh, gaussian(2, N), steps=10)
    assert not replays
