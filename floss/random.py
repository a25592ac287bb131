"""Random numbers without state: every number is a pure function of (seed, stream, epoch, index).

The generator is Philox4x32-10 (Salmon, Moraes, Dror & Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3"),
a counter-based bijection: no state is carried, so a network's numbers depend on its own seed alone; not on the
networks trained beside it, not on the device, and not on where a run was interrupted.

Counter words: (block, epoch, stream, part); key words: the low and the high half of the seed. Each block gives four
32-bit words. On a CPU NumPy computes them, in a fifth of torch's time for a small network and in half of it for many
large ones; torch computes the same words on any other device, and within a transform of `torch.func`.
"""

import math
from enum import IntEnum

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

Words = tuple[Tensor, Tensor, Tensor, Tensor]

_MASK = 0xFFFFFFFF
_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)
_ROUNDS = 10

SEED_LIMIT = 2**63
"""Seeds are whole numbers in [0, 2**63)."""


class Stream(IntEnum):
    """What a random number is for. Numbers of different streams are independent of each other."""

    WEIGHTS = 0
    INITIAL_STATE = 1
    TANGENT = 2
    TRAINING = 3
    FLOSSING = 4
    EVALUATION = 5
    TEACHER = 6


def philox4x32(counter: Words, key: tuple[Tensor, Tensor]) -> Words:
    """Philox4x32-10: four random 32-bit words for each counter.

    Args:
        counter: four int64 tensors of one broadcastable shape, each holding numbers in [0, 2**32).
        key: two int64 tensors, broadcastable to the counters.

    Returns:
        Four int64 tensors of numbers in [0, 2**32).
    """
    in_memory = all(word.device.type == "cpu" for word in (*counter, *key))
    # Within a transform of `torch.func` tensors are wrappers, whose numbers NumPy cannot read.
    wrapped = torch._C._are_functorch_transforms_active()
    return _in_numpy(counter, key) if in_memory and not wrapped else _in_torch(counter, key)


