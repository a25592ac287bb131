"""What the functions of Lyapunov exponents are given: other kinds that they take, and one line for what they do not."""

# Wrong arguments are what this is about.
# pyright: reportArgumentType=false

import warnings
from typing import Any

import numpy as np
import pytest
import torch
from problems import DOUBLE, gaussian
from torch.nn.utils.rnn import pack_padded_sequence

import floss

H0, X = 0.3 * gaussian(1, 2, 3), 0.1 * gaussian(2, 12, 2, 3)
D = gaussian(3, 4, 3, 3)
with warnings.catch_warnings(action="ignore"):  # torch calls it a prototype
    NESTED = torch.nested.nested_tensor(list(H0.flatten().split([2, 4])))
PACKED = pack_padded_sequence(gaussian(4, 5, 2, 3), torch.tensor([5, 3]))
LAM = torch.tensor([0.5, -0.1, -2.0], dtype=DOUBLE)


def step(h, x=0.0):
    return torch.tanh(1.5 * h) + x


def spectrum(**arguments):
    return floss.lyapunov_spectrum(**{"step": step, "h0": H0, "inputs": X, **arguments})


WRONG: list[tuple[Any, str]] = [
    (lambda: spectrum(k=2.0), "lyapunov_spectrum: k=2.0 must be a whole number, from 1 to the state size 3"),
    (lambda: spectrum(k=True), "lyapunov_spectrum: k=True must be a whole number"),
    (lambda: spectrum(k=0), "lyapunov_spectrum: k=0 must be from 1 to the state size 3"),
    (lambda: spectrum(steps=12.0), "lyapunov_spectrum: steps=12.0 must be a whole number, at least 1"),
    (lambda: spectrum(inputs=None, steps="many"), "lyapunov_spectrum: steps='many' must be a whole number"),
    (lambda: spectrum(t_ons=None), "lyapunov_spectrum: t_ons=None must be a whole number, at least 1, or 'adaptive'"),
    (lambda: spectrum(transient=np.float64(3)), "lyapunov_spectrum: transient=np.float64(3.0) must be a whole number"),
    (lambda: spectrum(h0=[0.1, 0.2, 0.3]), "lyapunov_spectrum: h0=[0.1, 0.2, 0.3] must be a tensor or a NumPy array"),
    (lambda: spectrum(h0=(H0, H0)), r"lyapunov_spectrum: h0=(tensor([["),
    (lambda: spectrum(h0=torch.ones(2, 3, dtype=torch.int64)), "h0 must be float32 or float64 of shape [..., n], got"),
    (lambda: spectrum(h0=H0 > 0), "h0 must be float32 or float64 of shape [..., n], got torch.bool [2, 3]"),
    (lambda: spectrum(h0=H0 * 1j), "h0 must be float32 or float64 of shape [..., n], got torch.complex128 [2, 3]"),
    (lambda: spectrum(h0=np.ones((2, 3), dtype=np.float16)), "h0 must be float32 or float64 of shape [..., n], got"),
    (lambda: spectrum(h0=np.array(["a", "b", "c"])), "lyapunov_spectrum: h0=numpy <U1 [3] must be a tensor"),
    (lambda: spectrum(h0=H0.to_sparse()), "lyapunov_spectrum: h0=torch.float64 [2, 3] must be a tensor or a NumPy"),
    (lambda: spectrum(h0=H0.to("meta")), "h0=torch.float64 [2, 3] on meta must be a tensor or a NumPy array"),
    (lambda: spectrum(h0=H0[:0]), "of shape [..., n], of one state or more, got torch.float64 [0, 3]"),
    (lambda: floss.fixed_points(step, H0[:0]), "fixed_points: h0 must be float32 or float64 of shape [..., n], of one"),
    (lambda: spectrum(h0=NESTED), "lyapunov_spectrum: h0=a nested tensor of torch.float64 must be a tensor or a NumPy"),
    (lambda: spectrum(inputs=1.0 / (X - X[7, 0, 0])), "lyapunov_spectrum: inputs has a value that is infinite"),
    (
        lambda: spectrum(inputs=np.ma.masked_less(X.numpy(), -0.2)),
        "lyapunov_spectrum: inputs has 2 masked numbers; fill them first (filled())",
    ),
    (lambda: spectrum(inputs=torch.tensor(1.0)), "inputs must be real numbers of shape [T, ...], one row per step"),
    (lambda: spectrum(inputs=PACKED), "lyapunov_spectrum: inputs=PackedSequence("),
    (lambda: spectrum(inputs=X.tolist()), "lyapunov_spectrum: inputs=[[["),
    (lambda: spectrum(step=(step, 3)), "lyapunov_spectrum: step=(<function step at"),
    (lambda: spectrum(q0=torch.eye(3).expand(2, 3, 3)), "q0 must be like h0, torch.float64 on cpu, got torch.float32"),
    (lambda: spectrum(q0=gaussian(5, 2, 3, 2) * torch.nan), "q0 is not a basis: qr: the matrix at batch index (0,)"),
    (lambda: spectrum(singular="ignore"), "lyapunov_spectrum: singular='ignore' must be one of 'raise', '-inf'"),
    (lambda: floss.lyapunov_history(step, H0, X, k="all"), "lyapunov_history: k='all' must be a whole number"),
    (lambda: floss.lyapunov_history(step, H0, X[:8]).local_over(1.0), "local_over: steps=1.0 must be a whole number"),
    (
        lambda: floss.lyapunov_history(step, H0, X[:8]).standard_error(None),
        "standard_error: blocks=None must be a whole",
    ),
    (lambda: floss.adaptive_t_ons(step, H0, X, condition="large"), "adaptive_t_ons: condition='large' must be above 1"),
    (lambda: floss.adaptive_t_ons(step, H0.tolist(), X), "adaptive_t_ons: h0=[["),
    (lambda: floss.covariant_lyapunov_vectors(step, H0, X, tail=2.5), "tail=2.5 must be a whole number, from 0 to"),
    (lambda: floss.angles([[1.0, 0.0], [0.0, 1.0]]), "angles: vectors=[[1.0, 0.0], [0.0, 1.0]] must be a tensor"),
    (lambda: floss.angles(torch.ones(3)), "angles: vectors must be of shape [..., n, k], got [3]"),
    (lambda: floss.subspace_angle(D[0], 1.0), "subspace_angle: split=1.0 must be a whole number, from 1 to"),
    (lambda: floss.overlap([1.0, 0.0, 0.0], D[0]), "overlap: direction=[1.0, 0.0, 0.0] must be a tensor"),
    (
        lambda: floss.overlap(D[:2, 0], D),
        "overlap: leading axes of direction and vectors do not fit each other:",
    ),
    (lambda: floss.condition_number(list(D)), "condition_number: jacobians=[tensor([["),
    (lambda: floss.condition_number(D, q0=[1.0]), "condition_number: q0=[1.0] must be a tensor or a NumPy array"),
    (lambda: floss.condition_number(D, dims=[1, 2.0]), "condition_number: dims=2.0 must be a whole number"),
    (lambda: floss.condition_number(D, horizons=False), "condition_number: horizons=False must be a whole number"),
    (lambda: floss.condition_number(D, callback=3), "condition_number: callback=3 must be a function callback(done, t"),
    (
        lambda: floss.euler_map(step, torch.ones((), requires_grad=True)),
        "euler_map: dt must be a number without a gradient, since",
    ),
    (lambda: floss.condition_number(D, bits="all"), "condition_number: bits='all' must be a whole number, at least 2"),
    (lambda: floss.condition_from_exponents([1.0, 0.0], 5), "condition_from_exponents: exponents=[1.0, 0.0] must be"),
    (lambda: floss.condition_from_exponents(LAM, 5.0), "condition_from_exponents: steps=5.0 must be a whole number"),
    (lambda: floss.kaplan_yorke_dimension([1.0, -2.0]), "kaplan_yorke_dimension: exponents=[1.0, -2.0] must be"),
    (lambda: floss.entropy_rate(LAM * 1j), "entropy_rate: exponents must be floating point of shape [..., k], got"),
    (lambda: floss.stroboscopic_map(step, "1"), "stroboscopic_map: period='1' must be positive and finite"),
    (lambda: floss.stroboscopic_map(step, 10**400), "stroboscopic_map: period=1000000000"),
    (lambda: floss.stroboscopic_map(step, 0.1, substeps=True), "stroboscopic_map: substeps=True must be a whole"),
    (lambda: floss.stroboscopic_map(LAM, 0.1), "stroboscopic_map: vector_field=torch.float64 [3] must be f(h, x)"),
    (lambda: floss.stroboscopic_map(step, 0.1, jacobian_product=1), "jacobian_product=1 must be a function"),
    (lambda: floss.flossing_loss([1.0, 2.0]), "flossing_loss: exponents=[1.0, 2.0] must be a tensor or a NumPy array"),
    (lambda: floss.flossing_loss(None), "flossing_loss: exponents=None must be a tensor or a NumPy array"),
    (lambda: floss.flossing_loss(LAM * 1j), "flossing_loss: exponents must be floating point of shape [..., k], got"),
    (lambda: floss.flossing_loss(LAM[:0]), "flossing_loss: exponents must be floating point of shape [..., k], got"),
    (lambda: floss.flossing_loss(LAM[0]), "flossing_loss: exponents must be floating point of shape [..., k], got"),
    (lambda: floss.flossing_loss(LAM, "0"), "flossing_loss: target='0' must be a finite number, or a tensor of"),
    (lambda: floss.flossing_loss(LAM, None), "flossing_loss: target=None must be a finite number, or a tensor of"),
    (
        lambda: floss.flossing_loss(LAM, [0.0]),
        "flossing_loss: target=[0.0] must be a finite number, or a tensor of",
    ),
    (lambda: floss.flossing_loss(LAM, 1j), "flossing_loss: target=1j must be a finite number, or a tensor of"),
    (
        lambda: floss.flossing_loss(LAM, np.nan),
        "flossing_loss: target=nan must be a finite number, or a tensor of",
    ),
    (lambda: floss.flossing_loss(LAM, LAM * np.nan), "flossing_loss: target has a value that is not finite"),
    (
        lambda: floss.flossing_loss(LAM, LAM * 1j),
        "flossing_loss: target must be real numbers of shape [...], got",
    ),
    (
        lambda: floss.flossing_loss(LAM, LAM[:2]),
        "flossing_loss: target must be of a shape that broadcasts to [3], got",
    ),
    (
        lambda: floss.flossing_loss(LAM, D[0]),
        "flossing_loss: target must be of a shape that broadcasts to [3],",
    ),
    (lambda: floss.qr([[1.0]]), "qr: a=[[1.0]] must be a tensor or a NumPy array, float32 or float64 of shape"),
    (lambda: floss.qr(D * 1j), "qr: a must be float32 or float64 of shape [..., n, k], got torch.complex128 [4, 3, 3]"),
    (lambda: floss.qr(D.half()), "qr: a must be float32 or float64 of shape [..., n, k], got torch.float16 [4, 3, 3]"),
    (lambda: floss.qr(D[:, :2]), "qr: needs matrices of shape [..., n, k] with n >= k >= 1, got [4, 2, 3]"),
    (lambda: floss.qr(D * torch.nan), "qr: the matrix at batch index (0,) has a value that is not finite"),
]


