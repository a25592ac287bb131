"""Run a contender in a process of its own and print how much memory it added, in MB; used by `floss bench`."""

import json
import re
import resource
import sys
from pathlib import Path

import torch

from floss.bench import spectrum
from floss.bench.command import Contender, epoch_of
from floss.config import BenchJob


def peak_kilobytes() -> int:
    """Largest resident size of this process so far. Linux counts a parent's size in `ru_maxrss`, so not that there."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(re.search(r"VmHWM:\s+(\d+)", status.read_text())[1])  # pyright: ignore[reportOptionalSubscript]
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main() -> None:
    """Five epochs of the contender that the first argument describes."""
    request = json.loads(sys.argv[1])
    job = BenchJob(**request["job"])
    contender = Contender(**request["contender"])
    spectrum.load(contender.engine)  # neither the libraries nor their own buffers are the contender's
    torch.linalg.qr(torch.randn(8, 8) @ torch.randn(8, 8))
    before = peak_kilobytes()
    epoch = epoch_of(contender, job, "cpu")
    for _ in range(5):
        epoch()
    print((peak_kilobytes() - before) / 1024)


if __name__ == "__main__":
    main()
