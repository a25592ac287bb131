"""Transfer functions on any device: nothing is sent to it, and nothing comes from the CPU."""

from typing import Any

import pytest
import torch
from problems import DOUBLE, RATE_CELLS, activation, gaussian
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class OnOneDevice(TorchDispatchMode):
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        tensors = [each for each in tree_leaves((args, kwargs, out)) if isinstance(each, torch.Tensor)]
        assert {tensor.device.type for tensor in tensors} <= {"meta"}, func
        return out


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("arch", RATE_CELLS)
def test_every_derivative_stays_on_the_device(arch, dtype):
    phi, h, delta = activation(arch), torch.empty(3, 4, dtype=dtype, device="meta"), torch.empty(3, 4, device="meta")
    with OnOneDevice():
        r = phi.rate(h, out=torch.empty_like(h))
        slopes = (phi.slope(r), phi.slope(r, out=torch.empty_like(r)))
        for value in (r, phi.rate(h), *slopes, phi.curvature(r), phi.pull_(delta.to(dtype), r)):
            assert (value.dtype, value.shape) == (dtype, h.shape)


@pytest.mark.parametrize("arch", RATE_CELLS)
def test_a_slope_into_a_buffer_is_the_slope(arch):
    phi, h = activation(arch), gaussian(0, 3, 4)
    r, buffer = phi.rate(h), torch.empty(3, 4, dtype=DOUBLE)
    assert phi.slope(r, out=buffer) is buffer
    torch.testing.assert_close(buffer, phi.slope(r), rtol=0, atol=torch.finfo(DOUBLE).eps)  # rounded once, or twice
