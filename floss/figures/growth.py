"""How the measured cost grows with each size: exponents fitted to the rows of bench.csv."""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportAttributeAccessIssue=false, reportReturnType=false, reportGeneralTypeIssues=false, reportArgumentType=false

from dataclasses import dataclass

import numpy as np
import pandas as pd

SIZES = {"n": "N", "t": "T", "k": "k", "batch": "B", "networks": "R"}
"""The columns of the sizes, and the paper's letters."""

ORDERS = {"train": "N² B", "floss": "N² k + N k²", "spectrum": "N² k + N k²"}
"""Cost of one step by Table 1 of Engelken 2023: of the network, or of its Jacobian and the QR decomposition."""

_FEWEST = 3
"""Values of a size from which an exponent is fitted: with two of them any law fits."""


@dataclass(frozen=True)
class Growth:
    """ms ∝ size^exponent, fitted to the rows of one engine and loop in which nothing else differs."""

    loop: str
    engine: str
    size: str
    """Column of the size that varies."""
    fixed: dict[str, int]
    """The other sizes."""
    values: tuple[int, ...]
    """Of the size, ascending."""
    ms: tuple[float, ...]
    """Milliseconds per network and epoch at these values, medians."""
    spread: tuple[float, ...]
    """Distance of the quartiles of each."""
    exponent: float
    error: float
    """Standard error of the exponent: how far the cost is from a power law."""
    orders: float
    """What the same fit gives for `cost`."""


def cost(loop: str, n: float, k: float, t: float, batch: float, networks: float) -> float:  # noqa: ARG001
    """Cost of one epoch of one network by the orders of Table 1, every constant being 1; the same for any R."""
    return t * (n**2 * batch if loop == "train" else n**2 * k + n * k**2)


def of_tanh_networks(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of bench.csv without those of gated cells; files from before these were measured have no such column."""
    return table[table["arch"] == "vanilla"] if "arch" in table else table


def growth(table: pd.DataFrame) -> list[Growth]:
    """Every family of rows of tanh networks, an engine and a loop in which one size has three values or more, fitted.

    Least squares of log ms against the logarithm of the size; one family for each engine, loop and size, the one with
    the most values.
    """
    widest: dict[tuple[str, str, str], Growth] = {}
    table = of_tanh_networks(table)
    for size in SIZES:
        others = [name for name in SIZES if name != size]
        for (loop, engine, *fixed), family in table.groupby(["loop", "engine", *others], sort=False):
            fit = _fit(loop, engine, size, dict(zip(others, map(int, fixed), strict=True)), family.sort_values(size))
            best = widest.get((loop, engine, size))
            if fit and (best is None or len(fit.values) > len(best.values)):
                widest[loop, engine, size] = fit
    loops, engines = list(dict.fromkeys(table["loop"])), list(dict.fromkeys(table["engine"]))
    places = list(SIZES)
    return sorted(widest.values(), key=lambda g: (loops.index(g.loop), places.index(g.size), engines.index(g.engine)))


def _fit(loop: str, engine: str, size: str, fixed: dict[str, int], family: pd.DataFrame) -> Growth | None:
    if family[size].nunique() < _FEWEST:
        return None
    values, ms = family[size].to_numpy(), family["ms_per_network_epoch"].to_numpy()
    by_orders = np.array([cost(loop, **{**fixed, size: value}) for value in values])
    spread = tuple(family["spread"].tolist())
    exponent, error = _power(values, ms)
    orders, _ = _power(values, by_orders)
    return Growth(
        loop, engine, size, fixed, tuple(values.tolist()), tuple(ms.tolist()), spread, exponent, error, orders
    )


def _power(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Slope of log y against log x by least squares, and its standard error."""
    u, v = np.log(x), np.log(y)
    u, v = u - u.mean(), v - v.mean()
    square = (u * u).sum()
    slope = (u * v).sum() / square
    return float(slope), float(np.sqrt(((v - slope * u) ** 2).sum() / (len(u) - 2) / square))
