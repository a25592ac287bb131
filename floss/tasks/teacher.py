"""`task=teacher`: to do what a linear network does with white noise, from its outputs (Zucchet & Orvieto 2024, Sec. 4).

    y*_t = Σ_{τ≤t} k*_τ x_{t-τ},     x ~ N(0, 1),     L = ½ mean (y - y*)²

The teacher is its impulse response k*. Each network may have one of its own.
"""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from floss import random
from floss.tasks.linear_teachers import authors_teacher, seeded_teacher
from floss.tasks.task import Task


@dataclass(frozen=True)
class Teacher:
    """Which teacher a network has."""

    kind: str = "authors"
    """`authors`: the one behind the paper's figures; `seeded`: drawn from the network's own seed."""
    nu: float = 0.99
    """Least magnitude ν₀ of its eigenvalues."""
    theta: float = math.pi
    """Largest angle θ₀ in radians."""


@dataclass(frozen=True)
class TeacherTask(Task):
    """White noise in, a linear network's output wanted. Without `of` there is no teacher, and no target."""

    kernels: Float[Tensor, "R T"] | None = None
    """Impulse responses of the teachers, in float64."""

    def of(self, teachers: Sequence[Teacher], seeds: Int64[Tensor, "R"], steps: int) -> "TeacherTask":
        """The task of networks that have these teachers, over so many steps."""
        kernels = torch.empty(len(teachers), steps, dtype=torch.float64)
        drawn = [i for i, teacher in enumerate(teachers) if teacher.kind == "seeded"]
        if drawn:
            nu, theta = (torch.tensor([getattr(teachers[i], name) for i in drawn]) for name in ("nu", "theta"))
            kernels[drawn] = seeded_teacher(seeds.cpu()[drawn], nu.double(), theta.double(), steps)
        for i in set(range(len(teachers))) - set(drawn):
            kernels[i] = authors_teacher(teachers[i].nu, teachers[i].theta, steps)
        return dataclasses.replace(self, kernels=kernels.to(seeds.device))

    def sample_inputs(self, seeds, stream, epoch, count, dtype) -> Tensor:
        return random.normal(seeds, stream, count, epoch=epoch, dtype=dtype)

    def combine(self, x: Float[Tensor, "R T B 1"], d: Int64[Tensor, "R"]) -> Float[Tensor, "R T B"]:  # noqa: ARG002
        """The teachers' outputs, by fast Fourier transform in float64."""
        if self.kernels is None:
            raise ValueError("task=teacher: has no target without a teacher; see TeacherTask.of")
        steps = x.shape[1]
        response = torch.fft.rfft(self.kernels[:, :steps, None], 2 * steps, dim=1)
        driven = torch.fft.rfft(x[..., 0].double(), 2 * steps, dim=1)
        return torch.fft.irfft(response * driven, 2 * steps, dim=1)[:, :steps].to(x.dtype)

    def loss(self, y, x, d, *, first=None) -> tuple[Float[Tensor, "R"], None]:
        mean_square, _ = super().loss(y, x, d, first=first)
        return 0.5 * mean_square, None


TASK = TeacherTask("teacher", inputs=1, min_delay=0, even=False, binary=False, has_delay=False)
