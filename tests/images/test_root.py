"""Where Debian comes from: a registry if one answers, debootstrap if none does."""

from __future__ import annotations

import os

import pytest

pytestmark = pytest.mark.docker


@pytest.fixture
def engine(docker_daemon, catalogue):
    from building.engine import Engine

    return Engine(docker_daemon.url)


@pytest.fixture(scope="module")
def slim(docker_daemon, catalogue, tmp_path_factory):
    """Serve the Debian that debootstrap made as a registry's."""
    from registry import registry

    folder = tmp_path_factory.mktemp("registry")
    listed = docker_daemon.run("images", "--format={{.Repository}}:{{.Tag}}", "workbench-root").stdout.split()
    docker_daemon.run("save", "--output", str(folder / "root.tar"), listed[0])
    with registry(folder / "root.tar", folder / "blobs") as (reference, asked):
        yield reference, asked
        docker_daemon.run("image", "rm", reference, check=False)


@pytest.fixture(scope="module")
def base(build, slim, tmp_path_factory):
    """Build the base on it, and keep it; return the words of the build, where its catalogue is, its entry."""
    from building import catalogue

    folder = tmp_path_factory.mktemp("base")
    words = ["base", "--slim", slim[0], "--out", folder / "out", "--cache", folder / "cache", "--keep"]
    done = build(*words, "--fresh")
    assert "workbench-base:" in done.stderr
    return words, folder / "out", catalogue.read(folder / "out")["base"]


def test_debian_comes_from_a_registry_that_answers(engine, slim, tmp_path):
    from building import roots

    reference, asked = slim
    root = roots.prepare(engine, tmp_path / "cache", how="auto", slim=reference)
    assert any("/manifests/" in path for path in asked)
    assert root.image == root.key == engine.digest(reference)
    assert not root.complete, "its packages are fetched in the build"
    assert not (tmp_path / "cache").exists(), "nothing was bootstrapped"


def test_the_base_is_built_on_it(base, engine, slim):
    layers = [engine.inspect(image)["RootFS"]["Layers"] for image in (slim[0], base[2].digest)]
    assert layers[1][: len(layers[0])] == layers[0]


def test_no_registry_is_said(engine, tmp_path):
    from building import roots
    from building.errors import BuildFailed

    # Nobody listens at that port of this machine.
    with pytest.raises(BuildFailed, match="Build with --root debootstrap"):
        roots.prepare(engine, tmp_path, how="registry", slim="127.0.0.1:1/debian:bookworm-slim")


def test_debian_is_made_anew_after_a_week(tmp_path):
    from building import roots

    tar = tmp_path / "bookworm.tar"
    assert not roots.current(tar)
    tar.touch()
    assert roots.current(tar)
    week = tar.stat().st_mtime - 7 * 86400
    os.utime(tar, (week, week))
    assert not roots.current(tar)


def test_a_finished_image_that_was_kept_comes_back_as_it_was(build, base, docker_daemon):
    """Its digest is the same, so whoever named it finds it again."""
    from building import catalogue

    words, out, first = base
    docker_daemon.run("image", "rm", "--force", first.digest)
    done = build(*words)
    assert "Building" not in done.stderr
    assert catalogue.read(out)["base"] == first
