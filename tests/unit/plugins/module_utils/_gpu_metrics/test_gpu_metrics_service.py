# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is on the page: of GPUs as tools told them, of sources that fail or are silent, and of the rest of a host."""

from __future__ import annotations

import dataclasses
import datetime
import os
import threading

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._errors import HostError
from ansible_collections.mlops.hosts.plugins.module_utils._exposition import Page
from ansible_collections.mlops.hosts.plugins.module_utils._gpu.report import Report
from ansible_collections.mlops.hosts.plugins.module_utils._gpu.types import Driver, Fault, Gpu, MigDevice, Process
from ansible_collections.mlops.hosts.plugins.module_utils._gpu_metrics import config, gpus, host, program, service, tell
from ansible_collections.mlops.hosts.plugins.module_utils._gpu_metrics.families import FAMILIES
from ansible_collections.mlops.hosts.plugins.module_utils._gpu_metrics.reading import Reading
from ansible_collections.mlops.hosts.plugins.module_utils._runner import Completed
from ansible_collections.mlops.hosts.tests.unit.fakes import not_installed

H100 = Gpu(
    vendor="nvidia",
    index=0,
    uuid="GPU-1",
    pci_address="0000:1a:00.0",
    name="NVIDIA H100",
    memory_total_mib=81559,
    power_limit_w=700.0,
    temperature_c=33,
    utilization_percent=50,
    ecc_uncorrected=0,
    remapped_rows_pending=False,
    recovery_action="none",
    mig_mode="disabled",
    processes=(Process(1, "python3", 10),),
)
READING = Reading(
    memory_used_bytes=1024,
    power_w=68.92,
    slowdown_c=89.0,
    sm_clock_mhz=1980.0,
    ecc_corrected=3,
    remapped_correctable=0,
    remapping_failed=False,
    throttled={"hw_thermal": True},
    pcie_width=8,
    pcie_width_max=16,
)


def seen(*found, listed=None, readings=None):
    report = Report(found, Driver("580.95.05"), len(found))
    return gpus.Gpus(report, len(found) if listed is None else listed, readings or {})


def told(how, *values):
    page = Page(FAMILIES)
    how(page, *values)
    return [line for line in page.text().splitlines() if not line.startswith("#")]


def test_a_gpu_with_all_that_tools_tell():
    assert told(tell.tell_gpus, seen(H100, readings={"0000:1a:00.0": READING})) == [
        "mlops_gpu_devices 1",
        "mlops_gpu_expected_devices 1",
        'mlops_gpu_info{gpu="GPU-1",index="0",pci_address="0000:1a:00.0",name="NVIDIA H100",vendor="nvidia"} 1',
        'mlops_gpu_health{gpu="GPU-1",health="ok"} 1',
        'mlops_gpu_health{gpu="GPU-1",health="degraded"} 0',
        'mlops_gpu_health{gpu="GPU-1",health="failed"} 0',
        'mlops_gpu_memory_total_bytes{gpu="GPU-1"} 85520809984',
        'mlops_gpu_memory_used_bytes{gpu="GPU-1"} 1024',
        'mlops_gpu_utilization_ratio{gpu="GPU-1"} 0.5',
        'mlops_gpu_power_watts{gpu="GPU-1"} 68.92',
        'mlops_gpu_power_limit_watts{gpu="GPU-1"} 700',
        'mlops_gpu_temperature_celsius{gpu="GPU-1"} 33',
        'mlops_gpu_temperature_slowdown_celsius{gpu="GPU-1"} 89',
        'mlops_gpu_clock_hertz{gpu="GPU-1",clock="sm"} 1980000000',
        'mlops_gpu_throttled{gpu="GPU-1",reason="hw_thermal"} 1',
        'mlops_gpu_ecc_errors_total{gpu="GPU-1",type="uncorrected"} 0',
        'mlops_gpu_ecc_errors_total{gpu="GPU-1",type="corrected"} 3',
        'mlops_gpu_remapped_rows{gpu="GPU-1",type="correctable"} 0',
        'mlops_gpu_remapping_pending{gpu="GPU-1"} 0',
        'mlops_gpu_remapping_failed{gpu="GPU-1"} 0',
        'mlops_gpu_mig_enabled{gpu="GPU-1"} 0',
        'mlops_gpu_mig_devices{gpu="GPU-1"} 0',
        'mlops_gpu_processes{gpu="GPU-1"} 1',
        'mlops_gpu_pcie_link_width{gpu="GPU-1"} 8',
        'mlops_gpu_pcie_link_width_max{gpu="GPU-1"} 16',
    ]


