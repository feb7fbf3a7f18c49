# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a CDI specification fits the host, and which containers hold on to what is gone."""

from __future__ import annotations

import dataclasses
import pathlib
import re
import typing as t

import pytest
import yaml
from ansible_collections.mlops.hosts.plugins.module_utils._cdi import containers, diagnose
from ansible_collections.mlops.hosts.plugins.module_utils._gpu.report import Report
from ansible_collections.mlops.hosts.plugins.module_utils._gpu.types import Driver, Gpu, MigDevice
from ansible_collections.mlops.hosts.plugins.plugin_utils._cdi import spec
from ansible_collections.mlops.hosts.plugins.plugin_utils._cdi.found import Found

LIB = "/usr/lib/x86_64-linux-gnu"
DRIVER = "580.95.05"
FIRST = Gpu("nvidia", index=0, uuid="GPU-aaaa", pci_address="0000:1a:00.0", mig_mode="disabled")
SECOND = dataclasses.replace(FIRST, index=1, uuid="GPU-bbbb")
MIG = MigDevice("3g.40gb", "MIG-1111", 1, 0, 40000)
SPLIT = dataclasses.replace(FIRST, mig_mode="enabled", mig_devices=(MIG,))


def host(*gpus: Gpu, driver: str | None = DRIVER) -> Report:
    return Report(gpus, Driver(driver), len(gpus))


def text(*names: str, driver: str = DRIVER) -> str:
    """In the shape in which the toolkit writes it."""
    return yaml.safe_dump(
        {
            "cdiVersion": "0.5.0",
            "kind": "nvidia.com/gpu",
            "containerEdits": {
                "deviceNodes": [{"path": "/dev/nvidiactl"}],
                "mounts": [{"hostPath": f"{LIB}/libcuda.so.{driver}", "containerPath": "/x", "options": ["ro"]}],
            },
            "devices": [
                {"name": name, "containerEdits": {"deviceNodes": [{"path": "/dev/nvidia0"}]}} for name in names
            ],
        }
    )


def written(*names: str, driver: str = DRIVER, path: str = "/var/run/cdi/nvidia.yaml") -> spec.Spec:
    return spec.parse(path, text(*names, driver=driver))


def diagnosed(
    specs: list[spec.Spec], report: Report, *running: containers.Container, gone: str = ""
) -> diagnose.Diagnosis:
    return diagnose.diagnose("nvidia", specs, report, running, lambda path: path != gone)


def test_what_the_toolkit_writes_is_read() -> None:
    found = written("0", "all")
    assert found.kind == "nvidia.com/gpu"
    assert found.devices == ("0", "all")
    assert found.drivers == (DRIVER,)
    assert found.paths == ("/dev/nvidiactl", "/dev/nvidia0", f"{LIB}/libcuda.so.{DRIVER}")


def told(*files: dict[str, t.Any], **more: t.Any) -> dict[str, t.Any]:
    """The answer of a host without GPUs, in the module's JSON."""
    whole = [{"text": "", "problem": None, **file} for file in files]
    return {"files": whole, "exists": {}, "gpus": [], "driver_version": None, "containers": [], **more}


@pytest.mark.parametrize("broken", ["kind: |\n  x\n", "- a\n", "a: 1\n", ""])
def test_a_broken_file_is_named_and_hides_nothing(broken: str) -> None:
    seen = dataclasses.asdict(FIRST)
    files = [{"path": "/etc/cdi/x.yaml", "text": broken}, {"path": "/var/run/cdi/nvidia.yaml", "text": text("0")}]
    everything = {"/dev/nvidiactl": True, "/dev/nvidia0": True, f"{LIB}/libcuda.so.{DRIVER}": True}
    host = told(*files, gpus=[seen], driver_version=DRIVER, exists=everything)
    found = Found.of("nvidia", host).as_result()
    assert found["verdict"] == "fresh"
    assert found["reasons"][0].startswith("/etc/cdi/x.yaml is not read by container engines: it ")
    assert [item["path"] for item in found["unreadable"]] == ["/etc/cdi/x.yaml"]


def test_a_file_that_cannot_be_opened_is_named_with_the_reason() -> None:
    found = Found.of("nvidia", told({"path": "/etc/cdi/x.yaml", "problem": "Permission denied"})).as_result()
    assert found["verdict"] == "not_needed"
    assert "/etc/cdi/x.yaml is not read by container engines: Permission denied." in found["reasons"][0]


def test_an_unreadable_file_offers_nothing() -> None:
    seen = dataclasses.asdict(FIRST)
    host = told({"path": "/var/run/cdi/nvidia.yaml", "text": text("0")[:-20] + "["}, gpus=[seen])
    found = Found.of("nvidia", host).as_result()
    assert (found["verdict"], found["refreshable"]) == ("missing", True)
    assert "/var/run/cdi/nvidia.yaml is not read" in found["reasons"][-1]


def test_only_paths_of_this_kind_are_asked_about() -> None:
    other = {"path": "/etc/cdi/net.yaml", "text": "kind: a.b/net\ncontainerEdits: {deviceNodes: [{path: /dev/n}]}\n"}
    host = told(other, {"path": "/etc/cdi/gpu.yaml", "text": text("0")}, exists={"/dev/nvidia0": True})
    assert Found.of("nvidia", host).unknown_paths == ["/dev/nvidiactl", f"{LIB}/libcuda.so.{DRIVER}"]


