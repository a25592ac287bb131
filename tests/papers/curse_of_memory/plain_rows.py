"""Rows of the committed CSV files of the second paper, in plain Python; moments of a neuron from their definition."""

import csv
from typing import Any

from papers.curse_of_memory.committed import committed

Row = dict[str, Any]


def number(text: str) -> Any:
    try:
        return float(text or "nan")
    except ValueError:
        return text


def read(figure: str, run: str, table: str) -> list[Row]:
    path = committed(figure)[run].folders[0] / f"{table}.csv"
    with path.open(encoding="utf-8") as file:
        return [{name: number(value) for name, value in row.items()} for row in csv.DictReader(file)]


def select(rows: list[Row], **wanted: Any) -> list[Row]:
    return [row for row in rows if all(row[name] == value for name, value in wanted.items())]


def second_moment(lam: float, rho: float, order: int) -> float:
    """Σ_Δ R(Δ) Σ_i c_i c_{i+Δ} with c_i = λ^i, or i λ^(i-1), in closed sums over i, and Δ summed until it is small."""
    r = lam * lam
    if rho == 1:
        return (1 / (1 - lam)) ** 2 if order == 0 else (1 / (1 - lam) ** 2) ** 2
    x = rho * lam
    if order == 0:
        return (1 / (1 - r)) * (1 + 2 * x / (1 - x))
    # Σ_i i (i + Δ) λ^(2i + Δ - 2) = λ^Δ [(1 + r) / (1 - r)³ + Δ / (1 - r)²]; ΣρΔ λ^Δ and Σ Δ ρ^Δ λ^Δ are geometric.
    return (1 + r) / (1 - r) ** 3 * (1 + 2 * x / (1 - x)) + 2 * x / (1 - x) ** 2 / (1 - r) ** 2
