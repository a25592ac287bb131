"""How much memory there is, and jobs that are too large for it, answered in one line."""

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from floss.errors import ConfigError


@contextlib.contextmanager
def fits_in_memory(sizes: str) -> Iterator[None]:
    """Turn a failed allocation into a ConfigError that names the keys and values that `sizes` lists."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and not re.search(r"out of memory|allocate", str(error)):
            raise
        raise ConfigError(f"{sizes}: does not fit into memory") from None


def free_memory() -> float:
    """Bytes that this process may still take of the machine's memory, and of what a container allows it."""
    free = float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    with contextlib.suppress(OSError, StopIteration, ValueError):  # Linux says what programs can have
        lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
        free = 1024.0 * int(next(line for line in lines if line.startswith("MemAvailable")).split()[1])
    with contextlib.suppress(OSError, ValueError):  # "max" where a control group has no limit
        group = Path("/sys/fs/cgroup")
        most, used = ((group / name).read_text(encoding="utf-8") for name in ("memory.max", "memory.current"))
        free = min(free, float(int(most) - int(used)))
    return max(free, 0.0)
