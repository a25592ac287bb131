"""Linear students as cells: their maps and spectra against plain formulas, and their initial parameters."""

import math

import pytest
import torch
from problems import DOUBLE

import floss
from floss.networks.linear_students import CELLS
from floss.networks.linear_students.cells import InitialSpectrum
from floss.networks.linear_students.impulse_response import STUDENTS, impulse_response

R, N = 3, 6


def parameters(arch: str, *, dtype=DOUBLE, seeds=(0, 1, 7), heads: int = 1) -> dict[str, torch.Tensor]:
    numbers = torch.tensor(seeds)
    spectrum = InitialSpectrum(torch.full((len(seeds),), 0.5), torch.full((len(seeds),), 2.0))
    gains = torch.ones(len(seeds))
    return CELLS[arch].initial_parameters(numbers, gains, n=N, heads=heads, spectrum=spectrum, batch=2, dtype=dtype)


def recurrence(arch: str, p: dict[str, torch.Tensor], network: int) -> torch.Tensor:
    """The matrix of the map of the real state."""
    if arch == "linear_dense":
        return torch.block_diag(*p["A"][network])
    lam = CELLS[arch].student.eigenvalues(p)[network]
    re, im = torch.diag(lam.real), torch.diag(lam.imag)
    return torch.cat((torch.cat((re, -im), 1), torch.cat((im, re), 1)))


@pytest.mark.parametrize("arch", CELLS)
@pytest.mark.parametrize("heads", [1, 3])
def test_step_and_advance_are_the_matrix(arch, heads):
    if heads > 1 and arch != "linear_dense":
        heads = 1
    p = parameters(arch, heads=heads)
    step, size = CELLS[arch].step(p), CELLS[arch].state_size(N)
    h, q = torch.randn(R, size, dtype=DOUBLE), torch.randn(R, size, 4, dtype=DOUBLE)
    after, pushed = step.advance(h, q)
    several = step(h[:, None].expand(-1, 5, -1), torch.zeros(R, 5, 1, dtype=DOUBLE))
    for network in range(R):
        D = recurrence(arch, p, network)
        torch.testing.assert_close(after[network], D @ h[network], rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(pushed[network], D @ q[network], rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(several[network, 3], D @ h[network], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("arch", CELLS)
def test_the_time_loop_gives_the_impulse_response(arch):
    p = parameters(arch)
    x = torch.zeros(R, 9, 2, 1, dtype=DOUBLE)
    x[:, 0] = 1.0
    y = CELLS[arch].unroll(p, x)
    own = {name: p[name] for name in CELLS[arch].student.dims}
    expected = impulse_response(arch.removeprefix("linear_"), own, 9)
    torch.testing.assert_close(y[..., 0], expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("arch", CELLS)
def test_exponents_are_logarithms_of_the_eigenvalues(arch):
    """Exact for a diagonal recurrence; of a dense one up to log cond(P) / T."""
    p, steps = parameters(arch), 4000
    h0 = torch.randn(R, CELLS[arch].state_size(N), dtype=DOUBLE)
    got = floss.lyapunov_spectrum(CELLS[arch].step(p), h0, steps=steps, transient=200)
    expected = CELLS[arch].student.eigenvalues(p).abs().log().sort(-1, descending=True).values
    if arch == "linear_dense":
        assert float((got - expected).abs().max()) < 20.0 / steps
    else:
        torch.testing.assert_close(got, expected.repeat_interleave(2, -1), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("arch", CELLS)
def test_initial_parameters_are_of_their_own_seed_and_rounded_from_double(arch):
    many, one = parameters(arch), parameters(arch, seeds=(7,))
    single = parameters(arch, dtype=torch.float32)
    assert {*CELLS[arch].student.dims, "h0"} == many.keys()
    for name, value in many.items():
        assert torch.equal(value[2], one[name][0])
        assert torch.equal(single[name], value.float())
    assert many["h0"].shape == (R, 2, CELLS[arch].state_size(N))
    assert not many["h0"].any()


def test_every_student_is_a_cell():
    assert [f"linear_{name}" for name in STUDENTS] == list(CELLS)


def test_variances_of_the_initial_weights():
    """Truncated normal numbers have unit variance, and none beyond 2 / 0.88 standard deviations."""
    seeds = torch.arange(400)
    p = CELLS["linear_dense"].initial_parameters(seeds, torch.ones(400), n=64, dtype=DOUBLE)
    assert float(p["B"].var()) == pytest.approx(1.0, abs=0.02)
    assert float(p["B"].abs().max()) < 2.0 / 0.8796
    assert float(p["C"].var()) == pytest.approx(1 / 64, rel=0.02)
    assert float(p["D"].var()) == pytest.approx(1.0, abs=0.2)
    largest = CELLS["linear_dense"].student.eigenvalues(p).abs().amax(-1)  # tanh of about 1.06
    assert float(largest.median()) == pytest.approx(math.tanh(1.06), abs=0.02)


@pytest.mark.parametrize(
    ("arguments", "message"), [({"n": 5, "heads": 2}, "heads=2"), ({"n": 4, "inputs": 2}, "inputs=2")]
)
def test_wrong_sizes_are_one_line(arguments, message):
    with pytest.raises(ValueError, match=message):
        CELLS["linear_dense"].initial_parameters(torch.arange(2), torch.ones(2), **arguments)
