"""What the hot loops cost: floating-point operations that no method can avoid (Table 1).

Those of rate networks; of gated cells as many times as these have N×N matrices.
"""

MATRICES = {"lstm": 4, "gru": 3, "lru": 2}
"""N×N matrices that act at each step of an architecture, where it is not one."""
_JACOBIAN = {"lstm": (2, 2), "gru": (1, 1), "lru": (0, 0)}
"""N×N blocks of the one-step Jacobian that are no diagonals, and state variables of each unit, where both are not one;
exponents of an LRU are its parameters."""


def training_flop(steps: int, batch: int, n: int) -> float:
    """Of one training epoch of one network: 6 T B N², for the forward pass, Wᵀ δ and δ rᵀ, 2 T B N² each."""
    return 6.0 * steps * batch * n**2


def flossing_flop(steps: int, n: int, k: int, arch: str = "") -> float:
    """Of one flossing epoch of one network: T_f (6 N² k + 5 N k²).

    The first term as often as the Jacobian has blocks, the second as each unit has state variables.

    Per step D Q, Dᵀ Z̄ and the gradient of W, 2 N² k each; the QR decomposition 2 N k², the re-projection 2 N k², the
    triangular solve N k².
    """
    blocks, variables = _JACOBIAN.get(arch, (1, 1))
    return float(steps) * (blocks * 6 * n**2 * k + variables * 5 * n * k**2)


def spectrum_flop(steps: int, n: int, k: int) -> float:
    """Of a Lyapunov spectrum: T (2 N² k + 2 N k²), for D Q and the QR decomposition of every step."""
    return float(steps) * (2 * n**2 * k + 2 * n * k**2)
