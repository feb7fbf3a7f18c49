# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Turns the options of the role ``monitoring`` into component data. Pure.

Keys of model servers go into secret files that Prometheus reads, and nowhere else; credentials of receivers stay in the
files that they are in.
"""

from __future__ import annotations

import hashlib
import json
import typing as t

from ....module_utils._monitoring import paths
from ....module_utils._monitoring.plan import Alertmanager, NodeExporter, Plan, Prometheus
from ..._packed_program import Program
from ..built import Built, Check, Data, Question
from ..log_shipper.yaml_text import yaml_text
from ..platform import Platform
from . import programs, receivers, rules, targets, validate
from .programs import Programs

PROGRAM = Program(
    name="monitoring",
    path=paths.PROGRAM,
    entry="_monitoring.program",
    about="Has Prometheus and Alertmanager read their files, and says whether what is on disk is what runs.",
)
# What Prometheus may take to read the samples of its last hours, and then to find targets and to evaluate rules.
_START_S, _WAIT_S = 300, 25
_INFO = "mlops.hosts.monitoring_info"
HEAD = "# Written by the role mlops.hosts.monitoring, which writes it again.\n"
# What is read of the variables of each host, and whose option it is.
FLEET = {
    **dict.fromkeys(("state", "node_exporter", "node_exporter_address", "node_exporter_port"), "monitoring"),
    **dict.fromkeys(("prometheus", "prometheus_address", "prometheus_port"), "monitoring"),
    **dict.fromkeys(("alertmanager", "alertmanager_address", "alertmanager_port"), "monitoring"),
    "instances": "model_server",
    **dict.fromkeys(("metrics_address", "metrics_port"), "model_gateway"),
    **dict.fromkeys(("provider", "dcgm_address", "dcgm_port"), "gpu_metrics"),
}


def fleet(options: Data) -> tuple[t.Sequence[str], str]:
    """Hosts of the inventory whose options are read, too, and the variable that has their address."""
    scrapes = options["state"] == "present" and options["prometheus"]
    names = [*options["targets"], *options["gateways"]] if scrapes else []
    return list(dict.fromkeys(names)), options["address_variable"]


def facts(options: Data) -> tuple[str, ...]:
    return ("distribution", "distribution_release", "os_family") if options["state"] == "present" else ()


def build(options: Data, platform: Platform) -> Built:
    if options["state"] == "unmanaged":
        return Built()
    if options["state"] == "absent":
        # Samples, silences and releases, which no component owns; an earlier run may have ended before it removed them.
        rest = {"tasks": "remove", "leftovers": [*paths.STATES.values(), programs.BASE]}
        return Built(component={"name": "monitoring", "state": "absent"}, rest=lambda _changed, _dry_run: rest)
    problems = list(validate.problems(options, platform))
    files: list[rules.RuleFile] = []
    found = targets.Found()
    if options["prometheus"]:
        given, bad = rules.of_user(options["rules"])
        files = [*(rules.of_role() if options["default_rules"] else ()), *given]
        found = targets.find(options)
        problems += [*bad, *rules.same(files), *found.problems]
    if problems:
        return Built(tuple(problems))
    # node_exporter reads no file of its own that could differ from what runs.
    reloads = options["prometheus"] or options["alertmanager"]
    parts = validate.parts(options)
    releases = programs.releases(parts, options)
    return Built(
        before=tuple(releases),
        notices=(*found.notices, *_unheard(options, files, found)),
        component={
            "name": "monitoring",
            "state": "present",
            "settle_s": 2,
            **_component(options, programs.of_parts(parts, options, platform), files, found),
        },
        checks=(*programs.checks(releases), *((Check(Question(_INFO, {}), _differing),) if reloads else ())),
        rest=lambda changed, _dry_run: {"tasks": "reload"} if reloads and not changed else None,
        published={"targets": {job.name: [target.address for target in job.targets] for job in found.jobs}},
    )


def _differing(answer: Data) -> list[Data]:
    """Files on disk that are not those that run."""
    row = {"kind": "monitoring", "attribute": "runs", "want": "what is on disk", "have": "earlier files"}
    return [{**row, "item": unit} for unit in answer["stale"]]


def _unheard(options: Data, files: t.Sequence[rules.RuleFile], found: targets.Found) -> t.Iterator[str]:
    if options["prometheus"] and not found.alertmanagers:
        yield (
            "Prometheus fires alerts that nobody is told of: no host of monitoring_targets that it reaches has "
            "monitoring_alertmanager: true."
        )
    if not options["alertmanager"]:
        return
    used = {severity for file in files for severity in file.severities}
    heard = {severity for one in options["receivers"] for severity in receivers.severities(one)}
    if missing := sorted(used - heard):
        shown = ", ".join(severity or "none" for severity in missing)
        yield f"No receiver of monitoring_receivers takes alerts of severity {shown}, so that nobody is told of them."


def _component(
    options: Data,
    parts: t.Mapping[str, Programs],
    files: t.Sequence[rules.RuleFile],
    found: targets.Found,
) -> dict[str, t.Any]:
    program = PROGRAM.resources(python=options["python"])
    written = [
        *(_prometheus(options, parts["prometheus"], files, found) if options["prometheus"] else ()),
        *(_alertmanager(options, parts["alertmanager"]) if options["alertmanager"] else ()),
    ]
    folders = [paths.RULES, paths.TARGETS, paths.KEYS] if options["prometheus"] else []
    return {
        "packages": [{"name": used.package} for used in parts.values() if used.package],
        "users": [{"name": paths.USERS[part]} for part in parts],
        "directories": [
            {"path": "/etc/mlops.hosts"},
            {"path": paths.CONFIG, "purge": True, "on_change": "none"},
            *({"path": path, "on_change": "none"} for path in folders),
            *program["directories"],
            *_textfiles(options),
        ],
        "files": [
            *program["files"],
            {"path": paths.PLAN, "content": _plan(options, parts, files, found.jobs).text(), "on_change": "none"},
            *written,
            *(_unit_file(part, used, options) for part, used in parts.items()),
        ],
        "units": [
            # Those of the packages listen on all addresses, and would do so with the next boot. One that runs holds a
            # port, which is refused: it is in use.
            *({"name": used.unit, "state": "unmanaged", "enabled": False} for used in parts.values() if used.unit),
            *({"name": paths.UNITS[part]} for part in parts),
        ],
        "requires": validate.requires(options, found.jobs),
        "ready": [
            *(
                {"unit": paths.UNITS[part], "http": f"{_url(part, options)}/-/ready", "timeout_s": _START_S}
                for part in parts
                if part != "node_exporter"
            ),
            # Targets are read again without a reload, so it is asked after every change. It waits by itself.
            {"command": [paths.PROGRAM, "check", "--repair", "--timeout-s", str(_WAIT_S)], "timeout_s": 1},
        ],
    }


def _textfiles(options: Data) -> list[dict[str, t.Any]]:
    """The directory that roles and others write to, with the one above it where that is this collection's, too."""
    if not options["node_exporter"]:
        return []
    folder = options["textfile_dir"]
    above = folder.rpartition("/")[0]
    return [{"path": path, "on_change": "none"} for path in ([above] if above.count("/") > 2 else []) + [folder]]


