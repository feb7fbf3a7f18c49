#!/usr/bin/env python3
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A certificate for the name ``gateway``, signed by itself, and its key: certificate.py FOLDER NAME DAYS

With a negative number of days it has expired; openssl 3.0 makes none of these.
"""

from __future__ import annotations

import datetime
import pathlib
import sys

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

folder, file, days = pathlib.Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
key = ec.generate_private_key(ec.SECP256R1())
name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "gateway")])
now = datetime.datetime.now(datetime.timezone.utc)
made = (
    x509.CertificateBuilder()
    .subject_name(name)
    .issuer_name(name)
    .public_key(key.public_key())
    .serial_number(x509.random_serial_number())
    .not_valid_before(now - datetime.timedelta(days=100))
    .not_valid_after(now + datetime.timedelta(days=days))
    .add_extension(x509.SubjectAlternativeName([x509.DNSName("gateway")]), critical=False)
    .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    .sign(key, hashes.SHA256())
)
(folder / f"{file}.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
(folder / f"{file}.key").write_bytes(
    key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
)
