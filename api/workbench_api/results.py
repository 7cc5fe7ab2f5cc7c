"""The outputs of an execution as a response: one as it is, several in parts, or a JSON document."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from workbench import wire
from workbench.jobs.work import Answer, Output
from workbench_api.execution import Execution

__all__ = ["respond"]

_MOST_NOTICES = 6000  # bytes of a header line that every proxy passes


def respond(asked: Execution, answer: Answer) -> Response:
    """Write the outputs: one as it is, several in parts, or all in a JSON document."""
    outputs = {name: answer["outputs"][name] for name in asked.media}
    headers = {"Workbench-Run-Key": answer["run_key"]}
    if answer["notices"]:
        headers["Workbench-Notices"] = _notices(answer["notices"])
    if asked.response == "document":
        content = {name: _inline(output) for name, output in outputs.items()}
        return Response(
            json.dumps(content, ensure_ascii=False), headers=headers, media_type="application/json"
        )
    if len(outputs) == 1:
        output = next(iter(outputs.values()))
        suffix = wire.codec(output["noun"]).MEDIA[output["media"]]
        headers["Content-Disposition"] = f'inline; filename="{asked.call.process}{suffix}"'
        return Response(output["data"], headers=headers, media_type=output["media"])
    boundary = secrets.token_hex(16)
    return Response(
        b"".join(_parts(outputs, boundary)),
        headers=headers,
        media_type=f"multipart/related; boundary={boundary}",
    )


def _inline(output: Output) -> dict[str, Any] | Any:
    """Write an output as a qualified value of a results document."""
    media, data = output["media"], output["data"]
    if media.partition(";")[0].endswith("json"):
        return {"value": json.loads(data), "mediaType": media}
    if media.startswith("text/") or media.endswith("xml"):
        return {"value": data.decode(), "mediaType": media}
    return {"value": base64.b64encode(data).decode(), "mediaType": media, "encoding": "base64"}


def _parts(outputs: Mapping[str, Output], boundary: str) -> list[bytes]:
    parts = [
        f"--{boundary}\r\nContent-Type: {output['media']}\r\nContent-ID: <{name}>\r\n\r\n".encode()
        + output["data"]
        + b"\r\n"
        for name, output in outputs.items()
    ]
    return [*parts, f"--{boundary}--\r\n".encode()]


def _notices(notices: list[dict[str, Any]]) -> str:
    """Write notices into a header: as many as fit, and how many more there are."""
    for count in range(len(notices), -1, -1):
        more = [{"subject": "", "problem": f"{len(notices) - count} more"}] if count < len(notices) else []
        text = json.dumps([*notices[:count], *more])
        if len(text) <= _MOST_NOTICES:
            return text
    return "[]"
