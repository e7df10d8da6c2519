"""TV-L1's innermost loops, written as SIMD vectors in LLVM's own instructions for Numba.

`primal_row` and `dual_row` are the two halves of the iteration for one row of pixels (Zach, Pock
and Bischof, DAGM 2007). Their formulas are written once, for NumPy's rows and for LLVM's vectors of
sixteen pixels. Numba would compile them to five loops, each of which reads again what the previous
one has written; these two functions take two thirds of that time.

`four_by_four` fetches a warped pixel: a weighted sum of 4x4 pixels, whose four channels are one
vector. Numba vectorizes loops over many pixels but not over a few adjacent numbers; this halves the
time of warping.

Without Numba the same functions run on NumPy.
"""

from collections.abc import Callable

import numpy as np

try:
    from llvmlite import ir
    from numba import types
    from numba.core import cgutils
    from numba.extending import intrinsic
except ModuleNotFoundError:
    intrinsic = None

LANES = 16  # float32 numbers in the widest vector
CHANNELS = 4  # of a pixel of `four_by_four`

# The flags of the loops that Numba compiles in `tvl1_numba`.
_FAST_MATH = ("nnan", "nsz", "arcp", "contract", "reassoc", "afn")
_INSTRUCTIONS = {np.add: "fadd", np.subtract: "fsub", np.multiply: "fmul", np.divide: "fdiv"}


def _shrunk(flow, slopes, inverse, rest, bound):
    """The solution of the data term, pixel by pixel: v = u + shrunk * slopes."""
    rho = rest + slopes[0] * flow[0] + slopes[1] * flow[1]
    return np.minimum(np.maximum(-rho * inverse, -bound), bound)


def _delta(shrunk, slope, inside, across, left, down, above):
    """The change of one component to u = v + theta div p, with p zero outside."""
    return shrunk * slope + inside * (across - left + down - above)


def _shrinks(gradients, step):
    """1 / (1 + tau/theta |grad u|) of both components; one division, which is slow, for both."""
    first, second = (1 + step * np.sqrt(ux * ux + uy * uy) for ux, uy in gradients)
    inverse = 1 / (first * second)
    return inverse * second, inverse * first


def _primal_row(flow, slopes, inverse, rest, dual, inside, bound, y):
    """Updates one row of both components of the flow in place; returns the sum of squared changes.

    Bounds are not checked. All arrays are float32; P is a multiple of `LANES`, plus `LANES`.

    Args:
        flow: Array (2, height, P).
        slopes: Array (2, height, P), of the warped second picture.
        inverse: Array (height, P), 1 / |slopes|^2.
        rest: Array (height, P), rho without its term in the flow.
        dual: Array (2, 2, height + 1, P): x and y of each component's p. Pixel (x, y) is at
            [y + 1, x + LANES]; above and to the left of the picture are zeros.
        inside: Array (P,): theta within the picture, 0 beyond it.
        bound: lambda * theta.
        y: The row.
    """
    vectors = flow.shape[2] - LANES
    row = (slice(None), y, slice(vectors))
    shrunk = _shrunk(flow[row], slopes[row], inverse[y, :vectors], rest[y, :vectors], bound)
    change = np.float32(0)
    for part in range(2):
        x, y_below = dual[part, 0, y + 1], dual[part, 1, y + 1]
        delta = _delta(
            shrunk,
            slopes[part, y, :vectors],
            inside[:vectors],
            x[LANES:],
            x[LANES - 1 : -1],
            y_below[LANES:],
            dual[part, 1, y, LANES:],
        )
        flow[part, y, :vectors] += delta
        change += (delta * delta).sum()
    return change


def _dual_row(flow, dual, step, y, below):
    """Updates one row of both p: (p + tau/theta grad u) / (1 + tau/theta |grad u|), in place.

    `step` is tau / theta, `below` the next row, or `y` itself in the last row.
    """
    vectors = flow.shape[2] - LANES
    gradients = [
        (u[y, 1 : vectors + 1] - u[y, :vectors], u[below, :vectors] - u[y, :vectors]) for u in flow
    ]
    for part, shrink in enumerate(_shrinks(gradients, step)):
        for way in range(2):
            p = dual[part, way, y + 1, LANES:]
            p[:] = (p + step * gradients[part][way]) * shrink


