"""A broker before a real cluster, with a real hub behind it, and servers of its users that hold tokens."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from hosted import POLICY
from livehub import LiveHub, live_hub
from person import Person
from slurmed import UIDS, VOLCANO, Slurm
from smallimage import SHIMS
from workbench.errors import Unavailable
from workbench_hub import scheduling
from workbench_hub.health import healthy, wait_for
from workbench_hub.life.audit import AuditLog

# A server that answers, with the token and the image of a container; nothing of it is a notebook.
_SERVERS = """
import json, sys
from pathlib import Path
from jupyterhub.spawner import SimpleLocalProcessSpawner
from workbench_hub.broker import wiring as broker_wiring
from workbench.settings import Settings
from workbench_hub.deployment import MARK, Deployment

d = Deployment(Settings())
ANSWER = '''
import os
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import urlsplit
class Answer(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
    def log_message(self, *said):
        pass
HTTPServer(("127.0.0.1", urlsplit(os.environ["JUPYTERHUB_SERVICE_URL"]).port), Answer).serve_forever()
'''

class Servers(SimpleLocalProcessSpawner):
    known = Path({known!r})
    cmd = [sys.executable, "-c", ANSWER]

    def get_env(self):
        return super().get_env() | {{MARK: str(d.state)}}

    def make_preexec_fn(self, name):
        return None

    async def start(self):
        self.home_dir = "/"
        (self.known / f"{{self.user.name}}--{{self.name}}.token").write_text(self.api_token)
        self.args = []
        return await super().start()

    def get_state(self):
        given = json.loads((self.known / "given.json").read_text())
        return super().get_state() | {{"given": given[self.user.name]}}

c.JupyterHub.spawner_class = Servers
c.JupyterHub.allow_named_servers = True
broker_wiring.configure(c, d)
"""


@dataclass
class Brokered:
    """What tests know of a broker that runs."""

    hub: LiveHub
    slurm: Slurm
    image: str
    people: dict[str, Person]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.hub.deployment.ports['broker']}"

    @property
    def audit(self) -> AuditLog:
        return AuditLog(self.hub.state / "audit")

    def start(self) -> None:
        """Start the broker, as the supervisor would."""
        self.hub.spawn("broker", sys.executable, "-m", "workbench_hub.broker")
        wait_for(lambda: healthy(f"{self.url}/health"), 30, "the broker")

    def token(self, user: str, server: str = "") -> str:
        """Return the token of a user's server, which is started where it does not run."""
        person = self.people[user]
        note = self.hub.state / "known" / f"{user}--{server}.token"
        if note.is_file():
            return note.read_text()
        path = f"/hub/api/users/{user}/servers/{server}" if server else f"/hub/api/users/{user}/server"
        person.http.post(path, headers=person.headers())

        def ready() -> bool:
            about = person.http.get(f"/hub/api/users/{user}").raise_for_status().json()
            return bool(about["servers"].get(server, {}).get("ready"))

        wait_for(ready, 30, f"the server {server!r} of {user}")
        return note.read_text()

    def environment(self, user: str, token: str | None = None) -> dict[str, str]:
        """Return what a shell in a user's server has in its environment; nothing leads to SLURM."""
        own = self.slurm.environment(user)
        own.pop("SLURM_CONF")
        return own | {
            "PATH": f"{SHIMS}:{own['PATH']}",
            "JUPYTERHUB_API_TOKEN": token or self.token(user),
            "WORKBENCH_BROKER": self.url,
            "WORKBENCH_LAUNCHER": "/opt/workbench/broker/wb-exec",
            "JUPYTER_IMAGE_SPEC": self.image,
        }

    def run(
        self,
        *words: str,
        user: str = "anna",
        given: str | None = None,
        token: str | None = None,
        more: Mapping[str, str] | None = None,
        check: bool = True,
    ) -> subprocess.CompletedProcess[str]:
        """Run one of the shims in a user's server."""
        environment = {"SLURM_CONF": "/nonexistent", **self.environment(user, token), **(more or {})}
        return self.slurm.run(*words, user=user, more=environment, given=given, check=check, seconds=200)

    def submit(self, script: str, *options: str, user: str = "anna", **more: Any) -> int:
        """Submit a shell script by the shim; its output goes to ``job-NUMBER.out`` in its user's home."""
        script = script if script.startswith("#!") else f"#!/bin/sh\n{script}\n"
        words = ("sbatch", "--parsable", "--output=job-%j.out", *options)
        return int(self.run(*words, user=user, given=script, **more).stdout)

    def post(self, command: str, body: Any, token: str, **more: Any) -> httpx.Response:
        """Ask the broker without a shim, as somebody would who wrote an own one."""
        headers = {"Authorization": f"token {token}"}
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        with httpx.Client(trust_env=False, timeout=60) as http:
            return http.post(f"{self.url}/v1/{command}", content=content, headers=headers, **more)

    def last(self) -> Any:
        """Return the newest line of the audit log."""
        return list(self.audit.entries())[-1]


def new_id() -> str:
    return uuid.uuid4().hex


@contextmanager
def brokered(slurm: Slurm, image: str, **shown: Path) -> Iterator[Brokered]:
    """Start hub and broker beside a cluster; in the homes that its users have there.

    `shown` are folders that everybody's servers see, and so their jobs.
    """
    state = slurm.root  # whose homes/ are those of the cluster's users
    known = state / "known"
    known.mkdir()
    given = {name: {"digest": image, "uid": uid, "gid": uid} for name, uid in UIDS.items()}
    (known / "given.json").write_text(json.dumps(given))
    users = {name: {"uid": uid, "gid": uid, "accounts": ["everybody"]} for name, uid in UIDS.items()}
    groups = {"volcano": {"title": "V", "gid": VOLCANO, "members": ["anna"], "accounts": ["volcano"]}}
    handed = {"source": "local", "local": {"first_uid": 40000, "last_uid": 49999}}
    groups["people"] = {"title": "P", "gid": VOLCANO + 1, "members": [*UIDS]}
    groups["nobody"] = {"title": "N", "gid": VOLCANO + 2}
    seen = {
        name: {"group": "nobody", "readers": ["people"], "path": str(path)} for name, path in shown.items()
    }
    said = {"identity": handed, "users": users, "groups": groups, "folders": seen}
    said["slurm"] = {"access": "broker", "partitions": ["main"]}
    policy = POLICY | said
    with live_hub(state, start=(), users=tuple(UIDS), more=_SERVERS.format(known=str(known))) as hub:
        (hub.deployment.run / "policy.yaml").write_text(yaml.safe_dump(policy, sort_keys=False))
        scheduling.remember(hub.deployment.run, scheduling.Scheduler(slurm.conf, slurm.cluster.state))
        people: dict[str, Person] = {}
        found = Brokered(hub, slurm, image, people)
        try:
            for name in ("proxy", "hub"):
                hub.start(name)
            wait_for(lambda: healthy(f"{hub.url}/hub/health"), 60, "the hub behind its proxy")
            people |= {name: Person(hub.url, name, hub.passwords[name]) for name in UIDS}
            found.start()
            yield found
        except Unavailable as error:
            raise AssertionError(hub.said()) from error
        finally:
            for person in people.values():
                person.http.close()
    shutil.rmtree(known)
