"""Jobs that are too large for the machine, answered in one line."""

import contextlib
import re
from collections.abc import Iterator

from floss.keys import ConfigError


@contextlib.contextmanager
def fits_in_memory(sizes: str) -> Iterator[None]:
    """Turn a failed allocation into a ConfigError that names the keys and values that `sizes` lists."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and not re.search(r"out of memory|allocate", str(error)):
            raise
        raise ConfigError(f"{sizes}: does not fit into memory") from None
