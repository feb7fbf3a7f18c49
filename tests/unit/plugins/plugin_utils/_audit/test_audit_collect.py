# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mlops.hosts.plugins.plugin_utils._audit.collect import (
    COMPONENT,
    DRIVER,
    GPUS,
    HOST_CHECK,
    ROLE_COMPONENT,
    Event,
    short,
)
from ansible_collections.mlops.hosts.tests.unit.plugins.plugin_utils._audit.support import gpu, row

CENSORED = "the output has been hidden"


def states(host):
    return {one["name"]: one["state"] for one in host["components"]}


def test_a_host_is_as_its_components_are(fleet):
    fleet.component("good")
    fleet.component("bad", row())
    fleet.component("bad", name="other", role="acme.other")
    assert fleet.host("good")["state"] == "ok"
    assert fleet.host("bad")["state"] == "drift"
    assert states(fleet.host("bad")) == {"web": "drift", "other": "ok"}
    assert fleet.host("bad")["drift"] == [{"component": "web", **row()}]


def test_the_last_answer_about_a_component_counts(fleet):
    fleet.component("a", row(), row(item="/etc/b"))
    fleet.component("a", row())
    assert len(fleet.host("a")["drift"]) == 1
    fleet.component("a")
    assert fleet.host("a")["state"] == "ok"


def test_models_and_the_component_of_their_store_are_one(fleet):
    fleet.component("a", row(), name="model_store", role="mlops.hosts.model_store")
    fleet.artifact("a", row(kind="artifact"))
    assert states(fleet.host("a")) == {"model_store": "drift"}
    assert [one["kind"] for one in fleet.host("a")["drift"]] == ["file", "artifact"]


def test_settings_of_gpus_and_the_component_of_their_unit_are_one(fleet):
    fleet.component("a", name="gpu_settings", role="mlops.hosts.gpu_settings")
    for action, drift in (("gpu_settings", [row(kind="gpu", attribute="power_limit_w")]), ("mig_layout", [])):
        result = {"changed": bool(drift), "drift": drift}
        fleet.collector.ok(Event("a", f"mlops.hosts.{action}", "mlops.hosts.gpu_settings", None, result))
    assert states(fleet.host("a")) == {"gpu_settings": "drift"}
    assert [one["attribute"] for one in fleet.host("a")["drift"]] == ["power_limit_w"]


def test_a_question_that_changes_nothing_is_no_difference(fleet):
    fleet.artifact("a", row(kind="artifact", item="store", attribute="state"), changed=False)
    assert fleet.host("a")["state"] == "ok"
    assert fleet.host("a")["drift"] == []


def test_each_item_of_a_loop_counts(fleet):
    items = [
        {"component": name, "changed": bool(drift), "drift": drift, "failed": False}
        for name, drift in (("one", []), ("two", [row()]))
    ]
    fleet.collector.ok(Event("a", COMPONENT, "acme.many", None, {"results": items, "changed": True}))
    assert states(fleet.host("a")) == {"one": "ok", "two": "drift"}


def test_an_item_that_fails_leaves_the_others_known(fleet):
    items = [
        {"component": "one", "changed": True, "drift": [row()]},
        {"component": "two", "failed": True, "msg": "no"},
    ]
    fleet.collector.failed(
        Event("a", COMPONENT, "acme.many", None, {"results": items, "failed": True, "msg": "one or"})
    )
    fleet.collector.give_up("a", "acme.many")
    assert states(fleet.host("a")) == {"one": "drift", "two": "failed"}
    assert fleet.host("a")["reason"] == "two: no"


def test_only_what_is_known_of_a_difference_is_kept(fleet):
    fleet.component("a", {**row(), "secret": "x"})
    assert fleet.host("a")["drift"] == [{"component": "web", **row()}]


