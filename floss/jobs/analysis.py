"""The configuration of `floss spectrum` and `floss condition`: every key, what it means, and which go together."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from floss.errors import ConfigError
from floss.jobs import extensions
from floss.jobs.checked import check_cell
from floss.jobs.checkpoints import checkpoint_of, digest_of
from floss.jobs.folders import check_folder
from floss.jobs.hashing import config_hash
from floss.jobs.keys import build, either, key, list_of, one_of, one_or_more, optional, real, switch, text, whole
from floss.jobs.train import ArchConfig

if TYPE_CHECKING:
    from floss.training.schedule import FlossingRun

Analysis = TypeVar("Analysis", bound="AnalysisJob")


@dataclass(frozen=True, kw_only=True)
class EpisodeConfig:
    """Keys `flossing.*` of an analysis: one episode, before and after which the networks are looked at."""

    epochs: int = key(whole(0, 10**8), "flossing epochs; 0: look at the networks as they are")
    k: tuple[int, ...] = key(one_or_more(whole(1)), "number of flossed exponents")
    target: tuple[float, ...] = key(one_or_more(real()), "wanted value of the flossed exponents, nats per step")
    steps: int = key(whole(1, 10**6), "length T_f of one flossing run")
    transient: int | None = key(optional(whole(0)), "steps of a run that are not counted; null: 10 + ceil(T_f / 10)")
    t_ons: int = key(whole(1), "orthonormalisation interval of the flossing runs, in steps")
    lr: float = key(real(0.0, above=True), "learning rate of flossing")

    @property
    def run(self) -> "FlossingRun":
        """The run along which the networks are flossed."""
        from floss.training.schedule import FlossingRun

        return FlossingRun.of_length(self.steps, self.transient)


@dataclass(frozen=True, kw_only=True)
class AnalysisJob:
    """Keys that `floss spectrum` and `floss condition` share: which networks, and how they are flossed."""

    seed: int = key(whole(0, 2**63 - 1), "seed of the first network")
    seeds: int = key(whole(1, 10**5), "number of networks; their seeds count up from `seed`")
    arch: ArchConfig
    random_g: bool = key(switch(), "draw each network's gain uniformly between 0 and arch.g")
    checkpoint: str | None = key(
        optional(text()),
        "networks.safetensors or checkpoint.pt of a training run, or a folder of a run, sweep or ensemble: its"
        " networks, not fresh ones",
        hashed=False,
    )
    run: int | None = key(
        optional(whole(1)), "which run of a checkpoint that has several, counted from 1", hashed=False
    )
    input: str = key(
        one_of("auto", "uniform", "bits", "gaussian", "none"), "what drives the networks; auto: uniform, or the task's"
    )
    inputs: int = key(whole(1, 10**6), "number of inputs S of fresh networks")
    steps: int = key(whole(1, 10**8), "time steps T that are counted")
    transient: int = key(whole(0, 10**8), "steps before them that are not")
    flossing: EpisodeConfig
    device: str = key(one_of("auto", "cpu", "cuda"), "where to compute", hashed=False)
    dtype: str = key(one_of("float64", "float32"), "precision")
    results: str = key(text(), "folder under which the analysis' own folder lies", hashed=False)

    kind: ClassVar[str]

    @property
    def folder(self) -> Path:
        """The analysis' own folder."""
        further: dict[str, Any] = {}
        if self.checkpoint is not None:
            checkpoint = checkpoint_of(self.checkpoint, self.run)
            further = {"checkpoint": digest_of(self.checkpoint, checkpoint.file)}
            further |= {} if checkpoint.number is None else {"run": checkpoint.number}
        return Path(self.results) / f"{self.kind}-{self.arch.name}-{config_hash(self, **further)}"


@dataclass(frozen=True, kw_only=True)
class SpectrumJob(AnalysisJob):
    """All keys of `floss spectrum`."""

    kind: ClassVar[str] = "spectrum"

    k: int | None = key(optional(whole(1)), "number of exponents; null: all")
    t_ons: int | str = key(either(whole(1, 10**8), one_of("adaptive")), "orthonormalisation interval t_ONS, in steps")
    states: int = key(whole(1, 10**5), "initial states of each network")
    blocks: int = key(whole(2, 10**6), "blocks of time behind the standard errors")
    show: tuple[int, ...] = key(list_of(whole(1)), "exponents whose convergence is tabled and drawn")


