"""The JAX peer: an ensemble of networks, `lax.scan` over time, gradients by `jax.grad`; as a user would write it.

One compiled function is a whole epoch: fresh random bits, gradient, clipping, Adam. The drive of all steps is one
product, the readout another, and the state is donated, so that nothing is copied. What goes beyond `jit(vmap(scan))`
was measured on two CPU cores, at N = 80 and R = 32, in ms per network and epoch:

- `lax.map` over networks, not `vmap`: 2.5 for 4.3 in training, where products batched over networks bring all of them
  through the cache at every step, and 8.2 for 8.8 in flossing.
- The networks are spread over as many XLA devices as torch has threads, on two: 1.3 for 2.5, and 4.0 for 8.2. The
  products of one network are too small for XLA to spread them.
- LAPACK has one thread. With two, a QR decomposition of this size takes no less time, and the two devices wait for each
  other: 4.0 for 9.3.
- Four steps of training in one turn of the loop: 1.30 for 1.45. Flossing gains nothing by it.

XLA reads how many threads and devices it has when it is first used (NPROC, `jax_num_cpu_devices`), and scipy, whose
LAPACK it calls, when it is imported (OPENBLAS_NUM_THREADS). So `load` comes first. Where it comes later the numbers
stay as they were, and networks go over the devices that there are.

JAX is optional, and imported where it is used. It runs on the CPU here.
"""

import contextlib
import importlib
import os
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

Parameters = dict[str, Any]
"""Arrays of one network by name, or of all of them with a first axis R."""


def load() -> Any:
    """JAX, with as many threads as torch.

    Raises:
        ImportError: it is not installed.
    """
    threads = torch.get_num_threads()
    os.environ.setdefault("NPROC", str(threads))
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    jax = importlib.import_module("jax")
    with contextlib.suppress(RuntimeError):  # it has been used already
        jax.config.update("jax_num_cpu_devices", threads)
    return jax


