"""LSTM, GRU and LRU in JAX: losses like that of `jax_peer`, which are compiled and spread in the same way.

The drive of all steps is one product before the scan, and the readout another behind it. XLA keeps what differentiation
needs of each step by itself.
"""

from collections.abc import Callable
from typing import Any

from floss.analysis.bench import jax_peer
from floss.analysis.bench.jax_peer import Parameters

_UNROLLED = 4
"""Steps in one turn of the loop, as in `jax_peer`."""


def loss_of(arch: str) -> Callable[[Parameters, Any, int], Any]:
    """Cross-entropy of temporal XOR as a function of the parameters without the network axis, x [T, B, S] and d."""
    seen = {"lstm": _lstm, "gru": _gru, "lru": _lru}.get(arch)
    return jax_peer.task_loss if seen is None else lambda p, x, d: _loss(seen(p, x) @ p["U"] + p["c"], x, d)


def _loss(y: Any, x: Any, d: int) -> Any:
    jax, steps = jax_peer.load(), len(x)
    target = abs(x[d // 2 : steps - d // 2, :, 0] - x[: steps - d, :, 0])
    return (jax.nn.softplus(y[d:]) - y[d:] * target).mean()


def _lstm(p: Parameters, x: Any) -> Any:
    jax = jax_peer.load()
    weights, N = p["W"].T, p["U"].shape[0]

    def step(state: tuple[Any, Any], drive: Any) -> tuple[Any, Any]:
        h, c = state
        i, f, g, o = jax.numpy.split(h @ weights + drive, 4, -1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jax.numpy.tanh(g)
        h = jax.nn.sigmoid(o) * jax.numpy.tanh(c)
        return (h, c), h

    return jax.lax.scan(step, (p["h0"][:, :N], p["h0"][:, N:]), x @ p["V"].T + p["b"], unroll=_UNROLLED)[1]


def _gru(p: Parameters, x: Any) -> Any:
    jax = jax_peer.load()
    weights = p["W"].T

    def step(h: Any, drive: Any) -> tuple[Any, Any]:
        r, z, n = jax.numpy.split(h @ weights, 3, -1)
        of_r, of_z, of_n = jax.numpy.split(drive, 3, -1)
        r, z = jax.nn.sigmoid(r + of_r), jax.nn.sigmoid(z + of_z)
        n = jax.numpy.tanh(of_n + r * (n + p["b_h"]))
        h = (1.0 - z) * n + z * h
        return h, h

    return jax.lax.scan(step, p["h0"], x @ p["V"].T + p["b"], unroll=_UNROLLED)[1]


def _lru(p: Parameters, x: Any) -> Any:
    jax, exp = jax_peer.load(), jax_peer.load().numpy.exp
    eigenvalues = exp(jax.lax.complex(-exp(p["nu"]), exp(p["theta"])))
    B, C = (jax.lax.complex(p[name][0], p[name][1]) for name in ("B", "C"))

    def step(state: Any, drive: Any) -> tuple[Any, Any]:
        state = eigenvalues * state + drive
        return state, state

    first = jax.lax.complex(*jax.numpy.split(p["h0"], 2, -1))
    states = jax.lax.scan(step, first, exp(p["gamma"]) * (x @ B.T), unroll=_UNROLLED)[1]
    return jax.numpy.tanh((states @ C.T).real + x @ p["D"].T + p["b"])
