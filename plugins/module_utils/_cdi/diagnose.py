# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Whether CDI specifications fit the driver, the GPUs and their MIG devices that the host has now. Pure."""

from __future__ import annotations

import dataclasses
import typing as t

from .._gpu.report import Report
from .._gpu.types import Gpu, Vendor
from .containers import Container
from .spec import Spec

Verdict = t.Literal["fresh", "stale", "missing", "conflicting", "not_needed"]
KINDS: dict[Vendor, str] = {"nvidia": "nvidia.com/gpu", "amd": "amd.com/gpu"}
# Of the toolkits themselves: every device, and none.
_ALWAYS = {"all", "none"}
_REFRESH: dict[Vendor, str] = {
    "nvidia": "systemctl restart nvidia-cdi-refresh.service",
    "amd": "amd-ctk cdi generate --output=/etc/cdi/amd.json",
}


@dataclasses.dataclass(frozen=True)
class Diagnosis:
    """``answers`` tells whether the driver gives its GPUs, without which nothing can be written anew."""

    verdict: Verdict
    reasons: tuple[str, ...]
    answers: bool
    recreate: tuple[Container, ...]


@dataclasses.dataclass(frozen=True)
class _Device:
    """A GPU or a MIG device, and the names by which a specification may offer it. ``required``: it has to."""

    what: str
    names: frozenset[str]
    uuid: str | None
    required: bool = True


def diagnose(
    vendor: Vendor,
    specs: t.Sequence[Spec],
    report: Report,
    containers: t.Sequence[Container],
    exists: t.Callable[[str], bool],
) -> Diagnosis:
    """``specs`` of all kinds, ``report`` what gpu_info sees, ``exists`` whether a path is on the host."""
    kind = KINDS[vendor]
    ours = [spec for spec in specs if spec.kind == kind]
    gpus = [gpu for gpu in report.gpus if gpu.vendor == vendor]
    answering = [gpu for gpu in gpus if gpu.index is not None]
    driver = report.driver.version if vendor == "nvidia" and answering else None
    devices = _devices(answering)
    recreate = _to_recreate(kind, containers, devices, driver, bool(answering))
    if not ours:
        if not gpus:
            return Diagnosis("not_needed", (), False, ())
        reason = f"{len(gpus)} GPUs are there, and no file offers them to containers as {kind}."
        return Diagnosis("missing", (reason, *_silent(gpus, answering)), bool(answering), recreate)
    doubles = _doubles(ours, kind)
    if doubles:
        return Diagnosis("conflicting", doubles, bool(answering), recreate)
    reasons = (*_wrong(ours, devices, driver, exists, known=bool(answering) or not gpus), *_silent(gpus, answering))
    stale = len(reasons) > len(_silent(gpus, answering))
    return Diagnosis("stale" if stale else "fresh", reasons, bool(answering), recreate)


def refresh_command(vendor: Vendor) -> str:
    return _REFRESH[vendor]


def _devices(gpus: t.Sequence[Gpu]) -> list[_Device]:
    found = []
    for gpu in gpus:
        split = gpu.mig_mode == "enabled"
        names = {str(gpu.index), f"gpu{gpu.index}", *filter(None, [gpu.uuid])}
        # A GPU that is split is offered by its parts.
        found.append(_Device(f"GPU {gpu.index}", frozenset(names), gpu.uuid, required=not split))
        for number, mig in enumerate(gpu.mig_devices):
            names = {f"{gpu.index}:{number}", f"mig{gpu.index}:{number}", *filter(None, [mig.uuid])}
            found.append(_Device(f"MIG device {gpu.index}:{number} ({mig.profile})", frozenset(names), mig.uuid))
    return found


def _silent(gpus: t.Sequence[Gpu], answering: t.Sequence[Gpu]) -> tuple[str, ...]:
    if gpus and not answering:
        return ("The driver does not give its GPUs, so that nothing can be written anew before it does.",)
    return ()


def _doubles(specs: t.Sequence[Spec], kind: str) -> tuple[str, ...]:
    """What two files offer: engines take the one of the later directory, or none."""
    owners: dict[str, list[str]] = {}
    for spec in specs:
        for name in spec.devices:
            owners.setdefault(name, []).append(spec.path)
    pairs: dict[tuple[str, ...], list[str]] = {}
    for name, paths in owners.items():
        if len(paths) > 1:
            pairs.setdefault(tuple(paths), []).append(name)
    return tuple(
        f"{' and '.join(paths)} both offer {kind}={', '.join(names)}; remove {paths[0]}, which is not kept up to date."
        for paths, names in pairs.items()
    )


def _wrong(
    specs: t.Sequence[Spec],
    devices: t.Sequence[_Device],
    driver: str | None,
    exists: t.Callable[[str], bool],
    *,
    known: bool,
) -> t.Iterator[str]:
    for spec in specs:
        others = [version for version in spec.drivers if driver and version != driver]
        if others:
            yield f"{spec.path} names the driver {', '.join(others)}, and {driver} is loaded."
        gone = [path for path in spec.paths if not exists(path)]
        if gone:
            more = f" and {len(gone) - 3} more" if len(gone) > 3 else ""
            yield f"{spec.path} names what is not on the host: {', '.join(gone[:3])}{more}."
    if not known:
        return
    offered = {name for spec in specs for name in spec.devices} - _ALWAYS
    by_uuid = {name for name in offered if name.startswith(("GPU-", "MIG-"))}
    for device in devices:
        names = {device.uuid} if device.uuid and _same_kind(device.uuid, by_uuid) else device.names
        if device.required and not offered & names:
            yield f"No file offers {device.what}" + (f" with UUID {device.uuid}." if device.uuid else ".")
    strange = sorted(offered - {name for device in devices for name in device.names})
    if strange:
        yield f"{specs[0].path} offers what the host does not have: {', '.join(strange)}."


def _same_kind(uuid: str, by_uuid: t.Iterable[str]) -> bool:
    """Whether the files name devices such as this one by UUID, which tells one that was replaced."""
    return any(name[:4] == uuid[:4] for name in by_uuid)


def _to_recreate(
    kind: str, containers: t.Sequence[Container], devices: t.Sequence[_Device], driver: str | None, known: bool
) -> tuple[Container, ...]:
    """Containers keep what they were given when they began: libraries of a driver that is gone, nodes of slices."""
    there = {name for device in devices for name in device.names} | _ALWAYS
    found = []
    for container in containers:
        asked = [name.partition("=")[2] for name in container.devices if name.startswith(f"{kind}=")]
        lost = known and any(name not in there for name in asked)
        other = driver is not None and any(version != driver for version in container.drivers)
        if lost or other:
            found.append(container)
    return tuple(found)
