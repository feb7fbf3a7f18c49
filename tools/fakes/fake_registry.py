#!/usr/bin/env python3
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fake of an OCI registry: manifests by tag and digest, blobs in ranges, and a token server.

It is not distribution's. With ``users`` it refuses whoever has no token for the repository, and names its own token
server, which wants user name and password; with ``basic`` it wants them itself. A manifest is only given to those who
accept its type, as distribution 2.8.2 does. Layout of the directory, each a ModelPack artefact with files as they are::

    <repository>/<tag>/<files>
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import pathlib
import re
import sys
import typing as t
import urllib.parse

from fake_files import Handler, Server

MODEL = "application/vnd.cncf.model.manifest.v1+json"
WEIGHT = "application/vnd.cncf.model.weight.v1.raw"
FILEPATH = "org.cncf.model.filepath"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


class Registry(Server):
    """The server. Everything that can be switched is a plain attribute."""

    def __init__(
        self,
        address: tuple[str, int] = ("127.0.0.1", 0),
        *,
        users: t.Mapping[str, str] | None = None,
        certificate: str | None = None,
        key: str | None = None,
    ) -> None:
        super().__init__(_Handler, address, certificate=certificate, key=key)
        self.users = dict(users or {})
        self.anonymous = False  # tokens are given to those who say no name
        self.basic = False
        self.tokens: dict[str, str] = {}  # to their scope
        self.given = 0
        self.realm = f"{self.url}/token"
        self.blobs_at = ""  # where blobs are sent on to, as by a registry over an object store
        self.manifests: dict[tuple[str, str], tuple[str, bytes]] = {}  # repository, tag or digest -> type, content
        self.blobs: dict[str, bytes] = {}

    def put(self, repo: str, tag: str, manifest: t.Mapping[str, t.Any]) -> str:
        """Gives the digest of the manifest."""
        content = json.dumps(manifest).encode()
        digest = digest_of(content)
        for reference in (tag, digest):
            self.manifests[repo, reference] = (manifest["mediaType"], content)
        return digest

    def layer(self, content: bytes, media_type: str, **annotations: str) -> dict[str, t.Any]:
        """The layer as a manifest has it."""
        self.blobs[digest_of(content)] = content
        found = {"mediaType": media_type, "digest": digest_of(content), "size": len(content)}
        return {**found, "annotations": annotations} if annotations else found

    def push(self, repo: str, tag: str, files: t.Mapping[str, bytes]) -> str:
        """A ModelPack artefact of these files."""
        layers = [self.layer(content, WEIGHT, **{FILEPATH: path}) for path, content in files.items()]
        return self.put(repo, tag, self.manifest(layers))

    def manifest(self, layers: t.Sequence[t.Mapping[str, t.Any]]) -> dict[str, t.Any]:
        config = self.layer(b"{}", "application/vnd.cncf.model.config.v1+json")
        head = {"schemaVersion": 2, "mediaType": MANIFEST, "artifactType": MODEL}
        return {**head, "config": config, "layers": list(layers)}


class _Handler(Handler):
    server: Registry

    def answer(self, path: str, query: str, given: t.Mapping[str, str]) -> None:
        found = re.fullmatch(r"/v2/(.+)/(manifests|blobs)/([^/]+)", path)
        if path == "/token":
            return self._token(dict(urllib.parse.parse_qsl(query)), given)
        if path.startswith("/elsewhere/"):
            return self._blob(path.rpartition("/")[2], given)
        if not found:
            return self._refuse(404, "UNSUPPORTED")
        repo, kind, reference = found.groups()
        if not self._may_read(repo, given):
            challenge = f'Bearer realm="{self.server.realm}",service="fake",scope="repository:{repo}:pull"'
            challenge = 'Basic realm="fake"' if self.server.basic else challenge
            return self._refuse(401, "UNAUTHORIZED", {"WWW-Authenticate": challenge})
        if kind == "blobs" and self.server.blobs_at:
            return self.send(307, {"Location": f"{self.server.blobs_at}/elsewhere/{reference}?X-Signature=fake"})
        if kind == "blobs":
            return self._blob(reference, given)
        if (repo, reference) not in self.server.manifests:
            return self._refuse(404, "MANIFEST_UNKNOWN")
        media_type, content = self.server.manifests[repo, reference]
        if media_type not in given.get("accept", ""):
            return self._refuse(404, "MANIFEST_UNKNOWN")
        return self.send(200, {"Content-Type": media_type, "Docker-Content-Digest": digest_of(content)}, content)

    def _may_read(self, repo: str, given: t.Mapping[str, str]) -> bool:
        kind, _space, said = given.get("authorization", "").partition(" ")
        if not self.server.users:
            return True
        if self.server.basic:
            return kind == "Basic" and self._knows(said)
        return kind == "Bearer" and self.server.tokens.get(said) == f"repository:{repo}:pull"

    def _knows(self, said: str) -> bool:
        user, _colon, password = base64.b64decode(said).decode().partition(":")
        return self.server.users.get(user) == password

    def _token(self, asked: t.Mapping[str, str], given: t.Mapping[str, str]) -> None:
        fault = self.server.fault() if self.server.faults.status else None
        if fault is not None and fault.status is not None:
            return self.send(fault.status, fault.headers, fault.body)
        kind, _space, said = given.get("authorization", "").partition(" ")
        known = self._knows(said) if kind == "Basic" else self.server.anonymous
        if not known or asked.get("service") != "fake":
            return self._refuse(401, "UNAUTHORIZED")
        self.server.given += 1
        token = f"a-token-of-the-fake-{self.server.given}"
        self.server.tokens[token] = asked.get("scope", "")
        return self.send(200, {"Content-Type": "application/json"}, json.dumps({"token": token}).encode())

    def _blob(self, digest: str, given: t.Mapping[str, str]) -> None:
        if digest not in self.server.blobs:
            return self._refuse(404, "BLOB_UNKNOWN")
        return self.send_file(self.server.blobs[digest], f'"{digest}"', given, {"Docker-Content-Digest": digest})

    def _refuse(self, status: int, code: str, headers: t.Mapping[str, str] | None = None) -> None:
        body = json.dumps({"errors": [{"code": code, "message": "no"}]}).encode()
        self.send(status, {"Content-Type": "application/json", **(headers or {})}, body)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("root", type=pathlib.Path, help="the directory with <repository>/<tag>/<files>")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8767, help="port to listen on (default: %(default)s)")
    parser.add_argument("--users-file", type=pathlib.Path, help="file with USER:PASSWORD in each line")
    parser.add_argument("--certificate", help="PEM file: serve HTTPS")
    parser.add_argument("--key", help="PEM file with the key of the certificate")
    parser.add_argument(
        "--digests", action="store_true", help="print the digest of each REPOSITORY:TAG as JSON and end"
    )
    options = parser.parse_args(argv)
    lines = options.users_file.read_text().split() if options.users_file else []
    users = {line.partition(":")[0]: line.partition(":")[2] for line in lines}
    address = ("127.0.0.1", 0) if options.digests else (options.host, options.port)
    registry = Registry(address, users=users, certificate=options.certificate, key=options.key)
    digests = {}
    for folder in sorted(path for path in options.root.glob("*/*/*") if path.is_dir()):
        repo, tag = folder.parent.relative_to(options.root).as_posix(), folder.name
        files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
        digests[f"{repo}:{tag}"] = registry.push(repo, tag, {name: path.read_bytes() for name, path in files.items()})
    if options.digests:
        registry.server_close()
        print(json.dumps(digests))
        return 0
    print(f"fake registry on {registry.url}", flush=True)
    registry.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
