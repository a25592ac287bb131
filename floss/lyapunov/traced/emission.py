"""A program in fixed memory as C++: the same operations on the same memory, without a call of Python for each.

Loops over numbers are written out with their sizes and strides; products and QR decompositions are those of the BLAS
and the LAPACK that torch itself uses, by their addresses. What is not in the tables here is not emitted.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from floss.lyapunov.traced.graph import Node
from floss.lyapunov.traced.loops import UnknownError, literal, loops_over, order_of
from floss.lyapunov.traced.operations import RESHAPES, is_view
from floss.lyapunov.traced.replay import Program

TYPES = {torch.float64: "double", torch.float32: "float", torch.bool: "unsigned char", torch.int64: "long long"}
POINTWISE = {
    "add": "{0} + {1}",
    "sub": "{0} - {1}",
    "mul": "{0} * {1}",
    "div": "{0} / {1}",
    "neg": "-{0}",
    "tanh": "std::tanh({0})",
    "sigmoid": "(T)1 / ((T)1 + std::exp(-{0}))",
    "tanh_backward": "{0} * ((T)1 - {1} * {1})",
    "sigmoid_backward": "{0} * ((T)1 - {1}) * {1}",
    "exp": "std::exp({0})",
    "expm1": "std::expm1({0})",
    "log": "std::log({0})",
    "log1p": "std::log1p({0})",
    "sin": "std::sin({0})",
    "cos": "std::cos({0})",
    "sqrt": "std::sqrt({0})",
    "rsqrt": "(T)1 / std::sqrt({0})",
    "reciprocal": "(T)1 / {0}",
    "abs": "std::abs({0})",
    "square": "{0} * {0}",
    "relu": "({0} <= 0 ? (T)0 : {0})",
    "sign": "(T)(({0} > 0) - ({0} < 0))",
    "sgn": "(T)(({0} > 0) - ({0} < 0))",
    "threshold_backward": "({1} <= (T){2} ? (T)0 : {0})",
    "where": "({0} ? (T){1} : (T){2})",
    "gt": "{0} > {1}",
    "lt": "{0} < {1}",
    "ge": "{0} >= {1}",
    "le": "{0} <= {1}",
    "clone": "{0}",
    "expand": "{0}",
    "view": "{0}",
}
"""Operations on each number, of tensors that are broadcast to one shape; T is the type of the result."""
_COMPARED = {"gt", "lt", "ge", "le"}
"""Those whose numbers are of the type that torch compares them in, and not of that of the result, which is a mask."""
_OF_MASKS = _COMPARED | {"where", "clone", "expand", "view", "mul"}
"""Those that are for masks what they are for numbers; a sum of masks is none, but 1 + 1 is 2."""


_CACHE, _FEW = 3 * 2**18, 24
"""Bytes of weights that stay in a core's cache, and columns of a product that reads its weights once or twice."""
_PADDING = 32
"""Rows that weights may be filled up by: those of a tile of cpp/products.h in single precision."""


