"""`task=xor_continuous`: continuous temporal XOR, y_t = |x_{t-d/2} - x_{t-d}| with x ~ U(0, 1)."""

from torch import Tensor

from floss import random
from floss.tasks.xor import Xor


class XorContinuous(Xor):
    """Eq. 20 of the paper: for bits, |a - b| is the exclusive or."""

    def sample_inputs(self, seeds, stream, epoch, count, dtype) -> Tensor:
        return random.uniform(seeds, stream, count, epoch=epoch, dtype=dtype)


TASK = XorContinuous("xor_continuous", inputs=1, min_delay=2, even=True, binary=False)
