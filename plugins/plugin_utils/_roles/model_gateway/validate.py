# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Says what is wrong with the options of a gateway, and what it requires of a host. Pure."""

from __future__ import annotations

import datetime
import re
import typing as t

from ....module_utils import _certificates as certificates
from ....module_utils._errors import HostError
from ....module_utils._gateway import paths
from ....module_utils._preflight import parse_ip
from ..built import Data
from ..platform import Platform
from . import gateway_keys
from .fleet import Backend
from .gateway_keys import Key

_PATH = re.compile(r"/[A-Za-z0-9._~/-]+\Z")
_PEMS = (r"-----BEGIN CERTIFICATE-----", r"-----BEGIN [A-Z ]*PRIVATE KEY-----")


def problems(
    options: Data, keys: t.Sequence[Key], models: t.Sequence[Backend], platform: Platform, now: datetime.datetime
) -> t.Iterator[str]:
    """One sentence for each thing that is invalid, ``now``. No host is asked."""
    if "haproxy" not in platform.known:
        yield (
            f"model_gateway runs on Debian bookworm, trixie and forky, and this host is {platform.distribution} "
            f"{platform.distribution_release}; take it out of the play."
        )
    yield from gateway_keys.problems(keys)
    yield from _exposed(options)
    yield from _tls(options["tls"], now)
    bad = [path for path in options["paths"] if not _PATH.match(path)]
    if bad:
        yield f"model_gateway_paths has {', '.join(bad)}; give whole paths such as /v1/chat/completions."
    if not models:
        yield (
            "The gateway has no model: no host of model_gateway_hosts has a model server instance, and "
            "model_gateway_models has no servers; add one."
        )
    for item in options["models"]:
        if (item.get("max_open_per_server") or 0) < 0:
            yield (
                f"max_open_per_server of {item['name']} in model_gateway_models is {item['max_open_per_server']}; set "
                "it to 1 or more, or to 0 for no limit."
            )
    for name, least in _LEAST.items():
        if options[name] < least:
            yield f"model_gateway_{name} is {options[name]}; set it to {least} or more."


_LEAST: t.Mapping[str, int] = {
    **{"port": 1, "max_body_kib": 16, "max_connections": 16, "queue_s": 1, "queue_length": 1},
    **{"max_silence_s": 1, "max_stream_s": 1, "stop_s": 1, "requests_per_minute": 0},
    **{"keyless_requests_per_minute": 1, "metrics_port": 0},
}


def _exposed(options: Data) -> t.Iterator[str]:
    ip = parse_ip(options["address"])
    if ip is None:
        yield f"model_gateway_address {options['address']!r} is no address; give one of the host, or 0.0.0.0."
    elif not ip.is_loopback and not options["tls"]:
        yield (
            f"The gateway would listen on {options['address']} without TLS, where others can read its keys; set "
            "model_gateway_tls, or let it listen on 127.0.0.1."
        )
    if options["metrics_port"] and parse_ip(options["metrics_address"]) is None:
        yield f"model_gateway_metrics_address {options['metrics_address']!r} is no address; give one of the host."
    if options["metrics_port"] == options["port"]:
        yield f"model_gateway_metrics_port and model_gateway_port are both {options['port']}; give each its own."


def _tls(tls: Data | None, now: datetime.datetime) -> t.Iterator[str]:
    if not tls:
        return
    text = tls.get("pem")
    if (text is None) == (tls.get("pem_file") is None):
        yield "model_gateway_tls needs either pem or pem_file."
    elif text is not None and (not all(re.search(part, text) for part in _PEMS) or "ENCRYPTED" in text):
        yield (
            "pem of model_gateway_tls has no certificate with its unencrypted private key; give both, the certificate "
            "of the gateway first, then those above it, then the key."
        )
    elif text is not None:
        try:
            found = [certificates.problem(one, now) for one in certificates.read("pem of model_gateway_tls", text)]
        except HostError as exc:
            found = [str(exc)]
        yield from (f"{problem[0].upper()}{problem[1:]}." for problem in found if problem)


def requires(options: Data, models: t.Sequence[Backend]) -> list[Data]:
    """Conditions of the module ``component``. What our unit listens on is its own."""
    ports = [(options["address"], options["port"], "model_gateway_port")]
    if options["metrics_port"]:
        ports.append((options["metrics_address"], options["metrics_port"], "model_gateway_metrics_port"))
    found: list[Data] = [
        {
            "kind": "port",
            "address": address,
            "port": port,
            "units": [paths.UNIT],
            "msg": f"Another program listens on port {{what}}; stop it, or choose another {option}.",
        }
        for address, port, option in ports
    ]
    addresses = sorted({server.address for backend in models for server in backend.servers})
    found += [
        {
            "kind": "name",
            "name": address,
            "msg": "The gateway's host cannot resolve {what}, which is the address of a model server; correct "
            "model_gateway_address_variable or the server's address, or make the name known there.",
        }
        for address in addresses
        if parse_ip(address) is None
    ]
    pem = (options["tls"] or {}).get("pem_file")
    if pem:
        found.append(
            {
                "kind": "path",
                "path": pem,
                "type": "file",
                "max_mode": "0770",
                "msg": "The certificate with its key is not on the host: {what}; put it there first, or give pem.",
                "msg_for": {"max_mode": "The certificate's key in {what} can be read by others; set mode 0640."},
            }
        )
    return found
