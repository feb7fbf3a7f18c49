# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Turns the options of the role ``log_shipper`` into component data, and says what is wrong with them. Pure."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ..built import Built, Data
from ..platform import Platform
from .pipeline import CONFIG_DIR, NAME, RECEIPTS, SPOOL, UNIT, UNIT_FILE, Pipeline, Receiver, parse
from .shippers import SHIPPERS
from .shippers.base import Shipper, able, own_files
from .validate import problems, requires

LOGROTATE = f"/etc/logrotate.d/{NAME}"


def facts(options: Data) -> tuple[str, ...]:
    return () if options["state"] == "absent" else ("distribution", "distribution_release")


def build(options: Data, platform: Platform) -> Built:
    if options["state"] == "absent":
        # What runs of the shipper wrote and no component owns; an earlier run may have ended before it removed them.
        rest = {"leftovers": [SPOOL, RECEIPTS]}
        return Built(component={"name": "log_shipper", "state": "absent"}, rest=lambda _changed, _dry_run: rest)
    pipeline, program = parse(options), SHIPPERS[options["provider"]]
    rows: Data = platform.known.get("shippers", {})
    row: Data = rows.get(program.name, {"releases": []})
    release = platform.distribution_release
    abilities = {name: able(SHIPPERS[name], rows[name], release) for name in rows if release in rows[name]["releases"]}
    found = [*_unknown(platform, row), *problems(pipeline, program.name, abilities)]
    if found:
        return Built(tuple(found))
    shipper = program(row)
    return Built(
        component={
            "name": "log_shipper",
            "state": "present",
            "settle_s": 2,
            "requires": requires(pipeline, row["rivals"], program.name),
            **_component(pipeline, shipper, platform.known["platform"]),
        },
        verify=_verify(pipeline, shipper) if pipeline.endpoints else None,
    )


def _unknown(platform: Platform, row: Data) -> t.Iterator[str]:
    if platform.distribution_release not in row["releases"]:
        yield (
            f"log_shipper runs on Debian bookworm, trixie and forky, and this host is {platform.distribution} "
            f"{platform.distribution_release}; take it out of the play."
        )


def _component(pipeline: Pipeline, shipper: Shipper, known: Data) -> dict[str, t.Any]:
    """With nothing to ship and nothing to receive, nothing runs."""
    # Only we write files in it, unless the user keeps certificates there.
    theirs = any(path.startswith(f"{CONFIG_DIR}/") for path in pipeline.host_paths)
    groups = {receiver.root: receiver.group for receiver in pipeline.receivers}
    packages = shipper.packages(pipeline) + (list(known["logrotate"]["packages"]) if pipeline.receivers else [])
    # Installed without being started, so the timer that rotates has to be started here.
    units = [UNIT, "logrotate.timer"] if pipeline.receivers else [UNIT]
    return {
        "repositories": shipper.repositories() if pipeline.endpoints else [],
        "packages": [{"name": name, "state": "present"} for name in dict.fromkeys(packages)],
        "directories": [
            {"path": CONFIG_DIR, "mode": "0700", "purge": not theirs, "on_change": "none"},
            {"path": SPOOL, "mode": "0700"},
            *({"path": root, "group": group, "mode": "0750"} for root, group in groups.items()),
        ],
        "files": [
            *own_files(pipeline),
            _unit_file(pipeline, shipper),
            *shipper.files(pipeline),
            *_rotation(pipeline.receivers, shipper, known),
        ]
        if pipeline.endpoints
        else [],
        "units": [{"name": unit} for unit in units] if pipeline.endpoints else [],
        "ready": [
            # Certificates of others are read only by the validator of the file in its place.
            {"unit": UNIT, "command": shipper.validate(shipper.config), "timeout_s": 10},
            *({"tcp": receiver.reached_at, "unit": UNIT, "timeout_s": 20} for receiver in pipeline.receivers),
            *shipper.ready(pipeline),
        ]
        if pipeline.endpoints
        else [],
    }


def _unit_file(pipeline: Pipeline, shipper: Shipper) -> dict[str, t.Any]:
    service = dataclasses.asdict(shipper.service(pipeline))
    return {
        "path": UNIT_FILE,
        "template": "log-shipper.service.j2",
        "template_vars": {
            "__log_shipper_service": service,
            "__log_shipper_runtime": NAME,
            "__log_shipper_receives": bool(pipeline.receivers),
        },
    }


def _rotation(receivers: t.Sequence[Receiver], shipper: Shipper, known: Data) -> t.Iterator[dict[str, t.Any]]:
    if receivers:
        reopen = f"{known['systemctl']} kill --signal={shipper.reopen} {UNIT}"
        yield {
            "path": LOGROTATE,
            "template": "logrotate.j2",
            "template_vars": {"__log_shipper_kept": kept(receivers), "__log_shipper_reopen": reopen},
            "validate": [known["logrotate"]["program"], "--debug", "{staged}"],
            "on_change": "none",
        }


def kept(receivers: t.Iterable[Receiver]) -> list[dict[str, t.Any]]:
    """Which files are rotated, and how often before they go: the longest time of all receivers of the path."""
    days: dict[str, int] = {}
    for receiver in receivers:
        days[receiver.path] = max(days.get(receiver.path, 0), receiver.keep_days)
    return [{"files": re.sub(r"[{][a-z]+[}]", "*", path), "days": days[path]} for path in sorted(days)]


def _verify(pipeline: Pipeline, shipper: Shipper) -> dict[str, t.Any]:
    """``lines`` to write to the journal, one for each source that a route takes; ``arrivals`` are the receipts that
    they leave, "source sink". Nobody writes to files of others."""
    arrivals = [
        (flow.source, sink)
        for sink in pipeline.sinks
        for flow in pipeline.flows(sink)
        if shipper.receipts and flow.source.type != "files"
    ]
    sources = dict.fromkeys(source for source, _sink in arrivals)
    return {
        "unit": UNIT,
        "receipts": RECEIPTS,
        "lines": [source.test for source in sources],
        "arrivals": [f"{source.name} {sink.name}" for source, sink in arrivals],
        "complaints": shipper.complaints,
    }
