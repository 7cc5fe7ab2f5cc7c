"""Attacks on the broker by those who hold a token: each is refused with a reason, and written down.

What is refused there, plain sbatch takes: the same words are sent to it too.
"""

from __future__ import annotations

import base64
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from brokered import Brokered, new_id
from slurmed import UIDS
from smallimage import SHIMS

pytest_plugins = ["brokers", "opening"]
pytestmark = [pytest.mark.slurm, pytest.mark.timeout(240)]

TRUE = "#!/bin/sh\ntrue\n"
OUTSIDE = "/var/tmp/wbt-outside"
# What is sent, what the refusal names, and whether plain sbatch takes it.
FORGED = {
    "uid": (["--uid=0"], "--uid", False),
    "gid": (["--gid=0"], "--gid", False),
    "uid of another": ([f"--uid={UIDS['ben']}"], "--uid", False),
    "wrap": (["--wrap=id"], "--wrap", True),
    "comment": (["--comment=broker user=ben"], "--comment", True),
    "admin comment": (["--admin-comment=x"], "--admin-comment", False),
    "an abbreviation": (["--comm=broker user=ben"], "--comm", True),
    "account": (["--account=ben"], "--account=ben", True),
    "another's account": (["-A", "root"], "--account=root", True),
    "partition": (["--partition=short"], "--partition=short", True),
    "one of several partitions": (["-p", "main,short"], "--partition=short", True),
    "environment": (["--export=ALL"], "--export=ALL", True),
    "a variable": (["--export=NONE,LD_PRELOAD=/tmp/x.so"], "--export", True),
    "a file of variables": (["--export-file=/etc/passwd"], "--export-file", True),
    "the user's shell": (["--get-user-env=10L"], "--get-user-env", True),
    "input": (["--input=/etc/shadow"], "--input", True),
    "a node": (["--nodelist=x"], "--nodelist", False),
    "many nodes": (["--nodes=2"], "--nodes=2", True),
    "many tasks": (["--ntasks=2"], "--ntasks=2", True),
    "a reservation": (["--reservation=x"], "--reservation", False),
    "a burst buffer": (["--bbf=/etc/passwd"], "--bbf", False),
    "a plugin": (["--container=/"], "--container", False),
    "priority": (["--nice=-100"], "--nice", False),
    "for ever": (["--time=UNLIMITED"], "--time", False),
    "all memory": (["--mem=0"], "--mem=0", True),
    "output elsewhere": ([f"--output={OUTSIDE}/%j"], "--output", True),
    "output above": (["--output=../ben/%j"], "--output", True),
    "error elsewhere": ([f"--error={OUTSIDE}/%j"], "--error", True),
    "a name that leads up": (["--job-name=..", "--output=%x/stolen"], "--job-name", True),
    "a slash in a name": (["--job-name=a/b"], "--job-name", True),
    "signs of SLURM's": (["--output=a\\%j"], "--output", True),
    "chdir elsewhere": ([f"--chdir={OUTSIDE}"], "--chdir", True),
    "chdir to another": (["-D", "../ben"], "--chdir", True),
    "a line break": (["--job-name=a\n#SBATCH --uid=0"], "--job-name", True),
    "a line break in output": (["--output=a\nb"], "--output", True),
    "a bomb of arrays": (["--array=0-1000000"], "--array", False),
    "many small ranges": (["--array=" + ",".join(f"{n}" for n in range(0, 2002, 2))], "--array", False),
    "a range without end": (["--array=0-5:0"], "--array", False),
    "no array": (["--array=$(id)"], "--array", False),
    "an odd dependency": (["--dependency=afterok:1,expand:1"], "--dependency", False),
    "a signal": (["--signal=B:KILL;id"], "--signal", False),
    "a letter that there is none of": (["-k"], "-k", True),
    "letters together": (["-QHk"], "-k", True),
    "no value": (["--account"], "--account", False),
}


