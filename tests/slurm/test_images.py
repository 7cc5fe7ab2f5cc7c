"""Images as directories: added whole or not at all, root's alone, kept while something needs them."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from compiled import COUNT
from slurmed import Slurm
from workbench.errors import InvalidSetting, NoData
from workbench_slurm.images import Images, Referenced
from workbench_slurm.trees import UnfitTree

pytestmark = [pytest.mark.slurm, pytest.mark.timeout(120)]

DOCKER = "unix:///nowhere/docker.sock"
OTHER = "sha256:" + "0" * 64


@pytest.fixture
def place(request: pytest.FixtureRequest) -> Iterator[Path]:
    """Return a folder of root's."""
    if os.geteuid():
        request.getfixturevalue("missing")("slurm", "images are root's")
    folder = Path(tempfile.mkdtemp(prefix="wbt-", dir="/var/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def images(place: Path) -> Images:
    return Images(place / "images")


@pytest.fixture
def tree(place: Path) -> Path:
    """Return a directory with hardly anything in it."""
    root = place / "tree"
    (root / "usr/bin").mkdir(parents=True)
    shutil.copy("/usr/bin/env", root / "usr/bin/env")
    (root / "bin").symlink_to("usr/bin")
    (root / "note").write_text("one")
    return root


def add(images: Images, tree: Path) -> str:
    return images.add(f"{tree}/", DOCKER).digest


def test_what_is_in_a_directory_is_its_digest(images: Images, tree: Path):
    first = add(images, tree)
    assert add(images, tree) == first
    assert [image.digest for image in images.all()] == [first]
    (tree / "note").write_text("two")
    second = add(images, tree)
    (tree / "note").chmod(0o755)
    third = add(images, tree)
    (tree / "bin").unlink()
    fourth = add(images, tree)
    assert len({first, second, third, fourth}) == 4
    for digest in (first, second, third, fourth):
        images.verify(digest)
    assert (images.folder / first / "rootfs/note").read_text() == "one"


def test_what_was_added_is_roots_and_gives_no_rights(images: Images, tree: Path):
    os.chown(tree / "note", 1234, 1234)
    (tree / "note").chmod(0o6777)
    (tree / "tmp").mkdir()
    (tree / "tmp").chmod(0o1777)
    root = images.folder / add(images, tree) / "rootfs"
    about = (root / "note").stat()
    assert (about.st_uid, about.st_gid, about.st_mode & 0o7777) == (0, 0, 0o755)
    assert (root / "tmp").stat().st_mode & 0o7777 == 0o755


def test_capabilities_and_devices_are_refused(images: Images, tree: Path):
    net_raw = bytes.fromhex("0100000200200000000000000000000000000000")
    os.setxattr(tree / "usr/bin/env", "security.capability", net_raw)
    with pytest.raises(UnfitTree, match="capabilities"):
        add(images, tree)
    os.removexattr(tree / "usr/bin/env", "security.capability")
    os.mkfifo(tree / "pipe")
    # It says so, and does not wait for somebody to write to it.
    with pytest.raises((UnfitTree, shutil.Error)):
        add(images, tree)
    assert images.all() == []
    assert not list(images.folder.glob(".adding-*"))


def test_a_tree_without_env_is_refused(images: Images, tree: Path):
    (tree / "usr/bin/env").unlink()
    with pytest.raises(UnfitTree, match="usr/bin/env"):
        add(images, tree)


@pytest.mark.parametrize("source", [OTHER, "workbench-user:latest", "/nowhere/", "nowhere/"])
def test_what_is_not_there_says_so(images: Images, source: str):
    with pytest.raises(NoData):
        images.add(source, DOCKER)
    assert images.all() == []


def test_half_an_image_is_none(images: Images, tree: Path, place: Path):
    """A killed `add` leaves nothing that anybody takes for an image, and the next one clears it away."""
    half = images.folder / ".adding-abc"
    shutil.copytree(tree, half / "rootfs", symlinks=True)
    (half / "image.json").write_text("{}")
    (images.folder / OTHER / "rootfs").mkdir(parents=True)
    assert images.all() == []
    with pytest.raises(NoData):
        images.get(OTHER)
    digest = add(images, tree)
    assert not half.exists()
    assert [image.digest for image in images.all()] == [digest]


def test_files_that_changed_are_noticed(images: Images, tree: Path):
    digest = add(images, tree)
    (images.folder / digest / "rootfs/note").write_text("other")
    with pytest.raises(NoData, match="differ"):
        images.verify(digest)


def test_what_is_kept_stays(images: Images, tree: Path):
    digest = add(images, tree)
    images.keep(digest, "rms-1.2.0")
    images.keep(digest, "nightly")
    with pytest.raises(Referenced, match=r"nightly; kept for rms-1\.2\.0"):
        images.remove(digest)
    images.verify(digest)
    images.release(digest, "nightly")
    images.release(digest, "../../../etc/passwd")
    with pytest.raises(Referenced, match=r"rms-1\.2\.0"):
        images.remove(digest)
    images.release(digest, "rms-1.2.0")
    images.remove(digest)
    assert images.all() == []
    assert [path.name for path in images.folder.rglob("*") if path.name != ".lock"] == ["kept"]
    with pytest.raises(NoData):
        images.remove(digest)


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".", "x" * 200, "a b"])
def test_a_name_to_keep_it_for_is_a_plain_one(images: Images, tree: Path, name: str):
    digest = add(images, tree)
    with pytest.raises(InvalidSetting):
        images.keep(digest, name)


