"""Backpropagation through time by hand, against autograd through a loop over networks, slots and steps."""

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from problems import DOUBLE, RATE_CELLS, activation, gaussian
from twins import unroll_twin

from floss.networks.rate.bptt import _CHUNK, unroll
from floss.networks.workspace import Workspace

EXACT = 1e-10
"""Relative: the same float64 sums in another order, over up to 60 steps of a network with g ≈ 1."""

sizes = st.fixed_dictionaries(
    {
        "R": st.integers(1, 3),
        "T": st.one_of(st.integers(1, 4), st.sampled_from([c * _CHUNK + i for c in (1, 2) for i in (-1, 0, 1)])),
        "B": st.integers(1, 3),
        "N": st.integers(1, 5),
        "S": st.integers(1, 3),
    }
)


def problem(seed: int, *, R: int, T: int, B: int, N: int, S: int) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """Parameters, and an input."""
    shapes = {"W": (R, N, N), "V": (R, N, S), "b": (R, N), "U": (R, N), "c": (R,), "h0": (R, B, N)}
    parameters = {name: gaussian(seed + i, *shape) for i, (name, shape) in enumerate(shapes.items())}
    parameters["W"] /= N**0.5
    return {name: p.requires_grad_() for name, p in parameters.items()}, gaussian(seed + 9, R, T, B, S)


def assert_same_value_and_gradients(arch, parameters, x, weight, workspace=None):
    ours = unroll(parameters, x, activation(arch), workspace=workspace)
    slow = unroll_twin(arch, parameters, x)
    torch.testing.assert_close(ours, slow, rtol=EXACT, atol=EXACT)
    of = list(parameters.values())
    by_hand, automatic = (torch.autograd.grad((y * weight).sum(), of) for y in (ours, slow))
    for name, a, b in zip(parameters, by_hand, automatic, strict=True):
        assert float((a - b).norm()) <= EXACT * float(b.norm()), f"gradient of {name}"


@settings(deadline=None, derandomize=True, max_examples=25)
@given(sizes, st.sampled_from(RATE_CELLS), st.integers(0, 10**6))
@example({"R": 2, "T": 1, "B": 2, "N": 3, "S": 2}, "vanilla", 0)
@example({"R": 2, "T": 2 * _CHUNK, "B": 2, "N": 3, "S": 3}, "vanilla", 1)
@example({"R": 2, "T": 2 * _CHUNK + 1, "B": 2, "N": 3, "S": 1}, "relu", 2)
def test_equals_slow_twin(size, arch, seed):
    parameters, x = problem(seed, **size)
    assert_same_value_and_gradients(arch, parameters, x, gaussian(seed, *x.shape[:3]))


def test_workspace_may_be_used_again():
    """Also after the shapes have changed, and with what an earlier and larger call has left in it."""
    workspace = Workspace()
    for i, (R, T, B) in enumerate([(2, 30, 2), (2, 30, 2), (1, 7, 3), (3, 26, 1), (2, 30, 2)]):
        parameters, x = problem(20 * i, R=R, T=T, B=B, N=4, S=2)
        assert_same_value_and_gradients("vanilla", parameters, x, gaussian(i, R, T, B), workspace)


def test_workspace_keeps_its_buffers():
    workspace, like = Workspace(), torch.zeros(1)
    first = workspace.buffer("a", (2, 3), like)
    assert workspace.buffer("a", (2, 3), like) is first
    assert workspace.buffer("b", (2, 3), like) is not first
    assert workspace.buffer("a", (2, 3), like.double()).dtype == DOUBLE
    assert workspace.buffer("a", (4,), like).shape == (4,)


@pytest.mark.parametrize("arch", RATE_CELLS)
def test_gradcheck(arch):
    parameters, x = problem(50, R=2, T=3, B=2, N=2, S=2)
    names = list(parameters)

    def of(*values):
        return unroll(dict(zip(names, values, strict=True)), x, activation(arch))

    assert torch.autograd.gradcheck(of, tuple(parameters.values()))


def test_second_derivatives_are_refused():
    """In one line, where the recorded backward pass is asked for, instead of a gradient without its own."""
    parameters, x = problem(51, R=1, T=3, B=1, N=2, S=1)
    W = parameters["W"].requires_grad_()
    y = unroll(parameters, x, activation("vanilla"))
    with pytest.raises(RuntimeError, match=r"^unroll: .* cannot be differentiated again \(create_graph=True\)$"):
        torch.autograd.grad(y.sum(), W, create_graph=True)
