"""Replayed chains with a gradient: the reduced adjoint of `floss.lyapunov.tangent_qr` for any step.

With the pullback of one tangent step (h, Q, θ) -> (h', Z) and Z = Q' R, going backwards

    Z̄ = [Q̄ + Q' (diag(g) - triu(Q'ᵀ Q̄))] R^{-T}
    (h̄, Q̄), θ̄ += pullback(h̄', Z̄)

where θ are the values that do not change within the run, or that the input of the step determines. How these depend on
weights and inputs is left to autograd. A backward pass that is itself recorded, for second derivatives, runs the chain
again by operations that autograd follows.
"""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch._C._functorch import is_legacy_batchedtensor

from floss.lyapunov.chain import Chain
from floss.lyapunov.orthonormalisation import orthonormalisation_times
from floss.lyapunov.step import next_state
from floss.lyapunov.tangent_qr import TangentQR
from floss.lyapunov.threads import one_thread
from floss.lyapunov.traced.plain import LOST, LostError, numbers_in
from floss.lyapunov.traced.probe import Traced
from floss.lyapunov.traced.pullback import Pullback, pullback, saved_stacks
from floss.lyapunov.traced.recording import RefusedError
from floss.lyapunov.traced.replay import alike, evaluate


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
    tape = _Tape(traced, chain, reverse, total, len(drives))
    growth, h, q = tape.forward([t.detach() for t in tensors])
    _check_states(traced, chain, [*tape.states, h])
    growth, h = _Chain.apply(tape, growth, h, *tensors)  # pyright: ignore[reportGeneralTypeIssues]
    return growth, h, q


@torch.no_grad()
def _check_states(traced: Traced, chain: Chain, states: list[Tensor]) -> None:
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
        for source, target in zip(pair.kept, pair.given, strict=True):
            target.copy_(source)
        for number, value in zip(reverse.cotangents, cots, strict=True):
            backward.value(number).copy_(value)
        backward.run()
        found: list[Any] = [None] * len(inputs)
        for place, result in zip(reverse.each, backward.results, strict=False):
            found[place] = result.clone()
        stacks = dict(zip(reverse.inputs, (v[None] for v in inputs), strict=True))
        stacks |= saved_stacks(reverse, [piece[None] for piece in pair.kept])
        first = len(reverse.each)
        second = first + len(reverse.kept)
        stacks |= dict(zip(reverse.kept, (r[None] for r in backward.results[first:second]), strict=True))
        added = dict(zip(reverse.added, backward.results[second:], strict=True))
        for place, total in zip(reverse.summed, reverse.sums.totals(stacks, added), strict=True):
            found[place] = total.clone()
    return found


def _gradients(results: Any, of: list[Tensor], cotangents: list[Tensor]) -> list[Tensor]:
    moving = [(r, c) for r, c in zip(results, cotangents, strict=True) if r.requires_grad]
    if not moving:
        return [torch.zeros_like(v) for v in of]
    outs, cots = zip(*moving, strict=True)
    return list(torch.autograd.grad(outs, of, cots, allow_unused=True, materialize_grads=True))