def test_of_a_gpu_that_no_tool_offers_the_health_is_told_by_its_address():
    lost = Gpu("nvidia", pci_address="0000:1b:00.0", faults=(Fault("It is not offered.", True),))
    lines = told(tell.tell_gpus, seen(lost, listed=0))
    assert lines[:2] == ["mlops_gpu_devices 0", "mlops_gpu_expected_devices 1"]
    assert 'mlops_gpu_health{gpu="0000:1b:00.0",health="failed"} 1' in lines
    assert not any("processes" in line or "mig" in line for line in lines)


def test_two_gpus_of_one_uuid_are_told_by_their_addresses():
    twin = dataclasses.replace(H100, pci_address="0000:1b:00.0")
    names = {line.split('"')[1] for line in told(tell.tell_gpus, seen(H100, twin)) if "{" in line}
    assert names == {"0000:1a:00.0", "0000:1b:00.0"}


def test_mig_and_a_recovery_action_are_told():
    mig = MigDevice("1g.10gb", "MIG-1", 1, 0, 10)
    lines = told(
        tell.tell_gpus, seen(dataclasses.replace(H100, mig_mode="enabled", mig_devices=(mig,), recovery_action="reset"))
    )
    assert 'mlops_gpu_recovery_action{gpu="GPU-1",action="reset"} 1' in lines
    assert 'mlops_gpu_mig_enabled{gpu="GPU-1"} 1' in lines
    assert 'mlops_gpu_mig_devices{gpu="GPU-1"} 1' in lines


def test_of_a_host_without_gpus_no_driver_is_told():
    assert told(tell.tell_driver, host.DriverState(None, None, None, "absent")) == []
    assert told(tell.tell_driver, host.DriverState("nvidia", None, "580.1", "reload")) == [
        'mlops_driver_info{vendor="nvidia",loaded="",installed="580.1"} 1',
        'mlops_driver_verdict{verdict="reload"} 1',
    ]


def test_certificates_and_room_are_told():
    ends = datetime.datetime(2030, 1, 1, tzinfo=datetime.timezone.utc)
    assert told(tell.tell_certificates, [host.Expiry("/a", ends), host.Expiry("/b", None)]) == [
        'mlops_certificate_not_after_timestamp_seconds{path="/a"} 1893456000',
        'mlops_certificate_readable{path="/a"} 1',
        'mlops_certificate_readable{path="/b"} 0',
    ]
    assert told(tell.tell_rooms, [host.Room("/srv", 10, 4)]) == [
        'mlops_store_size_bytes{path="/srv"} 10',
        'mlops_store_free_bytes{path="/srv"} 4',
    ]


@pytest.fixture
def clock(monkeypatch):
    now = {"monotonic": 100.0, "time": 1e9}
    monkeypatch.setattr(service.time, "monotonic", lambda: now["monotonic"])
    monkeypatch.setattr(service.time, "time", lambda: now["time"])
    return now


class Answers:
    """A source that gives these, or raises them."""

    def __init__(self, *answers):
        self.answers = list(answers)

    def __call__(self):
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def following(*answers):
    changed = threading.Event()
    one = service.Source(
        "store",
        Answers(*answers),
        tell.tell_rooms,
        every_s=15,
        patience_s=35,
        changed=changed,
        stopping=threading.Event(),
    )
    return one, changed


