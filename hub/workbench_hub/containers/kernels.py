"""Inside of a user's server: the cell whose kernel ended is told why, out of memory above all.

Where memory is limited for all processes together, the kernel of the operating
system ends the largest one, which is the person's notebook.  Jupyter sees that
it has ended and starts it again, and knows no reason.  The counters of the
container do.
"""

from __future__ import annotations

import json
from typing import Any

from jupyter_server.services.kernels.connection.base import (
    deserialize_msg_from_ws_v1,
    serialize_msg_to_ws_v1,
)
from jupyter_server.services.kernels.connection.channels import ZMQChannelsWebsocketConnection

from workbench_hub.containers.counters import Counters, own
from workbench_hub.containers.words import size

__all__ = ["Connection", "why"]

_VERSION_1 = "v1.kernel.websocket.jupyter.org"


class Connection(ZMQChannelsWebsocketConnection):
    """A websocket between a notebook and its kernel, which remembers what the kernel was asked."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._asked: dict[str, dict[str, Any]] = {}
        self._before = own()

    def handle_incoming_message(self, incoming_msg: Any) -> None:
        """Remember the cells that wait for their turn, and what was counted before the first of them."""
        header, channel = _header(incoming_msg, self.subprotocol)
        if channel == "shell" and header.get("msg_type") == "execute_request":
            if not self._asked:
                self._before = own()
            self._asked[header["msg_id"]] = header
        super().handle_incoming_message(incoming_msg)

    def _on_zmq_reply(self, stream: Any, msg_list: Any) -> None:
        if getattr(stream, "channel", None) == "shell" and self._asked:
            parent = json.loads(msg_list[1]) if isinstance(msg_list, list) else msg_list["parent_header"]
            self._asked.pop(parent.get("msg_id", ""), None)
        super()._on_zmq_reply(stream, msg_list)  # type: ignore[no-untyped-call]

    def on_kernel_restarted(self) -> None:
        """Say why, in the cell that ran."""
        self._explain("It was started again, with nothing in its memory.")
        super().on_kernel_restarted()  # type: ignore[no-untyped-call]

    def on_restart_failed(self) -> None:
        """Say why, in the cell that ran."""
        self._explain("It could not be started again.")
        super().on_restart_failed()  # type: ignore[no-untyped-call]

    def _explain(self, then: str) -> None:
        headers, self._asked = list(self._asked.values()), {}
        if not headers:
            return
        text = f"{why(self._before, own())} {then}\n"
        message = self.session.msg("stream", {"name": "stderr", "text": text})
        message["parent_header"] = headers[0]  # cells run in turn, so it was the first of those that wait
        if self.subprotocol == _VERSION_1:
            self.write_message(serialize_msg_to_ws_v1(message, "iopub", self.session.pack), binary=True)
        else:
            message["channel"] = "iopub"
            self.write_message(json.dumps(message, default=str))


def why(before: Counters | None, after: Counters | None) -> str:
    """Say why a kernel ended, from what was counted before and after.

    Examples
    --------
    >>> why(Counters(oom_kills=0), Counters(oom_kills=1, memory_limit=2**31))
    'Out of memory: this kernel was ended, since all processes of this server together may use 2 GiB.'
    >>> why(None, None)
    'This kernel ended unexpectedly.'
    """
    if before is None or after is None:
        return "This kernel ended unexpectedly."
    if after.oom_kills > before.oom_kills:
        limit = (
            f"may use {size(after.memory_limit)}" if after.memory_limit else "used all the memory there is"
        )
        return f"Out of memory: this kernel was ended, since all processes of this server together {limit}."
    if after.pids_refused > before.pids_refused:
        limit = f", and may have {after.pids_limit}" if after.pids_limit else ""
        return f"This kernel ended. The server started more processes and threads than it may{limit}."
    return "This kernel ended unexpectedly, and not for want of memory."


def _header(message: Any, subprotocol: str | None) -> tuple[dict[str, Any], str]:
    if subprotocol == _VERSION_1:
        channel, parts = deserialize_msg_from_ws_v1(message)
        return dict(json.loads(parts[0])), channel
    if isinstance(message, bytes):
        return {}, ""  # comms with buffers, never a cell
    decoded = json.loads(message)
    return decoded.get("header", {}), decoded.get("channel") or "shell"
