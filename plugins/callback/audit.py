# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Listens to an audit and writes its report. What is here only turns Ansible's objects into plain data."""

from __future__ import annotations

DOCUMENTATION = r"""
name: audit
type: notification
short_description: Report how a fleet differs from what it should be
description:
  - Collects what the tasks of the playbook C(mlops.hosts.audit) find on each host, and writes it as C(drift.json), as
    JUnit XML and as one HTML page. Hosts that cannot be reached are in it too.
  - It is idle in every play that does not have the variable C(mlops_hosts_audit) set to V(true).
  - Where the files go and what counts as a finding are variables of the play, C(audit_dir) and C(audit_fail_on).
    With C(audit_textfile_dir) node_exporter of the controller gets metrics. With C(audit_dashboard_url) the page
    has a link to the dashboard of each host.
  - Sets the exit code of C(ansible-playbook). V(0) when C(audit_fail_on) finds nothing, V(16) when it finds something,
    V(2) when a host could not be audited, V(1) when one of these variables cannot be used.
version_added: 0.1.0
author:
  - The mlops.hosts founders (@mlops-hosts)
requirements:
  - Enabling in the configuration, for example with E(ANSIBLE_CALLBACKS_ENABLED=mlops.hosts.audit).
  - jmespath on the controller, when C(audit_fail_on) is set.
notes:
  - Name it last when there are several, as it may end the run when the others have had their turn.
"""

import datetime
import os
import platform
import re
import typing as t

from ansible import constants as C
from ansible.errors import AnsibleError
from ansible.plugins.callback import CallbackBase
from ansible.template import Templar

from ..plugin_utils._audit import document, junit, metrics, page, verdict
from ..plugin_utils._audit.collect import Collector, Event
from ..plugin_utils._audit.gate import DEFAULT, Gate, GateError
from ..plugin_utils._audit.output import Output, OutputError, Textfile

MARK = "mlops_hosts_audit"
# What the playbook says when it has given up a role on a host.
GAVE_UP = "audit_gave_up"
# A playbook of a collection, by its path.
_PLAYBOOK = re.compile(r"^.*/ansible_collections/([^/]+)/([^/]+)/playbooks/([^/]+)\.ya?ml$")
_COLORS = {
    "ok": "COLOR_OK",
    "change": "COLOR_CHANGED",
    "error": "COLOR_ERROR",
    "unreachable": "COLOR_UNREACHABLE",
}


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "mlops.hosts.audit"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, *args: t.Any, **kwargs: t.Any) -> None:
        super().__init__(*args, **kwargs)
        self._playbook = ""
        self._listening = False
        self._audit: Audit | None = None

    def v2_playbook_on_start(self, playbook: t.Any) -> None:
        self._playbook = _PLAYBOOK.sub(r"\1.\2.\3", playbook._file_name)
        self._audit = None

    def v2_playbook_on_play_start(self, play: t.Any) -> None:
        self._listening = play.get_vars().get(MARK) is True
        if self._listening and self._audit is None:
            try:
                self._audit = Audit(self._playbook, **_settings(play))
            except (AnsibleError, GateError, OutputError, page.LinkError) as exc:
                self._display.error(f"The audit was not started: {exc}", wrap_text=False)
                raise SystemExit(verdict.REFUSED) from exc
        if self._listening and self._audit is not None:
            self._audit.targets.update(_targets(play))

    def v2_runner_on_start(self, host: t.Any, task: t.Any) -> None:
        self._tell(lambda audit: audit.collector.host(host.get_name()))

    def v2_runner_on_ok(self, result: t.Any) -> None:
        def tell(audit: Audit) -> None:
            event = _event(result)
            said = event.result.get("msg")
            if isinstance(said, dict) and GAVE_UP in said:
                audit.collector.give_up(event.host, said[GAVE_UP])
            else:
                audit.collector.ok(event)

        self._tell(tell)

    def v2_runner_on_failed(self, result: t.Any, ignore_errors: bool = False) -> None:
        self._tell(lambda audit: audit.collector.failed(_event(result)))

    def v2_runner_on_unreachable(self, result: t.Any) -> None:
        def tell(audit: Audit) -> None:
            event = _event(result)
            audit.collector.unreachable(event.host, str(event.result.get("msg") or ""))

        self._tell(tell)

    def v2_playbook_on_stats(self, stats: t.Any) -> None:
        if self._audit is None:
            return
        try:
            code = self._end(self._audit, stats)
        except Exception as exc:
            self._display.error(f"The report could not be made: {exc!r}", wrap_text=False)
            code = verdict.UNKNOWN
        if code != verdict.OK or stats.dark or stats.failures:
            # Ansible takes no exit code from a callback, and has one of its own for hosts that it could not reach.
            raise SystemExit(code)

    def _tell(self, tell: t.Callable[[Audit], object]) -> None:
        """Ansible goes on when a callback fails. A report with a gap must not look like a good one."""
        if not self._listening or self._audit is None:
            return
        try:
            tell(self._audit)
        except Exception as exc:
            self._audit.defect = repr(exc)

    def _end(self, audit: Audit, stats: t.Any) -> int:
        for name in audit.collector.hosts:
            if stats.summarize(name)["failures"]:
                audit.collector.lost(name)
        report = audit.report()
        self._display.banner("AUDIT")
        for line, tone in verdict.closing(report):
            self._display.display(line, color=getattr(C, _COLORS[tone]) if tone in _COLORS else None)
        try:
            matched, problem = audit.gate.matches(report), audit.defect
        except GateError as exc:
            matched, problem = False, str(exc)
        paths = audit.output.write(
            {
                "drift.json": document.text(report),
                "junit.xml": junit.render(report),
                "audit.html": page.render(report, audit.dashboard_url),
            }
        )
        if audit.textfile:
            audit.textfile.write(metrics.render(report, audit.textfile.read()))
            paths.append(audit.textfile.path)
        self._display.display("".join(f"\n{path}" for path in paths).strip())
        found = verdict.diagnose(report, matched=matched, expression=str(audit.gate.expression))
        if problem:
            found = verdict.Verdict(verdict.UNKNOWN, problem)
        self._display.display(f"exit code {found.code}: {found.meaning}")
        return found.code