def test_an_image_that_a_job_needs_stays(slurm: Slurm, small_image: str, eventually: Callable[..., None]):
    script = f"exec {slurm.cluster.exec} {small_image} sh -c 'echo begun; exec sleep 60'"
    job = slurm.submit(script)
    waiting = slurm.submit(f"{slurm.cluster.exec} {small_image} true", "--hold", user="ben")
    eventually(lambda: "begun" in slurm.output(job), 20, "the job")
    refused = slurm.command("image", "remove", small_image)
    assert refused.returncode == 1
    assert "runs in it" in refused.stderr
    assert f"job {job} names it" in refused.stderr
    assert f"job {waiting} names it" in refused.stderr
    listed = slurm.command("image", "list").stdout
    assert small_image in listed
    slurm.cluster.images.verify(small_image)


@pytest.mark.docker
@pytest.mark.timeout(900)
def test_the_workers_image_runs_by_its_digest(slurm: Slurm, docker_daemon, catalogue: Path):
    """The image that the build made, as a container and as a directory: the same files, the same answer."""
    digest = _digest(catalogue, "worker")
    done = slurm.command("image", "add", digest, "--docker", docker_daemon.url)
    assert (done.returncode, done.stdout.strip()) == (0, digest), done.stderr
    about = (
        "import json, os, sys\n"
        "print(json.dumps([sys.executable, os.environ['JUPYTER_IMAGE_SPEC'], os.getuid()]))"
    )
    words = f"{slurm.cluster.exec} {digest} python -c"
    job = slurm.submit(f"{words} {shlex.quote(about)}; exec {words} {shlex.quote(COUNT)}", "--mem=3000")
    state = slurm.wait(job, seconds=240)
    assert state == "COMPLETED", slurm.output(job)
    seen, counted = map(json.loads, slurm.output(job).splitlines())
    assert seen == ["/opt/workbench/bin/python", digest, slurm.people["anna"].uid]
    # As a uid that the image never saw, all that numba compiled is found.
    assert counted["misses"] == []
    assert len(counted["hits"]) > 20
    # And so it is as a container.
    inside = slurm.run(
        slurm.cluster.exec, digest, "sh", "-c", "find /opt/workbench -type f | sort | sha256sum"
    )
    container = docker_daemon.run(
        "run", "--rm", "--network=none", digest, "sh", "-c", "find /opt/workbench -type f | sort | sha256sum"
    )
    assert inside.stdout == container.stdout


def _digest(catalogue: Path, name: str) -> str:
    return str(json.loads(catalogue.read_text())[name]["digest"])
