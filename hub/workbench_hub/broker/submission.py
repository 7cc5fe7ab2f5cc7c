"""A submission made anew: nothing of what was sent reaches sbatch but what is written here."""

from __future__ import annotations

import base64
import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from workbench_hub.broker import options, values
from workbench_hub.broker.callers import Caller
from workbench_hub.broker.rules import Refused, Rules
from workbench_hub.broker.running import Runner
from workbench_hub.names import safe_name

__all__ = ["Asked", "Submission", "rebuild", "wrapped"]

_DIRECT = ("cpus-per-task", "mem", "time", "job-name", "signal", "open-mode")
_FLAGS = ("hold", "no-requeue", "parsable", "quiet", "requeue", "test-only")
# In the image: the script to a file of its own, and from there on it is what runs.  Python, since
# an image need not have base64; its own standard input is the script's text and not the script's.
# The environment is kept for wb-exec in there: the image's, which a script may change before.
_BEGIN = (
    "import base64,json,os,sys\n"
    "path='/tmp/slurm_script'\n"
    "script=base64.b64decode(sys.stdin.buffer.read())\n"
    "file=os.open(path,os.O_WRONLY|os.O_CREAT|os.O_EXCL,0o700)\n"
    "assert os.write(file,script)==len(script)\n"
    "os.close(file)\n"
    "os.dup2(os.open(os.devnull,os.O_RDONLY),0)\n"
    "os.environ['PATH']='/opt/workbench/broker:'+os.environ.get('PATH',os.defpath)\n"
    "with open('/tmp/.slurm_environment','w') as file: json.dump(dict(os.environ),file)\n"
    "os.execv(path,[path,*sys.argv[1:]])\n"
)
_PYTHON = "/usr/bin/python3"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a server sent: the words of its sbatch, and the script."""

    words: Sequence[str]
    script: bytes
    id: str


@dataclass(frozen=True, slots=True)
class Submission:
    """What sbatch is given: its words and the script."""

    words: tuple[str, ...]
    script: bytes
    tests: bool
    """Whether nothing is submitted, only tried."""

    @property
    def about(self) -> dict[str, str]:
        """What of it is written down."""
        told = ("account", "partition", "job-name", "array", "chdir")
        pairs = (word.removeprefix("--").partition("=") for word in self.words if word.startswith("--"))
        return {name: value for name, _, value in pairs if name in told}


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is asked only where it is needed.

    Parameters
    ----------
    shown : callable
        Returns files and folders that jobs see besides the home, and whether they may change them.
    owned : callable
        Returns the numbers of the user's jobs.
    """

    shown: Callable[[], list[tuple[Path, bool]]]
    owned: Callable[[], frozenset[str]]


def rebuild(asked: Asked, caller: Caller, rules: Rules, runner: Runner, there: Surroundings) -> Submission:
    """Make a submission anew.

    Parameters
    ----------
    asked : Asked
    caller : Caller
        Whose it is, and which image the hub gave the server.
    rules : Rules
    runner : Runner
        By which links are followed as the user, who may see where they lead.
    there : Surroundings

    Raises
    ------
    Refused
        If something in it is not allowed; the words name it.
    """
    command = options.parse(asked.words)
    _script(asked.script, rules)
    given = options.directives(asked.script) | command.options
    for name in ("ntasks", "nodes"):
        if name in given:
            values.tasks(name, given[name])
    if "export" in given:
        values.matching("export", given["export"])
    words = ["--ntasks=1", "--nodes=1", "--export=ALL", f"--comment={comment(caller, asked.id)}"]
    words += [f"--{name}={values.matching(name, given[name])}" for name in _DIRECT if name in given]
    words += [f"--{name}" for name in _FLAGS if name in given]
    if "job-name" not in given:
        words.append(f"--job-name={_name(command.rest)}")
    if "array" in given:
        words.append(f"--array={values.array(given['array'], rules.array)}")
    if "dependency" in given:
        words.append(f"--dependency={values.dependency(given['dependency'], there.owned)}")
    words += _account(given.get("account"), caller)
    words += _partition(given.get("partition"), rules)
    words += _places(given, caller, runner)
    seen = _seen(there.shown(), caller, runner)
    script = wrapped(caller, rules.launcher, seen, asked.script, command.rest[1:])
    return Submission(("sbatch", *words), script, "test-only" in given)


def comment(caller: Caller, id: str) -> str:
    """Return what stands with each job of the broker's: who sent it, from where, and by which id.

    Names are those that directories have, so that nobody's name is anything else in it.
    """
    server = safe_name(caller.server) if caller.server else "-"
    return f"broker user={safe_name(caller.who.name)} server={server} image={caller.digest} id={id}"


