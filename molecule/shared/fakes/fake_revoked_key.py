#!/usr/bin/env python3
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Print a fake repository's key, revoked by its owner; the repository's own key stays as it is.

fake_revoked_key.py REPOSITORY
"""

from __future__ import annotations

import pathlib
import shutil
import subprocess
import sys
import tempfile


def main(repository: pathlib.Path) -> None:
    fingerprint = (repository / "fingerprint").read_text()
    with tempfile.TemporaryDirectory() as work:
        home = pathlib.Path(work) / "gnupg"
        shutil.copytree(
            repository.parent / f".{repository.name}-gnupg", home, ignore=shutil.ignore_patterns("S.*", "*.lock")
        )
        # GnuPG makes a revocation with each key, with a colon that keeps it from being used by accident.
        revocation = home / "openpgp-revocs.d" / f"{fingerprint}.rev"
        revocation.write_text(revocation.read_text().replace(":-----BEGIN", "-----BEGIN"))
        gpg = ["gpg", "--homedir", str(home), "--batch", "--yes"]
        subprocess.run([*gpg, "--import", str(revocation)], check=True, capture_output=True)
        subprocess.run([*gpg, "--armor", "--export", fingerprint], check=True)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
