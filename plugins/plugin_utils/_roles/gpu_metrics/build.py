# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""The service that writes what GPUs and their drivers tell for Prometheus, as component data. Pure."""

from __future__ import annotations

import collections
import dataclasses
import re
import typing as t
import urllib.parse

from ....module_utils._errors import HostError
from ....module_utils._gateway import paths as gateway
from ....module_utils._gpu_metrics import config
from ....module_utils._gpu_metrics.service import STATE_DIR, TEXTFILE
from ....module_utils._http_plain import LOOPBACK
from ..._packed_program import Program
from .. import container_engine, textfile
from ..built import Built, Data, Question
from ..log_shipper.pipeline import certificate_path
from ..model_server.engines import ENGINES
from ..model_server.instance import Instance, parse
from ..platform import Platform
from . import dcgm, dcgm_container

UNIT = "mlops-gpu-metrics.service"
USER = "mlops-gpu-metrics"
PROGRAM = Program(
    name="gpu_metrics",
    path="/usr/local/sbin/mlops-gpu-metrics",
    entry="_gpu_metrics.program",
    about="Writes what GPUs and their drivers tell for Prometheus.",
)
LINK = "mlops_gpu_metrics.prom"
_READS = {
    "model_store": ("dir", "artifacts"),
    "model_gateway": ("tls",),
    "log_shipper": ("sinks", "receivers"),
    "model_server": ("instances",),
}
# What an item of the option says; the rest of a probe is the instance's.
_OWN = ("interval_s", "timeout_s", "prompt", "max_tokens", "expect", "refusal_pattern")
_PROBE = {field.name: field.default for field in dataclasses.fields(config.Probe) if field.name in _OWN}


def facts(options: Data) -> tuple[str, ...]:
    return dcgm.facts(options) if _has_dcgm(options) else ()


def asks(options: Data) -> tuple[Question, ...]:
    """Which container engine there is, where one runs DCGM's exporter."""
    in_container = _has_dcgm(options) and dcgm.in_container(options)
    return container_engine.questions(options["dcgm_container_engine"]) if in_container else ()


def _has_dcgm(options: Data) -> bool:
    return bool(options["state"] == "present" and options["provider"] == "dcgm")


def reads(options: Data) -> t.Mapping[str, t.Sequence[str]]:
    """What other roles have on the host is watched, unless this one is told what to watch."""
    if options["state"] != "present":
        return {}
    needed = {
        "model_store": options["stores"] is None,
        "model_server": bool(options["probes"]),
    }
    return {lender: nouns for lender, nouns in _READS.items() if needed.get(lender, options["certificates"] is None)}


def build(options: Data, platform: Platform, *answers: Data) -> Built:
    """``answers``: to ``asks``, in order."""
    if options["state"] == "unmanaged":
        return Built()
    if options["state"] == "absent":
        # What the service wrote and no component owns; an earlier run may have ended before it removed it.
        rest = {"leftovers": [STATE_DIR]}
        return Built(component={"name": "gpu_metrics", "state": "absent"}, rest=lambda _changed, _dry_run: rest)
    problems = [*_problems(options), *(dcgm.problems(options, platform) if _has_dcgm(options) else ())]
    engine = None
    try:
        engine = container_engine.choose(options["dcgm_container_engine"], answers) if answers else None
    except HostError as exc:
        problems.append(str(exc))
    if problems:
        return Built(tuple(problems))
    if not _has_dcgm(options):
        return Built(component=_component(_service(options)))
    gpus_in_container = engine is not None and dcgm_container.has_engine(options)

    def conflicts(driver: Data, compared: Data, dry_run: bool) -> list[str]:
        found = dcgm.conflicts(driver)
        # An earlier role of the same run may be what offers GPUs to containers.
        if found or dry_run or not (engine and gpus_in_container):
            return found
        return dcgm_container.conflicts(options, engine, compared["context"][0])

    return Built(
        component=_component(_service(options), dcgm.component(options, platform, engine)),
        question=dcgm.QUESTION,
        context=(container_engine.CDI_QUESTION,) if gpus_in_container else (),
        conflicts=conflicts,
    )


def _component(*parts: dict[str, list[dict[str, t.Any]]]) -> dict[str, t.Any]:
    kinds = dict.fromkeys(kind for part in parts for kind in part)
    together = {kind: [item for part in parts for item in part.get(kind, ())] for kind in kinds}
    return {"name": "gpu_metrics", "state": "present", "settle_s": 2, **together}