@pytest.fixture(scope="module", autouse=True)
def outside() -> None:
    """Make a folder that everybody may write to."""
    folder = Path(OUTSIDE)
    folder.mkdir(exist_ok=True)
    folder.chmod(0o777)
    yield
    subprocess.run(["rm", "-rf", OUTSIDE], check=True)


def refused(broker: Brokered, said: subprocess.CompletedProcess[str], names: str, user: str = "anna") -> None:
    """See that something was refused, in words, and that it is written down; no job came of it."""
    assert said.returncode != 0, said.stdout
    assert "error: broker: " in said.stderr, said.stderr
    assert names in said.stderr
    last = broker.last()
    assert (last.event, last.actor) == ("job refused", user)
    assert names.replace("\n", "\\n")[:30] in last.details["why"].replace("\n", "\\n")
    assert broker.slurm.root_command("squeue", "-h") == ""


@pytest.mark.parametrize("what", FORGED)
def test_a_forged_option_is_refused(broker: Brokered, what: str):
    words, names, _ = FORGED[what]
    refused(broker, broker.run("sbatch", *words, given=TRUE, check=False), names)


def test_the_same_in_a_script_is_refused(broker: Brokered):
    for words, names, _ in FORGED.values():
        # A line of a script has no line breaks.
        if any("\n" in word for word in words):
            continue
        line = " ".join(f"'{word}'" for word in words)
        script = f"#!/bin/sh\n#SBATCH {line}\ntrue\n"
        refused(broker, broker.run("sbatch", given=script, check=False), names)


@pytest.mark.parametrize("what", [what for what, (_, _, taken) in FORGED.items() if taken])
def test_plain_sbatch_takes_it(broker: Brokered, what: str):
    """So that it is the broker that refuses."""
    broker.slurm.run("sbatch", "--hold", *FORGED[what][0], given=None if what == "wrap" else TRUE)
    assert broker.slurm.root_command("squeue", "-h") != ""


LINKS: dict[str, Callable[[Path, Path], list[str]]] = {
    "a file": lambda home, to: [(home / "link").symlink_to(to / "stolen"), ["--output=link"]][1],
    "a folder": lambda home, to: [(home / "link").symlink_to(to), ["--output=link/%j"]][1],
    "a folder of a folder": lambda home, to: [(home / "link").symlink_to(to), ["--chdir=link"]][1],
    "one after the other": lambda home, to: [
        (home / "link").symlink_to("second"),
        (home / "second").symlink_to(to),
        ["--error=link/x"],
    ][2],
}


@pytest.mark.parametrize("what", LINKS)
def test_a_link_that_leads_out_of_the_home_is_refused(broker: Brokered, what: str):
    home = broker.slurm.home("anna")
    try:
        words = LINKS[what](home, Path(OUTSIDE))
        refused(broker, broker.run("sbatch", *words, given=TRUE, check=False), words[0])
        done = broker.slurm.run("sbatch", "--hold", *words, given=TRUE)
        assert "Submitted" in done.stdout
        broker.slurm.clean()
    finally:
        for name in ("link", "second"):
            (home / name).unlink(missing_ok=True)


def test_a_link_that_is_made_later_leads_to_nothing_of_anothers(broker: Brokered):
    """Whoever exchanges a file after it was looked at has the rights of the user, whom SLURM opens it as."""
    slurm = broker.slurm
    mine, theirs = slurm.home("anna"), slurm.home("ben")
    (theirs / "catalogue").write_text("ben's")
    os.chown(theirs / "catalogue", UIDS["ben"], UIDS["ben"])
    job = broker.submit("echo anna's", "--hold", "--output=later")
    (mine / "later").symlink_to(theirs / "catalogue")
    slurm.root_command("scontrol", "release", str(job))
    slurm.wait(job)
    assert (theirs / "catalogue").read_text() == "ben's"
    (mine / "later").unlink()


SCRIPTS = {
    "no first line": ("id\n", "#!"),
    "nothing": ("", "#!"),
    "of DOS": ("#!/bin/sh\r\nid\r\n", "DOS"),
    "too long": ("#!/bin/sh\n" + "#" * 2**20, "longer"),
    "an odd quote": ("#!/bin/sh\n#SBATCH --job-name='a\n", "cannot be read"),
    "no option": ("#!/bin/sh\n#SBATCH id\n", "no option"),
}


