"""A public address for the page, by the tunnel that Gradio's maker runs.

What passes through it can be read there: whoever calls this has said so before. Source: `gradio/networking.py`.
"""

from __future__ import annotations

import logging
import secrets

_log = logging.getLogger(__name__)


def open_tunnel(port: int) -> str | None:
    """The public address of what listens on this port here; None where there is no way to the tunnel's server."""
    from gradio import networking

    try:
        url: str = networking.setup_tunnel("127.0.0.1", port, secrets.token_urlsafe(32), None, None)
    except (
        Exception
    ) as error:  # a new machine, no network, a blocked host, a changed program: all the same to the caller
        _log.info("no tunnel: %s", error)
        return None
    return url.replace("http://", "https://", 1)
