"""`checkpoint_in_tar`: the TensorFlow checkpoint in a tar archive, such as TF-Slim's.

TF-Slim gives ImageNet's Inception-V1 as `inception_v1_2016_08_28.tar.gz`.
"""

import contextlib
import pathlib
import re
import shutil
import tarfile
import tempfile
import zlib

from kinetics_i3d.core.errors import WeightsError, first_line

SUFFIXES = (".tar", ".tar.gz", ".tgz")
MAX_TOTAL = 2**31
MAX_MEMBERS = 1000
CHECKPOINT = re.compile(r"([\w.-]+\.ckpt)(\.index|\.data-\d{5}-of-\d{5})?")
DAMAGE = (tarfile.TarError, zlib.error, EOFError, OSError, ValueError)


def is_tar(path):
    """Whether a file is a tar archive by its name."""
    path = pathlib.Path(path)
    return path.is_file() and path.name.lower().endswith(SUFFIXES)


@contextlib.contextmanager
def checkpoint_in_tar(path):
    """Unpacks the files of a checkpoint into a temporary folder, and nothing else.

    Names are taken without folders, and links are passed over, so that nothing is written outside.

    Args:
        path: A `.tar`, `.tar.gz` or `.tgz` file.

    Yields:
        The prefix of the checkpoint.

    Raises:
        WeightsError: If the archive is damaged, holds no checkpoint, or is too large. An error
            that reading the checkpoint raises names the archive in place of the folder.
    """
    path = pathlib.Path(path)
    with tempfile.TemporaryDirectory() as folder:
        total, seen = 0, set()
        try:
            with tarfile.open(path, "r:*") as archive:
                for number, member in enumerate(archive):
                    name = member.name.replace("\\", "/").rsplit("/", 1)[-1]
                    if number >= MAX_MEMBERS:
                        raise WeightsError(f"{path}: more than {MAX_MEMBERS} members, too many")
                    total += member.size
                    if total > MAX_TOTAL:
                        raise WeightsError(
                            f"{path}: would unpack to more than {MAX_TOTAL / 2**30:.0f} GiB"
                        )
                    if not member.isreg() or not CHECKPOINT.fullmatch(name):
                        continue
                    if name in seen:
                        raise WeightsError(f"{path}: {name} stands there twice")
                    seen.add(name)
                    with open(pathlib.Path(folder, name), "wb") as file:
                        shutil.copyfileobj(archive.extractfile(member), file)
        except DAMAGE as error:
            raise WeightsError(f"{path}: not a whole tar archive ({first_line(error)})") from error
        prefixes = {CHECKPOINT.fullmatch(name)[1] for name in seen}
        if len(prefixes) != 1:
            names = ", ".join(sorted(prefixes)) or "none"
            raise WeightsError(
                f"{path}: a tar archive must hold one checkpoint, *.ckpt; has {names}"
            )
        prefix = pathlib.Path(folder, prefixes.pop())
        try:
            yield prefix
        except WeightsError as error:  # of a file that is gone when it is read
            raise WeightsError(str(error).replace(str(prefix), f"{path}: {prefix.name}")) from error
