# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""What is known about the GPU driver of a host. Field names are the keys that ``driver_info`` returns.

A thing that could not be learnt is None, never a guess.
"""

from __future__ import annotations

import dataclasses
import typing as t

Vendor = t.Literal["nvidia", "amd"]
Flavour = t.Literal["open", "proprietary"]
Source = t.Literal["vendor", "distribution"]
Word = t.Literal["ok", "absent", "reload", "reboot", "rebuild", "broken"]
Origin = t.Literal["dkms", "prebuilt", "kernel"]
DkmsState = t.Literal["added", "built", "installed", "failed"]
SecureBoot = t.Literal["enabled", "disabled", "unsupported"]
Rule = t.Literal["grub", "loader", "newest"]


@dataclasses.dataclass(frozen=True)
class Desired:
    """What is desired: ``version`` is a branch ("580") or exact ("580.178.04")."""

    version: str | None = None
    flavour: Flavour | None = None


@dataclasses.dataclass(frozen=True)
class Gpu:
    """A GPU on the PCI bus. ``generation`` is None for an id that the table does not have."""

    pci_address: str
    pci_id: str
    generation: str | None = None
    kernel_driver: str | None = None
    is_virtual_function: bool = False


@dataclasses.dataclass(frozen=True)
class Package:
    """A package of the driver. ``state`` is the package manager's word, with underscores."""

    name: str
    version: str
    state: str = "installed"
    held: bool = False
    source: Source | None = None


@dataclasses.dataclass(frozen=True)
class Installed:
    """What the package manager has. ``version`` is that of the libraries in user space."""

    version: str | None = None
    flavour: Flavour | None = None
    source: Source | None = None
    packages: tuple[Package, ...] = ()


@dataclasses.dataclass(frozen=True)
class Loaded:
    """The module in the running kernel; ``module`` is None when there is none.

    ``dependents`` are the modules that need it, in the order in which they can be unloaded. ``refcount`` counts what
    else holds it or one of its dependents: open devices, a console.
    """

    module: str | None = None
    version: str | None = None
    flavour: Flavour | None = None
    dependents: tuple[str, ...] = ()
    refcount: int | None = None


@dataclasses.dataclass(frozen=True)
class Module:
    """A module on disk: the one that modprobe would load."""

    version: str | None
    flavour: Flavour | None
    signer: str | None
    origin: Origin
    path: str


@dataclasses.dataclass(frozen=True)
class Dkms:
    """How far DKMS came with the newest version that it knows; ``last_words`` are those of a build that failed."""

    version: str
    state: DkmsState
    last_words: str | None = None


@dataclasses.dataclass(frozen=True)
class Kernel:
    """An installed kernel."""

    release: str
    running: bool = False
    next_boot: bool = False
    headers: bool = False
    module: Module | None = None
    dkms: Dkms | None = None


@dataclasses.dataclass(frozen=True)
class Mok:
    """The machine owner's key that modules are signed with: ``key`` is its public half."""

    enrolled: bool | None = None
    import_pending: bool | None = None
    key: str | None = None


@dataclasses.dataclass(frozen=True)
class User:
    """A process that has a device of the driver open. ``name`` never holds arguments: they can be secrets."""

    pid: int
    name: str | None


@dataclasses.dataclass(frozen=True)
class FabricManager:
    """``active`` is None where it is not installed."""

    needed: bool = False
    version: str | None = None
    active: bool | None = None


@dataclasses.dataclass(frozen=True)
class Mismatch:
    """A package whose version must be that of the driver, and is not."""

    name: str
    version: str


@dataclasses.dataclass(frozen=True)
class Disruption:
    """What role gpu_driver noted before it took the host out of service: a run that was killed is still in it."""

    boot_id: str | None = None
    reasons: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class State:
    """All of it."""

    vendor: Vendor | None = None
    gpus: tuple[Gpu, ...] = ()
    nvswitches: int = 0
    installed: Installed = Installed()
    loaded: Loaded = Loaded()
    kernels: tuple[Kernel, ...] = ()
    kernel_packages: tuple[str, ...] = ()
    running_kernel: str | None = None
    next_kernel: str | None = None
    next_kernel_rule: Rule | None = None
    secure_boot: SecureBoot | None = None
    mok: Mok = Mok()
    other_drivers: tuple[str, ...] = ()
    users: tuple[User, ...] | None = ()
    excluded_from_unattended: bool | None = None
    fabric_manager: FabricManager = FabricManager()
    mismatches: tuple[Mismatch, ...] = ()
    boot_id: str | None = None
    architecture: str | None = None
    disruption: Disruption | None = None


@dataclasses.dataclass(frozen=True)
class Verdict:
    """One word, why in sentences with the most urgent first, and what to do."""

    verdict: Word
    reasons: tuple[str, ...] = ()
    next_step: str | None = None


def as_result(state: State, desired: Desired, verdict: Verdict) -> dict[str, t.Any]:
    """The return values of ``driver_info``, JSON-native."""
    parts = (dataclasses.asdict(verdict), {"desired": dataclasses.asdict(desired)}, dataclasses.asdict(state))
    return {key: _plain(value) for part in parts for key, value in part.items()}


def _plain(value: t.Any) -> t.Any:
    """asdict keeps tuples; JSON has lists only."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, tuple) else value
