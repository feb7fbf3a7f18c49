# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A certificate authority for tests and the demo: made on the spot, good for a year, trusted by nobody else.

pki.py DIRECTORY SERVER CLIENT ...    write ca.pem, and NAME.pem and NAME.key for each
"""

from __future__ import annotations

import datetime
import sys
from collections.abc import Iterable
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_SIGNS = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)
_VALID = datetime.timedelta(days=365)


def make_pki(server: str, clients: Iterable[str]) -> dict[str, dict[str, str]]:
    """``{"ca": {"cert"}, NAME: {"cert", "key"}, …}`` as PEM, for a server and its clients."""
    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca_name = _name("mlops.hosts demo CA")
    ca = _certificate(ca_name, ca_name, ca_key, ca_key, is_ca=True)
    made = {"ca": {"cert": _pem(ca)}}
    for host in (server, *clients):
        key = ec.generate_private_key(ec.SECP256R1())
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        made[host] = {"cert": _pem(_certificate(_name(host), ca_name, key, ca_key)), "key": private.decode()}
    return made


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _certificate(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    signer: ec.EllipticCurvePrivateKey,
    *,
    is_ca: bool = False,
) -> x509.Certificate:
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + _VALID)
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        # Python 3.13 and newer refuses certificates without these.
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    if is_ca:
        builder = builder.add_extension(_SIGNS, critical=True)
    else:
        host = subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(str(host))]), critical=False)
    return builder.sign(signer, hashes.SHA256())


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def main(directory: str, server: str, *clients: str) -> None:
    for name, pair in make_pki(server, clients).items():
        for part, text in pair.items():
            path = Path(directory) / f"{name}.{'pem' if part == 'cert' else part}"
            path.touch(mode=0o600)
            path.write_text(text)


if __name__ == "__main__":
    main(*sys.argv[1:])
