# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""The UUIDs of NVIDIA GPUs by PCI address, asked of the driver, which may hang with a GPU in trouble."""

from __future__ import annotations

import os
import re
import threading
import typing as t

from .._gpu.pci import normal_address
from .._runner import Runner

PROC = "/proc/driver/nvidia/gpus"
_SMI = ("nvidia-smi", "-q", "-x")
_UUID = re.compile(r"^GPU UUID:\s*(GPU-[0-9a-f-]{36})\s*$", re.MULTILINE)
_GPU = re.compile(r'<gpu id="([^"]+)">(.*?)</gpu>', re.DOTALL)
_IN_XML = re.compile(r"<uuid>\s*(GPU-[0-9a-f-]{36})\s*</uuid>")


def read(run: Runner, addresses: t.Collection[str], *, root: str = "", timeout_s: float = 5) -> dict[str, str]:
    """Of GPUs that the driver knows. nvidia-smi is asked only when /proc does not have one of ``addresses``."""
    found = _of_proc(root + PROC)
    if not set(addresses) <= found.keys():
        done = run(*_SMI, timeout_s=timeout_s)
        for gpu in _GPU.finditer(done.stdout):
            address, uuid = normal_address(gpu[1]), _IN_XML.search(gpu[2])
            if address and uuid:
                found.setdefault(address, uuid[1])
    return found


def bounded(ask: t.Callable[[], dict[str, str]], *, timeout_s: float) -> dict[str, str]:
    """What ``ask`` finds, nothing where it fails or is not done in time: a process that waits for a driver that hangs
    cannot even be killed, so it is left behind."""
    found: dict[str, str] = {}

    def work() -> None:
        try:
            found.update(ask())
        except OSError:
            return

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(timeout_s)
    return {} if thread.is_alive() else found


def _of_proc(folder: str) -> dict[str, str]:
    found = {}
    try:
        names = os.listdir(folder)
    except OSError:
        return {}
    for name in names:
        try:
            with open(os.path.join(folder, name, "information"), encoding="ascii", errors="replace") as file:
                uuid = _UUID.search(file.read())
        except OSError:
            continue
        address = normal_address(name)
        # Of a GPU that is not initialised the driver has question marks.
        if address and uuid:
            found[address] = uuid[1]
    return found
