# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Keys of clients. What leaves the controller is their SHA-256: a key is long and random, so that it cannot be guessed
from that. Pure."""

from __future__ import annotations

import dataclasses
import hashlib
import re
import typing as t

from ....module_utils._inference.question import KEY
from ..built import Data

SHORTEST = 20
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z")
_DIGEST = re.compile(r"[0-9a-f]{64}\Z")


@dataclasses.dataclass(frozen=True)
class Key:
    """``limit``: requests a minute, 0 for no limit, None for that of all keys."""

    name: str
    present: bool
    digest: str
    limit: int | None
    problem: str | None


def parse(item: Data) -> Key:
    secret, digest = item.get("key"), (item.get("sha256") or "").lower()
    problem = None
    if not _NAME.match(item["name"]):
        problem = "cannot be its name; use letters, digits, -, _ and dots, 64 at most"
    elif (secret is None) == (not digest):
        problem = "needs either key or sha256"
    elif secret is not None and (len(secret) < SHORTEST or not KEY.fullmatch(secret)):
        problem = (
            f"has a key that could be guessed or sent by no client; use {SHORTEST} or more random letters and digits"
        )
    elif digest and not _DIGEST.match(digest):
        problem = "has a sha256 that is none; use 64 hexadecimal digits, as sha256sum prints them"
    if secret is not None:
        digest = hashlib.sha256(secret.encode()).hexdigest()
    limit = item.get("requests_per_minute")
    return Key(item["name"], item.get("state", "present") != "absent", digest, limit, problem)


def problems(keys: t.Sequence[Key]) -> t.Iterator[str]:
    for key in keys:
        if key.problem:
            yield f"Key {key.name!r} of model_gateway_keys {key.problem}."
    for what, values in (
        ("name", [key.name for key in keys]),
        ("key", [key.digest for key in keys if not key.problem]),
    ):
        twice = sorted({key.name for key, value in zip(keys, values) if values.count(value) > 1})
        if twice:
            yield f"model_gateway_keys has one {what} twice, see {', '.join(twice)}; give each its own."
    if not keys:
        yield "model_gateway_keys has no key, so that every request would be refused; add one for each client."
