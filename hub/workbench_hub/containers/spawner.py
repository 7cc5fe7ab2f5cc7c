"""The spawner of the host profile: a user's server is a hardened container.

DockerSpawner knows containers; what is added is what may be chosen, the
walls, and that a failure is explained.  Containers are never removed by
Docker itself, so that their last words and exit codes can be read, but by us
once that is done.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import cache
from pathlib import Path
from time import monotonic, time
from typing import Any

import httpx
from docker.errors import APIError
from dockerspawner import DockerSpawner
from jupyterhub.spawner import SpawnException
from jupyterhub.utils import url_escape_path, url_path_join
from traitlets import Callable, Dict, Float, Instance, Integer, List, Unicode, default

from workbench.errors import ResourceExceeded, Unavailable, WorkbenchError
from workbench_hub.containers import pages
from workbench_hub.containers.choices import from_form, offered
from workbench_hub.containers.daemon import Daemon, NoDaemon
from workbench_hub.containers.evidence import Diagnosis, Evidence
from workbench_hub.containers.hardening import arguments, fallen
from workbench_hub.containers.membership import let_go
from workbench_hub.containers.records import Notice, Record
from workbench_hub.containers.session import Session, Site, container, prepare
from workbench_hub.containers.turns import turn
from workbench_hub.containers.watch import Given, Watch
from workbench_hub.names import safe_name
from workbench_hub.network.resolver import HOSTNAME, resolver_mounts
from workbench_hub.policy import Policy

__all__ = ["ContainerSpawner", "SpawnFailed"]

_LOOK_SECONDS = 0.2
_MARGIN_SECONDS = 5.0  # of the hub's own limit, so that it is we who give up, with the reason
_STOP_SECONDS = 10
_WALLS_SECONDS = 20.0  # the warden looks every 10 s
_SITES: dict[tuple[str, str, str], Site] = {}


class SpawnFailed(SpawnException):
    """A server that did not start; carries the diagnosis to the page that its user sees."""

    def __init__(self, diagnosis: Diagnosis, contact: str) -> None:
        page = pages.diagnosis_html(diagnosis, contact)
        status = 400 if diagnosis.cause == "refused" else 503
        super().__init__(str(diagnosis), reason=diagnosis.cause, message_html=page, status_code=status)
        self.diagnosis = diagnosis
        self.jupyterhub_message = str(diagnosis)
        self.jupyterhub_html_message = page


class ContainerSpawner(DockerSpawner):
    """Start a user's server in a container of its own."""

    policy = Instance(Policy, config=True, help="What the site allows; read by `workbench_hub.policy.load`.")
    state_dir = Unicode(config=True, help="The state directory of the deployment.")
    archive = Unicode(config=True, help="Root of the shared archive.")
    catalogue = Unicode(config=True, help="The file that the build of the images wrote.")
    docker_url = Unicode("unix:///var/run/docker.sock", config=True, help="Address of the Docker daemon.")
    services_url = Unicode(config=True, help="Where the web services are, seen from a container.")
    names_dir = Unicode(config=True, help="Directory of the files that tell containers names of hosts.")
    dns = List(Unicode(), config=True, help="Name servers that containers may ask.")
    fallen_network_walls = Callable(
        lambda: (), config=True, help="Returns what is wrong with the walls of the network, in words."
    )
    starts_at_once = Integer(config=True, help="How many servers start at a time; 0 for as many as come.")
    turn_timeout = Float(config=True, help="Seconds in which others may start first.")
    answer_timeout = Float(115.0, config=True, help="Seconds until a server that runs has to answer.")
    labels = Dict(config=True, help="Labels of each container, such as the deployment's mark.")

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.options_form = self._offer
        self.options_from_form = from_form
        self.apply_user_options = _applied_at_start
        self.given: Given | None = None
        self._watch: Watch | None = None
        self._done: list[str] = []
        self._news = asyncio.Event()

    @default("prefix")
    @default("network_name")
    def _workbench(self) -> str:
        return "workbench"

    @default("poll_interval")
    def _interval(self) -> int:
        return 5

    @default("remove")
    def _remove(self) -> bool:
        return True  # the hub then forgets the server's token once it is stopped

    @default("object_name")
    def _object_name_default(self) -> str:
        names = [self.user.name, self.name] if self.name else [self.user.name]
        return "--".join([self.prefix, *map(safe_name, names)])

    # What is known.

    @property
    def site(self) -> Site:
        """Where things are on this host: the same for all users, and the policy that the hub started with."""
        places = (self.state_dir, self.archive, self.catalogue)
        if places not in _SITES:
            _SITES[places] = Site(self.policy, *map(Path, places))
        return _SITES[places]

    @property
    def daemon(self) -> Daemon:
        """The Docker daemon."""
        return _daemon(self.docker_url)

    @property
    def watch(self) -> Watch:
        """The eye on the container."""
        if self._watch is None or self._watch.name != self.object_name:
            self._watch = Watch(self.daemon, self.object_name, self.record, self.log)
        return self._watch

    @property
    def record(self) -> Record:
        """What is remembered of this server."""
        return Record(Path(self.state_dir) / "hub" / "servers" / f"{self.object_name}.json")

    @property
    def told(self) -> str:
        """What the doctor says of the last end, for the page that a user comes back to."""
        ended = self.record.ended
        return pages.diagnosis_html(ended, self.policy.metadata.contact) if ended else ""

    @property
    def notices(self) -> tuple[Notice, ...]:
        """What happened in the session that goes on."""
        return self.record.notices

    def docker(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """Ask the daemon; DockerSpawner's own way has one thread for everybody."""
        return self.daemon.ask(method, *args, **kwargs)

    def get_state(self) -> dict[str, Any]:
        """Keep what the session was made of."""
        state: dict[str, Any] = super().get_state()
        return state | ({"given": self.given.state()} if self.given else {})

    def load_state(self, state: dict[str, Any]) -> None:
        """Take up what was kept."""
        super().load_state(state)
        self.given = Given.from_state(state.get("given", {}))

    def clear_state(self) -> None:
        """Forget the session."""
        super().clear_state()
        self.given, self._watch, self.object_id = None, None, ""

    # Its life.

    async def start(self) -> tuple[str, int]:
        """Start the server and wait until it answers.

        Raises
        ------
        SpawnFailed
            If it does not; with the diagnosis.
        """
        came, self._done = monotonic(), []
        try:
            session = await self._prepare()
            await self._await_network_walls()
            async with turn(self.starts_at_once, self.turn_timeout, self._say):
                left = self.start_timeout - _MARGIN_SECONDS - (monotonic() - came)
                await self._make(session)
                address = await self.get_ip_and_port()
                await self._first_answer(address, session, min(left, self.answer_timeout))
                await self._look_at_walls()
        except (NoDaemon, APIError, OSError) as error:
            words = str(getattr(error, "explanation", None) or error)
            raise await self._give_up(await self.watch.evidence(self.given, error=words)) from error
        except WorkbenchError as error:
            words = f"{error.subject} {error.problem}."
            raise await self._give_up(Evidence(refused=words, advice=error.remedy)) from error
        return address

    async def poll(self) -> int | None:
        """Return None while the container runs, else its exit code; see to what happened meanwhile."""
        code = await self.watch.exit_code()
        if self.given is None and code is None:
            self.given = self.watch.given
        if self.given is not None and not self._start_pending:
            if code is None:
                await self.watch.note_memory(self.given)
            else:
                given, self.given = self.given, None
                home = await asyncio.to_thread(self.site.usage, self.user.name)
                await self.watch.ended(await self.watch.evidence(given, home=home))
        return code

    async def get_ip_and_port(self) -> tuple[str, int]:
        """Return where the server listens; no address if its container has ended."""
        container = await self.daemon.find(self.object_name)
        networks = container["NetworkSettings"]["Networks"] if container else {}
        return networks.get(self.network_name, {}).get("IPAddress", ""), self.port

    async def get_url(self) -> str:
        """Return the same as an address; a hub that died during the start has not written it down."""
        known = str(self.server.url)
        try:
            ip, port = await self.get_ip_and_port()
        except NoDaemon:
            return known
        return f"http://{ip}:{port}{self.server.base_url}" if ip else known

    async def stop(self, now: bool = False) -> None:
        """Stop the server, and remove its container."""
        self.log.info("Stopping %s", self.object_name)
        self.given = None
        try:
            await self.daemon.ask("stop", self.object_name, timeout=0 if now else _STOP_SECONDS)
        except APIError as error:
            if error.status_code != 404:
                raise
        await self.daemon.remove(self.object_name)
        self.clear_state()

    async def run_post_stop_hook(self) -> Any:
        """Take away what is left of a server that has ended, however it did."""
        self._revoke_tokens()
        await self._remove_container()
        await let_go(self.user, self.site.release, leaving=self)
        return super().run_post_stop_hook()

    async def progress(self) -> AsyncIterator[dict[str, Any]]:
        """Say what is being done, as it is done."""
        said = 0
        while self._start_pending:
            for words in self._done[said:]:
                said += 1
                yield {"progress": min(5 + 30 * said, 95), "message": words}
            self._news.clear()
            await asyncio.wait([asyncio.ensure_future(self._news.wait())], timeout=1)

    # Its parts.

    async def _offer(self, _: Any) -> str:
        """Return the form of choices; nothing where there is no choice."""
        auth_state = await self.user.get_auth_state()
        try:
            identity = await asyncio.to_thread(self.site.who, self.user.name, auth_state)
        except WorkbenchError:
            return ""  # the start refuses, and says why
        return pages.form_html(offered(self.policy, identity.groups), dict(self.user_options or {}))

    async def _prepare(self) -> Session:
        self._say("Looking up who you are and what you may use")
        auth_state = await self.user.get_auth_state()
        session = await asyncio.to_thread(prepare, self.user.name, self.user_options, self.site, auth_state)
        await asyncio.to_thread(self.record.forget)
        self._take_place(session)
        for warning in session.warnings:
            self._say(warning)
        return session

    def _take_place(self, session: Session) -> None:
        """Take one of the profile's places; nothing is awaited between looking and taking."""
        name, most = session.choice.profile, session.choice.limits.servers
        others = [
            other.name or "the one without a name"
            for other in self.user.spawners.values()
            if other is not self and other.given is not None and other.given.profile == name
        ]
        if len(others) >= most:
            raise ResourceExceeded(
                f"Profile '{name}'",
                f"allows {most} server{'s' * (most > 1)} at a time, and you have: {', '.join(others)}",
                "Stop one of them, or choose another profile.",
            )
        identity, image = session.identity, session.image
        self.given = Given(
            profile=name,
            image=image.label,
            digest=image.digest,
            memory=session.limits.memory,
            uid=identity.uid,
            gid=identity.gid,
            since=time(),
        )
        self._watch = None

    async def _await_network_walls(self) -> None:
        """Wait while the walls of the network are put up anew; start nobody without them."""
        begun = monotonic()
        while missing := await asyncio.to_thread(self.fallen_network_walls):
            if monotonic() - begun > _WALLS_SECONDS:
                raise Unavailable(
                    "The network of servers",
                    f"is not walled in ({'; '.join(missing)})",
                    "Nobody starts without walls. The warden puts them up again; see its log and "
                    "`workbench-hub doctor`.",
                )
            await asyncio.sleep(_LOOK_SECONDS)

    async def _make(self, session: Session) -> None:
        self._say(f"Starting '{session.choice.limits.title}' from the image '{session.image.title}'")
        await self.daemon.remove(self.object_name)  # of a hub that died in the middle of a start
        asked = container(
            session,
            name=self.object_name,
            command=(*(self.cmd or ("jupyterhub-singleuser",)), *self.get_args()),
            environment=self.get_env()
            | {"WORKBENCH_ARCHIVE": self.archive, "WORKBENCH_URL": self.services_url},
            network=self.network_name,
            hostname=HOSTNAME,
            labels=dict(self.labels) | self._labels(),
            mounts=(*session.mounts, *(resolver_mounts(Path(self.names_dir)) if self.names_dir else ())),
            dns=tuple(self.dns),
            port=self.port,
        )
        created = await self.daemon.ask("create_container", **arguments(asked))
        self.object_id = created["Id"]
        await self.daemon.ask("start", self.object_id)

    def _labels(self) -> dict[str, str]:
        names = {"workbench.user": self.user.name, "workbench.server": self.name}
        return names | (self.given.labels() if self.given else {})

    async def _first_answer(self, address: tuple[str, int], session: Session, seconds: float) -> None:
        """Wait until the server answers, or has ended, or the time is over."""
        begun = monotonic()
        self._say("Waiting for the server's first answer")
        url = f"http://{address[0]}:{address[1]}{self.server.base_url if self.server else '/'}api"
        async with httpx.AsyncClient(trust_env=False, timeout=2) as client:
            while not (address[0] and await _says_something(client, url)):
                ended = await self.watch.exit_code()
                waited = monotonic() - begun
                if ended is not None or waited > seconds:
                    silent = 0.0 if ended is not None else waited
                    evidence = await self.watch.evidence(self.given, waited=silent, home=session.usage)
                    raise await self._give_up(evidence)
                await asyncio.sleep(_LOOK_SECONDS)

    async def _look_at_walls(self) -> None:
        """See that the walls stand around what runs: Docker was told, and may have been set up otherwise."""
        await self.watch.exit_code()
        missing = await asyncio.to_thread(fallen, self.watch.pid, self.policy.accept)
        if missing:
            raise Unavailable(
                "The Docker daemon",
                f"does not keep all walls around your server; missing: {', '.join(missing)}",
                "The administrator finds the reason with `workbench-hub doctor`.",
            )

    async def _give_up(self, evidence: Evidence) -> SpawnFailed:
        """Remember why the server did not start, and take its container away."""
        diagnosis = await self.watch.ended(evidence)
        self.given = None
        await self._remove_container()
        return SpawnFailed(diagnosis, self.policy.metadata.contact)

    async def _remove_container(self) -> None:
        try:
            await self.daemon.remove(self.object_name)
        except (APIError, NoDaemon) as error:
            self.log.warning("%s stays: %s", self.object_name, error)

    def _revoke_tokens(self) -> None:
        """Let the server's token end with it: a hub that was started meanwhile does not know it any more."""
        address = url_path_join(self.user.base_url, url_escape_path(self.name), "/")
        for token in list(self.user.orm_user.api_tokens):
            if token.note == f"Server at {address}":
                self.user.db.delete(token)
        self.user.db.commit()

    def _say(self, words: str) -> None:
        self._done.append(words)
        self._news.set()


@cache
def _daemon(url: str) -> Daemon:
    return Daemon(url)


async def _says_something(client: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(url)).status_code < httpx.codes.INTERNAL_SERVER_ERROR
    except httpx.HTTPError:
        return False


def _applied_at_start(_: Any, __: dict[str, Any]) -> None:
    """Options are checked where the session is prepared."""
