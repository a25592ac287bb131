"""`engine=native`: both hot loops in C++ (`cpp/entry.h`), whole epochs at a time, on the CPU.

For rate networks, LSTM, GRU and linear recurrent units. A network's numbers are the same, bit for bit, whatever the
other networks and the number of threads, several of which may share a large one. Flossing epochs with another penalty
than the exponents, which C++ does not have, are those of torch.
"""

from typing import ClassVar

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from floss.networks import Parameters
from floss.training.cost import MATRICES, flossing_flop, training_flop
from floss.training.engine import Engine, TrainingMeasurement
from floss.training.engines import operators
from floss.training.engines.call_arguments import NAMES, TASK_NUMBERS
from floss.training.engines.shared_library import library, recipe
from floss.training.ensemble import Ensemble
from floss.training.flossed_networks import FlossingMeasurement, Selection
from floss.training.flossing import flossing_gradient
from floss.training.objective import EXPONENTS, FlossingObjective

_WORK = 2e10
"""Floating-point operations of one thread in one call: a fifth of a second, so that Ctrl-C is soon heard."""


class NativeEngine(Engine):
    """`engine=native`."""

    name: ClassVar[str] = "native"
    networks_per_thread: ClassVar[int] = 1

    def __init__(self, ensemble: Ensemble) -> None:
        """For an ensemble on the CPU.

        Raises:
            BuildError: the engine cannot be built here.
            ValueError: an architecture or a task that it does not have, or another device.
        """
        super().__init__(ensemble)
        self._arch, self._flossed = ensemble.cell.name, ensemble.cell.flossed
        if self._arch not in NAMES or ensemble.seeds.device.type != "cpu":
            raise ValueError(f"engine=native is for arch={','.join(NAMES)} on the CPU")
        self._names = NAMES[self._arch]
        library(self._arch)
        if ensemble.task.name not in TASK_NUMBERS:
            raise ValueError(f"engine=native does not have the task {ensemble.task.name}")

    @classmethod
    def environment(cls) -> dict[str, str]:
        return recipe()

    @property
    def stretch(self) -> int:
        e, p = self.ensemble, self.ensemble.protocol
        steps, k = max(run.length for run in e.flossed.runs), e.flossed.q0.shape[-1]
        flop = max(training_flop(p.steps, p.batch, p.n), flossing_flop(steps, p.n, k)) * MATRICES.get(self._arch, 1)
        epoch = len(e.networks) * flop
        return max(1, int(_WORK * min(torch.get_num_threads(), len(e.networks)) / epoch))

    def task_gradient(
        self,
        parameters: Parameters,
        x: Float[Tensor, "R T B S"],
        d: Int64[Tensor, "R"],
        first: Int64[Tensor, "R"] | None = None,
    ) -> tuple[Float[Tensor, "R"], Float[Tensor, "R"] | None, Parameters]:
        task = self.ensemble.task
        tensors = [parameters[name] for name in self._names]
        loss, accuracy, *gradient = operators.task_gradient(self._arch, tensors, x, d, task.name, first)
        by_name = dict(zip(self._names, gradient, strict=True))
        ordered = {name: by_name[name] for name in parameters}
        return loss.to(x.dtype), accuracy.to(x.dtype) if task.binary else None, ordered

    def flossing_gradient(
        self, parameters: Parameters, inputs: Float[Tensor, "m T S"], objective: FlossingObjective
    ) -> tuple[Float[Tensor, "m"], Float[Tensor, "m k"], Parameters]:
        if objective.penalty != EXPONENTS:
            return flossing_gradient(self.ensemble.cell, parameters, inputs, objective)
        o, tensors, dtype = objective, [parameters[name] for name in self._names], inputs.dtype
        loss, exponents, *gradient = operators.flossing_gradient(
            self._arch, tensors, inputs, o.q0, o.k, o.target, o.t_ons, o.run.transient
        )
        return loss.to(dtype), exponents.to(dtype), dict(zip(self._flossed, gradient, strict=True))

    def train(self, epoch: int, count: int) -> TrainingMeasurement:
        e, p, adam = self.ensemble, self.ensemble.protocol, self.ensemble.task_adam
        parameters, mean, square = (
            [part[name] for name in self._names] for part in (e.parameters, adam.mean, adam.square)
        )
        loss, accuracy = operators.train(
            self._arch,
            parameters,
            mean,
            square,
            adam.steps,
            e.diverged_at,
            e.seeds,
            e.d,
            e.task.name,
            e.task.hold,
            p.steps,
            epoch,
            count,
            p.lr,
            p.clip,
        ).to(p.dtype)
        return TrainingMeasurement(e.alive, loss, accuracy if e.task.binary else None)

    def floss(self, selection: Selection, life: Int64[Tensor, "m"], count: int, epoch: int) -> FlossingMeasurement:
        e, index, o = self.ensemble, selection.index, selection.objective
        flossed, dtype = e.flossed, e.protocol.dtype
        if o.penalty != EXPONENTS:
            return flossed.floss(selection, life, count, epoch)
        active, loss, exponents = operators.floss(
            self._arch,
            [e.parameters[name] for name in self._names],
            [flossed.adam.mean[name] for name in self._flossed],
            [flossed.adam.square[name] for name in self._flossed],
            flossed.adam.steps,
            index,
            selection.seeds,
            life,
            o.q0,
            o.k,
            o.target,
            not e.task.binary,
            e.task.hold,
            o.run.length,
            o.t_ons,
            o.run.transient,
            count,
            flossed.lr,
        )
        e.diverged_at[index[~active]] = epoch
        missing = exponents.isnan()
        largest = torch.where(missing, -torch.inf, exponents).amax(-1)
        smallest = torch.where(missing, torch.inf, exponents).amin(-1)
        return FlossingMeasurement(active, loss.to(dtype), largest.to(dtype), smallest.to(dtype))

    def evaluate(self) -> tuple[Float[Tensor, "R"], Float[Tensor, "R"] | None]:
        e, p = self.ensemble, self.ensemble.protocol
        tensors = [e.parameters[name] for name in self._names]
        measured = operators.evaluate(
            self._arch, tensors, e.seeds, e.d, e.task.name, e.task.hold, p.steps, p.evaluation_batches
        )
        loss, accuracy = measured.to(p.dtype)
        return loss, accuracy if e.task.binary else None
