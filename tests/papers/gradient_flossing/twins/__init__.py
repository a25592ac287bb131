"""Twins of the numbers of the first paper's claims, in plain Python.

A twin is a function of the rows of a figure's runs, with its name; a claim without one fails.
"""

from typing import Any

from papers.gradient_flossing.twins import exponents, gradients, learning, ours


def twin(figure: str, runs: Any) -> dict[str, float]:
    """The numbers of a figure's claims in plain Python, from its rows by run and table."""
    (found,) = (
        getattr(module, f"twin_{figure}")
        for module in (exponents, learning, gradients, ours)
        if hasattr(module, f"twin_{figure}")
    )
    return found(runs)
