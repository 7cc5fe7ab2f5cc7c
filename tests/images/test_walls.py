"""The build stops at an image that holds what none may hold, and at all that it cannot do."""

from __future__ import annotations

import dataclasses
import json

import pytest

pytestmark = pytest.mark.docker


CAPABLE = (
    "import os; as_net_raw = bytes.fromhex('0100000200200000000000000000000000000000'); "
    "os.setxattr('/opt/x', 'security.capability', as_net_raw)"
)


@pytest.fixture
def bad(docker_daemon, catalogue, entries, tmp_path):
    """Build an image from the base with a line of its own."""
    from building.catalogue import Entry
    from building.engine import Engine
    from building.recipes import Recipe
    from building.work import Build

    def build(line: str) -> None:
        folder = tmp_path / "bad"
        folder.mkdir(exist_ok=True)
        (folder / "Dockerfile").write_text(f"ARG BASE\nFROM ${{BASE}}\nUSER 0:0\n{line}\n")
        work = Build(Engine(docker_daemon.url), tmp_path / "out", tmp_path / "cache")
        below = {"base": Entry(**entries()["base"])}
        work.image(Recipe("bad", "Bad", "base", folder, requirements=folder / "none"), below, lock="")

    yield build
    listed = docker_daemon.run("images", "--quiet", "workbench-bad").stdout.split()
    assert not listed, "it is there still"


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("RUN cp /bin/true /usr/bin/x && chmod u+s /usr/bin/x", "/usr/bin/x is set-uid"),
        ("RUN cp /bin/true /opt/x && chmod g+s /opt/x", "/opt/x is set-uid or set-gid"),
        ("RUN mkdir /new && cp /bin/true /new/x && chmod 4755 /new/x", "/new/x is set-uid"),
        ("RUN chmod o+w /etc/passwd", "/etc/passwd can be written by everybody"),
        ("RUN touch /opt/workbench/x && chown 12345 /opt/workbench/x", "/opt/workbench/x is not root's"),
        (f'RUN cp /bin/true /opt/x && python3 -c "{CAPABLE}"', "/opt/x carries capabilities"),
    ],
)
def test_what_raises_rights_is_found_and_removed(bad, line, word):
    from building.errors import UnsafeImage

    with pytest.raises(UnsafeImage, match=word):
        bad(line)


def test_a_build_that_fails_says_how(bad):
    from building.errors import BuildFailed

    with pytest.raises(BuildFailed, match="nothing-of-that-name"):
        bad("RUN nothing-of-that-name")


def test_a_build_has_no_network(bad):
    from building.errors import BuildFailed

    connect = "import socket; socket.create_connection(('192.0.2.1', 80), 2)"
    with pytest.raises(BuildFailed, match="Network is unreachable"):
        bad(f'RUN python3 -c "{connect}"')


def test_a_daemon_that_is_not_there_is_named(build):
    done = build("user", "--docker", "unix:///nowhere/docker.sock", check=False)
    assert done.returncode == 1
    assert "the Docker daemon at unix:///nowhere/docker.sock" in done.stderr
    assert "--docker URL" in done.stderr


def test_an_image_of_no_name_is_named(build):
    done = build("usr", check=False)
    assert done.returncode == 1
    assert "There are: base, worker, user, api, hub" in done.stderr


def test_entries_are_what_readers_of_the_catalogue_expect(entries):
    from building.catalogue import Entry

    names = {field.name for field in dataclasses.fields(Entry)}
    assert {"image", "digest", "title", "built", "sbom", "libraries"} <= names
    assert json.dumps(entries())
