# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Says what is wrong with the options of the monitoring, and what it requires of a host. Pure."""

from __future__ import annotations

import re
import typing as t

from ....module_utils._monitoring import paths
from ....module_utils._preflight import parse_ip
from ..built import Data
from ..platform import Platform
from . import programs, receivers
from .programs import PARTS
from .targets import Job, is_loopback

GIB = 1024**3
_RESERVED = ("--web.listen-address", "--collector.textfile.directory", "--web.config.file")
_JOB = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}\Z")
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*\Z")
_LEAST = {"scrape_interval_s": 1, "retention_days": 1, "retention_gib": 1}


def parts(options: Data) -> list[str]:
    """Those that run on this host."""
    return [part for part in PARTS if options[part]]


def problems(options: Data, platform: Platform) -> t.Iterator[str]:
    """One sentence for each thing that is invalid. No host is asked."""
    wrong = list(programs.problems(parts(options), options, platform))
    yield from wrong
    if not parts(options):
        yield (
            "The host has no part of the monitoring; set monitoring_node_exporter, monitoring_prometheus or "
            "monitoring_alertmanager, or monitoring_state: absent."
        )
    yield from _listening(options)
    for name, least in _LEAST.items():
        if options[name] < least:
            yield f"monitoring_{name} must be {least} or more, not {options[name]}."
    folder = options["textfile_dir"]
    if not folder.startswith("/") or folder.endswith("/") or re.search(r"[\s%\"'\\]", folder):
        yield f"monitoring_textfile_dir must be an absolute path without a slash at its end, not '{folder}'."
    if own := [flag for flag in options["node_exporter_options"] if flag.startswith(_RESERVED)]:
        yield f"monitoring_node_exporter_options has {', '.join(own)}, which the role sets itself; use its variables."
    if bad := [flag for flag in options["node_exporter_options"] if not re.fullmatch(r"--[a-z][^\s\"'\\%$]*", flag)]:
        yield f"monitoring_node_exporter_options must have flags such as --collector.systemd, not {', '.join(bad)}."
    for name in ("prometheus_url", "alertmanager_url"):
        if options[name] and not re.fullmatch(r"https?://[^\s\"'\\%$]+", options[name]):
            yield f"monitoring_{name} must be an address as https://HOST/PATH, not '{options[name]}'."
    yield from _extra(options["extra_targets"])
    if bad := [str(name) for name in options["external_labels"] if not _LABEL.match(str(name))]:
        yield f"monitoring_external_labels has {', '.join(bad)}; names of labels are letters, digits and _."
    if options["alertmanager"] and not wrong:
        found = programs.of_parts(["alertmanager"], options, platform)["alertmanager"]
        release = str(platform.distribution_release) if found.package else f"release {found.version}"
        yield from receivers.problems(options["receivers"], url_file=found.webhook_url_file, release=release)


def _listening(options: Data) -> t.Iterator[str]:
    places: dict[int, str] = {}
    for part in parts(options):
        address, port = options[f"{part}_address"], options[f"{part}_port"]
        ip = parse_ip(address)
        if ip is None:
            yield f"monitoring_{part}_address must be an address of the host, or 0.0.0.0, not '{address}'."
        if not 0 < port < 65536:
            yield f"monitoring_{part}_port must be 1 to 65535, not {port}."
        elif port in places:
            yield f"monitoring_{part}_port and monitoring_{places[port]}_port are both {port}; give each its own."
        places[port] = part
        if part != "node_exporter" and not is_loopback(address) and not options["allow_unauthenticated"]:
            can = "read all metrics" if part == "prometheus" else "silence all alerts"
            yield (
                f"{PARTS[part]} would listen on {address} without a password, where others can {can}; let it listen "
                "on 127.0.0.1, or close the port to all others and set monitoring_allow_unauthenticated: true."
            )


def _extra(items: t.Sequence[Data]) -> t.Iterator[str]:
    for item in items:
        what = f"monitoring_extra_targets[{item['name']}]"
        if bad := [name for name in (item["name"], item.get("job") or "x") if not _JOB.match(name)]:
            yield f"{what} has {', '.join(bad)}; names and jobs are letters, digits, - and _, 64 at most."
        if bad := [
            one for one in item["addresses"] if not re.fullmatch(r"(\[[0-9a-fA-F:]+\]|[^\s:/\[\]]+):[0-9]+", one)
        ]:
            yield f"{what}.addresses must have HOST:PORT, not {', '.join(bad)}."
        if not item["addresses"]:
            yield f"{what} has no addresses; give it one, or leave it out."
        if bad := [str(name) for name in item.get("labels") or {} if not _LABEL.match(str(name)) or name == "job"]:
            yield f"{what}.labels has {', '.join(bad)}; names are letters, digits and _, and job is an option."
        at_home = all(is_loopback(address.rpartition(":")[0].strip("[]")) for address in item["addresses"])
        if item.get("bearer_token") is not None and item.get("scheme") != "https" and not at_home:
            yield f"{what} would send its bearer_token over the network unencrypted; set scheme: https."


def requires(options: Data, jobs: t.Sequence[Job]) -> list[Data]:
    """Conditions of the module ``component``. What our units listen on is their own."""
    found: list[Data] = []
    for part in parts(options):
        port = options[f"{part}_port"]
        found.append(
            {
                "kind": "port",
                "address": options[f"{part}_address"],
                "port": port,
                "units": [paths.UNITS[part]],
                "msg": f"{PARTS[part]} cannot listen on port {port}, which is held by {{found}}; stop and disable "
                f"that, or set monitoring_{part}_port.",
            }
        )
    if options["prometheus"]:
        found.append(
            {
                "kind": "disk",
                "path": paths.STATES["prometheus"],
                "min_bytes": options["retention_gib"] * GIB,
                "msg": "Prometheus would keep "
                f"{options['retention_gib']} GiB of samples in {{what}}, and its file system has {{found}}; set "
                "monitoring_retention_gib to less.",
            }
        )
        found += [_file(job.ca_file, "certificates of a target") for job in jobs if job.ca_file]
    if options["alertmanager"]:
        for receiver in options["receivers"]:
            if receiver.get("ca_file"):
                found.append(_file(receiver["ca_file"], f"certificates of receiver {receiver['name']}"))
        for path in dict.fromkeys(receivers.credentials(options["receivers"]).values()):
            secret = _file(path, "credential of a receiver")
            secret["max_mode"] = "0770"
            secret["msg_for"] = {
                "max_mode": "The credential of a receiver in {what} can be read by others; set mode 0600."
            }
            found.append(secret)
    return found


def _file(path: str, what: str) -> dict[str, t.Any]:
    return {
        "kind": "path",
        "path": path,
        "type": "file",
        "msg": f"The file of the {what} must be on the host, and {{what}} is {{found}}; copy it there first.",
    }