def task_loss(p: Parameters, x: Any, d: int) -> Any:
    """Cross-entropy of temporal XOR; p without the network axis, x [T, B, 1]."""
    jax = load()
    drive = x @ p["V"].T / x.shape[-1] + p["b"]
    weights = p["W"].T

    def step(h: Any, step_drive: Any) -> tuple[Any, Any]:
        h = jax.numpy.tanh(h) @ weights + step_drive
        return h, h

    y = jax.lax.scan(step, p["h0"], drive, unroll=4)[1] @ p["U"] + p["c"]
    steps = len(x)
    target = abs(x[d // 2 : steps - d // 2, :, 0] - x[: steps - d, :, 0])
    return (jax.nn.softplus(y[d:]) - y[d:] * target).mean()


def flossing_loss(p: Parameters, x: Any, q: Any, transient: int) -> Any:
    """Mean square of the exponents along one trajectory; x [T_f, 1], q [N, k], orthonormalised at every step."""
    jax = load()
    drive = x @ p["V"].T / x.shape[-1] + p["b"]

    def step(state: tuple[Any, Any], step_drive: Any) -> tuple[Any, Any]:
        h, q = state
        r = jax.numpy.tanh(h)
        q, upper = jax.numpy.linalg.qr(p["W"] @ ((1 - r * r)[:, None] * q))
        return (p["W"] @ r + step_drive, q), jax.numpy.log(abs(upper.diagonal()))

    logs = jax.lax.scan(step, (p["h0"][0], q), drive)[1]
    return (logs[transient:].mean(0) ** 2).mean()


def training_epoch(
    parameters: dict[str, Tensor], steps: int, batch: int, d: int, loss: Callable[..., Any] = task_loss
) -> Callable[[], Parameters]:
    """A function that trains each network for one epoch on fresh data and returns when that is done."""
    jax = load()

    def clipped(g: Any) -> Any:
        return g * jax.numpy.minimum(1.0, 0.03 / (jax.numpy.linalg.norm(g.ravel()) + 1e-6))

    def gradient(p: Parameters, _: Parameters, x: Any) -> Parameters:
        return jax.tree.map(clipped, jax.grad(loss)(p, x, d))

    return _compiled(gradient, parameters, {}, (steps, batch, 1))


def flossing_epoch(parameters: dict[str, Tensor], q0: Tensor, steps: int, transient: int) -> Callable[[], Parameters]:
    """A function that flosses each network for one epoch on fresh data and returns when that is done; q0 [R, N, k]."""
    jax = load()

    def gradient(p: Parameters, fixed: Parameters, x: Any) -> Parameters:
        return jax.grad(lambda p: flossing_loss({**p, "h0": fixed["h0"]}, x, fixed["q0"], transient))(p)

    flossed = {name: parameters[name] for name in ("W", "V", "b")}
    return _compiled(gradient, flossed, {"h0": parameters["h0"], "q0": q0}, (steps, 1))


def gradients(loss: Callable[..., Any], parameters: dict[str, Tensor], *data: Tensor, last: int) -> dict[str, Tensor]:
    """Gradient of each network's `loss(parameters, *data, last)`, stacked, in float64."""
    jax = load()
    with jax.enable_x64(True):
        arrays = jax.device_put(({name: p.numpy() for name, p in parameters.items()}, *(x.numpy() for x in data)))
        stacked = jax.jit(jax.vmap(jax.grad(lambda *arguments: loss(*arguments, last))))(*arrays)
    return {name: torch.tensor(np.asarray(g)) for name, g in stacked.items()}


def _compiled(
    gradient: Callable[[Parameters, Parameters, Any], Parameters],
    parameters: dict[str, Tensor],
    fixed: dict[str, Tensor],
    shape: tuple[int, ...],
) -> Callable[[], Parameters]:
    """One epoch of all networks; `gradient` is that of one: of its parameters, what is fixed, and random bits."""
    jax = load()
    networks = len(next(iter(parameters.values())))

    def network_epoch(state: dict[str, Any], fixed: Parameters) -> dict[str, Any]:
        key, fresh = jax.random.split(state["key"])
        x = jax.random.bernoulli(fresh, 0.5, shape).astype("float32")
        g = gradient(state["parameters"], fixed, x)
        epochs = state["epochs"] + 1.0
        mean = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, state["mean"], g)
        square = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, state["square"], g)
        rate, correction = 1e-3 / (1.0 - 0.9**epochs), (1.0 - 0.999**epochs) ** 0.5

        def moved(p: Any, m: Any, v: Any) -> Any:
            return p - rate * m / (jax.numpy.sqrt(v) / correction + 1e-8)

        p = jax.tree.map(moved, state["parameters"], mean, square)
        return {"parameters": p, "mean": mean, "square": square, "epochs": epochs, "key": key}

    def all_of_a_device(state: dict[str, Any], fixed: Parameters) -> dict[str, Any]:
        return jax.lax.map(lambda network: network_epoch(*network), (state, fixed))

    devices = jax.devices("cpu")
    devices = devices[: max(n for n in range(1, len(devices) + 1) if networks % n == 0)]
    mesh, along = jax.sharding.Mesh(np.array(devices), ("networks",)), jax.sharding.PartitionSpec("networks")
    spread = jax.shard_map(all_of_a_device, mesh=mesh, in_specs=along, out_specs=along)
    epoch = jax.jit(spread, donate_argnums=0)

    def zeros() -> Parameters:
        return {name: np.zeros(p.shape, "float32") for name, p in parameters.items()}

    # lyapax needs 64 bits, and switches them on for the whole process.
    with jax.enable_x64(False):
        state = {
            "parameters": {name: p.numpy() for name, p in parameters.items()},
            "mean": zeros(),
            "square": zeros(),
            "epochs": np.zeros(networks, "float32"),
            "key": jax.random.split(jax.random.key(0), networks),
        }
        place = jax.sharding.NamedSharding(mesh, along)
        state = jax.device_put(state, place, may_alias=False)
        held = jax.device_put({name: value.numpy() for name, value in fixed.items()}, place)

    def run() -> Parameters:
        nonlocal state
        with jax.enable_x64(False):
            state = jax.block_until_ready(epoch(state, held))
        return state["parameters"]

    return run
