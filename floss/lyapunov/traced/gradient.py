"""Replayed chains with a gradient: the reduced adjoint of `floss.lyapunov.tangent_qr` for any step.

With the pullback of one tangent step (h, Q, θ) -> (h', Z) and Z = Q' R, going backwards

    Z̄ = [Q̄ + Q' (diag(g) - triu(Q'ᵀ Q̄))] R^{-T}
    (h̄, Q̄), θ̄ += pullback(h̄', Z̄)

where θ are the values that do not change within the run, or that the input of the step determines. How these depend on
weights and inputs is left to autograd. A backward pass that is itself recorded, for second derivatives, runs the chain
again by operations that autograd follows.
"""

from typing import Any

import torch
from torch import Tensor
from torch._C._functorch import is_legacy_batchedtensor

from floss.lyapunov.chain import Chain
from floss.lyapunov.step import next_state
from floss.lyapunov.traced.operations import alike
from floss.lyapunov.traced.probe import Traced
from floss.lyapunov.traced.pullback import Pullback, pullback, saved_stacks
from floss.lyapunov.traced.recording import RefusedError
from floss.lyapunov.traced.tape import Tape


def gradient_chain(traced: Traced, chain: Chain, *, total: bool) -> tuple[Tensor, Tensor, Tensor]:
    """What `floss.lyapunov.iteration.qr_chain` returns, with its gradient; the last tangent vectors are constants.

    Raises:
        LostError: a direction is lost, or a number is not finite.
        RefusedError: the gradient of the map is not that of its recorded operations.
    """
    compiled = traced.compiled
    constants = compiled.constants(traced.externals)
    drives = compiled.drives(constants, chain.inputs)
    tensors = (chain.h, chain.q, *drives, *constants)
    needed = (True, True, *(t.requires_grad for t in tensors[2:]))
    reverse = _checked_pullback(traced, [chain.h, chain.q, *(d[0] for d in drives), *constants], needed)
    tape = Tape(traced, chain, reverse, total)
    growth, h, q = tape.forward([t.detach() for t in tensors])
    _check_states(traced, chain, tape.states)
    growth, h = _Chain.apply(tape, growth, h, *tensors)  # pyright: ignore[reportGeneralTypeIssues]
    return growth, h, q


@torch.no_grad()
def _check_states(traced: Traced, chain: Chain, states: Tensor) -> None:
    """Raise a RefusedError where the map itself gives another state after the first step, the last, or one between."""
    for s in {0, chain.steps - 1, hash(id(states)) % chain.steps}:
        after = next_state(traced.step, states[s], *(x.detach() for x in chain.input(s)))
        if not alike(states[s + 1], after):
            raise RefusedError("does not do the same at every call")


def _checked_pullback(traced: Traced, values: list[Tensor], needed: tuple[bool, ...]) -> Pullback:
    compiled = traced.compiled
    if needed not in compiled.further:
        memory = compiled.tangent_memory()
        changing = 2 + len(compiled.stages.driven)
        compiled.further[needed] = pullback(compiled.stages.body, values, needed, changing, memory)
    reverse = compiled.further[needed]
    if needed not in traced.compared:
        _compare(traced, reverse)
        traced.compared.add(needed)
    return reverse


def _compare(traced: Traced, reverse: Pullback) -> None:
    """Raise a RefusedError where the gradients of one step are not those of the map itself: it may cut them."""
    h, q, x = traced.example
    externals = [t for t in traced.externals if t.requires_grad]
    numbers = torch.Generator().manual_seed(0)
    with torch.enable_grad():
        # Anywhere but at special values, such as a state of zeros, at which gradients may be zero for other reasons.
        leaves = [v.detach() + 0.01 * torch.randn(v.shape, generator=numbers, dtype=v.dtype) for v in (h, q)]
        leaves = [leaf.requires_grad_() for leaf in leaves]
        given = [v.detach().clone().requires_grad_(v.requires_grad) for v in x]
        of = [*leaves, *(v for v in given if v.requires_grad), *externals]
        results = traced.advance(*leaves, *given)
        cots = [torch.randn(r.shape, generator=numbers, dtype=r.dtype) for r in results]
        wanted = _gradients(results, of, cots)
        constants = traced.compiled.constants(traced.externals)
        drives = [d[0] for d in traced.compiled.drives(constants, given[0][None] if given else None)]
        inputs = [*leaves, *drives, *constants]
        gradients = _pulled(reverse, [v.detach() for v in inputs], cots)
        moving = [i for i, g in enumerate(gradients) if g is not None]
        found = _gradients([inputs[i] for i in moving], of, [gradients[i] for i in moving])
    if not all(alike(a, b) for a, b in zip(found, wanted, strict=True)):
        raise RefusedError("has gradients that are not those of its operations, as behind detach() or no_grad()")


@torch.no_grad()
def _pulled(reverse: Pullback, inputs: list[Tensor], cots: list[Tensor]) -> list[Any]:
    """The pullback of one step."""
    with reverse.programs() as pair:
        forward, backward = pair.forward, pair.backward
        for number, value in zip(reverse.inputs, inputs, strict=True):
            for program in (forward, backward):
                program.bind(number, value)
        forward.run()
        for source, target in zip(pair.saved, pair.given, strict=True):
            target.copy_(source)
        for number, value in zip(reverse.cotangents, cots, strict=True):
            backward.value(number).copy_(value)
        backward.run()
        found: list[Any] = [None] * len(inputs)
        for place, result in pair.each.items():
            found[place] = result.clone()
        stacks = dict(zip(reverse.inputs, (v[None] for v in inputs), strict=True))
        stacks |= saved_stacks(reverse, [piece[None] for piece in pair.saved])
        stacks |= dict(zip(reverse.kept, (result[None] for result in pair.kept), strict=True))
        added = dict(zip(reverse.added, pair.added, strict=True))
        for place, total in zip(reverse.summed, reverse.sums.totals(stacks, added), strict=True):
            found[place] = total.clone()
    return found


def _gradients(results: Any, of: list[Tensor], cotangents: list[Tensor]) -> list[Tensor]:
    moving = [(r, c) for r, c in zip(results, cotangents, strict=True) if r.requires_grad]
    if not moving:
        return [torch.zeros_like(v) for v in of]
    outs, cots = zip(*moving, strict=True)
    return list(torch.autograd.grad(outs, of, cots, allow_unused=True, materialize_grads=True))


class _Chain(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tape: Tape, growth: Tensor, h: Tensor, *tensors: Tensor) -> tuple[Tensor, Tensor]:  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx.save_for_backward(*tensors)
        ctx.tape = tape
        return growth.clone(), h.clone()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        tensors, tape = list(ctx.saved_tensors), ctx.tape
        if torch.is_grad_enabled():
            found = tape.recorded(tensors, *grads)
        elif any(map(is_legacy_batchedtensor, grads)):
            # Several gradients at once (jacobian(..., vectorize=True)): by operations that take them.
            with torch.enable_grad():
                found = tape.recorded(tensors, *grads, again=False)
        else:
            found = tape.backward(tensors, *grads)
        return None, None, None, *(g if need else None for g, need in zip(found, ctx.needs_input_grad[3:], strict=True))
