"""Data of the user's own in the place of those that a paper's figures are computed on.

What is recorded of the data, in the reproduction's folder, is enough to find, draw and judge what was computed on them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from floss.papers.paper import Paper


@dataclass(frozen=True)
class OwnData:
    """How a paper takes data of the user's."""

    figures: tuple[str, ...]
    """Names of the figures that take them."""
    read: Callable[[str], Mapping[str, Any]]
    """The record of the data in a file: `name`, which follows from the content alone, `file`, the file's name, and
    whatever else the figures must know. Raises a ConfigError that begins with data=FILE where they are no such data."""
    paper: Callable[["Paper", Mapping[str, Any]], "Paper"]
    """The paper with those figures alone that take the data, computed on the data of a record."""
