#!/usr/bin/env python3
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fake of the Hugging Face hub: the parts of its API that a download needs, over files from a directory.

It is not the hub. It gives these answers of it: model info at a revision with checksums, downloads with ranges that are
sent on to another host or, for small files and renamed repositories, relative to its own; the error codes for what is
gated, private or missing. Layout of the directory::

    models/<org>/<name>/<branch>/<files>    a commit is made up from the content of each branch, in whose name a slash
                                            is %2F, as in addresses: one between two parts of an address is another
    plain/<files>                           ordinary files with ETag and ranges, as any web server has them

Large files and ``*.gguf``, ``*.safetensors``, ``*.bin`` are LFS files (sha256 in the API, redirect on download).
Where ``xet`` is set, their answers also have the headers by which the hub's own client turns to Xet, its other store.
That store is not here: who asks for its token is noted and refused, and the plain redirect is there for all others.
``GET /fake/commits`` names branches and commits, ``GET /fake/requests`` what was asked, ``POST /fake/faults``
sets the fields of ``Faults`` while it runs. Standard library only, so that it runs on a bare test host.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import hashlib
import http.server
import json
import pathlib
import re
import ssl
import sys
import threading
import time
import typing as t
import urllib.parse
import zlib

_LFS_FROM = 1024 * 1024
_LFS_SUFFIXES = (".gguf", ".safetensors", ".bin")
_RANGE = re.compile(r"bytes=(\d+)-(\d*)$")


@dataclasses.dataclass
class Faults:
    """What goes wrong. ``times`` faulty answers are given, then all is well again; -1 means for ever."""

    cut_after: int | None = None  # close the connection after so many bytes of a file
    stall_after: int | None = None  # send nothing more after so many bytes of a file, but stay connected
    stall_s: float = 60.0
    ignore_range: bool = False  # answer 200 with the whole file to a range request
    wrong_content: bool = False  # right length, wrong bytes
    wrong_range: bool = False  # 206 for a range that was not asked for
    status: int | None = None  # answer file requests with this status
    no_head: bool = False  # HEAD is forbidden, as with an address that was signed for GET
    no_length: bool = False  # leave Content-Length away
    no_etag: bool = False
    bad_names: tuple[str, ...] = ()  # names that the API lists as well
    headers: t.Mapping[str, str] = dataclasses.field(default_factory=dict)  # of the answer with this status
    hang_up: bool = False  # close the connection and answer nothing
    coding: str | None = None  # send files with this Content-Encoding: gzip, deflate, raw deflate, or a mere claim
    api: bool = False  # status, hang_up and coding are of questions to the API, and not of files
    times: int = -1


@dataclasses.dataclass(frozen=True)
class Asked:
    """One request. Of the token only that there was one."""

    method: str
    host: str
    path: str
    authorized: bool
    range: str | None
    accepts: str | None = None


class Tree:
    """The directory that is served."""

    def __init__(self, root: pathlib.Path) -> None:
        self.root = root

    def branches(self, repo: str) -> dict[str, pathlib.Path]:
        folder = self.root / "models" / repo
        if repo.count("/") != 1 or ".." in repo or not folder.is_dir():
            return {}
        return {urllib.parse.unquote(branch.name): branch for branch in sorted(folder.iterdir()) if branch.is_dir()}

    def commits(self) -> dict[str, dict[str, str]]:
        repos = sorted((self.root / "models").glob("*/*")) if (self.root / "models").is_dir() else []
        return {
            str(repo.relative_to(self.root / "models")): {
                branch: commit_of(folder)
                for branch, folder in self.branches(str(repo.relative_to(self.root / "models"))).items()
            }
            for repo in repos
        }

    def at(self, repo: str, revision: str) -> tuple[str, pathlib.Path] | None:
        for branch, folder in self.branches(repo).items():
            commit = commit_of(folder)
            if revision in (branch, commit):
                return commit, folder
        return None

    def blob(self, sha256: str) -> pathlib.Path | None:
        for path in (self.root / "models").glob("*/*/*/**/*"):
            if path.is_file() and digests(path, path.stat().st_mtime_ns)[0] == sha256:
                return path
        return None

    def plain(self, name: str) -> pathlib.Path | None:
        path = self.root / "plain" / name
        return path if ".." not in pathlib.PurePosixPath(name).parts and path.is_file() else None


