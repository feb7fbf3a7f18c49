# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Secure Boot and the machine owner's key."""

from __future__ import annotations

import re
import shlex

from .._runner import NOT_FOUND, Runner
from . import files
from .types import Mok, SecureBoot

_VARIABLE = "SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
# Where DKMS and Ubuntu's shim keep it; the first that is there counts, and DKMS can be told of another.
_KEYS = ("/var/lib/shim-signed/mok/MOK.der", "/var/lib/dkms/mok.pub")


def read(root: str, run: Runner, timeout_s: float) -> SecureBoot | None:
    """Whether the firmware checks signatures. None when the host has UEFI and nobody tells."""
    if not files.exists(root, "sys/firmware/efi"):
        return "unsupported"
    try:
        # Four bytes of attributes, and the value.
        with open(files.below(root, "sys/firmware/efi/efivars", _VARIABLE), "rb") as source:
            value = source.read()
        if len(value) == 5:
            return "enabled" if value[-1] else "disabled"
    except OSError:
        pass
    said = run("mokutil", "--sb-state", timeout_s=timeout_s).stdout
    if found := re.search(r"^SecureBoot (enabled|disabled)$", said, re.MULTILINE):
        return "enabled" if found.group(1) == "enabled" else "disabled"
    return "unsupported" if "doesn't support Secure Boot" in said else None


def mok(root: str, run: Runner, timeout_s: float, *, has_uefi: bool) -> Mok:
    """The key that modules are signed with, and whether the firmware trusts it. Asks only where there is UEFI."""
    key = next((path for path in (*_configured(root), *_KEYS) if files.exists(root, path)), None)
    if key is None or not has_uefi:
        return Mok(key=key)
    tested = run("mokutil", "--test-key", key, timeout_s=timeout_s)
    if tested.rc == NOT_FOUND:
        return Mok(key=key)
    said = f"{tested.stdout}{tested.stderr}"
    enrolled = True if "is already enrolled" in said else False if "is not enrolled" in said else None
    # Of a key that waits for the next boot it says that it is already in the enrollment request.
    if "in the enrollment request" in said:
        return Mok(False, True, key)
    return Mok(enrolled, None if enrolled is None else False, key)


def _configured(root: str) -> list[str]:
    """DKMS reads its files by a shell. A path with a variable is left to those where it usually is."""
    parts = files.names(root, "etc/dkms/framework.conf.d")
    names = ["framework.conf", *(f"framework.conf.d/{name}" for name in parts if name.endswith(".conf"))]
    words = [word for name in names for word in _shell_words(files.read(root, "etc/dkms", name) or "")]
    found = [word.partition("=")[2] for word in words if word.startswith("mok_certificate=")]
    return [path for path in found[-1:] if "$" not in path]


def _shell_words(text: str) -> list[str]:
    lexer = shlex.shlex(text.replace("\\\n", ""), posix=True, punctuation_chars=";&")
    lexer.whitespace_split = True
    try:
        return list(lexer)
    except ValueError:
        # A quote without an end, with which the shell gives up, too.
        return []
