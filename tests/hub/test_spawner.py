"""Users' servers as containers: what may be chosen, and how they live with the hub."""

from __future__ import annotations

import asyncio
import re

import pytest
from dockerspawner import DockerSpawner

from spawning import ANSWER, failed, program, run, said
from workbench_hub.containers.spawner import ContainerSpawner

pytestmark = pytest.mark.docker


# -- what is chosen


def test_the_form_offers_what_the_groups_allow(site):
    anna, ben = site.spawner("anna"), site.spawner("ben")
    form = run(anna.get_options_form())
    assert 'value="large"' in form
    assert 'value="large"' not in run(ben.get_options_form())
    chosen = {"profile": ["small"], "image.small": ["gone"], "image.large": ["standard"]}
    assert ben.run_options_from_form(chosen) == {"profile": "small", "image": "gone"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"profile": "large"}, r"Profile 'large' is not one that you may choose.*small"),
        ({"profile": "../small"}, "is not one that you may choose"),
        ({"image": "busybox:latest"}, "is not one that you may choose.*standard"),
        ({"image": "gone"}, r"Image 'gone' is not in catalogue.json.*images/build.py"),
    ],
    ids=["group", "path", "foreign image", "not built"],
)
def test_what_may_not_be_chosen_is_refused_and_says_what_may(site, containers, options, words):
    error = failed(site.spawner("ben", **options))
    assert error.diagnosis.cause == "refused"
    assert error.status_code == 400
    assert re.search(words, str(error.diagnosis))
    assert "help@test.example" in error.jupyterhub_html_message
    assert containers() == []


def test_named_servers_stand_beside_each_other_up_to_the_profiles_number(site, containers, network):
    servers = [site.spawner("anna", name, profile="small") for name in ("", "second", "third")]
    for spawner in servers[:2]:
        run(spawner.start())
    assert containers() == [f"{network}--anna", f"{network}--anna--second"]
    error = failed(servers[2])
    assert "allows 2 servers at a time" in str(error.diagnosis)
    run(servers[0].stop())
    run(servers[2].start())
    assert containers() == [f"{network}--anna--second", f"{network}--anna--third"]
    for spawner in servers[1:]:
        run(spawner.stop())
    assert containers() == []


@pytest.mark.parametrize(
    "name", ["Änne Müller", "a/../b", "{username}", "--", "ann a", "x" * 200, "анна", "a\u202eb"]
)
def test_odd_names_get_a_container_and_a_home_of_their_own(site, containers, network, name):
    spawner = site.spawner(name)
    run(spawner.start())
    (container,) = containers()
    assert container.startswith(f"{network}--")
    assert len(container) < 128
    homes = [path.name for path in (site.state / "homes").iterdir() if not path.name.startswith(".")]
    assert homes == [container.removeprefix(f"{network}--")]
    run(spawner.stop())


def test_an_image_is_known_by_its_digest_and_a_session_keeps_it(site, docker_daemon, image):
    spawner = site.spawner("anna")
    run(spawner.start())
    with docker_daemon.client() as client:
        other = client.api.import_image_from_data(b"", repository="other", tag="test")
        assert other
        newer = client.images.get("other:test").id
    site.build(newer)
    restarted = site.restarted(spawner)
    assert run(restarted.poll()) is None
    assert restarted.given is not None
    assert restarted.given.digest == image
    with docker_daemon.client() as client:
        assert client.containers.get(restarted.object_name).image.id == image
    run(restarted.stop())
    error = failed(site.spawner("anna"))  # the newer one holds nothing at all
    assert error.diagnosis.cause == "command"
    with docker_daemon.client() as client:
        client.images.remove(newer, force=True)


# -- its life


def test_a_restarted_hub_finds_the_server_again(site, containers):
    spawner = site.spawner("anna")
    address = run(spawner.start())
    fresh = site.restarted(spawner)
    assert run(fresh.poll()) is None
    assert run(fresh.get_ip_and_port()) == address
    assert fresh.given == spawner.given
    run(fresh.stop())
    assert containers() == []
    assert run(fresh.poll()) is not None
    assert fresh.record.ended is None


def test_a_hub_that_wrote_nothing_down_learns_everything_from_the_container(site):
    spawner = site.spawner("anna", profile="large")
    address = run(spawner.start())
    given = spawner.given
    fresh = spawner.user._new_spawner("")
    assert fresh.given is None
    assert run(fresh.poll()) is None
    assert fresh.given == given
    assert run(fresh.get_ip_and_port()) == address
    run(fresh.stop())


