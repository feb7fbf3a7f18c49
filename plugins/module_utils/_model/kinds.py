# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""The kinds of sources, by the scheme that they are written with.

Each is imported when it is used: a fast check compiles all that it imports, on every host and each time.
"""

from __future__ import annotations

import typing as t

from .source import Source


def _hub() -> type[Source]:
    from .hub import HubSource

    return HubSource


def _s3() -> type[Source]:
    from .s3 import S3Source

    return S3Source


def _oci() -> type[Source]:
    from .oci import OciSource

    return OciSource


def _web() -> type[Source]:
    from .web import WebSource

    return WebSource


def _local() -> type[Source]:
    from .local import LocalSource

    return LocalSource


def _stored() -> type[Source]:
    from .stored import StoredSource

    return StoredSource


KINDS = {
    "hf": _hub,
    "s3": _s3,
    "oci": _oci,
    "https": _web,
    "http": _web,
    "file": _local,
    "store": _stored,
}
_OF_ONE_KIND = {"s3": "s3", "version_id": "s3", "username": "oci"}  # options and their scheme


def misplaced(scheme: str, options: t.Iterable[str]) -> list[str]:
    """Options of other kinds, each with the scheme that it goes with."""
    return [f"{name} goes with {_OF_ONE_KIND[name]}://" for name in options if _OF_ONE_KIND.get(name, scheme) != scheme]


def forms() -> str:
    """How sources are written, for people."""
    found = list(dict.fromkeys(kind().FORM for kind in KINDS.values()))
    return f"{', '.join(found[:-1])} or {found[-1]}"


def listing() -> str:
    """The schemes of those whose list of files can move, and so has a revision."""
    return ", ".join(f"{scheme}://" for scheme, kind in KINDS.items() if kind().REVISION)
