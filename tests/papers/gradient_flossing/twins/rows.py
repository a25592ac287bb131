"""Rows of tables as plain Python reads them, and the numbers that several figures ask of them."""

import contextlib
import csv
import io
import math
from statistics import fmean as mean
from statistics import median
from typing import Any

from made_up_data import Row

TEXTS = {"network", "flossing", "task", "phase", "method", "engine", "loop", "status"}


class Fields(dict[str, Any]):
    """One row of a CSV file: numbers, texts, and NaN for nothing; a field is read when it is asked for."""

    def __init__(self, place: dict[str, int], fields: list[str]) -> None:
        super().__init__()
        self.place, self.fields = place, fields

    def __missing__(self, column: str) -> Any:
        field: Any = self.fields[self.place[column]]
        if column not in TEXTS:
            with contextlib.suppress(ValueError):
                field = float(field or "nan")
        self[column] = field
        return field


def rows_of(tables: dict[str, str]) -> dict[str, list[Row]]:
    """The rows of CSV files."""
    found: dict[str, list[Row]] = {}
    for name, content in tables.items():
        columns, *lines = csv.reader(io.StringIO(content))
        place = {column: i for i, column in enumerate(columns)}
        found[name] = [Fields(place, fields) for fields in lines]
    return found


def select(rows: list[Row], **wanted: Any) -> list[Row]:
    return [r for r in rows if all(v(r[c]) if callable(v) else r[c] == v for c, v in wanted.items())]


def groups(rows: list[Row], *columns: str) -> dict[Any, list[Row]]:
    found: dict[Any, list[Row]] = {}
    for row in rows:
        key = tuple(row[c] for c in columns)
        found.setdefault(key[0] if len(key) == 1 else key, []).append(row)
    return found


def by_epoch(row: Row) -> float:
    return row["epoch"]


def accuracy(rows: list[Row], **wanted: Any) -> float:
    return mean(0.5 if r["status"] == "diverged" else r["final_accuracy"] for r in select(rows, **wanted))


def sizes(rows: list[Row], column: str) -> list[Any]:
    return sorted({row[column] for row in rows})


def typical(rows: list[Row], d: int, k: int) -> float:
    return median(r["final_accuracy"] for r in select(rows, d=d, k=k))


def training(t: Any, run: str = "gradient", **wanted: Any) -> list[list[Row]]:
    """The training rows of each network, by epoch."""
    rows = groups(select(t[run]["metrics"], phase="train", **wanted), "network").values()
    return [sorted(own, key=by_epoch) for own in rows]


def solved(rows: list[Row]) -> dict[float, bool]:
    """Whether the network of each seed has a final accuracy above 95 %."""
    return {r["seed"]: r["final_accuracy"] > 0.95 for r in rows}


def share(of_seeds: dict[float, bool]) -> float:
    """NaN of none: a delay that only the larger scale has."""
    return mean(of_seeds.values()) if of_seeds else math.nan
