"""What a flossing epoch penalises: a file for each value of `flossing.penalty=`.

Gradient flossing penalises the Lyapunov exponents. The others are its controls (Engelken 2023, Sec. 7): they look at
the recurrent weights, or at each step of a run by itself, and not at how the steps multiply.
"""

from floss.training.objective import EXPONENTS
from floss.training.penalties.exponents import Exponents
from floss.training.penalties.one_step import OneStep
from floss.training.penalties.penalty import Penalty
from floss.training.penalties.spectral_radius import SpectralRadius

PENALTIES: dict[str, Penalty] = {EXPONENTS: Exponents(), "spectral_radius": SpectralRadius(), "one_step": OneStep()}

__all__ = ["PENALTIES", "Penalty"]
