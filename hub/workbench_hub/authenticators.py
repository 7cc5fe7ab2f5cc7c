"""How people log in, and that only those are let in whom the operating system knows.

Whoever has proved a name, by a password made here, by PAM or at an OpenID
Connect provider, gets an identity by the policy, or is refused with the
reason.  The same is asked again from time to time while they are here.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import secrets
from pathlib import Path
from typing import Any

from jupyterhub.auth import Authenticator, PAMAuthenticator
from oauthenticator.generic import GenericOAuthenticator
from tornado.web import HTTPError
from traitlets import Any as AnyTrait
from traitlets import Unicode

from workbench.errors import InvalidSetting
from workbench_hub import oidc
from workbench_hub.deployment import write
from workbench_hub.identity import Identity, NoIdentity, gids, identify
from workbench_hub.passwords import PasswordAuthenticator
from workbench_hub.policy import Policy

__all__ = ["HostAuthenticator", "Identified", "LocalAuthenticator", "OidcAuthenticator", "check", "configure"]

UIDS = Path("hub") / "uids.json"
"""Where the uids that are handed out here stand, in the state directory."""

_DEVELOPMENT = (
    "Log-ins are passwords that were made here, and uids are handed out by the hub: for development. "
    "A site sets `identity.source` to pam or oidc in its policy."
)


class Identified(Authenticator):
    """Lets in who has proved a name and has an identity by the policy."""

    policy = AnyTrait(config=True, help="The policy in force.")
    register = Unicode(config=True, help="File of the uids that are handed out here.")

    async def run_post_auth_hook(self, handler: Any, authentication: dict[str, Any]) -> dict[str, Any]:
        """Add what the policy says about somebody who has just proved a name.

        Raises
        ------
        HTTPError
            403, with the reason, if there is no identity for that name.
        """
        authentication = await super().run_post_auth_hook(handler, authentication)
        name = authentication["name"]
        state = self.kept(authentication.get("auth_state"))
        try:
            identity = await asyncio.to_thread(self._identity, name, state)
        except NoIdentity as error:
            self.log.warning("Login refused: %s", error)
            raise HTTPError(403, "%s", str(error), reason="Forbidden") from error
        return authentication | self._model(identity, state)

    async def refresh_user(self, user: Any, handler: Any = None, **more: Any) -> Any:
        """Ask again for the identity of somebody who is here; without one the log-in ends."""
        state = await user.get_auth_state() if self.enable_auth_state else None
        try:
            identity = await asyncio.to_thread(self._identity, user.name, state)
        except NoIdentity as error:
            self.log.warning("Login ended: %s", error)
            return False
        return {"name": user.name, **self._model(identity, state)}

    async def delete_user(self, user: Any) -> None:
        """Stop the servers that have names; the hub itself stops the one without, and fails at the others."""
        super().delete_user(user)
        for spawner in list(user.spawners.values()):
            if spawner.ready:
                await self.parent.proxy.delete_user(user, spawner.name)
                await user.stop(spawner.name)

    def kept(self, auth_state: dict[str, Any] | None) -> dict[str, Any] | None:
        """Return what the hub remembers of a log-in."""
        return None

    def _identity(self, name: str, state: dict[str, Any] | None) -> Identity:
        identity = identify(name, self.policy, state, register=Path(self.register))
        gids(identity, self.policy)
        return identity

    def _model(self, identity: Identity, state: dict[str, Any] | None) -> dict[str, Any]:
        policy: Policy = self.policy
        return {
            "admin": policy.is_admin(identity.name),
            "groups": list(identity.groups),
            "auth_state": state,
        }


class LocalAuthenticator(Identified, PasswordAuthenticator):
    """Passwords made here."""


class HostAuthenticator(Identified, PAMAuthenticator):
    """The host's users, with the host's passwords."""


class OidcAuthenticator(Identified, GenericOAuthenticator):
    """An OpenID Connect provider."""

    subjects = Unicode(config=True, help="File of the names, the provider's subjects and the uids.")

    def normalize_username(self, username: str) -> str:
        """Keep names as the provider writes them: 'Alice' and 'alice' may be two people there."""
        return str(self.username_map.get(username, username))

    def kept(self, auth_state: dict[str, Any] | None) -> dict[str, Any] | None:
        """Keep the claims that identities are made of, and none of the provider's tokens."""
        said: Policy = self.policy
        provider = said.identity.oidc
        claims = (auth_state or {}).get(self.user_auth_state_key) or {}
        if provider is None:
            return None
        wanted = {"sub", provider.name_claim, provider.groups_claim, provider.uid_claim, provider.gid_claim}
        return {"oauth_user": {key: value for key, value in claims.items() if key in wanted}}

    def _identity(self, name: str, state: dict[str, Any] | None) -> Identity:
        identity = super()._identity(name, state)
        subject = ((state or {}).get("oauth_user") or {}).get("sub")
        if not isinstance(subject, str) or not subject:
            problem = "has no 'sub' at the identity provider"
            raise NoIdentity(f"User {name!r:.80}", problem, "Every provider of OpenID Connect gives one.")
        self._remember(name, subject, identity.uid)
        return identity

    def _remember(self, name: str, subject: str, uid: int) -> None:
        """See that a name is still that of the person who first had it, and a uid nobody else's.

        Providers let names change hands, and some let people write their own claims.
        """
        path = Path(self.subjects)
        with path.with_name(f"{path.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            known = json.loads(path.read_text()) if path.is_file() else {}
            said = {"subject": subject, "uid": uid}
            if known.get(name, said)["subject"] != subject:
                problem = "was another person's name at the identity provider before"
                remedy = f"If it is the same person, the administrator takes the name out of {path.name}."
                raise NoIdentity(f"User {name!r:.80}", problem, remedy)
            if other := next((one for one, had in known.items() if had["uid"] == uid and one != name), ""):
                problem = f"has the uid {uid}, which is that of {other!r:.80}"
                remedy = f"If that one is gone, the administrator takes it out of {path.name}."
                raise NoIdentity(f"User {name!r:.80}", problem, remedy)
            if known.get(name) != said:
                write(path, json.dumps(known | {name: said}, indent=1), mode=0o600)


def check(policy: Policy) -> None:
    """See that people could log in by a policy, as far as this host can tell.

    Raises
    ------
    InvalidSetting
        If the secret of the identity provider, or PAM's service, is not there.
    """
    if policy.identity.source == "oidc" and policy.identity.oidc is not None:
        oidc.client_secret(policy.identity.oidc)
    service = Path("/etc/pam.d") / policy.identity.pam_service
    if policy.identity.source == "pam" and not service.is_file():
        remedy = "`identity.pam_service` names a file there, such as login."
        raise InvalidSetting(str(service), "is not there", remedy)


def configure(c: Any, policy: Policy, state: Path, passwords: Path) -> None:
    """Set the hub's log-in to what the policy says.

    Parameters
    ----------
    c : traitlets.config.Config
    policy : Policy
    state : Path
        The state directory.
    passwords : Path
        The file of passwords made here.
    """
    source = policy.identity.source
    c.Identified.policy = policy
    c.Identified.register = str(state / UIDS)
    c.Authenticator.allow_all = True  # that is, all who have an identity
    c.Authenticator.manage_groups = True
    if source == "oidc":
        _configure_oidc(c, policy, state)
    elif source == "pam":
        c.JupyterHub.authenticator_class = HostAuthenticator
        c.PAMAuthenticator.service = policy.identity.pam_service
    else:
        c.JupyterHub.authenticator_class = LocalAuthenticator
        c.PasswordAuthenticator.path = str(passwords)
        c.PasswordAuthenticator.notice = _DEVELOPMENT


def _configure_oidc(c: Any, policy: Policy, state: Path) -> None:
    provider = policy.identity.oidc
    if provider is None:
        raise InvalidSetting("identity.oidc", "is missing in the policy", "Say who the provider is.")
    endpoints = oidc.discover(provider, state / "hub" / "oidc.json")
    c.JupyterHub.authenticator_class = OidcAuthenticator
    c.OidcAuthenticator.subjects = str(state / "hub" / "subjects.json")
    settings = c.GenericOAuthenticator
    settings.authorize_url, settings.token_url = endpoints.authorization, endpoints.token
    settings.userdata_url = endpoints.userinfo
    settings.client_id, settings.client_secret = provider.client_id, oidc.client_secret(provider)
    settings.username_claim = provider.name_claim
    settings.scope = list(provider.scopes)
    settings.login_service = provider.login_service
    if provider.ca_file is not None:
        settings.http_request_kwargs = {"ca_certs": str(provider.ca_file)}
    # What the provider said is needed again at each spawn; it is kept, encrypted, by the hub.
    c.Authenticator.enable_auth_state = True
    c.CryptKeeper.keys = [_key(state / "secrets" / "auth_state.key")]


def _key(path: Path) -> bytes:
    if not path.is_file():
        write(path, secrets.token_hex(32), mode=0o600)
    return bytes.fromhex(path.read_text())
