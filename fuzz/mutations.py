"""`mutate`: changes one file of an input, by the structure of its format or byte by byte.

All choices come from a `random.Random`, so that a seed repeats them.
"""

import copy
import io
import json
import os
import random
import re
import shutil
import struct
import zipfile

STAND_IN = b"not a video"
# Where a length or a count may be: the borders of all widths, and what overflows when multiplied.
_NUMBERS = (0, 1, 2, 127, 128, 255, 256, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**40)
_NUMBERS += (2**48, 2**62, 2**63 - 1, 2**63, 2**64 - 1)
_TEXTS = (
    *("", " ", "\0", "\n", "\r\n", "a\nb", "\x1b[31m", "\ufeff", "\u202e", "é", "é", "💥"),
    *("../../../etc/passwd", "/etc/passwd", "//", ".", "..", "C:\\x", "http://localhost:1/a.mp4"),
    *("nan", "NaN", "inf", "-0", "1e999", "0x10", "١", "1_000", "null", "true", "[]", "{}", "#"),
    *("%s%n", "{0}", "$(id)", "`id`", "';--", '"', "'", ",", ";", "\t", "a" * 300, "9" * 5000),
)
_VALUES = (
    *(None, True, False, 0, 1, -1, 2, 0.5, -0.0, 1e308, float("nan"), float("inf"), 2**31, 2**63),
    *(10**400, [], {}, [[]], [None], {"": None}, *_TEXTS),
)


