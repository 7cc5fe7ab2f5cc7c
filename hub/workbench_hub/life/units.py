"""systemd units from the process list: one for each process, a target for all, a timer for the backup.

A unit names no port, no token and no path but that of the program: it says
``workbench-hub run NAME``, which reads the process list when it starts.  So
units stay right when ports, policy or version change.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from workbench.errors import InvalidSetting, NoData
from workbench.settings import Settings
from workbench_hub import processes, sandbox
from workbench_hub.deployment import Deployment, write

__all__ = ["Unit", "command_of", "run", "units", "write_units"]

_NOT_HERE = {"guardian"}  # systemd does itself what it is for
_LOOSE = {"hub", "warden", "postgres"}
"""What mounts homes, changes the firewall, or takes another account keeps the machine's own view of files."""

_SANDBOX = [
    "NoNewPrivileges=yes",
    "PrivateTmp=yes",
    "ProtectSystem=full",
    "ProtectHome=read-only",
    "ProtectKernelModules=yes",
    "ProtectKernelTunables=yes",
    "RestrictSUIDSGID=yes",
]
_SETTINGS = "workbench.env"


@dataclass(frozen=True, slots=True)
class Unit:
    """A file for systemd."""

    name: str
    text: str
    mode: int = 0o644


def units(deployment: Deployment, folder: Path, backups: Path | None = None) -> list[Unit]:
    """Return the units of a deployment.

    Parameters
    ----------
    deployment : Deployment
    folder : Path
        Where they will be: the file of settings lies beside them.
    backups : Path, optional
        Where a timer puts a backup each night; none without.
    """
    listed = [process for process in processes.listed(deployment) if process.name not in _NOT_HERE]
    settings = folder / _SETTINGS
    found = [
        Unit(_SETTINGS, _environment(deployment), 0o600),
        Unit("workbench.target", _target(_name(process) for process in listed)),
        Unit("workbench-prepare.service", _prepare(settings)),
        *(Unit(_name(process), _service(deployment, process, settings)) for process in listed),
    ]
    if backups is not None:
        found += [
            Unit("workbench-backup.service", _backup(settings, backups)),
            Unit("workbench-backup.timer", _timer()),
        ]
    return found


def write_units(deployment: Deployment, folder: Path, backups: Path | None = None) -> list[Path]:
    """Write the units into a folder, and return their paths."""
    folder = folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for unit in units(deployment, folder, backups):
        write(folder / unit.name, unit.text, unit.mode)
        paths.append(folder / unit.name)
    return paths


def command_of(deployment: Deployment, name: str) -> tuple[list[str], dict[str, str]]:
    """Return how a process of the list is started in place of this one, and what it finds in its environment.

    Raises
    ------
    NoData
        If there is none of that name.
    """
    listed = {process.name: process for process in processes.listed(deployment)}
    if name not in listed:
        raise NoData(name, "is no process", f"There are: {', '.join(sorted(listed))}.")
    process = listed[name]
    words = []
    if process.account:
        words += ["setpriv", "--reuid", process.account, "--regid", process.account, "--clear-groups", "--"]
    if process.sandboxed:
        words += sandbox.words(deployment, process.name)
    return [*words, *process.command], process.environment


def run(deployment: Deployment, name: str) -> None:
    """Become a process of the list."""
    words, environment = command_of(deployment, name)
    os.chdir(deployment.state)
    os.execvpe(words[0], words, dict(os.environ) | environment)  # noqa: S606 - that is what it is for


def _name(process: processes.Process) -> str:
    return f"workbench-{process.name}.service"


def _environment(deployment: Deployment) -> str:
    """Write down what the deployment was told, for each of its processes."""
    given = {"WORKBENCH_STATE": str(deployment.state), "WORKBENCH_PROFILE": deployment.profile}
    given["WORKBENCH_PORT"] = str(deployment.port)
    for name in Settings.model_fields:
        variable = f"WORKBENCH_{name.upper()}"
        if variable in os.environ:
            given.setdefault(variable, os.environ[variable])
    head = f"# Settings of the workbench at {deployment.state}; changes count from the next start on.\n"
    return head + "".join(f"{name}={_value(value)}\n" for name, value in sorted(given.items()))


