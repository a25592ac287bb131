"""Impulse responses with their derivative by hand, against automatic differentiation."""

import pytest
import torch
from grids import grid
from problems import DOUBLE, gaussian

from floss.networks.linear_students.impulse_response import STUDENTS, impulse_response
from floss.networks.linear_students.pullback import response_with_pullback

STEPS = (1, 2, 3, 17, 170)
"""Among them more than are taken together, and numbers that are no powers of two."""


def parameters(name: str, heads: int = 1, n: int = 6, networks: int = 3) -> dict[str, torch.Tensor]:
    """Of networks whose powers neither vanish nor explode within the steps."""
    shapes = {"A": (heads, n // heads, n // heads), "D": ()}
    p = {key: 0.4 * gaussian(i, networks, *shapes.get(key, (n,))) for i, key in enumerate(STUDENTS[name].dims)}
    if "w_re" in p:
        p["w_re"] = -p["w_re"].abs()
    return p


ONE_EACH = list(zip(STUDENTS, (170, 17, 2, 1, 3, 170), strict=True))


@pytest.mark.parametrize(("name", "steps"), grid([*ONE_EACH, ("dense", 1)], STUDENTS, STEPS))
def test_equals_automatic_differentiation(name, steps):
    student, p = STUDENTS[name], parameters(name)
    slope = gaussian(99, 3, steps)
    leaves = {key: value.clone().requires_grad_() for key, value in p.items()}
    expected = impulse_response(name, leaves, steps)
    gradient = torch.autograd.grad(expected, list(leaves.values()), slope, allow_unused=True)
    k, pull = response_with_pullback(student, p, steps)
    torch.testing.assert_close(k, expected.detach(), rtol=1e-12, atol=1e-13)
    ours = pull(slope)
    assert ours.keys() == student.dims.keys()
    for key, value in zip(leaves, gradient, strict=True):
        expected = torch.zeros_like(p[key]) if value is None else value
        torch.testing.assert_close(ours[key], expected, rtol=1e-10, atol=1e-12, msg=key)


def test_heads_are_blocks():
    p = parameters("dense", heads=3)
    whole = {**p, "A": torch.stack([torch.block_diag(*blocks) for blocks in p["A"]])[:, None]}
    (k, pull), (expected, slow) = (response_with_pullback(STUDENTS["dense"], each, 23) for each in (p, whole))
    torch.testing.assert_close(k, expected, rtol=1e-12, atol=1e-13)
    slope = gaussian(98, 3, 23)
    ours, theirs = pull(slope), slow(slope)
    for h in range(3):
        block = theirs["A"][:, 0, 2 * h : 2 * h + 2, 2 * h : 2 * h + 2]
        torch.testing.assert_close(ours["A"][:, h], block, rtol=1e-10, atol=1e-12)
    for key in ("B", "C", "D"):
        torch.testing.assert_close(ours[key], theirs[key], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", ["dense", "lru"])
def test_single_precision_is_close(name):
    p, slope = parameters(name, n=16), gaussian(97, 3, 100)
    _, exact = response_with_pullback(STUDENTS[name], p, 100)
    _, pull = response_with_pullback(STUDENTS[name], {key: value.float() for key, value in p.items()}, 100)
    expected, ours = exact(slope), pull(slope.float())
    for key, value in expected.items():
        assert ours[key].dtype == torch.float32
        assert value.dtype == DOUBLE
        torch.testing.assert_close(ours[key].double(), value, rtol=1e-4, atol=1e-5 * float(value.abs().max()))
