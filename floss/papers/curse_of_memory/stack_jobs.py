"""Data of Figs 5 and 13: activity and gradients of deep stacks at initialisation.

Input and target are a surrogate of word embeddings, or the user's own.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from floss.jobs.keys import key, one_of, one_or_more, real, switch, whole
from floss.papers.curse_of_memory.embeddings_jobs import EmbeddingsJob, input_sequences
from floss.papers.curse_of_memory.neuron_jobs import digits
from floss.papers.curse_of_memory.stack import CELLS, forward, groups, initial_stack, next_token_loss
from floss.papers.tables import Table, tables_kind
from floss.papers.timing import seconds_by_steps

_TOGETHER, _BYTES = 5, 4.5e9
"""Networks side by side, and the memory that they may take: five of the paper's size need 4.1 GB."""
_LARGE = 1e9
"""Bytes of networks that keep a processor busy."""


@dataclass(frozen=True, kw_only=True)
class StackJob(EmbeddingsJob):
    """Keys of `stack`."""

    cell: str = key(one_of(*CELLS), "the recurrent cell")
    norm: bool = key(switch(), "whether blocks have layer norms")
    times: tuple[float, ...] = key(one_or_more(real(1.0)), "memories t: |λ| is in [ν, (1 + ν)/2], ν = 1 - 1/t")
    layers: tuple[int, ...] = key(one_or_more(whole(1)), "blocks of a stack")
    seeds: int = key(whole(1), "networks for each memory and depth, each with a batch; seeds count up from 0")
    sequences: int = key(whole(1), "sequences in a batch")
    steps: int = key(whole(2), "tokens of a sequence")
    width: int = key(whole(2), "units everywhere")
    features: int = key(whole(1), "size of an embedding, which is input and target")


def stack_tables(job: StackJob) -> dict[str, Table]:
    """Networks at initialisation on next-token prediction, one batch each.

    gradients.csv: mean squared gradient of the batch's loss over the parameters of every group in every layer (0:
    encoder and decoder), and their number. activity.csv: mean square of what every block gives on.
    """
    gradients, activity = [], []
    column, source = job.source
    for layers in job.layers:
        networks = list(itertools.product(range(job.seeds), job.times))
        for first in range(0, len(networks), side := together(job)):
            seeds, times = zip(*networks[first : first + side], strict=True)
            squares, outputs = measured(job, layers, torch.tensor(seeds), torch.tensor(times, dtype=torch.float64))
            for r, (seed, t) in enumerate(zip(seeds, times, strict=True)):
                own = [source, job.cell, int(job.norm), layers, seed, digits(t, 4)]
                gradients += [[*own, layer, name, digits(v[r], 6), count] for layer, name, v, count in squares]
                activity += [[*own, layer, digits(v[r], 6)] for layer, v in enumerate(outputs, start=1)]
    same = (column, "cell", "norm", "layers", "seed", "t", "layer")
    return {
        "gradients": ((*same, "group", "mean_square", "parameters"), gradients),
        "activity": ((*same, "mean_square"), activity),
    }


def network_bytes(job: StackJob) -> float:
    """About how much memory a network takes: what is kept of every token of its batch for the gradients, in float32.

    Peaks of whole processes with 64 to 256 units, 1 to 8 blocks and 96 to 4096 features are within 30 % of it.
    """
    floats = 17.0 * job.width * (max(job.layers) + 0.7) + 6.0 * job.features
    return 4.0 * job.sequences * job.steps * floats


def together(job: StackJob) -> int:
    """How many networks are computed side by side."""
    return max(1, min(_TOGETHER, job.seeds * len(job.times), int(_BYTES / network_bytes(job))))


def stack_bytes(job: StackJob) -> float:
    """About how much memory a job takes besides its data."""
    return together(job) * network_bytes(job)


def measured(
    job: StackJob, layers: int, seeds: Int64[Tensor, "R"], times: Float[Tensor, "R"], dtype: torch.dtype = torch.float32
) -> tuple[list[tuple[int, str, Float[Tensor, "R"], int]], Sequence[Float[Tensor, "R"]]]:
    """Layer, name, mean squared gradient and size of every group of parameters; mean squares of the blocks' outputs."""
    sizes: dict[str, Any] = {"layers": layers, "width": job.width, "features": job.features}
    weights = initial_stack(seeds, times, cell=job.cell, norm=job.norm, dtype=dtype, **sizes)
    own, place = seeds.unique(return_inverse=True)
    x = input_sequences(job, own, job.sequences, dtype).transpose(1, 2)[place]
    y, outputs = forward(weights, x)
    next_token_loss(y, x).sum().backward()
    squares = []
    for layer, name, tensors in groups(job.cell, weights):
        count = sum(each[0].numel() for each in tensors)
        total = sum(_gradient(each).double().square().flatten(1).sum(1) for each in tensors)
        squares.append((layer, name, total / count, count))
    return squares, [each.detach().double().square().mean((1, 2, 3)) for each in outputs]


def _gradient(tensor: Tensor) -> Tensor:
    assert tensor.grad is not None
    return tensor.grad


def stack_seconds(job: StackJob) -> float:
    """About how long a job takes: its first networks, with fewer steps, of the fewest and of the most blocks.

    It is linear in the number of blocks, and in that of networks where these are so large that nothing is gained by
    computing several side by side.
    """
    networks = list(itertools.product(range(job.seeds), job.times))
    timed = max(1, min(together(job), int(_LARGE / network_bytes(job))))
    seeds, times = zip(*networks[:timed], strict=True)
    groups = len(networks) / len(seeds)
    ends = sorted({min(job.layers), max(job.layers)})
    seconds = [
        seconds_by_steps(
            lambda steps, layers=layers: measured(
                replace(job, steps=steps), layers, torch.tensor(seeds), torch.tensor(times, dtype=torch.float64)
            ),
            job.steps,
            least=2,
            times=groups,
        )
        for layers in ends
    ]
    return float(np.interp(job.layers, ends, seconds).sum())


STACK = tables_kind("stack", StackJob, stack_tables, seconds=stack_seconds, memory=stack_bytes)
"""Figs 5 and 13: deep stacks at initialisation."""