ROOM = [host.Room("/srv", 10, 4)]
SUCCESS, WHEN = 'mlops_gpu_metrics_read_success{source="store"} ', "mlops_gpu_metrics_read_timestamp_seconds"


def lines_of(source):
    return told(lambda page: source.add_to(page))


def test_a_source_that_has_just_begun_is_not_told_as_failed(clock):
    one, _changed = following(ROOM)
    assert lines_of(one) == []
    clock["monotonic"] += 36
    assert lines_of(one) == [f"{SUCCESS}0"]


def test_a_source_that_fails_has_no_values_but_the_time_of_its_last(clock, capsys):
    one, _changed = following(ROOM, HostError("No room."), OSError("No room."), ROOM)
    one.read_once()
    assert lines_of(one)[-2:] == [f"{SUCCESS}1", f'{WHEN}{{source="store"}} 1000000000']
    assert 'mlops_store_free_bytes{path="/srv"} 4' in lines_of(one)
    clock["time"] += 15
    one.read_once()
    assert lines_of(one) == [f"{SUCCESS}0", f'{WHEN}{{source="store"}} 1000000000']
    one.read_once()
    # Once is enough.
    assert capsys.readouterr().err == "No room.\n"
    one.read_once()
    assert f"{SUCCESS}1" in lines_of(one)


def test_a_source_that_is_silent_has_no_values(clock):
    one, _changed = following(ROOM)
    one.read_once()
    clock["monotonic"] += 36
    assert lines_of(one) == [f"{SUCCESS}0", f'{WHEN}{{source="store"}} 1000000000']


def test_what_differs_is_written_at_once(clock):
    one, changed = following(ROOM, ROOM, [host.Room("/srv", 10, 3)])
    for is_set in (True, False, True):
        one.read_once()
        assert changed.is_set() == is_set
        changed.clear()


def serve(tmp_path, monkeypatch, run, **more):
    """The page, written once by the service itself."""
    made = service.Service(
        config.Config(interval_s=5, **more), state_dir=str(tmp_path), run=run, sysfs_root=str(tmp_path)
    )
    written = []

    def write(path, text):
        written.append((path, text))
        if 'source="gpu"' in text and 'source="driver"' in text:
            made.stop()

    monkeypatch.setattr(service._text_file, "write", write)
    made.follow()
    return written[-1]


def nothing(*argv, timeout_s=None, stdin=None):
    return not_installed(argv)


def test_a_host_without_gpus_has_a_page(tmp_path, monkeypatch):
    path, text = serve(tmp_path, monkeypatch, nothing, stores=(str(tmp_path),), certificates=("/nowhere.pem",))
    assert path == str(tmp_path / "gpu_metrics.prom")
    assert "\nmlops_gpu_expected_devices 0\n" in text
    assert 'mlops_gpu_metrics_read_success{source="gpu"} 1\n' in text


def test_a_driver_that_is_loaded_ends_the_service_to_have_its_devices(tmp_path, monkeypatch, capsys):
    devices = iter([" 1 mem\n", " 1 mem\n195 nvidia\n"])
    read = service._text_file.read
    monkeypatch.setattr(
        service._text_file, "read", lambda path: next(devices) if path == "/proc/devices" else read(path)
    )
    made = service.Service(config.Config(), state_dir=str(tmp_path), run=nothing, sysfs_root=str(tmp_path))
    made._changed.set()
    made.follow()
    assert capsys.readouterr().err.endswith("the service ends, to get its devices anew\n")


def test_what_is_dear_is_read_when_its_sign_differs_and_when_it_is_old(monkeypatch):
    now, signs, answers = [0.0], ["a"], Answers(1, 2, HostError("No."), 3)
    monkeypatch.setattr(host.time, "monotonic", lambda: now[0])
    read = host.Rarely(answers, lambda: signs[0], every_s=900)
    assert (read(), read()) == (1, 1)
    signs[0] = "b"
    assert read() == 2
    now[0] = 900.0
    with pytest.raises(HostError):
        read()
    assert read() == 3