class TestFailures:
    def test_a_role_that_was_given_up_fails_and_keeps_what_was_found(self, fleet):
        fleet.component("a", row(), role="acme.web")
        fleet.failed("a", "port 80 is taken", role="acme.web")
        fleet.collector.give_up("a", "acme.web")
        fleet.component("a", name="other", role="acme.other")
        host = fleet.host("a")
        assert (host["state"], host["reason"]) == ("failed", "web: port 80 is taken")
        assert states(host) == {"web": "failed", "other": "ok"}
        assert len(host["drift"]) == 1

    def test_a_failure_that_the_role_handles_is_none(self, fleet):
        fleet.failed("a", "not yet", role="acme.web")
        fleet.component("a")
        assert fleet.host("a")["state"] == "ok"

    def test_a_failed_component_is_named_by_the_task(self, fleet):
        fleet.failed("a", "broken", action=COMPONENT, name="nginx")
        fleet.collector.give_up("a", "acme.web")
        assert states(fleet.host("a")) == {"nginx": "failed"}

    def test_a_role_that_could_not_be_loaded_has_no_reason_of_its_own(self, fleet):
        fleet.collector.host("a")
        fleet.collector.give_up("a", "acme.gone")
        assert fleet.host("a")["reason"] == "gone: it could not be run; the output of the audit says why"

    def test_a_failure_is_told_once(self, fleet):
        fleet.failed("a", "first")
        fleet.collector.give_up("a", "acme.web")
        fleet.collector.give_up("a", "acme.gone")
        assert states(fleet.host("a")) == {"web": "failed", "gone": "failed"}
        assert "could not be run" in fleet.host("a")["reason"].splitlines()[1]

    def test_a_host_that_ansible_lost_fails(self, fleet):
        fleet.failed("a", "no sudo", role=None)
        fleet.collector.lost("a")
        assert (fleet.host("a")["state"], fleet.host("a")["reason"]) == ("failed", "no sudo")

    def test_a_host_that_ansible_lost_with_a_role_is_told_once(self, fleet):
        fleet.failed(
            "a", None, reason="the role 'gone' was not found", role=None, action="ansible.builtin.include_role"
        )
        fleet.collector.give_up("a", "acme.gone")
        fleet.collector.lost("a")
        assert fleet.host("a")["reason"] == "gone: the role 'gone' was not found"

    def test_an_unreachable_host_keeps_what_was_found_before(self, fleet):
        fleet.component("a", row())
        fleet.collector.unreachable("a", "Connection refused")
        host = fleet.host("a")
        assert (host["state"], host["reason"], len(host["drift"])) == ("unreachable", "Connection refused", 1)

    def test_gpus_that_cannot_be_read_fail_the_host(self, fleet):
        fleet.failed("a", "nvidia-smi hangs", role=None, action=GPUS)
        fleet.collector.give_up("a", GPUS)
        fleet.component("a")
        host = fleet.host("a")
        assert (host["state"], host["reason"]) == ("failed", "the GPUs could not be read: nvidia-smi hangs")
        assert (host["gpu_count"], host["gpus"]) == (None, [])

    @pytest.mark.parametrize(
        ("said", "reason"),
        [
            pytest.param("Task failed: Module failed: no", "no", id="without what ansible puts before it"),
            pytest.param("x" * 3000, "x" * 2000 + "…", id="cut"),
            pytest.param(" ", "a task failed and did not say why", id="silent"),
        ],
    )
    def test_reasons_are_readable(self, fleet, said, reason):
        fleet.failed("a", said, role=None)
        fleet.collector.lost("a")
        assert fleet.host("a")["reason"] == reason


class TestSecrets:
    def test_a_hidden_result_is_not_taken_for_a_good_one(self, fleet):
        fleet.collector.ok(Event("a", COMPONENT, "acme.web", "web", {"censored": CENSORED, "changed": False}))
        assert states(fleet.host("a")) == {"web": "failed"}
        assert "no_log" in fleet.host("a")["reason"]

    def test_a_hidden_failure_says_only_that(self, fleet):
        fleet.collector.failed(Event("a", "x.y.z", "acme.web", None, {"censored": CENSORED, "failed": True}))
        fleet.collector.give_up("a", "acme.web")
        assert fleet.host("a")["reason"] == "web: a task failed, and its result is hidden by no_log"


class TestComponents:
    def test_absent_as_desired(self, fleet):
        fleet.component("a", invocation={"module_args": {"state": "absent"}})
        assert states(fleet.host("a")) == {"web": "absent"}
        assert fleet.host("a")["state"] == "ok"

    def test_an_earlier_run_that_was_cut_off_is_drift(self, fleet):
        fleet.component("a", changed=True, recovered="undone")
        assert fleet.host("a")["state"] == "drift"
        assert "cut off" in fleet.host("a")["components"][0]["reason"]

    def test_a_reboot_is_noted(self, fleet):
        fleet.component("a", row(), reboot_required=True)
        assert fleet.host("a")["components"][0]["reboot_required"] is True


class TestDriver:
    @staticmethod
    def looks(fleet, verdict, role="mlops.hosts.gpu_driver"):
        result = {"verdict": verdict, "reasons": ["The loaded one is older."], "vendor": "nvidia", "changed": False}
        fleet.collector.ok(Event("a", DRIVER, role, None, result))
        fleet.component("a", name="gpu_driver", role="mlops.hosts.gpu_driver")
        return fleet.host("a")

    def test_a_driver_that_waits_for_a_reboot_is_drift(self, fleet):
        host = self.looks(fleet, "reboot")
        assert host["state"] == "drift"
        assert host["drift"] == [
            {
                "component": "gpu_driver",
                "kind": "driver",
                "item": "nvidia",
                "attribute": "verdict",
                "want": "ok",
                "have": "reboot: The loaded one is older.",
            }
        ]
        assert host["components"][0]["reboot_required"] is True

    @pytest.mark.parametrize("verdict", ["ok", "absent"])
    def test_what_the_packages_tell_is_told_once(self, fleet, verdict):
        host = self.looks(fleet, verdict)
        assert (host["state"], host["drift"]) == ("ok", [])

    def test_a_role_that_only_asks_reports_nothing(self, fleet):
        host = self.looks(fleet, "reboot", role="mlops.hosts.cuda_toolkit")
        assert host["state"] == "ok"


