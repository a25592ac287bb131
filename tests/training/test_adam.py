"""Adam for ensembles: torch's own, network by network, and networks that sit a step out."""

import pytest
import torch
from problems import DOUBLE, gaussian

from floss.training.adam import Adam, clip_gradient

SHAPES = {"W": (3, 4, 4), "b": (3, 4), "c": (3,)}
EVERYONE, ALL_ACTIVE = torch.arange(3), torch.ones(3, dtype=torch.bool)


def numbers(seed: int) -> dict[str, torch.Tensor]:
    return {name: gaussian(10 * seed + i, *shape) for i, (name, shape) in enumerate(SHAPES.items())}


def rows(tensors: dict[str, torch.Tensor], index) -> dict[str, torch.Tensor]:
    return {name: value[index].clone() for name, value in tensors.items()}


@pytest.mark.parametrize("scale", [1.0, 1e-8, 1e-12])
def test_equals_torch(scale):
    """Also where the gradient is as small as ε."""
    ours, theirs = numbers(0), [p.requires_grad_() for p in numbers(0).values()]
    adam, reference = Adam(ours, lr=0.01), torch.optim.Adam(theirs, lr=0.01)
    for step in range(1, 8):
        gradient = {name: scale * g for name, g in numbers(step).items()}
        adam.step(ours, gradient, ALL_ACTIVE, EVERYONE)
        for p, g in zip(theirs, gradient.values(), strict=True):
            p.grad = g
        reference.step()
        for p, q in zip(ours.values(), theirs, strict=True):
            torch.testing.assert_close(p, q.detach(), rtol=1e-12, atol=1e-14)


PARTS = [
    ([0, 1, 2], [True, True, True]),
    ([0, 1, 2], [True, False, True]),
    ([1, 2], [True, True]),
    ([0, 2], [False, True]),
]


def test_every_network_has_its_own_clock():
    """Networks that step on different occasions are where their own single optimizer would be."""
    ours = numbers(0)
    singles = [rows(ours, slice(r, r + 1)) for r in range(3)]
    adam, alone = Adam(ours, lr=0.01), [Adam(single, lr=0.01) for single in singles]
    for step, (index, active) in enumerate(PARTS * 2, start=1):
        gradient = numbers(step)
        adam.step(ours, rows(gradient, index), torch.tensor(active), torch.tensor(index))
        for r, goes in zip(index, active, strict=True):
            if goes:
                own = rows(gradient, slice(r, r + 1))
                alone[r].step(singles[r], own, torch.ones(1, dtype=torch.bool), torch.tensor([0]))
    for r, single in enumerate(singles):
        assert int(adam.steps[r]) == int(alone[r].steps)
        for name, value in single.items():
            torch.testing.assert_close(ours[name][r], value[0], rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, 1.0])
@pytest.mark.parametrize("index", [[0, 1, 2], [1, 2]], ids=str)
def test_inactive_network_does_not_change(index, bad):
    parameters = numbers(0)
    adam = Adam(parameters, lr=0.01)
    adam.step(parameters, numbers(1), ALL_ACTIVE, EVERYONE)
    before = {**rows(adam.state(), slice(None)), **rows(parameters, slice(None))}
    gradient = rows(numbers(2), index)
    for g in gradient.values():
        g[index.index(1)] = bad
    active = torch.tensor([i != 1 for i in index])
    adam.step(parameters, gradient, active, torch.tensor(index))
    for name, value in {**adam.state(), **parameters}.items():
        stepped = {i for i in index if i != 1}
        for r in range(3):
            assert torch.equal(value[r], before[name][r]) is (r not in stepped), f"{name} of network {r}"
            assert bool(value[r].isfinite().all())


def test_nobody_steps():
    parameters = numbers(0)
    adam = Adam(parameters, lr=0.01)
    adam.step(parameters, {name: g * torch.nan for name, g in numbers(1).items()}, ~ALL_ACTIVE, EVERYONE)
    assert adam.steps.tolist() == [0, 0, 0]
    for name, value in numbers(0).items():
        assert torch.equal(parameters[name], value)


def test_state_goes_round():
    parameters = numbers(0)
    adam = Adam(parameters, lr=0.01)
    for step in (1, 2):
        adam.step(parameters, numbers(step), ALL_ACTIVE, EVERYONE)
    copy, again = rows(parameters, slice(None)), Adam(parameters, lr=0.01)
    again.load(rows(adam.state(), slice(None)))
    for optimizer, values in ((adam, parameters), (again, copy)):
        optimizer.step(values, numbers(3), ALL_ACTIVE, EVERYONE)
    for name, value in parameters.items():
        assert torch.equal(copy[name], value)
    assert adam.state().keys() == again.state().keys()


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("limit", [0.5, 2.0, 1e6])
def test_clipping_of_each_network(name, limit):
    gradient = numbers(1)[name] * torch.tensor([0.1, 1.0, 10.0], dtype=DOUBLE).reshape(
        -1, *[1] * (len(SHAPES[name]) - 1)
    )
    clipped = clip_gradient(gradient, limit)
    for own, ours in zip(gradient, clipped, strict=True):
        p = torch.zeros_like(own).requires_grad_()
        p.grad = own.clone()
        torch.nn.utils.clip_grad_norm_(p, limit)
        torch.testing.assert_close(ours, p.grad, rtol=3e-6, atol=0)  # torch adds 1e-6 to the norm
        if float(own.norm()) < limit:
            assert torch.equal(ours, own)


def test_clipping_of_nothing():
    assert torch.equal(clip_gradient(torch.zeros(2, 3), 0.1), torch.zeros(2, 3))


def test_a_gradient_whose_squares_overflow_is_clipped_all_the_same():
    large = torch.full((2, 10), 1e30)
    large[1] = 1e-3
    clipped = clip_gradient(large, 0.03)
    torch.testing.assert_close(torch.linalg.vector_norm(clipped[0]), torch.tensor(0.03))
    assert torch.equal(clipped[1], large[1])
