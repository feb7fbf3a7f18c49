# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The callback, told by hand what Ansible would tell it. On real hosts it is seen in scenario audit."""

from __future__ import annotations

import json
import types

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import trust_as_template
from ansible_collections.mlops.hosts.plugins.callback.audit import CallbackModule

Simple = types.SimpleNamespace
COMPONENT = "mlops.hosts.component"
DRIFT = [{"kind": "file", "item": "/etc/a", "attribute": "mode", "want": "0644", "have": "0600"}]


def host(name):
    return Simple(get_name=lambda: name)


class Run:
    """A run of Ansible in which each step is called for."""

    def __init__(self, folder, monkeypatch):
        self.said = []
        self.folder = folder
        self.callback = CallbackModule()
        display = Simple(
            display=lambda text, color=None: self.said.append(text),
            error=lambda text, wrap_text=True: self.said.append(f"ERROR {text}"),
            banner=lambda text: self.said.append(text),
        )
        monkeypatch.setattr(self.callback, "_display", display)
        path = "/srv/ansible_collections/mlops/hosts/playbooks/audit.yml"
        self.callback.v2_playbook_on_start(Simple(_file_name=path))

    def play(self, mark=True, targets=(), **variables):
        variables = {"audit_dir": str(self.folder), **variables}
        manager = Simple(
            get_vars=lambda play, host: {**variables, "seen_by": host},
            _inventory=Simple(
                get_hosts=lambda pattern, ignore_limits=False, ignore_restrictions=False: (
                    [host(name) for name in targets] if ignore_limits and ignore_restrictions else ["a"]
                )
            ),
        )
        self.callback.v2_playbook_on_play_start(
            Simple(
                hosts="all",
                get_vars=lambda: {"mlops_hosts_audit": mark},
                get_variable_manager=lambda: manager,
                get_loader=DataLoader,
            )
        )

    def ok(self, name="a", action=COMPONENT, role="acme.web", **result):
        self.callback.v2_runner_on_ok(self.result(name, action, role, result))

    def failed(self, name="a", action="ansible.builtin.assert", role="acme.web", **result):
        self.callback.v2_runner_on_failed(self.result(name, action, role, {"failed": True, **result}))

    def unreachable(self, name, message):
        self.callback.v2_runner_on_unreachable(self.result(name, "x.y.z", None, {"msg": message}))

    def result(self, name, action, role, result):
        task = Simple(
            args={"name": "web"},
            action=action.rpartition(".")[2],
            resolved_action=action,
            _role=Simple(get_name=lambda: role) if role else None,
        )
        self.callback.v2_runner_on_start(host(name), task)
        return Simple(_task=task, _host=host(name), _result=result)

    def end(self, **failures):
        """The exit code, None when Ansible's own stays."""
        dark = {name: 1 for name in failures if failures[name] == "dark"}
        failed = {name: 1 for name in failures if name not in dark}
        stats = Simple(dark=dark, failures=failed, summarize=lambda name: {"failures": failed.get(name, 0)})
        try:
            self.callback.v2_playbook_on_stats(stats)
        except SystemExit as ended:
            return ended.code
        return None

    @property
    def document(self):
        return json.loads((self.folder / "drift.json").read_text())


@pytest.fixture
def run(tmp_path, monkeypatch):
    return Run(tmp_path / "audit", monkeypatch)


def test_a_play_that_is_no_audit_is_left_alone(run):
    run.play(mark=False)
    run.ok(component="web", changed=True, drift=DRIFT)
    assert run.end() is None
    assert run.said == []
    assert not run.folder.exists()


def test_a_fleet_as_desired(run):
    run.play()
    run.ok(component="web", changed=False, drift=[])
    assert run.end() is None
    assert sorted(path.name for path in run.folder.iterdir()) == ["audit.html", "drift.json", "junit.xml"]
    assert run.document["summary"]["ok"] == 1
    assert run.document["playbook"] == "mlops.hosts.audit"


def test_drift_has_an_exit_code_of_its_own(run):
    run.play()
    run.ok(component="web", changed=True, drift=DRIFT)
    assert run.end() == 16
    assert run.said[:2] == ["AUDIT", "drift        a: 1 difference (web 1)"]


