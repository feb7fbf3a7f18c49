# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import datetime

from ansible_collections.mlops.hosts.plugins.plugin_utils._audit import document, metrics
from ansible_collections.mlops.hosts.tests.unit.plugins.plugin_utils._audit.support import RUN, THEN, gpu, row

ENDED = int((THEN + datetime.timedelta(seconds=41)).timestamp())


def values(text):
    return dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))


def test_each_host_has_its_values(fleet):
    fleet.component("a", row(), row(item="/etc/b"))
    fleet.gpus("a", gpu(0), gpu(1, health="failed"))
    fleet.collector.unreachable("b", "no route")
    fleet.failed("c", "broken")
    fleet.collector.lost("c")
    found = values(metrics.render(fleet.document))
    assert found == {
        f'mlops_audit_{name}{{audited_host="{host}"}}': str(value)
        for host, shown in {
            "a": {"differences": 2, "failed": 0, "unreachable": 0, "gpus_not_ok": 1},
            "b": {"differences": 0, "failed": 0, "unreachable": 1, "gpus_not_ok": 0},
            "c": {"differences": 0, "failed": 1, "unreachable": 0, "gpus_not_ok": 0},
        }.items()
        for name, value in {**shown, "timestamp_seconds": ENDED}.items()
    }


def test_the_text_is_what_node_exporter_takes(fleet):
    """One HELP and one TYPE before all series of a metric, no timestamp, a line feed at the end."""
    fleet.component('a"\\')
    text = metrics.render(fleet.document)
    lines = text.splitlines()
    assert text.endswith("\n")
    for at in range(0, len(lines), 3):
        metric = lines[at].split()[2]
        assert lines[at].startswith(f"# HELP {metric} ")
        assert lines[at + 1] == f"# TYPE {metric} gauge"
        assert lines[at + 2].startswith(metric + '{audited_host="a\\"\\\\"} ')


def test_hosts_that_a_limit_left_out_keep_their_values(fleet):
    fleet.component("a", row())
    fleet.component("b", row())
    fleet.component("gone", row())
    before = metrics.render(fleet.document)
    later = type(fleet)()
    later.component("a")
    run = document.Run(THEN, THEN + datetime.timedelta(days=1), "ops1", "/srv/audit.yml")
    found = values(metrics.render(document.build(later.collector.hosts.values(), run, {"a", "b"}), before))
    shown = {key: value for key, value in found.items() if "differences" in key or "timestamp" in key}
    assert shown == {
        'mlops_audit_differences{audited_host="a"}': "0",
        'mlops_audit_differences{audited_host="b"}': "1",
        'mlops_audit_timestamp_seconds{audited_host="a"}': str(int(run.ended.timestamp())),
        'mlops_audit_timestamp_seconds{audited_host="b"}': str(int(RUN.ended.timestamp())),
    }


def test_a_file_that_is_not_ours_is_replaced(fleet):
    fleet.component("a")
    assert metrics.render(fleet.document, "mlops_audit_failed{x 1\n\0") == metrics.render(fleet.document)