@pytest.mark.parametrize(
    ("names", "report"),
    [
        (("0", "1", "all"), host(FIRST, SECOND)),
        (("0", "GPU-aaaa", "all", "none"), host(FIRST)),
        (("gpu0",), host(FIRST)),
        (("0:0", "MIG-1111", "all"), host(SPLIT)),
        (("0", "0:0", "all"), host(SPLIT)),
        (("mig0:0",), host(SPLIT)),
    ],
)
def test_a_specification_that_fits_is_fresh(names: tuple[str, ...], report: Report) -> None:
    found = diagnosed([written(*names)], report)
    assert (found.verdict, found.reasons, found.answers) == ("fresh", (), True)


@pytest.mark.parametrize(
    ("given", "report", "says"),
    [
        (written("0", driver="550.54.15"), host(FIRST), "names the driver 550.54.15, and 580.95.05 is loaded"),
        (written("0"), host(FIRST, SECOND), "No file offers GPU 1 with UUID GPU-bbbb"),
        (written("0", "1"), host(FIRST), "offers what the host does not have: 1"),
        (written("0", "GPU-cccc"), host(FIRST), "No file offers GPU 0 with UUID GPU-aaaa"),
        (written("0", "all"), host(SPLIT), r"No file offers MIG device 0:0 \(3g.40gb\) with UUID MIG-1111"),
        (written("0:0", "0:1"), host(SPLIT), "offers what the host does not have: 0:1"),
        (written("0"), host(), "offers what the host does not have: 0"),
    ],
)
def test_a_specification_that_does_not_fit_is_stale(given: spec.Spec, report: Report, says: str) -> None:
    found = diagnosed([given], report)
    assert found.verdict == "stale"
    assert any(re.search(says, reason) for reason in found.reasons)


def test_files_that_are_gone_are_named() -> None:
    found = diagnosed([written("0")], host(FIRST), gone=f"{LIB}/libcuda.so.{DRIVER}")
    assert found.reasons == (f"/var/run/cdi/nvidia.yaml names what is not on the host: {LIB}/libcuda.so.{DRIVER}.",)


def test_two_files_for_one_device_conflict() -> None:
    found = diagnosed([written("0", path="/etc/cdi/nvidia.yaml"), written("0", "1")], host(FIRST, SECOND))
    assert found.verdict == "conflicting"
    assert found.reasons[0].startswith("/etc/cdi/nvidia.yaml and /var/run/cdi/nvidia.yaml both offer nvidia.com/gpu=0;")


def test_without_gpus_nothing_is_needed_and_with_them_something_is_missing() -> None:
    assert diagnosed([], host()).verdict == "not_needed"
    assert diagnosed([], host(FIRST)).verdict == "missing"


def test_a_driver_that_does_not_answer_is_no_proof_against_a_file() -> None:
    silent = dataclasses.replace(FIRST, index=None, uuid=None)
    found = diagnosed([written("0")], host(silent, driver=None))
    assert (found.verdict, found.answers) == ("fresh", False)
    assert "The driver does not give its GPUs" in found.reasons[0]
    assert diagnosed([], host(silent, driver=None)).verdict == "missing"


def test_the_devices_of_another_vendor_are_not_diagnosed() -> None:
    other = spec.Spec("/etc/cdi/amd.json", "amd.com/gpu", ("0",), (), ())
    assert diagnosed([other], host()).verdict == "not_needed"


def container(**more: t.Any) -> containers.Container:
    return dataclasses.replace(containers.Container("docker", "chat", "abc", (), (), ()), **more)


@pytest.mark.parametrize(
    ("running", "recreate"),
    [
        (container(devices=("nvidia.com/gpu=0",), drivers=(DRIVER,)), False),
        (container(devices=("nvidia.com/gpu=all",)), False),
        (container(devices=("nvidia.com/gpu=all",), drivers=("550.54.15",)), True),
        (container(devices=("nvidia.com/gpu=MIG-gone",)), True),
        (container(devices=("example.com/nic=7",)), False),
    ],
)
def test_containers_that_hold_on_to_what_is_gone_are_listed(running: containers.Container, recreate: bool) -> None:
    assert bool(diagnosed([written("0")], host(FIRST), running).recreate) == recreate


INSPECTED: dict[str, t.Any] = {"Id": "0123456789abcdef", "Name": "/chat", "State": {"Pid": 7}}


def test_docker_and_podman_tell_of_their_containers_in_their_own_ways(tmp_path: pathlib.Path) -> None:
    (tmp_path / "7").mkdir()
    (tmp_path / "7/mountinfo").write_text(
        f"442 431 0:78 {LIB}/libcuda.so.550.54.15//deleted {LIB}/libcuda.so.550.54.15 ro - overlay overlay rw\n"
    )
    asked = {"HostConfig": {"DeviceRequests": [{"Driver": "cdi", "DeviceIDs": ["nvidia.com/gpu=0"]}]}}
    found = containers.parse("docker", {**INSPECTED, **asked}, str(tmp_path))
    assert (found.name, found.id, found.devices) == ("chat", "0123456789ab", ("nvidia.com/gpu=0",))
    assert found.drivers == ("550.54.15",)
    command = {"Config": {"CreateCommand": ["podman", "run", "--device=nvidia.com/gpu=MIG-1:2", "-e", "TOKEN=x"]}}
    assert containers.parse("podman", {**INSPECTED, **command}, "/none").devices == ("nvidia.com/gpu=MIG-1:2",)
    nodes = {"HostConfig": {"Devices": [{"PathOnHost": "/dev/nvidia0"}, {"PathOnHost": "/dev/null"}]}}
    assert containers.parse("podman", {**INSPECTED, **nodes}, "/none").nodes == ("/dev/nvidia0",)
