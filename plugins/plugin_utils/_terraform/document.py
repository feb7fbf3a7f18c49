# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""The three documents that Terraform and OpenTofu write of what exists, as one.

- A state file of version 4: ``{"version": 4, "outputs": {}, "resources": [{"instances": [{"attributes": {}}]}]}``.
- ``terraform show -json``: ``{"format_version": "1.0", "values": {"outputs": {}, "root_module": {}}}``, without
  ``values`` where nothing exists. Minor versions add, major ones break:
  https://developer.hashicorp.com/terraform/internals/json-format
- ``terraform output -json``: ``{name: {"sensitive": false, "type": ..., "value": ...}}``.
"""

from __future__ import annotations

import dataclasses
import json
import typing as t

from ...module_utils._errors import HostError

STATE_VERSION = 4
# 0.x is what Terraform wrote before 1.1; it has the same keys.
SHOW_MAJORS = ("0", "1")

Data = t.Mapping[str, t.Any]


@dataclasses.dataclass(frozen=True)
class Resource:
    """One instance of a managed resource. ``address`` is Terraform's own: ``module.a.aws_instance.gpu["ml1"]``."""

    address: str
    type: str
    tainted: bool
    values: Data


@dataclasses.dataclass(frozen=True)
class Output:
    value: t.Any
    sensitive: bool


@dataclasses.dataclass(frozen=True)
class Document:
    """``resources`` is None where the document has none by its kind."""

    resources: tuple[Resource, ...] | None
    outputs: t.Mapping[str, Output]


def parse(text: str, origin: str) -> Document:
    """HostError for what is none of the three, is not whole, or is of a version that is not known."""
    try:
        found = json.loads(text)
    except ValueError as exc:
        state = "is empty" if not text.strip() else f"is no whole JSON document ({exc})"
        raise HostError(
            f"{origin} {state}; it is still being written, or its writer was stopped: wait for the run that writes it, "
            "or write it again"
        ) from exc
    if not isinstance(found, dict):
        raise HostError(f"{origin} must be a JSON object, and is a {type(found).__name__}; {_EXPECTED}")
    try:
        return _document(found, origin)
    except (AttributeError, KeyError, TypeError) as exc:
        raise HostError(f"{origin} lacks what its format has ({exc!r}); write it again") from exc


_EXPECTED = "give a state file, or what terraform show -json or terraform output -json (without a name) prints"


def _document(found: Data, origin: str) -> Document:
    if "encrypted_data" in found:
        raise HostError(f"{origin} is encrypted by OpenTofu; give what tofu show -json prints")
    if "planned_values" in found or "resource_changes" in found:
        raise HostError(f"{origin} is a plan, of hosts that may not exist yet; give the state: terraform show -json")
    if "format_version" in found:
        return _shown(found, origin)
    if "version" in found and not isinstance(found["version"], dict):
        return _state(found, origin)
    if all(isinstance(item, dict) and {"sensitive", "value"} <= item.keys() for item in found.values()):
        return Document(None, _outputs(found))
    raise HostError(f"{origin} is no document of Terraform that is known; {_EXPECTED}")


def _shown(found: Data, origin: str) -> Document:
    version = str(found["format_version"])
    if version.partition(".")[0] not in SHOW_MAJORS:
        raise HostError(
            f"{origin} has the format {version} of terraform show -json, and 1 is the newest that is known; "
            "use a newer mlops.hosts"
        )
    values = found.get("values") or {}
    root = values.get("root_module") or {}
    return Document(tuple(_of_module(root)), _outputs(values.get("outputs") or {}))


def _of_module(module: Data) -> t.Iterator[Resource]:
    for item in module.get("resources") or ():
        # An object that was replaced and is not destroyed yet is no host any more.
        if item["mode"] == "managed" and "deposed_key" not in item:
            yield Resource(item["address"], item["type"], bool(item.get("tainted")), item["values"])
    for child in module.get("child_modules") or ():
        yield from _of_module(child)


def _state(found: Data, origin: str) -> Document:
    version = found["version"]
    if "backend" in found:
        raise HostError(f"{origin} only says where the state is kept; give what terraform show -json prints")
    if version != STATE_VERSION:
        newer = isinstance(version, int) and version > STATE_VERSION
        way = "use a newer mlops.hosts" if newer else "apply once with Terraform 0.12 or newer"
        raise HostError(
            f"{origin} is a state of version {version}, and {STATE_VERSION} is the one that is known; {way}"
        )
    return Document(tuple(_of_state(found["resources"])), _outputs(found["outputs"]))


def _of_state(resources: t.Iterable[Data]) -> t.Iterator[Resource]:
    for item in resources:
        if item["mode"] != "managed":
            continue
        parts = [item["module"]] if item.get("module") else []
        base = ".".join([*parts, item["type"], item["name"]])
        for instance in item["instances"]:
            if "deposed" not in instance:
                index = f"[{json.dumps(instance['index_key'])}]" if "index_key" in instance else ""
                tainted = instance.get("status") == "tainted"
                yield Resource(f"{base}{index}", item["type"], tainted, instance["attributes"])


def _outputs(found: t.Mapping[str, Data]) -> dict[str, Output]:
    return {name: Output(item["value"], bool(item.get("sensitive"))) for name, item in found.items()}
