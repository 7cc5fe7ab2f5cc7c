"""What is in an image is written down, and is what was locked."""

from __future__ import annotations

import json
import re
import time

import pytest

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def bill(catalogue, entries):
    path = catalogue.parent / entries()["user"]["sbom"]
    return json.loads(path.read_text())


def test_the_bill_is_what_cyclonedx_asks_for(bill):
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    wrong = JsonStrictValidator(SchemaVersion.V1_5).validate_str(json.dumps(bill))
    assert wrong is None, wrong


def test_the_bill_has_each_locked_version(bill):
    from building import wheels
    from building.recipes import order

    listed = {row["purl"].partition("?")[0] for row in bill["components"]}
    for image in order(["user"]):
        for name, lines in wheels.entries(image.lock.read_text()).items():
            version = re.match(r"[^=]+==([^\s;\\]+)", lines)
            assert f"pkg:pypi/{wheels.canonical(name)}@{version[1]}" in {purl.lower() for purl in listed}


def test_the_bill_has_debian_too(bill):
    debian = {row["name"] for row in bill["components"] if row["purl"].startswith("pkg:deb/")}
    assert {"libc6", "python3.11", "tini", "libnss-extrausers"} <= debian


def test_the_bill_names_what_it_is_of(bill, user_image):
    assert bill["metadata"]["component"]["version"] == user_image


def test_the_catalogue_names_images_by_digest(entries, docker_daemon):
    for entry in entries().values():
        about = json.loads(docker_daemon.run("image", "inspect", entry["digest"]).stdout)[0]
        assert about["Id"] == entry["digest"]
        assert entry["tag"] in about["RepoTags"]
        assert about["Config"]["Labels"]["org.opencontainers.image.title"] == entry["title"]
    assert {"obspy", "numpy", "jupyterlab", "dask"} <= set(entries()["user"]["libraries"])


def test_what_is_there_is_not_built_again(build, entries, user_image):
    begun = time.monotonic()
    done = build("user")
    assert "Building" not in done.stderr
    assert entries()["user"]["digest"] == user_image
    assert time.monotonic() - begun < 60
