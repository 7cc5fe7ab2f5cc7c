"""The supervisor: written down from the process list, started, asked and stopped.

supervisord starts each process again that dies.  Nothing of it survives its
own death: its processes die with it (``setpriv --pdeathsig``), but for the
guardian, which starts it anew.  Users' servers belong to no process of the
list and go on.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any
from xmlrpc.client import Fault, ServerProxy

from supervisor.xmlrpc import SupervisorTransport

from workbench.errors import InvalidSetting, Unavailable
from workbench_hub.deployment import MARK, write
from workbench_hub.health import wait_for
from workbench_hub.processes import Process
from workbench_hub.supervised import Supervised

__all__ = ["configure", "end", "halt", "marked", "pid", "restart", "start", "states", "stop", "update"]

_START_SECONDS = 20.0
_STOP_SECONDS = 30.0
_ENDED = ("STOPPED", "EXITED", "FATAL")


def start(deployment: Supervised) -> None:
    """Start the supervisor with the configuration that stands; do nothing if it runs."""
    if pid(deployment) is not None:
        return
    command = [sys.executable, "-m", "supervisor.supervisord", "--configuration", str(_path(deployment))]
    environment = dict(os.environ, **{MARK: str(deployment.state)})
    with (deployment.logs / "supervisor.out").open("w") as log:
        done = subprocess.run(
            command,
            cwd=deployment.state,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            check=False,
        )
    if done.returncode:
        said = (deployment.logs / "supervisor.out").read_text().strip()
        raise Unavailable("The supervisor", f"did not start: {said}")
    wait_for(lambda: pid(deployment) is not None, _START_SECONDS, "the supervisor")


def configure(deployment: Supervised) -> None:
    """Write the supervisor's configuration from the process list.

    Raises
    ------
    InvalidSetting
        If a path has a sign that begins a comment in it.
    """
    for path in deployment.places:
        if any(sign in str(path) for sign in (";", "#", "\n")):
            raise InvalidSetting(
                str(path), "has a ';', a '#' or a line break in its name", "Choose a plainer name."
            )
    head = [
        "[supervisord]",
        f"directory={_escape(str(deployment.state))}",
        f"pidfile={_escape(str(deployment.run / 'supervisor.pid'))}",
        f"logfile={_escape(str(deployment.logs / 'supervisor.log'))}",
        "logfile_maxbytes=10MB",
        "logfile_backups=3",
        "loglevel=info",
        "identifier=workbench",
        *(["user=root"] if os.geteuid() == 0 else []),
        "[unix_http_server]",
        f"file={_escape(str(deployment.socket))}",
        "chmod=0600",
        "[rpcinterface:supervisor]",
        "supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface",
    ]
    programs = [
        line
        for priority, process in enumerate(deployment.processes())
        for line in _program(deployment, process, priority)
    ]
    write(_path(deployment), "\n".join([*head, *programs]) + "\n", mode=0o600)


def pid(deployment: Supervised) -> int | None:
    """Return the supervisor's process id, or None if it does not run."""
    try:
        return int(_ask(deployment, "getPID"))
    except (OSError, Fault):
        return None


def states(deployment: Supervised) -> dict[str, dict[str, Any]]:
    """Return what the supervisor says of each process, by name."""
    return {entry["name"]: entry for entry in _ask(deployment, "getAllProcessInfo")}


def stop(deployment: Supervised) -> None:
    """Stop the supervisor and all that it runs, then whatever still carries our mark."""
    running = pid(deployment)
    if running is not None:
        _ask(deployment, "shutdown")
        # It looks after ended processes once a second, and whenever it is asked something.
        wait_for(
            lambda: pid(deployment) is None and not _alive(running), _STOP_SECONDS, "the supervisor's end"
        )
    end(deployment)


def end(deployment: Supervised) -> None:
    """End whatever carries our mark, the supervisor too."""
    for name in (signal.SIGTERM, signal.SIGKILL):
        left = marked(deployment)
        for number in left:
            _signal(number, name)
        if left:
            wait_for(lambda: not marked(deployment), 5.0, "", fail=False)


