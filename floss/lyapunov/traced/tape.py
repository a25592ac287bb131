"""One run of a replayed chain with a gradient: the steps, what they leave for the way back, and the reduced adjoint.

By compiled code, where there is any, each way is one call.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from floss.lyapunov.chain import Chain
from floss.lyapunov.orthonormalisation import orthonormalisation_times
from floss.lyapunov.tangent_qr import TangentQR
from floss.lyapunov.threads import one_thread
from floss.lyapunov.traced.operations import evaluate
from floss.lyapunov.traced.plain import LOST, LostError, numbers_in
from floss.lyapunov.traced.probe import Traced
from floss.lyapunov.traced.pullback import Pair, Pullback, saved_stacks


@dataclass
class Tape:
    """What one run leaves for its backward pass.

    Its tensors are always h and Q before the first step, what inputs determine [T, ...], and what does not change.
    """

    traced: Traced
    chain: Chain
    reverse: Pullback
    total: bool

    def __post_init__(self) -> None:
        chain = self.chain
        self.intervals = dict(orthonormalisation_times(chain.steps, chain.t_ons, chain.transient))
        self.ends = torch.zeros(chain.steps, dtype=torch.uint8)
        """After which steps the tangent vectors are orthonormalised; 2 where the interval counts."""
        for end, counted in self.intervals.items():
            self.ends[end - 1] = 2 if counted else 1
        self.drives = len(self.reverse.drives)

    @torch.no_grad()
    def forward(self, tensors: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Growth, last state and last tangent vectors."""
        h, q, *others = tensors
        drives, constants = [d.contiguous() for d in others[: self.drives]], others[self.drives :]
        steps, k = self.chain.steps, q.shape[-1]
        with one_thread(numbers_in(q)), self.reverse.programs() as pair:
            pair.bind(constants)
            vectors = pair.forward.value(self.reverse.inputs[1])
            self.states = h.new_empty(steps + 1, *h.shape)
            """h before each step, and after the last."""
            self.tangents = _stack(vectors, steps + 1)
            """Q before each step, or what it has become within an interval, and after the last."""
            self.pieces = [piece.new_empty(steps, *piece.shape) for piece in pair.saved]
            """Values that the pullback needs, [T, numbers]."""
            self.factors = q.new_empty(len(self.intervals), *q.shape[:-2], k, k).mT
            """Upper triangles of R of all intervals."""
            self.states[0], self.tangents[0] = h, q
            if pair.code is None:
                self._replay_forward(pair, drives)
            else:
                rows = (self.states, self.tangents, *drives, *self.pieces, self.states, self.tangents)
                pair.code[0](self.ends, rows, self.factors)
        diagonal = self.factors.diagonal(dim1=-2, dim2=-1)
        return self._growth(diagonal), self.states[-1], self.tangents[-1] * diagonal.sign().prod(0)[..., None, :]

    def _replay_forward(self, pair: Pair, drives: Sequence[Tensor]) -> None:
        """The steps, as calls of torch."""
        program = pair.forward
        give, rows = program.ports(self.reverse.drives), list(zip(*(d.unbind(0) for d in drives), strict=True))
        state, vectors = (program.value(number) for number in self.reverse.inputs[:2])
        after, pushed = program.results[:2]
        stacks = [stack.unbind(0) for stack in self.pieces]
        factors = iter(self.factors.unbind(0))
        for s, (h, q) in enumerate(zip(self.states[1:].unbind(0), self.tangents[1:].unbind(0), strict=True)):
            state.copy_(self.states[s])
            vectors.copy_(self.tangents[s])
            if drives:
                give(rows[s])
            program.run()
            for piece, stack in zip(pair.saved, stacks, strict=True):
                stack[s].copy_(piece)
            h.copy_(after)
            if s + 1 in self.intervals:
                orthonormal, r = torch.linalg.qr(pushed)
                q.copy_(orthonormal)
                next(factors).copy_(r)
            else:
                q.copy_(pushed)

    def _growth(self, diagonal: Tensor) -> Tensor:
        log_r = diagonal.abs().log()
        spread = log_r.amax(-1) - log_r.amin(-1)
        if not bool((spread < LOST[log_r.dtype]).all()):  # also where it is NaN
            raise LostError
        growth = log_r[torch.tensor([*self.intervals.values()])]
        if not self.total:
            return growth
        return growth.sum(0, keepdim=True, dtype=self.chain.sums)

    def backward(self, tensors: Sequence[Tensor], grad_growth: Tensor, grad_h: Tensor) -> list[Tensor | None]:
        """Gradients of the tensors."""
        others = tensors[2:]
        drives, constants = [d.contiguous() for d in others[: self.drives]], others[self.drives :]
        reverse, steps = self.reverse, self.chain.steps
        slopes = grad_growth.to(self.factors.dtype).contiguous()
        found: list[Tensor | None] = [None] * len(tensors)
        with one_thread(numbers_in(tensors[1])), reverse.programs() as pair:
            pair.bind(constants)
            kept = [_stack(torch.empty_like(out), steps) for out in pair.stacked()]
            if pair.code is None:
                *found[:2], added = self._replay_backward(pair, drives, kept, slopes, grad_h)
            else:
                rows = (self.states, self.tangents, *drives, *self.pieces, *kept, self.tangents)
                found[:2] = pair.code[1](self.ends, rows, self.factors, slopes, grad_h)
                added = [total.clone() for total in pair.code[1].totals]
        of_drives = [place for place in reverse.each if place >= 2]
        for place, stack in zip(of_drives, kept[len(reverse.kept) :], strict=True):
            found[place] = stack
        stacks = self._stacks(drives, constants, kept)
        sums = dict(zip(reverse.added, added, strict=True))
        for place, total in zip(reverse.summed, reverse.sums.totals(stacks, sums), strict=True):
            found[place] = total
        return found

    def _replay_backward(
        self, pair: Pair, drives: Sequence[Tensor], kept: Sequence[Tensor], slopes: Tensor, grad_h: Tensor
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        """The reduced adjoint, as calls of torch: gradients of the first h and Q, and what is added up."""
        program, reverse, steps = pair.backward, self.reverse, self.chain.steps
        give, rows = program.ports(reverse.drives), list(zip(*(d.unbind(0) for d in drives), strict=True))
        state, vectors = (program.value(number) for number in reverse.inputs[:2])
        cot_h, cot_z = (program.value(number) for number in reverse.cotangents)
        saved = [stack.unbind(0) for stack in self.pieces]
        stacks = [(out, stack.unbind(0)) for out, stack in zip(pair.stacked(), kept, strict=True)]
        added = [torch.zeros_like(out) for out in pair.added]
        gh, gq = grad_h, torch.zeros_like(cot_z)
        interval, row = len(self.factors), len(slopes) - 1
        for s in range(steps - 1, -1, -1):
            gz = gq
            if s + 1 in self.intervals:
                interval -= 1
                q, r = self.tangents[s + 1], self.factors[interval]
                mix = torch.triu(q.mT @ gq).neg_()
                if self.intervals[s + 1]:
                    mix.diagonal(dim1=-2, dim2=-1).add_(slopes[row])
                    row -= 0 if self.total else 1
                gz = torch.linalg.solve_triangular(r.mT, gq + q @ mix, upper=False, left=False)
            cot_h.copy_(gh)
            cot_z.copy_(gz)
            state.copy_(self.states[s])
            vectors.copy_(self.tangents[s])
            if drives:
                give(rows[s])
            for piece, stack in zip(pair.given, saved, strict=True):
                piece.copy_(stack[s])
            program.run()
            gh = pair.each[0] if 0 in pair.each else torch.zeros_like(cot_h)
            gq = pair.each[1] if 1 in pair.each else torch.zeros_like(cot_z)
            for total, out in zip(added, pair.added, strict=True):
                total.add_(out)
            for out, stack in stacks:
                stack[s].copy_(out)
        return gh.clone(), gq.clone(), added

    def _stacks(
        self, drives: Sequence[Tensor], constants: Sequence[Tensor], kept: Sequence[Tensor]
    ) -> dict[int, Tensor]:
        """Values of every step [T, ...], by their numbers, of which sums over time are made."""
        reverse, steps = self.reverse, self.chain.steps
        stacks = dict(zip(reverse.kept, kept, strict=False))
        stacks |= saved_stacks(reverse, self.pieces)
        stacks |= dict(zip(reverse.inputs[:2], (self.states[:-1], self.tangents[:-1]), strict=True))
        stacks |= dict(zip(reverse.drives, drives, strict=True))
        fixed = zip(reverse.constants, constants, strict=True)
        return stacks | {number: value.expand(steps, *value.shape) for number, value in fixed}

    def recorded(
        self, tensors: Sequence[Tensor], grad_growth: Tensor, grad_h: Tensor, *, again: bool = True
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


def _stack(like: Tensor, count: int) -> Tensor:
    """Memory for so many tensors, each of which lies in memory as this one does."""
    return like.new_empty(count * like.numel()).as_strided((count, *like.shape), (like.numel(), *like.stride()))
