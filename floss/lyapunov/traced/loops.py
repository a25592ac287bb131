"""How the numbers of tensors lie in memory, as text of C++: loops over them, and matrices as a BLAS takes them."""

from torch import Tensor


class UnknownError(Exception):
    """An operation that is not emitted."""


def order_of(matrix: Tensor) -> tuple[bool, int]:
    """Whether a matrix is row-major, and its leading dimension."""
    (rows, columns), (down, right) = matrix.shape, matrix.stride()
    if right == 1 or columns == 1:
        lead = down if rows > 1 else columns
        if (right == 1 or rows == 1 or down >= 1) and lead >= columns:
            return True, max(lead, 1)
    if down == 1 or rows == 1:
        lead = right if columns > 1 else rows
        if lead >= rows:
            return False, max(lead, 1)
    raise UnknownError("a product of a matrix with gaps")


def loops_over(tensors: list[Tensor]) -> tuple[list[int], list[list[int]]]:
    """Sizes of as few loops as will do, and the strides of each tensor in them."""
    shape = tensors[0].shape
    sizes: list[int] = []
    strides: list[list[int]] = [[] for _ in tensors]
    for axis, size in enumerate(shape):
        if size == 1:
            continue
        steps = [t.stride(axis) for t in tensors]
        if sizes and all(row[-1] == step * size for row, step in zip(strides, steps, strict=True)):
            sizes[-1] *= size
            for row, step in zip(strides, steps, strict=True):
                row[-1] = step
        else:
            sizes.append(size)
            for row, step in zip(strides, steps, strict=True):
                row.append(step)
    if not sizes:
        return [1], [[0] for _ in tensors]
    # The last loop is that of the smallest stride of the result, then of most arguments.
    order = sorted(range(len(sizes)), key=lambda j: (strides[0][j] == 0, *(row[j] for row in strides)), reverse=True)
    if strides[0][order[-1]] == 0:  # a sum: the last loop runs over other numbers of the result, if it can
        order.sort(key=lambda j: strides[0][j] == 0, reverse=True)
    return [sizes[j] for j in order], [[row[j] for j in order] for row in strides]


def literal(value: float) -> str:
    """A number of Python in C++."""
    if isinstance(value, bool):
        return str(int(value))
    if value != value or value in (float("inf"), float("-inf")):
        raise UnknownError("a number that is not finite")
    return f"(T){float(value).hex()}"