def _in_torch(counter: Words, key: tuple[Tensor, Tensor]) -> Words:
    """Torch has no unsigned 64-bit product, but the bits of its int64 product, which wraps, are those of one."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(_ROUNDS):
        p0, p1 = c0 * _MULTIPLIERS[0], c2 * _MULTIPLIERS[1]
        c0, c1, c2, c3 = ((p1 >> 32) & _MASK) ^ c1 ^ k0, p1 & _MASK, ((p0 >> 32) & _MASK) ^ c3 ^ k1, p0 & _MASK
        k0, k1 = (k0 + _WEYL[0]) & _MASK, (k1 + _WEYL[1]) & _MASK
    return c0, c1, c2, c3


_MULTIPLIERS_OF_BOTH = np.array(_MULTIPLIERS, np.uint64)
_KEYS_BUMPED = np.array([[(i * weyl) & _MASK for weyl in reversed(_WEYL)] for i in range(_ROUNDS)], np.uint64)
_HALF, _LOW = np.uint64(32), np.uint64(_MASK)


def _in_numpy(counter: Words, key: tuple[Tensor, Tensor]) -> Words:
    """Both products of a round at once: of the words (c0, c2), which stand beside (c3, c1) and the keys (k1, k0)."""
    c0, c1, c2, c3, k0, k1 = (word.numpy().astype(np.uint64) for word in (*counter, *key))
    shape = np.broadcast_shapes(*(word.shape for word in (c0, c1, c2, c3, k0, k1)))
    multipliers = _MULTIPLIERS_OF_BOTH.reshape(2, *(1,) * len(shape))
    factors, others = np.empty((2, *shape), np.uint64), np.empty((2, *shape), np.uint64)
    factors[0], factors[1], others[0], others[1] = c0, c2, c3, c1
    first = np.stack(np.broadcast_arrays(k1, k0))
    first = first.reshape(2, *(1,) * (len(shape) + 1 - first.ndim), *first.shape[1:])
    for keys in (first + _KEYS_BUMPED.reshape(_ROUNDS, 2, *(1,) * len(shape))) & _LOW:
        products = factors * multipliers
        factors = ((products >> _HALF) ^ others ^ keys)[::-1]
        others = products & _LOW
    (c0, c2), (c3, c1) = (torch.from_numpy(words.astype(np.int64)) for words in (factors, others))
    return c0, c1, c2, c3


def words(
    seeds: Int64[Tensor, "R"], stream: Stream, count: int, *, epoch: int | Int64[Tensor, "R"] = 0, part: int = 0
) -> Int64[Tensor, "R {count}"]:
    """`count` random 32-bit words per seed: word i is word i mod 4 of block i div 4.

    Args:
        seeds: one seed per network, on the device where the numbers are wanted.
        stream: what the numbers are for.
        count: how many words per seed.
        epoch: the second counter word, one for all or one per network.
        part: the fourth counter word: tells apart tensors of one stream (weights W, V, b, ...).

    Returns:
        Integers in [0, 2**32).
    """
    device = seeds.device
    block = torch.arange((count + 3) // 4, device=device)
    # Filled on the device: nothing is sent to it, so that an epoch can be captured in a CUDA graph.
    c1, c2, c3 = (
        v[:, None] if isinstance(v, Tensor) else torch.full((), v, dtype=torch.int64, device=device)
        for v in (epoch, int(stream), part)
    )
    out = philox4x32((block, c1, c2, c3), ((seeds & _MASK)[:, None], (seeds >> 32)[:, None]))
    return torch.stack(out, dim=-1).reshape(len(seeds), -1)[:, :count]


def uniform(
    seeds: Int64[Tensor, "R"],
    stream: Stream,
    count: int,
    *,
    epoch: int | Int64[Tensor, "R"] = 0,
    part: int = 0,
    dtype: torch.dtype = torch.float32,
) -> Float[Tensor, "R {count}"]:
    """Uniform numbers in [0, 1): the upper 24 bits of each word, so float32 and float64 hold the same values."""
    return (words(seeds, stream, count, epoch=epoch, part=part) >> 8).to(dtype) * 2.0**-24


def bits(
    seeds: Int64[Tensor, "R"],
    stream: Stream,
    count: int,
    *,
    epoch: int | Int64[Tensor, "R"] = 0,
    part: int = 0,
    dtype: torch.dtype = torch.float32,
) -> Float[Tensor, "R {count}"]:
    """Fair coin flips, 0 or 1: number i is bit i mod 32 of word i div 32."""
    packed = words(seeds, stream, (count + 31) // 32, epoch=epoch, part=part)
    in_word, in_byte = torch.arange(0, 32, 8, device=seeds.device), torch.arange(8, device=seeds.device)
    # One look-up for eight bits: shifting each out of a 64-bit integer costs as much as a twentieth of an epoch.
    table = ((torch.arange(256, device=seeds.device)[:, None] >> in_byte) & 1).to(dtype)
    return table[(packed[:, :, None] >> in_word) & 0xFF].reshape(len(seeds), -1)[:, :count]


def normal(
    seeds: Int64[Tensor, "R"],
    stream: Stream,
    count: int,
    *,
    epoch: int | Int64[Tensor, "R"] = 0,
    part: int = 0,
    dtype: torch.dtype = torch.float32,
) -> Float[Tensor, "R {count}"]:
    """Standard normal numbers by Box and Muller (1958), two words for two numbers.

    Computed in float64 on the CPU whatever the device of `seeds` (logarithm and cosine differ in their last bits
    between devices), then rounded to `dtype` and moved back.
    """
    cpu_epoch = epoch.cpu() if isinstance(epoch, Tensor) else epoch
    pairs = words(seeds.cpu(), stream, count + count % 2, epoch=cpu_epoch, part=part)
    u, v = ((pairs[:, i::2].double() + 0.5) * 2.0**-32 for i in (0, 1))
    radius = torch.sqrt(-2.0 * torch.log(u))
    angle = 2.0 * math.pi * v
    out = torch.stack((radius * torch.cos(angle), radius * torch.sin(angle)), dim=-1)
    return out.reshape(len(seeds), -1)[:, :count].to(dtype).to(seeds.device)
