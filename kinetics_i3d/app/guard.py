"""`Guard` checks the requests and the responses of the page, and bounds its uploads.

Gradio reads and names files by their paths on the server, fetches files that a request names by an
address, reads the body of a request without a limit on its size, and leaves the files of uploads
that were interrupted. The guard wraps Gradio's application and prevents all four.
"""

import asyncio
import contextlib
import json
import pathlib
import time

from kinetics_i3d.app.limits import MEGABYTE

UPLOADS = "/uploads"  # the name of the folder of uploads in requests and responses
KEEP = 3600  # seconds: uploads older than an hour are removed
_UPLOAD = "/gradio_api/upload"  # Gradio's route that takes files; all others take JSON
_CALL = "/gradio_api/call/"  # the endpoints that programs call
_FILE = "/gradio_api/file="  # Gradio's route of files, which also fetches addresses
_FILE_META = {"_type": "gradio.FileData"}
# The browser itself keeps the page from loading anything from other servers.
_POLICY = b"default-src 'self' data: blob: 'unsafe-inline' 'unsafe-eval'"
_FORM = 64 * 1024  # bytes of an upload around the file itself
_DISCARD = 2.0  # seconds in which the rest of a refused body is discarded
_STALLED = 60.0  # seconds without data after which an upload is ended
_MESSAGE = 1 * MEGABYTE  # bytes of any other request
_KEPT = 20  # files of the largest size that the folder of uploads may hold


class TooLargeError(Exception):
    """The body of a request exceeds its limit."""


class Guard:
    """An ASGI application around another: bounds requests and uploads, and hides their folder.

    Args:
        app: The ASGI application.
        folder: The folder of uploads.
        size: Maximum number of bytes of a file.
    """

    def __init__(self, app, *, folder, size):
        self.app, self.folder, self.size = app, str(folder), size
        self._uploads = set()  # the `_Body` of each upload that is being received

    async def __call__(self, scope, receive, send):
        """Passes a request on, or refuses it in one line."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        is_upload = scope["path"] == _UPLOAD
        refusal = self._refusal(headers, is_upload) or _refusal_of_path(scope["path"])
        if refusal is not None:
            waits = b"expect" in headers  # for an answer, before it sends the body
            status, message = refusal
            await self._refuse(send, status, message, None if waits else receive)
            return
        scope = self._with_real_path(scope)
        expected = self._expected(headers) if is_upload else 0
        body = _Body(receive, self._most(is_upload), expected)
        # Regardless of the content type: Gradio also reads "application/x+json" as JSON.
        if not is_upload and _has_body(headers):
            try:
                text = self._checked(await body.whole(), scope["path"])
            except TooLargeError:
                await self._refuse(send, 413, self._size_message(is_upload))
                return
            except ValueError as error:
                await self._refuse(send, 400, str(error))
                return
            scope["headers"] = _with_length(scope["headers"], len(text))
            await self.app(scope, _replay(text, receive), self._hiding(send))
            return
        hide, is_answered = self._hiding(send), False

        async def unless_ended(message):
            nonlocal is_answered
            if not (body.is_too_large or body.is_stalled):
                is_answered = True
                await hide(message)

        self._uploads.add(body)
        try:
            await self.app(scope, body.receive, unless_ended)
        finally:
            self._uploads.remove(body)
            if body.is_stalled and not is_answered:
                message = f"Nothing of the file was received for {_STALLED:g} seconds"
                await self._refuse(send, 408, message)
            elif body.is_too_large and not is_answered:
                await self._refuse(send, 413, self._size_message(is_upload), receive)

    def _most(self, is_upload):
        """The maximum number of bytes of a body."""
        return self.size + _FORM if is_upload else _MESSAGE

    def _refusal(self, headers, is_upload):
        """(status, message) for a request that is refused by its headers, or None."""
        announced = headers.get(b"content-length", b"0")
        if not announced.isdigit() or int(announced) > self._most(is_upload):
            return 413, self._size_message(is_upload)
        if is_upload:
            used = _clean(self.folder) + sum(body.missing for body in self._uploads)
            if used + self._expected(headers) > _KEPT * self.size + _FORM:
                return 507, "There is no room for another file at the moment; try again later"
        return None

    def _expected(self, headers):
        """The number of bytes of an upload; the most if it does not say."""
        is_chunked = b"transfer-encoding" in headers  # its length is then not that of the body
        return self.size if is_chunked else int(headers.get(b"content-length", self.size))

    def _size_message(self, is_upload):
        most = self.size if is_upload else _MESSAGE
        what = "The file" if is_upload else "The request"
        return f"{what} is too large: at most {most / MEGABYTE:.4g} MB are accepted"

    def _with_real_path(self, scope):
        """The scope, with the server's path of a file in place of its shown one."""
        shown, real = f"file={UPLOADS}/", f"file={self.folder}/"
        return scope | {
            "path": scope["path"].replace(shown, real),
            "raw_path": scope.get("raw_path", b"").replace(shown.encode(), real.encode()),
        }

    def _checked(self, body, path):
        """The JSON of a request with real paths; `ValueError` if it names other files."""
        try:
            content = json.loads(body or b"null")
        except (ValueError, RecursionError) as error:
            raise ValueError("The request is not JSON") from error
        if path.startswith(_CALL):
            _check_arguments(content)
        try:
            return json.dumps(self._with_real_files(content)).encode()
        except RecursionError as error:
            raise ValueError("The request is nested too deeply") from error

    def _with_real_files(self, content):
        if isinstance(content, list):
            return [self._with_real_files(item) for item in content]
        if not isinstance(content, dict):
            return content
        fields = {name: self._with_real_files(value) for name, value in content.items()}
        if isinstance(content.get("path"), str):
            path = pathlib.PurePosixPath(content["path"])
            # A file is in a folder of its own. Gradio's cleanup would stop for good at a folder.
            is_upload = path.parts[:2] == ("/", UPLOADS[1:]) and len(path.parts) == 4
            if not is_upload or ".." in path.parts:
                raise ValueError("A file must be given as the path that its upload returned")
            fields.pop("url", None)  # Gradio would fetch it if it differs
            fields["path"] = str(pathlib.PurePosixPath(self.folder, *path.parts[2:]))
        return fields

    def _hiding(self, send):
        """`send`, with `UPLOADS` in place of the folder in all text."""
        begun, text, parts = {}, False, []

        async def hide(message):
            nonlocal text
            if message["type"] == "http.response.start":
                kind = dict(message["headers"]).get(b"content-type", b"")
                text = kind.startswith((b"application/json", b"text/"))
                # The length is known at the end; events are sent one by one.
                if kind.startswith(b"text/html"):
                    message["headers"] = [
                        *message["headers"],
                        (b"content-security-policy", _POLICY),
                    ]
                if text and not kind.startswith(b"text/event-stream"):
                    begun.update(message)
                    return
                await send(message)
                return
            if message["type"] != "http.response.body" or not text:
                await send(message)
                return
            if not begun:
                await send(message | {"body": self._hidden(message.get("body", b""))})
                return
            parts.append(message.get("body", b""))
            if not message.get("more_body"):
                whole = self._hidden(b"".join(parts))
                await send(begun | {"headers": _with_length(begun["headers"], len(whole))})
                await send({"type": "http.response.body", "body": whole})

        return hide

    def _hidden(self, body):
        return body.replace(self.folder.encode(), UPLOADS.encode())

    async def _refuse(self, send, status, message, rest=None):
        """Answers in one line; discards the `rest` of a body for at most `_DISCARD` seconds.

        Most clients read the response only after they have sent the whole body, and would lose it
        if the connection were closed earlier.
        """
        body = json.dumps({"detail": message}).encode()
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": True})
        if rest is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(_discard(rest), _DISCARD)
        await send({"type": "http.response.body", "body": b""})