@functools.cache
def digests(path: pathlib.Path, _mtime_ns: int) -> tuple[str, str]:
    """sha256 of the content and the sha1 that git gives it."""
    content = path.read_bytes()
    return hashlib.sha256(content).hexdigest(), hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def files_of(folder: pathlib.Path) -> list[pathlib.Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def commit_of(folder: pathlib.Path) -> str:
    """The name of the branch where that is a commit, else one made up: the same content has the same one."""
    if re.fullmatch(r"[0-9a-f]{40}", folder.name):
        return folder.name
    lines = [f"{path.relative_to(folder)} {digests(path, path.stat().st_mtime_ns)[0]}" for path in files_of(folder)]
    return hashlib.sha1("\n".join(lines).encode()).hexdigest()


def is_lfs(path: pathlib.Path) -> bool:
    return path.suffix in _LFS_SUFFIXES or path.stat().st_size >= _LFS_FROM


def xet_hash(sha256: str) -> str:
    """How Xet knows a content: not by the sha256 of the file."""
    return hashlib.sha256(sha256.encode()).hexdigest()


class Hub(http.server.ThreadingHTTPServer):
    """The server. Everything that can be switched is a plain attribute."""

    daemon_threads = True
    block_on_close = False

    def __init__(
        self,
        root: pathlib.Path,
        address: tuple[str, int] = ("127.0.0.1", 0),
        *,
        token: str | None = None,
        gated: t.Collection[str] = (),
        cdn: str | None = None,
        certificate: str | None = None,
        key: str | None = None,
    ) -> None:
        super().__init__(address, _Handler)
        self.tree = Tree(root)
        self.token = token
        self.gated = set(gated)
        self.moved: dict[str, str] = {}  # repositories that have another name now
        self.moved_to = ""  # where that name is: relative to this server, or an address
        self.xet = False
        self.faults = Faults()
        self.asked: list[Asked] = []
        self.scheme = "http"
        self._guard = threading.Lock()
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate, key)
            self.socket = context.wrap_socket(self.socket, server_side=True)
            self.scheme = "https"
        self.url = f"{self.scheme}://{address[0]}:{self.server_address[1]}"
        # The hub sends downloads on to a host of another name. On loopback, localhost is another name of 127.0.0.1.
        self.cdn = cdn or f"{self.scheme}://localhost:{self.server_address[1]}"

    def fault(self) -> Faults:
        """The faults for one file request."""
        with self._guard:
            if self.faults.times == 0:
                return Faults()
            if self.faults.times > 0:
                self.faults.times -= 1
            return self.faults

    def note(self, asked: Asked) -> None:
        with self._guard:
            self.asked.append(asked)

    def __enter__(self) -> Hub:
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()

    def handle_error(self, request: t.Any, client_address: t.Any) -> None:
        """A client that hangs up is not worth a traceback."""
        if not isinstance(sys.exc_info()[1], (ConnectionError, TimeoutError, ssl.SSLError)):
            super().handle_error(request, client_address)


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_args: t.Any) -> None:
        """Requests are listed at /fake/requests."""

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        if self.path != "/fake/faults":
            return self._refuse(404, None)
        self.server.faults = Faults(**json.loads(self.rfile.read(length)))
        self._json({"faults": dataclasses.asdict(self.server.faults)})

    def _answer(self) -> None:
        parts = urllib.parse.urlsplit(self.path)
        path = urllib.parse.unquote(parts.path)
        if path == "/fake/commits":
            return self._json(self.server.tree.commits())
        if path == "/fake/requests":
            return self._json([dataclasses.asdict(asked) for asked in self.server.asked])
        authorization = self.headers.get("Authorization")
        self.server.note(
            Asked(
                method=self.command,
                host=self.headers.get("Host", ""),
                path=path,
                authorized=authorization is not None,
                range=self.headers.get("Range"),
                accepts=self.headers.get("Accept-Encoding"),
            )
        )
        self._known = self.server.token is None or authorization == f"Bearer {self.server.token}"
        info = self._matched(r"/api/models/([^/]+/[^/]+)/revision/([^/]+)")
        tree = self._matched(r"/api/models/([^/]+/[^/]+)/tree/([^/]+)")
        resolve = self._matched(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)")
        cached = self._matched(r"/api/resolve-cache/models/([^/]+/[^/]+)/([^/]+)/(.+)")
        repo = (info or resolve or [""])[0]
        if repo in self.server.moved:
            target = self.path.replace(repo, self.server.moved[repo], 1)
            self._send(307, {"Location": self.server.moved_to + target})
        elif info:
            self._info(*info)
        elif tree:
            self._tree(*tree)
        elif cached:
            self._resolve(*cached, cached=True)
        elif path.startswith("/cdn/"):
            found = self.server.tree.blob(path[len("/cdn/") :])
            self._file(found) if found else self._refuse(403, None)
        elif path.startswith("/plain/"):
            found = self.server.tree.plain(path[len("/plain/") :])
            if self.server.token is not None and not self._known:
                return self._refuse(401, None)
            self._file(found) if found else self._refuse(404, None)
        elif resolve:
            self._resolve(*resolve)
        else:
            self._refuse(404, None)

    def _matched(self, pattern: str) -> list[str]:
        """The parts of the path, told apart before what is quoted in them is read. Empty for another path."""
        found = re.fullmatch(pattern, urllib.parse.urlsplit(self.path).path)
        return [urllib.parse.unquote(part) for part in found.groups()] if found else []

    def _info(self, repo: str, revision: str) -> None:
        fault = self.server.fault() if self.server.faults.api else Faults()
        if self._failed(fault):
            return
        if not self.server.tree.branches(repo):
            # The hub does not say whether a repository that cannot be seen exists.
            return self._refuse(404 if self._known else 401, "RepoNotFound")
        found = self.server.tree.at(repo, revision)
        if not found:
            return self._refuse(404, "RevisionNotFound")
        commit, folder = found
        siblings: list[dict[str, t.Any]] = [{"rfilename": name, "size": 1} for name in self.server.faults.bad_names]
        for path in files_of(folder):
            sha256, git_sha1 = digests(path, path.stat().st_mtime_ns)
            size = path.stat().st_size
            sibling: dict[str, t.Any] = {"rfilename": str(path.relative_to(folder)), "size": size, "blobId": git_sha1}
            if is_lfs(path):
                sibling["lfs"] = {"sha256": sha256, "size": size, "pointerSize": 134}
            siblings.append(sibling)
        gated = "manual" if repo in self.server.gated else False
        self._json({"id": repo, "sha": commit, "gated": gated, "private": False, "siblings": siblings}, fault)

    def _tree(self, repo: str, revision: str) -> None:
        """What the hub's own client asks; model_artifact does not."""
        found = self.server.tree.at(repo, revision)
        if not found or (repo in self.server.gated and not self._known):
            return self._refuse(404, "RepoNotFound")
        listed: list[dict[str, t.Any]] = []
        for path in files_of(found[1]):
            sha256, git_sha1 = digests(path, path.stat().st_mtime_ns)
            size = path.stat().st_size
            name = str(path.relative_to(found[1]))
            entry: dict[str, t.Any] = {"type": "file", "path": name, "oid": git_sha1, "size": size}
            if is_lfs(path):
                entry["lfs"] = {"oid": sha256, "size": size, "pointerSize": 134}
                entry.update({"xetHash": xet_hash(sha256)} if self.server.xet else {})
            listed.append(entry)
        self._json(listed)

    def _resolve(self, repo: str, revision: str, name: str, *, cached: bool = False) -> None:
        if repo in self.server.gated and not self._known:
            return self._refuse(403 if self.headers.get("Authorization") else 401, "GatedRepo")
        found = self.server.tree.at(repo, revision)
        if not found:
            return self._refuse(404, "RevisionNotFound" if self.server.tree.branches(repo) else "RepoNotFound")
        commit, folder = found
        path = folder / name
        if path not in files_of(folder):
            return self._refuse(404, "EntryNotFound")
        sha256, git_sha1 = digests(path, path.stat().st_mtime_ns)
        extra = {
            "X-Repo-Commit": commit,
            "X-Linked-Size": str(path.stat().st_size),
            "X-Linked-Etag": f'"{sha256 if is_lfs(path) else git_sha1}"',
        }
        if cached:
            return self._file(path, extra)
        if not is_lfs(path):
            return self._send(
                307, {"Location": f"/api/resolve-cache/models/{repo}/{commit}/{urllib.parse.quote(name)}"}
            )
        extra["Location"] = f"{self.server.cdn}/cdn/{sha256}?X-Signature=fake"
        if self.server.xet:
            token = f"{self.server.url}/api/models/{repo}/xet-read-token/{commit}"
            pieces = f"{self.server.url}/xet/v2/reconstructions/{xet_hash(sha256)}"
            extra["X-Xet-Hash"] = xet_hash(sha256)
            extra["Link"] = f'<{token}>; rel="xet-auth", <{pieces}>; rel="xet-reconstruction-info"'
        self._send(302, extra)

    def _file(self, path: pathlib.Path, extra: t.Mapping[str, str] | None = None) -> None:
        fault = Faults() if self.server.faults.api else self.server.fault()
        if self._failed(fault):
            return
        if fault.no_head and self.command == "HEAD":
            return self._refuse(403, None)
        content = path.read_bytes()
        etag = f'"{digests(path, path.stat().st_mtime_ns)[0][:32]}"'
        headers = {**(extra or {}), "Accept-Ranges": "bytes"}
        if not fault.no_etag:
            headers["ETag"] = etag
        asked = _RANGE.match(self.headers.get("Range", ""))
        same = self.headers.get("If-Range", etag) == etag
        status, total, start, end = 200, len(content), 0, len(content)
        if asked and same and not fault.ignore_range:
            start = int(asked[1]) + (1 if fault.wrong_range else 0)
            end = min(int(asked[2]) + 1, total) if asked[2] else total
            if start >= total:
                return self._send(416, {"Content-Range": f"bytes */{total}"})
            status = 206
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{total}"
        body = content[start:end]
        if fault.wrong_content:
            body = bytes(byte ^ 0xFF for byte in body)
        body = self._compressed(body, headers, fault)
        self._send(status, headers, body, fault)

    def _failed(self, fault: Faults) -> bool:
        """Whether the fault was the answer."""
        if fault.hang_up:
            self.close_connection = True
        elif fault.status is not None:
            self._send(fault.status, fault.headers, b"refused\n")
        return fault.hang_up or fault.status is not None

    @staticmethod
    def _compressed(body: bytes, headers: dict[str, str], fault: Faults) -> bytes:
        if fault.coding is None:
            return body
        headers["Content-Encoding"] = fault.coding.rpartition(" ")[2]
        wbits = {"gzip": 31, "deflate": 15, "raw deflate": -15}.get(fault.coding)
        if wbits is None:
            return body
        deflate = zlib.compressobj(wbits=wbits)
        return deflate.compress(body) + deflate.flush()

    def _json(self, data: t.Any, fault: Faults | None = None) -> None:
        headers = {"Content-Type": "application/json"}
        self._send(200, headers, self._compressed(json.dumps(data).encode(), headers, fault or Faults()))

    def _refuse(self, status: int, code: str | None) -> None:
        self._send(status, {"X-Error-Code": code} if code else {}, b"refused\n")

    def _send(self, status: int, headers: t.Mapping[str, str], body: bytes = b"", fault: Faults | None = None) -> None:
        fault = fault or Faults()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if fault.no_length:
            self.send_header("Connection", "close")
        else:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        if fault.cut_after is not None and len(body) > fault.cut_after:
            self.wfile.write(body[: fault.cut_after])
            self.close_connection = True
        elif fault.stall_after is not None and len(body) > fault.stall_after:
            self.wfile.write(body[: fault.stall_after])
            self.wfile.flush()
            time.sleep(fault.stall_s)
            self.close_connection = True
        else:
            self.wfile.write(body)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("root", type=pathlib.Path, help="the directory with models/ and plain/")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8765, help="port to listen on (default: %(default)s)")
    parser.add_argument("--cdn", help="base URL that downloads are sent on to (default: localhost, same port)")
    parser.add_argument("--token-file", type=pathlib.Path, help="file with the token that is accepted")
    parser.add_argument(
        "--gated", action="append", default=[], metavar="ORG/NAME", help="repository that needs the token"
    )
    parser.add_argument(
        "--moved", action="append", default=[], metavar="OLD=NEW", help="repository that is redirected to its new name"
    )
    parser.add_argument("--xet", action="store_true", help="offer Xet for LFS files")
    parser.add_argument("--certificate", help="PEM file: serve HTTPS")
    parser.add_argument("--key", help="PEM file with the key of the certificate")
    parser.add_argument("--commits", action="store_true", help="print branches and commits as JSON and end")
    options = parser.parse_args(argv)
    if options.commits:
        print(json.dumps(Tree(options.root).commits(), indent=2))
        return 0
    token = options.token_file.read_text().strip() if options.token_file else None
    hub = Hub(
        options.root,
        (options.host, options.port),
        token=token,
        gated=options.gated,
        cdn=options.cdn,
        certificate=options.certificate,
        key=options.key,
    )
    hub.xet = options.xet
    hub.moved = dict(pair.split("=", 1) for pair in options.moved)
    print(f"fake hub on {hub.url}, downloads from {hub.cdn}", flush=True)
    hub.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
