# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prebuilt kernel modules of fake drivers: signed object files that tell of themselves what real ones tell."""

from __future__ import annotations

import base64
import datetime
import struct

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import pkcs7
from cryptography.x509.oid import NameOID
from fake_driver import LICENSES, Build


def module(build: Build, flavour: str, release: str) -> bytes:
    """An object file with nothing but what modinfo reads."""
    fields = {
        "version": build.version,
        "license": LICENSES[flavour],
        "description": "fake of NVIDIA's kernel module, for tests",
        "name": "nvidia",
        "vermagic": f"{release} SMP preempt mod_unload modversions ",
    }
    info = b"".join(f"{name}={value}".encode() + b"\0" for name, value in fields.items())
    names = b"\0.modinfo\0.shstrtab\0"
    start = 64
    header = struct.pack(
        "<16sHHIQQQIHHHHHH", b"\x7fELF\2\1\1", 1, 62, 1, 0, 0, start + len(info) + len(names), 0, 64, 0, 0, 64, 3, 2
    )
    # Of both sections: name, type, flags, place and size.
    of_info = struct.pack("<IIQQQQIIQQ", 1, 1, 2, 0, start, len(info), 0, 0, 1, 0)
    of_names = struct.pack("<IIQQQQIIQQ", 10, 3, 0, 0, start + len(info), len(names), 0, 0, 1, 0)
    return header + info + names + bytes(64) + of_info + of_names


class Signer:
    """Who signs modules, by a key of this run."""

    def __init__(self, name: str) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        named = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        begin = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
        builder = x509.CertificateBuilder(
            issuer_name=named, subject_name=named, public_key=self._key.public_key(), serial_number=1
        )
        builder = builder.not_valid_before(begin).not_valid_after(begin.replace(year=2036))
        self._certificate = builder.sign(self._key, hashes.SHA256())

    def signature(self, content: bytes) -> bytes:
        """What the kernel's sign-file appends to a module."""
        words = ("DetachedSignature", "Binary", "NoAttributes", "NoCerts")
        options = [getattr(pkcs7.PKCS7Options, word) for word in words]
        builder = pkcs7.PKCS7SignatureBuilder().set_data(content)
        builder = builder.add_signer(self._certificate, self._key, hashes.SHA512())
        signed = builder.sign(serialization.Encoding.DER, options)
        return signed + struct.pack(">BBBBBxxxI", 0, 0, 2, 0, 0, len(signed)) + b"~Module signature appended~\n"


def in_text(content: bytes) -> str:
    """As fake_repository.py takes it."""
    return base64.b64encode(content).decode()
