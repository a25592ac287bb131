"""Gradient flossing of a user's own network, in episodes within its own training loop."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import isfinite
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from floss import random
from floss.lyapunov import arguments
from floss.lyapunov.spectrum import lyapunov_spectrum
from floss.training.flossing_loss import flossing_loss
from floss.training.schedule import transient_steps
from floss.training.user_network.own_adam import OwnAdam
from floss.training.user_network.settings import (
    Until,
    criterion,
    drive,
    initial_vectors,
    parameters_of,
    step_numbers,
    wanted_exponents,
)
from floss.training.user_network.watched import DirectedMap, in_evaluation_mode, takes_one_argument, watched

_CALLER = "Flosser"


@dataclass(frozen=True, eq=False)
class FlossingEpisode:
    """What an episode of `floss.Flosser` has done."""

    loss: Float[Tensor, "E"]
    """Flossing loss of each of its epochs, before the epoch's step."""
    exponents: Float[Tensor, "E k"]
    """The flossed exponents in nats per step, descending; means over the trajectories, -inf for lost directions."""
    reached: bool
    """Whether the criterion `until` has ended it."""

    def __len__(self) -> int:
        """Number of flossing epochs E."""
        return len(self.loss)


class Flosser:
    """Episodes of gradient flossing of a network within its user's own training loop.

        flosser = floss.Flosser(model, k=16, at=[0, 500], epochs=200)       before the loop
        for step, (x, y) in enumerate(loader):
            flosser.maybe(step)                                             in the loop, before the user's own step
            ...
        torch.save({"flosser": flosser.state_dict(), ...}, path)            with the user's own checkpoint

    A flossing epoch minimises mean_i (λ_i - target)² of the first k exponents along one run of T_f steps by one step of
    an Adam of its own (β = 0.9, 0.999), which lives on from episode to episode. During an episode the network is in
    evaluation mode; gradients, the user's optimizer and random numbers of torch are left as they were. The initial
    state ~ N(0, 1) and the tangent vectors are random, and pure functions of (seed, number of the flossing epoch), so
    that an episode that was interrupted goes on with the same bits.

    Exponents of directions that a singular Jacobian annihilates (-inf) cannot be moved and are left out of the loss.
    """

    def __init__(
        self,
        module_or_step: nn.Module | tuple[Callable[..., Tensor], int] | Any,
        k: int,
        *,
        at: int | Iterable[int] = (),
        every: int | None = None,
        epochs: int = 500,
        until: Until | None = None,
        lr: float = 1e-3,
        steps: int | None = None,
        transient: int | None = None,
        target: float | Tensor = 0.0,
        inputs: Callable[..., Any] | None = None,
        parameters: Iterable[Tensor] | None = None,
        t_ons: int = 1,
        seed: int = 0,
    ) -> None:
        """Nothing is flossed yet.

        Args:
            module_or_step: a torch `RNN`, `LSTM`, `GRU` or one of their cells, a module with one of them in it, or the
                pair (step, n) of any map, as of `floss.step_from_module` and `floss.step_from_function`.
            k: number of flossed exponents, 1 ≤ k ≤ n.
            at: numbers of training steps before which an episode runs, one or several.
            every: run an episode before every `every`-th training step as well, from 0 on.
            epochs: flossing epochs per episode, at most.
            until: ends an episode early: a loss below which it ends, or a function of the exponents [k] that says so.
                The step of the epoch at which it is reached is the last.
            lr: learning rate of Adam.
            steps: length T_f of a run. None: that of the inputs. It must bridge the delay of the task.
            transient: steps at the start of a run that are not counted; None: 10 + ⌈T_f / 10⌉, at most T_f / 2.
            target: wanted value of the exponents in nats per step, broadcastable to [k].
            inputs: a function of the number of the flossing epoch, or of nothing, that gives the inputs of a run: a
                batch as the module takes it (`batch_first`, packed sequences), or [T, ..., S] for a map. None: of a
                module the last batch that went through it, one sequence for each epoch, continued by the next where it
                is shorter than T_f; of a map no inputs.
            parameters: what is flossed; None: all parameters of the recurrent module, or of the module that is the map.
            t_ons: orthonormalisation interval in steps.
            seed: of initial states and tangent vectors.

        Raises:
            ValueError: arguments that do not fit.
        """
        self._network = watched(_CALLER, module_or_step)
        most = min(one.n for one in self._network.maps)
        self.k = arguments.whole_number(_CALLER, "k", k, 1, most, allowed=f"from 1 to the state size {most}")
        self.at = step_numbers(_CALLER, at)
        self.every = None if every is None else arguments.whole_number(_CALLER, "every", every, 1)
        self.epochs = arguments.whole_number(_CALLER, "epochs", epochs, 1)
        self.lr = arguments.real_number(_CALLER, "lr", lr, "positive and finite", lambda v: isfinite(v) and v > 0.0)
        self.steps = None if steps is None else arguments.whole_number(_CALLER, "steps", steps, 2)
        if transient is not None:
            most = None if self.steps is None else self.steps - 1
            transient = arguments.whole_number(_CALLER, "transient", transient, 0, most)
        self.transient = transient
        self.t_ons = arguments.whole_number(_CALLER, "t_ons", t_ons, 1)
        self.seed = arguments.whole_number(_CALLER, "seed", seed, 0, random.SEED_LIMIT - 1)
        self.until, self.target = criterion(_CALLER, until), wanted_exponents(target, self.k)
        self.inputs = inputs
        self._last_inputs = None
        if inputs is not None:
            arguments.function(_CALLER, "inputs", inputs, "a function that gives the inputs of a run, or None")
        elif self._network.feeds_itself:
            self._last_inputs = self._network.remember()
        elif self._network.layer:
            raise ValueError(f"{_CALLER}: a layer of a stack has no batch of its own: inputs= must be a function")
        elif self.steps is None:
            raise ValueError(f"{_CALLER}: a map without inputs needs steps=, and one with inputs needs inputs=")
        self._all_parameters = parameters is None
        self._adam = OwnAdam(parameters_of(_CALLER, self._network, parameters), self.lr)
        self._life = self._epoch = 0
        self._last, self._pending = -1, False
        self._records: list[tuple[float, Tensor]] = []

    @property
    def parameters(self) -> list[Tensor]:
        """What is flossed."""
        return self._adam.parameters

    @property
    def takes_last_batch(self) -> bool:
        """Whether runs are along the last batch that went through the network, for want of `inputs=`."""
        return self._last_inputs is not None

    @property
    def epochs_spent(self) -> int:
        """Flossing epochs so far, of all episodes."""
        return self._life

    @property
    def unfinished(self) -> bool:
        """Whether an episode has been interrupted; the next one goes on with it."""
        return self._epoch > 0

    def maybe(self, step_number: int) -> FlossingEpisode | None:
        """Run an episode where one is due before the training step of this number.

        An episode that was interrupted goes on at the next call, and one that is due before any batch was seen runs at
        the first call after one. A second call with the same number runs no second episode.

        Returns:
            What the episode has done; None where there was none.

        Raises:
            ValueError: as `episode`.
        """
        number = arguments.whole_number(_CALLER, "step_number", step_number, 0)
        if self._last_inputs is not None:
            self._last_inputs.ended = True  # what a cell is given from here on is the next batch
        if number != self._last and (number in self.at or (self.every is not None and number % self.every == 0)):
            self._last, self._pending = number, True
        if not (self._pending or self.unfinished) or not self._has_inputs():
            return None
        return self.episode()

    def episode(self) -> FlossingEpisode:
        """Run an episode now, or what is left of one that was interrupted.

        Raises:
            ValueError: inputs that do not fit, no batch seen yet, or numbers that stopped being finite; the parameters
                are then those before the epoch.
        """
        if not self._has_inputs():
            raise ValueError(f"{_CALLER}: no batch has gone through {self._network.name} yet; give inputs=")
        reached = False
        self._pending = True
        if self._all_parameters:
            self._adam.follow(parameters_of(_CALLER, self._network, None))
        if self._last_inputs is not None:
            self._last_inputs.ended = True
        device = self.parameters[0].device.type
        with (
            in_evaluation_mode(self._network.whole),
            torch.inference_mode(False),
            torch.enable_grad(),
            torch.autocast(device, enabled=False),
        ):
            while self._epoch < self.epochs and not reached:
                loss, exponents = self._flossing_epoch()
                self._records.append((loss, exponents))
                reached = self._is_reached(loss, exponents)
                self._life, self._epoch = self._life + 1, self._epoch + 1
        records, self._records = self._records, []
        self._epoch, self._pending = 0, False
        losses, several = zip(*records, strict=True)
        return FlossingEpisode(torch.tensor(losses, dtype=torch.float64), torch.stack(several), reached)

    def _flossing_epoch(self) -> tuple[float, Tensor]:
        """Loss and exponents, and the step of Adam."""
        x = self._run_inputs()
        lam = torch.cat([self._spectrum(one, part, one.drive(x)) for part, one in enumerate(self._network.maps)])
        target = self.target.to(lam)
        loss = flossing_loss(torch.where(lam == -torch.inf, target, lam), target).mean()
        known = loss.requires_grad
        gradient = torch.autograd.grad(loss, self.parameters, allow_unused=True) if known else []
        if all(g is None for g in gradient):
            raise ValueError(f"{_CALLER}: the exponents do not depend on the parameters")
        if not all(bool(torch.isfinite(g).all()) for g in (loss, *gradient) if g is not None):
            raise ValueError(f"{_CALLER}: the gradient of flossing epoch {self._epoch} is not finite")
        self._adam.step(gradient)
        return float(loss.detach()), lam.detach().mean(0).double().cpu()

    def _spectrum(self, one: DirectedMap, part: int, x: Tensor | None) -> Float[Tensor, "trajectories k"]:
        """The exponents along a run of one map."""
        like = self.parameters[0]
        batch = () if x is None or x.ndim < 3 else tuple(x.shape[1:-1])
        h0, q0 = initial_vectors(one, part, batch, self.k, self.seed, self._life, like)
        steps = self.steps if x is None else len(x)
        assert steps is not None
        transient = min(transient_steps(steps), steps // 2) if self.transient is None else self.transient
        if x is not None:
            x = x.to(like) if x.is_floating_point() else x.to(like.device)
        settings = {"steps": steps, "t_ons": self.t_ons, "transient": transient, "q0": q0}
        try:
            lam = lyapunov_spectrum(one.step, h0, x, **settings, singular="-inf")
        except ValueError as error:
            message = str(error).removeprefix("lyapunov_spectrum: ")
            raise ValueError(f"{_CALLER}: flossing epoch {self._epoch}: {message}") from error
        return lam.reshape(-1, self.k)

    def _has_inputs(self) -> bool:
        return self._last_inputs is None or bool(self._last_inputs)

    def _run_inputs(self) -> Tensor | None:
        """Inputs [T_f, S] or [T_f, B, S] of a run."""
        if self._last_inputs is not None:
            x = drive(self._network.remembered(self._last_inputs), self._life, self.steps)
            if len(x) < 2:
                raise ValueError(f"{_CALLER}: the sequences have {len(x)} steps, and need at least 2: give steps=")
            return x
        if self.inputs is None:
            return None
        batch = self.inputs(self._life) if takes_one_argument(self.inputs) else self.inputs()
        sequences = self._network.sequences(_CALLER, batch)
        shortest = min(map(len, sequences))
        if self.steps is not None and shortest < self.steps:
            raise ValueError(f"{_CALLER}: inputs has {shortest} steps, and steps={self.steps}")
        several = [one[: self.steps or shortest] for one in sequences]
        return several[0] if len(several) == 1 else torch.stack(several, 1)

    def _is_reached(self, loss: float, exponents: Tensor) -> bool:
        if self.until is None:
            return False
        if not callable(self.until):
            return loss < self.until
        reached = self.until(exponents)
        if isinstance(reached, Tensor) and reached.numel() != 1:
            what = f"until must return one truth value, got {arguments.shown(reached)}"
            raise ValueError(f"{_CALLER}: {what}")
        return bool(reached)

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to resume, in tensors, numbers, lists and dictionaries: `torch.load` reads it back.

        Also within an episode that was interrupted. The network's parameters are in its own state.
        """
        seen = [] if self._last_inputs is None else self._network.remembered(self._last_inputs)
        return {
            "k": self.k,
            "life": self._life,
            "epoch": self._epoch,
            "last": self._last,
            "pending": self._pending,
            "adam": self._adam.moments(),
            "loss": [loss for loss, _ in self._records],
            "exponents": [exponents.clone() for _, exponents in self._records],
            "inputs": [sequence.detach().clone() for sequence in seen],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` returned.

        Raises:
            ValueError: it is of another network, or of another k.
        """
        try:
            moments = list(state["adam"])
            fits = state["k"] == self.k and self._adam.fits(moments)
            numbers = [int(state[name]) for name in ("life", "epoch", "last", "pending")]
            records = list(zip(map(float, state["loss"]), state["exponents"], strict=True))
            inputs = list(state["inputs"])
        except (KeyError, TypeError, ValueError, AttributeError):
            raise ValueError(f"{_CALLER}: the state is not that of a Flosser of these parameters") from None
        if not fits:
            raise ValueError(f"{_CALLER}: the state is not that of a Flosser of these parameters with k={self.k}")
        self._life, self._epoch, self._last, pending = numbers
        self._pending, self._records = bool(pending), records
        self._adam.load(moments)
        if self._last_inputs is not None and inputs:
            self._last_inputs.restored = [one.to(self.parameters[0].device) for one in inputs]
