# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import subprocess
import sys

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._component import lock
from ansible_collections.mlops.hosts.plugins.module_utils._errors import HostError

HOLDER = """
import fcntl, sys
lock = open(sys.argv[1], "w")
fcntl.lockf(lock, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def held(tmp_path, monkeypatch):
    """A package manager's lock that another process holds; ends the holder when called."""
    path = tmp_path / "lock-frontend"
    monkeypatch.setattr(lock, "_PACKAGE_LOCKS", (str(path),))
    monkeypatch.setattr(lock, "_PACKAGE_PIDS", ())
    monkeypatch.setattr(lock, "_POLL_S", 0.01)
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout.readline() == b"held\n"
        yield holder
        holder.kill()


def test_the_holder_of_a_package_managers_lock_is_named(held):
    with pytest.raises(HostError, match="the package manager is held for more than 0 s by .*import fcntl") as caught:
        lock.wait_for_package_manager(0)
    assert f"(pid {held.pid}" in str(caught.value)
    assert caught.value.details == {"holder": {"pid": held.pid}}


def test_a_lock_that_comes_free_is_waited_for(held, monkeypatch):
    def end(seconds):
        held.kill()
        held.wait()

    monkeypatch.setattr(lock.time, "sleep", end)
    assert lock.wait_for_package_manager(60) is True
    assert lock.wait_for_package_manager(60) is False


def test_a_process_in_words(monkeypatch):
    texts = {
        "cmdline": "/usr/bin/python3\0/usr/bin/unattended-upgrade\0",
        "cgroup": "1:name=systemd:/\n0::/system.slice/apt-daily-upgrade.service\n",
    }
    monkeypatch.setattr(lock, "_proc", lambda pid, name: texts[name])
    assert lock.process(7) == "/usr/bin/python3 /usr/bin/unattended-upgrade (pid 7, apt-daily-upgrade.service)"


def test_a_process_that_is_gone():
    with subprocess.Popen(["true"]) as gone:
        gone.wait()
    assert lock.process(gone.pid) == f"a process that does not show itself (pid {gone.pid})"
    assert str(os.getpid()) in lock.process(os.getpid())
