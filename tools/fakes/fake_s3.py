#!/usr/bin/env python3
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fake of a store that speaks S3: GET and HEAD of objects and ListObjectsV2, over files from a directory.

It is neither AWS nor MinIO. It checks the signature of each request, as the AWS documentation of version 4 describes it
for the server: over the headers that the client says it signed. Layout of the directory::

    <bucket>/<key>                      objects; those in ``in_parts`` have ETag and sum as of an upload in parts
    <bucket>/.versions/<id>/<key>       an earlier version of an object

Buckets are addressed by path, and by host where that begins with the name of a bucket. Clocks are not compared.
"""

from __future__ import annotations

import argparse
import base64
import dataclasses
import hashlib
import hmac
import pathlib
import re
import sys
import typing as t
import urllib.parse
import xml.sax.saxutils

from fake_files import Handler, Server

_CREDENTIAL = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/]+)/(?P<day>\d{8})/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request, ?"
    r"SignedHeaders=(?P<names>[a-z0-9;-]+), ?Signature=(?P<signature>[0-9a-f]{64})"
)
_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"


@dataclasses.dataclass
class Refused(Exception):
    status: int
    code: str


def signature(
    method: str, path: str, query: str, headers: t.Mapping[str, str], names: str, secret: str, scope: str
) -> str:
    """The signature that a request must have, of what came over the wire: path and query as they were sent."""
    pairs = [pair.partition("=") for pair in query.split("&") if pair]
    lines = [method, path, "&".join(f"{name}={value}" for name, _equals, value in sorted(pairs))]
    lines += [f"{name}:{re.sub(' +', ' ', headers[name].strip())}" for name in names.split(";")]
    lines += ["", names, headers.get("x-amz-content-sha256", hashlib.sha256(b"").hexdigest())]
    canonical = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    text = "\n".join(["AWS4-HMAC-SHA256", headers["x-amz-date"], scope, canonical])
    day, region, service, last = (part.encode() for part in scope.split("/"))
    key = hmac.digest(b"AWS4" + secret.encode(), day, "sha256")
    for part in (region, service, last):
        key = hmac.digest(key, part, "sha256")
    return hmac.new(key, text.encode(), "sha256").hexdigest()


class Store(Server):
    """The server. ``keys`` are access keys with their secret keys; without any, everybody may read."""

    def __init__(
        self,
        root: pathlib.Path,
        address: tuple[str, int] = ("127.0.0.1", 0),
        *,
        keys: t.Mapping[str, str] | None = None,
        session_token: str | None = None,
        region: str = "us-east-1",
        certificate: str | None = None,
        key: str | None = None,
    ) -> None:
        super().__init__(_Handler, address, certificate=certificate, key=key)
        self.root = root
        self.keys = dict(keys or {})
        self.session_token = session_token
        self.region = region
        self.page = 1000
        self.in_parts: set[str] = set()  # keys
        self.no_sums: set[str] = set()  # keys
        self.moved_to: dict[str, str] = {}  # buckets that are elsewhere, and the address that requests are sent on to
        self.list_of = ""  # a list as text, in the place of the right one


class _Handler(Handler):
    server: Store
    secret_headers = ("authorization", "x-amz-security-token")

    def answer(self, path: str, query: str, given: t.Mapping[str, str]) -> None:
        try:
            self._answer(path, query, given)
        except Refused as refused:
            region = {"x-amz-bucket-region": self.server.region} if refused.code.startswith("Authorization") else {}
            body = f"<?xml version='1.0'?><Error><Code>{refused.code}</Code><Message>no</Message></Error>".encode()
            self.send(refused.status, {"Content-Type": "application/xml", **region}, body)

    def _answer(self, path: str, query: str, given: t.Mapping[str, str]) -> None:
        names = urllib.parse.unquote(path).lstrip("/")
        by_host = given.get("host", "").partition(".")[0]
        if (self.server.root / by_host).is_dir() and by_host:
            names = f"{by_host}/{names}"
        bucket, _slash, key = names.partition("/")
        if bucket in self.server.moved_to:
            return self.send(307, {"Location": f"{self.server.moved_to[bucket]}{self.path}"})
        self._check_signature(path, query, given)
        folder = self.server.root / bucket
        if not bucket or ".." in pathlib.PurePosixPath(names).parts or not folder.is_dir():
            raise Refused(404, "NoSuchBucket")
        asked = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
        return self._object(folder, key, asked, given) if key else self._list(folder, asked)

    def _check_signature(self, path: str, query: str, given: t.Mapping[str, str]) -> None:
        if not self.server.keys:
            return
        if "authorization" not in given:
            raise Refused(403, "AccessDenied")
        found = _CREDENTIAL.fullmatch(given["authorization"])
        signed = found["names"].split(";") if found else []
        must = {"host", *(name for name in given if name.startswith("x-amz-"))}
        if not found or not must <= set(signed) or signed != sorted(signed):
            raise Refused(403, "SignatureDoesNotMatch")
        if found["region"] != self.server.region:
            raise Refused(400, "AuthorizationHeaderMalformed")
        if found["key"] not in self.server.keys:
            raise Refused(403, "InvalidAccessKeyId")
        if given.get("x-amz-security-token") != self.server.session_token:
            raise Refused(403, "InvalidToken")
        scope = f"{found['day']}/{found['region']}/{found['service']}/aws4_request"
        secret = self.server.keys[found["key"]]
        right = signature(self.command, path, query, given, found["names"], secret, scope)
        if found["service"] != "s3" or found["day"] != given["x-amz-date"][:8] or found["signature"] != right:
            raise Refused(403, "SignatureDoesNotMatch")

    def _object(self, folder: pathlib.Path, key: str, asked: t.Mapping[str, str], given: t.Mapping[str, str]) -> None:
        version = asked.get("versionId")
        found = (folder / ".versions" / version if version else folder) / key
        if not found.is_file():
            raise Refused(404, "NoSuchVersion" if version else "NoSuchKey")
        content = found.read_bytes()
        md5, sha256 = hashlib.md5(content), hashlib.sha256(content).digest()
        etag, kind = f'"{md5.hexdigest()}"', "FULL_OBJECT"
        if key in self.server.in_parts:
            etag, kind, sha256 = f'"{md5.hexdigest()}-2"', "COMPOSITE", hashlib.sha256(sha256).digest()
        headers = {"x-amz-version-id": version} if version else {}
        if given.get("x-amz-checksum-mode") == "ENABLED" and key not in self.server.no_sums:
            headers["x-amz-checksum-sha256"] = base64.b64encode(sha256).decode() + "-2" * (kind == "COMPOSITE")
            headers["x-amz-checksum-type"] = kind
        self.send_file(content, etag, given, headers)

    def _list(self, folder: pathlib.Path, asked: t.Mapping[str, str]) -> None:
        if self.server.list_of:
            return self.send(200, {}, self.server.list_of.encode())
        fault = self.server.fault()
        if fault.status is not None:
            return self.send(fault.status, fault.headers, fault.body)
        if asked.get("list-type") != "2":
            raise Refused(501, "NotImplemented")
        sizes = {
            path.relative_to(folder).as_posix() + "/" * path.is_dir(): path.stat().st_size * path.is_file()
            for path in folder.rglob("*")
            if ".versions" not in path.parts
        }
        keys = sorted(key for key in sizes if key.startswith(asked.get("prefix", "")))
        after = base64.b64decode(asked.get("continuation-token", "")).decode()
        due = [key for key in keys if key > after]
        page, more = due[: self.server.page], due[self.server.page :]

        def shown(key: str) -> str:
            encoded = asked.get("encoding-type") == "url"
            return xml.sax.saxutils.escape(urllib.parse.quote_plus(key, safe="/") if encoded else key)

        lines = [f'<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="{_NAMESPACE}">']
        lines += [f"<Name>{folder.name}</Name><IsTruncated>{str(bool(more)).lower()}</IsTruncated>"]
        if asked.get("encoding-type"):
            lines += ["<EncodingType>url</EncodingType>"]
        if more:
            token = base64.b64encode(page[-1].encode()).decode()
            lines += [f"<NextContinuationToken>{token}</NextContinuationToken>"]
        lines += [f"<Contents><Key>{shown(key)}</Key><Size>{sizes[key]}</Size></Contents>" for key in page]
        return self.send(200, {"Content-Type": "application/xml"}, "\n".join([*lines, "</ListBucketResult>"]).encode())


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("root", type=pathlib.Path, help="the directory with a folder for each bucket")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8766, help="port to listen on (default: %(default)s)")
    parser.add_argument("--keys-file", type=pathlib.Path, help="file with ACCESS_KEY:SECRET_KEY in each line")
    parser.add_argument("--certificate", help="PEM file: serve HTTPS")
    parser.add_argument("--key", help="PEM file with the key of the certificate")
    options = parser.parse_args(argv)
    lines = options.keys_file.read_text().split() if options.keys_file else []
    keys = {line.partition(":")[0]: line.partition(":")[2] for line in lines}
    store = Store(
        options.root, (options.host, options.port), keys=keys, certificate=options.certificate, key=options.key
    )
    print(f"fake store of S3 on {store.url}", flush=True)
    store.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
