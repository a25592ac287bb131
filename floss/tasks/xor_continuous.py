"""`task=xor_continuous`: continuous temporal XOR, y_t = |x_{t-d/2} - x_{t-d}| with x ~ U(0, 1)."""

from torch import Tensor

from floss import random
from floss.tasks.task import Task, delayed


class XorContinuous(Task):
    """Eq. 20 of the paper."""

    def draw(self, seeds, stream, epoch, count, dtype) -> Tensor:
        return random.uniform(seeds, stream, count, epoch=epoch, dtype=dtype)

    def combine(self, x, d) -> Tensor:
        return (delayed(x[..., 0], d // 2) - delayed(x[..., 0], d)).abs()


TASK = XorContinuous("xor_continuous", inputs=1, min_delay=2, even=True, binary=False)
