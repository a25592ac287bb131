"""Covariant vectors: eigenvectors, covariance, the Oseledets splitting by hand, known directions, angles, overlaps."""

import math

import pytest
import torch
from problems import DOUBLE, cat_map, gaussian, henon, lorenz, lorenz_field, lorenz_starts, orthogonal, standard_map

import floss
from floss.lyapunov.covariant import angles, covariant_lyapunov_vectors, overlap, subspace_angle
from floss.lyapunov.flow import stroboscopic_map
from floss.lyapunov.history import lyapunov_history
from floss.lyapunov.step import advance

W, INPUTS, H0 = 1.5 * gaussian(1, 6, 6) / 6**0.5, 0.5 * gaussian(2, 60, 3, 6), gaussian(3, 3, 6)


def network(h, x):
    return torch.tanh(h) @ W.mT + x


def network_vectors(**arguments):
    return covariant_lyapunov_vectors(network, H0, INPUTS, **{"transient": 20, "tail": 20, **arguments})


def pair(a, b):
    """Angle between the lines along a and b [..., n]."""
    return angles(torch.stack(torch.broadcast_tensors(a, b), dim=-1))[..., 0, 1]


def pushed(step, result, x=None):
    """D v of all vectors, from each instant to the next; t_ons = 1."""
    rows = range(len(result.times) - 1)
    inputs = [() if x is None else (x[int(t)],) for t in result.times]
    return torch.stack([advance(step, result.states[j], result.vectors[j], *inputs[j])[1] for j in rows])


# --- exact directions --------------------------------------------------------------------------------------------


def test_vectors_of_a_linear_map_are_its_eigenvectors():
    values = torch.tensor([1.5, -1.1, 0.8, 0.5, -0.3], dtype=DOUBLE)
    basis = torch.eye(5, dtype=DOUBLE) + 0.4 * gaussian(4, 5, 5)
    A = basis @ torch.diag(values) @ torch.linalg.inv(basis)
    result = covariant_lyapunov_vectors(lambda h: h @ A.mT, gaussian(5, 5), steps=230, transient=110, tail=110)
    # The smallest gap is 0.31 in transient and tail: exp(-0.31 · 110) = 1e-15.
    assert float(pair(result.vectors.mT, basis.mT).max()) < 1e-12
    torch.testing.assert_close(result.exponents, values.abs().log(), rtol=0, atol=1e-12)
    torch.testing.assert_close(result.local, values.abs().log().expand(10, 5), rtol=0, atol=1e-12)


@pytest.mark.parametrize("which", ["transient", "tail"])
def test_vectors_converge_at_the_rate_of_the_gap(which):
    """The transient turns v₁ to its direction, the tail v₂, both by (e₂/e₁)^t."""
    A = torch.tensor([[1.4, 1.0], [0.0, 0.9]], dtype=DOUBLE)
    exact = {"transient": torch.tensor([1.0, 0.0]), "tail": torch.tensor([1.0, -0.5])}[which].double()
    lengths, errors = torch.arange(10, 31, 4), []
    for t in lengths.tolist():
        parts = {"transient": 60, "tail": 60, which: t}
        steps = parts["transient"] + parts["tail"] + 1
        result = covariant_lyapunov_vectors(lambda h: h @ A.mT, torch.zeros(2, dtype=DOUBLE), steps=steps, **parts)
        row, i = {"transient": (0, 0), "tail": (-1, 1)}[which]
        errors.append(float(pair(result.vectors[row, :, i], exact)))
    rates = torch.tensor(errors, dtype=DOUBLE).log().diff() / 4.0
    torch.testing.assert_close(rates, torch.full((5,), math.log(0.9 / 1.4), dtype=DOUBLE), rtol=0.02, atol=0)


