"""Names that files, containers and hosts can have, for names that people have.

What an identity provider admits as a name may hold anything: spaces, dots,
letters of any script.  Two people's names never give the same safe name, also
when one of them chose theirs for that.
"""

from __future__ import annotations

import re
from hashlib import sha256

from jupyterhub.slugs import safe_slug

__all__ = ["safe_host", "safe_name"]

_LONGEST_PLAIN = 32  # as long as Linux lets a user's name be
_HASH = 32  # 128 bits: nobody finds a second name for the same one
_LONGEST_WORD = 30
_PLAIN = re.compile(r"[a-z](?:[a-z0-9_]|[.-](?=[a-z0-9_]))*")
_HOST = re.compile(r"[a-z](?:[a-z0-9]|-(?=[a-z0-9]))*")


def safe_name(name: str) -> str:
    """Return a name for a directory or a container: at most 63 of ``a-z 0-9 _ . -``.

    Plain names stay as they are, up to 32 characters; others get a hash and
    have more than 32, so that none of the one kind is one of the other.  There
    is never ``--`` in it, so that two joined by ``--`` come apart again.

    Examples
    --------
    >>> safe_name("alice"), safe_name("j.doe")
    ('alice', 'j.doe')
    >>> safe_name("../Älice")
    'alice-12b68393f80bca1495c46f4f862a15cc'
    """
    return _safe(name, _PLAIN)


def safe_host(name: str) -> str:
    """Return a name for a host, that is one label of the DNS.

    Examples
    --------
    >>> safe_host("alice")
    'alice'
    >>> safe_host("j.doe")
    'j-doe-d50cd4b1ae3e1029e92aa3d9c4fed342'
    """
    return _safe(name, _HOST)


def _safe(name: str, plain: re.Pattern[str]) -> str:
    if len(name) <= _LONGEST_PLAIN and plain.fullmatch(name):
        return name
    word = safe_slug(name, avoid_collisions=False, max_length=_LONGEST_WORD) if name else "x"
    return f"{word}-{sha256(name.encode(errors='surrogatepass')).hexdigest()[:_HASH]}"