def _service(options: Data) -> dict[str, list[dict[str, t.Any]]]:
    """Lists of a component."""
    program, found = PROGRAM.resources(python=options["python"]), _config(options)
    folder = options["textfile_dir"]
    files = [
        *program["files"],
        {"path": config.PATH, "content": config.as_text(found)},
        {
            "path": f"/etc/systemd/system/{UNIT}",
            "template": f"{UNIT}.j2",
            "template_vars": {
                "__gpu_metrics": {
                    "user": USER,
                    "program": PROGRAM.path,
                    "page": f"{STATE_DIR}/{TEXTFILE}",
                    "asked": sorted({_address(probe.url) for probe in found.probes}),
                }
            },
        },
    ]
    return {
        "requires": textfile.requires("gpu_metrics", folder, LINK),
        "users": [{"name": USER, "groups": []}],
        "directories": [{"path": "/etc/mlops.hosts"}, *program["directories"]],
        # A program that runs has its code in memory.
        "files": [{**file, "on_change": "restart", "units": [UNIT]} for file in files],
        "links": textfile.links(folder, LINK, f"{STATE_DIR}/{TEXTFILE}"),
        "units": [{"name": UNIT}],
        "ready": [{"unit": UNIT, "timeout_s": 20}],
    }


def _config(options: Data) -> config.Config:
    return config.Config(
        interval_s=options["interval_s"],
        certificates=tuple(dict.fromkeys(_certificates(options))),
        stores=tuple(dict.fromkeys(_stores(options))),
        probes=tuple(_probe(item, _instances(options)[item["model_instance"]]) for item in _probes(options)),
    )


def _probes(options: Data) -> list[dict[str, t.Any]]:
    """With what an item leaves out."""
    return [
        {**_PROBE, **{name: value for name, value in item.items() if value is not None}} for item in options["probes"]
    ]


def _instances(options: Data) -> dict[str, Instance]:
    """Those of the host that are present, by name."""
    found = map(parse, ((options["others"].get("model_server") or {}).get("instances") or ()))
    return {instance.name: instance for instance in found if instance.present}


def _probe(item: Data, instance: Instance) -> config.Probe:
    asked = ENGINES[instance.engine].question(instance)
    return config.Probe(
        model_instance=instance.name,
        url=asked["url"],
        kind=asked.get("kind", "completion"),
        model=asked.get("model") or "",
        api_key_file=asked.get("api_key_file"),
        **{
            name: item[name]
            for name in ("interval_s", "timeout_s", "prompt", "max_tokens", "expect", "refusal_pattern")
        },
    )


def _address(url: str) -> str:
    """As IPAddressAllow= of systemd takes it."""
    host = str(urllib.parse.urlsplit(url).hostname)
    return "localhost" if host in LOOPBACK else host


def _stores(options: Data) -> t.Iterable[str]:
    if options["stores"] is not None:
        return t.cast("list[str]", options["stores"])
    store = options["others"]["model_store"]
    return [store["dir"]] if store and store["artifacts"] else []


def _certificates(options: Data) -> t.Iterator[str]:
    """Those that this host shows to others. What it trusts is a bundle as a rule, in which old ones hurt nobody."""
    if options["certificates"] is not None:
        yield from options["certificates"]
        return
    tls = (options["others"]["model_gateway"] or {}).get("tls") or {}
    if tls.get("pem_file") or tls.get("pem"):
        yield tls.get("pem_file") or gateway.TLS_PEM
    shipper = options["others"]["log_shipper"] or {}
    for kind in ("sink", "receiver"):
        for item in shipper.get(f"{kind}s") or ():
            path = certificate_path(kind, item) if (item.get("state") or "present") == "present" else None
            if path:
                yield path


def _problems(options: Data) -> t.Iterator[str]:
    yield from textfile.problems("gpu_metrics", options["textfile_dir"])
    if not 5 <= options["interval_s"] <= 300:
        yield f"gpu_metrics_interval_s must be from 5 to 300, not {options['interval_s']}."
    known = _instances(options) if options["probes"] else {}
    for item in _probes(options):
        yield from _wrong_probe(item, known)
    names = [item["model_instance"] for item in options["probes"]]
    twice = [name for name, count in collections.Counter(names).items() if count > 1]
    if twice:
        yield f"gpu_metrics_probes must have an instance once each, and has more of {', '.join(twice)}."
    for name in ("stores", "certificates"):
        wrong = [path for path in options[name] or () if not path.startswith("/")]
        if wrong:
            yield f"gpu_metrics_{name} must be absolute paths, not {', '.join(wrong)}."


def _wrong_probe(item: Data, known: t.Mapping[str, Instance]) -> t.Iterator[str]:
    name = item["model_instance"]
    if name not in known:
        there = ", ".join(known) or "none"
        yield f"gpu_metrics_probes names {name}, which must be one of model_server_instances; on this host are {there}."
        return
    if item["interval_s"] < 30:
        yield f"gpu_metrics_probes[{name}].interval_s must be 30 or more, not {item['interval_s']}."
    if not 1 <= item["timeout_s"] <= 600:
        yield f"gpu_metrics_probes[{name}].timeout_s must be from 1 to 600, not {item['timeout_s']}."
    kind = ENGINES[known[name].engine].question(known[name]).get("kind", "completion")
    if item["expect"] is not None and kind != "completion":
        yield f"gpu_metrics_probes[{name}].expect must be left out: its engine answers without text."
    try:
        re.compile(item["refusal_pattern"])
    except re.error as exc:
        yield f"gpu_metrics_probes[{name}].refusal_pattern must be a regular expression of Python, and is not: {exc}."