class Lanes(np.lib.mixins.NDArrayOperatorsMixin):
    """A float32 vector in the code being generated, which NumPy's functions accept as an array.

    Args:
        builder: The `llvmlite.ir.IRBuilder` of the code.
        value: The vector.
    """

    def __init__(self, builder, value):
        self.builder, self.value = builder, value

    @classmethod
    def spread(cls, builder, number, count):
        """A vector of `count` copies of a number, a Python number or an LLVM value."""
        kind = ir.VectorType(ir.FloatType(), count)
        if isinstance(number, int | float):
            return cls(builder, ir.Constant(kind, [float(number)] * count))
        lane = ir.IntType(32)
        single = builder.insert_element(ir.Constant(kind, ir.Undefined), number, lane(0))
        first = ir.Constant(ir.VectorType(lane, count), [0] * count)
        return cls(builder, builder.shuffle_vector(single, single, first))

    @classmethod
    def load(cls, builder, pointer, count):
        """The vector of `count` numbers at a pointer to the first."""
        kind = ir.VectorType(ir.FloatType(), count).as_pointer()
        return cls(builder, builder.load(builder.bitcast(pointer, kind), align=4))

    def store(self, pointer):
        """Writes the numbers to a pointer."""
        kind = self.value.type.as_pointer()
        self.builder.store(self.value, self.builder.bitcast(pointer, kind), align=4)

    def sum(self):
        """The sum of the numbers, an LLVM value."""
        number, kind = ir.FloatType(), self.value.type
        name = f"llvm.vector.reduce.fadd.v{kind.count}f32"
        function = _declared(self.builder, name, number, number, kind)
        return self.builder.call(function, [number(0.0), self.value], fastmath=_FAST_MATH)

    def __array_ufunc__(self, function, method, *inputs, **options):
        if method != "__call__" or options:
            return NotImplemented
        builder, kind = self.builder, self.value.type
        values = [
            operand.value
            if isinstance(operand, Lanes)
            else self.spread(builder, operand, kind.count).value
            for operand in inputs
        ]
        if function in _INSTRUCTIONS:
            value = getattr(builder, _INSTRUCTIONS[function])(*values, flags=_FAST_MATH)
        elif function is np.negative:
            value = builder.fneg(*values, flags=_FAST_MATH)
        elif function is np.sqrt:
            root = _declared(builder, f"llvm.sqrt.v{kind.count}f32", kind, kind)
            value = builder.call(root, values, fastmath=_FAST_MATH)
        elif function in (np.minimum, np.maximum):
            sign = "<" if function is np.minimum else ">"
            first = builder.fcmp_ordered(sign, *values, flags=_FAST_MATH)
            value = builder.select(first, *values)
        else:
            return NotImplemented
        return Lanes(builder, value)


def _declared(builder, name, result, *arguments):
    """One of LLVM's intrinsic functions, declared once per module."""
    functions = builder.module.globals
    if name not in functions:
        kind = ir.FunctionType(result, arguments)
        return ir.Function(builder.module, kind, name)
    return functions[name]


class _Rows:
    """The rows of an array, in the code being generated."""

    def __init__(self, context, builder, kind, value):
        self.builder = builder
        self.array = context.make_array(kind)(context, builder, value)
        *self.shape, self.length = cgutils.unpack_tuple(builder, self.array.shape)

    def at(self, *indices):
        """A function (x, behind=0) that returns a pointer to pixel x + behind of one row."""
        builder, row = self.builder, self.length.type(0)
        for index, size in zip(indices, self.shape, strict=True):
            index = row.type(index) if isinstance(index, int) else index
            row = builder.add(builder.mul(row, size), index)
        begin = builder.gep(self.array.data, [builder.mul(row, self.length)])
        return lambda x, behind=0: builder.gep(begin, [builder.add(x, x.type(behind))])

    def vectors(self):
        """A loop over the first pixels of a row's vectors."""
        zero, lanes = self.length.type(0), self.length.type(LANES)
        end = self.builder.sub(self.length, lanes)
        return cgutils.for_range_slice(self.builder, zero, end, lanes, zero.type)


def _compiled_primal_row(_, flow, slopes, inverse, rest, dual, inside, bound, y):
    """The signature and the code of `primal_row`, for Numba."""

    def generate(context, builder, signature, values):
        arrays = [
            _Rows(context, builder, kind, value)
            for kind, value in zip(signature.args[:6], values[:6], strict=True)
        ]
        flow, slopes, inverse, rest, dual, inside = arrays
        bound, y = values[6:]
        following = builder.add(y, y.type(1))
        flows, steeps = ([rows.at(part, y) for part in range(2)] for rows in (flow, slopes))
        inverse, rest, inside = inverse.at(y), rest.at(y), inside.at()
        across = [dual.at(part, 0, following) for part in range(2)]
        down = [dual.at(part, 1, following) for part in range(2)]
        above = [dual.at(part, 1, y) for part in range(2)]
        bound = Lanes.spread(builder, bound, LANES)
        nothing = Lanes.spread(builder, 0, LANES)
        change = cgutils.alloca_once_value(builder, nothing.value)

        def load(pointer):
            return Lanes.load(builder, pointer, LANES)

        with flow.vectors() as (x, _):
            u = [load(pointer(x)) for pointer in flows]
            steep = [load(pointer(x)) for pointer in steeps]
            shrunk = _shrunk(u, steep, load(inverse(x)), load(rest(x)), bound)
            theta, total = load(inside(x)), Lanes(builder, builder.load(change))
            for part in range(2):
                delta = _delta(
                    shrunk,
                    steep[part],
                    theta,
                    load(across[part](x, LANES)),
                    load(across[part](x, LANES - 1)),
                    load(down[part](x, LANES)),
                    load(above[part](x, LANES)),
                )
                (u[part] + delta).store(flows[part](x))
                total = total + delta * delta
            builder.store(total.value, change)
        return Lanes(builder, builder.load(change)).sum()

    return types.float32(flow, slopes, inverse, rest, dual, inside, bound, y), generate