def _prometheus(
    options: Data,
    used: Programs,
    files: t.Sequence[rules.RuleFile],
    found: targets.Found,
) -> list[dict[str, t.Any]]:
    """Its files. Those that it names are in it by their whole names: a pattern that fits none is no error to it."""
    user = paths.USERS["prometheus"]
    of_unit: Data = {"units": [paths.UNITS["prometheus"]], "on_change": "reload"}
    named: list[dict[str, t.Any]] = [
        *(
            {"path": _key_path(key), "content": key, "group": user, "mode": "0640", "secret": True, **of_unit}
            for key in dict.fromkeys(job.key for job in found.jobs)
            if key
        ),
        # Prometheus sees that they change.
        *({"path": _target_path(job), "content": _listed(job), "on_change": "none"} for job in found.jobs),
        *(
            {
                "path": _rule_path(file),
                "content": file.text,
                "validate": [used.tool("promtool"), "check", "rules", "--lint-fatal", "{staged}"],
                **of_unit,
            }
            for file in files
        ),
    ]
    return [
        *named,
        {
            "path": paths.PROMETHEUS_YML,
            "content": HEAD + yaml_text(configuration(options, used, files, found)),
            "group": user,
            "mode": "0640",
            "validate": [used.tool("promtool"), "check", "config", "{staged}"],
            "validate_with": [item["path"] for item in named],
            **of_unit,
        },
    ]


def configuration(
    options: Data,
    used: Programs,
    files: t.Sequence[rules.RuleFile],
    found: targets.Found,
) -> dict[str, t.Any]:
    interval = f"{options['scrape_interval_s']}s"
    labels = {str(name): str(value) for name, value in options["external_labels"].items()}
    to = {"alertmanagers": [{"static_configs": [{"targets": list(found.alertmanagers)}]}]}
    return {
        "global": {
            "scrape_interval": interval,
            "evaluation_interval": interval,
            **({"external_labels": labels} if labels else {}),
        },
        **({"alerting": to} if found.alertmanagers else {}),
        "rule_files": [_rule_path(file) for file in files],
        "scrape_configs": [_scrape(job, used) for job in found.jobs],
    }


