#!/usr/bin/env python3
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packs the programs of Debian's packages as the vendor packs its releases, and prints what to tell the role of them.

    simulated_releases.py FOLDER URL

The archives are simulated: the vendor's are not to be had in tests. The programs in them are real.
"""

from __future__ import annotations

import hashlib
import io
import json
import pathlib
import subprocess
import sys
import tarfile

PROGRAMS = {
    "node_exporter": ("prometheus-node-exporter", {"node_exporter": "prometheus-node-exporter"}),
    "prometheus": ("prometheus", {"prometheus": "prometheus", "promtool": "promtool"}),
    "alertmanager": ("prometheus-alertmanager", {"alertmanager": "prometheus-alertmanager", "amtool": "amtool"}),
}


def main(folder: str, url: str) -> None:
    found = []
    for part, (package, programs) in PROGRAMS.items():
        said = subprocess.check_output(["dpkg-query", "--show", "--showformat=${Version}", package], text=True)
        version = said.partition("+")[0].partition("-")[0]
        name = f"{part}-{version}.linux-amd64"
        archive = pathlib.Path(folder, f"{name}.tar.gz")
        with tarfile.open(archive, "w:gz", compresslevel=1) as tar:
            for program, debian in programs.items():
                tar.add(f"/usr/bin/{debian}", f"{name}/{program}")
            notice = tarfile.TarInfo(f"{name}/NOTICE")
            tar.addfile(notice, io.BytesIO())
        digest = hashlib.sha256(archive.read_bytes()).hexdigest()
        found.append({"part": part, "version": version, "url": f"{url}/{archive.name}", "sha256": digest})
    print(json.dumps(found))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    main(*sys.argv[1:])
