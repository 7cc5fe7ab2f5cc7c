"""What the doctor asks of the broker: whether it lets in nobody, and the cluster is behind it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from secrets import token_hex

import httpx

from workbench_hub.deployment import Deployment
from workbench_hub.doctor.checks import Finding

__all__ = ["examine"]

_SECONDS = 20.0


def examine(d: Deployment) -> Iterator[Finding]:
    """Ask the broker without a token, and with one that is nobody's; ask whether the controller is well."""
    url = f"http://{d.ip}:{d.ports['broker']}"
    with httpx.Client(timeout=_SECONDS, trust_env=False) as http:
        for what, token in (("without a token", ""), ("with a token of nobody's", token_hex(16))):
            headers = {"Authorization": f"token {token}"} if token else {}
            try:
                answer = http.post(f"{url}/v1/squeue", json={"words": []}, headers=headers)
            except httpx.HTTPError as error:
                yield Finding(f"Broker: {what}", False, f"does not answer ({error})", "See logs/broker.log.")
                return
            good = answer.status_code == httpx.codes.FORBIDDEN
            said = "refused" if good else f"{answer.status_code} {answer.text[:200]}"
            yield Finding(f"Broker: {what}", good, said, "" if good else "See logs/broker.log, logs/hub.log.")
    scheduler = d.slurm
    if scheduler is None:
        return
    words, environment = ["scontrol", "ping"], {"SLURM_CONF": str(scheduler.conf), "PATH": "/usr/bin:/bin"}
    try:
        done = subprocess.run(
            words, env=environment, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
        good, said = done.returncode == 0, (done.stdout or done.stderr).strip()
    except (OSError, subprocess.TimeoutExpired) as error:
        good, said = False, str(error)
    yield Finding("Broker: SLURM's controller", good, said[:200], "" if good else "Is slurmctld well?")
