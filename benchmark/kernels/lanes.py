"""Short linear maps over long rows of memory, in vectors of 16 float32.

A loop that reads some rows and writes some others is left as it is by the compiler, which cannot know that they do not
overlap. Here the instructions are given: vectors of 16 lanes, which it fits to what the processor has. A map is a plain
function from a list of values to a list of values, which serves arrays as well as vectors.
"""

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

LANES = 16

_FLOAT = ir.FloatType()
_VECTOR = ir.VectorType(_FLOAT, LANES)
_INDEX = ir.IntType(64)
# Products and sums may become one instruction.
_FLAGS = ("contract",)


class Lanes:
    """A vector of 16 float32 in a function that is being compiled; with numbers it makes sums, products and maxima."""

    def __init__(self, builder: ir.IRBuilder, value: ir.Value):
        self.builder, self.value = builder, value

    def _of(self, other: Any) -> ir.Value:
        return other.value if isinstance(other, Lanes) else ir.Constant(_VECTOR, [float(other)] * LANES)

    def _made(self, value: ir.Value) -> "Lanes":
        return Lanes(self.builder, value)

    def __add__(self, other: Any) -> "Lanes":
        return self._made(self.builder.fadd(self.value, self._of(other), flags=_FLAGS))

    def __sub__(self, other: Any) -> "Lanes":
        return self._made(self.builder.fsub(self.value, self._of(other), flags=_FLAGS))

    def __mul__(self, other: Any) -> "Lanes":
        return self._made(self.builder.fmul(self.value, self._of(other), flags=_FLAGS))

    __rmul__ = __mul__


Map = Callable[[Sequence[Any]], Sequence[Any]]


def rowwise(linear: Map, inputs: int) -> Callable[..., None]:
    """`linear` over rows, for compiled functions.

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
            first = _pointers(builder, at, at_step, inputs)
            outputs = len(linear([0.0] * inputs))
            last = _pointers(builder, to, to_step, outputs)

            def step(k):
                values = linear([_load(builder, pointer, k) for pointer in first])
                for pointer, value in zip(last, values, strict=True):
                    _store(builder, pointer, k, value)

            _loop(builder, count, step)
            return _context.get_dummy_value()

        return signature, generate

    return apply


def _pointers(builder: ir.IRBuilder, address: ir.Value, step: ir.Value, number: int) -> list[ir.Value]:
    first = builder.inttoptr(address, _FLOAT.as_pointer())
    return [builder.gep(first, [builder.mul(step, _INDEX(j))]) for j in range(number)]


def _load(builder: ir.IRBuilder, pointer: ir.Value, k: ir.Value) -> Lanes:
    place = builder.bitcast(builder.gep(pointer, [k]), _VECTOR.as_pointer())
    return Lanes(builder, builder.load(place, align=4))


def _store(builder: ir.IRBuilder, pointer: ir.Value, k: ir.Value, value: Lanes) -> None:
    builder.store(value.value, builder.bitcast(builder.gep(pointer, [k]), _VECTOR.as_pointer()), align=4)


def _loop(builder: ir.IRBuilder, count: ir.Value, step: Callable[[ir.Value], None]) -> None:
    """`step(k)` for k = 0, 16, ... below `count`, which is at least 16."""
    before = builder.basic_block
    body = builder.append_basic_block("lanes")
    after = builder.append_basic_block("lanes.after")
    builder.branch(body)
    builder.position_at_end(body)
    k = builder.phi(_INDEX)
    k.add_incoming(_INDEX(0), before)
    step(k)
    following = builder.add(k, _INDEX(LANES))
    k.add_incoming(following, builder.basic_block)
    builder.cbranch(builder.icmp_signed("<", following, count), body, after)
    builder.position_at_end(after)
