"""`floss bench`: measure beside what a user would pick instead, and show the tables."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from floss.analysis.bench.measurement import Row


def run(command: str, arguments: list[str]) -> None:
    """Measure, print the tables, and draw how the cost grows."""
    from floss.commands.hydra_app import run_hydra

    run_hydra(command, arguments, _bench)


def _bench(config: Any) -> None:
    from floss.analysis.bench import peers
    from floss.analysis.bench.measurement import measure
    from floss.figures import draw
    from floss.jobs.bench import bench_job
    from floss.jobs.compose import plain
    from floss.runtime.device import device_of
    from floss.runtime.free_memory import fits_in_memory

    job = bench_job(plain(config))
    if device_of(job.device) == "cpu" and (line := peers.missing_line(peers.installed())):
        print(line, file=sys.stderr)
    with fits_in_memory(f"networks={list(job.networks)}, n={job.n}, steps={job.steps}, batch={job.batch}"):
        measurement = measure(job)
    for agreement in measurement.agreements:
        print(agreement)
    _print_comparison([row for row in measurement.rows if row.peak_mb is not None])
    _print_growth(measurement.table)
    print(f"table    {measurement.table}")
    for path in draw(measurement.folder):
        print(f"picture  {path}")


def _print_comparison(rows: "list[Row]") -> None:
    print("loop     engine       cell        N    k    R    B  ms/network/epoch  spread  faster  of matmul  peak MB")
    first: dict[tuple[Any, ...], float] = {}
    for row in rows:
        ms = row.ms_per_network_epoch
        sizes = (row.loop, row.arch, row.n, row.k, row.batch)
        faster = f"{first.setdefault(sizes, ms) / ms:.1f}x"  # than the first of these sizes
        print(
            f"{row.loop:8} {row.engine:12} {row.arch:8} {row.n:4} {row.k:4} {row.networks:4} {row.batch:4} {ms:17.2f} "
            f"{row.spread:7.2f} {faster:>7} {row.share_of_matmul_rate:10.0%} {row.peak_mb:8.0f}"
        )


def _print_growth(table: Path) -> None:
    """Exponents from the table, as anybody can fit them again."""
    import pandas as pd

    from floss.figures.growth import ORDERS, SIZES, growth

    fits = growth(pd.read_csv(table))
    if fits:
        print("ms/network/epoch grows as a power of one size (± standard error); beside it what Table 1's orders give")
        print("loop     engine       size         values    exponent  Table 1")
    for g in fits:
        values = f"{g.values[0]}..{g.values[-1]}"
        exponent = f"{g.exponent:.2f} ± {g.error:.2f}"
        print(
            f"{g.loop:8} {g.engine:12} {SIZES[g.size]:4} {values:>14} {exponent:>11}  {g.orders:4.2f}  {ORDERS[g.loop]}"
        )
