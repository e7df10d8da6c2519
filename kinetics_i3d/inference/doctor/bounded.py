"""`examine_array_bounded`: `examine` of an array in a child process with limits of time and memory.

A megabyte of an `*.npz` can hold gigabytes of zeros.
"""

import dataclasses

from kinetics_i3d.core.child_process import ChildError, call_in_child
from kinetics_i3d.core.clip_spec import ClipSpec
from kinetics_i3d.core.errors import UserError
from kinetics_i3d.inference.doctor import Finding, Report, examine
from kinetics_i3d.video import limits


def examine_array_bounded(path, *, spec):
    """The `Report` of `*.npy` or `*.npz`, as `examine` makes it.

    Args:
        path: The file.
        spec: The `ClipSpec` of the model that will read it.

    Raises:
        UserError: As `examine`, or if the check exceeds the limits of the bounded decoder.
    """
    bounds = limits.current_limits()
    try:
        findings = call_in_child(
            f"{__name__}:findings_of",
            str(path),
            spec.to_dict(),
            seconds=bounds.seconds,
            memory=bounds.memory,
            imports=("numpy",),
        )
    except ChildError as error:
        raise UserError(
            f"{path}: the check of the array {error} "
            f"({limits.VARIABLE}=seconds=N,memory=N sets its limits)"
        ) from error
    return Report(str(path), "array", spec, tuple(Finding(**fields) for fields in findings))


def findings_of(path, spec):
    """The findings of an array as dictionaries, by the fields of a spec; the child calls it."""
    return [dataclasses.asdict(item) for item in examine(path, spec=ClipSpec(**spec)).findings]
