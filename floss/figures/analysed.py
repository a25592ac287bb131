"""What the pictures of an analysis have in common: networks before flossing, and the variants after it."""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false, reportArgumentType=false

import numpy as np
import pandas as pd

from floss.figures.style import COLOURS, DASHES, MARKERS
from floss.runtime.files import texts_apart


def with_variant(table: pd.DataFrame) -> pd.DataFrame:
    """The table with two more columns.

    `variant` is what a legend calls the networks, by what differs between them; `network` tells those of one variant
    apart, and their initial states.
    """
    after = table[table["flossing"] == "after"]
    varying = [(name, word) for name, word in (("k", "k = "), ("target", "target ")) if after[name].nunique() > 1]
    varying = varying or [("k", "k = ")]

    texts = texts_apart(after["target"].astype(float), 6, 9)

    def label(k: float, target: float) -> str:
        values = {"k": f"{k:g}", "target": texts[float(target)]}
        return "flossed, " + ", ".join(word + values[name] for name, word in varying)

    labels = [
        label(k, target) if when == "after" else "before flossing"
        for when, k, target in zip(table["flossing"], table["k"], table["target"], strict=True)
    ]
    apart = [table[name].astype(str) for name in ("g", "seed", "state") if name in table]
    network = [" ".join(parts) for parts in zip(*apart, strict=True)]
    # Exponents of -inf: units that do not respond; there is nothing to draw.
    return table.assign(variant=labels, network=network).replace([np.inf, -np.inf], np.nan)


def count(curves: pd.DataFrame) -> str:
    """How many curves a variant has, one in each column, and how many of them could not be drawn."""
    missing = int(curves.isna().all(axis=0).sum())
    return f"n = {curves.shape[1]}" + (f", {missing} not finite" if missing else "")


def looks(labels: list[str]) -> dict[str, tuple[str, str, str | tuple[int, tuple[int, ...]]]]:
    """Colour, marker and line style of each variant, the same in every picture."""
    after = [label for label in labels if label != "before flossing"]
    styles = {"before flossing": (COLOURS[0], MARKERS[0], DASHES[0])}
    for i, label in enumerate(after, start=1):
        colour = COLOURS[1 + (i - 1) % (len(COLOURS) - 1)]  # the first one is for the networks before flossing
        styles[label] = (colour, MARKERS[i % len(MARKERS)], DASHES[i % len(DASHES)])
    return styles


def variants(table: pd.DataFrame) -> list[str]:
    """The labels, in the order of the rows."""
    return list(dict.fromkeys(table["variant"]))
