"""What the functions of this room are given: one line for what they do not take."""

# Wrong arguments are what this is about.
# pyright: reportArgumentType=false

from typing import Any

import numpy as np
import pytest
import torch

from floss import memory

HALF = torch.tensor([0.5, 0.25], dtype=torch.float64)
DENSE = {"A": HALF[:, None, None], "B": HALF, "C": HALF, "D": HALF[0]}

WRONG: list[tuple[Any, str]] = [
    (lambda: memory.hessian(["dense"], DENSE, 5), "student=['dense']: must be one of dense, diagonal"),
    (lambda: memory.hessian("dense", None, 5), "parameters=None of dense: must be a dictionary of A, B, C, D"),
    (lambda: memory.hessian("dense", DENSE, 5.0), "hessian: steps=5.0 must be a whole number, at least 1"),
    (lambda: memory.impulse_response({}, DENSE, 5), "student={}: must be one of dense, diagonal"),
    (lambda: memory.impulse_response("dense", [1], 5), "parameters=[1] of dense: must be a dictionary of A, B, C, D"),
    (lambda: memory.eigenvalue_hessian(None, HALF), "eigenvalues=None must be a real or complex number, or a tensor"),
    (lambda: memory.eigenvalue_hessian(HALF, [1.0, 2.0]), "residues=[1.0, 2.0] must be a real or complex number, or"),
    (lambda: memory.eigenvalue_hessian(HALF, HALF[:1]), "eigenvalues, residues: must be of one shape [..., n], not of"),
    (lambda: memory.eigenvalue_hessian(0.5, 1.0), "eigenvalues, residues: must be of one shape [..., n], not of"),
    (lambda: memory.eigenvalue_hessian(HALF, HALF, HALF), "rho=torch.float64 [2] must be one finite real number"),
    (lambda: memory.participation("v"), "vectors='v' must be a real number, or a tensor"),
    (lambda: memory.participation(HALF, dim=1), "participation: dim=1 must be an axis of [2]"),
    (lambda: memory.participation(HALF, dim=None), "participation: dim=None must be a whole number, an axis of [2]"),
    (lambda: memory.teacher_student_loss(HALF, HALF, normalised="no"), "normalised='no' must be True or False"),
    (lambda: memory.curvature(["exp"], HALF, HALF), "parametrisation=['exp']: must be one of polar, exp"),
    (lambda: memory.curvature("exp", HALF, HALF[:1].expand(3)), "theta must be of a shape that broadcasts to [2], got"),
    (lambda: memory.curvature("exp", HALF, HALF, at=3), "at=3 must be the pair of ω_ν and ω_θ, or None"),
    (lambda: memory.spread_eigenvalues(None, 0.5, 0.1), "eigenvalues=None must be a real or complex number"),
    (lambda: memory.spread_eigenvalues(HALF, "0.5", 0.1), "nu='0.5' must be a real number, or a tensor"),
    (lambda: memory.spread_eigenvalues(HALF, 2.0, 0.1), "nu: must be from 0 to 1, not 2"),
    (lambda: memory.spread_eigenvalues(HALF, 0.5, np.nan), "theta: must be finite, not nan"),
    (lambda: memory.spread_eigenvalues(HALF, HALF.expand(3, 2), 0.1), "nu must be of a shape that broadcasts to [2]"),
    (lambda: memory.authors_teacher(None, 0.1, 5), "nu=None must be a real number, or a tensor"),
    (lambda: memory.authors_teacher(0.5, HALF, 5), "theta=torch.float64 [2] must be one finite real number"),
    (lambda: memory.authors_teacher(0.5, 0.1, 5.0), "authors_teacher: steps=5.0 must be a whole number, at least 1"),
    (lambda: memory.zero_student_loss([0.5]), "kernel=[0.5] must be a real number, or a tensor"),
    (lambda: memory.zero_student_loss(np.ma.masked_less([0.5, 0.1], 0.2)), "kernel has 1 masked numbers; fill them"),
    (lambda: memory.zero_student_loss(0.5), "kernel: must be of shape [..., T] with T >= 1, not of []"),
]


@pytest.mark.parametrize(("call", "message"), WRONG, ids=[message for _, message in WRONG])
def test_wrong_calls_are_one_line(call, message):
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the message is compared below
        call()
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 250
