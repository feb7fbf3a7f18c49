#!/usr/bin/env python3
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Print, as JSON, all on a test host that a run which changes nothing must leave as it is."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import urllib.request


def main() -> None:
    files = []
    for top in ("/etc", "/var/lib/mlops.hosts/ledger"):
        for directory, _names, names in os.walk(top):
            for name in names:
                path = os.path.join(directory, name)
                found = os.lstat(path)
                # Inode and time too: a file that was written again and given back is not an untouched one.
                files.append(f"{path} {found.st_ino} {found.st_mtime_ns} {found.st_mode:o} {found.st_uid}")
    updates = os.listdir("/var/lib/dpkg/updates")
    with urllib.request.urlopen("http://127.0.0.1:8099/", timeout=10) as answer:
        seen = {
            "answers": answer.status,
            "files": sorted(files),
            "process": _run("systemctl", "show", "-P", "InvocationID", "mlops-example.service"),
            "packages": _run("dpkg-query", "-W", "-f", "${db:Status-Abbrev} ${Package} ${Version}\n").splitlines(),
            "policy": pathlib.Path("/usr/sbin/policy-rc.d").read_text(),
            "interrupted": [name for name in updates if name.isdigit()],
            "journals": [name for name in os.listdir("/var/lib/mlops.hosts") if name.startswith("journal")],
        }
    print(json.dumps(seen))


def _run(*argv: str) -> str:
    return subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    main()
