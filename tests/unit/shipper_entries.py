# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Entries of the journal, and the records that they become with the options of ``pipeline``, as base.py says."""

from __future__ import annotations

import typing as t

TIME = 1_790_000_000_123_456_000
_AT = {"@timestamp": "2026-09-21T14:13:20.123456Z", "host": "gpu01"}
_LABELS = {"labels": {"site": "eu 1", "team": "ml"}}


def entry(message: str, **more: str) -> dict[str, str]:
    fields = {"MESSAGE": message, "PRIORITY": "6", "_HOSTNAME": "gpu01", "_PID": "77", "_TRANSPORT": "stdout"}
    return {**fields, "SYSLOG_IDENTIFIER": "serve", "_COMM": "python3", **more}


def options(kind: str, sink: dict[str, t.Any]) -> dict[str, t.Any]:
    """``few`` gets errors and what is out of memory, ``all`` each line."""
    return {
        "sources": [
            {"name": "models", "type": "model_servers", "instances": ["a*"], "json": True, "labels": {"site": "eu 1"}},
            {"name": "units", "type": "journald", "units": ["mlops-*", "ray"], "priority": "info"},
            {"name": "kernel", "type": "kernel", "priority": "warning"},
            {"name": "boxes", "type": "containers", "containers": ["tei-?"]},
            {"name": "gpus", "type": "gpu_events"},
        ],
        "sinks": [
            {"name": "few", "type": kind, **sink},
            {"name": "all", "type": kind, **sink},
        ],
        "routes": [
            {
                "name": "1",
                "from": ["gpus", "models", "units", "kernel", "boxes"],
                "to": ["all"],
                "labels": {"team": "ml"},
            },
            {"name": "2", "from": ["models", "units"], "to": ["few"], "priority": "err", "excludes": ["a+b"]},
            {"name": "3", "from": ["kernel", "models"], "to": ["few"], "contains": ["Out of memory", "a.b"]},
        ],
    }


# A name, the entry, its record at "all", and whether "few" gets it.
ENTRIES: tuple[tuple[str, dict[str, str], dict[str, t.Any] | None, bool], ...] = (
    (
        "a-line-is-of-the-first-source-that-has-it",
        entry("hello", _SYSTEMD_UNIT="mlops-model-abc.service"),
        {"source": "models", "unit": "mlops-model-abc.service", "program": "serve", "pid": "77", "severity": "info"}
        | {"message": "hello", "labels": {"site": "eu 1", "team": "ml"}},
        False,
    ),
    (
        "members-of-json-are-fields-without-what-is-redacted",
        entry('{"msg": "x", "n": 1, "prompt": "tell"}', _SYSTEMD_UNIT="mlops-model-abc.service", PRIORITY="3"),
        {"source": "models", "unit": "mlops-model-abc.service", "program": "serve", "pid": "77", "severity": "err"}
        | {"message": '{"msg": "x", "n": 1, "prompt": "[redacted]"}', "labels": {"site": "eu 1", "team": "ml"}}
        | {"fields": {"msg": "x", "n": 1, "prompt": "[redacted]"}},
        True,
    ),
    (
        "what-only-looks-like-json-has-no-fields",
        entry("{oops a.b", _SYSTEMD_UNIT="mlops-model-a.service"),
        {"source": "models", "unit": "mlops-model-a.service", "program": "serve", "pid": "77", "severity": "info"}
        | {"message": "{oops a.b", "labels": {"site": "eu 1", "team": "ml"}},
        True,
    ),
    (
        "a-text-of-a-route-is-no-pattern",
        entry("aXb", _SYSTEMD_UNIT="mlops-model-a.service"),
        {"source": "models", "unit": "mlops-model-a.service", "program": "serve", "pid": "77", "severity": "info"}
        | {"message": "aXb", "labels": {"site": "eu 1", "team": "ml"}},
        False,
    ),
    (
        "what-a-route-excludes-does-not-take-it",
        entry("a+b", _SYSTEMD_UNIT="ray.service", PRIORITY="2"),
        {"source": "units", "unit": "ray.service", "program": "serve", "pid": "77", "severity": "crit"}
        | {"message": "a+b", "labels": {"team": "ml"}},
        False,
    ),
    (
        "what-systemd-says-of-a-unit-is-of-the-unit",
        entry("ray.service: Failed", _SYSTEMD_UNIT="init.scope", UNIT="ray.service", _PID="1", PRIORITY="0"),
        {"source": "units", "unit": "ray.service", "program": "serve", "pid": "1", "severity": "emerg"}
        | {"message": "ray.service: Failed", "labels": {"team": "ml"}},
        True,
    ),
    ("nobody-else-says-it", entry("x", _SYSTEMD_UNIT="evil.service", UNIT="ray.service"), None, False),
    ("a-name-is-matched-to-its-end", entry("x", _SYSTEMD_UNIT="ray.services"), None, False),
    ("a-line-that-is-not-important-enough", entry("x", _SYSTEMD_UNIT="ray.service", PRIORITY="7"), None, False),
    (
        "a-line-of-the-kernel",
        entry("Out of memory", _TRANSPORT="kernel", PRIORITY="4", SYSLOG_FACILITY="0", SYSLOG_IDENTIFIER="kernel"),
        {"source": "kernel", "program": "kernel", "pid": "77", "severity": "warning", "message": "Out of memory"}
        | {"labels": {"team": "ml"}},
        True,
    ),
    ("a-program-is-not-the-kernel", entry("Out of memory", PRIORITY="0", SYSLOG_FACILITY="0"), None, False),
    (
        "a-line-of-a-container",
        entry("Bearer abcdefgh1234", CONTAINER_NAME="tei-1", _SYSTEMD_UNIT="docker.service"),
        {"source": "boxes", "unit": "docker.service", "container": "tei-1", "program": "serve", "pid": "77"}
        | {"severity": "info", "message": "Bearer [redacted]", "labels": {"team": "ml"}},
        False,
    ),
    (
        "an-event-of-a-gpu-is-of-its-source-and-has-its-fields",
        entry("Xid 79", _SYSTEMD_UNIT="mlops-gpu-events.service", MLOPS_GPU_EVENT="1", XID="79", GPU_UUID="GPU-1")
        | {"EVENT_PROCESS": 'a "b]\\'},
        # The source units takes all of mlops-*: the first one has it.
        {"source": "units", "unit": "mlops-gpu-events.service", "program": "serve", "pid": "77", "severity": "info"}
        | {"message": "Xid 79", "labels": {"team": "ml"}}
        | {"fields": {"xid": "79", "gpu_uuid": "GPU-1", "event_process": 'a "b]\\'}},
        False,
    ),
)


def record(found: dict[str, t.Any]) -> dict[str, t.Any]:
    return {**_AT, **found}
