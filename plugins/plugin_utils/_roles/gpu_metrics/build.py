# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""The service that writes what GPUs and their drivers tell for Prometheus, as component data. Pure."""

from __future__ import annotations

import typing as t

from ....module_utils._gateway import paths as gateway
from ....module_utils._gpu_metrics import config
from ....module_utils._gpu_metrics.service import STATE_DIR, TEXTFILE
from ..._packed_program import Program
from .. import textfile
from ..built import Built, Data
from ..log_shipper.pipeline import certificate_path
from ..platform import Platform

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
}


def facts(_options: Data) -> tuple[str, ...]:
    return ()


def reads(options: Data) -> t.Mapping[str, t.Sequence[str]]:
    """What other roles have on the host is watched, unless this one is told what to watch."""
    if options["state"] != "present":
        return {}
    needed = {"model_store": options["stores"] is None}
    return {lender: nouns for lender, nouns in _READS.items() if needed.get(lender, options["certificates"] is None)}


def build(options: Data, _platform: Platform) -> Built:
    if options["state"] == "unmanaged":
        return Built()
    if options["state"] == "absent":
        # What the service wrote and no component owns; an earlier run may have ended before it removed it.
        rest = {"leftovers": [STATE_DIR]}
        return Built(component={"name": "gpu_metrics", "state": "absent"}, rest=lambda _changed, _dry_run: rest)
    if problems := tuple(_problems(options)):
        return Built(problems)
    program = PROGRAM.resources(python=options["python"])
    folder = options["textfile_dir"]
    files = [
        # A program that runs has its code in memory.
        *({**file, "on_change": "restart"} for file in program["files"]),
        {"path": config.PATH, "content": config.as_text(_config(options))},
        {
            "path": f"/etc/systemd/system/{UNIT}",
            "template": f"{UNIT}.j2",
            "template_vars": {
                "__gpu_metrics": {"user": USER, "program": PROGRAM.path, "page": f"{STATE_DIR}/{TEXTFILE}"}
            },
        },
    ]
    return Built(
        component={
            "name": "gpu_metrics",
            "state": "present",
            "settle_s": 2,
            "requires": textfile.requires("gpu_metrics", folder, LINK),
            "users": [{"name": USER, "groups": []}],
            "directories": [{"path": "/etc/mlops.hosts"}, *program["directories"]],
            "files": files,
            "links": textfile.links(folder, LINK, f"{STATE_DIR}/{TEXTFILE}"),
            "units": [{"name": UNIT}],
            "ready": [{"unit": UNIT, "timeout_s": 20}],
        },
    )


def _config(options: Data) -> config.Config:
    return config.Config(
        interval_s=options["interval_s"],
        certificates=tuple(dict.fromkeys(_certificates(options))),
        stores=tuple(dict.fromkeys(_stores(options))),
    )


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
    for name in ("stores", "certificates"):
        wrong = [path for path in options[name] or () if not path.startswith("/")]
        if wrong:
            yield f"gpu_metrics_{name} must be absolute paths, not {', '.join(wrong)}."
