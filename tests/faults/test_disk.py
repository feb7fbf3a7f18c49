# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A disk becomes full, or read-only, at the worst moment."""

from __future__ import annotations

import contextlib

import pytest
from host import own_disk
from states import ETC, SETTINGS
from test_steps import ends

STATE = "/var/lib/mlops.hosts"
FULL, READ_ONLY = "No space left on device", "Read-only file system"


@contextlib.contextmanager
def full(host, path):
    host.sh(f"dd if=/dev/zero of={path}/filler bs=4k 2>/dev/null || true")
    yield
    host.sh(f"rm {path}/filler")


@contextlib.contextmanager
def read_only(host, path):
    host.sh(f"mount -o remount,ro {path}")
    yield
    host.sh(f"mount -o remount,rw {path}")


CASES = [
    (full, ETC, "stage", FULL, "same run", "disk full while staging"),
    (full, STATE, "journal", FULL, "same run", "disk full while journaling"),
    (full, STATE, "swap", FULL, "same run", "disk full while swapping"),
    (full, STATE, "commit", FULL, "same run", "disk full at the commit"),
    (read_only, ETC, "directories", READ_ONLY, "same run", "target read-only from the start"),
    (read_only, ETC, "stage", READ_ONLY, "next run", "target read-only while staging"),
    (read_only, ETC, "swap", READ_ONLY, "next run", "target read-only while swapping"),
    (read_only, ETC, f"swapped {SETTINGS}", READ_ONLY, "next run", "target read-only after two of its files"),
]


@pytest.mark.parametrize(("fault", "path", "point", "words", "when", "name"), CASES, ids=[case[-1] for case in CASES])
def test_disk(host, note, fault, path, point, words, when, name):
    new = host.state.other(packages=False)
    with own_disk(host, path, "512k"):
        host.stop_at(point)
        run = host.start(host.component(new))
        host.reached(run)
        with fault(host, path):
            host.go_on()
            message = run.failed()
        assert words in message
        (result,) = run.results()
        assert result.get("rolled_back") is (when == "same run"), message
        if when == "same run":
            host.verify()
        ends(host, host.state)
    note("others", name, f"old, by the {when}", message)
