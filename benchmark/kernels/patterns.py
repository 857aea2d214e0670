"""Loops over vectors of 16 float32: short linear maps of long rows, and small matrix products.

Compiled functions are kept on disk until their own files change: whoever changes this file is to touch those as well.
"""

from collections.abc import Callable, Sequence
from typing import Any

from numba import types
from numba.extending import intrinsic

from benchmark.kernels.lanes import INDEX, LANES, load, loop, pointer, splat, store

Map = Callable[[Sequence[Any]], Sequence[Any]]


def rowwise(linear: Map, inputs: int, outputs: int) -> Callable[..., None]:
    """A linear map over rows, for compiled functions.

    Args:
        linear: from a list of values to a list of values, by sums and products with numbers; it serves arrays as well.
        inputs, outputs: how many values it takes and gives.

    Returns:
        A function `(target, target_step, source, source_step, size)`: element k of target row i becomes that of output
        i of `linear`, whose input j is element k of source row j. `target` and `source` are addresses of first rows,
        steps are from row to row in elements, and `size`, in elements, is a multiple of 16.
    """

    @intrinsic
    def apply(_context, target, target_step, source, source_step, size):
        signature = types.void(types.uintp, types.intp, types.uintp, types.intp, types.intp)

        def generate(_context, builder, _signature, arguments):
            to, to_step, at, at_step, count = arguments
            first = [pointer(builder, at, builder.mul(at_step, INDEX(j))) for j in range(inputs)]
            last = [pointer(builder, to, builder.mul(to_step, INDEX(i))) for i in range(outputs)]

            def step(k, _carried):
                values = linear([load(builder, place, k) for place in first])
                for place, value in zip(last, values, strict=True):
                    store(builder, place, k, value)
                return []

            loop(builder, count, [], step)
            return _context.get_dummy_value()

        return signature, generate

    return apply


def product(rows: int, vectors: int, a_row: int, a_column: int, b_row: int, c_row: int) -> Callable[..., None]:
    """A small matrix product, its results in registers until they are whole, for compiled functions.

    Args:
        rows: of A and C.
        vectors: of 16 columns of B and C; `rows * vectors` and one row of B are to fit into 32 registers.
        a_row, a_column, b_row, c_row: elements from one row, or column, to the next.

    Returns:
        A function `(c, a, b, depth)` of the addresses of C, A and B, and the number of A's columns, at least 1.
    """

    @intrinsic
    def multiply(_context, c, a, b, depth):
        signature = types.void(types.uintp, types.uintp, types.uintp, types.intp)

        def generate(_context, builder, _signature, arguments):
            to, left, right, count = arguments
            target, left, right = pointer(builder, to), pointer(builder, left), pointer(builder, right)

            def step(k, sums):
                a_at = builder.gep(left, [builder.mul(k, INDEX(a_column))])
                b_at = builder.gep(right, [builder.mul(k, INDEX(b_row))])
                given = [load(builder, b_at, INDEX(LANES * j)) for j in range(vectors)]
                made = []
                for i in range(rows):
                    factor = splat(builder, builder.load(builder.gep(a_at, [INDEX(i * a_row)])))
                    made += [sums[i * vectors + j] + factor * given[j] for j in range(vectors)]
                return made

            sums = loop(builder, count, [splat(builder, 0.0)] * (rows * vectors), step, stride=1)
            for i in range(rows):
                for j in range(vectors):
                    store(builder, target, INDEX(i * c_row + j * LANES), sums[i * vectors + j])
            return _context.get_dummy_value()

        return signature, generate

    return multiply
