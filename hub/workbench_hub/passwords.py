"""Who may log in on the embedded default: names with passwords, stored as scrypt hashes.

A site uses PAM or its identity provider instead; this is for one machine.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import secrets
from pathlib import Path
from typing import Any

from jupyterhub.auth import Authenticator
from traitlets import Unicode

from workbench_hub.deployment import write

__all__ = ["PasswordAuthenticator", "Passwords"]

_COST = {"n": 2**15, "r": 8, "p": 1}  # OWASP's second choice of parameters: 32 MiB
_MEMORY = 64 * 2**20


class Passwords:
    """The file of users: name, salt, hash, and whether the user is an administrator."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def users(self) -> dict[str, dict[str, Any]]:
        """Return every user's entry."""
        return dict(json.loads(self.path.read_text())) if self.path.is_file() else {}

    def set(self, name: str, admin: bool | None = None) -> str:
        """Give a user a new generated password, and return it: it is nowhere else."""
        users = self.users()
        password = secrets.token_urlsafe(12)
        salt = secrets.token_bytes(16)
        known = users.get(name, {})
        users[name] = {
            "admin": known.get("admin", False) if admin is None else admin,
            "salt": salt.hex(),
            "hash": _hash(password, salt),
        }
        write(self.path, json.dumps(users, indent=1), mode=0o600)
        return password

    def check(self, name: str, password: str) -> dict[str, Any] | None:
        """Return the user's entry if the password is right.

        An unknown name takes as long as a known one, so that the time tells nothing.
        """
        user = self.users().get(name)
        salt = bytes.fromhex(user["salt"]) if user else b"\0" * 16
        right = hmac.compare_digest(_hash(password, salt), user["hash"] if user else "0" * 64)
        return user if right else None


class PasswordAuthenticator(Authenticator):
    """Log in with a name and the password that `make up` showed once."""

    path = Unicode(config=True, help="The file of users.")
    notice = Unicode(config=True, help="Written to the log at the start.")

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        if self.notice:
            self.log.warning("%s", self.notice)

    async def authenticate(self, handler: Any, data: dict[str, str]) -> dict[str, Any] | None:
        """Check name and password, away from the event loop."""
        name, password = data.get("username", ""), data.get("password", "")
        user = await asyncio.to_thread(Passwords(Path(self.path)).check, name, password)
        if user is None:
            self.log.warning("Login refused for %.64r", name)
            return None
        return {"name": name, "admin": bool(user["admin"])}


def _hash(password: str, salt: bytes) -> str:
    return hashlib.scrypt(password.encode(), salt=salt, maxmem=_MEMORY, dklen=32, **_COST).hex()
