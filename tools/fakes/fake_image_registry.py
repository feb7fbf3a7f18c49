#!/usr/bin/env python3
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Simulates a registry of container images that engines only pull from, on 127.0.0.1, without TLS and login.

    fake_image_registry.py PORT LAYER.tar DIGESTS.json [PROGRAM]

It has "server" and "other", which have the files of the layer and differ in a label, "empty", which has none, and
"index", which is "server" on amd64 and "empty" on arm64. With PROGRAM, "program" has the layer and it, which is its
entry point. Their digests are written to DIGESTS.json, by name.
"""

from __future__ import annotations

import hashlib
import http.server
import io
import json
import pathlib
import re
import sys
import tarfile

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
# As real ones say it.
UNKNOWN = ("application/json", b'{"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]}')
_PATH = re.compile(r"/v2/[a-z/]+/(?:manifests|blobs)/(sha256:[0-9a-f]{64})$")


class Blobs(dict[str, tuple[str, bytes]]):
    """Media type and content by digest."""

    def add(self, kind: str, data: bytes) -> dict[str, object]:
        """How a manifest names it."""
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        self[digest] = (kind, data)
        return {"mediaType": kind, "digest": digest, "size": len(data)}

    def image(self, name: str, *layers: bytes, entrypoint: tuple[str, ...] = ()) -> str:
        """Its digest."""
        files = [self.add(LAYER, layer) for layer in layers]
        config = {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Labels": {"name": name}, "Entrypoint": list(entrypoint), "Env": ["PATH=/usr/bin:/bin"]},
            "rootfs": {"type": "layers", "diff_ids": [file["digest"] for file in files]},
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": self.add(CONFIG, json.dumps(config).encode()),
            "layers": files,
        }
        return str(self.add(MANIFEST, json.dumps(manifest).encode())["digest"])

    def index(self, **by_architecture: str) -> str:
        """The digest of an index of images."""
        manifests = [
            {
                "mediaType": MANIFEST,
                "digest": digest,
                "size": len(self[digest][1]),
                "platform": {"os": "linux", "architecture": architecture},
            }
            for architecture, digest in by_architecture.items()
        ]
        return str(self.add(INDEX, json.dumps({"schemaVersion": 2, "manifests": manifests}).encode())["digest"])


def handler(blobs: Blobs) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            found = _PATH.match(self.path)
            known = blobs.get(found[1]) if found else ("application/json", b"{}")
            kind, data = known or UNKNOWN
            self.send_response(200 if known else 404)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            if found:
                self.send_header("Docker-Content-Digest", found[1])
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(data)

        do_HEAD = do_GET

    return Handler


def _layer(name: str, data: bytes = b"") -> bytes:
    """Of one file that can be run."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        info = tarfile.TarInfo(name)
        info.size, info.mode = len(data), 0o755
        tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def main(port: str, layer: str, digests: str, program: str | None = None) -> None:
    blobs = Blobs()
    files = pathlib.Path(layer).read_bytes()
    found = {
        name: blobs.image(name, data)
        for name, data in (("server", files), ("other", files), ("empty", _layer("nothing")))
    }
    found["index"] = blobs.index(arm64=found["empty"], amd64=found["server"])
    if program is not None:
        path = f"usr/bin/{pathlib.Path(program).stem}"
        ours = _layer(path, pathlib.Path(program).read_bytes())
        found["program"] = blobs.image("program", files, ours, entrypoint=(f"/{path}",))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(port)), handler(blobs))
    # Who finds the file finds the registry.
    pathlib.Path(digests).write_text(json.dumps(found))
    server.serve_forever()


if __name__ == "__main__":
    if len(sys.argv) not in (4, 5):
        raise SystemExit(__doc__)
    main(*sys.argv[1:])
