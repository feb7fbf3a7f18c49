# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Models as static files at the places where sources are asked for them: a hub's answers, and files of web servers."""

from __future__ import annotations

import hashlib
import json
import os
import typing as t
import urllib.parse

from .._errors import HostError
from . import files
from .manifest import Entry

COMPONENT = "model_store"


def place(source: str, revision: str | None) -> str:
    """The folder of a bundle that has the files of a source. HostError for sources that no static file can be."""
    scheme, _colon, rest = source.partition("://")
    if scheme == "hf":
        return f"hub/{'/'.join(rest.split('/')[:2])}/resolve/{revision}"
    if scheme in ("http", "https"):
        parts = urllib.parse.urlsplit(source)
        return f"web/{parts.netloc}{urllib.parse.unquote(parts.path).rstrip('/')}"
    raise HostError(
        f"{source} cannot be in a bundle, which has models of hf://, https:// and http://; have its store in the "
        "closed network, or take the model from one of those"
    )


def is_mirrored(source: str) -> bool:
    return source.partition("://")[0] in ("hf", "http", "https")


def entries(model: t.Mapping[str, t.Any], folder: str, out: str) -> tuple[list[Entry], int]:
    """Publish the files of a model that is in ``folder``. The entries, and how many files were not there."""
    source, revision = model["source"], model.get("revision")
    at = place(source, revision)
    one_file = bool(model.get("sha256")) and not source.startswith("hf://")
    at = os.path.dirname(at) if one_file else at
    found, new = [], 0
    for path in _below(folder):
        full = os.path.realpath(os.path.join(folder, path))
        sha256, target = files.digest(full), f"{at}/{path}"
        new += files.publish(full, os.path.join(out, target), sha256)
        size = os.path.getsize(full)
        found.append(Entry("model", model["name"], revision or "", "", "", target, sha256, size, source, (COMPONENT,)))
    return found, new


def listing(source: str, revision: str, all_entries: t.Iterable[Entry], out: str) -> Entry:
    """What a hub says of a repository at a commit: the files that the bundle has of it."""
    at = place(source, revision)
    siblings = [_sibling(one, at, out) for one in all_entries if one.path.startswith(f"{at}/")]
    repo = at.split("/", 1)[1].rsplit("/resolve/", 1)[0]
    path = f"hub/api/models/{repo}/revision/{revision}"
    data = json.dumps({"id": repo, "sha": revision, "siblings": siblings}, indent=1).encode()
    files.write(os.path.join(out, path), data)
    sha256 = hashlib.sha256(data).hexdigest()
    return Entry("file", repo, revision, "", "", path, sha256, len(data), source, (COMPONENT,))


def _sibling(one: Entry, at: str, out: str) -> dict[str, t.Any]:
    return {
        "rfilename": one.path[len(at) + 1 :],
        "size": one.size,
        "blobId": _git(os.path.join(out, one.path), one.size),
        "lfs": {"sha256": one.sha256, "size": one.size},
    }


def _git(path: str, size: int) -> str:
    found = hashlib.sha1(f"blob {size}\0".encode())  # noqa: S324 (git's own)
    with open(path, "rb") as source:
        while piece := source.read(1024 * 1024):
            found.update(piece)
    return found.hexdigest()


def _below(folder: str) -> list[str]:
    found = [
        os.path.relpath(os.path.join(at, name), folder) for at, _folders, names in os.walk(folder) for name in names
    ]
    return sorted(path for path in found if not path.startswith(".mlops-"))
