# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import functools

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._errors import CommandError
from ansible_collections.mlops.hosts.plugins.module_utils._gpu import nvidia
from ansible_collections.mlops.hosts.plugins.module_utils._gpu.health import check_health
from ansible_collections.mlops.hosts.plugins.module_utils._gpu.types import MigDevice
from ansible_collections.mlops.hosts.tests.unit.fakes import Told
from ansible_collections.mlops.hosts.tests.unit.plugins.module_utils._gpu.support import (
    LIST,
    QUERY,
    capture,
    ended,
    needs_captures,
    synthetic_gpu,
    synthetic_log,
)
from hypothesis import given
from hypothesis import strategies as st

ONE, TWO = "0000:1a:00.0", "0000:1b:00.0"
TWO_GPUS = synthetic_log(synthetic_gpu(), synthetic_gpu("00000000:1B:00.0", uuid="GPU-2"))
MIG_GPU = synthetic_gpu(body="<mig_devices><mig_device><index>0</index></mig_device></mig_devices>")
# The words of nvidia-smi for each exit code, as users report them.
NO_DRIVER = (
    "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. "
    "Make sure that the latest NVIDIA driver is installed and running.\n\n"
)
NO_LIBRARY = "NVIDIA-SMI couldn't find libnvidia-ml.so library in your system. Please make sure that the NVIDIA Display Driver is properly installed and present in your system.\n"  # noqa: E501
MISMATCH = "Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 570.148\n"
LOST = (
    "Unable to determine the device handle for GPU 0000:1A:00.0: GPU is lost.  Reboot the system to recover this GPU\n"
)


def read(answers, addresses=(ONE, TWO)):
    return nvidia.read(Told(answers), addresses, timeout_s=60)


@pytest.mark.parametrize(
    ("rc", "stdout", "why"),
    [
        pytest.param(9, NO_DRIVER, "driver is not loaded", id="driver-not-loaded"),
        pytest.param(12, NO_LIBRARY, "libnvidia-ml.so", id="library-missing"),
        pytest.param(18, MISMATCH, "reboot", id="version-mismatch"),
        pytest.param(1, MISMATCH, "reboot", id="version-mismatch-with-another-code"),
        pytest.param(6, "No devices were found\n", "no devices", id="no-devices"),
        pytest.param(0, "No devices were found\n", "no devices", id="no-devices-and-happy"),
    ],
)
def test_a_state_of_the_host_is_no_error(rc, stdout, why):
    answer = read({QUERY: ended(QUERY, rc, stdout)})
    assert (answer.gpus, answer.driver.version, answer.is_tool_installed) == ((), None, True)
    assert why in answer.why_unlisted


def test_a_tool_that_is_not_installed_is_no_error():
    answer = read({})
    assert (answer.gpus, answer.is_tool_installed, answer.why_unlisted) == ((), False, "nvidia-smi is not installed")


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        pytest.param(ended(QUERY, 124, timed_out=True), "did not end in time", id="hangs"),
        pytest.param(ended(QUERY, 137, TWO_GPUS, timed_out=True), "did not end in time", id="hangs-after-its-answer"),
        pytest.param(
            ended(QUERY, 137, TWO_GPUS, "infoROM is corrupted at gpu 0000:1B:00.0", timed_out=True),
            "did not end in time",
            id="hangs-after-its-answer-and-a-warning",
        ),
        pytest.param(
            ended(QUERY, 124, "No devices were found", timed_out=True), "in time", id="hangs-after-no-devices"
        ),
        pytest.param(
            ended(QUERY, 139, TWO_GPUS[:300], "Segmentation fault"), "Segmentation fault", id="crashes-half-way"
        ),
        pytest.param(
            ended(QUERY, 139, TWO_GPUS, "Segmentation fault"), "exited with status 139", id="crashes-after-its-answer"
        ),
        pytest.param(ended(QUERY, 0, TWO_GPUS[:300]), "exited with status 0", id="cut-short-and-happy"),
        pytest.param(ended(QUERY, 15, TWO_GPUS[:300]), "exited with status 15", id="loses-a-gpu-half-way"),
        pytest.param(ended(QUERY, 0), "printed nothing", id="says-nothing"),
        pytest.param(ended(QUERY, 0, "Hello"), "printed: Hello", id="says-something-else"),
        pytest.param(ended(QUERY, 4, "Insufficient Permissions"), "run as root", id="no-permission"),
        pytest.param(ended(QUERY, 8, "power"), "power cables", id="power-cables"),
        pytest.param(ended(QUERY, 255, "Failed to initialize NVML: Unknown Error"), "Unknown Error", id="other"),
        pytest.param(
            ended(QUERY, 127, "", "error while loading shared libraries"), "shared libraries", id="cannot-start"
        ),
        pytest.param(
            ended(QUERY, 0, "<nvidia_smi_log><attached_gpus>2</attached_gpus></nvidia_smi_log>"),
            "counts 2",
            id="counts",
        ),
    ],
)
def test_a_failure_of_the_tool_is_an_error_with_evidence(asked, message):
    with pytest.raises(CommandError, match=message) as failure:
        read({QUERY: asked})
    evidence = failure.value.details
    assert (evidence["rc"], evidence["stdout"], evidence["stderr"]) == (asked.rc, asked.stdout, asked.stderr)
    assert evidence["cmd"] == list(QUERY)


