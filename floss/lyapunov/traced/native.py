"""A recorded step as compiled code, where there is a compiler, and the runs are long enough.

Compiling takes about a second, once for a step of some sizes on a machine; it is done for steps that have been replayed
for longer than that already, and for those that were compiled before.
"""

import ctypes
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from torch import Tensor

from floss.lyapunov.blas import blas, instructions
from floss.lyapunov.compiler import BuildError, built_text, load, text_beside
from floss.lyapunov.traced.emission import TYPES, Emission
from floss.lyapunov.traced.loops import UnknownError
from floss.lyapunov.traced.replay import Program

WORTH = 4.0
"""Seconds of replaying for which compiling pays, which takes one to three."""
_MOST_LINES = 6000
"""Operations of a step that a compiler does in reasonable time."""
_PART = 40
"""Operations of one function: the time of a compiler grows faster than the size of a function."""
_HEADERS = ("products.h", "orthonormal.h")
_AT_ONCE: ContextVar[bool] = ContextVar("_AT_ONCE", default=False)


@contextmanager
def compiled_at_once() -> Iterator[None]:
    """Within it steps are compiled however short a run is, as for a measurement."""
    token = _AT_ONCE.set(True)
    try:
        yield
    finally:
        _AT_ONCE.reset(token)


def pays(seconds: float) -> bool:
    """Whether compiling is worth while for what has taken so many seconds without."""
    return _AT_ONCE.get() or seconds > WORTH


class Native:
    """A program whose calls are one, and whatever else was made of it.

    The program has memory for all its inputs.
    """

    def __init__(self, program: Program, library: Any, buffers: list[Tensor]) -> None:
        """Of a program and the library that was built of its source."""
        self.program, self._library, self._buffers = program, library, buffers
        self._places = addresses([b.untyped_storage().data_ptr() for b in buffers])

    def run(self) -> None:
        """The body once."""
        self._library.floss_begin(self._places)
        self._library.floss_body(self._places, blas())

    def call(self, name: str, *arguments: Any) -> None:
        """Another function of the library."""
        getattr(self._library, name)(self._places, blas(), *arguments)


def native(
    program: Program, constants: Sequence[int], chain: Callable[[Emission], str], *, build: bool
) -> Native | None:
    """Compiled code of a program without inputs that are given anew; None where there is none, or not yet.

    Args:
        program: with the state and the tangent vectors as its first two inputs and outputs.
        constants: inputs that do not change within a run.
        chain: writes a loop over steps, which calls `floss_begin(p)` and at every step `floss_body(p, f)`.
        build: whether to compile it where it has not been compiled before.
    """
    if blas() is None:
        return None
    try:
        source, buffers = _source(program, constants, chain)
        path = built_text(source, "step", instructions(), build=build)
        if path is None:
            return None
        library = load(path, "floss_supported")
    except (UnknownError, BuildError):
        return None
    return Native(program, library, buffers) if library.floss_supported() else None


def can_be_emitted(program: Program) -> bool:
    """Whether all operations of a program are known."""
    try:
        _source(program, (), lambda _: "")
    except UnknownError:
        return False
    return True


def addresses(places: Sequence[int]) -> Any:
    """Places in memory as an array of C."""
    return (ctypes.c_void_p * max(len(places), 1))(*places)


def pointer(tensor: Tensor) -> ctypes.c_void_p:
    """To the first number of a tensor."""
    return ctypes.c_void_p(tensor.data_ptr())


class Rows:
    """Buffers that lie somewhere else at every step s: in the rows of stacks, which the caller has.

    `text` makes of the places p of all buffers those of the step, from the argument `rows`.
    """

    def __init__(self, emission: Emission) -> None:
        """None yet."""
        self._emission, self._lines = emission, list[str]()

    def add(self, tensor: Tensor, ahead: int = 0) -> None:
        """A buffer whose row is that of this step, or so many later."""
        number, size = self._emission.buffer(tensor), tensor.untyped_storage().nbytes()
        if tensor.storage_offset() or size != tensor.numel() * tensor.element_size():
            raise UnknownError("a buffer within another")
        self._lines.append(f"p[{number}] = rows[{len(self._lines)}] + (s + {ahead}) * {size};")

    @property
    def text(self) -> str:
        """To begin a step with."""
        return "\n".join(self._lines)


def copied(emission: Emission, target: Tensor, source: Tensor) -> str:
    """Text that copies the numbers of one tensor into another, unless that is the same."""
    emission.lines = []
    if target.data_ptr() != source.data_ptr() or target.stride() != source.stride():
        emission.copy(target, source)
    return "\n".join(emission.lines)


def over_batch(q: Tensor, text: str) -> str:
    """Text of a loop over the trajectories of tangent vectors q; `at` is where those of one of them begin."""
    batch = q.shape[:-2]
    loops = " ".join(f"for (long b{j} = 0; b{j} < {size}; b{j}++)" for j, size in enumerate(batch))
    at = " + ".join([f"b{j} * {s}" for j, s in enumerate(q.stride()[:-2])] or ["0"])
    return f"{loops} {{ const long at = {at};\n{text}\n}}"


def type_of(tensor: Tensor) -> str:
    """The type of its numbers."""
    kind = TYPES.get(tensor.dtype)
    if kind is None:
        raise UnknownError(f"{tensor.dtype}")
    return kind


def _source(program: Program, constants: Sequence[int], chain: Callable[[Emission], str]) -> tuple[str, list[Tensor]]:
    emission = Emission(program, constants)
    body, emission.lines = emission.lines, []
    if len(body) > _MOST_LINES:
        raise UnknownError("too many operations")
    text = [text_beside(__file__, *_HEADERS)]
    text += ['extern "C" void floss_begin(char** p) {', *emission.first, "(void)p; }"]
    parts = [body[i : i + _PART] for i in range(0, len(body), _PART)]
    for i, part in enumerate(parts):
        text += [f"static __attribute__((noinline)) void part{i}(char** p, void** f) {{", *part, "(void)p; (void)f; }"]
    calls = [f"part{i}(p, f);" for i in range(len(parts))]
    text += ['extern "C" void floss_body(char** p, void** f) {', *calls, "(void)p; (void)f; }"]
    text.append(chain(emission))
    return "\n".join(text), emission.buffers
