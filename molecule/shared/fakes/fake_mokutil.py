#!/usr/bin/env python3
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fake of mokutil, on a test host whose Secure Boot is simulated and has no firmware to keep keys.

    mokutil --test-key CERTIFICATE
    mokutil --import CERTIFICATE --hash-file FILE
    mokutil --fake-enrol          what the person at the console does at the next boot

It answers as mokutil does, and keeps keys as files.
"""

from __future__ import annotations

import pathlib
import shutil
import sys

ROOT = pathlib.Path("/var/lib/fake-mokutil")


def main(argv: list[str]) -> int:
    for name in ("waiting", "enrolled"):
        (ROOT / name).mkdir(parents=True, exist_ok=True)
    if argv == ["--fake-enrol"]:
        for key in (ROOT / "waiting").iterdir():
            shutil.move(key, ROOT / "enrolled" / key.name)
        return 0
    if argv[:1] == ["--test-key"] and len(argv) == 2:
        return test(argv[1])
    if argv[:1] == ["--import"] and argv[2:3] == ["--hash-file"] and len(argv) == 4:
        return take(pathlib.Path(argv[1]), pathlib.Path(argv[3]))
    sys.stderr.write("the fake does not know this\n")
    return 255


def test(path: str) -> int:
    content = pathlib.Path(path).read_bytes()
    if has("enrolled", content):
        sys.stdout.write(f"{path} is already enrolled\n")
        return 1
    if has("waiting", content):
        sys.stdout.write(f"{path} is already in the enrollment request\n")
        return 1
    sys.stdout.write(f"{path} is not enrolled\n")
    return 0


def take(certificate: pathlib.Path, hash_file: pathlib.Path) -> int:
    if not hash_file.read_text().startswith("$"):
        sys.stderr.write("Failed to parse the hash\n")
        return 255
    if not certificate.read_bytes().startswith(b"\x30\x82"):
        sys.stderr.write("Abort!!! not a valid x509 certificate in DER format\n")
        return 255
    number = len(list((ROOT / "waiting").iterdir()))
    shutil.copyfile(certificate, ROOT / "waiting" / f"{number}.der")
    return 0


def has(kind: str, content: bytes) -> bool:
    return any(path.read_bytes() == content for path in (ROOT / kind).iterdir())


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
