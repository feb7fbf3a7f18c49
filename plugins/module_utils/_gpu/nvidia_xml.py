# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Reads the XML of ``nvidia-smi -q -x`` and the list of ``nvidia-smi -L``.

Elements are looked up by name wherever a driver generation put them; the name of the DTD says nothing about the driver
(driver 570 prints v12 or v13). Elements that are missing and values that are not given become None.
"""

from __future__ import annotations

import dataclasses
import re
import typing as t
import xml.etree.ElementTree as ET
from xml.sax.saxutils import escape, unescape

from . import values
from .pci import normal_address
from .types import Driver, Fault, Gpu, MigDevice, Process

# (GPU UUID, index of the MIG device on that GPU) → (profile, UUID).
MigNames = t.Mapping[tuple[str, int], tuple[str, str]]

_ROOT = re.compile(r"<nvidia_smi_log\b.*</nvidia_smi_log>", re.DOTALL)
_PROLOG = re.compile(r"<\?xml.*?\?>|<!DOCTYPE.*?>", re.DOTALL)
_PROCESS_NAME = re.compile(r"(?<=<process_name>).*?(?=</process_name>)", re.DOTALL)
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_LIST_GPU = re.compile(r"GPU \d+: .*\(UUID: (GPU-[^)]+)\)")
_LIST_MIG = re.compile(r"\s+MIG (\S+)\s+Device\s+(\d+): \(UUID: (MIG-[^)]+)\)")

# Elements that say "Yes" when something is wrong.
_SIGNS = (
    (
        "remapped_rows/remapped_row_failure",
        Fault("Row remapping has failed: the memory cannot be repaired any more.", True, is_memory=True),
    ),
    (
        "remapped_banks/bank_remapper_pending",
        Fault("Memory banks wait to be remapped: the GPU needs a reset.", is_memory=True),
    ),
    (
        "retired_pages/pending_retirement",
        Fault("Memory pages wait to be retired: the GPU needs a reset.", is_memory=True),
    ),
    (
        "retired_pages/pending_blacklist",
        Fault("Memory pages wait to be retired: the GPU needs a reset.", is_memory=True),
    ),
    (
        "ecc_errors/channel_repair_pending",
        Fault("A memory channel waits to be repaired: the GPU needs a reset.", is_memory=True),
    ),
    ("ecc_errors/tpc_repair_pending", Fault("A processing cluster waits to be repaired: the GPU needs a reset.")),
    ("ecc_errors/unrepairable_memory", Fault("A part of the memory cannot be repaired.", is_memory=True)),
    (
        "ecc_errors/aggregate/sram_threshold_exceeded",
        Fault("The on-chip memory has had more uncorrectable errors than NVIDIA allows.", True, is_memory=True),
    ),
)


class Incomplete(ValueError):
    """The output is not the whole document: the program ended early, or printed something else."""


@dataclasses.dataclass(frozen=True)
class Log:
    """One answer of ``nvidia-smi -q -x``. ``notes`` are the lines that it printed outside of the document."""

    driver: Driver
    attached_gpus: int | None
    gpus: tuple[Gpu, ...]
    notes: tuple[str, ...]


def parse_root(text: str) -> ET.Element:
    """The element <nvidia_smi_log>. Raises Incomplete for anything but a whole document."""
    return _parsed(_document(text))


def parse_log(text: str, mig_names: MigNames | None = None) -> Log:
    """Read the XML. Raises Incomplete for anything but a whole document."""
    document = _document(text)
    root = _parsed(document)
    outside = _PROLOG.sub("", text[: document.start()] + "\n" + text[document.end() :])
    return Log(
        # "driver_version" and "cuda_version" are deprecated since 610 and announced to go away with CUDA 14.
        driver=Driver(
            version=values.version(_text(root, "kmd_version")) or values.version(_text(root, "driver_version")),
            cuda_version=values.version(_text(root, "cuda_umd_version")) or values.version(_text(root, "cuda_version")),
        ),
        attached_gpus=values.whole(_text(root, "attached_gpus")),
        gpus=tuple(_gpu(element, index, mig_names or {}) for index, element in enumerate(root.findall("gpu"))),
        notes=tuple(line.strip() for line in outside.splitlines() if line.strip()),
    )


def parse_list(text: str) -> dict[tuple[str, int], tuple[str, str]]:
    """Read ``nvidia-smi -L``: the only place that names profiles and UUIDs of MIG devices."""
    names: dict[tuple[str, int], tuple[str, str]] = {}
    gpu_uuid = ""
    for line in text.splitlines():
        if gpu := _LIST_GPU.match(line):
            gpu_uuid = gpu.group(1)
        elif mig := _LIST_MIG.match(line):
            profile, index, uuid = mig.groups()
            names[gpu_uuid, int(index)] = (profile, uuid)
    return names


def _document(text: str) -> re.Match[str]:
    document = _ROOT.search(text)
    if not document:
        raise Incomplete("there is no whole <nvidia_smi_log> in the output")
    return document


def _parsed(document: re.Match[str]) -> ET.Element:
    try:
        # Process names are the one text that nvidia-smi does not make itself: it prints arbitrary bytes unescaped.
        return ET.fromstring(_PROCESS_NAME.sub(_well_formed, document.group()))
    except ET.ParseError as exc:
        raise Incomplete(f"the output is not well-formed XML: {exc}") from exc


def _gpu(element: ET.Element, index: int, mig_names: MigNames) -> Gpu:
    uuid = values.known(_text(element, "uuid"))
    return Gpu(
        vendor="nvidia",
        index=index,
        uuid=uuid,
        pci_address=normal_address(_text(element, "pci/pci_bus_id")) or normal_address(element.get("id")),
        pci_id=_pci_id(_text(element, "pci/pci_device_id")),
        name=values.known(_text(element, "product_name")),
        architecture=values.known(_text(element, "product_architecture")),
        memory_total_mib=values.whole(_text(element, "fb_memory_usage/total")),
        persistence_mode=values.word(_text(element, "persistence_mode")),
        # What was asked for: the limit in force can be lower for a while, and a setting must compare equal to itself.
        power_limit_w=_power(element, "requested_power_limit", "power_limit", "current_power_limit"),
        power_limit_min_w=_power(element, "min_power_limit"),
        power_limit_max_w=_power(element, "max_power_limit"),
        clock_max_mhz=values.whole(_text(element, "max_clocks/sm_clock")),
        memory_clock_max_mhz=values.whole(_text(element, "max_clocks/mem_clock")),
        compute_mode=values.word(_text(element, "compute_mode")),
        ecc_mode=values.word(_text(element, "ecc_mode/current_ecc")),
        ecc_pending=values.word(_text(element, "ecc_mode/pending_ecc")),
        ecc_uncorrected=_uncorrected(element.find("ecc_errors/volatile")),
        remapped_rows_pending=values.yes(_text(element, "remapped_rows/remapped_row_pending")),
        pcie_width=_link(element, "link_widths/current_link_width"),
        pcie_width_max=_link(element, "link_widths/max_link_width"),
        pcie_generation=_link(element, "pcie_gen/current_link_gen"),
        pcie_generation_max=_link(element, "pcie_gen/max_link_gen"),
        temperature_c=values.whole(_text(element, "temperature/gpu_temp")),
        utilization_percent=values.whole(_text(element, "utilization/gpu_util")),
        mig_mode=values.word(_text(element, "mig_mode/current_mig")),
        mig_pending=values.word(_text(element, "mig_mode/pending_mig")),
        mig_devices=tuple(_mig_device(mig, uuid, mig_names) for mig in element.findall("mig_devices/mig_device")),
        virtualization_mode=values.word(_text(element, "gpu_virtualization_mode/virtualization_mode")),
        recovery_action=_recovery_action(element),
        processes=tuple(_processes(element)),
        faults=tuple(_faults(element)),
    )


def _link(element: ET.Element, path: str) -> int | None:
    return values.whole(_text(element, f"pci/pci_gpu_link_info/{path}"))


def _mig_device(element: ET.Element, gpu_uuid: str | None, names: MigNames) -> MigDevice:
    index = values.whole(_text(element, "index"))
    profile, uuid = names.get((gpu_uuid or "", -1 if index is None else index), (None, None))
    return MigDevice(
        profile=profile,
        uuid=uuid,
        gpu_instance_id=values.whole(_text(element, "gpu_instance_id")),
        compute_instance_id=values.whole(_text(element, "compute_instance_id")),
        memory_mib=values.whole(_text(element, "fb_memory_usage/total")),
    )


def _processes(element: ET.Element) -> t.Iterator[Process]:
    for process in element.findall("processes/process_info"):
        pid = values.whole(_text(process, "pid"))
        if pid is not None:
            name = values.program(_text(process, "process_name"))
            yield Process(
                pid=pid,
                name=name,
                memory_mib=values.whole(_text(process, "used_memory")),
                gpu_instance_id=values.whole(_text(process, "gpu_instance_id")),
            )


def _power(element: ET.Element, *names: str) -> float | None:
    """``gpu_power_readings`` since 535, ``power_readings`` before; 610 puts some limits a level deeper.

    ``module_power_readings`` of Grace Hopper is about CPU and GPU together and not meant here.
    """
    for block in (element.find("gpu_power_readings"), element.find("power_readings")):
        for name in names if block is not None else ():
            for path in (name, f"gpu_ceiling_power_limit/{name}"):
                watts = values.number(_text(block, path))
                if watts is not None:
                    return watts
    return None


def _uncorrected(volatile: ET.Element | None) -> int | None:
    """Uncorrectable errors since the driver was loaded: one counter per memory, whose names differ by generation.

    Volta and older count double bit errors per unit and give a total.
    """
    if volatile is None:
        return None
    total = values.whole(_text(volatile, "double_bit/total"))
    if total is not None:
        return total
    counters = [values.whole(leaf.text) for leaf in volatile if "uncorrectable" in leaf.tag]
    given = [count for count in counters if count is not None]
    return sum(given) if given else None


def _recovery_action(element: ET.Element) -> str | None:
    """``gpu_recovery_action``; drivers before 560 have two flags in its place, of which the reset is the stronger."""
    action = values.word(_text(element, "gpu_recovery_action"))
    if action is not None:
        return action
    reset = values.yes(_text(element, "gpu_reset_status/reset_required"))
    drain = values.yes(_text(element, "gpu_reset_status/drain_and_reset_recommended"))
    if reset:
        return "reset"
    if drain:
        return "drain_and_reset"
    return None if reset is None and drain is None else "none"


def _faults(element: ET.Element) -> t.Iterator[Fault]:
    said = [(leaf.tag, values.bare(leaf.text)) for leaf in element.iter()]
    if any(text == "gpu requires reset" for _tag, text in said):
        yield Fault("nvidia-smi says that the GPU requires a reset.", True)
    if any(text.startswith("gpu is lost") for _tag, text in said):
        yield Fault("nvidia-smi says that the GPU is lost: it does not answer on the bus any more.", True)
    silent = sorted({tag for tag, text in said if text == "unknown error"})
    if silent:
        yield Fault(f"nvidia-smi gets an unknown error when it asks for {', '.join(silent)}.")
    for path, fault in _SIGNS:
        if values.yes(_text(element, path)):
            yield fault
    for mig in element.findall("mig_devices/mig_device"):
        count = sum(values.whole(leaf.text) or 0 for leaf in mig.iter() if "uncorrectable" in leaf.tag)
        if count:
            yield Fault(
                f"MIG device {_text(mig, 'index')} has had uncorrectable memory errors: {count}.", is_memory=True
            )


def _pci_id(text: str | None) -> str | None:
    """Device and vendor in one number ("233010DE"), as "10de:2330"."""
    found = re.fullmatch(r"(?:0x)?([0-9a-f]{4})([0-9a-f]{4})", values.bare(text))
    return f"{found.group(2)}:{found.group(1)}" if found else None


def _text(element: ET.Element | None, path: str) -> str | None:
    return None if element is None else element.findtext(path)


def _well_formed(name: re.Match[str]) -> str:
    return escape(unescape(_NOT_XML.sub("?", name.group())))