def test_cat_map_has_orthogonal_directions():
    problem = cat_map()
    result = covariant_lyapunov_vectors(problem.step, problem.h0, steps=70, transient=30, tail=30)
    golden = 0.5 * (5.0**0.5 - 1.0)
    exact = torch.tensor([[1.0, golden], [-golden, 1.0]], dtype=DOUBLE).mT
    assert float(pair(result.vectors.mT, exact.mT).max()) < 1e-12
    right = torch.full((11,), 0.5 * math.pi, dtype=DOUBLE)
    torch.testing.assert_close(angles(result.vectors)[:, 0, 1], right, rtol=0, atol=1e-12)
    torch.testing.assert_close(subspace_angle(result.vectors, 1), right, rtol=0, atol=1e-12)
    torch.testing.assert_close(result.exponents, problem.exponents, rtol=0, atol=1e-12)


def test_equals_the_oseledets_splitting_by_hand():
    """Random products: v₁ from the past, v₃ from the future, v₂ where a plane of the past meets one of the future."""
    mean = torch.diag(torch.tensor([2.0, 1.0, 0.5], dtype=DOUBLE))
    jacobians = mean + 0.3 * gaussian(6, 80, 3, 3)

    def step(h, D):
        return h @ D.mT

    result = covariant_lyapunov_vectors(step, gaussian(7, 3), jacobians, transient=40, tail=39)
    past, future = torch.eye(3, dtype=DOUBLE), torch.eye(3, dtype=DOUBLE)
    for D in jacobians[20:40]:
        past = D @ past
    for D in jacobians[40:60].flip(0):
        future = future @ D
    grown = torch.linalg.svd(past).U
    growing = torch.linalg.svd(future).Vh
    first, third = grown[:, 0], torch.linalg.cross(growing[0], growing[1])
    second = torch.linalg.cross(torch.linalg.cross(grown[:, 0], grown[:, 1]), growing[0])
    # 20 steps, and gaps of about 0.7: exp(-2 · 0.7 · 20) = 1e-12, and what two singular vectors of matrices of
    # condition number 1e12 leave of 16 digits.
    for i, exact in enumerate((first, second, third)):
        assert float(pair(result.vectors[0, :, i], exact)) < 1e-4, i


# --- covariance --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("k", [1, 3, 6])
def test_the_tangent_map_takes_vectors_to_vectors(k):
    result = network_vectors(k=k)
    assert result.vectors.shape == (21, 3, 6, k)
    assert result.states.shape == (21, 3, 6)
    assert result.local.shape == (20, 3, k)
    assert result.times.tolist() == list(range(20, 41))
    after = pushed(network, result, INPUTS)
    growth = torch.linalg.vector_norm(after, dim=-2)
    torch.testing.assert_close(after / growth[..., None, :], result.vectors[1:], rtol=0, atol=1e-10)  # signs as well
    torch.testing.assert_close(growth.log(), result.local, rtol=0, atol=1e-10)
    torch.testing.assert_close(torch.linalg.vector_norm(result.vectors, dim=-2), torch.ones(21, 3, k).double())


def test_states_are_those_of_the_run():
    result = network_vectors(k=2)
    h = H0
    for s in range(40):
        if s >= 20:
            torch.testing.assert_close(result.states[s - 20], h, rtol=0, atol=0)
        h = network(h, INPUTS[s])
    torch.testing.assert_close(result.states[20], h, rtol=0, atol=0)


def test_first_vectors_do_not_need_the_rest():
    few, all_of_them = network_vectors(k=2), network_vectors()
    torch.testing.assert_close(few.vectors, all_of_them.vectors[..., :2], rtol=0, atol=1e-11)
    torch.testing.assert_close(few.local, all_of_them.local[..., :2], rtol=0, atol=1e-11)


@pytest.mark.parametrize("t_ons", [2, 3, 7])
def test_does_not_depend_on_the_interval(t_ons):
    """Window of 20 steps, transient and tail of 20: incomplete intervals in all three."""
    every, some = network_vectors(), network_vectors(t_ons=t_ons)
    assert some.times.tolist() == [*range(20, 40, t_ons), 40]
    rows = some.times - 20
    torch.testing.assert_close(some.vectors, every.vectors[rows], rtol=0, atol=1e-8)
    torch.testing.assert_close(some.states, every.states[rows], rtol=0, atol=0)
    torch.testing.assert_close(some.exponents, every.exponents, rtol=0, atol=1e-9)


