"""Words of bytes: read at any place, taken apart into eight numbers at once, and summed.

The compiler does not find these by itself: LLVM knows vectors of eight 32-bit
numbers, and what a processor lacks it does one by one.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.extending import intrinsic

__all__ = ["LANES", "big_word", "differ", "little_word", "running", "unpack"]

LANES = 8
"""Numbers that `unpack` writes, also where a word holds fewer."""

_I32 = ir.IntType(32)
_VECTOR = ir.VectorType(_I32, LANES)
_LINE = ir.VectorType(ir.IntType(64), LANES)


def _little_word(typing: Any, buffer: Any, at: Any) -> Any:
    """Return four bytes from `at` on, the lowest first, as uint32."""
    return types.uint32(buffer, types.int64), _load


def _big_word(typing: Any, buffer: Any, at: Any) -> Any:
    """Return four bytes from `at` on, the highest first, as uint32."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bswap(_load(context, builder, signature, args))

    return types.uint32(buffer, types.int64), generate


def _unpack(typing: Any, word: Any, shifts: Any, row: Any, mask: Any, sign: Any, out: Any, at: Any) -> Any:
    """Write eight signed numbers that lie in a word, to ``out[at : at + 8]``.

    Parameters
    ----------
    word : uint32
    shifts : ndarray of uint32, shape (n_rows, 8)
        How far each number is from the lower end of the word.
    row : int
        Which of these.
    mask : uint32
        Ones as wide as the numbers.
    sign : uint32
        The highest bit of these.
    out : ndarray of int32
    at : int
    """

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        word, shifts, row, mask, sign, out, at = args
        first = builder.mul(row, ir.Constant(row.type, LANES))
        by = _vector(builder, _pointer(context, builder, signature.args[1], shifts, first))
        values = builder.and_(builder.lshr(_all(builder, word), by), _all(builder, mask))
        signs = _all(builder, sign)
        values = builder.sub(builder.xor(values, signs), signs)
        place = builder.bitcast(_pointer(context, builder, signature.args[5], out, at), _VECTOR.as_pointer())
        builder.store(values, place).align = 4
        return context.get_dummy_value()

    return types.void(
        types.uint32, shifts, types.int64, types.uint32, types.uint32, out, types.int64
    ), generate


def _running(typing: Any, out: Any, at: Any, before: Any) -> Any:
    """Turn ``out[at : at + 8]`` into its running sums plus `before`; return the sum without that.

    So one addition for eight numbers is all that has to wait for those before.

    Parameters
    ----------
    out : ndarray of int32
    at : int
    before : int32
    """

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        out, at, before = args
        place = builder.bitcast(_pointer(context, builder, signature.args[0], out, at), _VECTOR.as_pointer())
        values = builder.load(place)
        values.align = 4
        nothing = ir.Constant(_VECTOR, [0] * LANES)
        for step in (1, 2, 4):
            # Lanes from the left that are not there are zeros.
            lanes = [LANES] * step + list(range(LANES - step))
            moved = builder.shuffle_vector(values, nothing, ir.Constant(_VECTOR, lanes))
            values = builder.add(values, moved)
        builder.store(builder.add(values, _all(builder, before)), place).align = 4
        return builder.extract_element(values, ir.Constant(_I32, LANES - 1))

    return types.int32(out, types.int64, types.int32), generate


def _differ(typing: Any, buffer: Any, at: Any, other: Any, mask: Any) -> Any:
    """Tell whether any of 64 bytes from `at` on differs from those from `other` on, where the mask has ones.

    Parameters
    ----------
    buffer : ndarray of uint8
    at, other : int
    mask : ndarray of uint8, shape (64,)
    """

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        buffer, at, other, mask = args
        kind, none = signature.args[0], ir.Constant(ir.IntType(64), 0)
        one, two = (_line(builder, _pointer(context, builder, kind, buffer, place)) for place in (at, other))
        kept = _line(builder, _pointer(context, builder, signature.args[3], mask, none))
        found = builder.and_(builder.xor(one, two), kept)
        for step in (4, 2, 1):
            lanes = [(lane + step) % LANES for lane in range(LANES)]
            found = builder.or_(found, builder.shuffle_vector(found, found, ir.Constant(_VECTOR, lanes)))
        return builder.icmp_unsigned("!=", builder.extract_element(found, ir.Constant(_I32, 0)), none)

    return types.boolean(buffer, types.int64, types.int64, mask), generate


def _pointer(context: Any, builder: Any, kind: Any, array: Any, at: Any) -> Any:
    return builder.gep(context.make_array(kind)(context, builder, array).data, [at])


def _load(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    place = _pointer(context, builder, signature.args[0], *args)
    loaded = builder.load(builder.bitcast(place, _I32.as_pointer()))
    loaded.align = 1
    return loaded


def _line(builder: Any, place: Any) -> Any:
    loaded = builder.load(builder.bitcast(place, _LINE.as_pointer()))
    loaded.align = 1
    return loaded


def _vector(builder: Any, place: Any) -> Any:
    loaded = builder.load(builder.bitcast(place, _VECTOR.as_pointer()))
    loaded.align = 4
    return loaded


def _all(builder: Any, value: Any) -> Any:
    """Return a vector with one value in all its lanes."""
    one = builder.insert_element(ir.Constant(_VECTOR, ir.Undefined), value, ir.Constant(_I32, 0))
    return builder.shuffle_vector(one, ir.Constant(_VECTOR, ir.Undefined), ir.Constant(_VECTOR, [0] * LANES))


# Compiled functions call these with other arguments than Python would.
differ: Any = intrinsic(_differ)
little_word: Any = intrinsic(_little_word)
big_word: Any = intrinsic(_big_word)
running: Any = intrinsic(_running)
unpack: Any = intrinsic(_unpack)
