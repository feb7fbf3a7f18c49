# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is tested on a host, and why something is not. nvbandwidth and dcgmi are simulated."""

from __future__ import annotations

import json

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._errors import HostError
from ansible_collections.mlops.hosts.plugins.module_utils._gpu.info import collect
from ansible_collections.mlops.hosts.plugins.module_utils._gpu_probe import bandwidth, container
from ansible_collections.mlops.hosts.plugins.module_utils._gpu_probe.probe import Request, probe
from ansible_collections.mlops.hosts.plugins.module_utils._runner import Completed
from ansible_collections.mlops.hosts.tests.unit.fake_gpu_host import FakeGpuHost
from ansible_collections.mlops.hosts.tests.unit.fakes import Told
from ansible_collections.mlops.hosts.tests.unit.plugins.module_utils._gpu_probe.support import load

ALL = ("container", "bandwidth", "dcgm")
LISTED = "GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-1)\n  MIG 1g.10gb Device 0: (UUID: MIG-1)\nGPU 1: NVIDIA H100\n"


@pytest.fixture
def host(tmp_path, monkeypatch):
    return lambda machine="h100x2", *options: FakeGpuHost(tmp_path, monkeypatch, machine, *options)


def run(host, *, which=lambda name: name, takes_s=12.0, **options):
    request = Request(
        **{
            "tests": ALL,
            "load": "when_idle",
            "dcgm_level": 2,
            "dcgm_for_s": 0,
            "timeout_s": 600,
            "container_image": None,
            "nvbandwidth": "nvbandwidth",
            **options,
        }
    )
    read = lambda one: collect(one, sysfs_root="/nowhere")  # noqa: E731
    found = probe(request, host, load=load(host, takes_s=takes_s), read=read, which=which)
    assert json.loads(json.dumps(found)) == found
    return found


def called(host):
    return {line[0] for line in json.loads(host.control("calls"))}


def test_a_host_is_measured_and_its_links_are_read_under_load(host):
    fake = host()
    found = run(fake)
    assert (found["bandwidth"]["to_gpu"], found["bandwidth"]["peer"]) == ([55.1, 55.1], 391.8)
    assert found["dcgm"]["level"] == 2 and {test["status"] for test in found["dcgm"]["tests"]} == {"passed"}
    assert found["links"]["readings"] >= 3
    assert {gpu["generation"] for gpu in found["links"]["gpus"]} == {5}
    assert found["container"]["skipped"] == "No image is named."


@pytest.mark.parametrize("load_allowed", ["when_idle", "never"])
def test_a_host_in_use_is_left_alone(host, load_allowed):
    fake = host()
    fake.control("hold", "--gpu", "1", "--name", "trainer", "--pid", "77")
    found = run(fake, load=load_allowed)
    assert found["in_use"] == [{"pid": 77, "name": "trainer", "pci_address": "0000:11:00.0"}]
    assert found["bandwidth"]["skipped"] and found["dcgm"]["skipped"]
    assert "nvbandwidth" not in called(fake) and "dcgmi" not in called(fake)


def test_a_host_in_use_is_tested_with_consent(host):
    fake = host()
    fake.control("hold", "--gpu", "1", "--name", "trainer")
    assert run(fake, load="when_needed")["dcgm"]["skipped"] is None


def test_what_is_not_installed_is_skipped(host):
    found = run(host(), which=lambda _name: None)
    assert found["bandwidth"]["skipped"] == "nvbandwidth is not installed."
    assert found["dcgm"]["skipped"] == "dcgmi is not installed."


def test_whole_gpus_are_measured_only(host):
    fake = host("a100x2")
    for words in (["-pm", "1"], ["-i", "0", "-mig", "1"], ["-i", "0", "--gpu-reset"]):
        fake.smi(*words)
    assert "partitioned" in run(fake)["bandwidth"]["skipped"]


def test_a_host_without_gpus_is_not_tested(host):
    assert {run(host("none"))[name]["skipped"] for name in ALL} == {"No NVIDIA GPU answers."}


def test_the_first_level_of_dcgm_loads_no_link(host):
    assert run(host(), tests=["dcgm"], dcgm_level=1)["links"]["readings"] == 0


def test_a_limit_of_nothing_is_refused(host):
    with pytest.raises(HostError, match="timeout_s must be more than 0"):
        run(host(), timeout_s=0)


def test_a_narrow_link_is_slow(host):
    fake = host()
    fake.control("set", "--gpu", "1", "link_width=4")
    assert bandwidth.measure(load(fake), "nvbandwidth", timeout_s=60).to_gpu == (55.1, 13.78)


def test_gpus_that_are_not_connected_have_no_bandwidth_between_them(host):
    assert bandwidth.measure(load(host("t4x1")), "nvbandwidth", timeout_s=60).peer is None


def test_a_later_nvbandwidth_has_another_option(host):
    fake = host()

    def later(*argv, **_more):
        if "--json" in argv:
            return Completed(argv, 1, "ERROR: Invalid Arguments", "")
        return fake(*argv[: argv.index("--format")], "--json") if "--format" in argv else fake(*argv)

    assert bandwidth.measure(load(later), "nvbandwidth", timeout_s=60).problem is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"nvbandwidth": {"error": "CUDA_ERROR_NO_DEVICE"}}', "CUDA_ERROR_NO_DEVICE"),
        ('{"nvbandwidth": {"testcases": [{"name": "x", "status": "Error"}]}}', "x: Error"),
        ('{"nvbandwidth": {"testcases": []}}', "measured no copy"),
        ('{"nvbandwidth": {"testcases": [{"na', "not its JSON"),
        ('{"nvbandwidth": 3}', "not its JSON"),
    ],
)
def test_what_nvbandwidth_does_not_measure_is_a_problem(text, says):
    assert says in str(bandwidth.parse(text).problem)


def test_an_nvbandwidth_that_hangs_or_crashes_is_a_problem(host):
    found = bandwidth.measure(load(host(), takes_s=100), "nvbandwidth", timeout_s=60)
    assert found.problem == "nvbandwidth did not end within 60 s"
    found = bandwidth.measure(
        load(lambda *argv, **_more: Completed(argv, 134, "", "aborted")), "nvbandwidth", timeout_s=60
    )
    assert found.problem == "nvbandwidth exited with status 134: aborted"


def test_each_engine_lists_the_gpus_in_a_container_that_is_confined():
    engines = Told(docker=LISTED, podman=Completed(("podman",), 125, "", "Error: no such image x"))
    docker, podman = container.look(engines, "x", timeout_s=60)
    assert (docker.engine, docker.gpus, docker.problem) == ("docker", 2, None)
    assert (podman.gpus, podman.problem) == (None, "Error: no such image x")
    for call in engines.calls:
        assert {"--rm", "--pull=never", "--network=none", "--read-only", "--cap-drop=ALL"} <= set(call)


def test_no_engine_sees_nothing(host):
    fake = host()
    found = run(fake, tests=["container"], container_image="x")
    assert found["container"]["skipped"] == "Neither Docker nor Podman is installed." and found["in_use"] == []
