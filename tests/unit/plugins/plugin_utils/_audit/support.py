# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts as the collector leaves them, for the tests of what is made of them."""

from __future__ import annotations

import datetime

from ansible_collections.mlops.hosts.plugins.plugin_utils._audit import document
from ansible_collections.mlops.hosts.plugins.plugin_utils._audit.collect import (
    ARTIFACT,
    COMPONENT,
    GPUS,
    HOST_CHECK,
    Collector,
    Event,
)

THEN = datetime.datetime(2026, 11, 25, 2, 40, 13, tzinfo=datetime.timezone.utc)
RUN = document.Run(THEN, THEN + datetime.timedelta(seconds=41), "ops1", "/srv/audit.yml")


def row(**more):
    return {"kind": "file", "item": "/etc/a", "attribute": "mode", "want": "0644", "have": "0600", **more}


def gpu(index, **more):
    return {"index": index, "name": "H100", "memory_total_mib": 81559, "health": "ok", "health_reasons": [], **more}


def event(**more):
    return {
        "source": "xid",
        "code": 79,
        "mnemonic": "GPU_HAS_FALLEN_OFF_THE_BUS",
        "severity": "critical",
        "action": "reboot_host",
        "hardware_fault": True,
        "pci_address": "0000:1a:00.0",
        "gpu_uuid": "GPU-1",
        "count": 1,
        "last": "2026-11-25T02:00:00.000000Z",
        "text": "NVRM: Xid (PCI:0000:1a:00): 79",
        **more,
    }


class Fleet:
    """Says to a collector what an audit would."""

    def __init__(self):
        self.collector = Collector()

    def component(self, host, *drift, name="web", role="acme.web", **more):
        result = {
            "component": name,
            "changed": bool(drift),
            "drift": list(drift),
            "invocation": {"module_args": {"name": name, "state": "present"}},
            **more,
        }
        self.collector.ok(Event(host, COMPONENT, role, None, result))

    def artifact(self, host, *drift, role="mlops.hosts.model_store", **more):
        self.collector.ok(Event(host, ARTIFACT, role, None, {"changed": bool(drift), "drift": list(drift), **more}))

    def failed(self, host, message, role="acme.web", action="ansible.builtin.assert", name=None, **more):
        self.collector.failed(Event(host, action, role, name, {"failed": True, "msg": message, **more}))

    def gpus(self, host, *gpus, expected=None):
        facts = {
            "gpus": list(gpus),
            "count": len(gpus),
            "expected_from_pci": len(gpus) if expected is None else expected,
            "driver": {"version": "580.1", "cuda_version": "13.0"},
        }
        self.collector.ok(Event(host, GPUS, None, None, facts))

    def events(self, host, *events):
        self.collector.ok(Event(host, HOST_CHECK, None, None, {"gpu_events": {"events": list(events)}, "roles": {}}))

    @property
    def document(self):
        return document.build(self.collector.hosts.values(), RUN)

    def host(self, name):
        return next(host for host in self.document["hosts"] if host["name"] == name)
