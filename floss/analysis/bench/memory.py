"""The memory that a contender takes; on the CPU measured in a process of its own, whose main function is here."""

import dataclasses
import gc
import json
import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import torch

from floss.analysis.bench import peers
from floss.analysis.bench.contenders import Contender
from floss.analysis.bench.loops import epochs_of

_EPOCHS = {"cpu": 3, "cuda": 5}
"""Epochs that are run; on a GPU so many that the epoch is captured in a CUDA graph, and replayed."""


def peak_megabytes(contender: Contender, device: str) -> float:
    """Memory that the contender adds to a process that has run a tiny one before, at its peak over a few epochs.

    What JAX takes for compiling is a part of it.
    """
    if device == "cuda":
        gc.collect()  # what was measured before
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        epochs_of(contender, device)(_EPOCHS[device])
        return (torch.cuda.max_memory_allocated() - before) / 1e6
    command = [sys.executable, "-m", "floss.analysis.bench.memory", json.dumps(dataclasses.asdict(contender))]
    # Nothing is timed here: threads that wait leave their core to the process beside.
    calm = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE"}
    done = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", check=True, env=calm)
    return float(done.stdout)


def peak_kilobytes() -> int:
    """Largest resident size of this process so far. Linux counts a parent's size in `ru_maxrss`, so not that there."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(re.search(r"VmHWM:\s+(\d+)", status.read_text(encoding="utf-8"))[1])  # pyright: ignore[reportOptionalSubscript]
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main() -> None:
    """Run the contender that the first argument describes and print how much memory it added, in MB."""
    contender = Contender(**json.loads(sys.argv[1]))
    peers.load(contender.engine)
    # What libraries load and hold at their first use is not the contender's: a tiny one runs before it.
    epochs_of(dataclasses.replace(contender, n=2, k=1, t=20, batch=1, networks=1), "cpu")(2)
    before = peak_kilobytes()
    epochs_of(contender, "cpu")(_EPOCHS["cpu"])
    print((peak_kilobytes() - before) / 1024)


if __name__ == "__main__":
    main()