class Emission:
    """The body of a program as text, and the memory that it works on."""

    def __init__(self, program: Program, constants: Sequence[int] = ()) -> None:
        """Write out the calls of a program, of whose inputs these do not change within a run."""
        self.program = program
        self.first: list[str] = []
        """What is done once, before the first step of a run."""
        self._constant = {program.value(number).untyped_storage().data_ptr() for number in constants}
        self._packed: dict[Any, Tensor] = {}
        self.buffers: list[Tensor] = []
        """Tensors in whose memory the buffers p[0], p[1], … begin."""
        self._numbers: dict[int, int] = {}
        self.lines: list[str] = []
        for node, outs, args in program.steps:
            self._operation(node, outs, args)

    def buffer(self, tensor: Tensor) -> int:
        """The number of the buffer in which a tensor lies."""
        start = tensor.untyped_storage().data_ptr()
        if start not in self._numbers:
            self._numbers[start] = len(self.buffers)
            self.buffers.append(tensor)
        return self._numbers[start]

    def place(self, tensor: Tensor) -> str:
        """A pointer to the first number of a tensor, as text."""
        kind = TYPES.get(tensor.dtype)
        if kind is None:
            raise UnknownError(f"{tensor.dtype}")
        return f"(({kind}*)p[{self.buffer(tensor)}] + {tensor.storage_offset()})"

    def _operation(self, node: Node, outs: list[Tensor], args: list[Any]) -> None:
        name = node.func._schema.name.removeprefix("aten::")
        out = outs[0]
        if name == "full":
            return  # its memory is filled once
        if name in ("mm", "mv", "bmm", "addmm"):
            self._product(name, out, args)
        elif name in ("stack", "cat"):
            self._joined(name, out, args)
        elif name in ("slice_backward", "select_backward"):
            self._scattered(name, out, args)
        elif name in ("sum", "mean", "amax", "amin"):
            self._reduction(name, out, args)
        elif name == "pow" and isinstance(args[1], int | float) and args[1] in (2, 3):
            self.pointwise(" * ".join(["{0}"] * int(args[1])), out, args[:1])
        elif name in ("_softmax", "_log_softmax") and args[1] in (-1, args[0].ndim - 1) and not args[2]:
            self._softmax(out, args[0], name == "_log_softmax")
        elif name == "native_layer_norm":
            self._normalized(outs, args)
        elif name == "rsub":
            self._check_alpha(args[2:], node)
            self.pointwise("{1} - {0}", out, args[:2])
        elif is_view(node) and len(outs) == 1 and isinstance(args[0], Tensor):
            source = args[0]
            made = out.view(source.shape) if node.func._schema.name in RESHAPES else out
            shaped = source if node.func._schema.name in RESHAPES else node.func(source, *args[1:])
            self.pointwise("{0}", made, [shaped])
        elif name in POINTWISE and len(outs) == 1:
            if {*node.kwargs} - {"alpha", "memory_format"} or (name == "div" and out.dtype not in TYPES):
                raise UnknownError(str(node.func))
            text, factor = POINTWISE[name], node.kwargs.get("alpha", 1)
            if factor != 1:
                text = text.replace("{1}", f"{literal(factor)} * {{1}}")
            if any(f"{{{i}}}" in text for i in range(len(args), 3)):
                raise UnknownError(str(node.func))
            if out.dtype == torch.bool and name not in _OF_MASKS:
                raise UnknownError(str(node.func))
            common = torch.result_type(*args[:2]) if name in _COMPARED else out.dtype
            self.pointwise(text, out, args[:3], common)
        else:
            raise UnknownError(str(node.func))

    def _check_alpha(self, values: Sequence[Any], node: Node) -> None:
        if any(value != 1 for value in values):
            raise UnknownError(str(node.func))

    def copy(self, out: Tensor, source: Tensor) -> None:
        """Numbers of one tensor into another of the same shape."""
        self.pointwise("{0}", out, [source])

    def pointwise(self, text: str, out: Tensor, args: Sequence[Any], common: torch.dtype | None = None) -> None:
        """Out = text of each number of the arguments, {0}, {1}, …, and of what the result is before, @.

        `common` is the type in which it is computed, to which torch brings all numbers first; None: that of the result.
        """
        common = out.dtype if common is None else common
        tensors = [out, *(a.expand(out.shape) for a in args if isinstance(a, Tensor))]
        loops, strides = loops_over(tensors)
        index = [" + ".join(f"i{j} * {s}" for j, s in enumerate(row) if s) or "0" for row in strides]
        names = iter(range(1, len(tensors)))
        values = []
        for a in args:
            if isinstance(a, Tensor):
                j = next(names)
                bare = a.dtype == common or (j == 1 and text.startswith("({0} ?"))  # a mask that chooses
                values.append(f"{'' if bare else '(C)'}a{j}[{index[j]}]")
            elif isinstance(a, bool | int | float):
                values.append(literal(a).replace("(T)", "(C)"))
            elif a is not None:
                raise UnknownError(f"{a!r}")
        kind, computed = (TYPES.get(dtype, "?") for dtype in (out.dtype, common))
        pointers = [f"const auto* a{j} = {self.place(t)};" for j, t in enumerate(tensors) if j]
        # A result may lie where an argument lies, but only number by number.
        body = f"o[{index[0]}] = {text.format(*values)};".replace("@", f"o[{index[0]}]")
        head = " ".join(f"for (long i{j} = 0; i{j} < {n}; i{j}++)" for j, n in enumerate(loops))
        target = f"auto* __restrict o = {self.place(out)};"
        if any(t.untyped_storage().data_ptr() == out.untyped_storage().data_ptr() for t in tensors[1:]):
            target = target.replace("__restrict ", "")
        types = f"typedef {kind} T; typedef {computed} C;"
        self.lines.append(f"{{ {types} {' '.join(pointers)} {target} {head} {{ {body} }} }}")

    def _joined(self, name: str, out: Tensor, args: list[Any]) -> None:
        axis = args[1] if len(args) > 1 else 0
        start = 0
        for i, part in enumerate(args[0]):
            if name == "stack":
                target = out.select(axis, i)
            else:
                target = out.narrow(axis, start, part.shape[axis])
                start += part.shape[axis]
            self.copy(target, part)

    def _scattered(self, name: str, out: Tensor, args: list[Any]) -> None:
        source, _, axis = args[:3]
        self.pointwise("{0}", out, [0])
        if name == "select_backward":
            target = out.select(axis, args[3])
        else:
            start, stop, step = args[3:]
            target = torch.ops.aten.slice.Tensor(out, axis, start, stop, step)
        self.copy(target, source)

    def _softmax(self, out: Tensor, source: Tensor, log: bool) -> None:
        if not source.is_contiguous() or source.dtype != out.dtype:
            raise UnknownError("softmax of another kind")
        size = source.shape[-1]
        kind, final = TYPES[out.dtype], "v[i] - m - std::log(sum)" if log else "std::exp(v[i] - m) / sum"
        self.lines.append(
            f"for (long r = 0; r < {source.numel() // size}; r++) {{ typedef {kind} T;"
            f" const T* v = {self.place(source)} + r * {size}; T* o = {self.place(out)} + r * {size};"
            f" T m = v[0], sum = 0;"
            f" for (int i = 1; i < {size}; i++) m = v[i] > m ? v[i] : m;"
            f" for (int i = 0; i < {size}; i++) sum += std::exp(v[i] - m);"
            f" for (int i = 0; i < {size}; i++) o[i] = {final}; }}"
        )

    def _normalized(self, outs: list[Tensor], args: list[Any]) -> None:
        source, shape, weight, bias, eps = args
        out, mean, scale = outs
        size = source.shape[-1]
        whole = all(t is None or t.is_contiguous() for t in (source, weight, bias, out, mean, scale))
        if len(shape) != 1 or not whole or source.dtype != out.dtype:
            raise UnknownError("layer norm of another kind")
        kind = TYPES[out.dtype]
        factor = f" * ({self.place(weight)})[i]" if weight is not None else ""
        shift = f" + ({self.place(bias)})[i]" if bias is not None else ""
        self.lines.append(
            f"for (long r = 0; r < {source.numel() // size}; r++) {{ typedef {kind} T;"
            f" const T* v = {self.place(source)} + r * {size}; T* o = {self.place(out)} + r * {size};"
            f" T m = 0, s = 0;"
            f" for (int i = 0; i < {size}; i++) m += v[i]; m /= {size};"
            f" for (int i = 0; i < {size}; i++) s += (v[i] - m) * (v[i] - m);"
            f" s = (T)1 / std::sqrt(s / {size} + {literal(eps)});"
            f" ({self.place(mean)})[r] = m; ({self.place(scale)})[r] = s;"
            f" for (int i = 0; i < {size}; i++) o[i] = (v[i] - m) * s{factor}{shift}; }}"
        )

    def _reduction(self, name: str, out: Tensor, args: list[Any]) -> None:
        source = args[0]
        if source.dtype != out.dtype:
            raise UnknownError("sum of another kind")
        axes = [a % source.ndim for a in args[1]] if len(args) > 1 and args[1] else [*range(source.ndim)]
        keep = bool(len(args) > 2 and args[2])
        target = out
        if not keep:
            for a in sorted(axes):
                target = target.unsqueeze(a)
        sign = {"amax": "-", "amin": ""}.get(name)
        self.pointwise("{0}" if sign is None else f"{sign}(T)INFINITY", out, [0])
        keep_larger = "({0} > @ || {0} != {0} ? {0} : @)" if name == "amax" else "({0} < @ || {0} != {0} ? {0} : @)"
        self.pointwise("@ + {0}" if sign is None else keep_larger, target.expand(source.shape), [source])
        if name == "mean":
            self.pointwise("{0} / {1}", out, [out, float(source.numel() // max(out.numel(), 1))])

    def _product(self, name: str, out: Tensor, args: list[Any]) -> None:
        beta = 0
        if name == "addmm":
            self.copy(out, args[0].expand(out.shape))
            args, beta = args[1:], 1
        if len(args) > 2 or any(a.dtype != out.dtype for a in args):
            raise UnknownError("a product with factors")
        a, b = args
        if name == "bmm":
            for i in range(len(out)):
                self._one_product(out[i], a[i], b[i], 0)
        elif name == "mv":
            self._one_product(out[:, None], a, b[:, None], 0)
        else:
            self._one_product(out, a, b, beta)

    def _one_product(self, out: Tensor, a: Tensor, b: Tensor, beta: int) -> None:
        """Out [m, n] = a [m, k] b [k, n] + beta out, transposed for column-major matrices."""
        (m, k), n = a.shape, b.shape[1]
        if not out.numel():
            return
        if k == 0:
            raise UnknownError("a product without terms")
        if out.dtype not in (torch.float64, torch.float32):
            raise UnknownError("a product of whole numbers")
        if (n == 1 or m == 1) and not self._packable(a if n == 1 else b, 1):
            self._product_with_vector(out, a, b, beta)
            return
        by_rows, lead = order_of(out)
        if by_rows:  # row-major is the transposed of column-major
            out, a, b = out.mT, b.mT, a.mT
            m, n = n, m
        if self._packable(a, n):
            at = f"{self.place(b)}, {b.stride(0)}, {b.stride(1)}, {self.place(out)}, {lead}"
            self.lines.append(f"product({m}, {n}, {k}, {self._pack(a)}, {at}, {beta});")
            return
        (row_a, lead_a), (row_b, lead_b) = order_of(a), order_of(b)
        letters = f"'{'T' if row_a else 'N'}', '{'T' if row_b else 'N'}'"
        where = f"{self.place(a)}, {lead_a}, {self.place(b)}, {lead_b}, {self.place(out)}, {lead}"
        self.lines.append(f"gemm(f, {letters}, {m}, {n}, {k}, {where}, {beta});")

    def _packable(self, weights: Tensor, columns: int) -> bool:
        """Whether a product with constant weights is faster by a kernel that has them packed."""
        size = weights.numel() * weights.element_size()
        return weights.untyped_storage().data_ptr() in self._constant and (size <= _CACHE or columns <= _FEW)

    def _pack(self, weights: Tensor) -> str:
        """A pointer to packed weights."""
        key = weights.data_ptr(), weights.shape, weights.stride()
        if key not in self._packed:
            m, k = weights.shape
            self._packed[key] = torch.empty((m + _PADDING) * k, dtype=weights.dtype)
            strides = f"{weights.stride(0)}, {weights.stride(1)}"
            self.first.append(f"pack({self.place(weights)}, {m}, {k}, {strides}, {self.place(self._packed[key])});")
        return self.place(self._packed[key])

    def _product_with_vector(self, out: Tensor, a: Tensor, b: Tensor, beta: int) -> None:
        if not (out.is_contiguous() or out.mT.is_contiguous()):
            raise UnknownError("a vector with gaps")
        matrix, vector = (a, b[:, 0]) if b.shape[1] == 1 else (b.mT, a[0])
        turned, lead = order_of(matrix)  # row-major is the transposed of column-major
        rows, columns = matrix.shape
        shape = (columns, rows) if turned else (rows, columns)
        where = f"{self.place(matrix)}, {lead}, {self.place(vector)}, {max(vector.stride(0), 1)}, {self.place(out)}"
        self.lines.append(f"gemv(f, '{'T' if turned else 'N'}', {shape[0]}, {shape[1]}, {where}, {beta});")