def test_hosts_that_a_limit_left_out_are_in_the_report_by_name(run):
    run.play(targets=("a", "b"))
    run.ok(component="web", changed=False, drift=[])
    assert run.end() is None
    assert (run.document["not_in_run"], run.document["summary"]["hosts"]) == (["b"], 1)
    assert "not in this run: b" in run.said


def test_other_plays_of_the_run_do_not_count(run):
    run.play(mark=False)
    run.ok(name="elsewhere", component="web", changed=True, drift=DRIFT)
    run.play()
    run.ok(component="web", changed=False, drift=[])
    run.play(mark=False)
    run.failed(name="elsewhere", msg="no")
    assert run.end(elsewhere="failed") == 0
    assert [one["name"] for one in run.document["hosts"]] == ["a"]


def test_the_gate_decides(run):
    run.play(audit_fail_on="hosts[?drift[?kind=='unit']]")
    run.ok(component="web", changed=True, drift=DRIFT)
    assert run.end() is None


def test_settings_are_templates(run):
    run.play(audit_fail_on=trust_as_template("hosts[?name=='{{ seen_by }}']"))
    run.ok(component="web", changed=False, drift=[])
    assert run.end() == 16


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"audit_fail_on": "hosts[?"}, "audit_fail_on is not a JMESPath expression"),
        ({"audit_dir": "/proc/audit"}, "audit_dir /proc/audit cannot be written"),
        ({"audit_textfile_dir": "/nowhere"}, "audit_textfile_dir must be a directory of this machine"),
        ({"audit_textfile_dir": "/proc"}, "audit_textfile_dir /proc cannot be written"),
        ({"audit_dashboard_url": "grafana"}, "audit_dashboard_url must begin with https:// or http://"),
    ],
)
def test_what_cannot_be_used_is_refused_before_the_audit(run, variables, said):
    with pytest.raises(SystemExit) as ended:
        run.play(**variables)
    assert ended.value.code == 1
    assert run.said[0].startswith(f"ERROR The audit was not started: {said}")


def test_node_exporter_of_the_controller_can_read_what_was_found(run, tmp_path):
    run.play(audit_textfile_dir=str(tmp_path), audit_dashboard_url="https://grafana.example.org/d/{host}")
    run.ok(component="web", changed=True, drift=DRIFT)
    assert run.end() == 16
    (written,) = tmp_path.glob("*.prom*")
    assert (written.name, written.stat().st_mode & 0o777) == ("mlops_audit.prom", 0o644)
    assert 'mlops_audit_differences{audited_host="a"} 1\n' in written.read_text()
    assert "https://grafana.example.org/d/{host}" in (run.folder / "audit.html").read_text()


def test_a_role_that_was_given_up(run):
    run.play()
    run.failed(msg="port 80 is taken")
    run.ok(action="ansible.builtin.debug", role=None, msg={"audit_gave_up": "acme.web"})
    assert run.end() == 2
    assert run.document["hosts"][0]["reason"] == "web: port 80 is taken"


def test_a_host_that_failed_otherwise(run):
    run.play()
    run.failed(role=None, msg="no sudo")
    assert run.end(a="failed") == 2
    assert run.document["hosts"][0]["reason"] == "no sudo"


def test_an_unreachable_host_is_not_fatal(run):
    run.play()
    run.ok(component="web", changed=False, drift=[])
    run.unreachable("b", "Connection refused")
    assert run.end(b="dark") == 0
    assert run.document["summary"]["unreachable"] == 1


def test_a_report_with_a_gap_is_no_good_news(run, monkeypatch):
    run.play()
    monkeypatch.setattr(run.callback._audit.collector, "ok", lambda event: {}["gone"])
    run.ok(component="web", changed=False, drift=[])
    assert run.end() == 2
    assert "exit code 2: KeyError('gone')" in run.said


def test_a_report_that_cannot_be_written_is_no_good_news(run):
    run.play()
    run.ok(component="web", changed=False, drift=[])
    run.folder.rmdir()
    assert run.end() == 2
    assert any(text.startswith("ERROR The report could not be made: ") for text in run.said)
