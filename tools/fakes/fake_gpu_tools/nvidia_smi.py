# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fake of nvidia-smi: reads and changes the state of the simulated machine, and strikes with its faults."""

from __future__ import annotations

import dataclasses
import os
import time
import typing as t

from . import faults, mig, smi_query, smi_settings, smi_tables, smi_xml, state
from .answer import CORRUPT_INFOROM, INVALID, LOST, MISMATCH, NO_PERMISSION, NOT_FOUND, NOT_LOADED, Refused
from .state import Fault, Gpu, Machine

_RESETS = ("-r", "--gpu-reset")
_NOT_LOADED = (
    "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure that the latest NVIDIA "
    "driver is installed and running."
)


class Answer(t.NamedTuple):
    """What is printed, and how it ends."""

    code: int
    text: str


def main(argv: t.Sequence[str]) -> int:
    """With ``-l SECONDS`` it goes on until somebody ends it, or until an answer is none."""
    state.note_call(["nvidia-smi", *argv])
    once, seconds = _loop(argv)
    code = _once(once)
    while seconds and code in (0, CORRUPT_INFOROM, LOST) and not _gave_up(code):
        time.sleep(seconds)
        code = _once(once)
    return code


def _loop(argv: t.Sequence[str]) -> tuple[list[str], float]:
    """The call without the option, and its value; 0 without it."""
    for place, word in enumerate(argv):
        option, has_value, value = word.partition("=")
        if option in ("-l", "--loop"):
            after = place + 1 if has_value else place + 2
            return [*argv[:place], *argv[after:]], float(value if has_value else argv[place + 1])
    return list(argv), 0


def _gave_up(code: int) -> bool:
    """Drivers before 535 end with the first GPU that is lost, and describe none."""
    if code != LOST:
        return False
    with state.opened() as machine:
        return machine.major < 535


def _once(argv: t.Sequence[str]) -> int:
    struck: Fault | None = None
    try:
        with state.opened() as machine:
            struck = faults.strike(machine, argv, changed=_chosen(machine, argv) if _changes(argv) else None)
            answer = _broken(machine, struck) or _run(machine, argv, struck)
            machine.settle()
    except FileNotFoundError:
        print(_NOT_LOADED)
        return NOT_LOADED
    faults.wait(struck)
    faults.say(answer.text, struck)
    return answer.code


def _broken(machine: Machine, struck: Fault | None) -> Answer | None:
    """The states in which no command of nvidia-smi works."""
    name = struck.name if struck else ""
    if name == "not-loaded":
        return Answer(NOT_LOADED, f"{_NOT_LOADED}\n\n")
    if name == "mismatch" or machine.libraries != machine.driver:
        version = ".".join(machine.libraries.split(".")[:2])
        said = "Failed to initialize NVML: Driver/library version mismatch"
        return Answer(MISMATCH, f"{said}\nNVML library version: {version}\n")
    if name == "no-devices" or not machine.gpus:
        return Answer(NOT_FOUND, "No devices were found\n")
    return None


def _run(machine: Machine, argv: t.Sequence[str], struck: Fault | None) -> Answer:
    lines: list[str] = []
    try:
        for line in _lines(machine, argv, struck):
            lines.append(line)
    except Refused as refused:
        lines += refused.lines
        return Answer(refused.code, "\n".join(lines) + "\n")
    code = LOST if any(machine.is_lost(gpu) for gpu in machine.gpus) else 0
    if struck and struck.name == "inforom":
        gpu = machine.find(struck.gpu) or machine.gpus[0]
        lines.append(f"WARNING: infoROM is corrupted at gpu {gpu.short_address.upper()}")
        code = CORRUPT_INFOROM
    return Answer(code, "\n".join(lines) + "\n" if lines else "")


