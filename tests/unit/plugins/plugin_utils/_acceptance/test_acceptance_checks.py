# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What hosts that are simulated, and captures of real ones, are found to be."""

from __future__ import annotations

import json
import pathlib
import shutil
import xml.etree.ElementTree as ET

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._gpu import nvidia_xml
from ansible_collections.mlops.hosts.plugins.module_utils._gpu.info import collect
from ansible_collections.mlops.hosts.plugins.module_utils._gpu.report import Report
from ansible_collections.mlops.hosts.plugins.plugin_utils._acceptance import report, thresholds
from ansible_collections.mlops.hosts.plugins.plugin_utils._acceptance.checks import QUICK, STANDARD, TITLES, Host, check
from ansible_collections.mlops.hosts.tests.unit.fake_gpu_host import FakeGpuHost
from ansible_collections.mlops.hosts.tests.unit.plugins.module_utils._gpu.support import pci_device

CAPTURES = pathlib.Path(__file__).resolve().parents[6] / "shared" / "fixtures" / "nvidia-smi"
OPTIONS = {
    "level": "quick",
    "load": "when_idle",
    "require": [],
    "skip": [],
    "gpu_count": None,
    "pcie_width": None,
    "models": [],
    "container_image": None,
    "bandwidth": [],
    "dcgm_level": None,
}
NO_EVENTS = {"events": [], "hardware_fault": False, "log": "journal"}
OK_DRIVER = {"verdict": "ok", "reasons": ["Driver 580.95.05 is loaded."], "gpus": [{}], "vendor": "nvidia"}
FRESH = {"verdict": "fresh", "reasons": [], "containers_to_recreate": [], "refresh_command": "refresh"}
XID = {
    "source": "xid",
    "code": 79,
    "pci_address": "0000:10:00.0",
    "first": "1",
    "last": "2026-11-30T07:00:00Z",
    "count": 1,
    "text": "NVRM: Xid (PCI:0000:10:00): 79, GPU has fallen off the bus.",
    "action": "reboot_host",
    "hardware_fault": True,
}
PROBE = {
    "in_use": [],
    "container": None,
    "bandwidth": {
        "skipped": None, "seconds": 9.5, "problem": None,
        "to_gpu": [55.0, 54.0], "from_gpu": [53.0, 55.0], "peer": 390.0,
    },
    "dcgm": {
        "skipped": None, "seconds": 90.0, "level": 2, "rounds": 1, "problem": None,
        "tests": [{"name": "memory", "status": "passed", "messages": []}],
    },
    "links": {"readings": 4, "gpus": [{"pci_address": f"0000:1{n}:00.0", "generation": 5} for n in (0, 1)]},
}  # fmt: skip


@pytest.fixture
def host(tmp_path, monkeypatch):
    """A host that the fakes simulate, and what it told."""

    def made(machine="h100x2", *controls):
        shutil.rmtree(tmp_path / "sys", ignore_errors=True)
        fake = FakeGpuHost(tmp_path, monkeypatch, machine)
        for number, _gpu in enumerate(fake.gpus):
            pci_device(tmp_path / "sys", f"0000:1{number}:00.0", "10de", "2330", "030200", driver="nvidia")
        for words in controls:
            fake.control(*words)
        return told(collect(fake, sysfs_root=str(tmp_path / "sys")).as_result())

    return made


def told(gpus, **more):
    none = {"verdict": "not_needed", "reasons": [], "containers_to_recreate": []}
    return {
        "gpus": gpus,
        "driver": OK_DRIVER,
        "gpu_events": NO_EVENTS,
        "cdi_nvidia": FRESH,
        "cdi_amd": none,
        "docker": {"active": True},
        "podman": {"version": None},
        **more,
    }


def found(read, *, probe=None, models=(), events=None, dry_run=False, **options):
    checks = check(Host(read, probe, models, events, {**OPTIONS, **options}, dry_run))
    assert all(one["title"] and one["expected"] and one["found"] for one in checks)
    assert all(bool(one["fix"]) == (one["status"] == "failed") for one in checks)
    return {one["id"]: one for one in checks}


def failed(read, **more):
    return {name for name, one in found(read, **more).items() if one["status"] == "failed"}


def standard(read, **more):
    return found(read, **{"probe": PROBE, "events": NO_EVENTS, "level": "standard", **more})


