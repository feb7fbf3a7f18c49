# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Container images as a registry has them: blobs, each named by what it holds, with the layers of one platform.

Manifests and configurations are those of all platforms: some engines want them, and they are small.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import re
import time
import typing as t

from .._container_runtime.images import registry_of
from .._container_runtime.mirror import LARGEST_MANIFEST, media_type, path
from .._errors import HostError
from .._http import Fetch, Response
from .._model.oci import MANIFESTS, OciSource
from .._model.source import LARGEST_REFUSAL, asking, refusal
from . import files
from .manifest import Entry, Manifest, Repository

# What a manifest has the images of an architecture under, by their names.
REPOSITORY = "images"
_TIMEOUT_S = 60
_PIECE = 1024 * 1024
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}\Z")
_LOOPBACK = re.compile(r"(127\.[0-9.]+|localhost)(:\d+)?\Z")


@dataclasses.dataclass(frozen=True)
class Blob:
    """``arch``: whose hosts need it, empty for all. ``kind``: that of its entry."""

    digest: str
    kind: str
    arch: str


@dataclasses.dataclass(frozen=True)
class Login:
    """How a registry is asked; ``ca`` is PEM."""

    username: str | None = None
    password: str | None = None
    ca: str | None = None


def login(image: str, registries: t.Iterable[t.Mapping[str, t.Any]]) -> Login:
    """Of the registry in the name of an image."""
    found = next((one for one in registries if one["name"] == registry_of(image)), {})
    return Login(found.get("username"), found.get("password"), found.get("ca"))


class Fetcher:
    """Fetches what an image has from its registry to a folder, and goes on where that was interrupted."""

    def __init__(self, image: str, known: Login, work: str, fetch: Fetch) -> None:
        registry = registry_of(image)
        full = image if image.startswith(f"{registry}/") else f"{registry}/{image}"
        given: dict[str, t.Any] = {"source": f"oci://{full}", "username": known.username, "token": known.password}
        # As engines have it: this host is asked without TLS.
        if _LOOPBACK.match(registry):
            given["endpoint"] = f"http://{registry}"
        self._image = image
        self._source = OciSource.parse(image, given, endpoint="", token=None)
        self._access = self._source.access(time.time)
        self._work = work
        self._fetch = fetch

    def file(self, digest: str) -> str:
        return os.path.join(self._work, path(digest))

    def all(self, arch: str) -> list[Blob]:
        """All that the bundle is to have of it. HostError where it has no layers for the architecture."""
        top = str(self._source.revision)
        manifest = self._manifest(top)
        blobs = [Blob(top, "file", "")]
        parts = [(manifest, arch)]
        if "manifests" in manifest:
            listed = [one for one in manifest["manifests"] if _DIGEST.match(str(one.get("digest")))]
            if not any(_is_for(one, arch) for one in listed):
                raise HostError(
                    f"{self._image} has no manifest for linux on {arch}; name an image that has, or make the bundle on "
                    "a host of its architecture"
                )
            parts = [(self._manifest(one["digest"]), arch if _is_for(one, arch) else "") for one in listed]
            blobs += [Blob(one["digest"], "file", "") for one in listed]
        for part, of in parts:
            blobs += [Blob(self._blob(part["config"]), "image", "")]
            blobs += [Blob(self._blob(layer), "image", of) for layer in part.get("layers") or () if of]
        return list(dict.fromkeys(blobs))

    def _manifest(self, digest: str) -> dict[str, t.Any]:
        self._get(f"manifests/{digest}", digest, LARGEST_MANIFEST)
        with open(self.file(digest), "rb") as source:
            data = source.read()
        if media_type(data) not in MANIFESTS:
            raise HostError(f"{digest} of {self._image} is a {media_type(data)}, and no manifest of an image of today")
        found = json.loads(data)
        return t.cast("dict[str, t.Any]", found)

    def _blob(self, described: t.Mapping[str, t.Any]) -> str:
        digest = str(described.get("digest"))
        if not _DIGEST.match(digest):
            raise HostError(f"{self._image} has a part with the digest {digest!r}, and only sha256 is known")
        self._get(f"blobs/{digest}", digest, int(described["size"]))
        return digest

    def _get(self, at: str, digest: str, most: int) -> None:
        """Have it in the folder, verified."""
        file, sha256 = self.file(digest), digest.rpartition(":")[2]
        with contextlib.suppress(FileNotFoundError):
            if files.digest(file) == sha256:
                return
        os.makedirs(os.path.dirname(file), exist_ok=True)
        headers = {"Accept": ", ".join(MANIFESTS)}
        url = f"{self._source.address}/{at}"
        with asking(self._fetch, url, access=self._access, headers=headers, timeout_s=_TIMEOUT_S) as answer:
            if answer.status != 200:
                body = answer.body.read(LARGEST_REFUSAL)
                raise refusal(answer, name=self._image, what=digest, access=self._access, body=body)
            got = _copy(answer, f"{file}.part", most)
        if got != sha256:
            raise HostError(f"{self._image}: asked for {digest}, {self._source.endpoint} gave sha256:{got}")
        os.replace(f"{file}.part", file)


def entries(
    image: str, component: str, fetcher: Fetcher, arch: str, before: Manifest, out: str
) -> tuple[list[Entry], int]:
    """Publish what a bundle is to have of an image. The entries, and how many files were not there."""
    known = {one.path: one for one in before.entries}
    found, new = [], 0
    for blob in fetcher.all(arch):
        target, file = path(blob.digest), fetcher.file(blob.digest)
        sha256 = blob.digest.rpartition(":")[2]
        new += files.publish(file, os.path.join(out, target), sha256)
        # Images share layers, and components images.
        theirs = known.get(target)
        components = {component, *(theirs.components if theirs else ())}
        of = blob.arch if theirs is None or theirs.arch == blob.arch else ""
        found.append(
            Entry(
                *(blob.kind, theirs.name if theirs else image, "", of, "", target, sha256, os.path.getsize(file)),
                *(theirs.source if theirs else f"oci://{image}", tuple(sorted(components))),
            )
        )
    return found, new


def listed(before: Manifest, image: str, arch: str) -> Repository:
    """The images of an architecture, with this one."""
    known = before.repository(REPOSITORY, "", arch)
    return Repository(REPOSITORY, "", arch, tuple(sorted({image, *(known.packages if known else ())})))


def _is_for(described: t.Mapping[str, t.Any], arch: str) -> bool:
    platform = described.get("platform") or {}
    return (platform.get("os"), platform.get("architecture")) == ("linux", arch)


def _copy(answer: Response, file: str, most: int) -> str:
    """Write a body, as far as it may go. Its sha256."""
    found, size = hashlib.sha256(), 0
    with open(file, "wb") as out:
        while size <= most and (piece := answer.body.read(_PIECE)):
            out.write(piece)
            found.update(piece)
            size += len(piece)
    return found.hexdigest()
