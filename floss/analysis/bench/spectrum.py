"""Spectra beside other packages: tanh networks without input, as the autonomous map h → W tanh(h) + b.

Every engine gets the same networks, the same tangent vectors to start from (the first k unit vectors: clvlib has no
others), the same number of steps and an orthonormalisation at every step, in float64 and without gradients. The peers
are used as their documentation says, in the fastest way that was found:

- clvlib: its numpy backend, which is faster here than its torch backend, with the Jacobian in closed form and without
  its progress bar. It takes one network at a time.
- `floss-step` is our own spectrum of the map as a user writes it, a function without a derivative: what lyapax gets.
- lyapax: compiled by `jax.jit` before anything is timed, with the exponents as the only result, so that its histories
  cost nothing. Its `resume` sets the tangent vectors. Several networks go through `jax.vmap` or `jax.lax.map`,
  whichever is faster at this size.

Both run on the CPU.
"""

import functools
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from floss.lyapunov.spectrum import lyapunov_spectrum
from floss.lyapunov.traced.native import compiled_at_once
from floss.networks import CELLS

PEERS = ("clvlib", "lyapax")
OWN_STEP = "floss-step"
"""Our spectrum of the same map, given as a plain function."""
_COMPILED_STEPS = 500
"""Steps of a run from which on its step is compiled before anything is timed, as the peers' are."""

CHECKED_STEPS = 200
"""Steps after which the engines must still agree: longer runs of a chaotic network follow their rounding errors."""

Parameters = dict[str, Tensor]
Run = Callable[[], np.ndarray]
"""Computes exponents [R, k], descending."""


def networks_of(n: int, networks: int, device: str) -> Parameters:
    """Parameters W [R, N, N], V, b [R, N] and h0 [R, 1, N] of the reference protocol's networks, in float64."""
    seeds = torch.arange(networks, device=device)
    gains = torch.ones(networks, device=device)
    return CELLS["vanilla"].initial_parameters(seeds, gains, n=n, inputs=1, batch=1, dtype=torch.float64)


def run_of(engine: str, parameters: Parameters, k: int, steps: int) -> Run:
    """A function that computes the k largest exponents of all networks with one of the engines."""
    return {"floss": _floss, OWN_STEP: _own_step, "clvlib": _clvlib, "lyapax": _lyapax}[engine](parameters, k, steps)


def exponent_difference(engine: str, n: int, k: int, steps: int, device: str) -> float:
    """Largest difference between a peer's exponents and ours, relative to the largest exponent, of two networks."""
    parameters = networks_of(n, 2, device)
    steps = min(steps, CHECKED_STEPS)
    ours = run_of("floss", parameters, k, steps)()
    theirs = run_of(engine, parameters, k, steps)()
    return float(np.abs(theirs - ours).max() / np.abs(ours).max())


def _floss(p: Parameters, k: int, steps: int) -> Run:
    step, h0 = CELLS["vanilla"].step(p), p["h0"][:, 0]
    q0 = torch.eye(h0.shape[-1], k, dtype=h0.dtype, device=h0.device).expand(*h0.shape, k)
    return lambda: lyapunov_spectrum(step, h0, steps=steps, k=k, q0=q0).cpu().numpy()


def _own_step(p: Parameters, k: int, steps: int) -> Run:
    """The same map as a function of a user, of which nothing is known: its tangent step is recorded and replayed."""
    W, b, h0 = p["W"], p["b"], p["h0"][:, 0]
    if len(W) == 1:
        W, b, h0 = W[0], b[0], h0[0]
    q0 = torch.eye(h0.shape[-1], k, dtype=h0.dtype, device=h0.device).expand(*h0.shape, k)

    def step(h: Tensor) -> Tensor:
        return (W @ torch.tanh(h)[..., None])[..., 0] + b if h.ndim > 1 else W @ torch.tanh(h) + b

    def run() -> np.ndarray:
        return lyapunov_spectrum(step, h0, steps=steps, k=k, q0=q0).reshape(-1, k).cpu().numpy()

    if steps >= _COMPILED_STEPS:
        with compiled_at_once():
            run()
    return _warm(run)


def _arrays(p: Parameters) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return p["W"].cpu().numpy(), p["b"].cpu().numpy(), p["h0"][:, 0].cpu().numpy()


def _clvlib(p: Parameters, k: int, steps: int) -> Run:
    from clvlib.numpy import integrators, lyap_exp_from_ic  # pyright: ignore[reportMissingImports]

    integrators.tqdm = functools.partial(tqdm, disable=True)
    times = np.arange(steps + 1.0)

    def spectrum(W: np.ndarray, b: np.ndarray, h0: np.ndarray) -> np.ndarray:
        def step(_: float, h: np.ndarray) -> np.ndarray:
            return W @ np.tanh(h) + b

        def jacobian(_: float, h: np.ndarray) -> np.ndarray:
            r = np.tanh(h)
            return W * (1.0 - r * r)

        exponents = lyap_exp_from_ic(step, jacobian, h0, times, stepper="discrete", n_lyap=k)[0]
        return np.sort(exponents)[::-1]

    networks = list(zip(*_arrays(p), strict=True))
    return lambda: np.stack([spectrum(*network) for network in networks])


def _lyapax(p: Parameters, k: int, steps: int) -> Run:
    import jax  # pyright: ignore[reportMissingImports]
    import lyapax  # pyright: ignore[reportMissingImports]

    jax.config.update("jax_enable_x64", True)

    def spectrum(network: tuple[Any, Any, Any]) -> Any:
        W, b, h0 = network
        start = lyapax.LyapunovCheckpoint(
            state=h0,
            Y=jax.numpy.eye(len(h0), k),
            cum_log_growth=jax.numpy.zeros(k),
            elapsed_time=jax.numpy.zeros(()),
            dt=1.0,
        )
        result = lyapax.lyapunov_spectrum(
            lambda h: W @ jax.numpy.tanh(h) + b, h0, 1.0, steps, k=k, renorm_every=1, resume=start
        )
        return result.exponents

    networks = jax.device_put(_arrays(p), jax.devices("cpu")[0])
    ways = [jax.jit(functools.partial(jax.lax.map, spectrum)), jax.jit(jax.vmap(spectrum))]
    ways = ways[: len(networks[0])]  # one network needs neither
    runs = [functools.partial(lambda way: np.asarray(way(networks)), way) for way in ways]
    return min(runs, key=_seconds) if len(runs) > 1 else _warm(runs[0])


def _warm(run: Run) -> Run:
    run()
    return run


def _seconds(run: Run) -> float:
    _warm(run)
    start = time.perf_counter()
    run()
    return time.perf_counter() - start