@dataclass(frozen=True, kw_only=True)
class ConditionJob(AnalysisJob):
    """All keys of `floss condition`."""

    kind: ClassVar[str] = "condition"

    horizons: int = key(whole(1, 10**6), "number of time horizons between 0 and `steps`")
    dims: tuple[int, ...] | None = key(
        optional(one_or_more(whole(1))), "tangent dimensions m against time; null: the flossed k, and all"
    )
    at: int = key(whole(1), "time horizon of the panel against m")
    bits: int | str | None = key(
        optional(either(whole(2, 10**6), one_of("auto"))),
        "bits per float of a second computation in arbitrary precision; 256 in the paper",
    )


def analysis_job(config: type[Analysis], values: Mapping[str, Any], explicit: Collection[str] = ()) -> Analysis:
    """An analysis from the composed configuration, checked; with a checkpoint, its networks' configuration.

    Args:
        config: `SpectrumJob` or `ConditionJob`.
        values: the composed configuration.
        explicit: keys that were given on the command line; they must not contradict the checkpoint.

    Raises:
        ConfigError: a wrong key or value, values that do not go together, or a checkpoint that cannot be read.
    """
    if values.get("checkpoint") is not None:
        values = _from_checkpoint(str(values["checkpoint"]), values, explicit)
    job = build(config, values)
    if job.run is not None and job.checkpoint is None:
        raise ConfigError(f"run={job.run}: chooses a run of a checkpoint, and checkpoint=null")
    from floss.networks import CELLS
    from floss.networks.linear_students import CELLS as LINEAR_STUDENTS

    extensions.check("arch", job.arch.name)
    check_cell(job.arch)
    if job.inputs != 1 and job.arch.name in LINEAR_STUDENTS:
        raise ConfigError(f"inputs={job.inputs}: must be 1 for arch={job.arch.name}")
    size = CELLS[job.arch.name].state_size(job.arch.n)
    bounded: dict[str, tuple[int, ...]] = {"flossing.k": job.flossing.k} if job.flossing.epochs else {}
    if isinstance(job, SpectrumJob):
        bounded["k"] = (job.k,) if job.k else ()
        if isinstance(job.t_ons, int) and job.t_ons > job.steps:  # a run under another name: that of t_ons=steps
            raise ConfigError(f"t_ons={job.t_ons}: must be at most steps={job.steps}, the counted steps of the run")
    if isinstance(job, ConditionJob):
        bounded["dims"] = job.dims or ()
        if job.at > job.steps:
            raise ConfigError(f"at={job.at}: must be at most steps={job.steps}")
    for name, sizes in bounded.items():
        if sizes and max(sizes) > size:
            raise ConfigError(f"{name}={max(sizes)}: must be at most the state size, {size} for arch={job.arch.name}")
    if isinstance(job, ConditionJob) and job.bits is not None and find_spec("flint") is None:
        raise ConfigError(f"bits={job.bits}: needs python-flint; pip install 'floss[exact]' adds it")
    f, run = job.flossing, job.flossing.run
    if f.epochs and run.counted <= 0:
        raise ConfigError(f"flossing.steps={f.steps}: must be more than the {run.transient} steps that are not counted")
    if f.epochs and f.t_ons > run.counted:
        counted = f"{run.counted}, the counted steps of a run of {f.steps}"
        raise ConfigError(f"flossing.t_ons={f.t_ons}: must be at most {counted}")
    if job.seed + job.seeds > 2**63:
        raise ConfigError(f"seeds={job.seeds}: seed + seeds must be at most 2**63, and seed={job.seed}")
    from floss.runtime.device import check_device  # torch takes a second, which --help does not need

    check_device(job.device)
    check_folder(job.results)
    return job


@dataclass(frozen=True)
class _Run:
    run: int | None = key(optional(whole(1)), "")


def _from_checkpoint(path: str, values: Mapping[str, Any], explicit: Collection[str]) -> dict[str, Any]:
    """The values of an analysis with the networks of a training run's configuration in place of fresh ones."""
    number = values.get("run")
    if number is not None:
        number = build(_Run, {"run": number}).run
    checkpoint = checkpoint_of(path, number)
    digest_of(path, checkpoint.file)
    run = checkpoint.run
    of_run = {"seed": run["seed"], "seeds": run["seeds"], "arch": run["arch"], "random_g": False}
    arch = dict(run["arch"])
    for name in explicit:
        group, _, part = name.partition(".")
        value = values[group].get(part or "name") if group == "arch" else values.get(group)
        fixed = arch.get(part or "name") if group == "arch" else of_run.get(group)
        if group in ("arch", "seed", "seeds", "random_g", "inputs") and (group == "inputs" or value != fixed):
            shown = "its task's" if group == "inputs" else fixed
            raise ConfigError(f"{name}={value}: the networks of the checkpoint have {name}={shown}; leave it out")
    return {**values, **of_run}
