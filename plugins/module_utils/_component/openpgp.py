# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""The fingerprint of an OpenPGP key (RFC 4880, RFC 9580), so that a host needs no gpg to check one."""

from __future__ import annotations

import base64
import binascii
import hashlib

from .._errors import HostError

_PUBLIC_KEY_TAG = 6


def require_fingerprint(armoured: str, desired: str, whose: str) -> None:
    """Raise HostError unless the first key in the text has the desired fingerprint; ``whose`` starts the sentence."""
    found = fingerprint(armoured, whose)
    if found != "".join(desired.split()).lower():
        raise HostError(
            f"{whose}: the signing key has fingerprint {found.upper()}, desired {desired}; "
            "do not use this key before you know why"
        )


def fingerprint(armoured: str, whose: str) -> str:
    """Lower-case hexadecimal fingerprint of the primary key, version 4 or 6."""
    packet = _first_packet(_dearmour(armoured, whose), whose)
    length = len(packet)
    if packet[:1] == b"\x04":
        return hashlib.sha1(b"\x99" + length.to_bytes(2, "big") + packet).hexdigest()  # noqa: S324 (the standard's hash)
    if packet[:1] == b"\x06":
        return hashlib.sha256(b"\x9b" + length.to_bytes(4, "big") + packet).hexdigest()
    raise HostError(f"{whose}: the signing key has an unknown version; versions 4 and 6 are understood")


def _dearmour(text: str, whose: str) -> bytes:
    lines = [line.strip() for line in text.strip().splitlines()]
    try:
        start = lines.index("-----BEGIN PGP PUBLIC KEY BLOCK-----")
        end = lines.index("-----END PGP PUBLIC KEY BLOCK-----")
        body = lines[lines.index("", start) + 1 : end]
        return base64.b64decode("".join(line for line in body if not line.startswith("=")), validate=True)
    except (ValueError, binascii.Error) as exc:
        raise HostError(f"{whose}: the signing key is not an ASCII-armoured OpenPGP public key") from exc


def _first_packet(data: bytes, whose: str) -> bytes:
    try:
        header = data[0]
        if header & 0x40:
            tag, first = header & 0x3F, data[1]
            if first < 192:
                start, length = 2, first
            elif first < 224:
                start, length = 3, ((first - 192) << 8) + data[2] + 192
            else:
                start, length = 6, int.from_bytes(data[2:6], "big")
        else:
            tag, size = (header >> 2) & 0x0F, 1 << (header & 3)
            start, length = 1 + size, int.from_bytes(data[1 : 1 + size], "big")
    except IndexError as exc:
        raise HostError(f"{whose}: the signing key is cut short") from exc
    packet = data[start : start + length]
    if tag != _PUBLIC_KEY_TAG or not packet or len(packet) != length:
        raise HostError(f"{whose}: the signing key does not start with a whole public key")
    return packet
