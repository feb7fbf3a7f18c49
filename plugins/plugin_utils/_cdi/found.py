# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""What module cdi_info found on a host, parsed, and the return values that follow from it. Pure."""

from __future__ import annotations

import dataclasses
import typing as t

from ...module_utils._cdi.containers import Container
from ...module_utils._cdi.diagnose import KINDS, diagnose, refresh_command
from ...module_utils._gpu.report import Report
from ...module_utils._gpu.types import Driver, Gpu, MigDevice, Vendor
from .spec import Spec, SpecError, parse


@dataclasses.dataclass(frozen=True)
class Found:
    """``unreadable`` maps paths of files that engines pass over to clauses that say why. ``exists`` tells of paths
    whether they are there."""

    vendor: Vendor
    specs: tuple[Spec, ...]
    unreadable: dict[str, str]
    report: Report
    containers: tuple[Container, ...]
    exists: t.Mapping[str, bool]

    @classmethod
    def of(cls, vendor: Vendor, host: t.Mapping[str, t.Any]) -> Found:
        """``host`` is what the module returned, in JSON."""
        specs, unreadable = [], {}
        for file in host["files"]:
            try:
                if file["problem"]:
                    raise SpecError(file["problem"])
                specs.append(parse(file["path"], file["text"]))
            except SpecError as exc:
                unreadable[file["path"]] = str(exc)
        gpus = tuple(
            Gpu(
                vendor=gpu["vendor"],
                index=gpu["index"],
                uuid=gpu["uuid"],
                mig_mode=gpu["mig_mode"],
                mig_devices=tuple(MigDevice(**mig) for mig in gpu["mig_devices"]),
            )
            for gpu in host["gpus"]
        )
        containers = tuple(
            Container(
                engine=item["engine"],
                name=item["name"],
                id=item["id"],
                devices=tuple(item["devices"]),
                nodes=tuple(item["nodes"]),
                drivers=tuple(item["drivers"]),
            )
            for item in host["containers"]
        )
        report = Report(gpus, Driver(host["driver_version"]), len(gpus))
        return cls(vendor, tuple(specs), unreadable, report, containers, host["exists"])

    @property
    def ours(self) -> list[Spec]:
        return [spec for spec in self.specs if spec.kind == KINDS[self.vendor]]

    @property
    def unknown_paths(self) -> list[str]:
        """Those of which the host has not told whether they are there."""
        return sorted({path for spec in self.ours for path in spec.paths} - self.exists.keys())

    def as_result(self) -> dict[str, t.Any]:
        """The return values of cdi_info, JSON-native."""
        found = diagnose(self.vendor, self.specs, self.report, self.containers, lambda path: self.exists[path])
        notes = [
            f"{path} is not read by container engines: {why}. Have it written again, or remove it."
            for path, why in self.unreadable.items()
        ]
        return {
            "verdict": found.verdict,
            "reasons": [*found.reasons, *notes],
            "refreshable": found.answers,
            "refresh_command": refresh_command(self.vendor),
            "driver_version": self.report.driver.version if self.vendor == "nvidia" else None,
            "specs": [
                {"path": spec.path, "kind": spec.kind, "devices": list(spec.devices), "drivers": list(spec.drivers)}
                for spec in self.ours
            ],
            "unreadable": [{"path": path, "reason": why} for path, why in self.unreadable.items()],
            "containers_to_recreate": [
                {
                    "engine": item.engine,
                    "name": item.name,
                    "id": item.id,
                    "devices": list(item.devices),
                    "drivers": list(item.drivers),
                }
                for item in found.recreate
            ],
        }