def test_growth_differs_from_that_of_q_by_the_angles_at_the_ends():
    """Σ log‖D v_i‖ = Σ log R_ii + log c_ii(start) - log c_ii(end), with c_ii = q_i · v_i: 1/T, exactly."""
    result = network_vectors(k=4)
    start = lyapunov_history(network, H0, INPUTS[:20], k=4)
    window = lyapunov_history(network, start.h, INPUTS[20:40], q0=start.q)
    ends = [(q * v).sum(-2).log() for q, v in ((start.q, result.vectors[0]), (window.q, result.vectors[-1]))]
    torch.testing.assert_close(result.local.sum(0), window.growth.sum(0) + ends[0] - ends[1], rtol=0, atol=1e-10)


def test_without_a_tail_the_last_vectors_are_orthogonal():
    result = network_vectors(tail=0)
    torch.testing.assert_close(result.vectors[-1].mT @ result.vectors[-1], torch.eye(6).double().expand(3, 6, 6))
    end = lyapunov_history(network, H0, INPUTS)
    torch.testing.assert_close(result.vectors[-1], end.q, rtol=0, atol=1e-10)


def test_batches_equal_loops():
    together = network_vectors(t_ons=2)
    for b in range(3):
        alone = covariant_lyapunov_vectors(network, H0[b], INPUTS[:, b], t_ons=2, transient=20, tail=20)
        torch.testing.assert_close(together.vectors[:, b], alone.vectors, rtol=0, atol=1e-10)
        torch.testing.assert_close(together.local[:, b], alone.local, rtol=0, atol=1e-10)
        torch.testing.assert_close(together.exponents[b], alone.exponents, rtol=0, atol=1e-11)


def test_two_leading_axes():
    vectors = covariant_lyapunov_vectors(network, H0.repeat(2, 1, 1), INPUTS, k=3, transient=20, tail=20).vectors
    assert vectors.shape == (21, 2, 3, 6, 3)
    torch.testing.assert_close(vectors[:, 1], network_vectors(k=3).vectors, rtol=0, atol=1e-11)


def test_single_precision():
    single = covariant_lyapunov_vectors(network_of(W.float()), H0.float(), INPUTS.float(), k=3, transient=20, tail=20)
    assert single.vectors.dtype == single.exponents.dtype == torch.float32
    torch.testing.assert_close(single.vectors.double(), network_vectors(k=3).vectors, rtol=0, atol=1e-3)


def network_of(weights):
    return lambda h, x: torch.tanh(h) @ weights.mT + x


def test_no_gradients():
    leaf = W.clone().requires_grad_()
    result = covariant_lyapunov_vectors(network_of(leaf), H0.clone().requires_grad_(), INPUTS, k=2, tail=5)
    assert not any(tensor.requires_grad for tensor in (result.vectors, result.states, result.local, result.exponents))


# --- chaotic maps and flows --------------------------------------------------------------------------------------


@pytest.mark.parametrize("problem", [henon(), standard_map()], ids=lambda p: p.name)
def test_chaotic_maps(problem):
    h0 = problem.h0[:64]
    result = covariant_lyapunov_vectors(problem.step, h0, steps=160, transient=40, tail=40)
    # The first covariant vector is the first Gram-Schmidt vector.
    at_start = lyapunov_history(problem.step, h0, steps=40)
    torch.testing.assert_close(result.vectors[0, ..., 0], at_start.q[..., 0], rtol=0, atol=1e-12)
    # Covariance, and the angle between the manifolds: tangencies are near, but no point is one.
    after = pushed(problem.step, result)
    assert float(pair(after.mT, result.vectors[1:].mT).max()) < 1e-8
    theta = subspace_angle(result.vectors, 1)
    torch.testing.assert_close(theta, angles(result.vectors)[..., 0, 1], rtol=1e-9, atol=1e-14)
    assert 0.0 < float(theta.min()) < 0.05 < 1.4 < float(theta.max())
    # The exponents of the two kinds of vectors: 80 steps, and log of the sine of the angle at both ends.
    history = lyapunov_history(problem.step, h0, steps=120, transient=40)
    ends = (theta[0].sin().log() - theta[-1].sin().log()) / 80.0
    torch.testing.assert_close(result.exponents[:, 0], history.exponents[:, 0], rtol=0, atol=1e-10)
    torch.testing.assert_close(result.exponents[:, 1], history.exponents[:, 1] + ends, rtol=0, atol=1e-9)
    mean = floss.lyapunov_spectrum(problem.step, problem.h0, steps=problem.steps, transient=problem.transient).mean(0)
    torch.testing.assert_close(result.exponents.mean(0), mean, rtol=0, atol=0.04)  # 64 runs of 80 steps


