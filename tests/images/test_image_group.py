"""A group's own image: the user's, and what the group asks for."""

from __future__ import annotations

import json

import pytest

pytestmark = pytest.mark.docker


@pytest.fixture
def group(tmp_path):
    """Write a group's folder."""

    def write(requirements: str, name: str = "volcano"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "requirements.txt").write_text(requirements)
        return folder

    return write


@pytest.fixture(scope="module")
def volcano(build, tmp_path_factory):
    """Build a group's image, twice."""
    folder = tmp_path_factory.mktemp("groups") / "volcano"
    (folder / "examples").mkdir(parents=True)
    (folder / "examples" / "tremor.ipynb").write_text("{}")
    (folder / "requirements.txt").write_text("geographiclib>=2  # along the geoid\nnumpy\n")
    (folder / "image.toml").write_text('title = "Volcanology"\n')
    build("--from-user", folder)
    before = (folder / "requirements.lock").read_text()
    again = build("--from-user", folder)
    assert "Building" not in again.stderr
    assert (folder / "requirements.lock").read_text() == before
    return folder


def test_it_has_the_libraries_of_both(volcano, entries, container):
    entry = entries()["volcano"]
    program = "import geographiclib, obspy, jupyterlab, workbench; print(geographiclib.__file__)"
    assert container(entry["digest"], "python", "-c", program).stdout.startswith("/opt/workbench/")
    assert (entry["title"], entry["parent"]) == ("Volcanology", "workbench-user")
    assert {"geographiclib", "obspy"} <= set(entry["libraries"])


def test_it_changes_no_version_of_the_users_image(volcano, entries, container):
    frozen = [
        set(container(entries()[name]["digest"], "python", "-m", "pip", "freeze").stdout.split("\n"))
        for name in ("user", "volcano")
    ]
    assert {line.partition("==")[0] for line in frozen[1] - frozen[0]} == {"geographiclib"}
    assert "geographiclib==" in (volcano / "requirements.lock").read_text()
    assert "numpy" not in (volcano / "requirements.lock").read_text()


def test_it_starts_as_the_users_does(volcano, entries, docker_daemon, container):
    configured = [
        json.loads(docker_daemon.run("image", "inspect", entries()[name]["digest"]).stdout)[0]["Config"]
        for name in ("user", "volcano")
    ]
    for key in ("Entrypoint", "Cmd", "Env", "User"):
        assert configured[0][key] == configured[1][key]
    listed = container(
        entries()["volcano"]["digest"], "ls", "/opt/workbench/examples", "/opt/workbench/examples/volcano"
    )
    assert "tremor.ipynb" in listed.stdout
    assert "01-first-earthquake.ipynb" in listed.stdout


def test_it_is_a_layer_on_the_users_image(volcano, entries, docker_daemon):
    layers = [
        json.loads(docker_daemon.run("image", "inspect", entries()[name]["digest"]).stdout)[0]["RootFS"][
            "Layers"
        ]
        for name in ("worker", "user", "volcano")
    ]
    assert layers[1][: len(layers[0])] == layers[0]
    assert layers[2][: len(layers[1])] == layers[1]


def test_a_library_against_the_users_image_is_refused(build, group, entries):
    done = build("--from-user", group("numpy<2\n", "old"), check=False)
    assert done.returncode == 1
    assert "requirements.txt" in done.stderr
    assert "numpy" in done.stderr
    assert "Ask for a version that goes with the user's image" in done.stderr
    assert "old" not in entries()


@pytest.mark.parametrize(
    "line",
    [
        "--index-url=http://192.0.2.1/simple",
        "--extra-index-url http://192.0.2.1/simple",
        "-e .",
        "-r /etc/passwd",
        "git+https://192.0.2.1/x.git",
        "x @ file:///etc/passwd",
        "./x.whl",
        "/etc/x.whl",
    ],
)
def test_where_libraries_come_from_is_not_the_groups_to_say(build, group, line):
    done = build("--from-user", group(f"geographiclib\n{line}\n"), check=False)
    assert done.returncode == 1
    assert "requirements.txt:2" in done.stderr


@pytest.mark.parametrize("name", ["user", "Volcano", "a b", "-x", "x-", "ä", "x" * 41, "latest"])
def test_a_name_that_no_image_can_have_is_refused(build, group, name):
    done = build("--from-user", group("geographiclib\n", name), check=False)
    assert done.returncode == 1
    assert "is no name for a group's image" in done.stderr


def test_a_folder_that_says_nothing_is_refused(build, tmp_path):
    (tmp_path / "empty").mkdir()
    done = build("--from-user", tmp_path / "empty", check=False)
    assert "has no requirements.txt" in done.stderr


@pytest.mark.parametrize("text", ["title = ", "title = 3", f'title = "{"x" * 81}"', 'title = "a\\nb"'])
def test_a_title_that_is_none_is_refused(build, group, text):
    folder = group("geographiclib\n")
    (folder / "image.toml").write_text(text)
    done = build("--from-user", folder, check=False)
    assert done.returncode == 1
    assert "image.toml" in done.stderr
