"""The curse of memory: how sensitive a recurrent state is to its recurrent parameters (Zucchet & Orvieto 2024).

    floss.memory.state_moment(a, b, rho)          E[h^a h^b] of two linear neurons with a common input
    floss.memory.sensitivity_moment(a, b, rho)    E[∂h^a/∂a ∂h^b/∂b], which grows as 1 / (1 - |λ|)³
    floss.memory.hessian(student, T)              at the optimum of a linear student, exactly

Everything here is exact, in float64, and samples nothing, but for the sequences that stand in for embeddings. Gradients
can neither explode nor vanish (no exponent above zero, none far below it), and the state still moves the more with its
recurrent parameters, the longer it remembers.

Source: N. Zucchet and A. Orvieto, Recurrent neural networks: vanishing and exploding gradients are not the end of the
story, NeurIPS 2024, arXiv 2405.21064.
"""

from floss.memory.embeddings_fit import EmbeddingsFit, fit_embeddings
from floss.memory.gated import gated_moments
from floss.memory.hessian import Hessian, eigenvalue_hessian, hessian, participation
from floss.memory.neuron import moments, sensitivity_moment, state_moment
from floss.memory.parametrisation import PARAMETRISATIONS, Parametrisation
from floss.memory.surrogate import (
    SURROGATES,
    Autocorrelation,
    fit_autocorrelation,
    measured_autocorrelation,
    surrogate_embeddings,
)
from floss.memory.teacher_student import curvature, teacher_student_loss
from floss.memory.teachers import authors_teacher, spread_eigenvalues, zero_student_loss
from floss.networks.linear_students.impulse_response import STUDENTS, Student, impulse_response

__all__ = [
    "PARAMETRISATIONS",
    "STUDENTS",
    "SURROGATES",
    "Autocorrelation",
    "EmbeddingsFit",
    "Hessian",
    "Parametrisation",
    "Student",
    "authors_teacher",
    "curvature",
    "eigenvalue_hessian",
    "fit_autocorrelation",
    "fit_embeddings",
    "gated_moments",
    "hessian",
    "impulse_response",
    "measured_autocorrelation",
    "moments",
    "participation",
    "sensitivity_moment",
    "spread_eigenvalues",
    "state_moment",
    "surrogate_embeddings",
    "teacher_student_loss",
    "zero_student_loss",
]
