# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Reads the NVIDIA GPUs of a host, and changes them with nvidia-smi."""

from __future__ import annotations

import re
import typing as t

from .._driver import device_holders
from .._errors import CommandError, HostError
from .._gpu import nvidia, pci
from .._gpu.types import Gpu
from .._runner import Completed, Runner
from .select import Entry

# An exit code of 0 proves nothing: "... is not supported for GPU ...", "Treating as warning and moving on."
_WARNED = re.compile(r"^.*(?:treating as warning|not supported\b|^\s*warning:).*$", re.IGNORECASE | re.MULTILINE)
IN_USE = "in use by another client"


class Smi:
    """nvidia-smi on one host. ``commands`` holds what has been run to change something."""

    def __init__(self, run: Runner, *, timeout_s: float, root: str = "/") -> None:
        self.run = run
        self.timeout_s = timeout_s
        self.commands: list[tuple[str, ...]] = []
        self._root = root

    def gpus(self) -> tuple[Gpu, ...]:
        """The GPUs that the driver offers. Raises HostError when there is none, or nvidia-smi does not answer."""
        answer = nvidia.read(self.run, self._on_the_bus(), timeout_s=self.timeout_s)
        if not answer.gpus:
            raise HostError(f"no NVIDIA GPU can be set: {answer.why_unlisted}", unanswered=True)
        return tuple(gpu for gpu in answer.gpus if gpu.uuid)

    def missing(self, gpus: t.Sequence[Gpu], entries: t.Sequence[Entry]) -> list[str]:
        """A sentence for each GPU that is meant by ``all``, and that the driver does not offer."""
        if not any(str(entry["select"]).strip().lower() == "all" for entry in entries):
            return []
        offered = {gpu.pci_address for gpu in gpus}
        return [
            f"All GPUs are meant, and nvidia-smi does not list the one at {address}, which is on the PCI bus."
            for address in self._on_the_bus()
            if address not in offered
        ]

    def _on_the_bus(self) -> list[str]:
        return [
            device.pci_address
            for device in pci.scan(f"{self._root.rstrip('/')}/sys")
            if device.vendor == "nvidia" and not device.is_virtual_function
        ]

    def ask(self, *argv: str) -> Completed:
        """Run nvidia-smi to read something."""
        return self.run("nvidia-smi", *argv, timeout_s=self.timeout_s)

    def change(self, what: str, argv: tuple[str, ...], *, may_warn: bool = False) -> Completed:
        """Run a command that changes something; ``what`` is a clause such as "ECC was not set on ...".

        Raises CommandError when it fails, or exits with status 0 and says that it has done nothing. ``may_warn``:
        the caller reads back, and knows what to make of a warning.
        """
        self.commands.append(argv)
        done = self.run(*argv, timeout_s=self.timeout_s)
        if done.timed_out:
            raise CommandError(f"{what}: nvidia-smi did not end in {self.timeout_s:g} s", done)
        if done.rc != 0:
            raise CommandError(
                f"{what}: nvidia-smi exited with status {done.rc}: {said(done)}{self._holders(done)}", done
            )
        if not may_warn and _WARNED.search(done.stdout + "\n" + done.stderr):
            raise CommandError(f"{what}: nvidia-smi exited with status 0, and said: {said(done)}", done)
        return done

    def holders(self) -> str:
        """Who has a device of the driver open; nvidia-smi does not list all who stand in its way."""
        found = device_holders.read(self._root, "nvidia") or ()
        return ", ".join(f"{user.name} (pid {user.pid})" for user in found)

    def _holders(self, done: Completed) -> str:
        if IN_USE not in (done.stdout + done.stderr).lower():
            return ""
        holders = self.holders()
        return f". Devices of the driver are open in: {holders}" if holders else ""


def said(done: Completed) -> str:
    """All lines that it printed, as one."""
    lines = [line.strip() for line in f"{done.stdout}\n{done.stderr}".splitlines() if line.strip()]
    return " | ".join(lines) or "nothing"
