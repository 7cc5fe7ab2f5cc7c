"""The broker before a real cluster, with tokens of a real hub: what is sent arrives once; who is let in."""

from __future__ import annotations

import base64
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from brokered import Brokered, new_id
from slurmed import UIDS
from workbench_hub.broker.doctor import examine

pytest_plugins = ["brokers", "opening"]
pytestmark = [pytest.mark.slurm, pytest.mark.timeout(240)]

Eventually = Callable[..., None]
TRUE = base64.b64encode(b"#!/bin/sh\ntrue\n").decode()


def body(**changed: object) -> dict[str, object]:
    return {"words": ["--parsable", "--output=/dev/null"], "script": TRUE, "id": new_id(), **changed}


def jobs(broker: Brokered) -> list[str]:
    return broker.slurm.root_command("squeue", "-h", "--states=all", "--format=%A %k").splitlines()


def with_id(broker: Brokered, id: object) -> list[str]:
    return [line for line in jobs(broker) if f"id={id}" in line]


def test_a_job_is_sent_seen_and_ends(broker: Brokered):
    slurm = broker.slurm
    script = "#!/bin/sh\n#SBATCH -J fit -t 5\nid -u; cat /etc/issue; pwd; sleep 1; exit 3\n"
    said = broker.run("sbatch", "--output=job-%j.out", given=script)
    assert said.stdout.startswith("Submitted batch job ")
    job = int(said.stdout.split()[-1])
    assert f"{job} fit\n" in broker.run("squeue", "--noheader", "--format=%A %j").stdout
    assert "JOBID" in broker.run("squeue").stdout
    assert slurm.wait(job) == "FAILED", slurm.output(job)
    assert slurm.output(job).splitlines() == [str(UIDS["anna"]), "small image", str(slurm.home("anna"))]
    shown = broker.run("scontrol", "--oneliner", "show", "job", str(job)).stdout
    assert "ExitCode=3:0" in shown
    # Anna's own account comes before that of her group.
    assert "Account=everybody" in shown
    assert f"user=anna server=- image={broker.image}" in shown
    last = broker.last()
    assert (last.event, last.actor, last.details["job"]) == ("job submitted", "anna", str(job))
    assert last.details["image"] == broker.image
    assert broker.audit.verify().head.number == last.number


def test_what_slurm_says_against_it_is_passed_on(broker: Brokered):
    done = broker.run("sbatch", "--mem=99999999", given="#!/bin/sh\ntrue\n", check=False)
    assert done.returncode == 1
    assert "sbatch: error: Memory specification can not be satisfied" in done.stderr
    assert broker.last().event == "job not submitted"
    done = broker.run("sbatch", "--test-only", given="#!/bin/sh\ntrue\n")
    assert "to start at" in done.stderr
    assert jobs(broker) == [line for line in jobs(broker) if line]


def test_an_account_of_the_users_is_taken(broker: Brokered):
    job = broker.submit("true", "--account=volcano")
    assert "Account=volcano" in broker.slurm.root_command("scontrol", "show", "job", str(job))


def test_a_job_is_cancelled_and_an_array_is_one(broker: Brokered, eventually: Eventually):
    slurm = broker.slurm
    job = broker.submit("sleep 60", "--array=0-3%2", "--output=/dev/null")
    states = "squeue", "-h", "--array", "--format=%K %T"
    eventually(lambda: broker.run(*states).stdout.count("RUNNING") == 2, 30, "two of an array")
    broker.run("scancel", f"{job}_0", f"{job}_[2-3]")
    eventually(lambda: broker.run(*states).stdout == "1 RUNNING\n", 30, "the one that is left")
    broker.run("scancel", str(job))
    assert broker.last().event == "job cancelled"
    eventually(lambda: slurm.root_command("squeue", "-h") == "", 30, "an empty queue")


def test_a_job_may_wait_for_another_and_gets_its_signals(broker: Brokered):
    slurm = broker.slurm
    first = broker.submit("trap 'echo told; exit 0' USR1; for n in 1 2 3 4 5 6 7 8 9; do sleep 1; done")
    second = broker.submit("echo after", f"--dependency=afterok:{first}")
    slurm.wait(first, "RUNNING")
    assert slurm.state(second) == "PENDING"
    time.sleep(1)  # until the shell has its trap
    broker.run("scancel", "--batch", "--signal=USR1", str(first))
    assert slurm.wait(second) == "COMPLETED"
    assert slurm.output(first) == "told\n"


def test_sacct_shows_ones_own(broker: Brokered, eventually: Eventually):
    mine, theirs = broker.submit("true"), broker.submit("true", user="ben")
    for job in (mine, theirs):
        broker.slurm.wait(job)
    words = "sacct", "--noheader", "--parsable2", "--allocations", "--format=JobID,State"
    given = f"--jobs={mine},{theirs}"
    eventually(
        lambda: broker.run(*words, given).stdout == f"{mine}|COMPLETED\n", 30, "the account of the job"
    )
    assert str(theirs) not in broker.run("sacct").stdout


