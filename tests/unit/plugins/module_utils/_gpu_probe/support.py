# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that load GPUs, as Running starts them, without processes."""

from __future__ import annotations

from ansible_collections.mlops.hosts.plugins.module_utils._gpu.info import collect
from ansible_collections.mlops.hosts.plugins.module_utils._gpu_probe.load import Load
from ansible_collections.mlops.hosts.plugins.module_utils._runner import Completed


class Clock:
    """Goes on when somebody waits."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


class Stream:
    """A program that prints after ``takes_s``; a wait for lines moves the clock. The limit of timeout(1) ends it."""

    def __init__(self, run, clock, takes_s, argv):
        self.run, self.clock, self.left = run, clock, takes_s
        limit = next(place for place, word in enumerate(argv) if not word.startswith("-") and place)
        self.limit, self.argv = float(argv[limit]), tuple(word for word in argv[limit + 1 :] if word != "env")
        self.argv = tuple(word for word in self.argv if not word.startswith("CUDA_DEVICE_ORDER="))
        assert argv[0] == "timeout" and "--signal=INT" in argv
        self.done, self.rest = None, b""

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        pass

    def read(self, timeout_s):
        if self.done:
            return None
        wait = min(timeout_s, self.left, self.limit)
        self.clock.now += wait
        self.left, self.limit = self.left - wait, self.limit - wait
        if self.left <= 0:
            self.done = self.run(*self.argv)
            *lines, self.rest = self.done.stdout.encode().split(b"\n")
            return lines
        if self.limit <= 0:
            self.done = Completed(self.argv, 124, "", "")
        return []

    def completed(self):
        return Completed(self.argv, self.done.rc, "", self.done.stderr)


def load(run, *, takes_s=12.0, clock=None):
    clock = clock or Clock()
    return Load(
        run,
        stream=lambda *argv: Stream(run, clock, takes_s, argv),
        read=lambda one: collect(one, sysfs_root="/nowhere"),
        clock=clock,
    )
