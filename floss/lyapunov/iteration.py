"""The QR iteration: tangent vectors evolved by D and orthonormalised, the bare kernel under every spectrum (Eqs. 6, 7).

`floss.lyapunov.entry` looks at the arguments once; the loops here look at none.
"""

from dataclasses import replace
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from floss.lyapunov.chain import Chain
from floss.lyapunov.derivatives import is_plain
from floss.lyapunov.orthonormalisation import orthonormalisation_times
from floss.lyapunov.second_order import differentiated
from floss.lyapunov.step import ClosedFormStep, Step, advance
from floss.lyapunov.tangent_qr import TangentQR
from floss.lyapunov.traced.gradient import gradient_chain
from floss.lyapunov.traced.plain import LostError, Replayed, plain_chain
from floss.lyapunov.traced.probe import Traced, probe_of, say
from floss.lyapunov.traced.recall import forget, recall, remember
from floss.lyapunov.traced.recording import RefusedError


def run_exponents(step: Step, chain: Chain) -> Float[Tensor, "*batch k"]:
    """Exponents in the order of the columns of Q, raising nothing but what the chain's watch raises.

    By the closed form of a `ClosedFormStep` where it has one for this chain, else by the bare loop. Directions lost to
    rank deficiency have -inf, a trajectory that is not finite has NaN.
    """
    exponents = step.exponents(chain) if isinstance(step, ClosedFormStep) else None
    if exponents is not None:
        return exponents
    growth, h, _ = qr_chain(step, chain, total=True)
    exponents = (growth.sum(0) / (chain.steps - chain.transient)).to(chain.q.dtype)
    return torch.where(torch.isfinite(h).all(-1, keepdim=True), exponents, torch.nan)


def qr_chain(step: Step, chain: Chain, *, total: bool = False) -> tuple[Tensor, Tensor, Tensor]:
    """The bare loop: log R_ii of each counted interval [M, ..., k], and the last state and tangent vectors.

    With `total` their sum alone, [1, ..., k], in the chain's dtype of sums: a long run then needs no memory.
    """
    with differentiated(chain.way):
        return _qr_chain(step, chain, total)


def _qr_chain(step: Step, chain: Chain, total: bool) -> tuple[Tensor, Tensor, Tensor]:
    intervals = dict(orthonormalisation_times(chain.steps, chain.t_ons, chain.transient))
    h, q, growth = chain.h, chain.q, []
    tangent_qr = TangentQR(chain.orthonormaliser)
    lost = q.new_zeros(())  # -inf for directions lost in the transient: they do not come back
    probe = probe_of(step, chain)
    traced = None if probe is None else recall(step, chain)
    if traced is not None:
        found = _replayed(traced, step, chain, total, recalled=True)
        if found is not None:
            return found
    for s in range(chain.steps):
        if probe is not None and s == probe.steps:
            traced = probe.traced()
            found = None if traced is None else _replayed(traced, step, chain, total)
            if found is not None and traced is not None:
                remember(traced, chain)
                return found
            probe = None
        h, q = (partial(advance, step) if probe is None else probe.advance)(h, q, *chain.input(s))
        counted = intervals.get(s + 1)
        if counted is not None:
            q, log_r = tangent_qr(q)
            if chain.watch is not None:
                chain.watch(s + 1, log_r)
            if total and chain.sums not in (None, log_r.dtype):
                log_r = log_r.to(chain.sums)
            if not counted:
                lost = torch.where(log_r == -torch.inf, log_r.detach(), lost)
            elif not growth:
                growth.append(log_r + lost)
            elif total:
                growth[0] = growth[0] + log_r
            else:
                growth.append(log_r)
    return torch.stack(growth), h, q


def _replayed(
    traced: Traced, step: Step, chain: Chain, total: bool, *, recalled: bool = False
) -> tuple[Tensor, Tensor, Tensor] | None:
    """The loop with a step that is replayed; None where it cannot be."""
    tensors = [chain.h, chain.q, *traced.externals, *([] if chain.inputs is None else [chain.inputs])]
    run = plain_chain if is_plain(*tensors) else gradient_chain
    try:
        return run(traced, chain, total=total)
    except LostError:
        careful = Replayed(traced) if is_plain(*tensors) else step
        return qr_chain(careful, replace(chain, traced=False), total=total)
    except RefusedError as error:
        if recalled:
            forget(step, chain)
            return None
        say(str(error), 0.0)
        return qr_chain(step, replace(chain, traced=False), total=total)