class TestRoleComponent:
    """What a role built and compared in its one task."""

    @staticmethod
    def told(fleet, role="log_shipper", **result):
        result = {"changed": False, "component": role, "drift": [], **result}
        fleet.collector.ok(Event("a", ROLE_COMPONENT, f"mlops.hosts.{role}", None, result))
        return fleet.host("a")

    def test_it_is_a_component(self, fleet):
        assert states(self.told(fleet)) == {"log_shipper": "ok"}
        host = self.told(fleet, changed=True, drift=[row()])
        assert states(host) == {"log_shipper": "drift"}
        assert host["drift"] == [{"component": "log_shipper", **row()}]

    def test_it_has_the_name_of_the_component_and_not_of_the_role(self, fleet):
        assert states(self.told(fleet, component="model_server.team")) == {"model_server.team": "ok"}

    def test_a_role_that_has_nothing_to_do_with_the_host_is_not_told(self, fleet):
        fleet.component("a", name="other")
        assert states(self.told(fleet, component=None)) == {"other": "ok"}

    def test_the_driver_that_it_asked_for_is_reported(self, fleet):
        driver = {"vendor": "nvidia", "verdict": "reboot", "reasons": ["The loaded one is older."]}
        host = self.told(fleet, "gpu_driver", asked={DRIVER: driver})
        assert states(host) == {"gpu_driver": "drift"}
        assert host["drift"][0]["have"] == "reboot: The loaded one is older."
        assert host["components"][0]["reboot_required"] is True
        driver["verdict"] = "absent"
        assert states(self.told(fleet, "gpu_driver", component=None, asked={DRIVER: driver})) == {"gpu_driver": "ok"}


def test_gpus_are_as_gpu_info_says(fleet):
    broken = gpu(1, health="failed", health_reasons=["It is lost."])
    fleet.gpus("a", gpu(0), broken, expected=3)
    host = fleet.host("a")
    assert host["gpus"] == [gpu(0), broken]
    assert (host["gpu_count"], host["gpu_expected"]) == (2, 3)
    assert host["driver"] == {"version": "580.1", "cuda_version": "13.0"}
    assert host["state"] == "ok"
    assert fleet.document["summary"]["gpus_not_ok"] == 1


@pytest.mark.parametrize(
    ("role", "name"),
    [("mlops.hosts.log_shipper", "log_shipper"), ("/srv/roles/web/", "web"), ("web", "web"), (None, None)],
)
def test_short_names(role, name):
    assert short(role) == name


def checked(fleet, roles, **more):
    fleet.collector.ok(Event("a", HOST_CHECK, None, None, {"changed": True, "roles": roles, **more}))
    return fleet.host("a")


def test_one_answer_about_all_roles_of_a_host(fleet):
    artifact = row(kind="artifact", item="tiny")
    store = {
        "changed": False,
        "component": "model_store",
        "drift": [],
        "asked": {"mlops.hosts.model_artifact": {"changed": True, "drift": [artifact]}},
    }
    roles = {
        "gpu_driver": {"changed": False, "component": None, "drift": []},
        "log_shipper": {"changed": True, "component": "log_shipper", "drift": [row()]},
        "model_store": store,
        "model_server": {"failed": True, "msg": "model_server_instances[0].name is required."},
    }
    facts = {"gpus": [gpu(0)], "count": 1, "expected_from_pci": 1, "driver": {"version": "580", "cuda_version": None}}
    host = checked(fleet, roles, gpus=facts)
    assert states(host) == {"log_shipper": "drift", "model_store": "drift", "model_server": "failed"}
    assert [(one["component"], one["kind"]) for one in host["drift"]] == [
        ("log_shipper", "file"),
        ("model_store", "artifact"),
    ]
    assert len(host["gpus"]) == 1
    reasons = {one["name"]: one["reason"] for one in host["components"]}
    assert reasons["model_server"] == "model_server_instances[0].name is required."


def test_what_is_beside_an_engine_is_a_difference_of_its_component(fleet):
    stale = {"changed": True, "drift": [row(kind="cdi", item="specification", attribute="verdict")]}
    roles = {
        "container_runtime": {
            "changed": False,
            "component": "container_runtime",
            "drift": [],
            "asked": {"mlops.hosts.cdi_info": stale},
        }
    }
    assert states(checked(fleet, roles)) == {"container_runtime": "drift"}


def test_gpus_that_do_not_answer_are_a_failure_of_the_host(fleet):
    host = checked(fleet, {}, gpus={"failed": True, "msg": "nvidia-smi did not end in 60 s"})
    assert host["state"] == "failed"
    assert host["reason"] == "the GPUs could not be read: nvidia-smi did not end in 60 s"


def test_a_role_that_is_away_as_desired(fleet):
    gone = {"changed": False, "component": "model_server", "drift": [], "state": "absent"}
    assert states(checked(fleet, {"model_server": gone})) == {"model_server": "absent"}
