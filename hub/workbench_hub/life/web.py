"""What the service `life` shows: a user's own usage and notices, everybody's to administrators, the metrics.

At ``/services/usage/`` behind the hub.  Its pages use a token that can do
nothing at the hub but say who asks.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import secrets
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from jinja2 import Environment, PackageLoader
from jupyterhub.services.auth import HubOAuth, HubOAuthCallbackHandler, HubOAuthenticated
from tornado.web import Application, HTTPError, RequestHandler, authenticated

from workbench.errors import WorkbenchError
from workbench_hub.life.notices import html
from workbench_hub.life.service import Life, describe

__all__ = ["NAME", "application", "month"]

NAME = "usage"
"""Name of the service at the hub."""

_LOG = logging.getLogger("workbench_hub.life")
_PAGES = Environment(loader=PackageLoader("workbench_hub.life", "pages"), autoescape=True)


def application(life: Life, *, api_url: str, token: str, metrics_token: str, prefix: str) -> Application:
    """Make the web application.

    Parameters
    ----------
    life : Life
    api_url : str
        Of the hub, as this process reaches it.
    token : str
        This service's own.
    metrics_token : str
        That Prometheus shows.
    prefix : str
        Path of these pages.
    """
    auth = HubOAuth(
        api_url=api_url,
        api_token=token,
        base_url=prefix,
        hub_prefix=urlsplit(api_url).path.removesuffix("api"),
        hub_host="",
        oauth_client_id=f"service-{NAME}",
        oauth_redirect_uri=f"{prefix}oauth_callback",
        access_scopes={f"access:services!service={NAME}"},
        cache_max_age=60,
    )
    given = {"life": life, "hub_auth": auth}
    return Application(
        [
            (f"{prefix}health", _Health, {"life": life}),
            (f"{prefix}metrics", _Metrics, {"life": life, "token": metrics_token}),
            (f"{prefix}oauth_callback", _Callback, {"hub_auth": auth}),
            (f"{prefix}api/usage", _Usage, given),
            (f"{prefix}api/notices", _Notices, given),
            (prefix, _Page, given),
        ],
        cookie_secret=secrets.token_bytes(32),
    )


def month(text: str = "") -> tuple[datetime, datetime]:
    """Return the begin of a month and of the next one; of this month, where none is said.

    Examples
    --------
    >>> [f"{time:%Y-%m-%d}" for time in month("2026-12")]
    ['2026-12-01', '2027-01-01']
    """
    begin = datetime.strptime(text, "%Y-%m") if text else datetime.now(UTC)
    begin = begin.replace(tzinfo=UTC, day=1, hour=0, minute=0, second=0, microsecond=0)
    return begin, begin.replace(year=begin.year + begin.month // 12, month=begin.month % 12 + 1)


class _Health(RequestHandler):
    def initialize(self, life: Life) -> None:
        self.life = life

    def get(self) -> None:
        self.finish("ok")


class _Metrics(RequestHandler):
    def initialize(self, life: Life, token: str) -> None:
        self.life = life
        self.token = token

    def get(self) -> None:
        shown = self.request.headers.get("Authorization", "").partition(" ")[2]
        if not hmac.compare_digest(shown.encode(), self.token.encode()):
            raise HTTPError(403, "the token of the service 'metrics' is asked for")
        self.set_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
        self.finish(self.life.means.metrics.text())


class _Callback(HubOAuthCallbackHandler):
    def initialize(self, hub_auth: HubOAuth) -> None:
        self.hub_auth = hub_auth


class _OfUser(HubOAuthenticated, RequestHandler):
    def initialize(self, life: Life, hub_auth: HubOAuth) -> None:
        self.life = life
        self.hub_auth = hub_auth

    @property
    def name(self) -> str:
        return str(self.current_user["name"])

    @property
    def admin(self) -> bool:
        return bool(self.current_user.get("admin"))

    async def totals(self) -> tuple[str, list[dict[str, Any]], list[dict[str, Any]]]:
        """Return the month that is asked for, and what each user who may be seen used in it.

        By their servers, and by their jobs.
        """
        try:
            since, until = month(self.get_argument("month", ""))
        except ValueError as error:
            raise HTTPError(400, "write a month as 2026-03") from error
        try:
            found = self.life.means.usage.totals(since, until)
        except WorkbenchError as error:
            raise HTTPError(503, "%s", error) from error
        try:
            jobs = await asyncio.to_thread(self.life.means.job_usage.totals, since, until)
        except WorkbenchError as error:
            _LOG.warning("what jobs used is not known: %s", error)
            jobs = []
        seen = [describe(total) for total in found if self.admin or total.user == self.name]
        return f"{since:%Y-%m}", seen, [row for row in jobs if self.admin or row["user"] == self.name]


class _Usage(_OfUser):
    @authenticated
    async def get(self) -> None:
        label, totals, jobs = await self.totals()
        self.finish({"month": label, "users": totals, "jobs": jobs})


class _Notices(_OfUser):
    @authenticated
    def get(self) -> None:
        notices = self.life.notices(self.name, self.current_user.get("groups", ()))
        self.set_header("Content-Type", "application/json")
        self.finish(json.dumps([{"level": one.level, "text": one.text, "at": one.at} for one in notices]))


class _Page(_OfUser):
    @authenticated
    async def get(self) -> None:
        label, totals, jobs = await self.totals()
        own = [(server, reading) for server, reading in self.life.servers if server.user == self.name]
        page = _PAGES.get_template("usage.html").render(
            user=self.name,
            admin=self.admin,
            month=label,
            own=next((total for total in totals if total["user"] == self.name), None),
            totals=totals,
            jobs=jobs,
            servers=own,
            notices=html(self.life.notices(self.name, self.current_user.get("groups", ()))),
            hub=self.hub_auth.hub_prefix,
        )
        self.set_header("Content-Security-Policy", "default-src 'self'; style-src 'self' 'unsafe-inline'")
        self.finish(page)