@dataclass
class _Tape:
    """What one run leaves for its backward pass."""

    traced: Traced
    chain: Chain
    reverse: Pullback
    total: bool
    drives: int
    states: list[Tensor] = field(default_factory=list)
    """h before each step."""
    pieces: list[Tensor] = field(default_factory=list)
    """Values that the pullback needs, [T, numbers]."""
    factors: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict)
    """Q and R after the steps that close an interval."""
    tangents: list[Tensor] = field(default_factory=list)
    """Q before each step, or what it has become within an interval."""

    def __post_init__(self) -> None:
        chain = self.chain
        self.intervals = dict(orthonormalisation_times(chain.steps, chain.t_ons, chain.transient))

    @torch.no_grad()
    def forward(self, tensors: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Growth, last state and last tangent vectors."""
        h, q, *others = tensors
        drives = list(zip(*(d.unbind(0) for d in others[: self.drives]), strict=True))
        constants = others[self.drives :]
        reverse, steps = self.reverse, self.chain.steps
        with one_thread(numbers_in(q)), reverse.programs() as pair:
            program = pair.forward
            for number, value in zip(reverse.rebound[self.drives :], constants, strict=True):
                program.bind(number, value)
            give = program.ports(reverse.rebound[: self.drives])
            state, vectors = (program.value(number) for number in reverse.inputs[:2])
            after, pushed = program.results[:2]
            self.pieces = [torch.empty(steps, *piece.shape, dtype=piece.dtype) for piece in pair.kept]
            stacks = [stack.unbind(0) for stack in self.pieces]
            for s in range(steps):
                self.states.append(h)
                self.tangents.append(q)
                state.copy_(h)
                vectors.copy_(q)
                if drives:
                    give(drives[s])
                program.run()
                for piece, stack in zip(pair.kept, stacks, strict=True):
                    stack[s].copy_(piece)
                h = after.clone()
                if s + 1 in self.intervals:
                    q, r = torch.linalg.qr(pushed)
                    self.factors[s] = q, r
                else:
                    q = pushed.clone()
        return self._growth(), h, self._signed(q)

    def _growth(self) -> Tensor:
        diagonal = torch.stack([r for _, r in self.factors.values()]).diagonal(dim1=-2, dim2=-1)
        log_r = diagonal.abs().log()
        spread = log_r.amax(-1) - log_r.amin(-1)
        if not bool((spread < LOST[log_r.dtype]).all()):  # also where it is NaN
            raise LostError
        growth = log_r[torch.tensor([self.intervals[s + 1] for s in self.factors])]
        if not self.total:
            return growth
        return growth.sum(0, keepdim=True, dtype=self.chain.sums)

    def _signed(self, q: Tensor) -> Tensor:
        diagonal = torch.stack([r for _, r in self.factors.values()]).diagonal(dim1=-2, dim2=-1)
        return q * diagonal.sign().prod(0)[..., None, :]

    def backward(self, tensors: list[Tensor], grad_growth: Tensor, grad_h: Tensor) -> list[Tensor | None]:
        """Gradients of the tensors."""
        others = tensors[2:]
        drives = list(zip(*(d.unbind(0) for d in others[: self.drives]), strict=True))
        constants = others[self.drives :]
        reverse, steps = self.reverse, self.chain.steps
        row = grad_growth.shape[0] - 1
        with one_thread(numbers_in(tensors[1])), reverse.programs() as pair:
            program = pair.backward
            for number, value in zip(reverse.rebound[self.drives :], constants, strict=True):
                program.bind(number, value)
            give = program.ports(reverse.rebound[: self.drives])
            state, vectors = (program.value(number) for number in reverse.inputs[:2])
            saved = [stack.unbind(0) for stack in self.pieces]
            cot_h, cot_z = (program.value(number) for number in reverse.cotangents)
            outs = dict(zip(reverse.each, program.results, strict=False))
            first, second = len(reverse.each), len(reverse.each) + len(reverse.kept)
            kept = [(out, out.new_empty(steps, *out.shape)) for out in program.results[first:second]]
            kept += [(out, out.new_empty(steps, *out.shape)) for i, out in outs.items() if i >= 2]
            stacks = [(out, stack.unbind(0)) for out, stack in kept]
            added = [(out, torch.zeros_like(out)) for out in program.results[second:]]
            gh, gq = grad_h.to(cot_h.dtype), torch.zeros_like(cot_z)
            for s in range(steps - 1, -1, -1):
                gz = gq
                if s in self.factors:
                    q, r = self.factors[s]
                    mix = torch.triu(q.mT @ gq).neg_()
                    if self.intervals[s + 1]:
                        g = grad_growth[0 if self.total else row].to(r.dtype)
                        mix.diagonal(dim1=-2, dim2=-1).add_(g)
                        row -= 1
                    gz = torch.linalg.solve_triangular(r.mT, gq + q @ mix, upper=False, left=False)
                cot_h.copy_(gh)
                cot_z.copy_(gz)
                state.copy_(self.states[s])
                vectors.copy_(self.tangents[s])
                if drives:
                    give(drives[s])
                for piece, stack in zip(pair.given, saved, strict=True):
                    piece.copy_(stack[s])
                program.run()
                gh = outs[0] if 0 in outs else torch.zeros_like(cot_h)
                gq = outs[1] if 1 in outs else torch.zeros_like(cot_z)
                for out, total in added:
                    total.add_(out)
                for out, stack in stacks:
                    stack[s].copy_(out)
            found: list[Tensor | None] = [None] * len(tensors)
            found[:2] = gh.clone(), gq.clone()
        of_drives = [i for i in reverse.each if i >= 2]
        for i, (_, stack) in zip(of_drives, kept[len(reverse.kept) :], strict=True):
            found[i] = stack
        whole = dict(zip(reverse.kept, (stack for _, stack in kept), strict=False))
        whole |= saved_stacks(reverse, self.pieces)
        wanted = reverse.sums.stacked
        before = {reverse.inputs[0]: self.states, reverse.inputs[1]: self.tangents}
        whole |= {number: torch.stack(values) for number, values in before.items() if number in wanted}
        whole |= dict(zip(reverse.inputs[2:], [*others[: self.drives]], strict=False))
        fixed = zip(reverse.inputs[2 + self.drives :], constants, strict=True)
        whole |= {number: value.expand(steps, *value.shape) for number, value in fixed if number in wanted}
        sums = dict(zip(reverse.added, (total for _, total in added), strict=True))
        for i, total in zip(reverse.summed, reverse.sums.totals(whole, sums), strict=True):
            found[i] = total
        return found

    def recorded(
        self, tensors: list[Tensor], grad_growth: Tensor, grad_h: Tensor, *, again: bool = True
    ) -> list[Tensor | None]:
        """The same by the plain chain, and as part of a graph where it is to be differentiated `again`."""
        given = [t.view_as(t) for t in tensors]  # a tensor that is two of the arguments has two gradients
        h, q, *others = given
        drives, constants = [d.unbind(0) for d in others[: self.drives]], others[self.drives :]
        tangent_qr, growth = TangentQR(self.chain.orthonormaliser), list[Tensor]()
        for s in range(self.chain.steps):
            h, q = evaluate(self.traced.compiled.stages.body, [h, q, *(d[s] for d in drives), *constants])
            if s + 1 in self.intervals:
                q, log_r = tangent_qr(q)
                if self.intervals[s + 1]:
                    growth.append(log_r)
        whole = torch.stack(growth)
        whole = whole.to(grad_growth.dtype).sum(0, keepdim=True) if self.total else whole
        wanted = [i for i, t in enumerate(tensors) if t.requires_grad]
        results = [(r, c) for r, c in ((whole, grad_growth), (h, grad_h)) if r.requires_grad]
        outs, cots = zip(*results, strict=True)
        of = [given[i] for i in wanted]
        found = torch.autograd.grad(outs, of, cots, create_graph=again, allow_unused=True, materialize_grads=True)
        gradients: list[Tensor | None] = [None] * len(tensors)
        for i, gradient in zip(wanted, found, strict=True):
            gradients[i] = gradient
        return gradients


class _Chain(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tape: _Tape, growth: Tensor, h: Tensor, *tensors: Tensor) -> tuple[Tensor, Tensor]:  # pyright: ignore[reportIncompatibleMethodOverride]
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
