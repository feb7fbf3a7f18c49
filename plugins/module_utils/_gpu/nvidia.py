# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Asks nvidia-smi, and tells a state of the host from a failure of the program.

"The driver is not loaded" is a state: it is reported on the GPUs that the PCI bus shows. A program that hangs, crashes
or prints half of its answer is an error: nothing that it left out may be read as "no GPU".
"""

from __future__ import annotations

import dataclasses
import typing as t

from .._errors import CommandError
from .._runner import Completed, Runner, must
from . import nvidia_xml
from .pci import ADDRESS, normal_address
from .tool import Answer, not_installed
from .types import Driver, Fault, Gpu

_FAILED = "the state of the NVIDIA GPUs could not be read"

# Exit codes of nvidia-smi are NVML return codes (nvml.h). With these it has told in full why it sees no GPU.
_STATES = {
    9: "the NVIDIA kernel driver is not loaded",
    12: "nvidia-smi does not find libnvidia-ml.so, so the driver's libraries are missing or not in the library path",
    13: "libnvidia-ml.so and nvidia-smi are of different driver versions",
    18: "the loaded kernel module and the installed libraries of the driver differ, so load the module again or reboot",
}
# Older drivers give other codes for the same, with this text.
_MISMATCH = "Driver/library version mismatch"
# With these it has not, and a person has to act.
_ERRORS = {
    4: "permission denied, so run as root",
    8: "the power cables of a GPU are not attached",
    10: "the kernel has trouble with the interrupts of a GPU",
}
_NO_DEVICES = 6
_INFOROM_CORRUPT = 14
_GPU_IS_LOST = 15
_LOST_TEXT = "Unable to determine the device handle"


def read(run: Runner, addresses: t.Sequence[str], *, timeout_s: float, is_loaded: bool = True) -> Answer:
    """All that nvidia-smi tells. ``addresses`` are those of the NVIDIA GPUs on the PCI bus, ``is_loaded`` whether the
    kernel has the driver: with neither, a tool that fails hides nothing.

    Raises CommandError when nvidia-smi hangs, crashes, is cut short, or fails for a reason that is no host state.
    """
    done = run("nvidia-smi", "-q", "-x", timeout_s=timeout_s)
    if not_installed(done):
        return Answer(is_tool_installed=False, why_unlisted="nvidia-smi is not installed")
    state = _state(done)
    if state is not None:
        return Answer(why_unlisted=state)
    if not addresses and not is_loaded and _has_failed(done):
        return Answer(why_unlisted=f"nvidia-smi says: {done.last_words}")
    if _speaks_of_lost_gpu(done) and addresses:
        return _one_by_one(run, addresses, timeout_s)
    log = _log(run, done, timeout_s)
    if log.attached_gpus and not log.gpus:
        raise CommandError(f"{_FAILED}: nvidia-smi counts {log.attached_gpus} GPUs and describes none", done)
    notes = _all_notes(log, done)
    return Answer(tuple(_with_notes(gpu, notes) for gpu in log.gpus), log.driver, "nvidia-smi does not list it", notes)


def _state(done: Completed) -> str | None:
    if done.timed_out or "<nvidia_smi_log" in done.stdout:
        return None
    said = done.stdout + done.stderr
    if _MISMATCH in said:
        return _STATES[18]
    if done.rc in (0, _NO_DEVICES) and "No devices were found" in said:
        return "nvidia-smi finds no devices"
    return _STATES.get(done.rc)


def _has_failed(done: Completed) -> bool:
    """Before its answer began. Seen of 535 on a host without a GPU: 255, "Failed to initialize NVML: Unknown Error"."""
    return done.rc != 0 and not done.timed_out and "<nvidia_smi_log" not in done.stdout


def _speaks_of_lost_gpu(done: Completed) -> bool:
    """One lost GPU made older drivers give up before the document began; newer ones describe the others."""
    if done.timed_out or "<nvidia_smi_log" in done.stdout:
        return False
    return done.rc == _GPU_IS_LOST or _LOST_TEXT in done.stdout + done.stderr


def _one_by_one(run: Runner, addresses: t.Sequence[str], timeout_s: float) -> Answer:
    """Ask for each GPU alone, so that one lost GPU does not hide the others. Their indexes stay unknown."""
    driver, gpus, notes = Driver(), [], {}
    for address in addresses:
        done = run("nvidia-smi", "-q", "-x", "-i", address, timeout_s=timeout_s)
        if _speaks_of_lost_gpu(done):
            notes[address] = f"nvidia-smi says: {done.last_words}"
            continue
        log = _log(run, done, timeout_s)
        driver = log.driver
        gpus += [dataclasses.replace(gpu, index=None) for gpu in log.gpus]
    return Answer(tuple(gpus), driver, "nvidia-smi does not list it", notes)


def _log(run: Runner, done: Completed, timeout_s: float) -> nvidia_xml.Log:
    log = _parse(done)
    if not any(gpu.mig_devices for gpu in log.gpus):
        return log
    listed = must(run("nvidia-smi", "-L", timeout_s=timeout_s), "the MIG devices could not be listed")
    log = nvidia_xml.parse_log(done.stdout, nvidia_xml.parse_list(listed.stdout))
    if any(mig.uuid is None for gpu in log.gpus for mig in gpu.mig_devices):
        raise CommandError("nvidia-smi -L leaves out MIG devices that nvidia-smi -q -x describes; run it again", listed)
    return log


def _parse(done: Completed) -> nvidia_xml.Log:
    incomplete = ""
    try:
        log = nvidia_xml.parse_log(done.stdout)
        # A whole document with an unhappy exit code is good when a line next to it says which GPU made it unhappy.
        is_explained = done.rc in (0, _INFOROM_CORRUPT, _GPU_IS_LOST) or _all_notes(log, done)
        if is_explained and not done.timed_out:
            return log
    except nvidia_xml.Incomplete as exc:
        incomplete = f" ({exc})"
    what = f"{_FAILED}{incomplete}"
    if done.rc in _ERRORS and not done.timed_out:
        what = f"{_FAILED}: {_ERRORS[done.rc]}"
    must(done, what)
    raise CommandError(f"{what}: nvidia-smi exited with status 0, but printed: {done.last_words}", done)


def _with_notes(gpu: Gpu, notes: t.Mapping[str, str]) -> Gpu:
    note = notes.get(gpu.pci_address or "")
    return gpu if note is None else dataclasses.replace(gpu, faults=(*gpu.faults, Fault(f"{note}.")))


def _all_notes(log: nvidia_xml.Log, done: Completed) -> dict[str, str]:
    """The lines next to the document that name a GPU by its address, domain included, by that address.

    Seen: "WARNING: infoROM is corrupted at gpu 0000:67:00.0" after it, and "Unable to determine the device handle for
    GPU1: 0000:34:00.0: Unknown Error" before it.
    """
    notes = {}
    for line in (*log.notes, *done.stderr.splitlines()):
        for found in ADDRESS.finditer(line):
            address = normal_address(found.group()) if found.group(1) else None
            if address:
                notes[address] = f"nvidia-smi says: {line.strip()}"
    return notes
