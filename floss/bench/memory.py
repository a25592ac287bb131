"""Run a contender in a process of its own and print how much memory it added, in MB; used by `floss bench`."""

import dataclasses
import json
import re
import resource
import sys
from pathlib import Path

from floss.bench import peers
from floss.bench.command import Contender, epochs_of


def peak_kilobytes() -> int:
    """Largest resident size of this process so far. Linux counts a parent's size in `ru_maxrss`, so not that there."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(re.search(r"VmHWM:\s+(\d+)", status.read_text())[1])  # pyright: ignore[reportOptionalSubscript]
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main() -> None:
    """Three epochs of the contender that the first argument describes."""
    contender = Contender(**json.loads(sys.argv[1]))
    peers.load(contender.engine)
    # What libraries load and hold at their first use is not the contender's: a tiny one runs before it.
    epochs_of(dataclasses.replace(contender, n=2, k=1, t=20, batch=1, networks=1), "cpu")(2)
    before = peak_kilobytes()
    epochs_of(contender, "cpu")(3)
    print((peak_kilobytes() - before) / 1024)


if __name__ == "__main__":
    main()
