# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""When certificates end, read from their files with the standard library alone.

Neither ``haproxy -c`` nor the checkers of log shippers look.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import datetime
import re
import typing as t

from ._errors import HostError

WARN_DAYS = 14
_BLOCK = re.compile(r"-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----(.*?)-----END", re.DOTALL)
_SEQUENCE, _INTEGER, _UTC_TIME, _GENERALIZED_TIME, _VERSION = 0x30, 0x02, 0x17, 0x18, 0xA0
_FORMATS = {_UTC_TIME: "%y%m%d%H%M%SZ", _GENERALIZED_TIME: "%Y%m%d%H%M%SZ"}


@dataclasses.dataclass(frozen=True)
class Certificate:
    """One certificate of a file; the first is that of the server, others are those that it is signed by."""

    path: str
    position: int
    not_before: datetime.datetime
    not_after: datetime.datetime

    def days_left(self, now: datetime.datetime) -> int:
        """Whole days; negative when it has expired."""
        return (self.not_after - now) // datetime.timedelta(days=1)

    def as_row(self, now: datetime.datetime) -> dict[str, t.Any]:
        days = self.days_left(now)
        return {
            "path": self.path,
            "position": self.position,
            "not_before": self.not_before.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "not_after": self.not_after.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "days_left": days,
            "expires_soon": days < WARN_DAYS,
        }


def read(path: str, text: str) -> tuple[Certificate, ...]:
    """The certificates of a PEM file, in their order; keys in it are passed over."""
    found = []
    for position, block in enumerate(_BLOCK.findall(text), start=1):
        try:
            begins, ends = _validity(base64.b64decode("".join(block.split()), validate=True))
        except (binascii.Error, ValueError, IndexError) as exc:
            raise HostError(f"{path}: certificate {position} cannot be read ({exc}); write it again as PEM") from exc
        found.append(Certificate(path, position, begins, ends))
    return tuple(found)


def problem(certificate: Certificate, now: datetime.datetime) -> str | None:
    """A sentence about one that no client would accept."""
    name = f"{certificate.path}: certificate {certificate.position}"
    if certificate.not_after <= now:
        return f"{name} has expired at {certificate.not_after:%Y-%m-%d %H:%M} UTC: renew it"
    if certificate.not_before > now:
        return f"{name} begins at {certificate.not_before:%Y-%m-%d %H:%M} UTC only: is the clock of the host right?"
    return None


def warning(certificate: Certificate, now: datetime.datetime) -> str | None:
    """A sentence about one that clients accept not much longer."""
    days = certificate.days_left(now)
    if days >= WARN_DAYS:
        return None
    return f"{certificate.path}: certificate {certificate.position} expires in {days} days: renew it"


def _validity(der: bytes) -> tuple[datetime.datetime, datetime.datetime]:
    """RFC 5280, 4.1: Certificate { TBSCertificate { [version], serial, signature, issuer, validity, ... } ... }."""
    certificate = _inside(der, _SEQUENCE)[0]
    fields = _elements(_inside(certificate[1], _SEQUENCE, wrapped=True)[0][1])
    if fields and fields[0][0] == _VERSION:
        fields = fields[1:]
    tags = [tag for tag, _value in fields[:4]]
    if tags != [_INTEGER, _SEQUENCE, _SEQUENCE, _SEQUENCE]:
        raise ValueError("it is no X.509 certificate")
    begins, ends = _elements(fields[3][1])[:2]
    return _time(*begins), _time(*ends)


def _inside(der: bytes, tag: int, *, wrapped: bool = False) -> list[tuple[int, bytes]]:
    found = _elements(der)
    if not found or found[0][0] != tag or not (wrapped or len(found) == 1):
        raise ValueError("it is no X.509 certificate")
    return found


def _elements(der: bytes) -> list[tuple[int, bytes]]:
    """Tags and contents of what follows one another."""
    found, at = [], 0
    while at < len(der):
        tag, length = der[at], der[at + 1]
        at += 2
        if length & 0x80:
            count = length & 0x7F
            length = int.from_bytes(der[at : at + count], "big")
            at += count
        if at + length > len(der):
            raise ValueError("it is cut short")
        found.append((tag, der[at : at + length]))
        at += length
    return found


def _time(tag: int, value: bytes) -> datetime.datetime:
    if tag not in _FORMATS:
        raise ValueError("it has a time of an unknown kind")
    # Python and RFC 5280 disagree about 1950 to 1968 only, which no certificate in use ends in.
    return datetime.datetime.strptime(value.decode("ascii"), _FORMATS[tag]).replace(tzinfo=datetime.timezone.utc)
