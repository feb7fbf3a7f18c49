# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Turns the options of the role ``log_shipper`` into component data, and says what is wrong with them. Pure."""

from __future__ import annotations

import dataclasses
import json
import re
import typing as t

from ....module_utils._log_shipper import paths
from ..._packed_program import Program
from .. import textfile
from ..built import Built, Data, Decision, Question
from ..platform import Platform
from .pipeline import (
    CONFIG_DIR,
    LINK,
    NAME,
    RECEIPTS,
    SPOOL,
    UNIT,
    UNIT_FILE,
    Endpoint,
    Flow,
    Pipeline,
    Receiver,
    Sink,
    parse,
    unit_pattern,
    wildcards,
)
from .shippers import SHIPPERS
from .shippers.base import Shipper, able, own_files
from .shippers.base import flows as all_flows
from .validate import problems, requires

PLAN = paths.PLAN
_INFO = "mlops.hosts.log_shipper_info"
PROGRAM = Program(
    name="log_shipper",
    path=paths.PROGRAM,
    entry="_log_shipper.program",
    about="Tells whether the log shipper ships, and keeps its place in the journal.",
)
LOGROTATE = f"/etc/logrotate.d/{NAME}"


def facts(options: Data) -> tuple[str, ...]:
    return ("distribution", "distribution_release") if options["state"] == "present" and _is_set(options) else ()


def _is_set(options: Data) -> bool:
    """Whether a site says anything about logs. Where it does not, no shipper comes to a host of any distribution."""
    return any(options.get(noun) for noun in ("sources", "sinks", "routes", "receivers"))


def build(options: Data, platform: Platform) -> Built:
    if options["state"] == "present" and not _is_set(options):
        # What the shipper has not sent stays, for a site that sets them again.
        return Built(component={"name": "log_shipper", "state": "absent"})
    if options["state"] == "absent":
        # What runs of the shipper wrote and no component owns; an earlier run may have ended before it removed them.
        rest = {"leftovers": [SPOOL, RECEIPTS, paths.STATE]}
        return Built(
            component={"name": "log_shipper", "state": "absent"},
            question=Question(_INFO, {}),
            decide=lambda waiting, _compared, _dry_run: _decide(options, waiting),
            rest=lambda _changed, _dry_run: rest,
        )
    pipeline, program = parse(options), SHIPPERS[options["provider"]]
    rows: Data = platform.known.get("shippers", {})
    row: Data = rows.get(program.name, {"releases": []})
    release = platform.distribution_release
    abilities = {name: able(SHIPPERS[name], rows[name], release) for name in rows if release in rows[name]["releases"]}
    found = [*_unknown(platform, row), *problems(pipeline, program.name, abilities), *program.refuses(pipeline)]
    url = str(options.get("repository_url") or "")
    if url:
        found += _no_repository(url, program.name, row)
    if found:
        return Built(tuple(found))
    shipper = program({**row, "release": release, "repository_url": url})
    return Built(
        component={
            "name": "log_shipper",
            "state": "present",
            "settle_s": 2,
            "requires": requires(pipeline, row["rivals"], _package(row), options["python"]),
            **_component(pipeline, shipper, platform.known["platform"], options["python"]),
        },
        question=Question(_INFO, {"desired": _plan(pipeline, shipper)}),
        decide=lambda waiting, _compared, _dry_run: _decide(options, waiting),
        verify={"command": [PROGRAM.path, "ready"]} if pipeline.endpoints else None,
    )


def _decide(options: Data, waiting: Data) -> Decision:
    """``waiting``: for which sinks lines wait that the change would lose."""
    sinks = waiting["sinks"]
    if options["discard"] == "when_needed":
        notices = (f"Lines that wait for the sink {sink['name']} ({_number(sink)}) are discarded." for sink in sinks)
        return Decision(notices=tuple(notices))
    return Decision(pending=tuple(map(_pending, sinks)))


def _pending(sink: Data) -> Data:
    name, since = sink["name"], f", it takes none since {sink['since']}" if sink["since"] else ""
    return {
        "what": f"sink {name}",
        "why": f"Nothing was changed: lines wait for the sink {name} ({_number(sink)}{since}) and would be lost. "
        "Bring the sink back and let them be sent, or set log_shipper_discard to when_needed.",
        "ends_with": "discard",
    }


def _number(sink: Data) -> str:
    return "an unknown number" if sink["lines"] is None else f"about {sink['lines']}"


def _package(row: Data) -> str:
    """The one that conflicts with those of other shippers."""
    packages = row["packages"]
    return str((packages["always"] if isinstance(packages, dict) else packages)[0])


def _unknown(platform: Platform, row: Data) -> t.Iterator[str]:
    if platform.distribution_release not in row["releases"]:
        yield (
            f"log_shipper runs on Debian bookworm, trixie and forky, and this host is {platform.distribution} "
            f"{platform.distribution_release}; take it out of the play."
        )


def _no_repository(url: str, provider: str, row: Data) -> t.Iterator[str]:
    if "repository" not in row:
        yield f"log_shipper_repository_url is set, and the role has no key for packages of {provider}; leave it empty."
    if not re.fullmatch(r"https?://[A-Za-z0-9._:/~+-]+", url):
        yield f"log_shipper_repository_url {url} is no address of a repository; give https://HOST[/PATH]."