def _lines(machine: Machine, argv: t.Sequence[str], struck: Fault | None) -> t.Iterator[str]:
    if "--version" in argv:
        yield from smi_tables.version(machine)
        return
    if "mig" in argv:
        yield from _mig(machine, argv, struck)
        return
    chosen = _chosen(machine, argv)
    if not chosen:
        raise Refused(NOT_FOUND, "No devices were found")
    lost = [gpu for gpu in chosen if machine.is_lost(gpu)]
    for gpu in lost:
        which = f"GPU{machine.index(gpu)}: {gpu.short_address.upper()}"
        yield f"Unable to determine the device handle for {which}: Unknown Error"
    if lost and (machine.major < 535 or len(lost) == len(chosen)):
        raise Refused(LOST)
    yield from _for_gpus(machine, argv, [gpu for gpu in chosen if gpu not in lost], struck)


def _for_gpus(machine: Machine, argv: t.Sequence[str], gpus: list[Gpu], struck: Fault | None) -> t.Iterator[str]:
    joined = "".join(option for option in argv if option in ("-q", "-x", "-qx", "-xq"))
    if "q" in joined and "x" in joined:
        yield smi_xml.document(machine, gpus, len(machine.gpus)).rstrip("\n")
    elif "-L" in argv or "--list-gpus" in argv:
        yield from smi_tables.listing(machine, gpus)
    elif smi_query.is_query(argv):
        yield from smi_query.rows(machine, gpus, argv)
    elif _changes(argv):
        yield from _change(machine, argv, gpus, struck)
    elif not [word for word in argv if word.startswith("-") and not _is_id(word)]:
        yield from smi_tables.banner(machine, gpus)
    else:
        raise Refused(INVALID, f"Invalid combination of input arguments: {' '.join(argv)}. Please run 'nvidia-smi -h'.")


def _change(machine: Machine, argv: t.Sequence[str], gpus: list[Gpu], struck: Fault | None) -> t.Iterator[str]:
    name = struck.name if struck else ""
    _must_be_root(gpus[0])
    is_ecc = False
    for gpu in gpus:
        is_meant = not struck or struck.gpu in ("", gpu.uuid)
        if is_meant and name == "refuse":
            raise smi_settings.refused(gpu)
        if is_meant and name == "warn":
            yield from smi_settings.unsupported(gpu)
        elif any(word in _RESETS for word in argv):
            yield from smi_settings.reset(machine, gpu) if not (is_meant and name == "silent") else ()
        else:
            option, value = _setting(argv)
            is_ecc = is_ecc or option in ("-e", "--ecc-config")
            before = dataclasses.asdict(gpu)
            yield from smi_settings.CHANGES[option](machine, gpu, value)
            if is_meant and name == "silent":
                machine.gpus[machine.index(gpu)] = Gpu.load(before)
    yield "All done."
    if is_ecc:
        yield "Reboot required."


def _mig(machine: Machine, argv: t.Sequence[str], struck: Fault | None) -> t.Iterator[str]:
    gpus = [gpu for gpu in _chosen(machine, argv) if not machine.is_lost(gpu)]
    if not gpus:
        raise Refused(NOT_FOUND, "No devices were found")
    capable = [gpu for gpu in gpus if gpu.kind.profiles]
    if not capable:
        raise Refused(NOT_FOUND, "No MIG-supported devices found.")
    enabled = [gpu for gpu in capable if gpu.mig]
    # Newer drivers tell what a GPU could have as long as its mode is off.
    shown = capable if machine.major >= 550 else enabled
    if shown and any(word in argv for word in ("-lgip", "--list-gpu-instance-profiles")):
        yield from smi_tables.profiles(machine, shown)
    elif shown and any(word in argv for word in ("-lgipp", "--list-gpu-instance-possible-placements")):
        yield from smi_tables.placements(machine, shown)
    elif not enabled:
        raise Refused(NOT_FOUND, "No MIG-enabled devices found.")
    else:
        yield from _instances(machine, argv, enabled, struck)


