"""`optimize`: a model that answers sooner, from Python: batch norms folded, fewer bits."""

import pathlib

from absl import logging

from kinetics_i3d.exporting.calibration import check_precision
from kinetics_i3d.models.folding import fold
from kinetics_i3d.models.layers import dtype_policy
from kinetics_i3d.models.load import as_model

PRECISIONS = ("float32", "bfloat16", "int8")
FLAGS = ("avx512_bf16", "amx_bf16")  # of /proc/cpuinfo


def optimize(model, *, precision="float32", calibration=None):
    """Makes a copy of a model that answers alike and sooner, and is not for training.

    Args:
        model: A `ClipModel`, which stays as it is, or weights as `load_model` takes them. In 8 bits
            it must end in logits.
        precision: What the copy computes in. `"float32"` differs by rounding alone. `"bfloat16"`
            takes about half the time where the processor knows it (AVX512-BF16, AMX), with logits
            off by some hundredths, and longer where it does not. `"int8"` takes about a third: the
            network is quantised and run by OpenVINO, on the processor and on the TensorFlow
            backend alone, and measured on clips first, which takes a minute.
        calibration: For `"int8"`: some of the videos that it was trained on, whose clips tell the
            ranges of its numbers. A dataset, of which the split `"train"` counts if there is one,
            or paths of videos, all of which count.

    Returns:
        A `ClipModel`. In 8 bits it is one layer, or one for each stream of a Two-Stream I3D. Else
        it has the same layers' names, where folded batch norms do nothing. It is frozen, and its
        weights are of no architecture: save the model that it was made from.

    Raises:
        DatasetError: If the videos to calibrate by cannot be found.
        ExportError: If OpenVINO or NNCF, the extra `[openvino]`, is missing.
        ValueError: If an argument is out of range, or they do not fit together.
        VideoError: If a video to calibrate by cannot be read.

    Example:

    >>> quick = ki3d.optimize(model)
    >>> clips = np.random.default_rng(0).uniform(-1, 1, (1, 9, 64, 64, 3))
    >>> np.allclose(quick.predict(clips, verbose=0), model.predict(clips, verbose=0), atol=1e-4)
    True
    """
    check_precision(precision, calibration, PRECISIONS)
    model = as_model(model)
    if precision == "int8":
        from kinetics_i3d.exporting.openvino_network import in_eight_bits

        return in_eight_bits(model, calibration)
    if precision == "bfloat16" and lacks_bfloat16():
        logging.warning("this processor has no bfloat16: float32 is likely faster")
    with dtype_policy("float32"):
        return fold(model, "mixed_bfloat16" if precision == "bfloat16" else "float32")


def lacks_bfloat16(cpuinfo="/proc/cpuinfo"):
    """Whether this is known to be an x86 processor that has no bfloat16.

    Args:
        cpuinfo: Where Linux tells.

    Returns:
        False where nothing is known.
    """
    path = pathlib.Path(cpuinfo)
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else ()
    flags = next((line.split() for line in lines if line.startswith("flags")), None)
    return flags is not None and not set(FLAGS) & set(flags)
