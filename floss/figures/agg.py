"""Matplotlib, imported such that pictures depend on nothing of where they are drawn.

A notebook names in MPLBACKEND a backend that need not be installed beside floss, and a `matplotlibrc` of the user, or
of the folder that a command runs in, may hold anything. Neither is read where floss imports matplotlib; where a program
has imported it before, its settings stay, and floss draws by its own.
"""

import contextlib
import os
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path


@contextlib.contextmanager
def _own_settings() -> Iterator[None]:
    spec = find_spec("matplotlib")
    shipped = Path(spec.origin or "").with_name("mpl-data") if spec else Path()
    before = os.environ.get("MPLBACKEND")
    os.environ["MPLBACKEND"] = "agg"
    try:
        with contextlib.ExitStack() as moved:
            with contextlib.suppress(OSError):  # matplotlib reads the matplotlibrc of the folder that it starts in
                moved.enter_context(contextlib.chdir(shipped))
            yield
    finally:
        del os.environ["MPLBACKEND"]
        if before is not None:
            os.environ["MPLBACKEND"] = before


if "matplotlib" not in sys.modules:
    with _own_settings():
        import matplotlib  # noqa: F401
