"""An attacker and a victim of a running deployment."""

from __future__ import annotations

from dataclasses import dataclass

from person import Person

SECRET = "marker-of-the-victims-secret"
REFUSED = {400, 401, 403, 404, 405}


@dataclass
class Side:
    """Somebody with a server and a kernel."""

    person: Person
    kernel: str

    def run(self, code: str, seconds: float = 60) -> str:
        return self.person.run(self.kernel, code, seconds).strip()


def tried(side: Side, body: str) -> str:
    """Run a body in a kernel; return ``open`` if it ends without an error, else the error."""
    indented = "\n".join(f"    {line}" for line in body.strip().splitlines())
    return side.run(
        "import os, socket\n"
        f"try:\n{indented}\n    print('open')\n"
        "except Exception as error:\n    print(type(error).__name__, error)"
    )
