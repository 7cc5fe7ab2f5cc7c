"""What of all that the hub is asked goes into the audit log, and with which words.

The hub calls `Trail` with each request that it has answered, whichever way it
came: form, identity provider, button or API.  So no way in is forgotten.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from time import monotonic
from typing import Any
from urllib.parse import unquote

from jupyterhub.log import log_request

from workbench_hub.life.audit import AuditLog

__all__ = ["ServerEvents", "Trail", "classify", "note_name"]

_LOG = logging.getLogger("workbench_hub.audit")

_CHANGES = ("POST", "PUT", "PATCH", "DELETE")
_OF_A_USER = r"api/users/(?P<subject>[^/]+)/"
_RULES: tuple[tuple[str, tuple[str, ...], re.Pattern[str]], ...] = tuple(
    (event, methods, re.compile(path))
    for event, methods, path in (
        ("", _CHANGES, _OF_A_USER + r"activity"),  # every server says every few minutes that it lives
        ("", _CHANGES, r"api/oauth2/token"),
        ("login", ("POST",), r"login"),
        ("login", ("GET",), r"oauth_callback"),
        ("logout", ("GET", "POST"), r"logout"),
        ("start", ("GET", "POST"), r"spawn(?:/(?P<subject>[^/]+)(?:/(?P<server>[^/]+))?)?"),
        ("start", ("POST",), _OF_A_USER + r"servers?(?:/(?P<server>[^/]+))?"),
        ("stop", ("DELETE",), _OF_A_USER + r"servers?(?:/(?P<server>[^/]+))?"),
        ("new token", ("POST",), _OF_A_USER + r"tokens"),
        ("token revoked", ("DELETE",), _OF_A_USER + r"tokens/.+"),
        ("entry", ("GET", "POST"), r"api/oauth2/authorize"),
        ("administration", _CHANGES, r"api/(?:users/(?P<subject>[^/]+)(?:/.*)?|.*)"),
    )
)
# What of a body is written down; passwords and tokens are in none of these.
_TOLD = ("usernames", "users", "name", "admin", "roles", "scopes", "note", "expires_in", "remove", "profile")
_REFUSED = (401, 403, 404, 405)
_NAME = "_workbench_name"
_REFUSED_A_MINUTE = 30
_MOST_ADDRESSES = 1000


@dataclass(frozen=True, slots=True)
class _Found:
    event: str
    subject: str = ""
    server: str = ""


def classify(method: str, path: str) -> _Found | None:
    """Return what a request to the hub means, or None if nobody need remember it.

    Parameters
    ----------
    method : str
    path : str
        Below the hub's own address, still escaped.

    Examples
    --------
    >>> classify("DELETE", "api/users/anna/servers/big")
    _Found(event='stop', subject='anna', server='big')
    >>> classify("GET", "home") is None
    True
    """
    for event, methods, pattern in _RULES:
        match = pattern.fullmatch(path.rstrip("/"))
        if match and method in methods:
            parts = {key: unquote(value) for key, value in match.groupdict().items() if value}
            return _Found(event, **parts) if event else None
    return None


@dataclass
class _Flood:
    """Bounds how much a stranger can write into the log."""

    minute: int = -1
    counts: dict[str, int] = field(default_factory=dict)
    left_out: int = 0

    def admits(self, address: str) -> bool:
        """Whether one more refused request from an address is written down."""
        minute = int(monotonic() // 60)
        if minute != self.minute:
            self.minute, self.counts = minute, {}
        if len(self.counts) >= _MOST_ADDRESSES and address not in self.counts:
            address = ""  # all further ones together
        self.counts[address] = self.counts.get(address, 0) + 1
        admitted = self.counts[address] <= _REFUSED_A_MINUTE
        self.left_out += not admitted
        return admitted

    def take(self) -> dict[str, int]:
        """Return how many were left out since the last time."""
        left_out, self.left_out = self.left_out, 0
        return {"left_out_before": left_out} if left_out else {}


class Trail:
    """Called by the hub with each request that was answered, in place of its own log function.

    Parameters
    ----------
    audit : AuditLog
    """

    def __init__(self, audit: AuditLog) -> None:
        self.audit = audit
        self._flood = _Flood()

    def __call__(self, handler: Any) -> None:
        """Log a request as the hub does, and write it down where it matters."""
        log_request(handler)
        request = handler.request
        found = classify(request.method, request.path.removeprefix(handler.settings["hub"].base_url))
        if found is None:
            return
        status = handler.get_status()
        actor = _actor(handler)
        if found.event == "start" and request.method == "GET" and status != 302:
            return  # the page was shown, nothing was started
        if found.event == "login":
            actor = getattr(handler, _NAME, "") or str(handler.get_body_argument("username", ""))[:64]
        known = actor if found.event != "login" or status < 400 else ""
        if status in _REFUSED and not known and not self._flood.admits(request.remote_ip):
            return
        details = {"address": request.remote_ip, "status": status} | self._flood.take()
        subject = found.subject
        if found.event == "entry":
            subject = handler.get_argument("client_id", "").removeprefix("jupyterhub-user-")
            if unquote(subject).partition(" ")[0] == actor:
                return  # one's own
        if found.event == "administration":
            details |= {"method": request.method, "path": request.path, "told": _told(request.body)}
        if found.server:
            details["server"] = found.server
        self.write(found.event if status < 400 else f"{found.event} refused", actor, subject, details)

    def write(self, event: str, actor: str, subject: str, details: dict[str, Any]) -> None:
        """Write down; where the disk takes nothing the hub goes on, and says so in its log."""
        subject = "" if subject == actor else subject
        try:
            entry = self.audit.append(event, actor=actor, subject=subject, **details)
        except OSError as error:
            _LOG.critical("the audit log takes nothing (%s): %s by %r", error, event, actor)
        else:
            _LOG.info("audit %s %s by %r", entry.anchor, event, actor)


class ServerEvents(logging.Handler):
    """Hears of servers that were started and stopped, from the hub's own event log."""

    def __init__(self, audit: AuditLog) -> None:
        super().__init__()
        self.trail = Trail(audit)

    def emit(self, record: logging.LogRecord) -> None:
        """Write one event down."""
        event = json.loads(self.format(record))
        if event.get("__schema__", "").endswith("/server-action"):
            word = {"start": "started", "stop": "stopped"}[event["action"]]
            self.trail.write(word, "hub", event["username"], {"server": event["servername"]})


def note_name(_authenticator: Any, handler: Any, model: dict[str, Any]) -> dict[str, Any]:
    """Remember who logs in: a ``post_auth_hook``, for those who come from an identity provider."""
    setattr(handler, _NAME, model["name"])
    return model


def _actor(handler: Any) -> str:
    """Who asked; a service is told from a user of the same name."""
    try:
        user = handler.current_user
    except (RuntimeError, ValueError):
        return ""
    if user is None:
        return ""
    return f"service {user.name}" if getattr(user, "kind", "user") == "service" else str(user.name)


def _told(body: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(body or b"{}")
    except ValueError:
        return {}
    return dict(_pick(fields)) if isinstance(fields, dict) else {}


def _pick(fields: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for key in _TOLD:
        if key in fields:
            yield key, fields[key]
