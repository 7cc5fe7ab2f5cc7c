"""A deployment of the profile ``host`` that tests started: its policy, its archive, its people."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from obspy import Stream, Trace, UTCDateTime

from deployed import Running, free_port, newest_logs
from dockerd import Daemon
from workbench.archive import Archive
from workbench_hub import supervision

PEOPLE = ("scientist", "anna", "ben")
"""Users that are no administrators; anna is in the group volcano."""

GID = 30001
"""Of the group volcano."""

POLICY: dict[str, Any] = {
    "version": 1,
    "metadata": {"title": "Test site", "contact": "help@test.example"},
    "admins": ["operator"],
    "identity": {"source": "local"},
    "groups": {"volcano": {"title": "Volcano group", "gid": GID, "members": ["anna"]}},
    "images": {"standard": {"title": "Standard", "build": "user"}},
    "profiles": {
        "small": {"title": "Small", "description": "1 core, 1 GiB", "cpus": 1, "memory": "1 GiB"},
        "large": {"title": "Large", "cpus": 2, "memory": "2 GiB", "groups": ["volcano"], "servers": 1},
    },
    "networks": {
        "*": {"access": "open"},
        "VO": {"access": "restricted", "groups": ["volcano"]},
        "EM": {"access": "embargoed", "until": "2200-01-01T00:00:00Z", "groups": ["volcano"]},
    },
    "home": {"quota": "64 MiB", "method": "auto"},
    "folders": {"volcano": {"group": "volcano", "title": "Notebooks of the volcano group"}},
    "egress": {"allow": []},
}

DAY = UTCDateTime(2020, 3, 1)
SELECTIONS = {code: f"{code}.STA..HHZ@2020-03-01T00:00:00/2020-03-01T00:01:00" for code in ("OP", "VO", "EM")}
"""What is in the archive: a minute of one channel of each network."""


def archive(root: Path) -> Path:
    """Write a minute of an open, a restricted and an embargoed network."""
    for number, code in enumerate(SELECTIONS):
        samples = np.random.default_rng(number).integers(-9999, 9999, 6000).astype(np.int32)
        samples[3000:3400] *= 40
        header = {
            "network": code,
            "station": "STA",
            "channel": "HHZ",
            "starttime": DAY,
            "sampling_rate": 100.0,
        }
        Archive(root).write(Stream([Trace(samples, header)]))
    return root


def write_policy(path: Path, **changed: Any) -> Path:
    """Write the policy, with some of its parts changed."""
    path.write_text(yaml.safe_dump(POLICY | changed, sort_keys=False))
    return path


@contextmanager
def hosted(
    daemon: Daemon, catalogue: Path, fragment: str = "", where: str = "/tmp", **changed: Any
) -> Iterator[Running]:
    """Start a deployment; stop it in the end and see that nothing of it is left.

    `fragment` goes into ``config.d`` beside the policy, of which `changed` are changed parts.
    Below /tmp, in whose place jobs see their own, there is no cluster; elsewhere permissions of files
    say of the archive what the policy says.
    """
    root = Path(tempfile.mkdtemp(prefix="wbh-", dir=where))
    root.chmod(0o755)  # the database's account has to get in
    state = root / "state"
    state.mkdir(mode=0o755)
    shutil.copyfile(catalogue, state / "catalogue.json")
    if fragment:
        (root / "config.d").mkdir()
        (root / "config.d" / "site.py").write_text(fragment)
    more = {
        "WORKBENCH_PROFILE": "host",
        "WORKBENCH_DOCKER": daemon.url,
        "WORKBENCH_POLICY": str(write_policy(root / "policy.yaml", **changed)),
        "WORKBENCH_ARCHIVE": str(archive(root / "archive")),
    }
    running = Running(state, free_port(), "", {}, more)
    for name in ("2020/VO", "2020/EM", ".workbench") if where != "/tmp" else ():
        (root / "archive" / name).mkdir(exist_ok=True)
        os.chown(root / "archive" / name, 0, GID if name != ".workbench" else 0)
        (root / "archive" / name).chmod(0o750)
    # What the example notebooks read, made while everything starts.
    demonstration = subprocess.Popen(
        [sys.executable, "-m", "workbench.demo", str(root / "archive"), "--result", str(root / "demo.json")],
        stdout=subprocess.DEVNULL,
    )
    try:
        done = running.command("up")
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{newest_logs(state)}"
        running.said = done.stdout
        running.passwords = dict(re.findall(r"^  (scientist|operator) +(\S+)$", done.stdout, re.MULTILINE))
        for name in PEOPLE[1:]:
            running.passwords[name] = running.command("passwd", name).stdout.split()[-1]
        assert demonstration.wait(300) == 0
        yield running
    finally:
        demonstration.kill()
        demonstration.wait()
        if not daemon.answers():
            daemon.start()
        down = running.command("down")
        left = supervision.marked(running.deployment)
        assert down.returncode == 0, f"{down.stdout}\n{down.stderr}"
        assert left == []
        unmount(root)
        shutil.rmtree(root)


def unmount(root: Path) -> None:
    """Unmount what is below a directory, homes with a quota for example."""
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for mount in sorted((m for m in mounts if m.startswith(f"{root}/")), reverse=True):
        subprocess.run(["umount", "--lazy", mount], check=False)