def test_tells_about_the_cluster(broker: Brokered):
    assert "SlurmctldHost" in broker.run("scontrol", "show", "config").stdout
    assert broker.run("sinfo", "--noheader", "--format=%P|%a").stdout == "main*|up\nshort|up\n"
    assert broker.run("sbatch", "--version").stdout.startswith("slurm")


def under_way(id: object) -> list[int]:
    """Return the processes of sbatch that send a submission."""
    found = subprocess.run(["pgrep", "-x", "sbatch", "--list-full"], capture_output=True, text=True)
    return [int(line.split()[0]) for line in found.stdout.splitlines() if f"id={id}" in line]


# What may be sent twice is sent once.


def test_the_same_id_is_the_same_job(broker: Brokered):
    token, asked = broker.token("anna"), body()
    with ThreadPoolExecutor(4) as pool:
        said = list(pool.map(lambda _: broker.post("sbatch", asked, token).json(), range(4)))
    assert len({one["stdout"] for one in said}) == 1
    assert len(with_id(broker, asked["id"])) == 1
    other = broker.post("sbatch", asked | {"words": []}, token)
    assert (other.status_code, "another one" in other.text) == (422, True)
    # For somebody else it is an id like any other.
    assert broker.post("sbatch", asked, broker.token("ben")).json()["stdout"] != said[0]["stdout"]


@pytest.mark.parametrize("killed", [["broker"], ["broker", "sbatch"]])
def test_one_that_is_cut_off_in_the_middle_is_found_again(
    broker: Brokered, killed: list[str], eventually: Eventually
):
    """The controller is silent while sbatch waits for it; then the broker dies."""
    slurm, asked, token = broker.slurm, body(), broker.token("anna")
    broker.post("squeue", {"words": []}, token)
    entry = broker.hub.state / "broker" / str(UIDS["anna"]) / f"{asked['id']}.json"
    controller = slurm.pid("slurmctld")
    lost: list[Exception] = []

    def send() -> None:
        try:
            broker.post("sbatch", asked, token)
        except httpx.HTTPError as error:
            lost.append(error)

    def stop_controller() -> None:
        while not entry.is_file():
            time.sleep(0.002)
        os.kill(controller, signal.SIGSTOP)

    sending, stopping = threading.Thread(target=send), threading.Thread(target=stop_controller)
    stopping.start()
    sending.start()
    stopping.join(20)
    try:
        eventually(lambda: under_way(asked["id"]), 10, "sbatch, at work")
        left = under_way(asked["id"])
        broker.hub.kill("broker")
        for number in left if "sbatch" in killed else []:
            os.kill(number, signal.SIGKILL)
    finally:
        os.kill(controller, signal.SIGCONT)
        sending.join(20)
        if "broker" not in broker.hub.running:
            broker.start()
    assert lost
    said = broker.post("sbatch", asked, token).json()
    assert said["code"] == 0, said
    found = with_id(broker, asked["id"])
    assert [line.split()[0] for line in found] == [said["stdout"].strip()]
    assert [e.details["job"] for e in broker.audit.entries() if e.details.get("id") == asked["id"]] == [
        said["stdout"].strip()
    ]


def test_a_shim_outlasts_the_broker(broker: Brokered):
    broker.hub.kill("broker")
    with ThreadPoolExecutor(1) as pool:
        sent = pool.submit(broker.submit, "echo here")
        time.sleep(1)
        broker.start()
        job = sent.result(60)
    assert broker.slurm.wait(job) == "COMPLETED"


def test_the_doctor_says_whether_it_is_well(broker: Brokered):
    deployment = broker.hub.deployment
    assert [(one.good, one.detail) for one in examine(deployment)] == [(True, "refused"), (True, "refused")]
    broker.hub.kill("hub")
    try:
        assert [one.good for one in examine(deployment)] == [True, False]
        broker.hub.kill("broker")
        assert [(one.good, "does not answer" in one.detail) for one in examine(deployment)] == [(False, True)]
    finally:
        broker.hub.start("hub")
        broker.start()


# Who is let in.


def refused(broker: Brokered, token: str, names: str) -> None:
    answer = broker.post("sbatch", body(), token)
    assert (answer.status_code, names in answer.json()["stderr"]) == (403, True), answer.text
    last = broker.last()
    assert (last.event, last.actor, last.details["address"]) == ("job refused", "", "127.0.0.1")
    assert names in last.details["why"]
    assert token not in str(last)


@pytest.fixture
def own_token(broker: Brokered) -> Iterator[Callable[..., str]]:
    """Make a token of anna's with some scopes: ``own_token(scopes=[...], expires_in=1)``."""
    anna = broker.people["anna"]

    def make(**wanted: object) -> str:
        path = "/hub/api/users/anna/tokens"
        answer = anna.http.post(path, json={"expires_in": 600, **wanted}, headers=anna.headers())
        return str(answer.raise_for_status().json()["token"])

    return make


SERVER, BROKER = "access:servers!server=anna/", "access:services!service=broker"


@pytest.mark.parametrize("token", ["none", "a b", "0" * 32, "x" * 5000])
def test_a_token_that_the_hub_does_not_know_is_refused(broker: Brokered, token: str):
    refused(broker, token, "The token")


