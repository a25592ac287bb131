"""floss.check_step: what is right with a map passes, and what is wrong with it is said in one line."""

import pytest
import torch
from problems import DOUBLE, TRAINED_CELLS, gaussian
from torch import nn

import floss
from floss.networks import CELLS

N = 4
W, H, X = gaussian(1, N, N) / 2.0, gaussian(2, 3, N), gaussian(3, 3, N)


class Own:
    """A map with a derivative of its own, which can be wrong in several ways."""

    def __init__(self, factor=1.0, shift=0.0, zero=False):
        self.factor, self.shift, self.zero = factor, shift, zero

    def __call__(self, h, x):
        return torch.tanh(h @ W.to(h).mT) + x

    def advance(self, h, q, x):
        r = torch.tanh(h @ W.to(h).mT)
        return r + x + self.shift, self.factor * (1 - r * r)[..., None] * (W.to(h) @ q)


def in_place(h, x):
    h.mul_(0.5)
    return h.add_(x)


RIGHT = {
    "function": lambda h, x: torch.tanh(h @ W.to(h).mT) + x,
    "own derivative": Own(),
    "in place": in_place,
    "relu": lambda h, x: torch.relu(h @ W.to(h).mT + x),
    "no dependence": lambda h, x: torch.tanh(x + 0.0 * h),
    "threshold": lambda h, x: (h > 0).to(h) + x,
    "noise": lambda h, x: torch.tanh(h @ W.to(h).mT) + x + torch.randn_like(h),
    "dropout": lambda h, x: nn.functional.dropout(torch.tanh(h @ W.to(h).mT), 0.3) + x,
    "large": lambda h, x: 1e6 * (h @ W.to(h).mT + x),
    "small": lambda h, x: 1e-6 * torch.sin(h + x),
    "flow": floss.stroboscopic_map(lambda h, x: torch.tanh(h @ W.to(h).mT) - h + x, 0.1),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", RIGHT)
def test_right(name, dtype):
    state, h, x = torch.get_rng_state(), H.to(dtype), X.to(dtype)
    for at in (slice(None), 0):
        assert floss.check_step(RIGHT[name], h[at], x[at]) < (1e-2 if dtype == torch.float32 else 1e-5)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(h, H.to(dtype))


@pytest.mark.parametrize("arch", TRAINED_CELLS)
def test_our_own_cells(arch):
    cell = CELLS[arch]
    parameters = cell.initial_parameters(torch.arange(2), torch.ones(2).double(), n=4, inputs=2, batch=3, dtype=DOUBLE)
    floss.check_step(cell.step(parameters), parameters["h0"], gaussian(4, 2, 3, 2))
    floss.check_step(cell.step(parameters), parameters["h0"][:, 0])


@pytest.mark.parametrize("make", [nn.RNN, nn.LSTM, nn.GRU, nn.LSTMCell])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_modules(make, dtype):
    step, n = floss.step_from_module(make(N, 5, dtype=dtype))
    floss.check_step(step, gaussian(5, 3, n).to(dtype), X.to(dtype))


def test_a_module_that_changed_after_its_step_was_made():
    module = nn.GRU(N, 5, dtype=DOUBLE)
    step, n = floss.step_from_module(module)
    floss.check_step(step, gaussian(5, n), X[0])
    module.register_forward_hook(lambda m, i, out: (out[0], 0.5 * out[1]))
    with pytest.raises(ValueError, match=r"^check_step: the forward of GRU does not go step by step"):
        floss.check_step(step, gaussian(5, n), X[0])


class Counting:
    def __init__(self):
        self.calls = 0

    def __call__(self, h, x):
        self.calls += 1
        return 0.5 * h + x + self.calls


class Pairless(Own):
    def advance(self, h, q, x):
        return self(h, x)


class Narrow(Own):
    def advance(self, h, q, x):
        return self(h, x), q[..., 0]


def raising(h, x):
    raise KeyError("gate\nand more")


def with_nan(h, x):
    return (h + x).log()


KEPT = torch.zeros(3, N, dtype=DOUBLE)


def captured(h, x):
    return KEPT.copy_(h + x)


WRONG = {
    "own derivative": (Own(factor=1.01), H, X, "D(h) q is off by 0.0099 of its size from finite differences"),
    "own next state": (Own(shift=0.1), H, X, "the map gives another next state by advance(h, q, *x) than when it is"),
    "no pair": (Pairless(), H, X, "advance(h, q, *x) must return the pair of the next state and D q: for h [3, 4]"),
    "narrow": (Narrow(), H, X, "advance(h, q, *x) must return D q of the shape of q: for h [3, 4] and x [3, 4] and q"),
    "detach": (
        lambda h, x: torch.tanh(h.detach()) + x,
        H,
        X,
        "D(h) q is off by 1 of its size from finite differences: ",
    ),
    "item": (lambda h, x: h * h[0, 0].item() + x, H, X, "the map mixes trajectories: one state depends on another"),
    "item of one": (lambda h, x: h * h[0].item() + x, H[0], X[0], "D(h) q is off by "),
    "numpy": (lambda h, x: torch.from_numpy(h.numpy()) + x, H, X, "the map has no forward-mode derivative: "),
    "mixed": (lambda h, x: h - h.mean(0) + x, H, X, "the map mixes trajectories: one state depends on another along"),
    "keeps": (Counting(), H, X, "the map gives another state when it is called again: it keeps something (off by "),
    "writes": (captured, H, X, "the map has no forward-mode derivative: it writes into a tensor that it keeps"),
    "shape": (
        lambda h, x: (h + x)[..., :2],
        H,
        X,
        "the map must return a state of the shape of h: for h [3, 4] and x ",
    ),
    "dtype": (
        lambda h, x: (h + x).float(),
        H,
        X,
        "the map must return a state of the dtype of h: for torch.float64 it ",
    ),
    "integers": (
        lambda h, x: (h > x).long(),
        H,
        X,
        "the map must return a state of the dtype of h: for torch.float64 it",
    ),
    "device": (
        lambda h, x: (h + x).to("meta"),
        H,
        X,
        "the map must return a state of the device of h: for cpu it gave ",
    ),
    "tuple": (
        lambda h, x: (h, x),
        H,
        X,
        "the map must return a state of the shape of h: for h [3, 4] and x [3, 4] it gave",
    ),
    "nothing": (
        lambda h, x: None,
        H,
        X,
        "the map must return a state of the shape of h: for h [3, 4] and x [3, 4] it ",
    ),
    "a number": (
        lambda h, x: 1.0,
        H,
        X,
        "the map must return a state of the shape of h: for h [3, 4] and x [3, 4] it ",
    ),
    "raises": (raising, H, X, "the map cannot take h [3, 4] and x [3, 4]: 'gate"),
    "NaN": (with_nan, H, X, "the next state has a value that is not finite"),
    "no input": (lambda h, x: h + x, H, None, "the map cannot take h [3, 4]: "),
    "an input": (lambda h: h, H, X, "the map cannot take h [3, 4] and x [3, 4]: "),
    "width": (
        lambda h, x: h + x,
        H,
        X[:, :3],
        "the map cannot take h [3, 4] and x [3, 3]: The size of tensor a (4) must",
    ),
    "no map": (torch.zeros(3), H, X, "step=torch.float32 [3] must be a map step(h, x) -> h, or step(h) -> h"),
    "a module": (nn.GRUCell(N, N), H, X, "step is a GRUCell, which takes the input before the state; floss.step_from_"),
    "h0 NaN": (Own(), H.log(), X, "h0 has a value that is not finite"),
    "h0 integer": (Own(), H.long(), X, "h0 must be float32 or float64 of shape [..., n], got torch.int64 [3, 4]"),
    "h0 number": (
        Own(),
        torch.tensor(1.0),
        None,
        "h0 must be float32 or float64 of shape [..., n], of one state or more, got torch.float32 []",
    ),
    "h0 list": (Own(), [0.0] * N, None, "h0=[0.0, 0.0, 0.0, 0.0] must be a tensor or a NumPy array, float32 or"),
    "x list": (Own(), H, [0.0] * N, "x=[0.0, 0.0, 0.0, 0.0] must be a tensor or a NumPy array, real numbers"),
    "state size": (
        floss.step_from_module(nn.GRU(4, 5).double())[0],
        H,
        X,
        "h0 has 4 numbers per state, but the state of",
    ),
    "input size": (
        floss.step_from_module(nn.GRU(3, 4).double())[0],
        H,
        X,
        "inputs must have shape [T, ..., 3] for GRU, ",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong(name):
    step, h, x, message = WRONG[name]
    with pytest.raises(ValueError, match=r".") as caught:
        floss.check_step(step, h, x)
    assert str(caught.value).startswith(f"check_step: {message}")
    assert "\n" not in str(caught.value)


ANYWHERE = (
    *("no pair", "narrow", "numpy", "writes", "shape", "dtype", "integers", "device", "tuple", "nothing", "a number"),
    *("raises", "no input", "an input", "width", "no map", "a module", "h0 integer", "h0 number"),
    *("state size", "input size"),
)


@pytest.mark.parametrize("compute", [floss.lyapunov_spectrum, floss.one_step_jacobians, floss.lyapunov_history])
@pytest.mark.parametrize("name", ANYWHERE)
def test_wrong_maps_are_refused_by_what_takes_maps(name, compute):
    step, h, x, message = WRONG[name]
    lengths = {"steps": 3} if x is None else {"inputs": torch.stack([x] * 3)}
    with pytest.raises(ValueError, match=r".") as caught:
        compute(step, h, **lengths)
    assert str(caught.value).startswith(f"{compute.__name__}: {message}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"inputs": [1.0, 2.0]},
            "inputs=[1.0, 2.0] must be a tensor or a NumPy array, real numbers of shape [T, ...], one row per step",
        ),
        (
            {"inputs": torch.tensor(1.0)},
            "inputs must be real numbers of shape [T, ...], one row per step, got torch.float32 []",
        ),
        ({"steps": 3.0}, "steps=3.0 must be a whole number, at least 1"),
        ({"steps": True}, "steps=True must be a whole number, at least 1"),
        ({"steps": "many"}, "steps='many' must be a whole number, at least 1"),
    ],
    ids=str,
)
def test_lengths_of_another_kind(arguments, message):
    with pytest.raises(ValueError, match=r".") as caught:
        floss.one_step_jacobians(Own(), H[0], **arguments)
    assert str(caught.value) == f"one_step_jacobians: {message}"