def test_a_host_that_is_right_is_accepted(host):
    checks = found(host())
    assert tuple(checks) == QUICK
    assert {name for name, one in checks.items() if one["status"] != "passed"} == {"container"}
    checks = standard(host())
    assert tuple(checks) == QUICK + STANDARD and TITLES.keys() == checks.keys()
    assert {name for name, one in checks.items() if one["status"] != "passed"} == {"container", "inference"}
    assert (checks["bandwidth"]["seconds"], checks["dcgm"]["seconds"]) == (9.5, 90.0)


@pytest.mark.parametrize(
    ("control", "name", "says"),
    [
        (("fault", "lost", "--gpu", "1"), "gpu_count", "The driver has 1, and 2 are on the PCI bus"),
        (("set", "--gpu", "1", "uncorrected=2"), "gpu_memory", "0000:11:00.0: Uncorrectable memory errors"),
        (("set", "--gpu", "1", "link_width=8"), "pcie_width", "has 8 lanes of 16"),
        (("set", "--gpu", "0", "recovery=Reset"), "gpu_health", "asks for a recovery action: reset"),
    ],
)
def test_each_fault_fails_its_own_check(host, control, name, says):
    read = host("h100x2", control)
    assert failed(read) == {name}
    assert says in found(read)[name]["found"]


def test_a_gpu_that_vanished_from_the_bus_is_missed_where_its_number_is_known(host):
    assert failed(host("h100x1")) == set()
    assert failed(host("h100x1"), gpu_count=2) == {"gpu_count"}


@pytest.mark.parametrize(
    ("capture", "lanes"),
    [
        ("a100-sxm4-40-570.148.08", None),
        ("a100x4-mig-535.54.03", None),
        ("h100x8-580.105.08", None),
        # Of clouds, whose slots have 8 lanes of the 16 that nvidia-smi thinks it could have.
        ("t4-515.105", 8),
        ("t4-595.91.07", 8),
    ],
)
def test_real_hosts_that_are_right_are_accepted(capture, lanes):
    if not CAPTURES.is_dir():
        pytest.skip("the captures of real hosts are not here")
    log = nvidia_xml.parse_log((CAPTURES / f"{capture}.xml").read_text())
    read = told(Report(log.gpus, log.driver, len(log.gpus)).as_result())
    assert failed(read, pcie_width=lanes) == set()
    assert failed(read) == ({"pcie_width"} if lanes else set())


def test_a_host_without_a_gpu_says_what_it_could_not_test():
    read = told({"gpus": [], "expected_from_pci": 0}, driver={"verdict": "absent", "reasons": ["none"], "gpus": []})
    checks = found(read, level="standard")
    assert {one["status"] for name, one in checks.items() if name != "readable"} == {"skipped"}
    assert checks["dcgm"]["found"] == "The host has no GPU."
    assert failed(read, level="standard", require=["dcgm", "gpu_count"]) == {"dcgm", "gpu_count"}


def test_a_host_that_cannot_be_read_is_not_accepted():
    checks = found({"failed": True, "msg": "no Python"}, level="standard")
    assert {name for name, one in checks.items() if one["status"] == "failed"} == {"readable"}
    assert "no Python" in checks["readable"]["found"]


def test_a_part_that_cannot_be_read_is_told_and_the_others_count(host):
    read = {**host(), "gpus": {"failed": True, "msg": "nvidia-smi did not end in time"}}
    assert failed(read) == {"readable"}
    assert found(read)["driver"]["status"] == "passed"


@pytest.mark.parametrize(
    ("driver", "status"),
    [
        ({**OK_DRIVER, "verdict": "reboot", "next_step": "Reboot."}, "failed"),
        ({**OK_DRIVER, "verdict": "absent", "next_step": "Install it."}, "failed"),
        ({**OK_DRIVER, "verdict": "absent", "vendor": "amd", "loaded": {"module": "amdgpu"}}, "skipped"),
    ],
)
def test_the_driver_has_to_be_one(host, driver, status):
    assert found({**host(), "driver": driver})["driver"]["status"] == status


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"verdict": "stale"}, "failed"),
        ({"verdict": "missing"}, "failed"),
        ({"containers_to_recreate": [{"name": "chat"}]}, "failed"),
    ],
)
def test_cdi_has_to_fit(host, more, status):
    assert found({**host(), "cdi_nvidia": {**FRESH, **more}})["cdi"]["status"] == status


