"""`read_keras`: `.keras`, `.weights.h5` and older `.h5` files, without Keras; no code is executed.

Keras 3 numbers a layer's variables in the order of their creation. Their names follow from the
layer's class and from the model's configuration, if the file contains it.
"""

import json
import pathlib
import re

from kinetics_i3d.core.errors import WeightsError
from kinetics_i3d.weights.readers.archive import open_archive
from kinetics_i3d.weights.readers.hdf5 import read_hdf5
from kinetics_i3d.weights.readers.values import warn_unchecked

MAX_CONFIG = 64 * 2**20
MEMBER = "model.weights.h5"
# State of the optimizer, the metrics and the random generators, which is not part of the weights.
STATE = re.compile(r"(optimizer|optimizer_weights|seed_generator|random_seed_generator|metrics)")
CELL = re.compile(r"(^|/)lstm(_\d+)?/cell$")
STREAM_NETWORKS = ("rgb_stream", "flow_stream")
CONVOLUTION = re.compile(r"(depthwise_)?conv[123]d(_transpose)?|dense")
BATCH_NORM = {
    (True, True): ("gamma", "beta"),
    (False, True): ("beta",),
    (True, False): ("gamma",),
    (False, False): (),
}


def read_keras(path):
    """Reads the weights of a Keras file under `<layer>/<variable>`.

    A `.keras` file states which variables a batch norm has; for a `.weights.h5` they are inferred
    from their number: gamma, beta, moving_mean and moving_variance (4), beta and the statistics
    (3; a scale without an offset, which is not used in practice, would be misnamed), or the
    statistics alone (2). Variables of layers other than convolutions, dense layers, LSTMs and batch
    norms keep their numbers as names. In models of this package, variables of the networks
    `rgb_stream` and `flow_stream` begin with `rgb/` and `flow/`.

    Args:
        path: A `.keras`, `.weights.h5` or `.h5` file; the format is recognized by its content.

    Returns:
        {`"<layer>/<variable>"`: array}, floats in float32, without those of the optimizer.

    Raises:
        WeightsError: If the file is missing or damaged, or contains anything but weights.

    Example:

    >>> model.save_weights(folder / "mine.weights.h5")
    >>> sorted(read_keras(folder / "mine.weights.h5"))[:2]
    ['Conv3d_0c_1x1/bias', 'Conv3d_0c_1x1/kernel']
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise WeightsError(f"{path}: no such file")
    with path.open("rb") as file:
        zipped = file.read(2) == b"PK"
    if not zipped:
        arrays = _arrays(read_hdf5(path), None, path)
        warn_unchecked(path)
        return arrays
    with open_archive(path) as archive:
        config = _parse(archive.read("config.json", MAX_CONFIG), path)
    return _arrays(read_hdf5(path, member=MEMBER), config, path)


def _parse(text, path):
    try:
        config = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"{path}: its config.json is not JSON") from error
    return config if isinstance(config, dict) else {}


def _arrays(file, config, path):
    if any("weight_names" in group for group in file.attributes.values()):
        rows = _keras2_rows(file, path)
    else:
        rows = _keras3_rows(file, config, path)
    arrays: dict = {}
    for name, dataset in rows:
        if name in arrays:
            raise WeightsError(f"{path}: {name} occurs twice")
        arrays[name] = file.read(dataset)
    if not arrays:
        raise WeightsError(f"{path}: an HDF5 file without Keras weights")
    return arrays


def _keras2_rows(file, path):
    """[(name, path of the dataset)] of a file whose layers list their `weight_names`."""
    root = "model_weights" if "model_weights" in file.attributes else ""
    layers = file.attributes[root].get("layer_names")
    prefix = f"{root}/" if root else ""
    rows = []
    groups = _texts(layers, path) if layers is not None else ()
    for group in (*groups, "top_level_model_weights"):
        if prefix + group not in file.attributes:
            if group == "top_level_model_weights":
                continue
            raise WeightsError(f"{path}: the layer {group!r} is listed but missing")
        names = file.attributes[prefix + group].get("weight_names")
        for name in _texts(names, path) if names is not None else ():
            if f"{prefix}{group}/{name}" not in file.shapes:
                raise WeightsError(f"{path}: {group}/{name} is listed but missing")
            if not re.search(r"seed_generator", name):
                rows.append((_keras2_name(group, name), f"{prefix}{group}/{name}"))
    listed = {dataset for _, dataset in rows}
    spare = [
        name
        for name in file.shapes
        if name not in listed and not STATE.match(name) and "seed_generator" not in name
    ]
    if spare:
        raise WeightsError(f"{path}: tensors that no layer lists: {spare[:5]}")
    return rows


def _texts(values, path):
    """The strings of an attribute that is a string or a list of strings."""
    texts = values if isinstance(values, list) else [values]
    if not all(isinstance(text, str) for text in texts):
        raise WeightsError(f"{path}: a list of names contains other values")
    return texts


def _keras2_name(layer, name):
    """`<layer>/<variable>` of the innermost layer, without `:0` and outer scopes."""
    *scopes, variable = re.sub(r":\d+$", "", name).split("/")
    # The layer may be part of a nested model; its own scope may have a number.
    if scopes and not re.fullmatch(rf"{re.escape(layer)}(_\d+)?", scopes[-1]):
        layer = scopes[-1]
    return f"{layer}/{variable}"


def _keras3_rows(file, config, path):
    """[(name, path of the dataset)] of a file whose layers are groups with numbered `vars`."""
    layers: dict = {}
    settings = _settings(config or {})
    for dataset in file.shapes:
        parts = dataset.split("/")
        if any(STATE.fullmatch(part) for part in parts):
            continue
        if parts[-2:-1] != ["vars"] or not re.fullmatch(r"0|[1-9]\d{0,5}", parts[-1]):
            raise WeightsError(f"{path}: {dataset!r} is not a variable of a Keras layer")
        layers.setdefault("/".join(parts[:-2]), {})[int(parts[-1])] = dataset
    named = {group: file.attributes[f"{group}/vars".lstrip("/")].get("name") for group in layers}
    if any(named.values()) and not all(isinstance(name, str) for name in named.values()):
        raise WeightsError(f"{path}: some layers have no name, or a name that is not a string")
    rows = []
    for group, variables in layers.items():
        if sorted(variables) != list(range(len(variables))):
            raise WeightsError(f"{path}: {group} lacks a variable: it has {sorted(variables)}")
        ordered = [variables[number] for number in range(len(variables))]
        setting = settings.get(group, {})
        layer = named[group] or setting.get("name") or group.removeprefix("layers/")
        kind = re.sub(r"_\d+$", "", group.rsplit("/", 1)[-1])
        if CELL.search(group):  # a recurrent layer keeps its variables in a nested layer
            outer = group.removesuffix("/cell")
            name = file.attributes.get(f"{outer}/vars", {}).get("name")
            layer = name if isinstance(name, str) else settings.get(outer, setting).get("name")
            layer = layer or outer.removeprefix("layers/")
        shapes = [file.shapes[dataset] for dataset in ordered]
        layer = _stream_of(group, settings) + layer
        for variable, dataset in zip(_variables(kind, shapes, setting), ordered, strict=True):
            rows.append((f"{layer}/{variable}", dataset))
    order = {
        _stream_of(group, settings) + row["name"]: number
        for number, (group, row) in enumerate(settings.items())
    }
    # HDF5 lists groups alphabetically; with a configuration they are sorted in the model's order.
    return sorted(rows, key=lambda row: order.get(row[0].rsplit("/", 1)[0], 0))


def _stream_of(group, settings):
    """`"rgb/"` or `"flow/"` for a layer of the network of a stream, otherwise `""`."""
    outer = "/".join(group.split("/")[:2])
    name = settings.get(outer, {}).get("name", "") if outer != group else ""
    return f"{name.removesuffix('_stream')}/" if name in STREAM_NETWORKS else ""


def _settings(config, above=""):
    """{group: configuration of its layer}; Keras names groups by class and number."""
    inner = config.get("config")
    if isinstance(inner, dict) and isinstance(inner.get("functional"), dict):  # a `ClipModel`
        inner = inner["functional"].get("config")
    layers = inner.get("layers") if isinstance(inner, dict) else None
    settings: dict = {}
    used: dict = {}
    for layer in layers if isinstance(layers, list) else ():
        if not isinstance(layer, dict) or not isinstance(layer.get("class_name"), str):
            continue
        name = _snake(layer["class_name"].split(">")[-1])
        number = used[name] = used.get(name, -1) + 1
        group = f"{above}layers/{name}_{number}" if number else f"{above}layers/{name}"
        setting = layer.get("config")
        if isinstance(setting, dict) and "name" not in setting:  # a nested `ClipModel`
            setting = {**setting, "name": layer.get("name")}
        if isinstance(setting, dict) and isinstance(setting.get("name"), str):
            settings[group] = setting
            if len(above) < 200:
                settings.update(_settings(layer, f"{group}/"))
    return settings


def _snake(name):
    """`BatchNormalization` to `batch_normalization` and `Conv3D` to `conv3d`, as Keras does."""
    name = re.sub(r"\W+", "", name)
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def _variables(kind, shapes, setting):
    """The names of a layer's variables in Keras' order; numbers if they are unknown."""
    total = len(shapes)
    if kind == "batch_normalization":
        parts = {4: (True, True), 3: (False, True), 2: (False, False)}.get(total)
        has = tuple(setting.get(key, parts[at] if parts else None) for at, key in _PARTS)
        names = (*BATCH_NORM.get(has, ()), "moving_mean", "moving_variance")
    elif CONVOLUTION.fullmatch(kind):
        names = ("kernel", "bias")[:total]
    elif kind == "cell":
        names = ("kernel", "recurrent_kernel", "bias")[:total]
    else:
        names = ()
    return names if len(names) == total else tuple(str(number) for number in range(total))


_PARTS = ((0, "scale"), (1, "center"))
