# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json

import pytest
from ansible_collections.mlops.hosts.plugins.plugin_utils._audit import document, page, verdict
from ansible_collections.mlops.hosts.plugins.plugin_utils._audit.gate import DEFAULT, Gate, GateError
from ansible_collections.mlops.hosts.plugins.plugin_utils._audit.output import Output, OutputError
from ansible_collections.mlops.hosts.tests.unit.plugins.plugin_utils._audit.support import RUN, event, gpu, row


def test_the_document_is_a_contract(fleet):
    fleet.component("ml1", row())
    fleet.gpus("ml1", gpu(0))
    fleet.events("ml1", event())
    assert fleet.document == {
        "version": 1,
        "started": "2026-11-25T02:40:13Z",
        "ended": "2026-11-25T02:40:54Z",
        "controller": "ops1",
        "playbook": "/srv/audit.yml",
        "summary": {
            "hosts": 1,
            "ok": 0,
            "drift": 1,
            "failed": 0,
            "unreachable": 0,
            "drift_items": 1,
            "gpus": 1,
            "gpus_not_ok": 0,
            "not_in_run": 0,
        },
        "not_in_run": [],
        "hosts": [
            {
                "name": "ml1",
                "state": "drift",
                "reason": None,
                "components": [
                    {"name": "web", "role": "acme.web", "state": "drift", "reason": None, "reboot_required": False}
                ],
                "drift": [
                    {
                        "component": "web",
                        "kind": "file",
                        "item": "/etc/a",
                        "attribute": "mode",
                        "want": "0644",
                        "have": "0600",
                    }
                ],
                "gpus": [gpu(0)],
                "gpu_count": 1,
                "gpu_expected": 1,
                "gpu_events": [event()],
                "driver": {"version": "580.1", "cuda_version": "13.0"},
            }
        ],
    }
    assert json.loads(document.text(fleet.document)) == fleet.document


def test_hosts_that_a_limit_left_out_are_named(fleet):
    fleet.component("ml1", row())
    partial = document.build(fleet.collector.hosts.values(), RUN, {"ml1", "ml10", "ml2"})
    assert (partial["not_in_run"], partial["summary"]["not_in_run"]) == (["ml2", "ml10"], 2)
    assert ("not in this run: ml2, ml10", "change") in list(verdict.closing(partial))
    assert "2 hosts of the inventory not in this run: ml2, ml10" in page.render(partial)
    assert Gate("not_in_run").matches(partial)
    assert not Gate(DEFAULT).matches({**partial, "hosts": []})


def test_many_hosts_that_were_left_out_are_counted(fleet):
    fleet.component("ml1", row())
    partial = document.build(fleet.collector.hosts.values(), RUN, [f"ml{number}" for number in range(1, 4001)])
    closing = [text for text, _tone in verdict.closing(partial)]
    assert closing[-1].endswith("ml10, ml11 and 3989 more")


def test_a_whole_run_says_nothing_of_the_kind(fleet):
    fleet.component("ml1")
    whole = document.build(fleet.collector.hosts.values(), RUN, {"ml1"})
    assert "not in this run" not in page.render(whole) + str(list(verdict.closing(whole)))


def test_hosts_are_in_the_order_of_people(fleet):
    for name in ("gpu10", "gpu2", "10.0.0.2", "a-b", "gpu"):
        fleet.component(name)
    assert [host["name"] for host in fleet.document["hosts"]] == ["10.0.0.2", "a-b", "gpu", "gpu2", "gpu10"]