def test_a_token_without_the_right_is_refused(broker: Brokered, own_token: Callable[..., str]):
    broker.token("anna")
    refused(broker, own_token(scopes=[SERVER]), f"does not allow {BROKER}")
    refused(broker, own_token(scopes=[BROKER]), "is not that of one running server")
    # A user's own token opens all of the user's servers: it is in no server, and is none's.
    refused(broker, own_token(), "is not that of one running server")
    refused(broker, own_token(scopes=["access:servers!user=anna", BROKER]), "is not that of one")


def test_a_token_of_two_servers_is_none_of_either(broker: Brokered, own_token: Callable[..., str]):
    broker.token("anna"), broker.token("anna", "second")
    refused(broker, own_token(scopes=[SERVER, f"{SERVER}second", BROKER]), "is not that of one")


def test_a_token_of_a_service_is_refused(broker: Brokered):
    refused(broker, broker.hub.deployment.tokens["broker"], "is a service's")


def test_a_token_that_expires_or_is_revoked_loses_its_right(
    broker: Brokered, own_token: Callable[..., str], eventually: Eventually
):
    broker.token("anna")
    short = own_token(scopes=[SERVER, BROKER], expires_in=2)
    assert broker.post("squeue", {"words": []}, short).status_code == 200
    eventually(lambda: broker.post("squeue", {"words": []}, short).status_code == 403, 10, "its end")
    held = broker.token("anna", "third")
    assert broker.post("squeue", {"words": []}, held).status_code == 200
    anna = broker.people["anna"]
    anna.http.delete("/hub/api/users/anna/servers/third", headers=anna.headers())
    begun = time.monotonic()
    eventually(lambda: broker.post("squeue", {"words": []}, held).status_code == 403, 15, "its end")
    assert time.monotonic() - begun < 10


@pytest.mark.parametrize("name", ["ben", "user-ben-id-0"])
def test_the_name_of_a_server_is_nothing_else(broker: Brokered, name: str):
    token = broker.token("anna", name)
    job = int(broker.post("sbatch", body(), token).json()["stdout"])
    about = broker.slurm.root_command("scontrol", "show", "job", str(job))
    assert f"UserId=anna({UIDS['anna']})" in about
    line = next(line for line in about.splitlines() if "Comment=" in line)
    assert [word.partition("=")[0] for word in line.split()[1:]] == ["user", "server", "image", "id"]
    assert broker.last().details["server"] == name
    anna = broker.people["anna"]
    anna.http.delete(f"/hub/api/users/anna/servers/{name}", headers=anna.headers())


# What comes slowly, large, or often.


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"words": "a"}', b'{"words": [1]}', b"[" * 100_000])
def test_a_request_of_no_form_is_refused(broker: Brokered, content: bytes):
    answer = broker.post("sbatch", content, broker.token("anna"))
    assert answer.status_code == 422
    assert "form" in broker.last().details["why"]


def test_a_request_without_end_is_not_read(broker: Brokered):
    with pytest.raises(httpx.HTTPError):
        broker.post("sbatch", b"x" * 8_000_000, broker.token("anna")).raise_for_status()


def test_those_who_come_slowly_keep_nobody_out(broker: Brokered, eventually: Eventually):
    """More connections than one address may have, none of which ever says what it wants."""
    port, token = broker.hub.deployment.ports["broker"], broker.token("anna")
    # From another address than the one from which others come.
    slow = [
        socket.create_connection(("127.0.0.1", port), source_address=("127.0.0.7", 0)) for _ in range(200)
    ]
    for number, line in enumerate(slow):
        try:
            line.sendall(
                b"POST /v1/sbatch HTTP/1.1\r\nContent-Length: 100\r\n" + (b"\r\n{" if number % 2 else b"")
            )
        except OSError:
            continue
    assert broker.post("squeue", {"words": []}, token).status_code == 200

    def closed(line: socket.socket) -> bool:
        line.settimeout(0.01)
        try:
            return line.recv(1000) == b""
        except TimeoutError:
            return False
        except OSError:
            return True

    gone: set[int] = set()

    def all_gone() -> bool:
        gone.update(number for number, line in enumerate(slow) if number not in gone and closed(line))
        return len(gone) == len(slow)

    eventually(
        lambda: len(gone) > 100 or all_gone() or len(gone) > 100, 10, "an end of those beyond the limit"
    )
    eventually(all_gone, 40, "an end of all that say nothing")
    for line in slow:
        line.close()


def test_nobody_sends_without_end(broker: Brokered):
    """The limit of submissions counts what is on disk, and so outlives the broker."""
    token = broker.token("ben")
    folder = broker.hub.state / "broker" / str(UIDS["ben"])
    folder.mkdir(exist_ok=True)
    made = [folder / f"{new_id()}.json" for _ in range(60)]
    try:
        for path in made:
            Path(path).write_text("{}")
        answer = broker.post("sbatch", body(), token)
        assert (answer.status_code, "60 times a minute" in answer.text) == (429, True)
        assert "60 times" in broker.last().details["why"]
    finally:
        for path in made:
            path.unlink()
