"""A hand-made bench.csv: times that are products of powers of the sizes."""

import io
import math

import pandas as pd

from floss.analysis.bench.measurement import COLUMNS
from floss.runtime.files import csv_text

BASE = {"n": 80, "k": 75, "t": 300, "batch": 16, "networks": 8}
POWERS = {"n": 1.7, "k": 0.4, "t": 1.0, "batch": 0.75, "networks": -0.25}
SCANS = {"n": (32, 64, 128), "k": (8, 16, 32, 64), "t": (75, 150, 600), "batch": (4, 8, 64), "networks": (1, 32, 128)}


def row(engine: str = "torch", loop: str = "train", spread: float = 0.1, factor: float = 1.0, **different: int) -> list:
    """A row whose time is the product of POWERS of its sizes."""
    sizes = BASE | different
    ms = factor * math.prod(value ** POWERS[name] for name, value in sizes.items()) / 1e4
    return ["CPU", engine, loop, *sizes.values(), "vanilla", ms, spread * ms, 0.5, None]


def scans(**same) -> list[list]:
    """Every size scanned, with the base in all of them."""
    rows = [row(**same)]
    rows += [row(**same, **{name: value}) for name, values in SCANS.items() for value in values]
    return rows


def bench_csv(rows: list[list]) -> str:
    return csv_text(COLUMNS, rows)


def table(rows: list[list]) -> pd.DataFrame:
    """As it is read from the file."""
    return pd.read_csv(io.StringIO(bench_csv(rows)))
