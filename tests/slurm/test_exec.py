"""wb-exec: a command in a released image, as its user."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from time import monotonic

import pytest

from slurmed import UIDS, VOLCANO, Slurm

pytestmark = [pytest.mark.slurm, pytest.mark.timeout(120)]

Exec = Callable[..., subprocess.CompletedProcess[str]]


def test_the_image_is_all_that_a_command_sees(execute: Exec, slurm_cluster: Slurm):
    seen = execute("sh", "-c", "cat /etc/issue; pwd; id -u; id -G; ls /").stdout.splitlines()
    home = str(slurm_cluster.home("anna"))
    assert seen[:3] == ["small image", home, str(UIDS["anna"])]
    assert str(VOLCANO) in seen[3].split() or "65534" in seen[3].split()
    shown = [*("bin", "dev", "etc", "home", "lib", "lib64", "proc", "run", "sys", "tmp", "usr", "var")]
    assert seen[4:] == shown


def test_a_home_is_where_it_is_outside(execute: Exec, slurm_cluster: Slurm):
    execute("sh", "-c", "echo kept > ~/from-inside")
    path = slurm_cluster.home("anna") / "from-inside"
    assert path.read_text() == "kept\n"
    assert path.stat().st_uid == UIDS["anna"]


@pytest.mark.parametrize("code", [0, 1, 7, 126, 255])
def test_the_exit_code_is_the_commands(execute: Exec, code: int):
    assert execute("sh", "-c", f"exit {code}", check=False).returncode == code


def test_what_a_signal_ended_says_so(execute: Exec):
    assert execute("sh", "-c", "kill -KILL $$", check=False).returncode == 128 + signal.SIGKILL


def test_a_command_that_is_not_there_says_so(execute: Exec):
    done = execute("nothing-of-that-name", check=False)
    assert done.returncode == 127
    assert "nothing-of-that-name" in done.stderr


def test_input_and_output_pass(slurm_cluster: Slurm, small_image: str):
    done = slurm_cluster.run(slurm_cluster.cluster.exec, small_image, "cat", "-", given="ναι\n")
    assert done.stdout == "ναι\n"
    assert done.stderr == ""


def test_slurms_variables_stay_and_the_rest_goes(execute: Exec):
    given = {
        "SLURM_JOB_ID": "7",
        "SLURMD_NODENAME": "n1",
        "OMP_NUM_THREADS": "2",
        "SECRET": "x",
        "DASK_X": "1",
    }
    lines = execute("env", more=given).stdout.splitlines()
    seen = dict(line.split("=", 1) for line in lines)
    assert {name: seen.get(name) for name in given} == {**given, "SECRET": None}
    assert seen["PATH"] == "/usr/local/bin:/usr/bin:/bin"


def test_the_command_knows_its_image(execute: Exec, small_image: str):
    seen = execute("sh", "-c", "echo $JUPYTER_IMAGE_SPEC", more={"JUPYTER_IMAGE_SPEC": "sha256:forged"})
    assert seen.stdout.strip() == small_image


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1])
def test_a_signal_reaches_the_command_once(slurm_cluster: Slurm, small_image: str, number: signal.Signals):
    script = (
        "import signal, sys, time\n"
        f"signal.signal({int(number)}, lambda *_: print('got it', flush=True))\n"
        "print('ready', flush=True)\n"
        "end = time.monotonic() + 1.5\n"
        "while time.monotonic() < end: time.sleep(0.1)\n"
        "sys.exit(5)"
    )
    started = slurm_cluster.start(slurm_cluster.cluster.exec, small_image, "python3", "-c", script)
    assert started.stdout is not None
    assert started.stdout.readline() == "ready\n"
    started.send_signal(number)
    said, _ = started.communicate(timeout=20)
    assert said == "got it\n"
    assert started.returncode == 5


def test_a_command_that_does_not_listen_ends_by_a_signal(slurm_cluster: Slurm, small_image: str):
    started = slurm_cluster.start(
        slurm_cluster.cluster.exec, small_image, "sh", "-c", "echo ready; exec sleep 60"
    )
    assert started.stdout is not None
    assert started.stdout.readline() == "ready\n"
    started.terminate()
    started.communicate(timeout=20)
    assert started.returncode == 128 + signal.SIGTERM


def test_a_command_ends_with_wb_exec(slurm_cluster: Slurm, small_image: str, eventually: Callable[..., None]):
    script = "echo ready; sleep 4321 & setsid sleep 4321 & wait"
    started = slurm_cluster.start(slurm_cluster.cluster.exec, small_image, "bash", "-c", script)
    assert started.stdout is not None
    assert started.stdout.readline() == "ready\n"
    started.kill()
    started.communicate(timeout=20)

    def sleeping() -> list[str]:
        found = subprocess.run(["pgrep", "-f", "sleep 4321"], capture_output=True, text=True, check=False)
        return found.stdout.split()

    eventually(lambda: not sleeping(), 10, "the end of all that it started")


def test_declared_files_and_nothing_else(execute: Exec, slurm_cluster: Slurm):
    home = slurm_cluster.home("anna")
    slurm_cluster.run("sh", "-c", "mkdir -p in out; echo data > in/data")
    script = f"cat {home}/in/data; ls -A {home}; touch {home}/in/x; echo result > {home}/out/r"
    seen = execute("sh", "-c", script, options=("--bare", "--read", f"{home}/in", "--write", "out"))
    assert seen.stdout.splitlines() == ["data", "in", "out"]
    assert "Read-only" in seen.stderr
    assert (home / "out/r").read_text() == "result\n"
    seen = execute("sh", "-c", f"ls -A {home.parents[1]}; echo $HOME; pwd", options=("--bare",), check=False)
    assert seen.stdout.splitlines() == ["/tmp", "/tmp"]


def test_archives_are_shown_to_those_who_may_see_them(placed, slurm_cluster: Slurm, open_folder: Path):
    for name in ("open", "volcano"):
        (open_folder / name).mkdir()
        (open_folder / name / "data").write_text(name)
    shown = [{"path": str(open_folder / "open")}, {"path": str(open_folder / "volcano"), "groups": [VOLCANO]}]
    program, digest = placed(read_only=[*shown, {"path": "/archive/that/is/not/here"}])
    look = ("sh", "-c", f"ls {open_folder}; touch {open_folder}/open/x")
    seen = {user: slurm_cluster.run(program, digest, *look, user=user, check=False) for user in UIDS}
    assert seen["anna"].stdout.split() == ["open", "volcano"]
    assert seen["ben"].stdout.split() == ["open"]
    assert "Read-only" in seen["anna"].stderr
    assert "/archive/that/is/not/here is not here" in seen["anna"].stderr
    assert not (open_folder / "open/x").exists()


def test_it_takes_no_time(execute: Exec):
    execute("env")
    begun = monotonic()
    execute("env")
    assert monotonic() - begun < 2


def test_a_job_runs_in_the_image(slurm: Slurm, small_image: str):
    job = slurm.submit(f"{slurm.cluster.exec} {small_image} sh -c 'cat /etc/issue; echo $SLURM_JOB_ID $HOME'")
    assert slurm.wait(job) == "COMPLETED"
    assert slurm.output(job).splitlines() == ["small image", f"{job} {slurm.home('anna')}"]


def test_a_job_over_three_nodes_runs_in_the_image(slurm: Slurm, small_image: str):
    words = f"srun {slurm.cluster.exec} {small_image} sh -c 'echo $SLURMD_NODENAME $JUPYTER_IMAGE_SPEC'"
    job = slurm.submit(words, "--nodes=3", "--ntasks=3")
    assert slurm.wait(job) == "COMPLETED"
    assert sorted(slurm.output(job).splitlines()) == [f"{node} {small_image}" for node in sorted(slurm.nodes)]


def test_a_job_that_is_cancelled_hears_of_it_once_and_may_clean_up(
    slurm: Slurm, small_image: str, eventually: Callable[..., None]
):
    script = slurm.home("anna") / "patient.py"
    script.write_text(
        "import signal, time\n"
        "got = []\n"
        "signal.signal(signal.SIGTERM, lambda *_: got.append(1))\n"
        "print('ready', flush=True)\n"
        "while not got: time.sleep(0.05)\n"
        "time.sleep(0.5)\n"
        "print(len(got), 'heard', flush=True)\n"
    )
    script.chmod(0o644)
    # SLURM tells the script alone: a shell that waits would keep it to itself.
    job = slurm.submit(f"exec {slurm.cluster.exec} {small_image} python3 {script}")
    eventually(lambda: "ready" in slurm.output(job), 20, "the job")
    slurm.run("scancel", str(job))
    eventually(lambda: "heard" in slurm.output(job), 10, "its last words")
    assert "1 heard" in slurm.output(job)


def test_memory_counts_in_the_image_too(slurm: Slurm, small_image: str):
    hog = "python3 -c \"x = bytearray(300 * 2**20); print('never')\""
    job = slurm.submit(f"{slurm.cluster.exec} {small_image} {hog}", "--mem=100")
    assert slurm.wait(job) == "OUT_OF_MEMORY"
    assert "never" not in slurm.output(job)
    # What lies in its /tmp is in memory, and counts as well.
    full = "python3 -c \"open('/tmp/x', 'wb').write(bytes(300 * 2**20)); print('never')\""
    job = slurm.submit(f"{slurm.cluster.exec} {small_image} {full}", "--mem=100")
    assert slurm.wait(job) == "OUT_OF_MEMORY"
    assert "never" not in slurm.output(job)


def test_what_is_written_down_of_an_image(slurm_cluster: Slurm, small_image: str):
    about = json.loads((slurm_cluster.cluster.images.folder / small_image / "image.json").read_text())
    assert about["digest"] == small_image
    assert about["start"] == []
