# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Images out of a bundle, whose web server is no registry: while an engine pulls one, this host is the registry itself.

Engines name an image by digest only where they have pulled it, and pull from registries only. So for the time of a pull
a registry listens on 127.0.0.1, which has its blobs from the mirror, and the engine verifies them as always. Podman and
containerd are told that it is a mirror of the registry in the image's name. Docker knows mirrors of docker.io alone:
the image has the name that it has in this registry, where Docker wants neither TLS nor configuration.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import json
import os
import re
import tempfile
import threading
import typing as t

from .._errors import HostError
from .._http import Fetch, Unreachable

FOLDER = "images/sha256"
# It is in the names of Docker's images, and so it stays.
DOCKER_PORT = 5098
ENGINES = ("docker", "podman", "containerd")
_TIMEOUT_S = 60
_PIECE = 1024 * 1024
# What manifests are large at most, as registries have it.
LARGEST_MANIFEST = 4 * 1024 * 1024
_ASKED = re.compile(r"/v2/.+/(manifests|blobs)/sha256:([0-9a-f]{64})\Z")
_INDEX = "application/vnd.oci.image.index.v1+json"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def docker_name(image: str) -> str:
    """The name of an image of a bundle with Docker. The digest is the image's own."""
    name, _at, digest = image.rpartition("@")
    return f"127.0.0.1:{DOCKER_PORT}/{name.replace(':', '_').lower()}@{digest}"


def path(digest: str) -> str:
    """Where a bundle has what has this digest (sha256:...)."""
    return f"{FOLDER}/{digest.rpartition(':')[2]}"


def media_type(manifest: bytes) -> str:
    """What a registry calls it. HostError for what is no manifest."""
    try:
        data = json.loads(manifest)
        return str(data.get("mediaType") or (_INDEX if "manifests" in data else _MANIFEST))
    except (ValueError, AttributeError) as exc:
        raise HostError("it is no manifest of an image") from exc


class Registry:
    """What is asked for it has from the mirror. ``problems``: a sentence for each thing that the mirror does not give,
    or gives changed."""

    def __init__(self, url: str, fetch: Fetch) -> None:
        self._url = url.rstrip("/")
        self._fetch = fetch
        self.problems: list[str] = []

    @contextlib.contextmanager
    def open(self, port: int) -> t.Iterator[int]:
        """Listen at a port of 127.0.0.1, 0 for any. The port that it has."""
        try:
            server = http.server.ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        except OSError as exc:
            raise HostError(
                f"port {port} of 127.0.0.1 is needed for the time of a pull, since Docker has images of a bundle from "
                f"there, and cannot be had: {exc.strerror}; stop what listens there"
            ) from exc
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

    def _handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        registry = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                at = self.path.partition("?")[0]  # containerd says there whose mirror it takes this for
                asked = _ASKED.match(at)
                if asked:
                    registry._answer(self, asked[1], asked[2])
                else:
                    _send(self, 200 if at == "/v2/" else 404, "application/json", b"{}")

            do_HEAD = do_GET

            def log_message(self, *_args: t.Any) -> None:
                """Standard error is the module's."""

        return Handler

    def _answer(self, to: http.server.BaseHTTPRequestHandler, kind: str, sha256: str) -> None:
        at = f"{self._url}/{FOLDER}/{sha256}"
        try:
            with self._fetch(at, timeout_s=_TIMEOUT_S) as answer:
                if answer.status != 200:
                    raise HostError(f"{at} has status {answer.status}; copy the whole bundle to the mirror")
                if kind == "manifests":
                    data = answer.body.read(LARGEST_MANIFEST + 1)
                    if hashlib.sha256(data).hexdigest() != sha256:
                        raise HostError(f"{at} is not what its name says; copy it again")
                    _send(to, 200, media_type(data), data, sha256)
                else:
                    self._pass_on(to, answer.body, answer.headers.get("content-length"), sha256, at)
        except (Unreachable, HostError) as exc:
            self.problems.append(str(exc))
            _send(to, 404, "application/json", b'{"errors": [{"code": "BLOB_UNKNOWN", "message": "see the mirror"}]}')

    def _pass_on(
        self, to: http.server.BaseHTTPRequestHandler, body: t.BinaryIO, size: str | None, sha256: str, at: str
    ) -> None:
        """A layer as it comes: the engine finds out that it is another one, and here it is said where that is."""
        to.send_response(200)
        to.send_header("Content-Type", "application/octet-stream")
        to.send_header("Docker-Content-Digest", f"sha256:{sha256}")
        to.send_header(*(("Content-Length", size) if size else ("Connection", "close")))
        to.end_headers()
        if to.command != "GET":
            return
        found = hashlib.sha256()
        try:
            while piece := body.read(_PIECE):
                found.update(piece)
                to.wfile.write(piece)
        except (OSError, HostError) as exc:
            if isinstance(exc, HostError):
                self.problems.append(str(exc))
            to.close_connection = True  # and with it, the engine knows that there is no more
            return
        if found.hexdigest() != sha256:
            self.problems.append(f"{at} is not what its name says; copy it again")


@contextlib.contextmanager
def told(image: str, provider: str, port: int) -> t.Iterator[tuple[list[str], list[str]]]:
    """Tell an engine, for one pull, that the registry of an image has a mirror on this host: words before its command,
    and options for it."""
    if provider == "docker":
        yield [], []
        return
    name = image.rpartition("@")[0]
    if re.fullmatch(r"docker\.io/[^/]+", name):  # as engines complete it
        name = name.replace("/", "/library/")
    with tempfile.TemporaryDirectory(prefix="mlops-hosts-") as folder:
        if provider == "podman":
            file = os.path.join(folder, "registries.conf")
            _write(
                file,
                f'[[registry]]\nprefix = "{name}"\nlocation = "{name}"\n'
                f'[[registry.mirror]]\nlocation = "127.0.0.1:{port}/image"\ninsecure = true\n',
            )
            yield ["env", f"CONTAINERS_REGISTRIES_CONF={file}"], []
        else:
            registry = os.path.join(folder, name.partition("/")[0])
            os.mkdir(registry)
            _write(
                os.path.join(registry, "hosts.toml"),
                f'[host."http://127.0.0.1:{port}"]\ncapabilities = ["pull", "resolve"]\n',
            )
            yield [], ["--hosts-dir", folder]


def _write(file: str, text: str) -> None:
    with open(file, "w", encoding="utf-8") as out:
        out.write(text)


def _send(
    to: http.server.BaseHTTPRequestHandler, status: int, kind: str, data: bytes, sha256: str | None = None
) -> None:
    to.send_response(status)
    to.send_header("Content-Type", kind)
    to.send_header("Content-Length", str(len(data)))
    if sha256:
        to.send_header("Docker-Content-Digest", f"sha256:{sha256}")
    to.end_headers()
    if to.command == "GET":
        to.wfile.write(data)
