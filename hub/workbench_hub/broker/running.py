"""The real commands, run as the user who asks: SLURM then knows by munge who that is."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from workbench.errors import Unavailable
from workbench_hub.broker.rules import Rules

__all__ = ["Done", "Runner", "Who"]

_PATH = "/usr/local/bin:/usr/bin:/bin"


@dataclass(frozen=True, slots=True)
class Who:
    """Somebody, as the operating system and SLURM know them."""

    name: str
    uid: int
    gid: int
    home: Path
    groups: tuple[int, ...] = ()
    accounts: tuple[str, ...] = ()
    belongs: tuple[str, ...] = ()
    """Names of groups of the policy."""


@dataclass(frozen=True, slots=True)
class Done:
    """What a command left: exit code, standard output, standard error."""

    code: int = 0
    out: str = ""
    err: str = ""


@dataclass(frozen=True)
class Runner:
    """Runs commands as users.

    Parameters
    ----------
    rules : Rules
    """

    rules: Rules

    def environment(self, who: Who) -> dict[str, str]:
        """Return all that a command finds in its environment; nothing of it comes from a request.

        sbatch hands it on to the job, so that no node has to start a shell of
        the user's to find one.
        """
        own = {"HOME": str(who.home), "USER": who.name, "LOGNAME": who.name, "PATH": _PATH, "LANG": "C.UTF-8"}
        return own | {"SLURM_CONF": str(self.rules.conf)}

    def run(
        self,
        who: Who,
        words: Sequence[str],
        *,
        given: bytes | None = None,
        out: IO[bytes] | None = None,
        err: IO[bytes] | None = None,
        held: Sequence[int] = (),
    ) -> Done:
        """Run a command and return what it left.

        Parameters
        ----------
        who : Who
        words : sequence of str
        given : bytes, optional
            Its standard input.
        out, err : file, optional
            Where its output goes instead of into the answer.
        held : sequence of int
            Files that stay open as long as it runs.

        Raises
        ------
        Unavailable
            If it is not here, the home is not, or it does not end in time.
        """
        try:
            done = subprocess.run(
                words,
                cwd=who.home,
                env=self.environment(who),
                user=who.uid,
                group=who.gid,
                extra_groups=who.groups,
                umask=0o077,
                input=given,
                stdin=subprocess.DEVNULL if given is None else None,
                stdout=subprocess.PIPE if out is None else out,
                stderr=subprocess.PIPE if err is None else err,
                pass_fds=held,
                timeout=self.rules.seconds,
                start_new_session=True,
                check=False,
            )
        except FileNotFoundError as error:
            raise Unavailable(words[0], f"cannot be run: there is no {error.filename}") from error
        except NotADirectoryError as error:
            raise Unavailable(f"The home {who.home}", "is no directory") from error
        except PermissionError as error:
            raise Unavailable(f"The home {who.home}", "is not its user's") from error
        except subprocess.TimeoutExpired as error:
            raise Unavailable(words[0], f"did not end in {self.rules.seconds:g} s") from error
        return Done(done.returncode, _text(done.stdout), _text(done.stderr))


def _text(said: bytes | None) -> str:
    return (said or b"").decode(errors="replace")
