"""One call of a map's tangent step as the list of torch operations that it made, and what it read.

The recorder lies below `torch.func` and autograd: what it sees are plain operations on plain tensors. A call that
cannot stand for all others is refused: it draws random numbers, looks at numbers, or writes into what it does not own.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from floss.lyapunov.derivatives import with_memory

_MASKS = (torch.bool, torch.uint8)
_PLAIN = (Tensor, torch.nn.Parameter, torch.nn.Buffer)


class RefusedError(Exception):
    """A step that cannot be replayed; the message says why, as the end of a sentence that begins with the step."""


class Ref(NamedTuple):
    """A value of a recording, by its number."""

    index: int  # pyright: ignore[reportIncompatibleMethodOverride]


class Kind(NamedTuple):
    """What a value is, but for its numbers."""

    shape: tuple[int, ...]
    dtype: torch.dtype
    device: torch.device


def kind_of(tensor: Tensor) -> Kind:
    """Shape, dtype and device of a tensor."""
    return Kind(tuple(tensor.shape), tensor.dtype, tensor.device)


@dataclass
class Call:
    """One operation."""

    func: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    outs: tuple[int, ...]
    """Numbers of the values that it returned: new ones, or arguments that it wrote into."""
    kinds: tuple[Kind, ...]
    """Of these values, as they were then: some operations change the shape of a tensor."""


@dataclass
class Recording:
    """The operations of one call, in their order; values are numbered, first the inputs."""

    calls: list[Call] = field(default_factory=list)
    tensors: list[Tensor] = field(default_factory=list)
    """The tensors of this call, by number; they stay alive, so that each is known by its id."""
    kinds: list[Kind] = field(default_factory=list)
    """Of these tensors, when they were first seen."""
    externals: list[int] = field(default_factory=list)
    """Numbers of the tensors that were read and are neither inputs nor results: parameters, constants."""
    fresh: set[int] = field(default_factory=set)
    """Those of them that the call made of Python numbers."""
    inputs: int = 0
    outputs: tuple[int, ...] = ()

    def structure(self) -> tuple[Any, ...]:
        """All but the numbers in the tensors, as a key."""
        kinds = tuple((self.kinds[i], self.tensors[i].stride()) for i in (*range(self.inputs), *self.externals))
        calls = tuple(
            (str(c.func), _frozen(c.args), tuple((n, _frozen(v)) for n, v in c.kwargs.items()), c.outs, c.kinds)
            for c in self.calls
        )
        return calls, kinds, self.outputs, tuple(self.externals)


def _frozen(value: Any) -> Any:
    if isinstance(value, list | tuple) and not isinstance(value, Ref):
        return (type(value).__name__, *(_frozen(v) for v in value))
    # 1, 1.0 and True are equal, and are not the same argument; NaN is not equal to itself.
    return value if isinstance(value, Ref) else (type(value).__name__, repr(value))


def record(function: Callable[..., tuple[Tensor, ...]], inputs: Sequence[Tensor]) -> tuple[Recording | str, Any]:
    """The operations of `function(*inputs)`, or why another call may do something else; and what it returned."""
    recorder = _Recorder(inputs)
    with recorder:
        results = function(*inputs)
    if recorder.reason is None:
        recorder.recording.outputs = tuple(recorder.number(result) for result in results)
    return recorder.recording if recorder.reason is None else recorder.reason, results


class _Recorder(TorchDispatchMode):
    """Never raises within the step, which may catch it: `reason` says why the step cannot be replayed."""

    def __init__(self, inputs: Sequence[Tensor]) -> None:
        super().__init__()
        self.recording = Recording([], list(inputs), [kind_of(tensor) for tensor in inputs], inputs=len(inputs))
        self.numbers = {id(tensor): i for i, tensor in enumerate(inputs)}
        self.reason: str | None = None
        if len(self.numbers) < len(inputs):
            self.reason = "takes one tensor as two of its arguments"

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """False: what torch does for its compiler would import it, which takes seconds, and slows torch.func down."""
        return False

    def number(self, tensor: Tensor) -> int:
        found = self.numbers.get(id(tensor))
        if found is None:
            found = self._add(tensor)
            self.recording.externals.append(found)
            if type(tensor) not in _PLAIN or tensor.layout != torch.strided:
                self.reason = self.reason or f"reads a {type(tensor).__name__} of its own kind"
        return found

    def _add(self, tensor: Tensor) -> int:
        self.numbers[id(tensor)] = len(self.recording.tensors)
        self.recording.tensors.append(tensor)
        self.recording.kinds.append(kind_of(tensor))
        return self.numbers[id(tensor)]

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func._schema.name == "aten::_linalg_check_errors":  # what cannot be solved has no finite numbers either
            return func(*args, **kwargs)
        mask = None
        if func is torch.ops.aten.convolution_backward.default:  # which leaves out some of its results
            mask, args = args[-1], _whole_convolution(args)
        self.reason = self.reason or _reason(func, args)
        given = self._numbered(tuple(args)), {name: self._numbered(value) for name, value in kwargs.items()}
        written = func._schema.is_mutable and self._written(func, args, kwargs)
        result = func(*with_memory(func, args), **kwargs)
        wanted = result if mask is None else tuple(r if m else None for r, m in zip(result, mask, strict=True))
        if self.reason is not None:
            return wanted
        results = result if isinstance(result, tuple | list) else (result,)
        if not all(isinstance(r, Tensor) for r in results) or any(type(r) not in _PLAIN for r in results):
            if not (func._schema.is_mutable and all(r is None for r in results)):
                self.reason = "looks at numbers, on which the course of the computation may depend"
                return wanted
            results = ()
        lifted = func._schema.name in ("aten::lift_fresh", "aten::lift_fresh_copy") and isinstance(args[0], Tensor)
        if lifted:
            self.recording.fresh.add(self.numbers[id(args[0])])
        outs = tuple(self.numbers[id(r)] if id(r) in self.numbers else self._add(r) for r in results)
        if not (written or lifted) and any(out in self.recording.externals for out in outs):
            self.reason = "returns a tensor that it keeps"
        self.recording.calls.append(Call(func, *given, outs, tuple(map(kind_of, results))))
        return wanted

    def _numbered(self, value: Any) -> Any:
        """Arguments with numbers for tensors."""
        if isinstance(value, Tensor):
            return Ref(self.number(value))
        if isinstance(value, list | tuple):
            return type(value)([self._numbered(part) for part in value])
        return value

    def _written(self, func: Any, args: Any, kwargs: Any) -> bool:
        """Whether it writes into arguments; into those that the step does not own, it may not."""
        for i, argument in enumerate(func._schema.arguments):
            if argument.alias_info is None or not argument.alias_info.is_write:
                continue
            values = args[i] if i < len(args) else kwargs.get(argument.name)
            for tensor in values if isinstance(values, list | tuple) else (values,):
                if isinstance(tensor, Tensor):
                    number = self.numbers[id(tensor)]
                    if number in self.recording.externals or number < self.recording.inputs:
                        self.reason = self.reason or "writes into a tensor that it keeps"
        return True


def _whole_convolution(args: Any) -> tuple[Any, ...]:
    """Arguments of the backward pass of a convolution for all its three gradients."""
    grad, x, weight, _, stride, padding, dilation, transposed, output_padding, groups, _ = args
    channels = weight.shape[1] * groups if transposed else weight.shape[0]
    geometry = (stride, padding, dilation, transposed, output_padding, groups)
    return (grad, x, weight, [channels], *geometry, [True, True, True])


def _reason(func: Any, args: Any) -> str | None:
    """Why an operation cannot be replayed."""
    tags = func.tags
    if func._schema.name == "aten::index" and not any(i.dtype in _MASKS for i in args[1] if i is not None):
        return None  # indices are whole numbers
    if torch.Tag.nondeterministic_seeded in tags:
        return "draws random numbers"
    if torch.Tag.dynamic_output_shape in tags:
        return "has results whose shape depends on numbers"
    if torch.Tag.data_dependent_output in tags or func._schema.name in ("aten::_local_scalar_dense", "aten::equal"):
        return "looks at numbers, on which the course of the computation may depend"
    return None


def same_tensors(first: Recording, second: Recording) -> bool:
    """Whether two calls that did the same read the same tensors."""
    for i, j in zip(first.externals, second.externals, strict=True):
        a, b = first.tensors[i], second.tensors[j]
        alike = kind_of(a) == kind_of(b) and a.stride() == b.stride() and a.requires_grad == b.requires_grad
        if a is b or (alike and a.numel() and a.data_ptr() == b.data_ptr()):
            continue
        made = i in first.fresh and j in second.fresh and alike and not a.requires_grad
        if not made or not torch.equal(a, b):
            return False
    return True