@pytest.mark.parametrize("what", SCRIPTS)
def test_a_script_that_is_none_is_refused(broker: Brokered, what: str):
    script, names = SCRIPTS[what]
    refused(broker, broker.run("sbatch", given=script, check=False), names)


INNER = """#!/bin/sh
# END OF SCRIPT
true <<'END OF SCRIPT'
END OF SCRIPT
#SBATCH --uid=0 --comment=forged
test -e {root}/slurm/control && echo "the node"
test -e {root}/slurm/munge && echo munge
test -e {root}/homes/ben && echo ben
echo end
"""


def test_what_a_script_does_it_does_in_the_image(broker: Brokered):
    """Also where it has the words in it that end it in ours; plain sbatch runs it on the node itself."""
    slurm = broker.slurm
    script = INNER.format(root=slurm.root)
    job = broker.submit(script)
    assert slurm.wait(job) == "COMPLETED"
    assert slurm.output(job) == "end\n"
    assert "forged" not in slurm.root_command("scontrol", "show", "job", str(job))
    plain = slurm.submit(script)
    slurm.wait(plain)
    assert slurm.output(plain).splitlines()[:3] == ["the node", "munge", "ben"]


def test_words_after_the_script_are_the_scripts(broker: Brokered):
    slurm = broker.slurm
    path = slurm.home("anna") / "said.sh"
    path.write_text('#!/bin/sh\nid -u\nfor word in "$@"; do echo "<$word>"; done\n')
    odd = ["--uid=0", "a b", "$(id)", "'; id #", "--account=root"]
    said = broker.run("sbatch", "--output=job-%j.out", "said.sh", *odd)
    job = int(said.stdout.split()[-1])
    assert slurm.wait(job) == "COMPLETED"
    assert slurm.output(job).splitlines() == [str(UIDS["anna"]), *(f"<{word}>" for word in odd)]


def test_the_environment_of_a_server_goes_nowhere(broker: Brokered, tmp_path: Path):
    """Neither what the linker reads, nor what SLURM's commands read, nor what the shims do."""
    odd = {
        "LD_PRELOAD": "/nonexistent.so",
        "SBATCH_ACCOUNT": "root",
        "SBATCH_EXPORT": "ALL",
        "SBATCH_UID": "0",
        "SLURM_CONF": "/etc/passwd",
        "INJECTED": "yes",
        "PYTHONPATH": str(tmp_path),
    }
    slurm = broker.slurm
    job = broker.submit("env", more=odd)
    assert slurm.wait(job) == "COMPLETED"
    # SLURM_CONF is that of the cluster, which its own variables name.
    there = dict(line.split("=", 1) for line in slurm.output(job).splitlines() if "=" in line)
    assert not {*there} & ({*odd} - {"SLURM_CONF"}), there
    assert there["SLURM_JOB_ACCOUNT"] == "everybody"
    assert there["SLURM_CONF"] == str(slurm.conf)
    assert not any("TOKEN" in name for name in there)
    plain = slurm.run(
        "sbatch", "--parsable", "--output=job-%j.out", given="#!/bin/sh\nenv\n", more={"INJECTED": "yes"}
    )
    slurm.wait(int(plain.stdout))
    assert "INJECTED=yes" in slurm.output(int(plain.stdout))


def test_wb_exec_in_a_job_is_what_it_is_outside(broker: Brokered):
    """A script may make its own environment first, as those of Dask's workers do."""
    slurm = broker.slurm
    there = f"wb-exec {broker.image} -- sh -c 'echo $PATH $HOME; sh -c \"exit 7\"'"
    job = broker.submit(
        f"HOME=/; export HOME; PATH=/nowhere; export PATH; exec /opt/workbench/broker/{there}"
    )
    assert slurm.wait(job) == "FAILED"
    path, home = slurm.output(job).split()
    assert "/bin" in path.split(":")
    assert home == str(slurm.home("anna"))
    assert "ExitCode=7:0" in slurm.root_command("scontrol", "show", "job", str(job))
    job = broker.submit(f"exec wb-exec sha256:{'0' * 64} -- true")
    slurm.wait(job)
    assert "is not the image of this job" in slurm.output(job)


