"""Why SLURM does not take a job, or does not start it: its words, in ours, with what to do."""

from __future__ import annotations

import re
from dataclasses import dataclass

from workbench.errors import InvalidSetting, ResourceExceeded, Unavailable, WorkbenchError

__all__ = ["Reason", "reason_of", "refusal"]

_ALONE = "kind='local' works on this machine alone, without SLURM."

_REFUSALS: tuple[tuple[str, type[WorkbenchError], str, str, str], ...] = (
    (
        r"the broker at .* does not answer|error: broker: The hub",
        Unavailable,
        "SLURM's broker",
        "does not answer",
        f"Try again in a minute. {_ALONE}",
    ),
    (r"error: broker: ", InvalidSetting, "SLURM's broker", "refuses", "It says what it takes."),
    (
        r"[Mm]unge|authentication error",
        Unavailable,
        "munge",
        "does not answer here, so that SLURM does not know who asks",
        f"Ask for munged to be started, or its socket to be mounted into this container. {_ALONE}",
    ),
    (
        r"Unable to contact slurm controller|Connection refused|Socket timed out",
        Unavailable,
        "SLURM's controller",
        "does not answer",
        f"`sinfo` works when it does. {_ALONE}",
    ),
    (
        r"stat file|Unable to process configuration|ClusterName needs",
        Unavailable,
        "slurm.conf",
        "is not there, or cannot be read",
        f"SLURM_CONF names it. {_ALONE}",
    ),
    (
        r"[Ii]nvalid partition",
        InvalidSetting,
        "The partition",
        "is unknown to SLURM",
        "`sinfo` lists the partitions; name one as partition= or in WORKBENCH_PARTITION.",
    ),
    (
        r"[Ii]nvalid account|account/partition combination",
        InvalidSetting,
        "The account",
        "is not one that you may use there",
        "Name one of yours as account= or in WORKBENCH_ACCOUNT; the operators know them.",
    ),
    (
        r"partition not available|Partition.*(down|inactive|drain)",
        Unavailable,
        "The partition",
        "takes no jobs now",
        "`sinfo` shows which one does; name it as partition=.",
    ),
    (
        r"node configuration is not available|Memory specification|CPU count",
        InvalidSetting,
        "The job",
        "asks for more cores or memory than any node of the partition has",
        "Ask for less: `sinfo -o '%P %c %m'` shows cores and MB of the nodes.",
    ),
    (
        r"time limit is invalid|time limit specification",
        InvalidSetting,
        "The job",
        "asks for more time than the partition gives",
        "Ask for a shorter walltime=: `sinfo -o '%P %l'` shows the longest.",
    ),
    (
        r"[Ll]imit|QOS|MaxSubmit|MaxJobs",
        ResourceExceeded,
        "The job",
        "is beyond what you may have at a time",
        "Wait until others of your jobs have ended, or ask for less.",
    ),
    (
        r"Jobs are for people|[Rr]oot.*(disabled|not allowed)",
        InvalidSetting,
        "SLURM",
        "takes no jobs of root, nor of accounts of the machine",
        "Ask as a user: from a server of the hub, or by `runuser -u NAME`.",
    ),
    (
        r"array",
        InvalidSetting,
        "The jobs",
        "are more than SLURM takes in one array",
        "Submit fewer at a time.",
    ),
)


def refusal(program: str, said: str) -> WorkbenchError:
    """Return the error for what one of SLURM's commands said when it failed.

    Examples
    --------
    >>> print(refusal("sbatch", "sbatch: error: invalid partition specified: fast"))
    The partition: is unknown to SLURM (invalid partition specified: fast). `sinfo` lists the partitions; \
name one as partition= or in WORKBENCH_PARTITION.
    """
    words = _words(said)
    for pattern, kind, subject, problem, remedy in _REFUSALS:
        if re.search(pattern, said):
            return kind(subject, f"{problem} ({words})", remedy)
    return Unavailable(program, f"was refused ({words or 'without a word'})", "`workbench doctor cluster`")


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a job waits.

    Attributes
    ----------
    code : str
        SLURM's word.
    problem, remedy : str
        What it means, and what to do.
    passes : bool
        Whether the job begins by itself sooner or later.
    """

    code: str
    problem: str
    remedy: str
    passes: bool = True

    @property
    def said(self) -> str:
        """What it means, with SLURM's word for it if there is one."""
        return self.problem if self.code == "None" else f"{self.problem} ({self.code})"

    def error(self, subject: str) -> WorkbenchError:
        """Return it as an error about something."""
        return Unavailable(subject, self.said, self.remedy)


_OTHER = "Choose another as partition=, or wait: it is the operators' to change."

_REASONS: tuple[tuple[str, str, str, bool], ...] = (
    ("PartitionDown|PartitionInactive", "the partition is down", _OTHER, False),
    (
        "PartitionTimeLimit|TimeLimit",
        "asks for more time than the partition gives",
        "Ask for a shorter walltime=.",
        False,
    ),
    (
        "PartitionNodeLimit|PartitionConfig|BadConstraints|MaxCpuPerAccount|MaxMemPerLimit",
        "asks for more than the partition has",
        "Ask for fewer cores or less memory.",
        False,
    ),
    (
        "AccountNotAllowed|InvalidAccount|[Aa]ccount.*(can't use|not permitted|not known)|AccountingPolicy",
        "the account may not use the partition",
        "Name another as account=, or another partition=.",
        False,
    ),
    ("InvalidQOS|QOSNotAllowed", "the quality of service is not one of yours", "Ask the operators.", False),
    (
        "JobHeldUser",
        "is held by you",
        "`scontrol release NUMBER` lets it go.",
        False,
    ),
    ("JobHeldAdmin|launch failed", "is held by the operators", "Ask them.", False),
    (
        "ReqNodeNotAvail|Nodes required for job are DOWN|NodeDown",
        "its nodes are down, drained or reserved",
        "`sinfo -R` shows why; choose another partition=, or wait.",
        True,
    ),
    (
        "Assoc.*Limit|AssocGrp|AssocMax|QOSGrp|QOSMax|QOS.*Limit|MaxJobs",
        "waits, since you or your account have as much as allowed",
        "It begins when others of the jobs have ended.",
        True,
    ),
    ("Dependency", "waits for another job", "", True),
    (
        "Resources|Priority|^None$|BeginTime|Licenses|Reservation|Cleaning|Prolog",
        "waits for its turn",
        "",
        True,
    ),
)


def reason_of(code: str) -> Reason:
    """Return what a reason of SLURM's for a waiting job means.

    Examples
    --------
    >>> reason_of("PartitionDown").passes
    False
    """
    for pattern, problem, remedy, passes in _REASONS:
        if re.search(pattern, code):
            return Reason(code, problem, remedy, passes)
    return Reason(code, "waits", "`scontrol show job NUMBER` tells more.")


def _words(said: str) -> str:
    """Return the telling line of what a command said, without its name."""
    lines = [re.sub(r"^\w+: (error: |fatal: )?", "", line).strip() for line in said.splitlines()]
    lines = [line for line in lines if line and "retrying" not in line]
    telling = [line for line in lines if re.search("Munge encode failed|invalid|Invalid", line)]
    return (telling or lines or [""])[0].rstrip(".")