class Audit:
    """One audit, from its settings to its report."""

    def __init__(
        self,
        playbook: str,
        audit_dir: t.Any,
        audit_fail_on: t.Any,
        audit_textfile_dir: t.Any,
        audit_dashboard_url: t.Any,
    ) -> None:
        self.playbook = playbook
        self.started = _now()
        self.gate = Gate(audit_fail_on)
        self.dashboard_url = page.dashboard_url(str(audit_dashboard_url or ""))
        self.output = Output(str(audit_dir))
        self.textfile = Textfile(str(audit_textfile_dir), metrics.NAME) if audit_textfile_dir else None
        self.collector = Collector()
        self.targets: set[str] = set()
        self.defect: str | None = None

    def report(self) -> document.Document:
        run = document.Run(self.started, _now(), platform.node(), self.playbook)
        return document.build(self.collector.hosts.values(), run, self.targets)


def _settings(play: t.Any) -> dict[str, t.Any]:
    """As a host of the play sees them, so that they can be set for all of them in the inventory."""
    manager = play.get_variable_manager()
    hosts = manager._inventory.get_hosts(play.hosts)
    variables = manager.get_vars(play=play, host=hosts[0] if hosts else None)
    given = {name: variables.get(name, default) for name, default in _DEFAULTS.items()}
    return t.cast("dict[str, t.Any]", Templar(loader=play.get_loader(), variables=variables).template(given))


def _targets(play: t.Any) -> set[str]:
    """All hosts of the inventory that the play is for, whatever limits this run."""
    inventory = play.get_variable_manager()._inventory
    return {host.get_name() for host in inventory.get_hosts(play.hosts, ignore_limits=True, ignore_restrictions=True)}


_DEFAULTS = {
    "audit_dir": os.path.join(os.curdir, "audit"),
    "audit_fail_on": DEFAULT,
    "audit_textfile_dir": "",
    "audit_dashboard_url": "",
}


def _event(result: t.Any) -> Event:
    task, host = (result.task, result.host) if hasattr(result, "task") else (result._task, result._host)
    # ansible-core 2.18 has this under its private name only.
    said = result.result if hasattr(result, "result") else result._result
    name = task.args.get("name")
    return Event(
        host=host.get_name(),
        action=task.resolved_action or task.action,
        role=task._role.get_name() if task._role else None,
        name=name if isinstance(name, str) and "{" not in name else None,
        result=said,
    )


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.timezone.utc)