def test_what_a_hub_left_that_died_during_a_start_is_replaced(
    site, containers, docker_daemon, image, network
):
    spawner = site.spawner("anna")
    with docker_daemon.client() as client:
        client.containers.create(image, program("print()"), name=f"{network}--anna")
    run(spawner.start())
    assert containers() == [f"{network}--anna"]
    assert "I answer" in said(spawner)
    run(spawner.stop())


def test_a_daemon_that_does_not_answer_ends_no_session(site, mortal_daemon, containers):
    spawner = site.spawner("anna")
    run(spawner.start())
    mortal_daemon.kill()
    try:
        assert run(spawner.poll()) is None
        error = failed(site.spawner("ben"))
        assert error.diagnosis.cause == "docker"
        assert "does not answer" in str(error.diagnosis)
        assert site.restarted(spawner).given is not None
    finally:
        mortal_daemon.start()
    assert run(spawner.poll()) is None
    assert len(containers()) == 1
    run(spawner.stop())


def test_a_user_who_has_no_identity_any_more_is_stopped_but_not_started(site, containers):
    spawner = site.spawner("anna")
    run(spawner.start())
    (site.state / "hub" / "uids.json").write_text("{}")
    spawner.site.policy = site.policy.model_copy(
        update={"identity": site.policy.identity.model_copy(update={"source": "nss"})}
    )
    assert run(spawner.poll()) is None
    run(spawner.stop())
    run(spawner.run_post_stop_hook())
    assert containers() == []
    error = failed(spawner)
    assert "has no uid" in str(error.diagnosis)


# -- of the class itself


def test_nothing_of_the_hubs_own_is_overridden_by_accident():
    meant = {
        "_object_name_default",
        "clear_state",
        "docker",
        "get_ip_and_port",
        "get_state",
        "get_url",
        "load_state",
        "poll",
        "progress",
        "run_post_stop_hook",
        "start",
        "stop",
    }
    traitlets = set(vars(type("Plain", (DockerSpawner,), {"port": DockerSpawner.port})))
    own = {name for name in vars(ContainerSpawner) if not name.startswith("__")}
    inherited = {name for base in ContainerSpawner.__mro__[1:] for name in vars(base)}
    assert (own & inherited) - traitlets <= meant


def test_those_who_come_at_once_start_one_after_the_other(site, containers):
    spawners = [site.spawner(f"user{count}") for count in range(3)]
    for spawner in spawners:
        spawner.starts_at_once, spawner.turn_timeout, spawner.start_timeout = 1, 60, 90
        spawner.cmd = program("import time; time.sleep(2)\n" + ANSWER)
    most = 0

    async def watched():
        nonlocal most
        starts = asyncio.gather(*(spawner.start() for spawner in spawners))
        while not starts.done():
            waiting = [one for one in spawners if any("follows" in words for words in one._done[-1:])]
            most = max(most, len(waiting))
            await asyncio.sleep(0.05)
        return await starts

    assert len(set(run(watched()))) == 3
    assert most == 2
    assert len(containers()) == 3

    async def away():
        await asyncio.gather(*(spawner.stop(now=True) for spawner in spawners))

    run(away())


def test_whose_turn_does_not_come_is_told(site, containers):
    first, second = site.spawner("anna"), site.spawner("ben")
    for spawner in (first, second):
        spawner.starts_at_once, spawner.turn_timeout = 1, 0.2
    first.cmd = program("import time; time.sleep(5)\n" + ANSWER)

    async def both():
        begun = asyncio.ensure_future(first.start())
        while not (begun.done() or containers()):
            await asyncio.sleep(0.05)
        return await asyncio.gather(begun, second.start(), return_exceptions=True)

    address, error = run(both())
    assert address[0]
    assert "busy with the starts of others" in str(error.diagnosis)
    run(first.stop(now=True))
    assert containers() == []


@pytest.mark.parametrize("number", [4, pytest.param(20, marks=pytest.mark.long)])
def test_all_who_come_at_once_get_a_server(site, containers, number):
    spawners = [site.spawner(f"user{count}") for count in range(number)]
    for spawner in spawners:
        spawner.start_timeout = 120

    async def everybody():
        return await asyncio.gather(*(spawner.start() for spawner in spawners))

    addresses = run(everybody())
    assert len(set(addresses)) == number
    assert len(containers()) == number

    async def away():
        await asyncio.gather(*(spawner.stop(now=True) for spawner in spawners))

    run(away())
    assert containers() == []