def _scrape(job: targets.Job, used: Programs) -> dict[str, t.Any]:
    given: dict[str, t.Any] = {"job_name": job.name, "file_sd_configs": [{"files": [_target_path(job)]}]}
    if job.path != "/metrics":
        given["metrics_path"] = job.path
    if job.scheme != "http":
        given["scheme"] = job.scheme
    if job.key is not None:
        given["authorization"] = {"credentials_file": _key_path(job.key)}
    if job.ca_file is not None:
        given["tls_config"] = {"ca_file": job.ca_file}
    if used.fallback_scrape_protocol:
        given["fallback_scrape_protocol"] = used.fallback_scrape_protocol
    if job.label != job.name:
        given["relabel_configs"] = [{"target_label": "job", "replacement": job.label}]
    return given


def _alertmanager(options: Data, used: Programs) -> t.Iterator[dict[str, t.Any]]:
    yield {
        "path": paths.ALERTMANAGER_YML,
        "content": HEAD + yaml_text(receivers.configuration(options["receivers"], options["notify"])),
        "group": paths.USERS["alertmanager"],
        "mode": "0640",
        "validate": [used.tool("amtool"), "check-config", "{staged}"],
        "units": [paths.UNITS["alertmanager"]],
        "on_change": "reload",
    }


def _unit_file(part: str, used: Programs, options: Data) -> dict[str, t.Any]:
    unit = paths.UNITS[part]
    return {
        "path": f"/etc/systemd/system/{unit}",
        "template": f"{unit}.j2",
        "template_vars": {
            "__monitoring": {
                "user": paths.USERS[part],
                "server": used.path,
                "program": paths.PROGRAM,
                "listen": targets.joined(options[f"{part}_address"], options[f"{part}_port"]),
                "privileged": options[f"{part}_port"] < 1024,
                "url": options.get(f"{part}_url") or "",
                "config": {"prometheus": paths.PROMETHEUS_YML, "alertmanager": paths.ALERTMANAGER_YML}.get(part),
                "state": paths.STATES.get(part),
                "textfile_dir": options["textfile_dir"],
                "flags": options["node_exporter_options"],
                "days": options["retention_days"],
                "gib": options["retention_gib"],
                "credentials": {
                    f"{receivers.CREDENTIALS}/{name}": path
                    for name, path in receivers.credentials(options["receivers"]).items()
                }
                if part == "alertmanager"
                else {},
            }
        },
        "units": [unit],
    }


def _plan(
    options: Data, parts: t.Mapping[str, Programs], files: t.Sequence[rules.RuleFile], jobs: t.Sequence[targets.Job]
) -> Plan:
    urls = {part: _url(part, options) for part in parts}
    return Plan(
        NodeExporter(urls["node_exporter"], options["textfile_dir"], paths.USERS["node_exporter"])
        if options["node_exporter"]
        else None,
        Prometheus(
            urls["prometheus"],
            paths.PROMETHEUS_YML,
            {_rule_path(file): file.groups for file in files},
            {job.name: [target.address for target in job.targets] for job in jobs},
            parts["prometheus"].tool("promtool"),
        )
        if options["prometheus"]
        else None,
        Alertmanager(urls["alertmanager"], paths.ALERTMANAGER_YML, parts["alertmanager"].tool("amtool"))
        if options["alertmanager"]
        else None,
    )


def _url(part: str, options: Data) -> str:
    """Where the host itself reaches it."""
    return f"http://{targets.joined(targets.home(options[f'{part}_address']), options[f'{part}_port'])}"


def _listed(job: targets.Job) -> str:
    """For file_sd. A target of no host of the inventory has no label ``host``."""
    data = [
        {"targets": [target.address], "labels": {**({"host": target.host} if target.host else {}), **target.labels}}
        for target in job.targets
    ]
    return json.dumps(data, indent=1, sort_keys=True) + "\n"


def _key_path(key: str) -> str:
    return f"{paths.KEYS}/{hashlib.sha256(key.encode()).hexdigest()[:16]}"


def _target_path(job: targets.Job) -> str:
    return f"{paths.TARGETS}/{job.name}.json"


def _rule_path(file: rules.RuleFile) -> str:
    return f"{paths.RULES}/{file.name}.yml"
