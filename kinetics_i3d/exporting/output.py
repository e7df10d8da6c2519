"""`check_output`: what can be found wrong with an artifact's name before the minutes that it takes.

Nothing is replaced: what serves stays until somebody removes it.
"""

import pathlib

from kinetics_i3d.core.errors import ExportError
from kinetics_i3d.core.files import check_free
from kinetics_i3d.exporting.signatures import class_names


def check_output(model, output, suffix=""):
    """Raises `UserError` where an artifact cannot be written.

    Args:
        model: A `ClipModel`.
        output: Where it shall stand; nothing may stand there.
        suffix: How its name has to end.

    Returns:
        `output` as a `pathlib.Path`.

    Raises:
        ExportError: If the name ends otherwise, or the classes have no names.
        UserError: If something stands there.
    """
    output = pathlib.Path(output)
    check_free(output)
    if suffix and output.suffix != suffix:
        raise ExportError(f"{output}: the name must end in {suffix}")
    class_names(model)
    return output
