"""A folder per class: `<class>/<video>` or `<split>/<class>/<video>`, without any list.

The counterpart for videos of Keras' `image_dataset_from_directory`.
"""

from kinetics_i3d.core.errors import DatasetError
from kinetics_i3d.data.layouts.files import walk_videos
from kinetics_i3d.data.layouts.labels import kinetics_spelling
from kinetics_i3d.data.layouts.listing import (
    SPLITS,
    UNDIVIDED,
    Listing,
    Row,
    folder_name,
    split_name,
)

LOOKS_LIKE = (
    "a folder of videos, or of folders of frames, per class; or a folder of these per split "
    "(train, val, test)"
)


def find(location):
    """The videos in a `Location` that is a folder, if one of them is in a subfolder."""
    if not location.path.is_dir():
        return ()
    names = tuple(walk_videos(location.path))
    return names if any("/" in name for name in names) else ()


def read(names, *, root, split, labels):
    """A `Listing`; the split is `"all"` unless folders name one, and each file is its own `source`.

    If all folders are classes of Kinetics-400 or -600, in any spelling, its labels are used.
    """
    del split, labels
    split_names = [name.split("/") for name in names]
    firsts = sorted({parts[0] for parts in split_names if len(parts) > 1})
    splits = [name for name in firsts if name.casefold() in SPLITS]
    if splits and splits != firsts:
        other = next(name for name in firsts if name not in splits)
        raise DatasetError(
            f"{root}: folders must be splits or classes; {splits[0]} is a split, {other} a class"
        )
    usual = "<split>/<class>/<video>" if splits else "<class>/<video>"
    for name, parts in zip(names, split_names, strict=True):
        if len(parts) != usual.count("/") + 1:
            raise DatasetError(f"{root / name}: must be in {root} as {usual}")
    spelling = kinetics_spelling(parts[-2] for parts in split_names)
    rows = []
    for name, parts in zip(names, split_names, strict=True):
        split = split_name(parts[0]) if splits else UNDIVIDED
        rows.append(Row(name, spelling[parts[-2]].strip(), split, name, root, 0))
    return Listing(root, folder_name(root), root, tuple(rows))
