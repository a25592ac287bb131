"""`task=copy`: delayed copy, y_t = x_{t-d} with x ~ U(0, 1)."""

from torch import Tensor

from floss import random
from floss.tasks.task import Task, delayed


class Copy(Task):
    """Appendix H.1 of the paper."""

    def sample_inputs(self, seeds, stream, epoch, count, dtype) -> Tensor:
        return random.uniform(seeds, stream, count, epoch=epoch, dtype=dtype)

    def combine(self, x, d) -> Tensor:
        return delayed(x[..., 0], d)


TASK = Copy("copy", inputs=1, min_delay=0, even=False, binary=False)