def test_a_check_can_be_left_out(host):
    read = {**host(), "cdi_nvidia": {**FRESH, "verdict": "missing"}}
    assert (failed(read), failed(read, skip=["cdi"])) == ({"cdi"}, set())


def test_cdi_is_not_needed_without_an_engine(host):
    read = {**host(), "cdi_nvidia": {**FRESH, "verdict": "missing"}, "docker": {"active": False}}
    assert found(read)["cdi"]["status"] == "skipped"


def test_faults_of_hardware_in_the_log_fail_and_those_of_programs_do_not(host):
    faults = {**NO_EVENTS, "events": [XID], "hardware_fault": True}
    check_of = found({**host(), "gpu_events": faults})["gpu_events"]
    assert check_of["status"] == "failed" and "79" in check_of["found"] and "reboot_host" in check_of["fix"]
    programs = {**NO_EVENTS, "events": [{**XID, "code": 13, "hardware_fault": False}]}
    assert failed({**host(), "gpu_events": programs}) == set()


def test_any_event_during_the_tests_fails(host):
    program = {**XID, "code": 13, "hardware_fault": False}
    assert standard(host(), events={**NO_EVENTS, "events": [program]})["gpu_events_during"]["status"] == "failed"
    # Without a journal there is no cursor, and all of the boot is told again.
    read = {**host(), "gpu_events": {**NO_EVENTS, "events": [program]}}
    assert standard(read, events={**NO_EVENTS, "events": [program]})["gpu_events_during"]["status"] == "passed"
    more = {**NO_EVENTS, "events": [{**program, "count": 2}]}
    assert standard(read, events=more)["gpu_events_during"]["status"] == "failed"
    assert standard(host(), events={"failed": True, "msg": "no log"})["gpu_events_during"]["status"] == "failed"


def test_bandwidth_is_compared_with_what_is_known_of_the_model(host):
    def of(**more):
        return standard(host(), probe={**PROBE, "bandwidth": {**PROBE["bandwidth"], **more}})["bandwidth"]

    assert of()["status"] == "passed" and "At least 48 GB/s" in of()["expected"]
    assert "GPU 1 has 30 GB/s from the host" in of(to_gpu=[55.0, 30.0])["found"]
    assert of(from_gpu=[47.9, 55.0])["status"] == "failed"
    assert of(peer=100.0)["status"] == "failed" and of(peer=None)["status"] == "passed"
    assert of(problem="it crashed")["status"] == "failed"


def test_an_unknown_model_is_measured_and_not_compared(host):
    read = host()
    read["gpus"]["gpus"][0]["pci_id"] = "10de:ffff"
    checks = standard(read)
    assert checks["bandwidth"]["status"] == "skipped" and "53 GB/s" not in checks["bandwidth"]["expected"]
    assert "Lowest to a GPU 54 GB/s" in checks["bandwidth"]["found"]
    site = [{"pci_id": "10DE:FFFF", "host_gb_s": 60.0}]
    assert standard(read, bandwidth=site)["bandwidth"]["status"] == "passed", "the lowest of the two models counts"
    assert (
        standard(read, bandwidth=[*site, {"pci_id": "10de:2330", "host_gb_s": 60.0}])["bandwidth"]["status"] == "failed"
    )


@pytest.mark.parametrize(
    ("links", "status"),
    [
        ({"readings": 4, "gpus": [{"pci_address": "0000:10:00.0", "generation": 5}]}, "failed"),
        ({"readings": 1, "gpus": []}, "skipped"),
        ({"readings": 0, "gpus": []}, "skipped"),
    ],
)
def test_links_count_under_load_only(host, links, status):
    assert standard(host(), probe={**PROBE, "links": links})["pcie_speed"]["status"] == status