def test_neutral_vector_of_a_flow_is_the_flow():
    """Lorenz: v₂, of the exponent 0, is parallel to dh/dt."""
    period, deviation = 0.1, []
    for substeps in (5, 10):
        step = lorenz(period, substeps).step
        result = covariant_lyapunov_vectors(step, lorenz_starts(8, 10), steps=700, transient=300, tail=300)
        flow = lorenz_field(result.states)
        deviation.append(float(pair(result.vectors[..., 1], flow).median()))
        assert float(overlap(flow, result.vectors, 1).min()) > 0.999
        assert float(overlap(flow, result.vectors, 0).min()) < 0.5
        # It grows as |dh/dt| does.
        speed = torch.linalg.vector_norm(flow, dim=-1).log()
        torch.testing.assert_close(result.local[..., 1], speed.diff(dim=0), rtol=0, atol=1e-3)
    # The Runge-Kutta map has a direction of its own, O(dt⁴) from the flow's.
    assert deviation[1] < 2e-6
    assert deviation[0] / deviation[1] == pytest.approx(16.0, rel=0.2)


def test_continuous_network_at_its_fixed_point():
    """dh/dt = -h + W tanh(h) at rest: the vectors are the eigenvectors of W - 1."""
    basis = torch.eye(4, dtype=DOUBLE) + 0.3 * gaussian(9, 4, 4)
    values = torch.tensor([0.9, 0.2, -0.6, -1.5], dtype=DOUBLE)
    A = basis @ torch.diag(values) @ torch.linalg.inv(basis)

    def product(h, q):
        return -q + A @ (torch.cosh(h)[..., None] ** -2 * q)

    step = stroboscopic_map(lambda h: -h + torch.tanh(h) @ A.mT, 0.5, substeps=5, jacobian_product=product)
    result = covariant_lyapunov_vectors(step, torch.zeros(4, dtype=DOUBLE), steps=185, transient=90, tail=90)
    assert float(pair(result.vectors.mT, basis.mT).max()) < 1e-10
    torch.testing.assert_close(result.exponents / 0.5, values - 1.0, rtol=0, atol=2e-4)  # dt⁴ · 2.5⁵ / 120 = 1e-4


# --- angles ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("theta", [0.0, 1e-12, 1e-6, 0.3, 1.0, 0.5 * math.pi - 1e-9, 0.5 * math.pi])
def test_angles_keep_their_digits(theta):
    plane = orthogonal(10, 5)[:, :2]
    other = math.cos(theta) * plane[:, 0] + math.sin(theta) * plane[:, 1]
    vectors = torch.stack((3.0 * plane[:, 0], -1e-200 * other, plane[:, 1]), dim=-1)
    found = angles(vectors)
    rounding = 10 * torch.finfo(DOUBLE).eps / 2  # five products and their sum
    assert float(found[0, 1]) == pytest.approx(theta, rel=1e-9, abs=rounding)
    assert float(found[0, 2]) == pytest.approx(0.5 * math.pi, abs=1e-15)
    assert torch.equal(found, found.mT)
    assert torch.equal(found.diagonal(), torch.zeros(3, dtype=DOUBLE))
    assert float(subspace_angle(vectors[:, :2], 1)) == pytest.approx(theta, rel=1e-9, abs=rounding)


