"""`arch=linear_dense`, `linear_diagonal`, `linear_lru`, …: linear networks with a linear readout, one output.

    h_t = A h_{t-1} + B x_t,     y_t = Re[C h_t] + D x_t,     h_0 = 0, which is not trained

One cell for each of the `STUDENTS`. Their exponents are log|λ_j| of the eigenvalues of A, whatever the input; a complex
hidden unit counts as two real state variables, (Re h, Im h). Source: Sec. 2 and App. E of Zucchet & Orvieto 2024, and
the authors' code for the initial values.
"""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from floss.lyapunov.chain import Chain
from floss.lyapunov.step import ClosedFormStep
from floss.networks.cell import Cell, CellStep, Draw, Parameters
from floss.networks.linear import Identity
from floss.networks.linear_students.impulse_response import STUDENTS, Student
from floss.networks.rate.network import RateStep
from floss.networks.stacked import align, spread
from floss.networks.workspace import Workspace


@dataclass(frozen=True)
class InitialSpectrum:
    """Where the eigenvalues of new networks lie."""

    nu: Float[Tensor, "R"]
    """Least magnitude ν₀, from 0 to below 1."""
    theta: Float[Tensor, "R"]
    """Largest angle θ₀ in radians."""


@dataclass(frozen=True)
class LinearStudent(Cell):
    """A linear network whose parameters are those of a student."""

    name: str
    student: Student
    trains_initial_state: ClassVar[bool] = False
    is_linear: ClassVar[bool] = True

    @property
    def flossed(self) -> tuple[str, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """What the eigenvalues depend on."""
        return self.student.recurrent

    @property
    def is_dense(self) -> bool:
        """Whether the recurrence has blocks, and not complex numbers on a diagonal."""
        return "A" in self.student.dims

    @property
    def growth_needs_run(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether tangent vectors grow as the run has it: not along eigenvalues that are the weights."""
        return self.is_dense

    def state_size(self, n: int) -> int:
        return n if self.is_dense else 2 * n

    def check(self, n: int, g: float, init: str, mean: float) -> None:  # noqa: ARG002
        if g != 1.0:
            raise ValueError(f"g={g:g}: must be 1 for arch={self.name}, whose eigenvalues follow from arch.nu")
        if init != "gaussian" or mean != 0.0:
            raise ValueError(f"init and mean: must be gaussian and 0 for arch={self.name}")

    def initial_parameters(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        seeds: Int64[Tensor, "R"],
        g: Float[Tensor, "R"],
        *,
        n: int,
        inputs: int = 1,
        batch: int = 1,
        heads: int = 1,
        spectrum: InitialSpectrum | None = None,
        dtype: torch.dtype = torch.float32,
        **_: Any,
    ) -> Parameters:
        """Parameters drawn from each network's own seed, and h0 [R, B, state size], which is zero and stays so.

        Dense: each of H blocks m×m has N(0, 1/m) entries, whose eigenvalues ℓ move to
        (ν₀ + (1 - ν₀) tanh|ℓ|) exp(i arg ℓ θ₀/π) with their eigenvectors, of which the real part is taken; B and D have
        variance 1, C 1/n, all three truncated normal. Diagonal: |λ|² uniform in (ν₀², 1), angles uniform in (-θ₀, θ₀),
        no conjugate pairs; real and imaginary parts of B have variance 1/n, C and D variance 1. A gain is √(1 - |λ|²);
        the step size Δ of `linear_s4` is 1.

        Args:
            seeds: one per network.
            g: as of any cell; nothing here depends on it, nor on the further keywords that other cells have.
            n: hidden units, complex ones in diagonal networks.
            inputs: must be 1.
            batch: number of batch slots B.
            heads: blocks H of a dense recurrence, which divide n.
            spectrum: of each network; None: ν₀ = 0, θ₀ = π.
            dtype: of the result; everything is drawn in float64.

        Raises:
            ValueError: several inputs, or a number of heads that does not divide n.
        """
        if inputs != 1:
            raise ValueError(f"inputs={inputs}: must be 1 for arch={self.name}")
        zero = torch.zeros(len(seeds), dtype=torch.float64, device=seeds.device)
        spectrum = spectrum or InitialSpectrum(zero, zero + math.pi)
        draw = Draw(seeds, g.double(), "gaussian", 0.0, 0.0)
        nu, theta = (each.double()[:, None] for each in (spectrum.nu, spectrum.theta))
        parameters = _dense(draw, n, heads, nu, theta) if self.is_dense else self._diagonal(draw, n, nu, theta)
        parameters["h0"] = zero.new_zeros(len(seeds), batch, self.state_size(n))
        return {name: value.to(dtype).contiguous() for name, value in parameters.items()}

    def initial_weights(self, draw: Draw, *, n: int, inputs: int) -> Parameters:
        parameters = self.initial_parameters(draw.seeds, draw.g, n=n, inputs=inputs, dtype=torch.float64)
        del parameters["h0"]
        return parameters

    def _diagonal(self, draw: Draw, n: int, nu: Tensor, theta: Tensor) -> Parameters:
        # 2^-25 keeps the logarithms finite where a uniform number is 0.
        modulus = torch.sqrt((draw.uniform(0, n) * (1.0 - 2.0**-24) + 2.0**-25) * (1.0 - nu**2) + nu**2)
        angle = ((2.0 * draw.uniform(5, n) - 1.0 + 2.0**-25) * theta).remainder(2.0 * math.pi)
        values = {
            "re": modulus * angle.cos(),
            "im": modulus * angle.sin(),
            "w_nu": (-modulus.log()).log(),
            "w_theta": angle.log(),
            "w_gamma": 0.5 * torch.log1p(-(modulus**2)),
            "gamma": torch.sqrt(1.0 - modulus**2),
            "w_delta": torch.full_like(modulus, math.log(math.e - 1.0)),
            "w_re": modulus.log(),
            "w_im": angle,
            "B_re": draw.normal(1, n) / n**0.5,
            "B_im": draw.normal(2, n) / n**0.5,
            "C_re": draw.normal(3, n),
            "C_im": draw.normal(4, n),
            "D": draw.normal(7, 1)[:, 0],
        }
        return {name: values[name] for name in self.student.dims}

    def step(self, parameters: Parameters) -> CellStep:
        if self.is_dense:
            A, B = parameters["A"], parameters["B"]
            return RateStep(_whole(A), B[..., None], torch.zeros_like(B), Identity())
        lam, gain = self.student.eigenvalues(parameters), self.student.gain(parameters)
        return DiagonalStep(lam.real, lam.imag, gain * parameters["B_re"], gain * parameters["B_im"])

    def unroll(
        self,
        parameters: Parameters,
        x: Float[Tensor, "R T B 1"],
        *,
        workspace: Workspace | None = None,  # noqa: ARG002
    ) -> Float[Tensor, "R T B"]:
        """Readouts y_1, …, y_T by stepping through time: the slow twin of the impulse response."""
        states = self.step(parameters).unroll(parameters["h0"], x)
        # Re(C h) = [Re C, -Im C] (Re h, Im h)
        C = parameters["C"] if self.is_dense else torch.cat((parameters["C_re"], -parameters["C_im"]), -1)
        seen = torch.einsum("rtbn,rn->rtb", states, C)
        return seen + parameters["D"][:, None, None] * x[..., 0]


@dataclass(frozen=True)
class DiagonalStep(CellStep, ClosedFormStep):
    """The map h → λ ∘ h + b x of real states (Re h, Im h) [R, 2n] or [R, B, 2n], with its Jacobian."""

    re: Float[Tensor, "*R n"]
    im: Float[Tensor, "*R n"]
    b_re: Float[Tensor, "*R n"]
    b_im: Float[Tensor, "*R n"]

    @property
    def input_size(self) -> int:
        return 1

    @property
    def state_size(self) -> int:
        return 2 * self.re.shape[-1]

    def __call__(self, state: Tensor, x: Tensor | None = None) -> Tensor:
        re, im = align(self.re, state), align(self.im, state)
        real, imaginary = state.chunk(2, -1)
        after = torch.cat((re * real - im * imaginary, im * real + re * imaginary), -1)
        if x is None:
            return after
        b = torch.cat((self.b_re, self.b_im), -1)
        return after + align(b, state) * spread(x, state)

    def advance(self, state: Tensor, q: Tensor, x: Tensor | None = None) -> tuple[Tensor, Tensor]:
        re, im = (align(part, state)[..., None] for part in (self.re, self.im))
        real, imaginary = q.chunk(2, -2)
        return self(state, x), torch.cat((re * real - im * imaginary, im * real + re * imaginary), -2)

    def exponents(self, chain: Chain) -> Tensor:
        """The exponents log|λ_j|, each twice, the k largest in descending order."""
        growth = 0.5 * (self.re**2 + self.im**2).log()
        growth = growth.sort(-1, descending=True).values.repeat_interleave(2, -1)
        return align(growth, chain.h).expand(chain.h.shape)[..., : chain.q.shape[-1]]


def _dense(draw: Draw, n: int, heads: int, nu: Tensor, theta: Tensor) -> Parameters:
    if n % heads:
        raise ValueError(f"heads={heads}: must divide the number of units, {n}")
    m = n // heads
    eigenvalues, P = torch.linalg.eig(draw.normal(0, heads, m, m) / m**0.5)
    magnitude = nu[..., None] + (1.0 - nu[..., None]) * eigenvalues.abs().tanh()
    moved = torch.polar(magnitude, eigenvalues.angle() * theta[..., None] / math.pi)
    A = torch.linalg.solve(P, P * moved[..., None, :], left=False).real
    return {
        "A": A,
        "B": _truncated_normal(draw, 1, n),
        "C": _truncated_normal(draw, 2, n) / n**0.5,
        "D": _truncated_normal(draw, 7, 1)[:, 0],
    }


_WITHIN = math.erf(2.0 / math.sqrt(2.0))
"""Probability of a normal number within two standard deviations."""
_DEVIATION = 0.87962566103423978
"""Standard deviation of normal numbers within two standard deviations."""


def _truncated_normal(draw: Draw, part: int, *shape: int) -> Tensor:
    """Normal numbers within two standard deviations, scaled to unit variance, by the inverse distribution function."""
    uniform = draw.uniform(part, *shape) + 2.0**-25
    return math.sqrt(2.0) / _DEVIATION * torch.erfinv((2.0 * uniform - 1.0) * _WITHIN)


def _whole(A: Float[Tensor, "*R H m m"]) -> Float[Tensor, "*R n n"]:
    """The matrix that has these blocks on its diagonal."""
    heads, m = A.shape[-3], A.shape[-1]
    if heads == 1:
        return A[..., 0, :, :]
    blocks = torch.diag_embed(A.movedim(-3, -1)).movedim((-2, -4, -1, -3), (-4, -3, -2, -1))  # [..., H, m, H, m]
    return blocks.reshape(*A.shape[:-3], heads * m, heads * m)


CELLS = {f"linear_{name}": LinearStudent(f"linear_{name}", student) for name, student in STUDENTS.items()}
"""By the value of `arch=`."""
