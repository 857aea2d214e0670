"""Vectors of 16 float32 in functions that are being compiled.

A loop that reads some rows and writes some others is left as it is by the compiler, which cannot know that they do not
overlap. Here the instructions are given, and it fits them to the registers that the processor has.

Compiled functions are kept on disk until their own files change: whoever changes this file is to touch those as well.
"""

from collections.abc import Callable
from typing import Any

from llvmlite import ir

LANES = 16

FLOAT = ir.FloatType()
_VECTOR = ir.VectorType(FLOAT, LANES)
INDEX = ir.IntType(64)
_BITS = ir.VectorType(ir.IntType(32), LANES)
# For exponentials: log 2 in two parts, the first of which has few digits; what rounds to whole numbers; what turns its bits
# into an exponent.
_LOG2_E, _LN_2, _WHOLE, _BIAS = 1.4426950408889634, (0.693359375, -2.12194440e-4), 1.5 * 2**23, 127
# Products and sums may become one instruction.
_FLAGS = ("contract",)


class Lanes:
    """16 float32, which make sums and products with each other and with numbers, for all lanes alike."""

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

    def bounded(self, least: Any) -> "Lanes":
        """Not below `least`; what is no number stays."""
        other = self._of(least)
        return self._made(self.builder.select(self.builder.fcmp_ordered("<", self.value, other), other, self.value))

    def exp(self) -> "Lanes":
        """e to the power, of values not above 0; within 2e-7 of it, relatively, and 0 for less than about 1e-38.

        2 ** n times a polynomial, of the Taylor series' degree 6, for what is left: at most half of log 2.
        """
        x = self.bounded(-87.0)
        # Adding so much rounds to a whole number, which stands in the lowest bits.
        shifted = x * _LOG2_E + _WHOLE
        whole = shifted - _WHOLE
        rest = x - whole * _LN_2[0] - whole * _LN_2[1]
        power = self._made(ir.Constant(_VECTOR, [1 / 720] * LANES))
        for factor in (1 / 120, 1 / 24, 1 / 6, 1 / 2, 1.0, 1.0):
            power = power * rest + factor
        builder = self.builder
        bits = builder.add(builder.bitcast(shifted.value, _BITS), ir.Constant(_BITS, [_BIAS] * LANES))
        two = builder.bitcast(builder.shl(bits, ir.Constant(_BITS, [23] * LANES)), _VECTOR)
        return power * self._made(two)

    def __truediv__(self, other: "Lanes") -> "Lanes":
        return self._made(self.builder.fdiv(self.value, other.value))

    def where_negative(self, this: "Lanes", other: "Lanes") -> "Lanes":
        """`this` where these are negative, else `other`."""
        below = self.builder.fcmp_ordered("<", self.value, self._of(0.0))
        return self._made(self.builder.select(below, this.value, other.value))

    def joined(self, combine: Callable[["Lanes", "Lanes"], "Lanes"]) -> ir.Value:
        """One float32 from the 16."""
        left = self
        for half in (8, 4, 2, 1):
            order = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [(i + half) % LANES for i in range(LANES)])
            turned = self.builder.shuffle_vector(left.value, ir.Constant(_VECTOR, ir.Undefined), order)
            left = combine(left, self._made(turned))
        return self.builder.extract_element(left.value, ir.Constant(ir.IntType(32), 0))


def splat(builder: ir.IRBuilder, value: ir.Value | float) -> Lanes:
    """16 times the same."""
    if isinstance(value, float):
        return Lanes(builder, ir.Constant(_VECTOR, [value] * LANES))
    first = builder.insert_element(ir.Constant(_VECTOR, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
    order = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    return Lanes(builder, builder.shuffle_vector(first, first, order))


def pointer(builder: ir.IRBuilder, address: ir.Value, offset: ir.Value | None = None) -> ir.Value:
    """To the float32 that lies `offset` elements behind an address."""
    first = builder.inttoptr(address, FLOAT.as_pointer())
    return first if offset is None else builder.gep(first, [offset])


def load(builder: ir.IRBuilder, place: ir.Value, k: ir.Value) -> Lanes:
    """The 16 values from `place[k]` on."""
    return Lanes(builder, builder.load(builder.bitcast(builder.gep(place, [k]), _VECTOR.as_pointer()), align=4))


def store(builder: ir.IRBuilder, place: ir.Value, k: ir.Value, values: Lanes) -> None:
    """Put 16 values to `place[k]` and behind."""
    builder.store(values.value, builder.bitcast(builder.gep(place, [k]), _VECTOR.as_pointer()), align=4)


def loop(
    builder: ir.IRBuilder,
    count: ir.Value,
    carried: list[Lanes],
    step: Callable[[ir.Value, list[Lanes]], list[Lanes]],
    stride: int = LANES,
) -> list[Lanes]:
    """`step(k, carried)` for k = 0, 16, ... below `count`, at least once; what it gives is carried to the next."""
    before = builder.basic_block
    body = builder.append_basic_block("lanes")
    after = builder.append_basic_block("lanes.after")
    builder.branch(body)
    builder.position_at_end(body)
    k = builder.phi(INDEX)
    k.add_incoming(INDEX(0), before)
    phis = [builder.phi(_VECTOR) for _ in carried]
    for phi, first in zip(phis, carried, strict=True):
        phi.add_incoming(first.value, before)
    given = step(k, [Lanes(builder, phi) for phi in phis])
    for phi, value in zip(phis, given, strict=True):
        phi.add_incoming(value.value, builder.basic_block)
    following = builder.add(k, INDEX(stride))
    k.add_incoming(following, builder.basic_block)
    builder.cbranch(builder.icmp_signed("<", following, count), body, after)
    builder.position_at_end(after)
    return given