def _component(pipeline: Pipeline, shipper: Shipper, known: Data, python: str) -> dict[str, t.Any]:
    """With nothing to ship and nothing to receive, nothing runs."""
    # Only we write files in it, unless the user keeps certificates there.
    theirs = any(path.startswith(f"{CONFIG_DIR}/") for path in pipeline.host_paths)
    groups = {receiver.root: receiver.group for receiver in pipeline.receivers}
    packages = shipper.packages(pipeline) + (list(known["logrotate"]["packages"]) if pipeline.receivers else [])
    program = PROGRAM.resources(python=python) if pipeline.endpoints else {"directories": [], "files": []}
    counts = bool(pipeline.textfile_dir and pipeline.sinks and shipper.counts)
    # Installed without being started, so the timer that rotates has to be started here.
    units = [UNIT, "logrotate.timer"] if pipeline.receivers else [UNIT]
    return {
        "repositories": shipper.repositories() if pipeline.endpoints else [],
        "packages": [{"name": name, "state": "present"} for name in dict.fromkeys(packages)],
        "directories": [
            {"path": CONFIG_DIR, "mode": "0700", "purge": not theirs, "on_change": "none"},
            {"path": SPOOL, "mode": "0700"},
            *({"path": root, "group": group, "mode": "0750"} for root, group in groups.items()),
            *([{"path": paths.STATE}] if counts else []),
            *program["directories"],
        ],
        "files": [
            *own_files(pipeline),
            *program["files"],
            {
                "path": PLAN,
                "content": json.dumps(_plan(pipeline, shipper), indent=1, sort_keys=True) + "\n",
                "mode": "0600",
                "on_change": "none",
            },
            _unit_file(pipeline, shipper),
            *shipper.files(pipeline),
            *_rotation(pipeline.receivers, shipper, known),
        ]
        if pipeline.endpoints
        else [],
        "links": textfile.links(pipeline.textfile_dir, LINK, paths.METRICS) if counts else [],
        "units": [{"name": unit} for unit in units] if pipeline.endpoints else [],
        "ready": [
            # Certificates of others are read only by the validator of the file in its place.
            {"unit": UNIT, "command": shipper.validate(shipper.config), "timeout_s": 10},
            # Before ports, which are closed for want of one.
            *(
                [{"unit": UNIT, "command": [PROGRAM.path, "modules"], "timeout_s": 1}]
                if shipper.modules(pipeline)
                else []
            ),
            *({"tcp": receiver.reached_at, "unit": UNIT, "timeout_s": 20} for receiver in pipeline.receivers),
            *shipper.ready(pipeline),
            # Last, so that what is wrong is said first by those who know it best. It waits for its lines by itself.
            {"unit": UNIT, "command": [PROGRAM.path, "ready"], "timeout_s": 1},
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


def _plan(pipeline: Pipeline, shipper: Shipper) -> dict[str, t.Any]:
    """For the program on the host, as ``module_utils/_log_shipper/plan.py`` reads it.

    A test line for each source that a route takes, and the receipts that they leave. Nobody writes to files of others.
    """
    flows = [(flow, sink) for flow, sink in all_flows(pipeline) if flow.source.type != "files"]
    sources = dict.fromkeys(flow.source for flow, _sink in flows if shipper.receipts)
    return {
        "unit": UNIT,
        "receipts": RECEIPTS,
        "complaints": shipper.complaints,
        "lines": [source.test for source in sources],
        "arrivals": [f"{flow.source.name} {sink.name}" for flow, sink in flows if shipper.receipts],
        "certificates": [
            {
                "ca": end.ca.place,
                "cert": end.cert.place,
                "key": end.key.place,
                "host": host,
                "port": end.port if host else 0,
            }
            for end, host in _peers(pipeline)
        ],
        "peers": [
            {"sink": sink.name, "host": host, "port": port} for sink in pipeline.sinks for host, port in sink.addresses
        ],
        "modules": shipper.modules(pipeline),
        "files": [str(sink.given["path"]) for sink in pipeline.sinks if sink.type == "file"],
        "state": shipper.state(),
        "provider": shipper.name,
        "sinks": [
            {
                "name": sink.name,
                "memory": int(sink.queue["memory_max_records"]),
                "flows": [_flow(flow) for flow, to in flows if to is sink],
                "buffer": _buffer(sink, number, shipper),
            }
            for number, sink in enumerate(pipeline.sinks, 1)
        ],
    }


def _buffer(sink: Sink, number: int, shipper: Shipper) -> str:
    """Who can read what the sink has on disk, by what was worked out for it. Empty where lines wait in the journal."""
    if shipper.state() and sink.queue["when_full"] == "block":
        return ""
    return f"{sink.type} {number}" if shipper.numbers else sink.type


def _peers(pipeline: Pipeline) -> t.Iterator[tuple[Endpoint, str]]:
    """Each end, and whom it connects to over TLS, if it does."""
    for sink in pipeline.sinks:
        yield sink, sink.host if sink.tls else ""
    for receiver in pipeline.receivers:
        yield receiver, ""


def _flow(flow: Flow) -> dict[str, t.Any]:
    source = flow.source
    return {
        "transport": source.transport,
        "unit": "|".join(map(unit_pattern, source.units)),
        "container": "|".join(map(wildcards, source.containers)),
        "severity": source.severity,
        "events": source.events,
        "ways": [
            {"severity": way.severity, "contains": list(way.contains), "excludes": list(way.excludes)}
            for way in flow.ways
        ],
    }