@given(st.data())
def test_no_part_of_an_answer_is_read_as_an_answer(data):
    whole = synthetic_log(MIG_GPU, synthetic_gpu("00000000:1B:00.0")).rstrip()
    part = whole[: data.draw(st.integers(0, len(whole) - 1))]
    with pytest.raises(CommandError):
        read({QUERY: part, LIST: ""})


@functools.cache
def capture_once(name):
    return capture(name).rstrip()


@needs_captures
@pytest.mark.parametrize("name", ["t4-515.105", "a100x4-mig-535.54.03", "h100x8-580.105.08", "rtx3080-595.58.03"])
@given(data=st.data(), rc=st.sampled_from([0, 9, 15, 139]))
def test_no_part_of_a_captured_answer_is_read_as_an_answer(name, data, rc):
    whole = capture_once(f"nvidia-smi/{name}.xml")
    # From the root element on: what comes before it says nothing, and then the exit code may.
    part = whole[: data.draw(st.integers(whole.index("<nvidia_smi_log>") + 15, len(whole) - 1))]
    with pytest.raises(CommandError):
        read({QUERY: ended(QUERY, rc, part), LIST: ""})


def test_a_warning_about_one_gpu_degrades_that_one():
    """Exit code 14 comes with a whole document and this line after it."""
    answer = read({QUERY: ended(QUERY, 14, TWO_GPUS + "WARNING: infoROM is corrupted at gpu 0000:1B:00.0\n")})
    assert [check_health(gpu)[0] for gpu in answer.gpus] == ["ok", "degraded"]
    assert "infoROM is corrupted" in check_health(answer.gpus[1])[1][0]


def test_a_gpu_that_newer_drivers_leave_out_gets_their_reason():
    line = "Unable to determine the device handle for GPU1: 0000:1B:00.0: Unknown Error\n"
    answer = read({QUERY: ended(QUERY, 255, line + synthetic_log(synthetic_gpu()))})
    assert [gpu.pci_address for gpu in answer.gpus] == [ONE]
    assert "Unknown Error" in answer.notes[TWO]


def test_one_lost_gpu_does_not_hide_the_others_of_older_drivers():
    alone = (*QUERY, "-i", TWO)
    answer = read(
        {
            QUERY: ended(QUERY, 15, LOST),
            (*QUERY, "-i", ONE): ended(QUERY, 15, LOST),
            alone: synthetic_log(synthetic_gpu("00000000:1B:00.0")),
        }
    )
    assert [(gpu.pci_address, gpu.index) for gpu in answer.gpus] == [(TWO, None)]
    assert answer.driver.version == "580.105.08"
    assert "GPU is lost" in answer.notes[ONE]


def test_a_lost_gpu_that_the_bus_does_not_show_is_an_error():
    with pytest.raises(CommandError, match="GPU is lost"):
        read({QUERY: ended(QUERY, 15, LOST)}, addresses=())


def test_mig_devices_are_named_by_the_list():
    listed = "GPU 0: NVIDIA H100 (UUID: GPU-1)\n  MIG 3g.40gb     Device  0: (UUID: MIG-1)\n"
    answer = read({QUERY: synthetic_log(MIG_GPU), LIST: listed})
    assert answer.gpus[0].mig_devices == (MigDevice("3g.40gb", "MIG-1", None, None, None),)


@pytest.mark.parametrize(
    ("listed", "message"),
    [
        pytest.param(ended(LIST, 0, "GPU 0: NVIDIA H100 (UUID: GPU-1)\n"), "leaves out MIG devices", id="cut-short"),
        pytest.param(ended(LIST, 124, timed_out=True), "did not end in time", id="hangs"),
        pytest.param(ended(LIST, 255, "", "Unknown Error"), "could not be listed", id="fails"),
    ],
)
def test_a_list_that_leaves_out_mig_devices_is_an_error(listed, message):
    with pytest.raises(CommandError, match=message):
        read({QUERY: synthetic_log(MIG_GPU), LIST: listed})


def test_without_mig_devices_one_command_is_enough():
    run = Told({QUERY: TWO_GPUS})
    nvidia.read(run, [ONE, TWO], timeout_s=60)
    assert run.calls == [QUERY]