@pytest.mark.parametrize(("call", "message"), WRONG, ids=[message for _, message in WRONG])
def test_wrong_calls_are_one_line(call, message):
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the message is compared below
        call()
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 250


def test_numpy_is_taken():
    wanted = spectrum(k=2, t_ons=2, transient=4)
    found = spectrum(h0=H0.numpy(), inputs=X.numpy(), k=np.int64(2), t_ons=np.int32(2), transient=np.uint8(4))
    assert torch.equal(found, wanted)
    assert torch.equal(floss.qr(D.numpy())[1], floss.qr(D)[1])
    assert torch.equal(floss.condition_number(D.numpy(), dims=np.array([1, 3])), floss.condition_number(D, dims=[1, 3]))
    assert torch.equal(floss.kaplan_yorke_dimension(LAM.numpy()), floss.kaplan_yorke_dimension(LAM))
    assert torch.equal(floss.condition_from_exponents(LAM.numpy(), np.int64(7)), floss.condition_from_exponents(LAM, 7))
    assert floss.stroboscopic_map(step, np.float32(0.5), substeps=np.int64(3)).substeps == 3
    assert torch.equal(floss.angles(D.numpy()), floss.angles(D))
    assert torch.equal(floss.flossing_loss(LAM.numpy(), np.float32(0.5)), floss.flossing_loss(LAM, 0.5))
    assert torch.equal(floss.flossing_loss(LAM, np.array([0, 1, 2])), floss.flossing_loss(LAM, torch.tensor([0, 1, 2])))


def test_arrays_that_torch_does_not_take_as_they_are():
    """Read-only, strided backwards, and of the other byte order."""
    still = H0.numpy().copy()
    still.flags.writeable = False
    wanted = spectrum()
    assert torch.equal(spectrum(h0=still), wanted)
    assert torch.equal(spectrum(h0=still[:, ::-1][:, ::-1]), wanted)
    assert torch.equal(spectrum(h0=still.astype(">f8")), wanted)
    finite_time = floss.finite_time_exponents(step, H0, steps=3)
    for array in (still, still.astype(">f8"), np.asfortranarray(still)):
        assert torch.equal(floss.finite_time_exponents(step, array, steps=3), finite_time)
    assert torch.equal(spectrum(h0=np.ma.masked_invalid(still)), wanted)  # of which nothing is masked


def test_whole_inputs_are_the_business_of_the_map():
    table = gaussian(6, 5, 3)
    tokens = torch.tensor([0, 3, 1, 4, 2])
    found = floss.lyapunov_spectrum(lambda h, x: step(h, table[x]), H0, tokens)
    assert torch.equal(found, floss.lyapunov_spectrum(step, H0, table[tokens]))
