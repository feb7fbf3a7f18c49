# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Signature version 4 of AWS, which all stores that speak S3 check. Pure."""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import time
import typing as t
import urllib.parse

_ALGORITHM = "AWS4-HMAC-SHA256"
NOTHING = hashlib.sha256(b"").hexdigest()  # the sum of the body of a request that has none


@dataclasses.dataclass(frozen=True)
class Credentials:
    """Who signs. ``session_token`` comes with temporary ones, and is sent along."""

    access_key: str
    secret_key: str = dataclasses.field(repr=False)
    session_token: str | None = dataclasses.field(default=None, repr=False)


def signed_headers(
    method: str,
    url: str,
    headers: t.Mapping[str, str],
    credentials: Credentials,
    *,
    region: str,
    now: float,
    service: str = "s3",
    body_sha256: str = NOTHING,
) -> dict[str, str]:
    """The headers that a request gets in addition, ``Authorization`` among them. ``now`` is the Unix time.

    All of ``headers`` are signed, with the host. The path of ``url`` is encoded once, as S3 has it.
    """
    parts = urllib.parse.urlsplit(url)
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
    made = {"X-Amz-Date": stamp}
    if service == "s3":
        made["X-Amz-Content-Sha256"] = body_sha256
    if credentials.session_token:
        made["X-Amz-Security-Token"] = credentials.session_token
    signed = {"host": parts.netloc, **{name.lower(): value for name, value in {**headers, **made}.items()}}
    names = ";".join(sorted(signed))
    request = "\n".join(
        [
            method,
            urllib.parse.quote(urllib.parse.unquote(parts.path), safe="/~") or "/",
            _query(parts.query),
            *(f"{name}:{' '.join(signed[name].split())}" for name in sorted(signed)),
            "",
            names,
            body_sha256,
        ]
    )
    scope = f"{stamp[:8]}/{region}/{service}/aws4_request"
    text = f"{_ALGORITHM}\n{stamp}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    key = f"AWS4{credentials.secret_key}".encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    who = f"Credential={credentials.access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
    return {**made, "Authorization": f"{_ALGORITHM} {who}"}


def _query(query: str) -> str:
    pairs = urllib.parse.parse_qsl(query, keep_blank_values=True)
    encoded = sorted((urllib.parse.quote(name, safe="~"), urllib.parse.quote(value, safe="~")) for name, value in pairs)
    return "&".join(f"{name}={value}" for name, value in encoded)
