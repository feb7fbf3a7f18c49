# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Turns the options of the role ``model_gateway`` into component data. Pure.

Keys of clients are written as hashes; those of servers go into the content of a secret file and nowhere else.
"""

from __future__ import annotations

import datetime
import json
import math
import typing as t

from ....module_utils._gateway import paths
from ....module_utils._preflight import parse_ip
from ..._gateway.program import resources
from ..built import Built, Check, Data, Question
from ..platform import ROLES, Platform
from . import validate
from .fleet import Backend, backends
from .gateway_keys import Key, parse

UNIT_FILE = f"/etc/systemd/system/{paths.UNIT}"
MODELS_MAP = f"{paths.CONFIG}/models.map"
MODELS_JSON = f"{paths.CONFIG}/models.json"
UPSTREAM_MAP = f"{paths.CONFIG}/upstream.map"
# Buffers hold a body and its headers; the rest is for what HAProxy adds.
_HEADERS_KIB, _REWRITE = 28, 4096
HEALTH: Data = {"interval_s": 15, "timeout_s": 60}
# How many servers a model has whose requests are sent again.
_RESEND_FROM = {"always": 1, "other_server": 2, "never": math.inf}
_INFO = "mlops.hosts.gateway_info"
# What is read of the variables of each host behind, and whose option it is.
FLEET = {"instances": "model_server", "artifacts": "model_store"}


def fleet(options: Data) -> tuple[t.Sequence[str], str]:
    """Hosts of the inventory whose model servers are options, too, and the variable that has their address."""
    return ([] if options["state"] == "absent" else options["hosts"]), options["address_variable"]


def facts(options: Data) -> tuple[str, ...]:
    return () if options["state"] == "absent" else ("distribution", "distribution_release")


def build(options: Data, platform: Platform) -> Built:
    if options["state"] == "absent":
        # What HAProxy was told of its servers, which no component owns.
        return Built(
            component={"name": "model_gateway", "state": "absent"}, rest=lambda _changed, _dry_run: {"tasks": "remove"}
        )
    options = {**options, "tls": _given(options["tls"])}
    keys = [key for key in map(parse, options["keys"]) if key.present]
    models, problems = backends(options["models"], options["fleet"])
    now = datetime.datetime.now(datetime.timezone.utc)
    problems = [*validate.problems(options, keys, models, platform, now), *problems]
    if problems:
        return Built(tuple(problems))
    return Built(
        component={"name": "model_gateway", "state": "present", **_component(options, keys, models, platform)},
        checks=(Check(Question(_INFO, {}), _differing, _noticed),),
        rest=lambda changed, dry_run: None if dry_run or changed else {"tasks": "reload"},
        verify={
            "url": url(options),
            "backends": [backend.name for backend in models],
            # A model that is loaded answers the first check; one more is for a server that is busy.
            "tries": 2 + int(health(options)["timeout_s"]),
        },
        published={"models": {backend.model: [server.name for server in backend.servers] for backend in models}},
    )


def _given(tls: Data) -> Data | None:
    """None without a certificate."""
    return tls if any(tls.get(name) is not None for name in ("pem", "pem_file")) else None


def _differing(answer: Data) -> list[Data]:
    """A file on disk that is not the one that runs, and workers that should have ended."""
    if not answer["running"]:
        return []  # that is the unit's difference
    rows = []
    if not answer["matches_disk"]:
        have = " ".join(answer.get("reasons") or ()) or "another configuration"
        rows.append({"attribute": "runs", "want": "what is on disk", "have": have})
    for worker in answer["workers"]:
        if worker["overdue"]:
            have = f"there, with {'no answer' if worker['open'] is None else str(worker['open']) + ' connections'}"
            rows.append({"attribute": f"old worker {worker['pid']}", "want": "ended", "have": have})
    return [{"kind": "gateway", "item": paths.UNIT, **row} for row in rows]


def _noticed(answer: Data) -> list[str]:
    """Workers that finish what they have, and what will be a trouble."""
    left = [worker for worker in answer["workers"] if not worker["serving"] and not worker["overdue"]]
    workers = [
        f"Worker {one['pid']} of the gateway is left from before a reload, {one['uptime_s']} s old, and has "
        f"{one['open']} connections; it ends with them."
        for one in left
    ]
    return [*workers, *(f"The gateway: {problem}." for problem in answer["problems"])]


def health(options: Data) -> dict[str, t.Any]:
    return {**HEALTH, **{name: value for name, value in options["health"].items() if value is not None}}


def url(options: Data) -> str:
    """Where the host itself reaches the gateway."""
    ip = parse_ip(options["address"])
    host = options["address"]
    if ip is not None and ip.is_unspecified:
        host = "127.0.0.1" if ip.version == 4 else "::1"
    scheme = "https" if options["tls"] else "http"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{options['port']}"


def _component(
    options: Data, keys: t.Sequence[Key], models: t.Sequence[Backend], platform: Platform
) -> dict[str, t.Any]:
    program = resources(python=options["python"])
    known = platform.known["haproxy"]
    shown = _shown(options, models, known)
    files = [
        _file(paths.KEYS_MAP, "".join(f"{key.digest} {key.name}\n" for key in keys)),
        _file(paths.LIMITS_MAP, "".join(f"{key.name} {key.limit}\n" for key in keys if key.limit is not None)),
        _file(MODELS_MAP, "".join(f"{backend.model} {backend.name}\n" for backend in models)),
        _file(MODELS_JSON, _listing(models)),
        *(_file(path, (ROLES / "model_gateway/files" / path.rpartition("/")[2]).read_text()) for path in shown["lua"]),
        _file(UPSTREAM_MAP, "".join(f"{one.name} {one.key}\n" for one in models if one.key), secret=True),
        *([_file(paths.TLS_PEM, _ended(options["tls"]["pem"]), secret=True)] if shown["own_pem"] else []),
    ]
    return {
        "packages": [{"name": name, "state": "present"} for name in known["packages"]],
        "directories": [
            {"path": "/etc/mlops.hosts"},
            {"path": paths.CONFIG, "group": paths.USER, "mode": "0750", "purge": True, "on_change": "none"},
            *program["directories"],
        ],
        "files": [
            *program["files"],
            *files,
            {
                "path": paths.HAPROXY_CFG,
                "template": "haproxy.cfg.j2",
                "template_vars": {"__model_gateway": shown},
                **_ACCESS,
                "validate": [paths.HAPROXY, "-c", "-f", "{staged}"],
                "validate_with": [file["path"] for file in files],
            },
            {
                "path": UNIT_FILE,
                "template": "mlops-gateway.service.j2",
                "template_vars": {"__model_gateway": shown},
                "on_change": "restart",
            },
        ],
        "units": [{"name": paths.UNIT}],
        "requires": validate.requires(options, models),
        "ready": [{"unit": paths.UNIT, "command": [paths.PROGRAM, "check"], "timeout_s": 30}],
        "settle_s": 2,
    }


_ACCESS: Data = {"group": paths.USER, "mode": "0640", "on_change": "reload"}


def _file(path: str, content: str, *, secret: bool = False) -> dict[str, t.Any]:
    return {"path": path, "content": content, **_ACCESS, **({"secret": True} if secret else {})}


def _ended(text: str) -> str:
    return text if text.endswith("\n") else f"{text}\n"


def _listing(models: t.Sequence[Backend]) -> str:
    data = [{"id": backend.model, "object": "model", "owned_by": "model_gateway"} for backend in models]
    return json.dumps({"object": "list", "data": data})


def _shown(options: Data, models: t.Sequence[Backend], known: Data) -> dict[str, t.Any]:
    """What the templates see. No secret is among it."""
    tls = options["tls"] or {}
    buffer = (options["max_body_kib"] + _HEADERS_KIB) * 1024 + _REWRITE
    default = options["requests_per_minute"]
    stream_tokens = options["access_log"] and known["stream_tokens"]
    pem = tls.get("pem_file") or (paths.TLS_PEM if tls.get("pem") else None)
    return {
        **{name: getattr(paths, name) for name in ("KEYS_MAP", "LIMITS_MAP")},
        **{name: getattr(paths, name) for name in ("HAPROXY", "HAPROXY_CFG", "PROGRAM", "USER", "RUN")},
        **{name: getattr(paths, name) for name in ("API_SOCKET", "MASTER_SOCKET", "SERVERS_STATE", "FRONTEND")},
        "MODELS_MAP": MODELS_MAP,
        "MODELS_JSON": MODELS_JSON,
        "UPSTREAM_MAP": UPSTREAM_MAP,
        "own_pem": bool(tls.get("pem")),
        "bind": f"{_bind_address(options['address'])}:{options['port']}",
        "metrics_bind": f"{_bind_address(options['metrics_address'])}:{options['metrics_port']}"
        if options["metrics_port"]
        else None,
        "privileged": options["port"] < 1024,
        "pem": pem,
        "tls_min": tls.get("min_version") or "TLSv1.2",
        "buffer": buffer,
        "rewrite": _REWRITE,
        # Buffers that are used again need not be mapped anew.
        "hot": 64 * buffer if known["hot_size"] else None,
        "settings": known["settings"],
        "body_kib": options["max_body_kib"],
        "connections": options["max_connections"],
        "open_files": 4 * options["max_connections"] + 1024,
        "limit": default,
        "keyless_limit": options["keyless_requests_per_minute"],
        "table": max(1024, 2 ** math.ceil(math.log2(2 * len(options["keys"]) + 1))),
        "queue_s": options["queue_s"],
        "queue_length": options["queue_length"],
        "silence_s": options["max_silence_s"],
        "stream_s": options["max_stream_s"],
        "stop_s": options["stop_s"],
        "access_log": options["access_log"],
        "stream_tokens": stream_tokens,
        "lua": [paths.MODEL_LUA, *([paths.TOKENS_LUA] if stream_tokens else [])],
        "paths": options["paths"],
        "tensors": [backend.name for backend in models if backend.kind == "tensor"],
        "health": health(options),
        "backends": [_shown_backend(backend, options) for backend in models],
    }


def _shown_backend(backend: Backend, options: Data) -> dict[str, t.Any]:
    given = {item["name"]: item for item in options["models"]}.get(backend.model, {})
    most = given.get("max_open_per_server")
    return {
        "name": backend.name,
        "model": backend.model,
        "has_key": backend.key is not None,
        "resend": len(backend.servers) >= _RESEND_FROM[options["resend"]],
        "health": _health(backend),
        "servers": [
            {
                "name": server.name,
                "address": f"{_bind_address(server.address)}:{server.port}",
                "max_open": server.parallel if most is None else most,
            }
            for server in backend.servers
        ],
    }


def _health(backend: Backend) -> dict[str, t.Any]:
    """The smallest request that runs the model, and what its answer must have."""
    if backend.kind == "tensor":
        return {"method": "GET", "uri": f"/v2/models/{backend.model}/ready", "body": None, "expect": None}
    if backend.kind == "embedding":
        body: dict[str, t.Any] = {"model": backend.model, "input": "1"}
        return {
            "method": "POST",
            "uri": "/v1/embeddings",
            "body": json.dumps(body),
            "expect": r"\"embedding\":\ *\[\ *-?[0-9]",
        }
    body = {"model": backend.model, "prompt": "1", "max_tokens": 1, "temperature": 0}
    return {
        "method": "POST",
        "uri": "/v1/completions",
        "body": json.dumps(body),
        "expect": r"\"finish_reason\":\ *\"(stop|length)\"",
    }


def _bind_address(address: str) -> str:
    return f"[{address}]" if ":" in address else address
