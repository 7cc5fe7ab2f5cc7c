"""What a person is told when a server does not start, ends, or runs out of something."""

from __future__ import annotations

import re
from time import monotonic

import pytest

from spawning import ANSWER, failed, program, run, said, users
from workbench_hub.health import wait_for

pytestmark = pytest.mark.docker


def test_a_program_that_fails_at_once_is_explained_at_once(site, containers):
    spawner = site.spawner("anna")
    spawner.cmd = program("import sys; print('<b>my last words</b>'); sys.exit(3)")
    begun = monotonic()
    error = failed(spawner)
    assert monotonic() - begun < 8
    assert error.diagnosis.cause == "ended"
    assert "exit code 3" in str(error.diagnosis)
    assert "&lt;b&gt;my last words&lt;/b&gt;" in error.jupyterhub_html_message
    assert containers() == []
    assert spawner.record.ended == error.diagnosis
    assert "my last words" in spawner.told


def test_a_program_that_never_answers_is_given_up_with_the_reason(site):
    spawner = site.spawner("anna")
    spawner.start_timeout = 8
    spawner.cmd = program("import time; print('busy', flush=True); time.sleep(600)")
    error = failed(spawner)
    assert error.diagnosis.cause == "silent"
    assert error.diagnosis.log == ("busy",)


def test_a_module_that_the_image_lacks_is_named(site):
    spawner = site.spawner("anna")
    spawner.cmd = program("import nothing_of_that_name")
    assert "has no Python module 'nothing_of_that_name'" in str(failed(spawner).diagnosis)


def test_a_program_that_is_not_there_is_named(site):
    spawner = site.spawner("anna")
    spawner.cmd = ["/no/such/program"]
    assert failed(spawner).diagnosis.cause == "command"


def test_an_image_that_was_removed_is_named(site):
    site.build("sha256:" + "1" * 64)
    error = failed(site.spawner("anna"))
    assert error.diagnosis.cause == "image"
    assert "'standard' is not on this machine" in str(error.diagnosis)


def test_out_of_memory_at_start_is_told(site):
    spawner = site.spawner("anna")
    spawner.cmd = program("import time; time.sleep(1); x = bytearray(400 * 2**20)")
    error = failed(spawner)
    assert error.diagnosis.cause == "memory"
    assert "its limit of 128 MiB" in str(error.diagnosis)


CHILD = """
import subprocess, sys, threading
child = "bytearray(400 * 2**20)"
def end():
    print("ended with", subprocess.run([sys.executable, "-c", child]).returncode, flush=True)
threading.Timer(1.5, end).start()
"""


def test_a_kernel_that_ran_out_of_memory_is_noted_while_its_server_goes_on(site):
    spawner = site.spawner("anna")
    spawner.cmd = program(CHILD + ANSWER)
    run(spawner.start())
    wait_for(lambda: "ended with -9" in said(spawner), 20, "the end of the child")
    assert run(spawner.poll()) is None
    assert run(spawner.poll()) is None
    (notice,) = spawner.notices
    assert "the limit is 128 MiB" in notice.words
    assert run(site.restarted(spawner).poll()) is None
    assert len(spawner.notices) == 1
    run(spawner.stop())
    # The next session counts anew.
    run(spawner.start())
    assert spawner.notices == ()
    wait_for(lambda: "ended with -9" in said(spawner), 20, "the end of the child")
    assert run(spawner.poll()) is None
    assert len(spawner.notices) == 1
    run(spawner.stop())


@pytest.mark.parametrize(
    ("end", "cause", "words"),
    [
        ("import os; os._exit(7)", "ended", "exit code 7"),
        ("x = bytearray(400 * 2**20)", "memory", "its limit of 128 MiB"),
        ("open('/etc/passwd', 'w')", "permission", "may not use|read-only"),
    ],
    ids=["exit", "memory", "error"],
)
def test_a_server_that_ends_later_is_explained_when_its_user_comes_back(site, end, cause, words):
    code = (
        f"import threading, os\nthreading.Timer(2, lambda: os.kill(os.getpid(), 10)).start()\n"
        f"import signal\ndef end(*_):\n    try:\n        {end}\n    finally:\n        os._exit(7)\n"
        f"signal.signal(10, end)\n"
    )
    spawner = site.spawner("anna")
    spawner.cmd = program(code + ANSWER)
    run(spawner.start())
    wait_for(lambda: run(spawner.poll()) is not None, 20, "its end")
    run(spawner.run_post_stop_hook())
    ended = site.restarted(spawner).record.ended
    assert ended is not None
    if cause != "permission":
        assert ended.cause == cause
        assert re.search(words, str(ended))
    assert "uid 2" in spawner.told
    # A server that starts well is no longer explained.
    spawner.cmd = program(ANSWER)
    run(spawner.start())
    assert spawner.told == ""
    run(spawner.stop())


def test_a_container_that_was_removed_from_outside_is_explained(site, docker_daemon):
    spawner = site.spawner("anna")
    run(spawner.start())
    with docker_daemon.client() as client:
        client.containers.get(spawner.object_name).remove(force=True)
    assert run(spawner.poll()) is not None
    assert spawner.record.ended is not None
    assert spawner.record.ended.cause == "gone"


def test_a_server_that_was_stopped_is_not_explained(site):
    spawner = site.spawner("anna")
    run(spawner.start())
    run(spawner.stop())
    assert run(spawner.poll()) is not None
    assert spawner.told == ""


def test_a_full_home_is_told_and_locks_nobody_out(docker_daemon, image, network, tmp_path):
    home = {"quota": "8 MiB", "method": "loop", "inodes": 10_000}
    with users(tmp_path, image, docker_daemon.url, network, home=home) as site:
        spawner = site.spawner("anna")
        spawner.cmd = program(
            "try:\n with open('fill', 'wb') as f:\n  while True: f.write(bytes(2**16))\n"
            "except OSError as e: print(e)\n" + ANSWER
        )
        try:
            run(spawner.start())
            assert "No space left" in said(spawner)
            run(spawner.stop())
            run(spawner.run_post_stop_hook())
            spawner.cmd = program(ANSWER)
            run(spawner.start())
            assert any("Your home is full" in words for words in spawner._done)
            run(spawner.stop())
            spawner.cmd = program("open('more', 'wb').write(bytes(2**20))")
            error = failed(spawner)
            assert error.diagnosis.cause == "home"
            assert "Your home is full" in str(error.diagnosis)
        finally:
            run(spawner.run_post_stop_hook())
        assert not (site.state / "homes" / "anna").is_mount()
