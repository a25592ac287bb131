"""`task=xor`: binary temporal XOR, y_t = x_{t-d/2} ⊕ x_{t-d} with fair random bits x."""

from torch import Tensor

from floss import random
from floss.tasks.task import Task, delayed


class Xor(Task):
    """Section 5 and Table 2 of the paper."""

    def sample_inputs(self, seeds, stream, epoch, count, dtype) -> Tensor:
        return random.bits(seeds, stream, count, epoch=epoch, dtype=dtype)

    def combine(self, x, d) -> Tensor:
        return (delayed(x[..., 0], d // 2) - delayed(x[..., 0], d)).abs()


TASK = Xor("xor", inputs=1, min_delay=2, even=True, binary=True)
