#!/usr/bin/env python3
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make a container image of one static program, without a container engine, and push it to a registry or write it to an
archive, as "docker load" and "ctr images import" take it.

    tiny_image.py REGISTRY NAME CA.pem USER PASSWORD     (for tests; the password is no secret there)
    tiny_image.py ARCHIVE NAME...

It holds /bin/busybox (Debian's busybox-static) with a few names, and sleeps. Pushed, its digest is printed.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import ssl
import sys
import tarfile
import urllib.parse
import urllib.request
from typing import Any

PROGRAM = "/bin/busybox"
NAMES = ("sh", "sleep", "ls", "cat", "test", "env")
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


class Registry:
    """A registry to push to."""

    def __init__(self, address: str, ca: str, user: str, password: str) -> None:
        self.root = f"https://{address}/v2/"
        self.context = ssl.create_default_context(cafile=ca)
        self.login = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()

    def blob(self, name: str, data: bytes) -> dict[str, Any]:
        """Push a blob; how a manifest names it."""
        digest = _digest(data)
        begun = self._ask("POST", f"{self.root}{name}/blobs/uploads/", b"")
        place = urllib.parse.urljoin(self.root, begun.headers["Location"])
        joint = "&" if "?" in place else "?"
        self._ask("PUT", f"{place}{joint}digest={urllib.parse.quote(digest)}", data, "application/octet-stream")
        return {"size": len(data), "digest": digest}

    def manifest(self, name: str, data: bytes) -> str:
        self._ask("PUT", f"{self.root}{name}/manifests/1", data, MANIFEST)
        return _digest(data)

    def _ask(self, method: str, url: str, data: bytes, kind: str = "") -> Any:
        headers = {"Authorization": self.login, **({"Content-Type": kind} if kind else {})}
        request = urllib.request.Request(url, data=data, headers=headers, method=method)
        return urllib.request.urlopen(request, context=self.context, timeout=60)


def push(address: str, name: str, ca: str, user: str, password: str) -> None:
    registry = Registry(address, ca, user, password)
    layer = _layer()
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {
            "mediaType": "application/vnd.docker.container.image.v1+json",
            **registry.blob(name, _config(layer)),
        },
        "layers": [
            {
                "mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip",
                **registry.blob(name, gzip.compress(layer, mtime=0)),
            }
        ],
    }
    print(registry.manifest(name, json.dumps(manifest).encode()))


def archive(path: str, *names: str) -> None:
    layer = _layer()
    manifest = [{"Config": "config.json", "RepoTags": names, "Layers": ["layer.tar"]}]
    with tarfile.open(path, mode="w") as tar:
        for name, data in (
            ("config.json", _config(layer)),
            ("layer.tar", layer),
            ("manifest.json", json.dumps(manifest).encode()),
        ):
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))


def _config(layer: bytes) -> bytes:
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Cmd": ["/bin/sleep", "100000"], "Env": ["PATH=/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]},
        "history": [{"created_by": "tiny_image.py"}],
    }
    return json.dumps(config).encode()


def _layer() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for folder in ("bin", "dev", "etc", "proc", "sys", "tmp"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
        with open(PROGRAM, "rb") as program:
            data = program.read()
        entry = tarfile.TarInfo("bin/busybox")
        entry.size, entry.mode = len(data), 0o755
        tar.addfile(entry, io.BytesIO(data))
        for name in NAMES:
            entry = tarfile.TarInfo(f"bin/{name}")
            entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(entry)
    return out.getvalue()


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


if __name__ == "__main__":
    if len(sys.argv) < 3:
        raise SystemExit(__doc__)
    (archive if "/" in sys.argv[1] else push)(*sys.argv[1:])