def halt(deployment: Supervised, name: str) -> None:
    """Stop one process, until it is started again."""
    with suppress(Fault):  # it was between two tries to start, or does not run
        _ask(deployment, "stopProcess", name, False)
        _stopped(deployment, name)


def restart(deployment: Supervised, name: str) -> None:
    """Stop one process and start it again, with the configuration that stands."""
    halt(deployment, name)
    _ask(deployment, "startProcess", name)


def update(deployment: Supervised) -> list[str]:
    """Write the configuration anew; start what it adds, stop what it leaves out, start anew what it changes.

    Returns
    -------
    list of str
        The names of all of these.
    """
    configure(deployment)
    added, changed, removed = _ask(deployment, "reloadConfig")[0]
    for name in (*changed, *removed):
        _ask(deployment, "stopProcessGroup", name, False)
    for name in (*changed, *removed):
        _stopped(deployment, name)
        _ask(deployment, "removeProcessGroup", name)
    for name in (*added, *changed):
        _ask(deployment, "addProcessGroup", name)
    return [*added, *changed, *removed]


def marked(deployment: Supervised) -> list[int]:
    """Return the processes that belong to this deployment, by the mark in their environment.

    Users' servers, their kernels, and what those have started carry it too.
    """
    mark = f"{MARK}={deployment.state}".encode()
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        try:
            if mark in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
        except OSError:
            continue  # gone meanwhile, or another user's
    return found


def _program(deployment: Supervised, process: Process, priority: int) -> list[str]:
    prefix = ["--pdeathsig", "KILL"] if process.kept else []
    if process.account:
        prefix += ["--reuid", process.account, "--regid", process.account, "--clear-groups"]
    prefix = ["setpriv", *prefix, "--"] if prefix else []
    if process.sandboxed:
        prefix += deployment.walls(process.name)
    environment = ",".join(f"{key}={_literal(value)}" for key, value in process.environment.items())
    # Relative to the state directory: supervisord fills in what follows a % of a log's path twice.
    log = (deployment.logs / f"{process.name}.log").relative_to(deployment.state)
    return [
        f"[program:{process.name}]",
        f"command={' '.join(_quote(part) for part in [*prefix, *process.command])}",
        f"environment={environment}",
        f"priority={priority}",
        "autostart=true",
        "autorestart=true",
        "startsecs=1",
        "startretries=1000000",
        "stopwaitsecs=15",
        "killasgroup=true",
        f"stdout_logfile={log}",
        "stdout_logfile_maxbytes=10MB",
        "stdout_logfile_backups=3",
        "redirect_stderr=true",
    ]


def _stopped(deployment: Supervised, name: str) -> None:
    """Wait for the end of a process; who waits for the supervisor's own word of it waits a second longer."""
    wait_for(lambda: states(deployment)[name]["statename"] in _ENDED, _STOP_SECONDS, f"the end of {name}")


def _path(deployment: Supervised) -> Path:
    return deployment.run / "supervisord.conf"


def _ask(deployment: Supervised, method: str, *given: str | bool) -> Any:
    transport = SupervisorTransport(None, None, f"unix://{deployment.socket}")
    try:
        return getattr(ServerProxy("http://127.0.0.1", transport=transport).supervisor, method)(*given)
    finally:
        transport.close()


def _escape(text: str) -> str:
    return text.replace("%", "%%")


def _literal(text: str) -> str:
    """Quote a value of ``environment=``, where nothing can be escaped."""
    quote = "'" if '"' in text else '"'
    if quote in text or "\n" in text:
        raise InvalidSetting(text, "has quotes of both kinds or a line break", "Choose a plainer path.")
    return quote + _escape(text) + quote


def _quote(part: str) -> str:
    return '"' + part.replace("%", "%%").replace("\\", "\\\\").replace('"', '\\"') + '"'


def _alive(number: int) -> bool:
    """Whether a process lives; one that ended and was not yet waited for does not."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _signal(number: int, name: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(number, name)
