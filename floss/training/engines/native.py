"""`engine=native`: both hot loops of vanilla networks in C++ (`cpp/native.cpp`), whole epochs at a time, on the CPU.

A network's numbers are the same, bit for bit, whatever the other networks and the number of threads.
"""

from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from floss.networks import Parameters
from floss.training.engines import operators
from floss.training.engines.operators import FLOSSED, NAMES
from floss.training.engines.shared_library import library
from floss.training.engines.torch_engine import TorchEngine
from floss.training.ensemble import Ensemble

_WORK = 2e10
"""Floating-point operations of one thread in one call: a fifth of a second, so that Ctrl-C is soon heard."""


class NativeEngine(TorchEngine):
    """`engine=native`."""

    name: ClassVar[str] = "native"
    networks_per_thread: ClassVar[int] = 1

    def __init__(self, ensemble: Ensemble) -> None:
        """For an ensemble of vanilla networks on the CPU.

        Raises:
            BuildError: the engine cannot be built here.
            ValueError: another architecture, or another device.
        """
        super().__init__(ensemble)
        library()
        if ensemble.cell.name != "vanilla" or ensemble.seeds.device.type != "cpu":
            raise ValueError("engine=native is for arch=vanilla on the CPU")
        if ensemble.task.name not in operators.TASK_NUMBERS:
            raise ValueError(f"engine=native does not have the task {ensemble.task.name}")

    @classmethod
    def environment(cls) -> dict[str, str]:
        built = library()
        return {"native_instructions": built.instructions, "compiler": built.compiler}

    @property
    def stretch(self) -> int:
        e, p = self.ensemble, self.ensemble.protocol
        k, steps = e.q0.shape[-1], int(e.runs[:, 0].max())
        flossing = steps * (6 * p.n**2 * k + 5 * p.n * k**2)
        epoch = len(e.networks) * max(6 * p.steps * p.batch * p.n**2, flossing)
        return max(1, int(_WORK * min(torch.get_num_threads(), len(e.networks)) / epoch))

    def task_gradient(
        self, parameters: Parameters, x: Float[Tensor, "R T B S"], d: Int64[Tensor, "R"]
    ) -> tuple[Float[Tensor, "R"], Float[Tensor, "R"] | None, Parameters]:
        task = self.ensemble.task
        loss, accuracy, *gradient = operators.task_gradient([parameters[name] for name in NAMES], x, d, task.name)
        by_name = dict(zip(NAMES, gradient, strict=True))
        ordered = {name: by_name[name] for name in parameters}
        return loss.to(x.dtype), accuracy.to(x.dtype) if task.binary else None, ordered

    def flossing_gradient(
        self,
        parameters: Parameters,
        inputs: Float[Tensor, "R T S"],
        q0: Float[Tensor, "R N k"],
        *,
        k: Int64[Tensor, "R"],
        target: Float[Tensor, "R"],
        t_ons: int,
        transient: int,
    ) -> tuple[Float[Tensor, "R"], Float[Tensor, "R k"], Parameters]:
        tensors = [parameters[name] for name in NAMES]
        loss, exponents, *gradient = operators.flossing_gradient(tensors, inputs, q0, k, target, t_ons, transient)
        dtype = inputs.dtype
        return loss.to(dtype), exponents.to(dtype), dict(zip(FLOSSED, gradient, strict=True))

    def train(self, epoch: int, count: int) -> tuple[Bool[Tensor, "R"], Float[Tensor, "R"], Float[Tensor, "R"] | None]:
        e, p, adam = self.ensemble, self.ensemble.protocol, self.ensemble.task_adam
        parameters, mean, square = ([part[name] for name in NAMES] for part in (e.parameters, adam.mean, adam.square))
        loss, accuracy = operators.train(
            parameters,
            mean,
            square,
            adam.steps,
            e.diverged_at,
            e.seeds,
            e.d,
            e.task.name,
            p.steps,
            epoch,
            count,
            p.lr,
            p.clip,
        ).to(p.dtype)
        return e.alive, loss, accuracy if e.task.binary else None

    def floss(
        self, index: Int64[Tensor, "m"], life: Int64[Tensor, "m"], count: int, *, epoch: int
    ) -> tuple[Bool[Tensor, "m"], Float[Tensor, "m"], Float[Tensor, "m"]]:
        e, p, adam = self.ensemble, self.ensemble.protocol, self.ensemble.flossing_adam
        steps, transient = e.runs[index[0]].tolist()
        k = e.k[index]
        active, loss, exponents = operators.floss(
            [e.parameters[name] for name in NAMES],
            [adam.mean[name] for name in FLOSSED],
            [adam.square[name] for name in FLOSSED],
            adam.steps,
            index,
            e.seeds[index],
            life,
            e.q0[index, :, : int(k.max())],
            k,
            e.target[index],
            not e.task.binary,
            steps,
            p.t_ons,
            transient,
            count,
            p.flossing_lr,
        )
        e.diverged_at[index[~active]] = epoch
        largest = torch.where(exponents.isnan(), -torch.inf, exponents).amax(-1)
        return active, loss.to(p.dtype), largest.to(p.dtype)

    def evaluate(self) -> tuple[Float[Tensor, "R"], Float[Tensor, "R"] | None]:
        e, p = self.ensemble, self.ensemble.protocol
        tensors = [e.parameters[name] for name in NAMES]
        measured = operators.evaluate(tensors, e.seeds, e.d, e.task.name, p.steps, p.evaluation_batches)
        loss, accuracy = measured.to(p.dtype)
        return loss, accuracy if e.task.binary else None