async def _discard(receive):
    """Reads a body to its end and keeps nothing."""
    more = True
    while more:
        message = await receive()
        more = message["type"] == "http.request" and message.get("more_body")


class _Body:
    """The body of a request, which ends early if it is larger than `most` bytes.

    If bytes are `expected`, it also ends if nothing is received for a while.
    """

    def __init__(self, receive, most, expected=0):
        self._receive, self._left = receive, most
        self._patience = _STALLED if expected else None
        self.missing = expected  # bytes that are still to come
        self.is_too_large = self.is_stalled = False

    async def receive(self):
        """As ASGI's `receive`."""
        try:
            message = await asyncio.wait_for(self._receive(), self._patience)
        except TimeoutError:
            self.is_stalled = True
            return {"type": "http.disconnect"}
        if not message.get("more_body"):
            self._patience, self.missing = None, 0
        size = len(message.get("body", b""))
        self.missing = max(0, self.missing - size)
        self._left -= size
        if self._left < 0:
            self.is_too_large = True
            return {"type": "http.disconnect"}
        return message

    async def whole(self):
        """The whole body; raises `TooLargeError` if it is too large."""
        parts = []
        while True:
            message = await self.receive()
            if self.is_too_large:
                raise TooLargeError
            parts.append(message.get("body", b""))
            if not message.get("more_body"):
                return b"".join(parts)


def _refusal_of_path(path):
    """(status, message) for a path that leads out of the folder of uploads, or None."""
    # Gradio still has the former address of a file, `/file/`.
    is_file = ("/file=" in path or "/file/" in path) and not path.startswith(f"{_FILE}{UPLOADS}/")
    if is_file or "/proxy=" in path:
        return 404, "Only uploaded files are served"
    return None


def _clean(folder):
    """Removes old files below a folder; returns the total bytes of the others.

    Gradio removes those of finished uploads only. Others may remove files meanwhile.
    """
    total, now = 0, time.time()
    for path in pathlib.Path(folder).rglob("*"):
        with contextlib.suppress(OSError):
            if not path.is_file():
                continue
            status = path.stat()
            # A copy keeps the modification time of its original.
            if now - status.st_ctime > KEEP:
                path.unlink()
            else:
                total += status.st_size
    return total


def _has_body(headers):
    return b"transfer-encoding" in headers or int(headers.get(b"content-length", 0)) > 0


def _check_arguments(content):
    """Raises `ValueError` unless a call has a file or null, and the name of weights.

    Gradio would print a traceback on stderr.
    """
    data = content.get("data") if isinstance(content, dict) else None
    if isinstance(data, list) and len(data) == 2:
        file = data[0]
        if file is None or (isinstance(file, dict) and file.get("meta") == _FILE_META):
            return
    raise ValueError(
        "`data` must be a list of two items: a file or null, and the name of weights, such as "
        '[{"path": "/uploads/...", "meta": {"_type": "gradio.FileData"}}, "rgb_figures"]'
    )


def _replay(body, receive):
    """An ASGI `receive` that first returns a body already read, then that of the connection."""
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay():
        return messages.pop() if messages else await receive()

    return replay


def _with_length(headers, length):
    others = [(name, value) for name, value in headers if name.lower() != b"content-length"]
    return [*others, (b"content-length", str(length).encode())]
