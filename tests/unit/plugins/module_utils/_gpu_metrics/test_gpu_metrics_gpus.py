# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""nvidia-smi that goes on: what it prints bit by bit, when it ends, when it is silent, and what is asked beside it."""

from __future__ import annotations

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._errors import CommandError, HostError
from ansible_collections.mlops.hosts.plugins.module_utils._gpu_metrics import gpus
from ansible_collections.mlops.hosts.plugins.module_utils._runner import Completed
from ansible_collections.mlops.hosts.tests.unit.fakes import not_installed
from ansible_collections.mlops.hosts.tests.unit.plugins.module_utils._gpu.support import (
    pci_device,
    synthetic_gpu,
    synthetic_log,
)

FIRST, SECOND = ("00000000:1A:00.0", "GPU-1"), ("00000000:1B:00.0", "GPU-2")


def document(*gpus_there, head="<driver_version>580.105.08</driver_version>"):
    return synthetic_log(*(synthetic_gpu(address, uuid=uuid) for address, uuid in gpus_there), head=head)


class Script:
    """A stream that prints what it is told to: texts, None for silence, and a number for the status of its end."""

    def __init__(self, *parts):
        self.parts, self.begun, self.ended = list(parts), 0, 0

    def __call__(self, *argv):
        self.begun += 1
        self.argv = argv
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self.ended += 1

    def read(self, timeout_s):
        part = self.parts.pop(0)
        if isinstance(part, int):
            self.status = part
            return None
        return [] if part is None else part.encode().split(b"\n")[:-1]

    def completed(self):
        return Completed(("nvidia-smi",), self.status, "", "")


class Clock:
    """Silence takes as long as it may."""

    def __init__(self, monkeypatch, script):
        self.now = 0.0
        monkeypatch.setattr(gpus.time, "monotonic", lambda: self.now)
        read = script.read

        def waiting(timeout_s):
            if script.parts and script.parts[0] is None:
                self.now += timeout_s
            return read(timeout_s)

        script.read = waiting


class Asked:
    """A Runner that notes what it was asked, and has answers for it."""

    def __init__(self, answers=None):
        self.answers, self.calls = answers or {}, []

    def __call__(self, *argv, timeout_s=None, stdin=None):
        self.calls.append(argv)
        return self.answers.get(argv) or not_installed(argv)


@pytest.fixture
def bus(tmp_path):
    for address in ("0000:1a:00.0", "0000:1b:00.0"):
        pci_device(tmp_path, address, "10de", "2330", "030200", driver="nvidia")
    return str(tmp_path)


def source(script, bus, run=None, waits=None):
    waits = [] if waits is None else waits
    return gpus.Source(15, run=run or Asked(), wait=waits.append, stream=script, sysfs_root=bus)


def uuids(found):
    return [gpu.uuid for gpu in found.report.gpus]