def _target(services: Iterable[str]) -> str:
    lines = ["[Unit]", "Description=Seismic workbench"]
    lines += [f"Wants={service}" for service in services]
    return _text([*lines, "", "[Install]", "WantedBy=multi-user.target"])


def _prepare(settings: Path) -> str:
    return _text(
        [
            "[Unit]",
            "Description=Seismic workbench: directories, database, images, walls of the network",
            "After=network-online.target docker.service",
            "Wants=network-online.target",
            "PartOf=workbench.target",
            "",
            "[Service]",
            "Type=oneshot",
            "RemainAfterExit=yes",
            f"EnvironmentFile={_path(settings)}",
            f"ExecStart={_command('prepare')}",
            "TimeoutStartSec=30min",
        ]
    )


def _service(deployment: Deployment, process: processes.Process, settings: Path) -> str:
    after = ["workbench-prepare.service"]
    if process.name == "hub" and deployment.on_host:
        after += ["docker.service"]
        if not deployment.settings.database.get_secret_value():
            after += ["workbench-postgres.service"]
    lines = [
        "[Unit]",
        f"Description=Seismic workbench: {process.what.replace('%', '%%')}",
        f"After={' '.join(after)}",
        "Requires=workbench-prepare.service",
        "PartOf=workbench.target",
        # It is started again for ever: a site at night has nobody to reset a counter.
        "StartLimitIntervalSec=0",
        "",
        "[Service]",
        "Type=exec",
        f"EnvironmentFile={_path(settings)}",
        f"ExecStart={_command('run', process.name)}",
        "Restart=always",
        "RestartSec=1",
        f"SyslogIdentifier=workbench-{process.name}",
        "TimeoutStopSec=30",
    ]
    if process.name == "hub":
        # Users' servers, where they are processes, and what the hub started for them, live on.
        lines.append("KillMode=process")
    if process.name == "postgres":
        lines += ["KillMode=mixed", "KillSignal=SIGINT"]
    if process.name not in _LOOSE and not process.sandboxed:
        lines += [*_SANDBOX, f"ReadWritePaths={_quoted(str(deployment.state))}"]
    return _text(lines)


def _backup(settings: Path, backups: Path) -> str:
    return _text(
        [
            "[Unit]",
            "Description=Seismic workbench: backup",
            "After=workbench.target",
            "",
            "[Service]",
            "Type=oneshot",
            f"EnvironmentFile={_path(settings)}",
            f"ExecStart={_command('backup', str(backups), '--keep', '14')}",
            "Nice=10",
            "IOSchedulingClass=idle",
        ]
    )


def _timer() -> str:
    return _text(
        [
            "[Unit]",
            "Description=Seismic workbench: backup each night",
            "",
            "[Timer]",
            "OnCalendar=*-*-* 03:30:00",
            "RandomizedDelaySec=15min",
            "Persistent=yes",
            "",
            "[Install]",
            "WantedBy=timers.target",
        ]
    )


def _command(*words: str) -> str:
    program = Path(sys.executable).with_name("workbench-hub")
    # In a command, and nowhere else, a dollar begins a variable.
    return " ".join(_quoted(word).replace("$", "$$") for word in (str(program), *words))


def _quoted(word: str) -> str:
    _plain(word)
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%") + '"'


def _path(path: Path) -> str:
    """Write a path where no quotes are taken away."""
    _plain(str(path))
    return str(path).replace("%", "%%")


def _value(value: str) -> str:
    """Quote a value of a file of settings."""
    _plain(value)
    for sign in ("\\", '"', "$", "`"):
        value = value.replace(sign, f"\\{sign}")
    return f'"{value}"'


def _plain(word: str) -> None:
    if "\n" in word:
        raise InvalidSetting(word, "has a line break in it", "Choose a plainer name.")


def _text(lines: Iterable[str]) -> str:
    return (
        "# Written by `workbench-hub units`; changes are lost when it writes again.\n"
        + "\n".join(lines)
        + "\n"
    )
