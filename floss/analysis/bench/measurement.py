"""One run of `floss bench`, from its job to its folder: check, time, weigh, write. It prints nothing and draws nothing.

measurement = measure(job)      measurement.rows, measurement.folder
"""

import dataclasses
import statistics
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from floss.analysis.bench import memory, peers
from floss.analysis.bench.agreement import Agreement, checked_agreements
from floss.analysis.bench.contenders import Contender, compared, flop, scanned
from floss.analysis.bench.rounds import timed_rounds
from floss.jobs.bench import BenchJob
from floss.runtime.device import device_of
from floss.runtime.environment import environment
from floss.runtime.files import csv_text, seal, write_json, write_whole
from floss.training import engines


@dataclass(frozen=True)
class Row:
    """A row of bench.csv: a contender, and what was measured of it."""

    device: str
    engine: str
    loop: str
    n: int
    k: int
    t: int
    batch: int
    networks: int
    arch: str
    ms_per_network_epoch: float
    """Median over the rounds."""
    spread: float
    """Distance of the quartiles, in ms."""
    share_of_matmul_rate: float
    """Of the operations that no method can avoid, by torch's product rate."""
    peak_mb: float | None
    """None in a scan."""


COLUMNS = tuple(field.name for field in dataclasses.fields(Row))


@dataclass(frozen=True)
class Measurement:
    """What a run of `floss bench` found."""

    folder: Path
    """Holds bench.csv, environment.json and SHA256SUMS."""
    rows: list[Row]
    """Of what is compared, loop by loop, and then of the scans."""
    agreements: list[Agreement]
    """Between engines and peers, checked before anything was timed."""

    @property
    def table(self) -> Path:
        """The file with the rows."""
        return self.folder / "bench.csv"


def measure(job: BenchJob, bar: Callable[..., Any] = tqdm) -> Measurement:
    """Check that all contenders compute the same, time them, and write bench.csv, environment.json and SHA256SUMS.

    Args:
        job: what is measured.
        bar: makes the progress bar, with the arguments of tqdm.

    Raises:
        RuntimeError: two implementations do not compute the same; nothing is written.
        OSError: a file cannot be written.
    """
    device = device_of(job.device)
    others = peers.installed() if device == "cpu" else []
    ours = engines.available(device)
    agreements = checked_agreements(job, device, ours, others)
    weighed = compared(job, ours, others)
    contenders = list(dict.fromkeys([*weighed, *scanned(job, ours)]))
    with bar(unit="step", disable=None, dynamic_ncols=True) as shown:

        def steps(title: str, items: Sequence[Any]) -> Iterator[Any]:
            shown.set_description_str(title)
            shown.reset(len(items))
            for item in items:
                yield item
                shown.update()

        times, rates = timed_rounds(job, contenders, device, steps)
        with ThreadPoolExecutor(1 if device == "cuda" else 2) as pool:  # nothing is timed here
            waiting = [pool.submit(memory.peak_megabytes, contender, device) for contender in weighed]
            peaks = [each.result() for each in steps("memory", waiting)]
    info = environment(device)
    info["packages"] |= peers.versions(others)
    for engine in ours:
        info |= engines.ENGINES[engine].environment()
    single, double = (statistics.median(rate) for rate in zip(*rates, strict=True))
    peak = dict(zip(weighed, peaks, strict=True))
    rows = [
        _row(info["device"], contender, seconds, double if contender.loop == "spectrum" else single, peak)
        for contender, seconds in zip(contenders, times, strict=True)
    ]
    gflops = {"matmul_gflops": round(single / 1e9, 1), "matmul_gflops_float64": round(double / 1e9, 1)}
    measurement = Measurement(Path(job.results), rows, agreements)
    measurement.folder.mkdir(parents=True, exist_ok=True)
    write_whole(measurement.table, csv_text(COLUMNS, [dataclasses.astuple(row) for row in rows]).encode())
    write_json(measurement.folder / "environment.json", {**info, **gflops})
    seal(measurement.folder)
    return measurement


def _row(device: str, contender: Contender, seconds: list[float], rate: float, peak: dict[Contender, float]) -> Row:
    low, middle, high = (1e3 * t / contender.networks for t in statistics.quantiles(seconds, n=4))
    return Row(
        device,
        *dataclasses.astuple(contender),
        ms_per_network_epoch=round(middle, 4),
        spread=round(high - low, 4),
        share_of_matmul_rate=round(flop(contender) / (middle / 1e3) / rate, 4),
        peak_mb=round(peak[contender], 1) if contender in peak else None,
    )


def expected_seconds(job: BenchJob) -> float:
    """About how long `measure` takes, without measuring anything."""
    ours = ["native", "torch"]
    loops = len(compared(job, ours, [])) + len(scanned(job, ours))
    return loops * (job.repeats + 3) * max(job.seconds, 0.02)
