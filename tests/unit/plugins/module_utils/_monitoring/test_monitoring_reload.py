# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A reload is checked before, and counts when the part says that it has taken its files."""

from __future__ import annotations

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._errors import HostError
from ansible_collections.mlops.hosts.plugins.module_utils._monitoring import reload
from ansible_collections.mlops.hosts.plugins.module_utils._monitoring.plan import Plan
from ansible_collections.mlops.hosts.plugins.module_utils._runner import Completed
from ansible_collections.mlops.hosts.tests.unit.fakes import Told

from .support import PROMETHEUS, plan, recorded


def metrics(at, good=1):
    prefix = "prometheus_config_last_reload_success"
    return f"{prefix}_timestamp_seconds {at}\n{prefix}ful {good}\n"


def reloaded(tmp_path, *answers, checked=None):
    """Reloads a Prometheus that gives these answers, one after another; returns what was done."""
    whole, fetch, done, left = plan(tmp_path), recorded("trixie"), [], list(answers)
    argv = ("/usr/bin/promtool", "check", "config", whole.prometheus.config)
    run = Told({argv: checked or ""})
    ticks = iter(range(0, 1000, 10))

    def ask(url, **options):
        fetch.answers[f"{PROMETHEUS}/metrics"] = left.pop(0) if len(left) > 1 else left[0]
        return fetch(url, **options)

    reload.reload(
        "prometheus",
        whole,
        run=run,
        fetch=ask,
        hang_up=lambda: done.append("hup"),
        clock=lambda: next(ticks),
        sleep=lambda _s: done.append("slept"),
    )
    return done


def test_it_ends_when_the_files_are_taken(tmp_path):
    assert reloaded(tmp_path, metrics(1.5e9), metrics(1.5e9), metrics(1.6e9)) == ["hup", "slept"]


def test_files_that_are_refused_before_are_not_told_of(tmp_path):
    refused = Completed(("/usr/bin/promtool",), 1, "", "FAILED: parsing YAML file")
    with pytest.raises(HostError, match="prometheus runs on as before: .*config.yml is refused.*parsing YAML"):
        reloaded(tmp_path, metrics(1.5e9), checked=refused)


def test_a_refusal_is_told_at_once(tmp_path):
    with pytest.raises(HostError, match="has not taken .* and runs on as before"):
        reloaded(tmp_path, metrics(1.5e9), metrics(1.5e9, good=0))


def test_one_that_had_failed_before_is_waited_for(tmp_path):
    assert reloaded(tmp_path, metrics(1.5e9, 0), metrics(1.5e9, 0), metrics(1.6e9)) == ["hup", "slept"]
    with pytest.raises(HostError, match="has not taken"):
        reloaded(tmp_path, metrics(1.5e9, 0))


def test_a_part_that_is_not_there_is_refused():
    with pytest.raises(HostError, match="alertmanager must be a part that runs on this host"):
        reload.reload("alertmanager", Plan(), run=Told(), fetch=recorded("trixie"), hang_up=pytest.fail)
