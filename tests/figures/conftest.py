"""Which kinds of pictures are rendered."""

from collections.abc import Iterator
from contextlib import nullcontext

import pytest
from figures.pictures import only_svg


@pytest.fixture(params=["svg", pytest.param("both", marks=pytest.mark.slow)])
def kinds(request: pytest.FixtureRequest) -> Iterator[None]:
    """For tests of what is drawn: of every picture the SVG alone, and among the slow tests the PNG as well."""
    with only_svg() if request.param == "svg" else nullcontext():
        yield