def mutate(folder, rng):
    """Changes one file of a folder, in one to three places.

    Args:
        folder: A `pathlib.Path`.
        rng: A `random.Random`.

    Returns:
        Whether checksums inside the file were made right again afterwards, or a file was replaced:
        a reader may accept a forgery, never damage.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    # Beside lists of videos stand files that are named there and never opened.
    files = [path for path in files if path.read_bytes() != STAND_IN] or files
    path = rng.choice(files)
    if rng.random() < 0.03:
        _mutate_tree(path, files, rng)
        return True
    data, forged = path.read_bytes(), False
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        data, made_right = _mutate_file(path.suffix.lower(), data, rng)
        forged |= made_right
    path.write_bytes(data)
    return forged


def _mutate_tree(path, files, rng):
    """Removes, empties, or replaces a file."""
    way = rng.choice(("remove", "empty", "folder", "other", "link"))
    content = rng.choice(files).read_bytes()
    path.unlink()
    if way == "empty":
        path.write_bytes(b"")
    elif way == "folder":
        path.mkdir()
    elif way == "other":
        path.write_bytes(content)
    elif way == "link":
        path.symlink_to(path.name)  # to itself


def _mutate_file(suffix, data, rng):
    """(changed bytes, whether checksums were made right)."""
    chance = rng.random()
    if suffix == ".json" and chance < 0.6:
        return _mutate_json_text(data, rng), True
    if suffix in (".json", ".csv", ".txt", ".tsv", ".pbtxt", ".list") and chance < 0.9:
        return _mutate_text(data, rng), True
    if data[:2] == b"PK" and chance < 0.5:
        return _mutate_zip(data, rng), True
    if suffix == ".safetensors" and chance < 0.4:
        return _mutate_safetensors(data, rng), True
    if suffix == ".tfrecord" and chance < 0.5:
        return _mutate_records(data, rng), True
    if data[:6] == b"\x93NUMPY" and chance < 0.5:
        return _mutate_npy(data, rng), True
    return mutate_bytes(data, rng), False


def mutate_bytes(data, rng):
    """Bytes with bits flipped, blocks moved, cut or repeated, or a number in them blown up."""
    if not data:
        return rng.randbytes(rng.randrange(1, 64))
    data, size = bytearray(data), len(data)
    # Headers stand at one of the two ends, and are a small part of a large file.
    where = rng.choice((size, size, min(size, 256), -min(size, 4096)))
    at = rng.randrange(where) if where > 0 else rng.randrange(size + where, size)
    length = min(size - at, int(2 ** rng.uniform(0, 13)))
    way = rng.randrange(10)
    if way <= 2:
        for _ in range(1 if way else rng.randrange(1, 16)):
            data[rng.randrange(at, min(size, at + 64))] ^= 1 << rng.randrange(8)
    elif way == 3:
        del data[at:]
    elif way == 4:
        del data[at : at + length]
    elif way == 5:
        data[at:at] = data[at : at + length] * rng.choice((1, 1, 2, 30))
    elif way == 6:
        source = rng.randrange(size)
        data[at : at + length] = data[source : source + length]
    elif way == 7:
        data[at : at + length] = rng.choice(
            (bytes(length), b"\xff" * length, rng.randbytes(length))
        )
    else:
        _blow_up(data, at, rng)
    return bytes(data)


def _blow_up(data, at, rng):
    """Replaces a number of 1 to 8 bytes by one at a border, or near what it was."""
    width, order = rng.choice((1, 2, 4, 4, 8, 8)), rng.choice(("little", "little", "big"))
    number = rng.choice(_NUMBERS)
    if rng.random() < 0.4:
        number = int.from_bytes(data[at : at + width], order) + rng.choice((-2, -1, 1, 2, 1000))
    data[at : at + width] = (number % 256**width).to_bytes(width, order)


def _mutate_text(data, rng):
    """Lines moved, repeated, cut or joined; words and numbers replaced."""
    text = data.decode("utf-8", "surrogateescape")
    mark = rng.choice((r"[\w.]+", r"-?\d+(?:\.\d+)?", r"[,;\t :/\"{}\[\]]"))
    matches = list(re.finditer(mark, text))
    way = rng.randrange(7)
    lines = text.split("\n")
    at = rng.randrange(len(lines))
    if way <= 2 and matches:
        match = rng.choice(matches)
        new = rng.choice((*_TEXTS, *map(str, _NUMBERS), rng.choice(matches)[0]))
        text = text[: match.start()] + new + text[match.end() :]
    elif way == 3:
        lines.insert(rng.randrange(len(lines)), rng.choice(lines))
        text = "\n".join(lines)
    elif way == 4:
        del lines[at]
        text = rng.choice(("\n", "\r\n", "\r", "\n\n")).join(lines)
    elif way == 5:
        lines[at] = rng.choice((*_TEXTS, lines[at] + rng.choice(_TEXTS)))
        text = "\n".join(lines)
    else:
        encoding = rng.choice(("utf-16", "latin-1", "utf-8-sig"))
        return rng.choice((mutate_bytes(data, rng), text.encode(encoding, "replace")))
    return text.encode("utf-8", "surrogateescape" if text.isascii() else "surrogatepass")


def _mutate_json_text(data, rng):
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return mutate_bytes(data, rng)
    if rng.random() < 0.02:
        deep = rng.choice((1000, 100_000))
        return b"[" * deep + b"]" * rng.choice((0, deep))
    return json.dumps(mutate_json(value, rng), ensure_ascii=rng.random() < 0.5).encode(
        "utf-8", "surrogatepass"
    )


def mutate_json(value, rng):
    """A copy of a JSON value of which one part is replaced, removed, renamed or repeated."""
    value = copy.deepcopy(value)
    parts = list(_parts(value)) if isinstance(value, (dict, list)) else []
    if not parts or rng.random() < 0.02:
        return copy.deepcopy(rng.choice(_VALUES))
    holder, key = rng.choice(parts)
    way = rng.randrange(8)
    if way <= 3:
        holder[key] = copy.deepcopy(rng.choice(_VALUES))
    elif way == 4:
        del holder[key]
    elif way == 5:
        other, name = rng.choice(parts)
        holder[key] = copy.deepcopy(other[name])
    elif isinstance(holder, dict):
        holder[rng.choice((*_TEXTS, f"{key}2", key.upper()))] = holder.pop(key)
    else:
        holder.insert(key, copy.deepcopy(holder[key]))
        if rng.random() < 0.2:
            holder *= rng.choice((2, 1000))
    return value


def _parts(value):
    """(list or dictionary, key) of every part of a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in list(items):
        yield value, key
        if isinstance(inner, (dict, list)):
            yield from _parts(inner)