def _compiled_dual_row(_, flow, dual, step, y, below):
    """The signature and the code of `dual_row`, for Numba."""

    def generate(context, builder, signature, values):
        flow, dual = (
            _Rows(context, builder, kind, value)
            for kind, value in zip(signature.args[:2], values[:2], strict=True)
        )
        step, y, below = values[2:]
        following = builder.add(y, y.type(1))
        current, following_row = ([flow.at(part, row) for part in range(2)] for row in (y, below))
        duals = [[dual.at(part, way, following) for way in range(2)] for part in range(2)]
        step = Lanes.spread(builder, step, LANES)

        def load(pointer):
            return Lanes.load(builder, pointer, LANES)

        with flow.vectors() as (x, _):
            gradients = []
            for part in range(2):
                u = load(current[part](x))
                gradients.append((load(current[part](x, 1)) - u, load(following_row[part](x)) - u))
            for part, shrink in enumerate(_shrinks(gradients, step)):
                for p, gradient in zip(duals[part], gradients[part], strict=True):
                    pointer = p(x, LANES)
                    ((load(pointer) + step * gradient) * shrink).store(pointer)
        return context.get_dummy_value()

    return types.void(flow, dual, step, y, below), generate


primal_row: Callable = _primal_row if intrinsic is None else intrinsic(_compiled_primal_row)
dual_row: Callable = _dual_row if intrinsic is None else intrinsic(_compiled_dual_row)


def _four_by_four(source, offset, across, down):
    """The weighted sums of the first three channels of 4x4 pixels; bounds are not checked.

    Args:
        source: float32 array (height, width * 4), pixels of four channels.
        offset: Index of the first of the 4x4 pixels, in the flattened array.
        across: Weights of the four columns, a tuple of float32.
        down: Weights of the four rows, a tuple of float32.
    """
    width = source.shape[1]
    y, x = divmod(offset, width)
    return tuple(
        sum(
            down[row] * across[column] * source[y + row, x + CHANNELS * column + channel]
            for row in range(4)
            for column in range(4)
        )
        for channel in range(3)
    )


def _compiled_four_by_four(_, source, offset, across, down):
    """The signature and the code of `four_by_four`, for Numba."""
    sums = types.UniTuple(types.float32, 3)

    def generate(context, builder, signature, arguments):
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        shape = builder.extract_value(array.shape, 1)
        offset = builder.sext(arguments[1], shape.type)
        pixel = ir.VectorType(ir.FloatType(), CHANNELS)
        lane = ir.IntType(32)
        zeros = ir.Constant(ir.VectorType(lane, CHANNELS), [0] * CHANNELS)

        def spread(weight):
            single = builder.insert_element(ir.Constant(pixel, ir.Undefined), weight, lane(0))
            return builder.shuffle_vector(single, single, zeros)

        def add(total, part, weight):
            part = builder.fmul(part, weight, flags=("fast",))
            return part if total is None else builder.fadd(total, part, flags=("fast",))

        columns = [spread(builder.extract_value(arguments[2], index)) for index in range(4)]
        rows = [spread(builder.extract_value(arguments[3], index)) for index in range(4)]
        total = None
        for down_weight in rows:
            row = None
            for index, weight in enumerate(columns):
                at = builder.add(offset, offset.type(CHANNELS * index))
                pointer = builder.bitcast(builder.gep(array.data, [at]), pixel.as_pointer())
                row = add(row, builder.load(pointer, align=4), weight)
            total = add(total, row, down_weight)
            offset = builder.add(offset, shape)
        parts = [builder.extract_element(total, lane(index)) for index in range(3)]
        return context.make_tuple(builder, sums, parts)

    return sums(source, offset, across, down), generate


four_by_four: Callable = _four_by_four if intrinsic is None else intrinsic(_compiled_four_by_four)
