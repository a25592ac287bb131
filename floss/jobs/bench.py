"""What `floss bench` asks for."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from floss.errors import ConfigError
from floss.jobs import keys
from floss.jobs.folders import check_folder
from floss.jobs.keys import Check, build, key, list_of, one_of, optional, real, text


def count(least: int) -> Check:
    """A whole number, of which a million is more than can be measured."""
    return keys.whole(least, 10**6)


def _size(value: Any) -> tuple[int, int]:
    n, k = (count(1).convert(number) for number in value)
    if k > n:
        raise ValueError
    return n, k


@dataclass(frozen=True, kw_only=True)
class BenchJob:
    """All keys of `floss bench`."""

    networks: tuple[int, ...] = key(list_of(count(1), least=1), "ensemble sizes R to measure")
    repeats: int = key(count(3), "timed rounds, every contender once in each")
    seconds: float = key(real(0.0, above=True), "least time of one contender in one round")
    epochs: int | None = key(
        optional(count(1)),
        "epochs of training or flossing of one contender in one round; null: as `seconds` has it",
    )
    n: int = key(count(1), "number of units N")
    k: int = key(count(1), "number of flossed Lyapunov exponents")
    steps: int = key(count(2), "time steps T of one training sequence")
    flossing_steps: int = key(count(13), "length T_f of one flossing run")
    batch: int = key(count(1), "sequences per training epoch B")
    cells: tuple[str, ...] = key(
        list_of(one_of("lstm", "gru", "lru")), "gated cells to measure beside torch's own modules; [] leaves them out"
    )
    cell_networks: int = key(count(1), "ensemble size R of the gated cells")
    large: tuple[int, ...] = key(
        list_of(count(1)), "units N of large networks, one alone, by the native engine; [] leaves them out"
    )
    spectrum_sizes: tuple[tuple[int, int], ...] = key(
        list_of(Check(_size, "[N,k] with whole numbers N >= k >= 1"), least=1), "sizes N, k of the spectra to measure"
    )
    spectrum_steps: int = key(count(1), "steps of one spectrum")
    spectrum_networks: tuple[int, ...] = key(list_of(count(1), least=1), "ensemble sizes R of the spectra")
    scaling_n: tuple[int, ...] = key(
        list_of(count(1)), "scan over units N, with the same k for all of them; [] switches a scan off"
    )
    scaling_k: tuple[int, ...] = key(list_of(count(1)), "scan over flossed exponents k, without those above n")
    scaling_steps: tuple[int, ...] = key(list_of(count(2)), "scan over steps T of a training sequence")
    scaling_flossing_steps: tuple[int, ...] = key(list_of(count(13)), "scan over lengths T_f of a flossing run")
    scaling_batch: tuple[int, ...] = key(list_of(count(1)), "scan over sequences per training epoch B")
    scaling_networks: int = key(count(1), "ensemble size R of the scans, which are of our own engines")
    device: str = key(one_of("auto", "cpu", "cuda"), "where to compute")
    results: str = key(text(), "folder of bench.csv, environment.json and the picture")


def bench_job(values: Mapping[str, Any]) -> BenchJob:
    """A job from the composed configuration, with everything checked that can be without computing.

    Raises:
        ConfigError: a wrong key or value, values that do not go together, or a folder that cannot be made.
    """
    from floss.runtime.device import check_device  # torch takes a second, which --help does not need

    job = build(BenchJob, values)
    if job.k > job.n:
        raise ConfigError(f"k={job.k}: must be at most n={job.n}")
    check_device(job.device)
    check_folder(job.results)
    try:
        Path(job.results).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"results={job.results}: cannot be made: {error.strerror}") from None
    return job