def wrapped(
    caller: Caller, launcher: Path, seen: Sequence[str], script: bytes, arguments: Sequence[str]
) -> bytes:
    """Return the script that SLURM gets: it runs the user's in the image, and does nothing else.

    The user's is in it as signs that mean nothing to a shell.  What a site's wb-exec shows to
    everybody stays outside, munge's socket for one: by that a job would get around the broker.
    """
    words = [
        str(launcher),
        "--home-only",
        *seen,
        caller.digest,
        "--",
        _PYTHON,
        "-I",
        "-c",
        _BEGIN,
        *arguments,
    ]
    text = base64.encodebytes(script).decode()
    return (
        "#!/bin/sh\n"
        f"HOME={shlex.quote(str(caller.who.home))}; export HOME\n"
        f"exec {shlex.join(words)} <<'END OF SCRIPT'\n"
        f"{text}END OF SCRIPT\n"
    ).encode()


def _seen(shown: Sequence[tuple[Path, bool]], caller: Caller, runner: Runner) -> list[str]:
    """Return the words of wb-exec for what a job sees besides the home, as far as its user gets there."""
    paths = [str(path) for path, _ in shown]
    said = runner.run(caller.who, ["stat", "--format=%n", "--", *paths]).out if paths else ""
    there = {*said.splitlines()}
    return [
        word
        for path, writable in shown
        if str(path) in there
        for word in ("--write" if writable else "--read", str(path))
    ]


def _script(script: bytes, rules: Rules) -> None:
    """See what sbatch would say of a script; ours hides it from it."""
    if len(script) > rules.script_bytes:
        raise Refused(
            "The script",
            f"is longer than {rules.script_bytes} bytes",
            "Put what is long into a file in your home, and name that.",
        )
    if not script.startswith(b"#!"):
        raise Refused("The script", "does not begin with #!", "Its first line names its shell: #!/bin/sh")
    if b"\0" in script or b"\r\n" in script:
        raise Refused("The script", "has zero bytes, or lines that end as in DOS", "Write it as plain text.")


def _name(rest: Sequence[str]) -> str:
    """Return the name of a job that was given none: its script's, as sbatch has it."""
    name = PurePosixPath(rest[0]).name if rest else ""
    return re.sub(r"[^\w.-]", "_", name, flags=re.ASCII).lstrip(".-")[:100] or "sbatch"


def _account(wanted: str | None, caller: Caller) -> list[str]:
    """Return the account: one of the user's, by default the first; SLURM's own for who has none."""
    own = caller.who.accounts
    if wanted is None:
        return [f"--account={own[0]}"] if own else []
    if wanted not in own:
        listed = ", ".join(own) or "none: leave it out"
        raise Refused(f"--account={wanted[:80]}", "is not one of your accounts", f"You have: {listed}.")
    return [f"--account={values.matching('account', wanted)}"]


def _partition(wanted: str | None, rules: Rules) -> list[str]:
    if wanted is None:
        return [f"--partition={rules.partition}"] if rules.partition else []
    named = values.matching("partition", wanted).split(",")
    if rules.partitions and (strange := [name for name in named if name not in rules.partitions]):
        raise Refused(
            f"--partition={strange[0]}", "is not allowed", f"There are: {', '.join(rules.partitions)}."
        )
    return [f"--partition={wanted}"]


def _places(given: dict[str, str], caller: Caller, runner: Runner) -> list[str]:
    """Return where a job runs and what it writes to: below the home, also where links lead."""
    home = PurePosixPath(caller.who.home)
    folder = PurePosixPath(values.below("chdir", given.get("chdir", str(home)), home))
    places = {"chdir": str(folder)}
    # As sbatch has it, in the folder where the job runs.
    default = "slurm-%A_%a.out" if "array" in given else "slurm-%j.out"
    places["output"] = values.pattern("output", given.get("output", default), folder)
    if "error" in given:
        places["error"] = values.pattern("error", given["error"], folder)
    followed = [path for path in places.values() if path != "/dev/null"]
    said = runner.run(caller.who, ["realpath", "--canonicalize-missing", "--", str(home), *followed])
    if said.code:
        raise Refused("The job's files", f"lead nowhere: {said.err.strip()[:200]}")
    root, *ends = map(PurePosixPath, said.out.splitlines())
    for path, end in zip(followed, ends, strict=True):
        if not end.is_relative_to(root):
            name = next(name for name, value in places.items() if value == path)
            led = "" if str(end) == path else f": it leads to {end}"
            raise Refused(f"--{name}={given.get(name, path)[:80]}", f"is not below your home {home}{led}")
    return [f"--{name}={path}" for name, path in places.items()]
