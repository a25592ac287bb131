"""Keys `flossing.*`: what is flossed, and the schedule of its episodes."""

import functools
from dataclasses import dataclass
from importlib import resources
from typing import Any

from omegaconf import OmegaConf

from floss.jobs.keys import key, list_of, one_of, optional, real, text, whole


@dataclass(frozen=True, kw_only=True)
class FlossingConfig:
    """Keys `flossing.*`."""

    name: str = key(text(), "the schedule", hashed=False)
    at: tuple[int, ...] = key(list_of(whole(0)), "training epochs before which a flossing episode runs")
    every: int | None = key(optional(whole(1)), "run an episode every so many training epochs as well")
    epochs: int = key(whole(1, 10**8), "flossing epochs per episode, at most")
    k: int = key(whole(1, 10**6), "number of flossed Lyapunov exponents")
    t_ons: int = key(whole(1, 10**6), "orthonormalisation interval t_ONS, in steps")
    steps: int | None = key(optional(whole(1, 10**6)), "length T_f of one flossing run; null: max(55, d + 20)")
    transient: int | None = key(
        optional(whole(0, 10**6)), "steps of a run that are not counted; null: 10 + ceil(T_f / 10)"
    )
    target: float = key(real(), "wanted value of the flossed exponents, nats per step")
    lr: float = key(real(0.0, above=True), "learning rate of flossing")
    penalty: str = key(
        one_of("exponents", "spectral_radius", "one_step"),
        "what is penalised: the exponents, or as controls log rho(W) or the one-step Jacobians' log singular values",
        added="exponents",
    )
    until: float | None = key(
        optional(real(0.0, above=True)),
        "loss of flossing below which an episode ends for a network; null: after flossing.epochs",
        added=None,
    )

    @property
    def label(self) -> str:
        """Name of the schedule that has these episodes, or the episodes themselves where none has."""
        if (self.at, self.every) in _schedules():
            return _schedules()[self.at, self.every]
        every = [f"every{self.every}"] if self.every else []
        return "-".join(["at", *map(str, self.at), *every])

    def episodes(self, epochs: int) -> tuple[int, ...]:
        """Training epochs before which an episode runs, in a training of so many epochs."""
        from floss.training.schedule import episode_starts

        return episode_starts(self.at, self.every, epochs)

    def schedule_in_effect(self, epochs: int) -> tuple[tuple[int, ...], int | None]:
        """`at` and `every` of these episodes, however they were given: those of the first schedule that has them."""
        return _schedule_in_effect(self.episodes(epochs), epochs)


REFERENCE = FlossingConfig(
    name="",
    at=(),
    every=None,
    epochs=500,
    k=75,
    t_ons=1,
    steps=None,
    transient=None,
    target=0.0,
    lr=1e-3,
    penalty="exponents",
    until=None,
)
"""The values of conf/flossing_base.yaml."""


@functools.cache
def _schedules() -> dict[tuple[tuple[int, ...], int | None], str]:
    """Name of each schedule in `conf/flossing`, by its episodes."""
    names = {}
    for file in sorted(resources.files("floss.conf.flossing").iterdir(), key=lambda file: file.name):
        if file.name.endswith(".yaml"):
            schedule: Any = OmegaConf.create(file.read_text(encoding="utf-8"))
            names[tuple(schedule.get("at", ())), schedule.get("every")] = schedule.name
    return names


@functools.lru_cache(maxsize=10_000)
def _schedule_in_effect(starts: tuple[int, ...], epochs: int) -> tuple[tuple[int, ...], int | None]:
    from floss.training.schedule import episode_starts, said_shortly

    # Those of a list first, and the shorter ones; the end of a training may leave a part of one, which is another.
    for at, every in sorted(_schedules(), key=lambda keys: (keys[1] is not None, len(keys[0]))):
        whole = all(epoch < epochs for epoch in (*at, every or 0))
        if whole and episode_starts(at, every, epochs) == starts:
            return at, every
    return said_shortly(starts, epochs)
