"""`four_by_four`: the weighted sum of 4x4 pixels, their channels side by side in one vector.

Numba makes vectors of loops over many pixels, but leaves a few neighbouring numbers apart. Here the
four channels of a pixel are one vector, written in LLVM's own words: warping takes half the time.
"""

from collections.abc import Callable

try:
    from llvmlite import ir
    from numba import types
    from numba.extending import intrinsic
except ModuleNotFoundError:  # plain Python then, as all kernels
    intrinsic = None

CHANNELS = 4


def _four_by_four(source, place, across, down):
    """Sums pixels of a picture, weighted.

    Args:
        source: float32 array (height, width * 4), pixels of four channels; bounds are not checked.
        place: Where the first of the 4x4 pixels begins, in the array seen as one row.
        across: Weights of the four columns, a tuple of float32.
        down: Weights of the four rows, a tuple of float32.

    Returns:
        The sums of the first three channels.
    """
    width = source.shape[1]
    y, x = divmod(place, width)
    return tuple(
        sum(
            down[row] * across[column] * source[y + row, x + CHANNELS * column + channel]
            for row in range(4)
            for column in range(4)
        )
        for channel in range(3)
    )


def _compiled_four_by_four(_, source, place, across, down):
    """The signature and the code of `_four_by_four`, for Numba."""
    sums = types.UniTuple(types.float32, 3)

    def generate(context, builder, signature, arguments):
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        shape = builder.extract_value(array.shape, 1)
        place = builder.sext(arguments[1], shape.type)
        pixel = ir.VectorType(ir.FloatType(), CHANNELS)
        lane = ir.IntType(32)
        nowhere = ir.Constant(ir.VectorType(lane, CHANNELS), [0] * CHANNELS)

        def spread(weight):
            one = builder.insert_element(ir.Constant(pixel, ir.Undefined), weight, lane(0))
            return builder.shuffle_vector(one, one, nowhere)

        def add(total, part, weight):
            part = builder.fmul(part, weight, flags=("fast",))
            return part if total is None else builder.fadd(total, part, flags=("fast",))

        columns = [spread(builder.extract_value(arguments[2], index)) for index in range(4)]
        rows = [spread(builder.extract_value(arguments[3], index)) for index in range(4)]
        total = None
        for down_weight in rows:
            row = None
            for index, weight in enumerate(columns):
                at = builder.add(place, place.type(CHANNELS * index))
                pointer = builder.bitcast(builder.gep(array.data, [at]), pixel.as_pointer())
                row = add(row, builder.load(pointer, align=4), weight)
            total = add(total, row, down_weight)
            place = builder.add(place, shape)
        parts = [builder.extract_element(total, lane(index)) for index in range(3)]
        return context.make_tuple(builder, sums, parts)

    return sums(source, place, across, down), generate


four_by_four: Callable = _four_by_four if intrinsic is None else intrinsic(_compiled_four_by_four)
