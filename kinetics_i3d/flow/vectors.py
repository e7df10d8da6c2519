"""`Lanes`: several float32 numbers as one LLVM vector, for formulas written in NumPy's words.

Numba makes vectors of loops itself, as long as they are small and simple. What it leaves scalar is
written with these.
"""

import numpy as np
from llvmlite import ir

# As Numba's own loops in `tvl1_numba`.
MATHS = ("nnan", "nsz", "arcp", "contract", "reassoc", "afn")
WORDS = {np.add: "fadd", np.subtract: "fsub", np.multiply: "fmul", np.divide: "fdiv"}


class Lanes(np.lib.mixins.NDArrayOperatorsMixin):
    """A vector in the code that is being built, which NumPy's functions take for an array.

    Args:
        builder: The `llvmlite.ir.IRBuilder` that the code goes to.
        value: The vector.
    """

    def __init__(self, builder, value):
        self.builder, self.value = builder, value

    @classmethod
    def spread(cls, builder, number, count):
        """A vector of `count` times the same number, one of Python's or a value of LLVM's."""
        kind = ir.VectorType(ir.FloatType(), count)
        if isinstance(number, int | float):
            return cls(builder, ir.Constant(kind, [float(number)] * count))
        lane = ir.IntType(32)
        one = builder.insert_element(ir.Constant(kind, ir.Undefined), number, lane(0))
        first = ir.Constant(ir.VectorType(lane, count), [0] * count)
        return cls(builder, builder.shuffle_vector(one, one, first))

    @classmethod
    def load(cls, builder, pointer, count):
        """The vector of `count` numbers that stand at a pointer to the first of them."""
        kind = ir.VectorType(ir.FloatType(), count).as_pointer()
        return cls(builder, builder.load(builder.bitcast(pointer, kind), align=4))

    def store(self, pointer):
        """Writes the numbers to where the pointer points."""
        kind = self.value.type.as_pointer()
        self.builder.store(self.value, self.builder.bitcast(pointer, kind), align=4)

    def sum(self):
        """The sum of the numbers, a value of LLVM's."""
        number, kind = ir.FloatType(), self.value.type
        name = f"llvm.vector.reduce.fadd.v{kind.count}f32"
        function = _declared(self.builder, name, number, number, kind)
        return self.builder.call(function, [number(0.0), self.value], fastmath=MATHS)

    def __array_ufunc__(self, function, method, *inputs, **options):
        if method != "__call__" or options:
            return NotImplemented
        builder, kind = self.builder, self.value.type
        values = [
            each.value if isinstance(each, Lanes) else self.spread(builder, each, kind.count).value
            for each in inputs
        ]
        if function in WORDS:
            value = getattr(builder, WORDS[function])(*values, flags=MATHS)
        elif function is np.negative:
            value = builder.fneg(*values, flags=MATHS)
        elif function is np.sqrt:
            root = _declared(builder, f"llvm.sqrt.v{kind.count}f32", kind, kind)
            value = builder.call(root, values, fastmath=MATHS)
        elif function in (np.minimum, np.maximum):
            sign = "<" if function is np.minimum else ">"
            first = builder.fcmp_ordered(sign, *values, flags=MATHS)
            value = builder.select(first, *values)
        else:
            return NotImplemented
        return Lanes(builder, value)


def _declared(builder, name, result, *arguments):
    """One of LLVM's own functions."""
    functions = builder.module.globals
    if name not in functions:
        kind = ir.FunctionType(result, arguments)
        return ir.Function(builder.module, kind, name)
    return functions[name]
