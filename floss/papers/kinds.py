"""The kinds of jobs that every paper has; a paper lists those of its own beside them."""

from floss.papers.analyses import BENCH, CONDITION, SPECTRUM
from floss.papers.kind import Kind
from floss.papers.networks import TRAIN

KINDS: tuple[Kind, ...] = (TRAIN, SPECTRUM, CONDITION, BENCH)
"""In the order in which they are computed."""
