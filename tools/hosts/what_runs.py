# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prints as JSON what a test host runs: its distribution as it names itself, roles by their ledger, programs.

It runs on the host, by the Python that is there, and knows nothing of the checkout.

    {"distribution": {"id": "debian", "name": "Debian GNU/Linux", "version": "12"},
     "ledger": ["model_gateway"], "environments": false, "packages": [["haproxy", "2.6.12-1", "fast proxy"]]}

A package has its name, its version and the first line of its description; wheels are packages, too.
"""

from __future__ import annotations

import json
import pathlib
import shutil
import subprocess

LEDGER = pathlib.Path("/var/lib/mlops.hosts/ledger")
# The role model_runtime changes no component; it leaves environments.
ENVIRONMENTS = pathlib.Path("/opt/mlops.hosts/environments")
DEB = ("dpkg-query", "--show", "--showformat=${db:Status-Status}\t${Package}\t${Version}\t${binary:Summary}\n")
RPM = ("rpm", "--all", "--query", "--queryformat=installed\t%{NAME}\t%{VERSION}-%{RELEASE}\t%{SUMMARY}\n")


def _packages(argv: tuple[str, ...]) -> list[list[str]]:
    if not shutil.which(argv[0]):
        return []
    lines = subprocess.run(argv, capture_output=True, text=True, check=False).stdout.splitlines()
    rows = [line.split("\t", 3) for line in lines]
    return [row[1:] for row in rows if len(row) == 4 and row[0] == "installed"]


def _wheels() -> list[list[str]]:
    found = []
    for metadata in ENVIRONMENTS.glob("*/*/lib/*/site-packages/*.dist-info/METADATA"):
        head = metadata.read_text(encoding="utf-8", errors="replace").split("\n\n", 1)[0]
        fields = dict(line.split(": ", 1) for line in head.splitlines() if ": " in line and line[0] != " ")
        found.append([fields.get("Name", ""), fields.get("Version", ""), fields.get("Summary", "")])
    return found


def _os() -> dict[str, str]:
    lines = pathlib.Path("/etc/os-release").read_text().splitlines()
    found = dict(line.split("=", 1) for line in lines if "=" in line)
    values = {name: value.strip('"') for name, value in found.items()}
    return {
        "id": values.get("ID", ""),
        "name": values.get("NAME", ""),
        "version": values.get("VERSION_ID", values.get("VERSION_CODENAME", "")),
    }


print(
    json.dumps(
        {
            "distribution": _os(),
            "ledger": sorted(path.stem for path in LEDGER.glob("*.json")),
            "environments": any(ENVIRONMENTS.glob("*/*/lib")),
            "packages": _packages(DEB) + _packages(RPM) + _wheels(),
        }
    )
)