def test_another_users_job_is_neither_seen_nor_touched(broker: Brokered):
    slurm = broker.slurm
    job = str(broker.submit("sleep 60", "--job-name=bens", user="ben"))
    slurm.wait(int(job), "RUNNING")
    for words in (["squeue"], ["squeue", "-h", f"--jobs={job}"], ["squeue", "--all", "--name=bens"]):
        assert "bens" not in broker.run(*words, check=False).stdout
    attempts = {
        f"scancel {job}": ["scancel", job],
        "scancel ": ["scancel", "--signal=USR1", f"{job}_1"],
        "scontrol update": ["scontrol", "update", f"JobId={job}", "TimeLimit=1"],
        "scontrol write": ["scontrol", "write", "batch_script", job, "-"],
        "scontrol hold": ["scontrol", "hold", job],
        "squeue --user=ben": ["squeue", "--user=ben"],
        "--user": ["scancel", "--user=ben"],
        "--state": ["scancel", "--state=RUNNING"],
        "--uid": ["sacct", "--uid=ben"],
        "--allusers": ["sacct", "--allusers"],
    }
    for names, words in attempts.items():
        said = broker.run(*words, check=False)
        assert said.returncode, words
        assert names in said.stderr, said.stderr
        assert names in broker.last().details["why"]
    said = broker.run("sbatch", f"--dependency=afterany:{job}", given=TRUE, check=False)
    assert "no job of yours" in said.stderr
    shown = broker.run("scontrol", "show", "job", job, check=False)
    assert "bens" not in shown.stdout
    assert slurm.state(int(job)) == "RUNNING"
    assert broker.run("scancel", job, user="ben").returncode == 0


@pytest.mark.parametrize("name", ["sbatch", "squeue", "scancel", "sinfo", "scontrol", "sacct"])
def test_without_a_token_a_shim_says_why(broker: Brokered, name: str):
    """As in a job, which has none."""
    done = broker.run(name, more={"JUPYTERHUB_API_TOKEN": ""}, given="", check=False)
    assert done.returncode == 1
    assert "JUPYTERHUB_API_TOKEN is not set" in done.stderr
    assert "--dependency" in done.stderr


def test_the_shims_know_which_options_have_values():
    """Or they would take a value for the script."""
    from importlib.machinery import SourceFileLoader
    from importlib.util import module_from_spec, spec_from_loader

    from workbench_hub.broker.options import VALUES

    spec = spec_from_loader("shim", SourceFileLoader("shim", str(SHIMS / "shim")))
    shim = module_from_spec(spec)
    spec.loader.exec_module(shim)
    assert {f"--{name}" for name in VALUES} == shim.VALUES
    assert {letter for letter in VALUES.values() if letter} == {*shim.LETTERS}
    assert shim.named(["-QH", "-n", "1", "-Jfit", "--mem", "1G", "--time=1", "fit.sh", "a"]) == "fit.sh"


def test_what_is_sent_beside_the_form_counts_for_nothing(broker: Brokered):
    """A program of one's own may send what it likes: the token says who it is."""
    token = broker.token("anna")
    body = {
        "words": ["--parsable", "--output=job-%j.out"],
        "script": base64.b64encode(b"#!/bin/sh\nid -u\n").decode(),
        "id": new_id(),
        "user": "ben",
        "uid": 0,
        "server": "x",
        "image": "sha256:" + "0" * 64,
        "comment": "forged",
    }
    answer = broker.post("sbatch", body, token).json()
    job = int(answer["stdout"])
    broker.slurm.wait(job)
    assert broker.slurm.output(job) == f"{UIDS['anna']}\n"
    about = broker.slurm.root_command("scontrol", "show", "job", str(job))
    assert f"user=anna server=- image={broker.image}" in about