def _mutate_zip(data, rng):
    """A zip archive of other members, with the checksums of what it now holds."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, EOFError, RuntimeError):
        return mutate_bytes(data, rng)
    except (struct.error, zipfile.zlib.error, zipfile.LargeZipFile):
        return mutate_bytes(data, rng)
    if not members:
        return mutate_bytes(data, rng)
    at = rng.randrange(len(members))
    name, content = members[at]
    way = rng.randrange(10)
    mode = zipfile.ZIP_STORED
    if way <= 6:
        content = _mutate_file(os.path.splitext(name)[1].lower(), content, rng)[0]
        members[at] = (name, content)
    elif way == 7:
        members[at] = (rng.choice((*_TEXTS, rng.choice(members)[0])) or "x", content)
    elif way == 8:
        members.pop(at)
    else:
        bomb = content + bytes(rng.choice((2**16, 2**24)))
        members[at], mode = (name, bomb), zipfile.ZIP_DEFLATED
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", mode) as archive:
        for name, content in members:
            info = zipfile.ZipInfo("x")
            # Past the constructor, which would cut the name at a zero byte.
            info.filename, info.compress_type = name.encode("utf-8", "replace").decode(), mode
            archive.writestr(info, content)
    return packed.getvalue()


def _mutate_npy(data, rng):
    """An array with another dtype, shape or order in its header."""
    end = data.find(b"\n") + 1 or len(data)
    head = data[:end].decode("latin-1")
    old, new = rng.choice(
        (
            (
                r"'descr': *[^,]*",
                "'descr': " + rng.choice(("'|O'", "'<f8'", "'<U5'", "'<f2'", "[]")),
            ),
            (r"'descr': *[^,]*", "'descr': " + rng.choice(("'>f4'", "'V9'", "'<M8[ns]'", "'|b1'"))),
            (r"'shape': *\([^)]*\)", f"'shape': ({rng.choice(_NUMBERS)}, {rng.choice(_NUMBERS)})"),
            (r"'shape': *\([^)]*\)", rng.choice(("'shape': ()", "'shape': (-1,)", "'shape': 5"))),
            ("False", "True"),
            (r"'fortran_order'", "'" + "x" * rng.choice((1, 20)) + "'"),
        )
    )
    if rng.random() < 0.3:
        return data[:end] + mutate_bytes(data[end:], rng)
    head = re.sub(old, new, head, count=1)
    if rng.random() < 0.7:  # at the length that the header says
        head = head[:-1].rstrip(" ").ljust(end - 1)[: end - 1] + "\n"
    return head.encode("latin-1", "replace") + data[end:]


def _mutate_safetensors(data, rng):
    """A safetensors file with another header, of the length that it says."""
    end = 8 + int.from_bytes(data[:8], "little")
    try:
        header = mutate_json(json.loads(data[8:end]), rng)
    except (ValueError, RecursionError):
        return mutate_bytes(data, rng)
    text = json.dumps(header).encode("utf-8", "surrogatepass")
    return len(text).to_bytes(8, "little") + text + data[end:]


def _mutate_records(data, rng):
    """A TFRecord file of which one record is another, with the checksums of that."""
    from kinetics_i3d.weights.distribution import masked_crc32c

    records, at = [], 0
    while at + 12 <= len(data):
        size = int.from_bytes(data[at : at + 8], "little")
        if at + 16 + size > len(data):
            break
        records.append(data[at + 12 : at + 12 + size])
        at += 16 + size
    if not records:
        return mutate_bytes(data, rng)
    at = rng.randrange(len(records))
    records[at] = mutate_bytes(records[at], rng)
    if rng.random() < 0.1:
        records.insert(rng.randrange(len(records)), rng.choice(records))
    framed = b""
    for record in records:
        head = len(record).to_bytes(8, "little")
        framed += head + masked_crc32c(head).to_bytes(4, "little")
        framed += record + masked_crc32c(record).to_bytes(4, "little")
    return framed


def random_of(seed, door, number):
    """The `random.Random` of one input."""
    return random.Random(f"{seed} {door} {number}")


def fresh_copy(source, target):
    """Copies a folder to where another input was before."""
    if target.is_symlink() or target.is_file():
        target.unlink()
    elif target.exists():
        shutil.rmtree(target)
    shutil.copytree(source, target)
