"""`Gate`: what bodies of requests need of the memory is reserved before they are read.

ASGI middleware, https://asgi.readthedocs.io, for any server that reads whatever arrives.
"""

import asyncio
import contextlib

MIB = 1 << 20


class Gate:
    """ASGI middleware: what bodies need of the memory is reserved before they are read.

    Args:
        app: What stands behind.
        most: Bytes of one body.
        together: Bytes of all bodies at once; who comes later waits in the line.
        line: How many may wait.
        patience: Seconds for a body to arrive, and for a place.
    """

    def __init__(self, app, *, most=32 * MIB, together=64 * MIB, line=1000, patience=60.0):
        self.app, self.most, self.line, self.patience = app, most, line, patience
        self.free, self.waiting = together, 0
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
        if int(length) > self.most:
            return await refuse(send, 413, f"bodies must have {self.most} bytes or fewer")
        if self.waiting >= self.line:
            return await refuse(send, 503, "too many requests are waiting")
        async with self.reserved(int(length)) as free:
            if not free:
                return await refuse(send, 503, "too many requests are being answered")
            messages = await self.read(receive)
            if messages is None:
                return await refuse(send, 408, f"bodies must arrive within {self.patience:g} s")

            async def replay():
                return messages.pop(0) if messages else await receive()

            return await self.app(scope, replay, send)

    @contextlib.asynccontextmanager
    async def reserved(self, size):
        """Waits for `size` free bytes and keeps them for the block; gives whether there are."""
        self.waiting += 1
        try:
            async with asyncio.timeout(self.patience), self.changed:
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
        """The messages of a whole body, or None where it ends, or waits, before its end."""
        messages = []
        try:
            async with asyncio.timeout(self.patience):
                while not messages or messages[-1].get("more_body"):
                    messages.append(await receive())
                    if messages[-1]["type"] != "http.request":
                        return None
        except TimeoutError:
            return None
        return messages


async def refuse(send, status, text):
    """Answers with an error as MLServer writes it."""
    headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": f'{{"error": "{text}"}}'.encode()})