def test_documents_are_read_one_after_the_other_however_they_come(bus):
    text = document(FIRST, SECOND)
    half = text.index("\n", len(text) // 2) + 1 if "\n" in text[len(text) // 2 :] else len(text)
    script = Script(text[:half], *([text[half:]] if text[half:] else []), text + text)
    reading = source(script, bus)
    for _time in range(3):
        found = reading.read()
        assert (uuids(found), found.listed) == (["GPU-1", "GPU-2"], 2)
    assert script.begun == 1
    assert script.argv == ("nvidia-smi", "-q", "-x", "-l", "15")


def test_lists_of_clocks_are_passed_over(bus):
    clocks = "\n\t<supported_clocks>\n<value>" + "x" * 50 + "</value>\n\t</supported_clocks>\n"
    smi = gpus.NvidiaSmi(15, Script(document(FIRST).replace("</gpu>", f"{clocks}</gpu>")))
    assert "xxx" not in smi.next().stdout


def test_a_gpu_that_is_lost_keeps_its_name(bus):
    reading = source(Script(document(FIRST, SECOND), document(FIRST)), bus)
    reading.read()
    found = reading.read()
    assert (uuids(found), found.listed, found.report.expected_from_pci) == (["GPU-1", "GPU-2"], 1, 2)


def test_silence_is_a_call_that_did_not_end_in_time_and_then_it_is_begun_anew(bus, monkeypatch):
    script = Script(document(FIRST, SECOND), None, document(FIRST, SECOND))
    clock = Clock(monkeypatch, script)
    reading = source(script, bus)
    reading.read()
    with pytest.raises(CommandError, match="did not end in time"):
        reading.read()
    assert clock.now == 35
    assert uuids(reading.read()) == ["GPU-1", "GPU-2"]
    assert (script.begun, script.ended) == (2, 1)


def test_a_document_that_trickles_in_does_not_wait_for_ever(bus, monkeypatch):
    script = Script("<nvidia_smi_log>\n", None, None)
    Clock(monkeypatch, script)
    with pytest.raises(CommandError, match="did not end in time"):
        source(script, bus).read()


def test_when_it_ends_the_pause_grows_up_to_the_interval_until_it_tells_again(bus):
    waits = []
    reading = source(Script(*[9] * 6, document(FIRST, SECOND), document(FIRST, SECOND)), bus, waits=waits)
    for _time in range(6):
        found = reading.read()
        # The driver is not loaded: a state, and no failure.
        assert (found.listed, [gpu.faults[0].is_fatal for gpu in found.report.gpus]) == (0, [True, True])
    reading.read()
    reading.read()
    assert waits == [0, 1, 2, 4, 8, 15, 15, 0]


def test_drivers_that_give_up_for_a_lost_gpu_are_asked_for_each(bus):
    alone = ("nvidia-smi", "-q", "-x", "-i")
    lost = "Unable to determine the device handle for GPU 0000:1B:00.0: GPU is lost.\n"
    answers = {
        (*alone, "0000:1a:00.0"): Completed(alone, 0, document(FIRST), ""),
        (*alone, "0000:1b:00.0"): Completed(alone, 15, lost, ""),
    }
    found = source(Script(lost, 15), bus, Asked(answers)).read()
    assert (uuids(found), found.listed) == (["GPU-1", None], 1)


def test_without_nvidia_smi_nothing_is_started_and_the_interval_is_kept(tmp_path):
    waits, run = [], Asked()

    def missing(*_argv):
        raise HostError("nvidia-smi must be installed, and is not")

    reading = gpus.Source(15, run=run, wait=waits.append, stream=missing, sysfs_root=str(tmp_path))
    assert (reading.read().listed, reading.read().listed) == (0, 0)
    assert (waits, run.calls) == ([0, 15], [])


MIG = "<mig_devices><mig_device><index>0</index><gpu_instance_id>{}</gpu_instance_id></mig_device></mig_devices>"


def test_names_of_mig_devices_are_asked_for_seldom_and_again_when_they_do_not_fit(bus):
    one = synthetic_gpu(*FIRST[:1], MIG.format(1), FIRST[1])
    two = one.replace("</mig_devices>", MIG.format(2).partition(">")[2].replace("<index>0", "<index>1"))
    listed = "GPU 0: H100 (UUID: GPU-1)\n  MIG 1g.10gb  Device  0: (UUID: MIG-1)\n"
    more = f"{listed}  MIG 1g.10gb  Device  1: (UUID: MIG-2)\n"
    run = Asked({("nvidia-smi", "-L"): Completed(("nvidia-smi", "-L"), 0, listed, "")})
    reading = source(Script(*[synthetic_log(one)] * 20, synthetic_log(one), synthetic_log(two)), bus, run)
    for _time in range(20):
        assert reading.read().report.gpus[0].mig_devices[0].uuid == "MIG-1"
    assert len(run.calls) == 1
    reading.read()
    assert len(run.calls) == 2
    run.answers[("nvidia-smi", "-L")] = Completed(("nvidia-smi", "-L"), 0, more, "")
    assert [mig.uuid for mig in reading.read().report.gpus[0].mig_devices] == ["MIG-1", "MIG-2"]