class TestGate:
    def test_any_difference_by_default(self, fleet):
        fleet.component("a")
        assert not Gate().matches(fleet.document)
        fleet.component("b", row())
        assert Gate().matches(fleet.document)

    def test_the_default_is_what_it_says(self, fleet):
        for host, drift in (("a", []), ("b", [row()])):
            fleet.component(host, *drift)
            assert Gate(DEFAULT + " | @").matches(fleet.document) == Gate().matches(fleet.document)

    @pytest.mark.parametrize(
        ("expression", "found"),
        [
            ("hosts[?drift[?kind=='file']]", True),
            ("hosts[?drift[?kind=='unit']]", False),
            ("hosts[?gpus[?health!='ok']]", False),
            ("summary.drift_items > `1`", False),
            ("hosts[?state=='unreachable']", False),
            ("nothing", False),
        ],
    )
    def test_expressions(self, fleet, expression, found):
        fleet.component("a", row())
        fleet.gpus("a", gpu(0))
        assert Gate(expression).matches(fleet.document) is found

    @pytest.mark.parametrize(
        ("expression", "said"),
        [
            pytest.param("hosts[?drift", "\n             ^", id="says where it ends"),
            pytest.param("hosts[?drift}", "column 12", id="says where it is wrong"),
            pytest.param("hosts[?lenght(drift) > `3`]", "lenght", id="no such function"),
            pytest.param("length(hosts, drift)", "length", id="too many arguments"),
            pytest.param(["hosts"], "must be a JMESPath expression", id="no text"),
            pytest.param("", "not a JMESPath expression", id="empty"),
        ],
    )
    def test_what_is_no_expression_is_refused(self, expression, said):
        with pytest.raises(GateError, match="audit_fail_on") as refused:
            Gate(expression)
        assert said in str(refused.value)
        if isinstance(expression, str):
            assert expression in str(refused.value)

    def test_what_does_not_fit_the_audit_is_no_finding_but_an_error(self, fleet):
        fleet.component("a")
        gate = Gate("max_by(hosts, &reason)")
        with pytest.raises(GateError, match="over this audit"):
            gate.matches(fleet.document)


class TestVerdict:
    def verdict(self, fleet):
        return verdict.diagnose(fleet.document, matched=Gate().matches(fleet.document), expression=DEFAULT)

    def test_nothing_found(self, fleet):
        fleet.component("a")
        assert self.verdict(fleet).code == 0

    def test_drift(self, fleet):
        fleet.component("a", row())
        assert self.verdict(fleet).code == 16

    def test_a_failed_host_outweighs_drift(self, fleet):
        fleet.component("a", row())
        fleet.failed("b", "broken", role=None)
        fleet.collector.lost("b")
        assert self.verdict(fleet).code == 2

    def test_an_unreachable_host_is_not_fatal_and_not_silent(self, fleet):
        fleet.component("a")
        fleet.collector.unreachable("b", "Connection refused")
        found = self.verdict(fleet)
        assert (found.code, found.meaning) == (0, "audit_fail_on has found nothing, but 1 host could not be asked")

    def test_nobody_reached_is_no_good_news(self, fleet):
        fleet.collector.unreachable("a", "Connection refused")
        assert self.verdict(fleet).code == 2

    def test_no_host_at_all(self, fleet):
        assert self.verdict(fleet).code == 2

    def test_the_closing_lines_are_worst_first(self, fleet):
        fleet.component("ok")
        fleet.component("ml1", row(), row(item="/etc/b"))
        fleet.component("ml1", row(), name="other")
        fleet.collector.unreachable("ml2", "Connection refused")
        fleet.component("ml3", row())
        fleet.failed("ml3", "one\ntwo")
        fleet.collector.give_up("ml3", "acme.web")
        fleet.gpus("ml1", gpu(0), gpu(1, health="failed", health_reasons=["It is lost."]), expected=3)
        assert list(verdict.closing(fleet.document)) == [
            ("failed       ml3: web: one | two (and 1 difference)", "error"),
            ("unreachable  ml2: Connection refused", "unreachable"),
            ("drift        ml1: 3 differences (web 2, other 1)", "change"),
            ("gpu          ml1: GPU 1 is failed: It is lost. 2 GPUs are listed and 3 are on the PCI bus", "error"),
            ("4 hosts: 1 ok, 1 drift, 1 unreachable, 1 failed; 4 differences", "plain"),
        ]


class TestOutput:
    def test_files_are_replaced_as_a_whole(self, tmp_path):
        output = Output(str(tmp_path / "new" / "folder"))
        output.write({"a": "old"})
        assert output.write({"a": "new", "b": "ü"}) == [f"{output.folder}/a", f"{output.folder}/b"]
        assert (tmp_path / "new/folder/a").read_text() == "new"
        assert sorted(path.name for path in (tmp_path / "new/folder").iterdir()) == ["a", "b"]

    def test_text_that_is_no_text_can_be_written(self, tmp_path):
        Output(str(tmp_path)).write({"a.json": json.dumps("\udcff", ensure_ascii=False)})
        assert json.loads((tmp_path / "a.json").read_text()) == "\udcff"

    def test_a_folder_that_cannot_be_made_is_refused(self, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(OutputError, match=f"audit_dir {tmp_path}/file/audit cannot be written: .*name a folder"):
            Output(f"{tmp_path}/file/audit")

    def test_a_folder_that_is_a_file_is_refused(self, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(OutputError, match="cannot be written"):
            Output(f"{tmp_path}/file")
