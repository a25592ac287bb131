"""`task=spatial_xor`: binary spatial XOR, y_t = x¹_{t-d} ⊕ x²_{t-d} ⊕ x³_{t-d} with three fair random bits per step."""

import torch
from torch import Tensor

from floss import random
from floss.tasks.task import Task, delayed


class SpatialXor(Task):
    """Section 5 of the paper, Fig 4B and D."""

    def sample_inputs(self, seeds, stream, epoch, count, dtype) -> Tensor:
        return random.bits(seeds, stream, count, epoch=epoch, dtype=dtype)

    def combine(self, x, d) -> Tensor:
        return torch.remainder(delayed(x.sum(-1), d), 2.0)


TASK = SpatialXor("spatial_xor", inputs=3, min_delay=0, even=False, binary=True)
