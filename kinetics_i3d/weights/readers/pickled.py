"""`load_pickle`: reads a pickle of PyTorch tensors or NumPy arrays; no global in it is called.

An interpreter for the few opcodes and globals that occur in weights; all others are refused.
"""

import dataclasses
import pickletools

from kinetics_i3d.core.errors import WeightsError
from kinetics_i3d.weights.readers.values import MAX_BYTES

MAX_PICKLE = 2 * 2**20  # 344 tensors take 40 kB
STORAGES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}
CALLS = {
    "collections OrderedDict",
    "torch._utils _rebuild_tensor",
    "torch._utils _rebuild_tensor_v2",
    "torch._utils _rebuild_parameter",
    "torch Size",
}
NAMES = CALLS | {f"torch {storage}" for storage in STORAGES}
NUMPY_NAMES = {
    "numpy ndarray",
    "numpy dtype",
    "numpy.core.multiarray _reconstruct",
    "numpy._core.multiarray _reconstruct",  # NumPy 2
}
NUMPY_DTYPES = {"f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "b1"}
MAX_OPCODES = 2**18  # 230 arrays take 7633

LITERALS = {
    "BININT", "BININT1", "BININT2", "LONG1", "INT", "LONG", "BINFLOAT", "BINUNICODE",
    "SHORT_BINUNICODE", "BINUNICODE8", "BINSTRING", "SHORT_BINSTRING", "BINBYTES",
    "SHORT_BINBYTES",
}  # fmt: skip
CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
EMPTY = {"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple}
MARK = object()


@dataclasses.dataclass(frozen=True)
class Dialect:
    """The opcodes and globals that a kind of pickle may contain.

    Args:
        about: The expected content of the file, for errors.
        names: The allowed globals, each as `"module name"`.
        max_bytes: Maximum length of the pickle.
        max_opcodes: Maximum number of opcodes.
    """

    about: str
    names: frozenset
    max_bytes: int
    max_opcodes: int


# An opcode takes at least one byte, so for PyTorch the limit on bytes also bounds the opcodes.
TORCH = Dialect("state dict", frozenset(NAMES), MAX_PICKLE, MAX_PICKLE)
NUMPY = Dialect("dictionary of arrays", frozenset(NUMPY_NAMES), MAX_BYTES, MAX_OPCODES)


@dataclasses.dataclass(frozen=True)
class Name:
    """A global that the pickle refers to; it is never imported."""

    name: str


@dataclasses.dataclass(frozen=True)
class Storage:
    """A reference to raw values outside the pickle."""

    dtype: str
    key: str
    count: int
    first: int = 0  # offset of a view, in old files


@dataclasses.dataclass(frozen=True)
class Tensor:
    """The layout of a tensor in its storage, unchecked."""

    storage: Storage
    offset: object
    shape: object
    strides: object


@dataclasses.dataclass(eq=False)
class DType:
    """A NumPy dtype: its code, such as `"f4"`, and its byte order, which BUILD sets."""

    code: str
    order: str | None = None


@dataclasses.dataclass(eq=False)
class Array:
    """A NumPy array as the pickle describes it, unchecked; BUILD sets all fields."""

    shape: object = ()
    dtype: DType | None = None
    fortran: bool = False
    data: bytes = b""


def load_pickle(file, path, dialect=TORCH):
    """Runs one pickle.

    Args:
        file: An object with `read` and `readline` that never returns more bytes than it has; it is
            positioned after the pickle on return.
        path: The file, for errors.
        dialect: `TORCH` or `NUMPY`.

    Returns:
        Dictionaries, lists, tuples, strings and numbers, with a `Tensor` for every PyTorch tensor
        and an `Array` for every NumPy array.

    Raises:
        WeightsError: If the pickle is damaged, or attempts to call a function that is not allowed.
    """
    machine = _Machine(path, dialect)
    start = file.tell()
    try:
        for number, (opcode, argument, position) in enumerate(pickletools.genops(file)):
            if position - start > dialect.max_bytes or number > dialect.max_opcodes:
                raise WeightsError(f"{path}: its pickle is longer than in any {dialect.about}")
            machine.step(opcode.name, argument)
        return machine.pop()
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError) as error:
        reason = (str(error).splitlines() or [""])[0][:80]
        raise WeightsError(f"{path}: its pickle is damaged ({reason})") from error


class _Machine:
    def __init__(self, path, dialect):
        self.path, self.dialect, self.stack, self.memo = path, dialect, [], {}

    def pop(self):
        value = self.stack.pop()
        if value is MARK:
            raise ValueError("a mark where a value should be")
        return value

    def pop_to_mark(self):
        values = []
        while (value := self.stack.pop()) is not MARK:
            values.append(value)
        return values[::-1]

    def top(self, kind):
        if type(self.stack[-1]) is not kind:
            raise ValueError(f"no {kind.__name__} to add to")
        return self.stack[-1]

    def step(self, code, argument):
        push = self.stack.append
        if code in LITERALS:
            push(argument)
        elif code in CONSTANTS:
            push(CONSTANTS[code])
        elif code in EMPTY:
            push(EMPTY[code]())
        elif code == "MARK":
            push(MARK)
        elif code == "TUPLE":
            push(tuple(self.pop_to_mark()))
        elif code in ("TUPLE1", "TUPLE2", "TUPLE3"):
            push(tuple([self.pop() for _ in range(int(code[-1]))][::-1]))
        elif code in ("BINPUT", "LONG_BINPUT"):
            self.memo[argument] = self.stack[-1]
        elif code == "MEMOIZE":
            self.memo[len(self.memo)] = self.stack[-1]
        elif code in ("BINGET", "LONG_BINGET"):
            push(self.memo[argument])
        elif code in ("APPEND", "APPENDS"):
            values = [self.pop()] if code == "APPEND" else self.pop_to_mark()
            self.top(list).extend(values)
        elif code in ("SETITEM", "SETITEMS"):
            values = [self.pop(), self.pop()][::-1] if code == "SETITEM" else self.pop_to_mark()
            self.fill(self.top(dict), values[::2], values[1::2])
        elif code == "GLOBAL":
            push(self.named(argument))
        elif code == "STACK_GLOBAL":
            name, module = self.pop(), self.pop()
            if not isinstance(name, str) or not isinstance(module, str):
                raise ValueError("a name that is not text")
            push(self.named(f"{module} {name}"))
        elif code == "REDUCE":
            arguments, function = self.pop(), self.pop()
            push(self.call(function, arguments))
        elif code == "BUILD":
            self.build(self.pop(), self.stack[-1])
        elif code == "BINPERSID":
            push(self.storage(self.pop()))
        elif code not in ("PROTO", "FRAME", "STOP"):
            about = self.dialect.about
            raise WeightsError(
                f"{self.path}: its pickle contains {code}, which no {about} contains: refused"
            )

    def named(self, name):
        if name.endswith(".numeric _frombuffer"):
            raise WeightsError(f"{self.path}: a pickle of protocol 5; write it with protocol=4")
        if name not in self.dialect.names:
            shown = ".".join(name.split(" "))[:80]
            raise WeightsError(f"{self.path}: its pickle calls {shown!r}: refused")
        return Name(name)

    def fill(self, target, keys, values):
        if len(keys) != len(values):
            raise ValueError("a key without a value")
        for key, value in zip(keys, values, strict=True):
            # No other keys: hashing nested tuples can take forever.
            if not isinstance(key, (str, int)) or key in target:
                raise ValueError("a key that is not text, or that occurs twice")
            target[key] = value

    def call(self, function, arguments):
        if type(function) is not Name or type(arguments) is not tuple:
            raise ValueError("a call of something that is not a function")
        match function.name.split(" ")[1], arguments:
            case "OrderedDict", ():
                return {}
            case "OrderedDict", (list() as pairs,):
                return self.ordered(pairs)
            case "Size", (tuple() as shape,):
                return shape
            case "_rebuild_parameter", (Tensor() as tensor, *_):
                return tensor
            case "_rebuild_tensor", (Storage() as storage, offset, shape, strides):
                return Tensor(storage, offset, shape, strides)
            case "_rebuild_tensor_v2", (Storage() as storage, offset, shape, strides, *_):
                return Tensor(storage, offset, shape, strides)
            case "_reconstruct", (Name(name="numpy ndarray"), (0,), b"b"):
                return Array()
            case "dtype", (str() as code, _, _):
                return self.dtype(code)
        raise ValueError(f"invalid arguments of {function.name}")

    def dtype(self, code):
        if code not in NUMPY_DTYPES:
            raise WeightsError(
                f"{self.path}: has an array of dtype {code[:20]!r}, which holds no weights: refused"
            )
        return DType(code)

    def build(self, state, target):
        """Sets the state of an object, as `__setstate__` would."""
        match target, state:
            case dict(), _:
                pass  # an OrderedDict's attributes: PyTorch's `_metadata`
            case DType(order=None), (3, ("<" | "|") as order, None, None, None, -1, -1, 0):
                target.order = order
            case DType(order=None), (3, ">", None, None, None, -1, -1, 0):
                raise WeightsError(
                    f"{self.path}: written on a big-endian machine, which is not supported"
                )
            case (
                Array(dtype=None),
                (1, tuple() as shape, DType(order=str()) as dtype, bool() as fortran, bytes(data)),
            ):
                target.shape, target.dtype = shape, dtype
                target.fortran, target.data = fortran, data
            case _:
                raise ValueError("an invalid state of an object")

    def ordered(self, pairs):
        """An OrderedDict as pickled by Python 2: a list of pairs."""
        dictionary: dict = {}
        for key, value in pairs:
            self.fill(dictionary, [key], [value])
        return dictionary

    def storage(self, reference):
        """The storage of `("storage", type, key, device, count)`; old files add a view or None."""
        if type(reference) is not tuple:
            raise ValueError("a storage that is not a tuple")
        word, kind, key, _, size, *view = reference
        kind = kind.name.split(" ")[1] if type(kind) is Name else None
        if word != "storage" or kind not in STORAGES or not isinstance(key, str):
            raise ValueError("an invalid storage")
        first = 0
        if view and view[0] is not None:
            _, first, length = view[0]
            if type(first) is not int or type(length) is not int or first < 0:
                raise ValueError("an invalid view")
        if type(size) is not int or size < 0:
            raise ValueError("a storage of impossible size")
        return Storage(STORAGES[kind], key, size, first)
