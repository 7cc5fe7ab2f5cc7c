"""What an OpenID Connect provider says about itself."""

from __future__ import annotations

import json
import ssl
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx

from workbench.errors import InvalidSetting, Unavailable
from workbench_hub.deployment import write
from workbench_hub.policy.people import Oidc

__all__ = ["Endpoints", "client_secret", "discover"]

_SECONDS = 10.0
_PATH = "/.well-known/openid-configuration"
_FIELDS = {
    "authorization": "authorization_endpoint",
    "token": "token_endpoint",
    "userinfo": "userinfo_endpoint",
}


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where a provider is asked what."""

    issuer: str
    authorization: str
    token: str
    userinfo: str


def discover(provider: Oidc, remembered: Path) -> Endpoints:
    """Ask a provider for its addresses, or remember them where it does not answer.

    Parameters
    ----------
    provider : Oidc
    remembered : Path
        File that holds what it said last.

    Raises
    ------
    Unavailable
        If it does not answer and never did.
    InvalidSetting
        If it answers something else.
    """
    issuer = str(provider.issuer).rstrip("/")
    try:
        found = _ask(issuer, provider.ca_file)
    except httpx.HTTPError as error:
        known = json.loads(remembered.read_text()) if remembered.is_file() else {}
        if known.get("issuer") != issuer:
            remedy = "Look at `identity.oidc.issuer` in the policy, and whether this host reaches it."
            raise Unavailable(issuer + _PATH, f"does not answer ({error})", remedy) from error
        return Endpoints(**known)
    write(remembered, json.dumps(asdict(found), indent=1), mode=0o600)
    return found


def client_secret(provider: Oidc) -> str:
    """Read the secret by which the hub proves itself to the provider.

    Raises
    ------
    InvalidSetting
        If the file is not there, empty, or open to others.
    """
    path = provider.client_secret_file
    try:
        secret, mode = path.read_text().strip(), path.stat().st_mode
    except OSError as error:
        remedy = "`identity.oidc.client_secret_file` names a file with the secret that the provider gave."
        raise InvalidSetting(str(path), f"cannot be read: {error.strerror}", remedy) from error
    if mode & 0o077:
        raise InvalidSetting(str(path), "can be read by others", f"chmod 600 {path}")
    if not secret:
        raise InvalidSetting(str(path), "is empty", "Write the secret that the provider gave into it.")
    return secret


def _ask(issuer: str, ca_file: Path | None) -> Endpoints:
    verify: ssl.SSLContext | bool = ssl.create_default_context(cafile=ca_file) if ca_file else True
    answer = httpx.get(issuer + _PATH, timeout=_SECONDS, verify=verify).raise_for_status()
    try:
        said = answer.json()
        found = Endpoints(said["issuer"].rstrip("/"), **{key: said[name] for key, name in _FIELDS.items()})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        remedy = "Look at `identity.oidc.issuer` in the policy."
        raise InvalidSetting(issuer + _PATH, "is no description of a provider", remedy) from error
    if found.issuer != issuer:
        remedy = "Write that into `identity.oidc.issuer`, if it is the provider that is meant."
        raise InvalidSetting(issuer, f"calls itself {found.issuer}", remedy)
    if issuer.startswith("https:") and not all(url.startswith("https:") for url in asdict(found).values()):
        raise InvalidSetting(issuer, "has addresses without TLS", "Ask who runs the provider.")
    return found
