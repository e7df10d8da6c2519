"""The server of the page: its socket, its temporary folders, Gradio, and the loop of requests."""

import contextlib
import logging
import os
import pathlib
import socket
import tempfile

from kinetics_i3d.core.errors import UserError


def bind(host, port):
    """A listening socket; `UserError` if none can be opened."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        # A name that cannot be looked up has no number of the system.
        reason = os.strerror(error.errno) if (error.errno or 0) > 0 else error.strerror
        raise UserError(f"cannot listen on {host}, port {port}: {reason}") from error


@contextlib.contextmanager
def upload_folder():
    """Yields a folder for uploads and one beside it for examples; both are removed at the end.

    Gradio, which must not have been imported before, removes old files in the first one only.
    """
    with tempfile.TemporaryDirectory(prefix="kinetics_i3d-demo-") as folder:
        uploads, examples = pathlib.Path(folder, "uploads"), pathlib.Path(folder, "examples")
        uploads.mkdir()
        examples.mkdir()
        os.environ["GRADIO_TEMP_DIR"] = str(uploads)
        yield uploads, examples


def load_gradio():
    """Imports Gradio, which then reports nothing to anyone; `UserError` if it is missing."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    try:
        import gradio
    except ImportError as error:
        raise UserError('The page needs Gradio: pip install "kinetics-i3d[demo]"') from error
    return gradio


def serve(app, listener):
    """Serves an ASGI application until SIGINT or SIGTERM, which it raises again at the end."""
    import uvicorn

    config = uvicorn.Config(
        app,
        log_level=logging.CRITICAL,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=1,  # pages keep a stream of events open
    )
    uvicorn.Server(config).run(sockets=[listener])
