#!/usr/bin/env python3
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Damage a fake repository on a test host in one way, after repairing what was damaged before.

example_break.py DIRECTORY HOW
"""

from __future__ import annotations

import json
import pathlib
import shutil
import subprocess
import sys


def main(directory: str, how: str) -> None:
    root = pathlib.Path(directory)
    kept = root.with_name(f".{root.name}-kept")
    if not kept.exists():
        shutil.copytree(root, kept)
    shutil.rmtree(root)
    shutil.copytree(kept, root)
    if how != "good":
        WAYS[how](root)
    print(json.dumps({name: (root / name).read_text() for name in ("key.asc", "fingerprint")}))


def _lists(root: pathlib.Path) -> None:
    path = root / "Packages"
    path.write_text(path.read_text().replace("fake for tests", "Fake for tests"))


def _debs(root: pathlib.Path) -> None:
    for path in root.glob("*.deb"):
        content = path.read_bytes()
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))


def _unsigned(root: pathlib.Path) -> None:
    (root / "InRelease").unlink()


def _foreign(root: pathlib.Path) -> None:
    _sign(root, "foreign")


def _expired(root: pathlib.Path) -> None:
    release = root / "Release"
    lines = [line for line in release.read_text().splitlines() if not line.startswith("Date:")]
    dates = ["Date: Tue, 01 Nov 2022 00:00:00 UTC", "Valid-Until: Tue, 08 Nov 2022 00:00:00 UTC"]
    release.write_text("\n".join([*dates, *lines, ""]))
    _sign(root, "")


def _old_key(root: pathlib.Path) -> None:
    """Signed while the key was good; it is not any more. The key that the repository offers is this one."""
    home = _sign(root, "old", "--faked-system-time", "20200102T000000")
    (root / "key.asc").write_text(_gpg(home, "--armor", "--export"))
    listed = _gpg(home, "--with-colons", "--list-keys")
    (root / "fingerprint").write_text(next(line.split(":")[9] for line in listed.splitlines() if line[:4] == "fpr:"))


def _sign(root: pathlib.Path, name: str, *options: str) -> pathlib.Path:
    """Sign by the repository's own key, or by one called ``name``. Returns where the key is."""
    home = root.parent / f".{root.name}-gnupg{name}"
    if not home.exists():
        home.mkdir(mode=0o700)
        made = ("--quick-generate-key", f"fake key {name}", "rsa3072", "sign", "30d" if options else "never")
        _gpg(home, "--faked-system-time", "20200101T000000", "--passphrase", "", *made)
    _gpg(home, *options, "--clearsign", "--output", str(root / "InRelease"), str(root / "Release"))
    return home


def _gpg(home: pathlib.Path, *argv: str) -> str:
    return subprocess.run(
        ["gpg", "--homedir", str(home), "--batch", "--yes", *argv], check=True, stdout=subprocess.PIPE, text=True
    ).stdout


WAYS = {
    "lists": _lists,
    "debs": _debs,
    "unsigned": _unsigned,
    "foreign": _foreign,
    "expired": _expired,
    "old_key": _old_key,
}

if __name__ == "__main__":
    main(*sys.argv[1:])