def test_a_host_in_use_is_not_accepted_and_nothing_else_is_said_of_it(host):
    skipped = {"skipped": "The GPUs are in use.", "seconds": 0.0}
    probe = {**PROBE, "in_use": [{"pid": 7, "name": "vllm"}], "bandwidth": skipped, "dcgm": skipped}
    probe["links"] = {"readings": 0, "gpus": []}
    checks = standard(host(), probe=probe)
    assert {name for name, one in checks.items() if one["status"] == "failed"} == {"gpu_idle"}
    assert "vllm (7)" in checks["gpu_idle"]["found"]
    assert standard(host(), probe=probe, load="never")["gpu_idle"]["status"] == "skipped"


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (
            {"tests": [{"name": "memory", "status": "failed", "messages": ["GPU 1 is bad."]}]},
            "memory failed: GPU 1 is bad",
        ),
        ({"problem": "dcgmi did not end within 600 s"}, "did not end"),
    ],
)
def test_diagnostics_that_fail(host, more, says):
    one = standard(host(), probe={**PROBE, "dcgm": {**PROBE["dcgm"], **more}})["dcgm"]
    assert one["status"] == "failed" and says in one["found"]


def test_a_test_that_fails_itself_is_a_failure(host):
    probe = {"failed": True, "msg": "async task did not complete within the requested time"}
    checks = standard(host(), probe=probe)
    assert {"bandwidth", "dcgm"} <= {name for name, one in checks.items() if one["status"] == "failed"}
    assert found(host(), probe=probe, container_image="x")["container"]["status"] == "failed"


@pytest.mark.parametrize(("gpus", "status"), [(2, "passed"), (1, "failed"), (None, "failed")])
def test_containers_have_to_see_all_gpus(host, gpus, status):
    engine = {"engine": "docker", "gpus": gpus, "problem": None if gpus else "no such image"}
    probe = {**PROBE, "container": {"skipped": None, "seconds": 1.0, "engines": [engine]}}
    assert found(host(), probe=probe, container_image="x")["container"]["status"] == status


def test_models_have_to_answer(host):
    models = [{"url": "http://127.0.0.1:1", "model": "chat"}, {"url": "http://127.0.0.1:2"}]
    good = {"answered": True, "ttft_s": 0.1, "tokens_per_s": 60.5}
    read = host()

    def inference(*answers):
        one = check(Host(read, PROBE, answers, NO_EVENTS, {**OPTIONS, "level": "standard", "models": models}, False))
        return {row["id"]: row for row in one}["inference"]

    assert inference(good, good)["status"] == "passed"
    bad = inference(good, {"answered": False, "failed": True, "msg": "nothing listens"})
    assert bad["status"] == "failed" and "http://127.0.0.1:2: nothing listens" in bad["found"]


def test_check_mode_says_that_nothing_was_started(host):
    checks = found(host(), level="burn_in", dry_run=True)
    assert checks["dcgm"]["found"] == "Check mode starts nothing."
    assert checks["dcgm"]["expected"] == "All tests of dcgmi diag -r 3 pass."
    assert {name for name, one in checks.items() if one["status"] == "failed"} == set()


def test_each_threshold_has_a_source_and_is_less_than_what_a_link_can_do():
    text = (pathlib.Path(thresholds.__file__).parent / "thresholds.csv").read_text()
    assert all(line.split(",")[-1].startswith("https://") for line in text.splitlines()[1:])
    assert all(
        one.host and 5 < one.host < 64 and (one.peer is None or one.peer > one.host)
        for one in thresholds.known().values()
    )


def test_junit_tells_hosts_apart(host):
    right, narrow = host(), host("h100x2", ("set", "--gpu", "0", "link_width=8"))
    results = {
        name: report.result(list(found(read).values()), "quick", "2026-11-30T07:00:00Z")
        for name, read in (("right", right), ("narrow \x07", narrow))
    }
    top = ET.fromstring(report.junit(results))
    assert (top.get("tests"), top.get("failures"), top.get("skipped")) == ("18", "1", "2")
    failures = [
        (case.get("classname"), case.get("name")) for case in top.iter("testcase") if case.find("failure") is not None
    ]
    assert failures == [("narrow \ufffd", "pcie_width")]
    document = json.loads(report.document(results, ["later"]))
    assert (document["accepted"], document["not_tested"], document["hosts"]["right"]["accepted"]) == (
        False,
        ["later"],
        True,
    )
    said = report.sentence(results["narrow \x07"])
    assert said.startswith("pcie_width: GPU 0 at 0000:10:00.0 has 8 lanes of 16.") and "To fix it: Reboot" in said
    assert report.sentence(results["right"]) == ""