CDI = '{{"kind": "nvidia.com/gpu", "devices": [{{"name": "{}"}}], "containerEdits": {{}}}}'


@pytest.fixture
def specs(tmp_path, monkeypatch):
    monkeypatch.setattr(host.files, "DIRECTORIES", (str(tmp_path),))
    monkeypatch.setattr(host.files.read_all, "__defaults__", ((str(tmp_path),),))
    return tmp_path


@pytest.mark.parametrize(
    ("text", "found", "fresh"),
    [
        (CDI.format("0"), (H100,), {"nvidia.com/gpu": True}),
        (CDI.format("1"), (H100,), {"nvidia.com/gpu": False}),
        ("kind: nvidia.com/gpu\ndevices:\n- name: '0'\n", (H100,), {"nvidia.com/gpu": True}),
        (None, (), {}),
    ],
    ids=["fits", "stale", "yaml", "no-gpu"],
)
def test_whether_cdi_is_fresh(specs, text, found, fresh):
    before = host.sign_of_cdi(seen(*found).report)
    if text:
        (specs / "nvidia.yaml").write_text(text)
        assert host.sign_of_cdi(seen(*found).report) != before
    assert host.read_cdi(seen(*found).report) == fresh


@pytest.mark.parametrize(("refreshed", "fresh"), [(True, {"nvidia.com/gpu": False}), (False, {})])
def test_cdi_is_missed_only_where_something_should_write_it(specs, refreshed, fresh):
    exists = (lambda path: path.endswith("nvidia-cdi-refresh.service")) if refreshed else (lambda _path: False)
    assert host.read_cdi(seen(H100).report, exists) == fresh


def test_of_a_specification_that_cannot_be_read_here_nothing_is_told(specs):
    (specs / "own.yaml").write_text("kind: {a: b}")
    with pytest.raises(HostError, match="own.yaml must be as the toolkits write it: .*; ask the module cdi_info"):
        host.read_cdi(seen(H100).report)


def test_a_file_without_a_certificate_is_not_readable(tmp_path):
    (tmp_path / "key.pem").write_text("-----BEGIN PRIVATE KEY-----\n")
    paths = [str(tmp_path / "key.pem"), str(tmp_path / "none.pem")]
    assert [one.not_after for one in host.read_certificates(paths)] == [None, None]


def test_the_room_of_a_path(tmp_path):
    (room,) = host.read_rooms([str(tmp_path)])
    assert 0 <= room.free <= room.size
    with pytest.raises(OSError, match="nowhere"):
        host.read_rooms([str(tmp_path / "nowhere")])


def test_the_driver_is_read_as_driver_info_reads_it(tmp_path):
    os.makedirs(tmp_path / "sys/bus/pci/devices")

    def run(*argv, timeout_s=None, stdin=None):
        return Completed(argv, 127, "", f"{argv[0]}: command not found")

    assert host.read_driver(run, root=str(tmp_path)).vendor is None


def test_the_configuration_is_read_as_it_was_written(tmp_path):
    probe = config.Probe("chat", "http://127.0.0.1:8001", expect="Paris")
    written = config.Config(interval_s=30, certificates=("/a.pem",), stores=("/srv",), probes=(probe,))
    (tmp_path / "config.json").write_text(config.as_text(written))
    assert config.read(str(tmp_path / "config.json")) == written


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"interval_s": "x", "certificates": [], "stores": [], "probes": []}']
)
def test_a_configuration_of_others_is_refused_in_one_sentence(tmp_path, text, capsys):
    (tmp_path / "config.json").write_text(text)
    assert program.main(["--config", str(tmp_path / "config.json")]) == 1
    assert "must be as the role gpu_metrics writes it, and is not" in capsys.readouterr().err
