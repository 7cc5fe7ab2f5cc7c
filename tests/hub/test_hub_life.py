"""Usage, culler, notices and backup with servers that are containers, on the deployment of all tests."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta

import pytest
from sqlalchemy import inspect

from person import SLEEP
from workbench_hub.health import wait_for
from workbench_hub.life import backups, wiring
from workbench_hub.life.culler import Culler, Looked, Rules
from workbench_hub.life.jobs import no_jobs
from workbench_hub.life.meters import Containers
from workbench_hub.life.notices import Board
from workbench_hub.life.servers import Hub

pytestmark = [pytest.mark.docker, pytest.mark.services]


@pytest.fixture
def anna(log_in):
    anna = log_in("anna")
    anna.start_server()
    return anna


def culler_rounds(
    hub, board: Board, users: set[str], rules: Rules, seconds: float
) -> list[dict[str, Looked]]:
    """Let a culler of our own look at the servers of some users only."""
    deployment = hub.deployment
    meter = Containers(deployment.settings.docker)

    async def rounds() -> list[dict[str, Looked]]:
        asked = Hub(f"http://{deployment.ip}:{deployment.ports['hub']}/hub/api", deployment.tokens["culler"])
        culler, found, end = Culler(asked, no_jobs, board, rules), [], time.monotonic() + seconds
        while time.monotonic() < end:
            servers = [server for server in await asked.servers() if server.user in users]
            readings = [(server, meter.read(server)) for server in servers]
            cpu = {server.key: reading.cpu_seconds for server, reading in readings if reading}
            found.append({item.server.user: item for item in await culler.look(servers, cpu)})
            if any(item.verdict == "stopped" for item in found[-1].values()):
                break
            await asyncio.sleep(0.5)
        await asked.close()
        return found

    try:
        return asyncio.run(rounds())
    finally:
        meter.close()


def test_a_container_is_counted_with_its_memory_and_its_profile(hub, anna):
    kernel = anna.start_kernel()
    anna.run(kernel, "held = bytearray(200 * 2**20)")

    def total() -> dict[str, float]:
        users = anna.http.get("/services/usage/api/usage").json()["users"]
        return next((one for one in users if one["user"] == "anna"), {"memory_peak": 0})

    # It looks every half minute, and at once when something is announced.
    name = hub.command("announce", "Look").stdout.strip()
    assert hub.command("announce", "--remove", name).returncode == 0
    wait_for(lambda: total()["memory_peak"] > 200 * 2**20, 90, "anna's memory in the record")
    assert total()["memory_peak"] < 1.1 * 2**30, "the profile has 1 GiB"
    assert "Small" in anna.http.get("/hub/spawn/anna/more").text
    page = anna.http.get("/services/usage/").text
    assert "1.0 GiB" in page
    assert "<td>small</td>" in page


def test_the_record_is_in_a_database_of_its_own(hub, anna):
    usage = wiring.usage_of(hub.deployment)
    tables = set(inspect(usage.engine).get_table_names())
    usage.close()
    assert usage.engine.url.database == "workbench_usage"
    assert tables == {"usage_version", "usage_sessions", "usage_hours"}


def test_an_announcement_reaches_a_lab_in_a_container(hub, anna):
    name = hub.command("announce", "Power cut on Monday").stdout.strip()

    def shown() -> list[str]:
        return [one["text"] for one in anna.http.get("/user/anna/workbench/notices").json()]

    wait_for(lambda: shown() == ["Power cut on Monday"], 20, "the announcement in the Lab, soon")
    assert "Power cut on Monday" in anna.http.get("/hub/home").text
    assert hub.command("announce", "--remove", name).returncode == 0


def test_a_busy_kernel_in_a_container_is_kept_and_an_idle_container_is_stopped(hub, anna, log_in, tmp_path):
    board, ben = Board(tmp_path), log_in("ben")
    # A kernel that another test left, and that begins anew after its death, would keep it.
    ben.stop_server()
    ben.start_server()
    kernel = anna.start_kernel()
    anna.run(kernel, "treasure = 42")
    with pytest.raises(Exception, match="timed out"):
        anna.run(kernel, SLEEP, seconds=1)
    rules = Rules(idle=timedelta(seconds=4), warn=timedelta(seconds=2))
    found = culler_rounds(hub, board, {"anna", "ben"}, rules, 20)
    assert {looked["anna"].verdict for looked in found} == {"busy"}
    assert found[-1]["ben"].verdict == "stopped"
    assert "warned" in {looked["ben"].verdict for looked in found}
    anna.interrupt(kernel)
    assert anna.run(kernel, "print(treasure)") == "42\n"


def test_a_backup_of_what_runs_interrupts_nobody(hub, anna, tmp_path):
    kernel = anna.start_kernel()
    anna.run(kernel, "treasure = 43")
    done = hub.command("backup", str(tmp_path / "backups"), "--homes")
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "backups").iterdir()
    manifest = backups.verify(folder)
    assert {"databases/hub.dump", "databases/usage.dump", "state.tar", "policy.tar"} <= manifest.files.keys()
    assert anna.run(kernel, "print(treasure)") == "43\n"
    assert hub.command("audit", "verify", "--anchor", manifest.anchor).returncode == 0


def test_who_did_what_is_in_the_audit_log(hub, anna):
    entries = list(wiring.audit_of(hub.deployment).entries())
    assert any(entry.event == "login" and entry.actor == "anna" for entry in entries)
    assert any(entry.event == "started" and entry.subject == "anna" for entry in entries)
