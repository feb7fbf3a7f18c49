# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Keeps services from starting while packages are repaired, with Debian's policy-rc.d."""

from __future__ import annotations

import contextlib
import typing as t

from . import fs_entry
from .fs_entry import Entry
from .journal import Journal
from .store import Store, pack, unpack

# Ansible's apt module lets nothing start by this file while it works, and takes it away; unless it is killed.
_POLICY = "/usr/sbin/policy-rc.d"
_NOTHING_STARTS = b"#!/bin/sh\nexit 101\n"


def record(journal: Journal, store: Store) -> None:
    """Note what decides whether packages may start their services, before the package manager's own policy."""
    if journal.manager == "apt":
        journal.policy = pack(fs_entry.read(_POLICY), store)


def restore(journal: Journal, store: Store) -> None:
    if journal.policy is not None and fs_entry.read(_POLICY).content == _NOTHING_STARTS:
        fs_entry.put(_POLICY, unpack(journal.policy, store))


@contextlib.contextmanager
def nothing_starts(journal: Journal, store: Store) -> t.Iterator[None]:
    fs_entry.put(_POLICY, Entry("file", content=_NOTHING_STARTS, mode=0o755, uid=0, gid=0))
    try:
        yield
    finally:
        restore(journal, store)
