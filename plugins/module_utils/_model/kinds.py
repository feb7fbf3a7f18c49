# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""The kinds of sources, by the scheme that they are written with."""

from __future__ import annotations

import typing as t

from .hub import HubSource
from .local import LocalSource
from .oci import OciSource
from .s3 import S3Source
from .source import Source
from .web import WebSource

KINDS: t.Mapping[str, type[Source]] = {
    "hf": HubSource,
    "s3": S3Source,
    "oci": OciSource,
    "https": WebSource,
    "http": WebSource,
    "file": LocalSource,
}


def misplaced(kind: type[Source], given: t.Iterable[str]) -> list[str]:
    """Options of other kinds, each with the scheme that it goes with."""
    homes = {option: scheme for scheme, other in KINDS.items() for option in other.OPTIONS}
    return [f"{option} goes with {homes[option]}://" for option in given if option in homes.keys() - {*kind.OPTIONS}]


def forms() -> str:
    """How sources are written, for people."""
    found = list(dict.fromkeys(kind.FORM for kind in KINDS.values()))
    return f"{', '.join(found[:-1])} or {found[-1]}"


def listing() -> str:
    """The schemes of those that have a list of their files, and so a revision."""
    return ", ".join(f"{scheme}://" for scheme, kind in KINDS.items() if kind.LISTS)