def test_angles_equal_arccos():
    vectors = gaussian(11, 4, 2, 6, 5)
    u = vectors / torch.linalg.vector_norm(vectors, dim=-2, keepdim=True)
    cosines = (u.mT @ u).abs().clamp(max=1.0)
    torch.testing.assert_close(angles(vectors), cosines.arccos(), rtol=0, atol=1e-7)  # arccos near 1


def test_subspace_angle_of_known_planes():
    """Two planes that meet at angles θ and φ ≥ θ, mixed within themselves."""
    frame, theta, phi = orthogonal(12, 6), 0.2, 0.9
    A = frame[:, :2]
    B = torch.stack([math.cos(a) * frame[:, i] + math.sin(a) * frame[:, i + 2] for i, a in ((0, theta), (1, phi))], -1)
    vectors = torch.cat((A @ gaussian(13, 7, 2, 2), B @ gaussian(14, 7, 2, 2)), dim=-1)
    torch.testing.assert_close(subspace_angle(vectors, 2), torch.full((7,), theta, dtype=DOUBLE))
    line_and_rest = torch.cat((B[:, :1], A), dim=-1)  # one against two, and two against one
    assert float(subspace_angle(line_and_rest, 1)) == pytest.approx(theta)
    assert float(subspace_angle(line_and_rest.flip(-1), 2)) == pytest.approx(theta)


def test_subspaces_that_share_a_direction():
    shared, others = gaussian(15, 5, 1), gaussian(16, 5, 2)
    vectors = torch.cat((shared, others[:, :1], shared + 0.0 * others[:, :1], others[:, 1:]), dim=-1)
    assert float(subspace_angle(vectors, 2)) < 1e-14


def test_a_bad_vector_spoils_its_own_angles_alone():
    vectors = gaussian(26, 3, 5, 4)
    vectors[0, 2, 1], vectors[2, :, 3] = torch.nan, 0.0
    between, theta = subspace_angle(vectors, 2), angles(vectors)
    assert between.isnan().tolist() == [True, False, True]
    assert theta.isnan().any(-1).tolist() == [[True] * 4, [False] * 4, [True] * 4]
    assert torch.equal(between[1], subspace_angle(vectors[1:2], 2)[0])


def test_angles_of_batches_equal_loops():
    vectors = gaussian(17, 3, 2, 5, 4)
    theta, between = angles(vectors), subspace_angle(vectors, 3)
    for at in ((0, 1), (2, 0)):
        torch.testing.assert_close(theta[at], angles(vectors[at]))
        torch.testing.assert_close(between[at], subspace_angle(vectors[at], 3))


# --- overlap -----------------------------------------------------------------------------------------------------


def test_overlap_of_known_directions():
    frame = orthogonal(18, 4)
    direction = 0.6 * frame[:, 0] - 0.8 * frame[:, 2]
    for i, exact in enumerate((0.6, 0.0, 0.8, 0.0)):
        assert float(overlap(-1e-30 * direction, frame, i)) == pytest.approx(exact, abs=1e-15)
    tiny = (1e-30 * direction).float()  # whose square is zero in single precision
    assert float(overlap(tiny, frame)) == pytest.approx(0.6, abs=1e-6)
    assert overlap(torch.zeros(4, dtype=DOUBLE), frame).isnan()


def test_overlap_broadcasts_over_time():
    result = network_vectors(k=3)
    gradient = gaussian(19, 3, 6)
    along = overlap(gradient, result.vectors, 2)
    assert along.shape == (21, 3)
    exact = torch.cosine_similarity(gradient, result.vectors[4, ..., 2], dim=-1).abs()
    torch.testing.assert_close(along[4], exact)