def _instances(machine: Machine, argv: t.Sequence[str], gpus: list[Gpu], struck: Fault | None) -> t.Iterator[str]:
    if "-lgi" in argv:
        if not any(gpu.instances for gpu in gpus):
            raise mig.none_found("GPU instances")
        yield from smi_tables.instances(machine, gpus)
        return
    if "-lci" in argv:
        if not any(gpu.mig_devices() for gpu in gpus):
            raise mig.none_found("compute instances")
        yield from smi_tables.compute_instances(machine, gpus)
        return
    if not _changes(argv):
        raise Refused(INVALID, "Option is not recognized. Please run 'nvidia-smi mig -h'.")
    _must_be_root(gpus[0])
    for gpu in gpus:
        name = struck.name if struck and struck.gpu in ("", gpu.uuid) else ""
        if name == "refuse":
            raise smi_settings.refused(gpu)
        if name == "warn":
            yield from smi_settings.unsupported(gpu)
            continue
        before = dataclasses.asdict(gpu)
        yield from _change_instances(machine, argv, gpu)
        if name == "silent":
            machine.gpus[machine.index(gpu)] = Gpu.load(before)


def _change_instances(machine: Machine, argv: t.Sequence[str], gpu: Gpu) -> t.Iterator[str]:
    index = machine.index(gpu)
    if "-cgi" in argv:
        yield from mig.create(gpu, index, _value(argv, "-cgi"), with_compute="-C" in argv)
        return
    desired = _numbers(_value(argv, "-gi"))
    instances = [
        one for one in sorted(gpu.instances, key=lambda one: one.number) if not desired or one.number in desired
    ]
    if not instances:
        raise mig.none_found("GPU instances")
    if "-cci" in argv:
        for instance in instances:
            if not _value(argv, "-cci") and instance.compute and not desired:
                continue
            yield from mig.create_compute(gpu, index, instance, _value(argv, "-cci"))
    elif "-dci" in argv:
        if not any(instance.compute for instance in instances):
            raise mig.none_found("compute instances")
        for instance in instances:
            yield from mig.destroy_compute(gpu, index, instance, _numbers(_value(argv, "-ci")))
    else:
        for instance in instances:
            yield from mig.destroy(gpu, index, instance)


def _must_be_root(gpu: Gpu) -> None:
    if os.geteuid() != 0 and "FAKE_GPU_STATE" not in os.environ:
        raise Refused(NO_PERMISSION, f"Unable to change the state of GPU {gpu.address}: Insufficient Permissions")


def _changes(argv: t.Sequence[str]) -> bool:
    plain = [word.partition("=")[0] for word in argv]
    return any(word in smi_settings.CHANGES or word in (*_RESETS, "-cgi", "-cci", "-dci", "-dgi") for word in plain)


def _setting(argv: t.Sequence[str]) -> tuple[str, str]:
    for number, word in enumerate(argv):
        option, has_value, value = word.partition("=")
        if option in smi_settings.CHANGES:
            if option in smi_settings.WITHOUT_VALUE or has_value:
                return option, value
            if number + 1 < len(argv):
                return option, argv[number + 1]
            raise Refused(INVALID, f"Option {option} needs a value.")
    raise Refused(INVALID, "Invalid combination of input arguments. Please run 'nvidia-smi -h' for help.")


def _chosen(machine: Machine, argv: t.Sequence[str]) -> list[Gpu]:
    """The GPUs that the call is about: all without ``-i``."""
    for number, word in enumerate(argv):
        option, has_value, value = word.partition("=")
        if option in ("-i", "--id"):
            text = value if has_value else "".join(argv[number + 1 : number + 2])
            found = [machine.find(one) for one in text.split(",")]
            return [gpu for gpu in found if gpu is not None]
    return list(machine.gpus)


def _value(argv: t.Sequence[str], option: str) -> str:
    """The value of an option of ``nvidia-smi mig``; empty where it has none."""
    if option not in argv:
        return ""
    following = argv[argv.index(option) + 1 : argv.index(option) + 2]
    return "".join(word for word in following if not word.startswith("-"))


def _numbers(text: str) -> set[int]:
    return {int(number) for number in text.split(",") if number.strip().isdigit()}


def _is_id(word: str) -> bool:
    return word.partition("=")[0] in ("-i", "--id")
