"""An architecture and a task of a package of its own: `floss train arch=leaky task=recall d=20`."""

from floss import random
from floss.networks import Cell
from floss.networks.stacked import align, apply, spread
from floss.tasks import Task
from floss.tasks.task import delayed


class Leaky(Cell):
    """h' = h/2 + (W tanh(h) + V x + b)/2: half of the state leaks away at every step."""

    name, flossed, defaults = "leaky", ("W", "V", "b"), {"n": 32, "g": 1.2}

    def state_size(self, n):
        return n

    def initial_weights(self, draw, *, n, inputs):
        return {"W": draw.recurrent(0, n, draw.g), "V": draw.normal(1, n, inputs), "b": draw.bias * draw.uniform(2, n)}

    def step(self, parameters):
        def step(h, x=None):
            drive = apply(parameters["W"], h.tanh()) + align(parameters["b"], h)
            return h.lerp(drive if x is None else drive + apply(parameters["V"], spread(x, h)), 0.5)

        return step


class Recall(Task):
    """y_t = x_{t-d}: a fair bit of d steps ago."""

    def sample_inputs(self, seeds, stream, epoch, count, dtype):
        return random.bits(seeds, stream, count, epoch=epoch, dtype=dtype)

    def combine(self, x, d):
        return delayed(x[..., 0], d)


LEAKY = Leaky()
RECALL = Recall("recall", inputs=1, min_delay=0, even=False, binary=True)
