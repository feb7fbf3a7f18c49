#!/usr/bin/env python3
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Describe fake packages of NVIDIA's DCGM and its exporter, under their true names, for fake_repository.py.

    fake_dcgm.py [CUDA ...] | fake_repository.py apt DIRECTORY

Names, units and what goes with what are the vendor's, as far as they are documented; the programs are fakes.
"""

from __future__ import annotations

import json
import pathlib
import sys
from collections.abc import Iterator, Sequence
from typing import Any

SOURCES = pathlib.Path(__file__).resolve().parent / "fake_dcgm"
VERSION, EXPORTER_VERSION = "1:4.6.0-1", "4.8.2-1"


def packages(cudas: Sequence[str]) -> Iterator[dict[str, Any]]:
    def package(
        name: str, version: str, programs: dict[str, str], files: dict[str, str], *depends: str
    ) -> dict[str, Any]:
        return {
            "name": name,
            "version": version,
            "architecture": "amd64",
            "maintainer": "NVIDIA CORPORATION <tests@example.invalid>",
            "files": {
                **{path: (SOURCES / source).read_text() for path, source in {**programs, **files}.items()},
            },
            "executable": list(programs),
            "depends": list(depends),
        }

    core = "datacenter-gpu-manager-4-core"
    same = f"{core} (= {VERSION})"
    units = "/usr/lib/systemd/system"
    yield package(
        core,
        VERSION,
        {"/usr/bin/nv-hostengine": "fake_host_engine.py"},
        {f"{units}/nvidia-dcgm.service": "nvidia-dcgm.service"},
    )
    yield package("datacenter-gpu-manager-4-proprietary", VERSION, {}, {}, same)
    for cuda in cudas:
        yield package(f"datacenter-gpu-manager-4-cuda{cuda}", VERSION, {}, {}, same)
    yield package(
        "datacenter-gpu-manager-exporter",
        EXPORTER_VERSION,
        {"/usr/bin/dcgm-exporter": "fake_exporter.py"},
        {f"{units}/nvidia-dcgm-exporter.service": "nvidia-dcgm-exporter.service"},
        core,
    )


if __name__ == "__main__":
    print(json.dumps(list(packages(sys.argv[1:] or ["13"]))))
