# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""What lines of the kernel log say of GPUs. Pure.

Sources of the patterns: NVIDIA/open-gpu-kernel-modules, drivers/gpu/drm/amd/amdgpu of Linux, and logs of real faults
(tests/unit/data/kernel-log).
"""

from __future__ import annotations

import dataclasses
import re
import typing as t

from .._gpu.pci import normal_address
from . import catalogue

Source = t.Literal["xid", "sxid", "nvrm", "amdgpu"]
TEXT_LIMIT = 200
_UNKNOWN = "a code that the catalogue does not have"
# One of them is in each line that is of interest; a host with a busy firewall logs thousands that are not.
MARKS = ("NVRM: ", "SXid", "amdgpu")

_UUID = re.compile(r"NVRM: GPU at (?:PCI:)?([0-9a-fA-F:.]+): (GPU-[0-9a-f-]{36})")
_XID = re.compile(r"NVRM: Xid \((?:PCI:)?([0-9a-fA-F:.]+)\): (\d{1,6})(?:, (.*))?", re.DOTALL)
_PROCESS = re.compile(r"pid='?(\d+|<unknown>)'?(?:, name=([^,]*))?")
_RECOVERY = re.compile(r"recovery action changed from .*\((.*?)\) to \S+ \((.*?)\)")
_NVLINK_WORD = re.compile(r"\b(Fatal|Non-?fatal)\b", re.IGNORECASE)
# Of an SXid, lines with "Severity" and "Data" after the code are details of the one before.
_SXID = re.compile(r"nvidia-nvswitch\d+: SXid \((?:PCI:)?([0-9a-fA-F:.]+)\): (\d{1,6}), (Fatal|Non-fatal)\b")
_OFF_THE_BUS = re.compile(r"NVRM: GPU (?:at )?(?:PCI:)?([0-9a-fA-F:.]+?):? (?:GPU )?has fallen off the bus")
# This one is three lines, in one record or in several.
_NVIDIA_GPU = re.compile(r"NVRM: The NVIDIA GPU ([0-9a-fA-F:.]+)")
_FALLEN = re.compile(r"NVRM:\s+fallen off the bus")
_AMDGPU = re.compile(r"amdgpu ([0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]): ")
_AMD: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("RING_RECOVERED", re.compile(r"ring \S+ timeout, but soft recovered")),
    ("RING_TIMEOUT", re.compile(r"ring \S+ timeout, signaled seq")),
    ("GPU_RESET_BEGIN", re.compile(r"amdgpu: GPU reset begin")),
    ("GPU_RESET_SUCCEEDED", re.compile(r"amdgpu: GPU reset\(\d+\) succeeded")),
    ("GPU_RESET_FAILED", re.compile(r"amdgpu: GPU reset(?:\(\d+\) failed| end with ret = -\d+)")),
    # "no uncorrectable" and "0 uncorrectable" say that all is well, and "in total" is said with a new one.
    ("RAS_UNCORRECTABLE", re.compile(r"\b[1-9]\d* (?:new )?uncorrectable hardware errors detected in (?!total)")),
    ("VM_FAULT", re.compile(r"\[(?:gfx|mm)hub\d*\] (?:no-retry |retry )?page fault \(src_id")),
)
_AMD_PROCESS = re.compile(r"process (\S*) pid (\d+)")


@dataclasses.dataclass(frozen=True)
class Event:
    """What one line says.

    ``code``: of an Xid or SXid, None of other lines. ``mnemonic``: its name in the catalogue, None where it has none.
    ``kind``: application, driver, hardware, fabric, or unknown. ``severity``: info, warning, error, critical.
    ``pci_address``: as sysfs writes it, None where the line has none; that of the switch for an SXid.
    ``text``: the line, at most TEXT_LIMIT characters, without control characters.
    """

    source: Source
    code: int | None
    mnemonic: str | None
    kind: str
    severity: str
    action: str
    description: str
    pci_address: str | None
    gpu_uuid: str | None
    pid: int | None
    process: str | None
    text: str

    @property
    def is_hardware_fault(self) -> bool:
        """Whether somebody has to act on the GPU, a link or the host, and not on a program."""
        return self.kind in ("hardware", "fabric") and self.severity in ("error", "critical")

    @property
    def key(self) -> tuple[object, ...]:
        """The same for lines that say the same of the same device."""
        return (self.source, self.code, self.mnemonic, self.severity, self.action, self.pci_address)


class _Known(t.NamedTuple):
    kind: str
    severity: str
    action: str
    mnemonic: str | None
    description: str


def _xids() -> dict[int, _Known]:
    known = {}
    rows = catalogue.XIDS.strip().splitlines()
    for row, description in zip(rows[::2], rows[1::2]):
        code, kind, severity, action, mnemonic = row.split()
        known[int(code)] = _Known(kind, severity, action, mnemonic, description.strip())
    return known


XIDS = _xids()


class Parser:
    """Reads lines in their order. ``uuids``: of GPUs by PCI address, which it adds to when the log names one."""

    def __init__(self, uuids: t.MutableMapping[str, str] | None = None) -> None:
        self.uuids: t.MutableMapping[str, str] = {} if uuids is None else uuids
        self._unfinished: str | None = None

    def read(self, text: str) -> Event | None:
        """None for a line that says nothing of interest."""
        if not any(mark in text for mark in MARKS):
            return None
        if named := _UUID.search(text):
            if (address := _address(named[1])) is not None:
                self.uuids[address] = named[2]
            return None
        unfinished, self._unfinished = self._unfinished, None
        if found := _XID.search(text):
            return self._xid(text, _address(found[1]), int(found[2]), found[3] or "")
        if found := _SXID.search(text):
            return self._sxid(text, _address(found[1]), int(found[2]), found[3])
        if found := _OFF_THE_BUS.search(text):
            return self._unnumbered("nvrm", "GPU_HAS_FALLEN_OFF_THE_BUS", text, _address(found[1]))
        if found := _NVIDIA_GPU.search(text):
            unfinished = _address(found[1])
        if unfinished and _FALLEN.search(text):
            return self._unnumbered("nvrm", "GPU_HAS_FALLEN_OFF_THE_BUS", text, unfinished)
        if "NVRM: " in text:
            self._unfinished = unfinished
            return None
        return self._amdgpu(text)

    def _xid(self, text: str, address: str | None, code: int, rest: str) -> Event:
        known = XIDS.get(code) or _Known("unknown", "error", "contact_support", None, _UNKNOWN)
        if code == 154 and (recovery := _RECOVERY.search(rest)):
            label = recovery[2]
            severity, action = catalogue.RECOVERY_ACTIONS.get(label, (known.severity, known.action))
            description = f"the recovery that the driver asks for was {recovery[1]} and is {label}"
            known = known._replace(severity=severity, action=action, description=_clean(description))
        elif known.action == "check_nvlink" and code != 74 and (word := _NVLINK_WORD.search(rest)):
            is_fatal = word[1].lower() == "fatal"
            known = known._replace(
                severity="critical" if is_fatal else "warning", action="reset_gpu" if is_fatal else "follow_others"
            )
        process = _PROCESS.search(rest)
        return self._event(
            "xid",
            code,
            known,
            text,
            address,
            pid=int(process[1]) if process and process[1].isdigit() else None,
            process=process[2] if process else None,
        )

    def _sxid(self, text: str, address: str | None, code: int, word: str) -> Event:
        severity, action = catalogue.SXIDS.get(code) or catalogue.SXID_WORDS[word]
        known = _Known("fabric", severity, action, None, f"an NVSwitch reports a {word.lower()} error")
        return self._event("sxid", code, known, text, address)

    def _amdgpu(self, text: str) -> Event | None:
        for mnemonic, pattern in _AMD:
            if pattern.search(text):
                device, process = _AMDGPU.search(text), _AMD_PROCESS.search(text)
                # The driver says "process  pid 0" of what no process did.
                named = process if process and process[2] != "0" else None
                address = _address(device[1]) if device else None
                return self._unnumbered(
                    "amdgpu",
                    mnemonic,
                    text,
                    address,
                    pid=int(named[2]) if named else None,
                    process=named[1] if named else None,
                )
        return None

    def _unnumbered(
        self,
        source: Source,
        mnemonic: str,
        text: str,
        address: str | None,
        *,
        pid: int | None = None,
        process: str | None = None,
    ) -> Event:
        kind, severity, action, description = catalogue.UNNUMBERED[source, mnemonic]
        known = _Known(kind, severity, action, mnemonic, description)
        return self._event(source, None, known, text, address, pid=pid, process=process)

    def _event(
        self,
        source: Source,
        code: int | None,
        known: _Known,
        text: str,
        address: str | None,
        *,
        pid: int | None = None,
        process: str | None = None,
    ) -> Event:
        name = _clean(process or "").strip("'")
        return Event(
            source=source,
            code=code,
            mnemonic=known.mnemonic,
            kind=known.kind,
            severity=known.severity,
            action=known.action,
            description=known.description,
            pci_address=address,
            gpu_uuid=self.uuids.get(address or ""),
            pid=pid,
            process=name if name and name != "<unknown>" else None,
            text=_clean(text),
        )


def _address(text: str) -> str | None:
    """``0000:83:00`` and ``83:00.0`` as sysfs has them; None for what is not a PCI address."""
    text = text.rstrip(":.")
    return normal_address(text if "." in text else f"{text}.0")


def _clean(text: str) -> str:
    return " ".join("".join(one if one.isprintable() else " " for one in text).split())[:TEXT_LIMIT]
