"""What a container knows of names: two files that it reads and the hub writes.

The names of the allow-list are in ``/etc/hosts``.  ``/etc/resolv.conf`` names
the site's name servers or, where there is none, an address at which nobody
answers: a question is refused at once, and none carries data out.

Both are mounted, so a running session learns new addresses.
"""

from __future__ import annotations

import os
from pathlib import Path

from workbench_hub.network.plan import Plan

__all__ = ["HOSTNAME", "resolver_mounts", "write_resolver"]

HOSTNAME = "workbench"
"""What each container calls itself."""

_LOCAL = ("127.0.0.1 localhost", "::1 localhost ip6-localhost ip6-loopback", f"127.0.1.1 {HOSTNAME}")
_PATIENCE = "options timeout:1 attempts:1"


def write_resolver(plan: Plan, folder: Path) -> None:
    """Write both files; they stay the same files, as what is mounted must."""
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    known = [f"{address} {name}" for name, address in sorted(plan.hosts.items())]
    _write(folder / "hosts", [*_LOCAL, *known])
    _write(folder / "resolv.conf", [*(f"nameserver {server}" for server in plan.dns), _PATIENCE])


def resolver_mounts(folder: Path) -> tuple[tuple[Path, str, bool], ...]:
    """Return source, target and whether it is read-only, for each of the files."""
    return ((folder / "hosts", "/etc/hosts", True), (folder / "resolv.conf", "/etc/resolv.conf", True))


def _write(path: Path, lines: list[str]) -> None:
    text = ("\n".join(lines) + "\n").encode()
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        if os.pread(descriptor, len(text) + 1, 0) == text:
            return
        # The new text first, then the rest of the old one off: no reader ever finds it empty.
        os.pwrite(descriptor, text, 0)
        os.ftruncate(descriptor, len(text))
    finally:
        os.close(descriptor)