def test_gradient_turns_to_the_dual_of_the_first_vector():
    """Of a linear map, dL/dh over many steps is the first left eigenvector, and v₁ the first right one."""
    basis = torch.eye(4, dtype=DOUBLE) + 0.4 * gaussian(20, 4, 4)
    A = basis @ torch.diag(torch.tensor([1.3, 0.8, -0.5, 0.2], dtype=DOUBLE)) @ torch.linalg.inv(basis)
    result = covariant_lyapunov_vectors(lambda h: h @ A.mT, gaussian(24, 4), steps=160, transient=80, tail=70)
    h = result.states[0].clone().requires_grad_()
    after = h
    for _ in range(80):
        after = after @ A.mT
    (gradient,) = torch.autograd.grad(after @ gaussian(25, 4), h)
    left, right = torch.linalg.inv(basis)[0], basis[:, 0]
    exact = float(torch.cosine_similarity(left, right, dim=0).abs())
    assert float(pair(gradient, left)) < 1e-12
    assert float(overlap(gradient, result.vectors[0])) == pytest.approx(exact, abs=1e-12)
    assert exact < 0.95  # the eigenvectors are not orthogonal


# --- what it refuses ---------------------------------------------------------------------------------------------

CUT = torch.diag(torch.tensor([1.0, 0.5, 0.0], dtype=DOUBLE))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"steps": 9, "transient": 4, "tail": 5}, "tail=5 must be from 0 to steps - transient - 1 = 4"),
        ({"steps": 9, "tail": -1}, "tail=-1 must be from 0 to steps - transient - 1 = 8"),
        ({"steps": 9, "transient": 9}, "transient=9 must be from 0 to steps - 1 = 8"),
        ({}, "an autonomous map needs steps="),
        ({"steps": 9, "k": 4}, "k=4 must be from 1 to the state size 3"),
        ({"steps": 9, "step": lambda h: h @ CUT}, r"exponent 2 at batch index \(0,\) is lost to rank deficiency"),
        ({"steps": 9, "step": lambda h: h @ CUT, "transient": 8}, "exponent 2 .* is lost to rank deficiency"),
        ({"steps": 9, "step": lambda h: h @ CUT, "tail": 8}, "exponent 2 .* is lost to rank deficiency"),
        ({"steps": 9, "step": lambda h: h * torch.nan}, r"exponent 0 at batch index \(0,\) is not finite"),
        ({"steps": 2, "step": lambda h: 1e200 * h, "k": 1}, "exponent 0 .* is not finite"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_refuses(arguments, message):
    with pytest.raises(ValueError, match=f"covariant_lyapunov_vectors: {message}"):
        covariant_lyapunov_vectors(**{"step": lambda h: h @ W[:3, :3], "h0": gaussian(21, 2, 3), **arguments})


def test_refuses_what_is_lost_in_the_transient():
    gains = torch.ones(9, 3, dtype=DOUBLE)
    gains[1, 2] = 0.0
    with pytest.raises(ValueError, match="exponent 2 is lost to rank deficiency"):
        covariant_lyapunov_vectors(lambda h, x: (h @ W[:3, :3]) * x, gaussian(27, 3), gains, transient=4)


def test_a_smaller_k_passes_over_lost_directions():
    result = covariant_lyapunov_vectors(lambda h: h @ CUT, gaussian(22, 3), steps=90, k=2, transient=40, tail=40)
    torch.testing.assert_close(result.vectors.abs(), torch.eye(3, 2, dtype=DOUBLE).expand(11, 3, 2), rtol=0, atol=1e-11)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda v: subspace_angle(v, 0), "subspace_angle: split=0 must be from 1 to k - 1 = 2"),
        (lambda v: subspace_angle(v, 3), "subspace_angle: split=3 must be from 1 to k - 1 = 2"),
        (lambda v: overlap(v[:, 0], v, 3), "overlap: i=3 must be from 0 to k - 1 = 2"),
        (lambda v: overlap(v[:, 0], v, -1), "overlap: i=-1 must be from 0"),
        (lambda v: overlap(v[0], v), "overlap: the direction has 3 numbers, but the vectors have 5"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_refuses_what_does_not_fit(call, message):
    with pytest.raises(ValueError, match=message):
        call(gaussian(23, 5, 3))
