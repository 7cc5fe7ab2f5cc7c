"""Writes docs/policy.md and docs/policy.schema.json from the model of the policy.

``python -m workbench_hub.policy.reference`` writes them, in the folder ``docs``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from workbench_hub.policy.model import Policy

__all__ = ["FILES", "reference", "schema"]

_HEAD = """\
# The policy

What a site allows, to whom: one YAML file, `WORKBENCH_POLICY`. The hub reads it when it starts, and starts
with all of it or not at all; every error is told at once, with its line and what to do
(`workbench-hub policy check FILE` does that beforehand). `hub/policy.yaml` is the one that comes with the
hub. Editors that know JSON Schema take `docs/policy.schema.json`.

Sizes are written `512 MiB` or `10 GiB`, times `30 min`, `12 h` or `7 d`. Only `true` and `false` are truth
values, so that the network `NO` is a network. A name that is not known, also in a list of groups or images,
is an error.

This page is generated from the model by `make docs`; change the model, not the page.
"""

_NOTES = {
    "Rule": """\
A network that is `open` everybody sees, one that is `restricted` its groups see, one that is `embargoed`
its groups see until `until` and everybody from then on. Servers get what their user sees when they start,
mounted read-only; what has changed since then counts from the next start. Where nothing at all is hidden
from a user the archive is one mount; otherwise each year of each network is one, and a year or a network
that is new shows at the next start (1000 such mounts make a start 2.5 s longer). Descriptions of stations
hold all years of a code, so that each of its rules has to allow it. The web services, which answer
everybody, show what nobody is kept from.
""",
    "Home": """\
`project` needs a file system that is mounted with `prjquota` (XFS, or ext4 with the feature `project`),
`loop` makes one ext4 image per home in `homes/.images` and needs root and loop devices; `auto` takes the
first of them that works, else `none`, under which the disk is the only limit. Images are sparse: together
they may promise more than the disk has, so watch the disk. A home that is to shrink does so when none of
its user's servers runs, and never below what is in it. A full home keeps nobody out.
""",
    "Folder": """\
The folder is at the same path in each member's server, with the setgid bit and access lists: what one
member makes the others may change, whatever the umask; `readers` get it read-only.
""",
    "Identities": """\
Whoever has proved a name gets the uid that the policy, the identity provider or the host says; where two
of them differ, where there is none, where it is below `minimum_uid` or somebody else's, the log-in is
refused with the reason. The same is asked again every few minutes and at each start of a server: who is
deleted on the host, or taken out of the policy, is logged out. With `oidc` the hub remembers which subject
a name was and which uid it had (`hub/subjects.json` in the state directory), and refuses another one of
that name or that uid.
""",
}

FILES = {"policy.md": "reference", "policy.schema.json": "schema"}
"""What is generated, and by which function."""


def schema() -> str:
    """Return the policy's JSON schema."""
    found = Policy.model_json_schema()
    found["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    return json.dumps(found, indent=1, ensure_ascii=False) + "\n"


def reference() -> str:
    """Return the reference of the policy as Markdown."""
    found = Policy.model_json_schema()
    return _HEAD + "".join(_section("policy", found, found["$defs"], set()))


def _section(name: str, model: dict[str, Any], others: dict[str, Any], done: set[str]) -> Iterator[str]:
    """Write a table for a model, then those of the models in it."""
    yield f"\n## {name}\n\n{model.get('description', '').strip()}\n"
    if note := _NOTES.get(model["title"]):
        yield f"\n{note}"
    yield "\n| name | value | default | meaning |\n| --- | --- | --- | --- |\n"
    inner = []
    for field, said in model["properties"].items():
        target = _model(said)
        if target and target not in done:
            done.add(target)
            inner.append((f"{name}.{field}".removeprefix("policy."), others[target]))
        described = said.get("description") or others.get(target, {}).get("description", "")
        words = " ".join(described.split()).replace("|", "\\|")
        default = "required" if field in model.get("required", ()) else _default(said)
        yield f"| `{field}` | {_value(said, others)} | {default} | {words} |\n"
    for inside, part in inner:
        yield from _section(inside, part, others, done)


def _model(said: dict[str, Any]) -> str:
    """Return the name of the model that a field holds, once, in a list or by name."""
    places = [said, said.get("items", {}), said.get("additionalProperties", {}), *said.get("anyOf", [])]
    places += said.get("patternProperties", {}).values()
    found = (
        place["$ref"].rpartition("/")[2] for place in places if isinstance(place, dict) and "$ref" in place
    )
    return next(found, "")


def _value(said: dict[str, Any], others: dict[str, Any]) -> str:
    if "const" in said or "enum" in said:
        return " or ".join(
            f"`{json.dumps(value).strip(chr(34))}`" for value in said.get("enum", [said.get("const")])
        )
    if "anyOf" in said:
        return next(_value(item, others) for item in said["anyOf"] if item.get("type") != "null")
    if "$ref" in said:
        return "a part of its own"
    kind = said.get("type")
    if kind == "array":
        items: dict[str, Any] = said.get("items") or next(iter(said.get("prefixItems", [])), {})
        return f"list of {_value(items, others)}"
    if kind == "object":
        return "parts of their own, by name"
    if "examples" in said:
        return f"such as `{said['examples'][0]}`"
    if said.get("format") == "date-time":
        return "such as `2027-01-01T00:00:00Z`"
    words = {"integer": "number", "string": "text", "boolean": "`true` or `false`"}
    return words.get(str(kind), str(kind))


def _default(said: dict[str, Any]) -> str:
    value = said.get("default")
    if value in (None, "", [], {}) or isinstance(value, dict):
        return "none" if not isinstance(value, dict) or not value else "as below"
    return f"`{json.dumps(value).strip(chr(34))}`"


def main(folder: Path = Path("docs")) -> None:
    """Write the files."""
    for name, function in FILES.items():
        (folder / name).write_text(globals()[function](), encoding="utf-8")


if __name__ == "__main__":
    main()
