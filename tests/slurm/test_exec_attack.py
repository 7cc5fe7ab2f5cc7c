"""Attacks on wb-exec: on the image, on the rest of the machine, on which image it is."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from slurmed import Slurm

pytestmark = [pytest.mark.slurm, pytest.mark.timeout(120)]

Exec = Callable[..., subprocess.CompletedProcess[str]]
OTHER = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    "path", ["/x", "/usr/bin/ls", "/usr/lib/x", "/etc/issue", "/var/lib/dpkg/status", "/home/x"]
)
def test_the_image_cannot_be_written(execute: Exec, path: str):
    done = execute("sh", "-c", f"echo evil >> {path}", check=False)
    assert done.returncode
    assert "Read-only" in done.stderr or "Permission denied" in done.stderr


def test_nor_mounted_anew(execute: Exec):
    for words in (("mount", "-o", "remount,rw", "/"), ("mount", "-o", "remount,rw,bind", "/usr"),
                  ("mount", "-t", "tmpfs", "none", "/usr")):  # fmt: skip
        assert execute(*words, check=False).returncode
    status = dict(line.split(":\t", 1) for line in execute("cat", "/proc/self/status").stdout.splitlines())
    assert status["NoNewPrivs"] == "1"
    assert {status[name] for name in ("CapEff", "CapPrm", "CapInh", "CapAmb", "CapBnd")} == {"0" * 16}


def test_nor_through_the_directory_outside(slurm_cluster: Slurm, small_image: str):
    images = slurm_cluster.cluster.images.folder
    root = images / small_image
    for command in (
        f"echo x >> {root}/rootfs/etc/issue",
        f"echo x >> {root}/image.json",
        f"mv {root} {root}x",
        f"mkdir {images}/{OTHER}",
        f"rm -rf {root}/rootfs/etc",
    ):
        assert slurm_cluster.run("sh", "-c", command, check=False).returncode
    slurm_cluster.cluster.images.verify(small_image)


def test_other_homes_are_not_there(execute: Exec, slurm_cluster: Slurm):
    theirs = slurm_cluster.home("ben")
    theirs.chmod(0o777)
    try:
        (theirs / "note").write_text("lax")
        assert slurm_cluster.run("cat", theirs / "note").stdout == "lax"
        assert execute("ls", theirs, check=False).returncode
        assert execute("ls", theirs.parent).stdout.split() == ["anna"]
        for words in ({"HOME": str(theirs)}, {"HOME": f"{theirs}/../ben"}, {"HOME": "/"}, {"HOME": "/root"},
                      {"HOME": "/usr"}, {"HOME": "home/anna"}, {"HOME": ""}):  # fmt: skip
            done = execute("ls", more=words, check=False)
            assert (done.returncode, done.stdout) == (2, ""), words
    finally:
        theirs.chmod(0o700)


def test_the_machine_is_not_there(execute: Exec, slurm_cluster: Slurm, open_folder: Path):
    (open_folder / "note").write_text("for everybody")
    cluster = slurm_cluster.cluster
    secret = [open_folder / "note", cluster.state / "cluster.json", cluster.users.passwd]
    for path in (*secret, "/etc/shadow", "/etc/machine-id", "/root", "/var/run/docker.sock"):
        assert execute("ls", path, check=False).returncode, path
    assert execute("cat", slurm_cluster.cluster.munge / "key", check=False).returncode


def test_other_processes_are_not_there(execute: Exec, slurm_cluster: Slurm):
    theirs = slurm_cluster.start("sleep", "60", user="anna")
    try:
        seen = [int(word) for word in execute("sh", "-c", "cd /proc; ls").stdout.split() if word.isdigit()]
        assert max(seen) < 20
        assert execute("sh", "-c", f"kill -9 {theirs.pid}", check=False).returncode
        assert theirs.poll() is None
    finally:
        theirs.kill()
        theirs.communicate()


def test_devices_are_not_there(execute: Exec):
    seen = set(execute("ls", "/dev").stdout.split())
    harmless = {"full", "null", "ptmx", "pts", "random", "tty", "urandom", "zero"}
    assert seen <= {*harmless, "console", "core", "fd", "shm", "stderr", "stdin", "stdout"}


NAMES = [
    *("", ".", "..", "--", "/etc", "kept", "latest", "sha256:", "sha256:abc"),
    *("sha256:" + "A" * 64, "sha256:" + "0" * 63 + "g", "sha512:" + "0" * 64),
    *(OTHER + "0", OTHER + "/..", OTHER + "/../" + OTHER, "../" + OTHER, OTHER + "\n", " " + OTHER),
]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_is_no_digest_is_refused(slurm_cluster: Slurm, small_image: str, name: str):
    done = slurm_cluster.run(slurm_cluster.cluster.exec, name, "id", check=False)
    assert (done.returncode, done.stdout) == (2, "")


def test_an_unknown_digest_is_refused(slurm_cluster: Slurm, small_image: str):
    done = slurm_cluster.run(slurm_cluster.cluster.exec, OTHER, "id", check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"{OTHER}: is not in" in done.stderr


@pytest.fixture
def copy(placed, slurm_cluster: Slurm, small_image: str, open_folder: Path) -> tuple[Path, Path, Path]:
    """Return a wb-exec of its own, its images, and one image there that a test may spoil."""
    program, _ = placed(images=str(open_folder / "images"))
    image = open_folder / "images" / small_image
    shutil.copytree(slurm_cluster.cluster.images.folder / small_image, image, symlinks=True)
    return program, open_folder, image


def _owned(path: Path) -> None:
    os.chown(path, 20101, 20101)


SPOILS = {
    "the directory is a user's": lambda where, image: _owned(image),
    "its files are a user's": lambda where, image: _owned(image / "rootfs"),
    "its description is a user's": lambda where, image: _owned(image / "image.json"),
    "the images are a user's": lambda where, image: _owned(image.parent),
    "what is above is a user's": lambda where, image: _owned(where),
    "others may write to it": lambda where, image: image.chmod(0o757),
    "its group may write to its files": lambda where, image: (image / "rootfs").chmod(0o775),
    "others may write to its description": lambda where, image: (image / "image.json").chmod(0o646),
    "others may write to the images": lambda where, image: image.parent.chmod(0o777),
    "others may write to what is above": lambda where, image: where.chmod(0o777),
    "it is a link": lambda where, image: image.rename(where / "x") and image.symlink_to(where / "x"),
    "its files are a link": lambda where, image: (
        (image / "rootfs").rename(where / "r") and (image / "rootfs").symlink_to(where / "r")
    ),
}


@pytest.mark.parametrize("spoil", SPOILS.values(), ids=SPOILS)
def test_an_image_that_is_not_roots_alone_is_refused(slurm_cluster: Slurm, copy, small_image: str, spoil):
    program, where, image = copy
    assert slurm_cluster.run(program, small_image, "id").returncode == 0
    spoil(where, image)
    done = slurm_cluster.run(program, small_image, "id", check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert any(word in done.stderr for word in ("not root's", "written by others", "symbolic link")), (
        done.stderr
    )


def test_a_users_own_configuration_does_not_count(slurm_cluster: Slurm, small_image: str):
    home = slurm_cluster.home("anna")
    images = slurm_cluster.cluster.images.folder
    slurm_cluster.run(
        "sh", "-c", f"mkdir -p fake && cp {slurm_cluster.cluster.exec} fake/ && cp -r {images} fake/"
    )
    (home / "fake/wb-exec.json").write_text(json.dumps({"images": f"{home}/fake/images"}))
    done = slurm_cluster.run(home / "fake/wb-exec", small_image, "id", check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "is not in /var/lib/workbench/images" in done.stderr
    # Not even where root wrote the file, in a place that is the user's.
    os.chown(home / "fake/wb-exec.json", 0, 0)
    done = slurm_cluster.run(home / "fake/wb-exec", small_image, "id", check=False)
    assert (done.returncode, done.stdout) == (2, "")


INJECTED = {
    **dict.fromkeys(("LD_PRELOAD", "LD_AUDIT", "LD_LIBRARY_PATH"), "{home}/evil.so"),
    "PYTHONPATH": "{home}/evil",
    "PYTHONSTARTUP": "{home}/evil/evil.py",
    "PYTHONHOME": "{home}/evil",
    "PYTHONINSPECT": "1",
    "BASH_ENV": "{home}/evil/evil.sh",
    "ENV": "{home}/evil/evil.sh",
    "PATH": "{home}/evil",
    "TMPDIR": "{home}",
    "IFS": "x",
    "GCONV_PATH": "{home}/evil",
    "BASH_FUNC_ls%%": "() { echo evil; }",
}


def test_no_variable_of_the_caller_gets_inside(execute: Exec, slurm_cluster: Slurm):
    home = slurm_cluster.home("anna")
    script = (
        "mkdir -p evil; cd evil",
        "for n in id python3 sh env bwrap; do printf '#!/bin/sh\\necho evil' > $n; chmod 755 $n; done",
        "echo 'echo evil' > evil.sh",
        "echo 'print(\"evil\")' | tee evil.py > sitecustomize.py",
    )
    slurm_cluster.run("sh", "-c", "; ".join(script))
    given = {name: value.replace("{home}", str(home)) for name, value in INJECTED.items()}
    lines = execute("env", more=given).stdout.splitlines()
    seen = dict(line.split("=", 1) for line in lines)
    assert {name for name in INJECTED if name in seen} == {"PATH", "TMPDIR"}
    assert (seen["PATH"], seen["TMPDIR"]) == ("/usr/local/bin:/usr/bin:/bin", "/tmp")
    for words in (("bash", "-c", "ls /etc"), ("python3", "-c", "pass"), ("sh", "-c", "id")):
        assert "evil" not in execute(*words, more=given).stdout


def test_a_preloaded_library_stays_outside(execute: Exec, slurm_cluster: Slurm):
    compiler = shutil.which("cc")
    assert compiler, "a C compiler"
    source = slurm_cluster.root / "evil.c"
    source.write_text(
        "#include <fcntl.h>\n#include <unistd.h>\n"
        "__attribute__((constructor)) static void begin(void) {\n"
        "  int f = open(EVIL, O_WRONLY | O_APPEND | O_CREAT, 0666); char path[256];\n"
        '  ssize_t n = readlink("/proc/self/exe", path, 255);\n'
        '  write(f, path, n); write(f, "\\n", 1); close(f); }\n'
    )
    library, log = slurm_cluster.home("anna") / "evil.so", slurm_cluster.home("anna") / "evil.log"
    build = [compiler, "-shared", "-fPIC", f'-DEVIL="{log}"', "-w", "-o", str(library), str(source)]
    subprocess.run(build, check=True)
    execute("sh", "-c", "id; python3 -c pass", more={"LD_PRELOAD": str(library)})
    # It may come with what the user started; bubblewrap and what runs inside are without it.
    loaded = {Path(line).name for line in log.read_text().splitlines()}
    assert loaded
    assert not loaded & {"bwrap", "sh", "dash", "id"}, loaded


def test_only_declared_networks(execute: Exec):
    with Listener() as port:
        reach = (
            "python3",
            "-c",
            f"import socket; socket.create_connection(('127.0.0.1', {port}), 5); print('open')",
        )
        assert execute(*reach).stdout == "open\n"
        closed = execute(*reach, options=("--no-network",), check=False)
        assert closed.returncode
        assert "open" not in closed.stdout
    names = execute("sh", "-c", "cat /proc/net/dev", options=("--no-network",)).stdout
    assert [line.split(":")[0].strip() for line in names.splitlines()[2:]] == ["lo"]


SHOWN = [
    *("/", "/usr", "/usr/bin", "/bin", "/etc/issue", "/lib/x86_64-linux-gnu"),
    *("/tmp", "/proc", "/proc/1", "/dev", "/sys"),
]


@pytest.mark.parametrize("path", SHOWN)
@pytest.mark.parametrize("how", ["--read", "--write"])
def test_nothing_takes_the_place_of_the_images_files(execute: Exec, path: str, how: str):
    done = execute("id", options=(how, path), check=False)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr


def test_what_is_anothers_stays_theirs(execute: Exec, slurm_cluster: Slurm, open_folder: Path):
    (open_folder / "note").write_text("mine")
    done = execute(
        "sh", "-c", f"echo evil > {open_folder}/note", options=("--write", str(open_folder)), check=False
    )
    assert done.returncode
    done = execute("id", options=("--read", str(slurm_cluster.home("ben") / "x")), check=False)
    assert done.returncode == 2
    assert (open_folder / "note").read_text() == "mine"


def test_root_and_the_machines_accounts_run_nothing(slurm_cluster: Slurm, small_image: str):
    for account in ("root", "daemon"):
        done = subprocess.run(
            [slurm_cluster.cluster.exec, small_image, "id"],
            user=account,
            group=account,
            extra_groups=[],
            env={"HOME": "/", "PATH": "/usr/bin"},
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stdout) == (2, "")
        assert "is no user's" in done.stderr


class Listener:
    """A server on 127.0.0.1 that takes connections."""

    def __enter__(self) -> int:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.thread = threading.Thread(target=self._take)
        self.thread.start()
        return int(self.socket.getsockname()[1])

    def _take(self) -> None:
        while True:
            try:
                self.socket.accept()[0].close()
            except OSError:
                return

    def __exit__(self, *_: object) -> None:
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.thread.join()
