"""`label_ids_for`: which class each number of a list means, by the label file beside the list."""

import re

from kinetics_i3d.core.errors import DatasetError
from kinetics_i3d.core.label_files import read_label_ids

# The usual names, in order of preference.
LABEL_FILES = (
    *("labels.txt", "classes.txt", "label_map.txt", "labels.csv", "labels.json", "classes.json"),
    *("classids.json", "class_ids.json", "label_map.json", "kinetics_classnames.json"),
    "classInd.txt",
)
SIMILAR = re.compile(r"(?i).*(?:label|class|categor).*\.(?:txt|csv|json|pbtxt|tsv)")


def label_ids_for(files, *, own=None, numbers=(), similar=True):
    """Reads the label file beside some lists.

    Args:
        files: The lists.
        own: A label file that belongs to these lists alone, which comes first.
        numbers: The numbers that the lists use as labels; without any, only files with one of the
            usual names are looked for.
        similar: Whether files with similar names count where none has a usual one.

    Returns:
        {number: class name}, by the numbers as the lists count; empty if there is no such file.

    Raises:
        DatasetError: If the label file cannot be read, if several of them differ, or if it counts
            from 1 and the lists do not show whether they do.
    """
    folder = files[0].parent
    if own is not None and own.is_file():
        paths = [own]
    else:
        usual = [folder / name for name in LABEL_FILES]
        paths = [path for path in usual if path not in files and path.is_file()]
        if similar and numbers and not paths:
            paths = sorted(
                path
                for path in folder.iterdir()
                if SIMILAR.fullmatch(path.name)
                and path not in files
                and path.is_file()
                # Those of other tables.
                and not path.name.endswith(".labels.txt")
            )
    if not paths:
        return {}
    named = read_label_ids(paths[0])
    for other in paths[1:]:
        if [*dict(sorted(named.items())).values()] != [
            *dict(sorted(read_label_ids(other).items())).values()
        ]:
            raise DatasetError(
                f"{folder}: the label files {paths[0].name} and {other.name} differ; keep one of "
                "them beside the lists"
            )
    if 0 not in named and numbers and len(named) not in numbers:
        # MMAction2 counts UCF-101 from 0, whose own classInd.txt counts from 1.
        if 0 not in numbers:
            raise DatasetError(
                f"{paths[0]}: counts from 1, and the lists use neither 0 nor {len(named)}, so that "
                "they may count from either; write the label file with ids from 0"
            )
        named = {number - 1: label for number, label in named.items()}
    return named
