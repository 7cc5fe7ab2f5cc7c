"""Requests as an attacker writes them: nothing is made tidy on the way."""

from __future__ import annotations

import http.client
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from person import Person


@dataclass
class Answer:
    """What came back."""

    status: int
    body: str
    headers: dict[str, str] = field(default_factory=dict)


def ask(url: str, path: str, method: str = "GET", body: str = "", **headers: str) -> Answer:
    """Send a request whose path is sent as it is written; ``X_Y`` in `headers` becomes ``X-Y``."""
    place = urlsplit(url)
    line = http.client.HTTPConnection(place.hostname or "", place.port or 80, timeout=30)
    try:
        line.putrequest(method, path, skip_accept_encoding=True)
        for name, value in headers.items():
            line.putheader(name.replace("_", "-"), value)
        line.putheader("Content-Length", str(len(body.encode())))
        line.endheaders(body.encode())
        answer = line.getresponse()
        text = answer.read().decode(errors="replace")
        return Answer(answer.status, text, {name.lower(): value for name, value in answer.getheaders()})
    finally:
        line.close()


def cookies(person: Person, path: str, **renamed: str) -> str:
    """Return the cookies that a browser would send to a path, some of them under another name."""
    return "; ".join(
        f"{renamed.get(cookie.name.replace('-', '_'), cookie.name)}={cookie.value}"
        for cookie in person.http.cookies.jar
        if renamed or path.startswith(cookie.path or "/")
    )
