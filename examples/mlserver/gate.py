"""`Gate`: reserves the memory for a request's body before it is read.

ASGI middleware, https://asgi.readthedocs.io, for any server that reads whatever arrives.
"""

import asyncio
import contextlib

MIB = 1 << 20


class Gate:
    """ASGI middleware that reserves the memory for a request's body before it is read.

    Args:
        app: The application behind it.
        max_body: Bytes of one body.
        max_total: Bytes of all bodies that are processed at the same time; later requests wait.
        max_waiting: Number of requests that may wait.
        timeout: Seconds for a body to arrive, and for its memory to become free.
    """

    def __init__(
        self, app, *, max_body=32 * MIB, max_total=64 * MIB, max_waiting=1000, timeout=60.0
    ):
        self.app, self.timeout = app, timeout
        self.max_body, self.max_waiting = max_body, max_waiting
        self.free, self.waiting = max_total, 0
        self.changed = asyncio.Condition()

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http" or scope["method"] != "POST":
            return await self.app(scope, receive, send)
        headers = dict(scope["headers"])
        length = headers.get(b"content-length", b"").decode("latin-1")
        if b"content-encoding" in headers:
            return await refuse(send, 415, "bodies must not be compressed")
        if not length.isdecimal():
            return await refuse(send, 411, "requests must announce their length")
        if int(length) > self.max_body:
            return await refuse(send, 413, f"bodies must have {self.max_body} bytes or fewer")
        if self.waiting >= self.max_waiting:
            return await refuse(send, 503, "too many requests are waiting")
        async with self.reserved(int(length)) as free:
            if not free:
                return await refuse(send, 503, "too many requests are being answered")
            messages = await self.read(receive)
            if messages is None:
                return await refuse(send, 408, f"bodies must arrive within {self.timeout:g} s")

            async def replay():
                return messages.pop(0) if messages else await receive()

            return await self.app(scope, replay, send)

    @contextlib.asynccontextmanager
    async def reserved(self, size):
        """Waits for `size` free bytes and reserves them for the block; yields whether it could."""
        self.waiting += 1
        try:
            async with asyncio.timeout(self.timeout), self.changed:
                await self.changed.wait_for(lambda: self.free >= size)
                self.free -= size
        except TimeoutError:
            yield False
            return
        finally:
            self.waiting -= 1
        try:
            yield True
        finally:
            async with self.changed:
                self.free += size
                self.changed.notify_all()

    async def read(self, receive):
        """The messages of a whole body, or None if it is cut off or stalls."""
        messages = []
        try:
            async with asyncio.timeout(self.timeout):
                while not messages or messages[-1].get("more_body"):
                    messages.append(await receive())
                    if messages[-1]["type"] != "http.request":
                        return None
        except TimeoutError:
            return None
        return messages


async def refuse(send, status, text):
    """Sends an error response in the format of MLServer."""
    headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": f'{{"error": "{text}"}}'.encode()})
