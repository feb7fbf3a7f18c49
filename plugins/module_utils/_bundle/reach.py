# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Whether a host reaches what it needs of a bundle, and whether that is what the manifest says."""

from __future__ import annotations

import concurrent.futures
import hashlib
import typing as t
import urllib.parse

from .._errors import HostError
from .._http import Fetch
from .manifest import Entry

_TIMEOUT_S = 30
# Indexes are small, and decide over what is taken: they are read.
_READ = ("file", "key")


def problems(url: str, entries: t.Sequence[Entry], fetch: Fetch, *, parallel: int = 8) -> list[str]:
    """A sentence for each entry that cannot be had as it should be, in their order."""
    if not entries:
        return []
    # Where nothing answers, one sentence is enough, and hundreds would take hundreds of timeouts.
    try:
        first = [_problem(url, entries[0], fetch)]
    except HostError as exc:
        return [f"the mirror does not answer: {exc}; start its web server, or correct mlops_hosts_mirror"]
    with concurrent.futures.ThreadPoolExecutor(max_workers=parallel) as pool:
        found = [*first, *pool.map(lambda one: _contained(url, one, fetch), entries[1:])]
    return [sentence for sentence in found if sentence]


def address(url: str, path: str) -> str:
    return f"{url.rstrip('/')}/{urllib.parse.quote(path)}"


def _contained(url: str, one: Entry, fetch: Fetch) -> str | None:
    try:
        return _problem(url, one, fetch)
    except HostError as exc:
        return str(exc)


def _problem(url: str, one: Entry, fetch: Fetch) -> str | None:
    at, whole = address(url, one.path), one.kind in _READ
    with fetch(at, method="GET" if whole else "HEAD", timeout_s=_TIMEOUT_S) as answer:
        if answer.status != 200:
            return f"{at} ({one.kind} {one.name}) has status {answer.status}; copy the whole bundle to the mirror"
        if not whole:
            size = answer.headers.get("content-length")
            if size != str(one.size):
                return f"{at} ({one.kind} {one.name}) has {size} bytes, and {one.size} in the manifest; copy it again"
            return None
        data = answer.body.read(one.size + 1)
    if hashlib.sha256(data).hexdigest() != one.sha256:
        return f"{at} ({one.kind} {one.name}) is not what the manifest says; copy the bundle that the manifest is of"
    return None
