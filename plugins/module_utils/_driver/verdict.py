# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""From what is known about the driver of a host to one word, with the reasons and the next step. Pure."""

from __future__ import annotations

import dataclasses
import typing as t

from . import generations, packages, versions
from .types import Desired, Kernel, Module, State, Vendor, Verdict, Word

# The most urgent first: a package that is half installed is repaired before anything is built, and what is not built is
# not booted.
_ORDER: tuple[Word, ...] = ("broken", "absent", "rebuild", "reboot", "reload", "ok")
_NAMES: dict[Vendor | None, str] = {"nvidia": "NVIDIA", "amd": "AMD", None: "GPU"}
# Modules of the driver itself, and daemons that come with it: whoever reloads the driver stops them first.
_OWN_MODULES = ("nvidia_uvm", "nvidia_modeset", "nvidia_drm", "nvidia_peermem")
_OWN_DAEMONS = ("nvidia-persiste", "nv-fabricmanage", "nvidia-imex", "nvidia-gridd", "nv-topologyd", "nvlsm")
# Bound to one of these, a GPU is handed to a virtual machine, and no driver of this host is to take it.
_PASSED_ON = ("vfio-pci", "pci-stub", "xen-pciback")


@dataclasses.dataclass(frozen=True)
class Finding:
    """``word`` is the verdict that it alone would be; ``ok`` is for what is only said."""

    word: Word
    reason: str
    step: str | None = None


def diagnose(state: State, desired: Desired) -> Verdict:
    """The most urgent finding gives the word, and the first of it that has one gives the next step."""
    found = sorted(_findings(state, desired), key=lambda finding: _ORDER.index(finding.word))
    word = found[0].word if found else "ok"
    if word == "ok":
        found.insert(0, Finding("ok", _praise(state)))
    step = next((finding.step for finding in found if finding.word == word and finding.step), None)
    return Verdict(word, tuple(finding.reason for finding in found), step)


def _findings(state: State, desired: Desired) -> t.Iterator[Finding]:
    if not _has_driver(state):
        yield from _absent(state, desired)
        yield from _notes(state)
        return
    yield from _failed_builds(state)
    yield from _packages(state)
    yield from _signatures(state)
    yield from _gpus(state)
    yield from _fabric_manager(state)
    yield from _other_than_desired(state, desired)
    yield from _kernels(state)
    yield from _running(state)
    yield from _notes(state)


def _has_driver(state: State) -> bool:
    """By packages, or by a module that did not come with the kernel, which NVIDIA's installer leaves."""
    if _parts(state) and (state.gpus or _has_module(state)):
        return True
    if any(kernel.module and kernel.module.origin != "kernel" for kernel in state.kernels):
        return True
    # A module that is loaded and not on disk any more is all that is left of a driver; in a container the disk is
    # another one.
    in_container = not any(kernel.running for kernel in state.kernels)
    return in_container and state.vendor == "nvidia" and state.loaded.module is not None


def _has_module(state: State) -> bool:
    """Whether a package, a kernel on disk or the running one has the driver's module.

    Libraries and tools alone come with images of clouds and with programs, and drive nothing.
    """
    if state.loaded.module and state.vendor == "nvidia":
        return True
    return any(packages.has_module(package) for package in state.installed.packages) or any(
        kernel.module and kernel.module.origin != "kernel" for kernel in state.kernels
    )


def _parts(state: State) -> list[str]:
    return [package.name for package in state.installed.packages if packages.is_part(package)]


def _expected(state: State) -> str | None:
    """The version that the module should have."""
    modules = [package for package in state.installed.packages if packages.has_module(package)]
    of_module = next((versions.upstream(package.version) for package in modules if packages.is_part(package)), None)
    # Without packages, what is on disk for the running kernel.
    on_disk = next((kernel.module.version for kernel in state.kernels if kernel.running and kernel.module), None)
    return state.installed.version or of_module or on_disk


def _absent(state: State, desired: Desired) -> t.Iterator[Finding]:
    name = _NAMES[state.vendor]
    left = [package.name for package in state.installed.packages if package.state == "config_files"]
    rest = f" Configuration of {_list(left)} is left." if left else ""
    is_desired = desired.version or desired.flavour
    if parts := _parts(state):
        rest = f" Libraries or tools of one are installed ({_list(parts)}), and its kernel module is nowhere.{rest}"
    if not state.gpus and not is_desired:
        yield Finding("absent", f"No GPU driver is installed, and no GPU is on the PCI bus.{rest}")
        return
    own = ""
    if state.loaded.module and state.vendor == "amd":
        own = " The module that came with the kernel is loaded."
    elif state.loaded.module:
        own = f" Its module {state.loaded.version} is still loaded."
    gpus = f" for the {_count(len(state.gpus), f'{name} GPU')} on the PCI bus" if state.gpus else ""
    yield Finding("absent", f"No {name} driver is installed{gpus}.{own}{rest}", f"Install {_called(state, desired)}.")
    for other in state.other_drivers:
        yield Finding("ok", f"{other} is loaded, and must make way for the driver: that takes a reboot.")


def _other_than_desired(state: State, desired: Desired) -> t.Iterator[Finding]:
    have = _expected(state)
    if desired.version and have and not versions.fits(have, desired.version):
        yield Finding(
            "absent",
            f"Driver {desired.version} is desired, and {have} is installed.",
            f"Install {_called(state, desired)}.",
        )
    flavour = state.installed.flavour
    if desired.flavour and flavour and flavour != desired.flavour:
        yield Finding(
            "absent",
            f"The {desired.flavour} kernel module is desired, and the {flavour} one is installed.",
            f"Install {_called(state, desired)}.",
        )


def _failed_builds(state: State) -> t.Iterator[Finding]:
    """Broken where the kernel matters, and where the package could not be installed because of it."""
    stuck = any(packages.has_module(package) and not packages.is_whole(package) for package in state.installed.packages)
    for kernel in _urgent_first(state.kernels):
        if kernel.dkms and kernel.dkms.state == "failed" and not _fits(kernel.module, _expected(state)):
            yield Finding(
                "broken" if kernel.running or kernel.next_boot or stuck else "rebuild",
                f"DKMS could not build driver {kernel.dkms.version} for kernel {_told(kernel)}: "
                f"{kernel.dkms.last_words}.",
                "Fix what the build log below /var/lib/dkms complains of, install a driver that this kernel can have, "
                "or remove the kernel; then run "
                + ("dpkg --configure -a." if stuck else f"dkms autoinstall -k {kernel.release}."),
            )


def _packages(state: State) -> t.Iterator[Finding]:
    half = [package for package in state.installed.packages if not packages.is_whole(package)]
    for package in half:
        yield Finding(
            "broken",
            f"Package {package.name} {package.version} is {_words(package.state)}: its installation was cut off, "
            "or one of its scripts failed.",
            "Run dpkg --configure -a, then apt-get --fix-broken install.",
        )
    if state.mismatches:
        yield Finding(
            "broken",
            f"The driver's packages are of different versions, and work only in one: {_by_version(state)}.",
            "Bring all packages of the driver to one version.",
        )
    parts = [package for package in state.installed.packages if packages.is_part(package)]
    makers = [package.name for package in parts if package.source == "vendor"]
    others = [package.name for package in parts if package.source == "distribution"]
    if makers and others:
        yield Finding(
            "broken",
            f"The driver is a mixture of {_NAMES[state.vendor]}'s packages ({_list(makers)}) "
            f"and the distribution's ({_list(others)}).",
            "Remove the packages of one of the two sources.",
        )
    on_disk = [kernel.module for kernel in state.kernels if kernel.module]
    if parts and state.gpus and not on_disk and not state.loaded.module and not _has_module(state):
        yield Finding(
            "broken",
            f"The driver's libraries are installed ({_list([package.name for package in parts])}), "
            "and nothing that has its kernel module.",
            "Install the package with the kernel module of the same version.",
        )


def _by_version(state: State) -> str:
    parts = [package for package in state.installed.packages if packages.is_part(package)]
    names: dict[str, list[str]] = {}
    for package in parts:
        names.setdefault(versions.upstream(package.version), []).append(package.name)
    fewest_first = sorted(names.items(), key=lambda item: len(item[1]))
    return "; ".join(f"{version} ({_list(found)})" for version, found in fewest_first)


def _signatures(state: State) -> t.Iterator[Finding]:
    if state.secure_boot != "enabled":
        return
    for kernel in _urgent_first(state.kernels):
        module = kernel.module
        if module is None or module.origin == "kernel" or not (kernel.running or kernel.next_boot):
            continue
        if kernel.running and state.loaded.module and versions.same(state.loaded.version, module.version):
            # The kernel has taken it.
            continue
        if module.signer is None:
            yield Finding(
                "broken",
                f"Secure Boot is enabled, and the module for kernel {_told(kernel)} is not signed: "
                "the kernel will not load it.",
                "Install a module that the distribution has signed, or have DKMS sign it and enrol the key.",
            )
        elif module.origin == "dkms" and state.mok.enrolled is False:
            said = f"with a key that is not enrolled ({state.mok.key}, signer {module.signer})"
            yield Finding(
                "broken",
                f"Secure Boot is enabled, and the module for kernel {_told(kernel)} is signed {said}: "
                "the kernel will not load it.",
                "Reboot with somebody at the console, who confirms the enrolment of the key."
                if state.mok.import_pending
                else f"Run mokutil --import {state.mok.key}, and reboot with somebody at the console, who confirms it.",
            )
        elif module.origin == "dkms" and state.mok.enrolled is None:
            yield Finding(
                "ok",
                f"Secure Boot is enabled, and nobody could say whether the key of {module.signer} is enrolled, "
                f"which has signed the module for kernel {_told(kernel)}.",
            )


def _gpus(state: State) -> t.Iterator[Finding]:
    """Whether the branch and the flavour drive the GPUs at all."""
    if state.vendor != "nvidia":
        return
    known = {gpu.pci_id: gpu.generation for gpu in state.gpus if gpu.generation}
    branch = versions.branch(_expected(state))
    flavour = state.installed.flavour or next(
        (kernel.module.flavour for kernel in state.kernels if kernel.module), None
    )
    choice = generations.flavour_for(known, branch, flavour, from_vendor=False)
    if known and choice.refusal:
        yield Finding("broken", choice.refusal, "Install a driver that drives all GPUs of this host.")


def _fabric_manager(state: State) -> t.Iterator[Finding]:
    manager = state.fabric_manager
    if not manager.needed:
        return
    if manager.version is None:
        yield Finding(
            "broken",
            "The GPUs are joined by NVSwitches, and no fabric manager is installed: no CUDA program will start.",
            f"Install the fabric manager of version {_expected(state)}.",
        )
    elif manager.active is False and not state.mismatches and _fits_loaded(state):
        yield Finding(
            "broken",
            "The GPUs are joined by NVSwitches, and the fabric manager does not run: no CUDA program will start.",
            "Start nvidia-fabricmanager.service, and read its journal if it does not stay up.",
        )


def _kernels(state: State) -> t.Iterator[Finding]:
    """Installed kernels that cannot drive the GPUs when they are booted. The running one need not be installed."""
    has_module = any(packages.has_module(package) for package in state.installed.packages)
    if not has_module and not any(kernel.module for kernel in state.kernels):
        return
    expected = _expected(state)
    if not state.kernels and not state.loaded.module:
        yield Finding(
            "rebuild",
            f"No kernel is installed that could have the module of driver {expected}, and the running kernel has not "
            "loaded one.",
            "Install a kernel with its headers; in a container, have the driver on the machine that runs it.",
        )
    by_dkms = any(kernel.dkms for kernel in state.kernels)
    in_packages = any(kernel.module and kernel.module.origin == "prebuilt" for kernel in state.kernels)
    # What comes in packages may not be there any more for older ones.
    known = any(kernel.running or kernel.next_boot for kernel in state.kernels)
    for kernel in _urgent_first(state.kernels):
        module = kernel.module
        if module and module.origin != "kernel" and _fits(module, expected):
            if by_dkms and module.origin == "dkms" and not kernel.headers:
                yield Finding(
                    "ok",
                    f"The headers of kernel {_told(kernel)} are not installed: "
                    "the next version of the driver could not be built for it.",
                )
            continue
        if kernel.dkms and kernel.dkms.state == "failed":
            continue  # told already
        headers = not kernel.headers and (by_dkms or not (module or in_packages))
        why = ", and its headers are not installed" if headers else ""
        if module and module.origin != "kernel":
            said = f"has the driver's module in version {module.version}, where {expected} is installed{why}"
        else:
            said = f"has no module of the driver{why}"
        if not by_dkms and known and not (kernel.running or kernel.next_boot):
            yield Finding("ok", f"Kernel {_told(kernel)} {said}: booted, it drives no GPU.")
            continue
        if not by_dkms:
            step = f"Install the package with the driver's module for kernel {kernel.release}."
        elif headers:
            step = f"Install the headers of kernel {kernel.release}, and run dkms autoinstall -k {kernel.release}."
        else:
            step = f"Run dkms autoinstall -k {kernel.release}."
        yield Finding("rebuild", f"Kernel {_told(kernel)} {said}.", step)


def _running(state: State) -> t.Iterator[Finding]:
    """Whether the running kernel has the module loaded that is on disk, and if not, whether it can without a reboot."""
    loaded, expected = state.loaded, _expected(state)
    taken = [gpu.pci_address for gpu in state.gpus if gpu.kernel_driver in _spellings(state.other_drivers)]
    for other in state.other_drivers:
        if taken or not loaded.module:
            drives = f" and drives GPU {_list(taken)}" if taken else ""
            yield Finding(
                "reboot",
                f"{other} is loaded{drives}: the driver cannot take its place while the host runs.",
                "Reboot, with the module in no initramfs and on the list of those that are not loaded.",
            )
    running = next((kernel for kernel in state.kernels if kernel.running), None)
    following = next((kernel for kernel in state.kernels if kernel.next_boot), None)
    on_disk = running.module if running else None
    ready = on_disk is not None and on_disk.origin != "kernel" and _fits(on_disk, expected)
    if loaded.module is None:
        if state.other_drivers or not any(gpu.kernel_driver not in _PASSED_ON for gpu in state.gpus):
            return
        if ready:
            yield Finding("reload", "The driver is installed, and its module is not loaded.", _load(state))
        elif following and not following.running and _fits(following.module, expected):
            yield Finding(
                "reboot",
                f"The running kernel {state.running_kernel} has no module of the driver to load, and kernel "
                f"{following.release}, which boots next, has one.",
                f"Reboot into kernel {following.release}.",
            )
        return
    if _fits_loaded(state):
        return
    have = f"{loaded.version or 'of an unknown version'}{f' ({loaded.flavour})' if loaded.flavour else ''}"
    want = f"{expected}{f' ({_flavour(state)})' if _flavour(state) else ''}"
    sentence = f"The loaded module is {have}, and the installed driver is {want}"
    if running and not ready:
        # What is told about the kernel comes first; what is loaded has to change all the same.
        yield Finding("reboot" if _holders(state) else "reload", f"{sentence}.", None)
    elif not running:
        yield Finding(
            "reboot",
            f"{sentence}; the running kernel {state.running_kernel} is not installed, and has no other module to load.",
            f"Reboot into kernel {following.release}." if following else "Reboot.",
        )
    elif holders := _holders(state):
        yield Finding("reboot", f"{sentence}; it is held by {holders}.", "End what holds it and reload, or reboot.")
    else:
        yield Finding("reload", f"{sentence}; nothing holds it.", _load(state))


def _notes(state: State) -> t.Iterator[Finding]:
    unknown = [gpu.pci_id for gpu in state.gpus if gpu.generation is None and state.vendor == "nvidia"]
    if unknown:
        yield Finding("ok", f"No table knows the PCI id {_list(unknown)}: which driver serves it is not known here.")
    if not _has_driver(state):
        return
    if state.running_kernel and not any(kernel.running for kernel in state.kernels):
        yield Finding(
            "ok",
            f"The running kernel {state.running_kernel} is not installed, as in a container or after its package was "
            "removed: nothing is said about its module.",
        )
    if not state.gpus:
        yield Finding("ok", f"No {_NAMES[state.vendor]} GPU is on the PCI bus.")
    if not any(packages.is_part(package) for package in state.installed.packages):
        yield Finding("ok", "The driver did not come in packages, so that the package manager cannot keep it right.")
    if state.excluded_from_unattended is False:
        yield Finding("ok", "Unattended upgrades can move parts of the driver under the loaded module.")


def _praise(state: State) -> str:
    expected, flavour = _expected(state), _flavour(state)
    name = f"Driver {expected or state.loaded.version}{f' ({flavour})' if flavour else ''}"
    built = f"its module is there for {_count(len(state.kernels), 'installed kernel')}"
    if not any(kernel.module for kernel in state.kernels):
        return f"{name} is installed{' and loaded' if state.loaded.module else ''}."
    return f"{name} is installed{' and loaded' if state.loaded.module else ''}, and {built}."


def _fits(module: Module | None, expected: str | None) -> bool:
    """Nobody says what a driver without packages should be: what is there is right."""
    return module is not None and (expected is None or versions.same(module.version, expected))


def _fits_loaded(state: State) -> bool:
    loaded, expected, flavour = state.loaded, _expected(state), _flavour(state)
    if loaded.module is None or (expected and not versions.same(loaded.version, expected)):
        return False
    return not (loaded.flavour and flavour and loaded.flavour != flavour)


def _flavour(state: State) -> str | None:
    """Of what would be loaded: the running kernel's module knows better than the names of packages."""
    running = next((kernel.module for kernel in state.kernels if kernel.running and kernel.module), None)
    return (running.flavour if running else None) or state.installed.flavour


def _holders(state: State) -> str:
    """Who keeps the module from being unloaded, in words. Empty when nobody does."""
    users = [f"{user.name} (pid {user.pid})" for user in state.users or () if user.name not in _OWN_DAEMONS]
    modules = [name for name in state.loaded.dependents if name not in _OWN_MODULES]
    held = [*(f"module {name}" for name in modules), *users]
    if not held and not state.users and state.loaded.refcount:
        # A console on the GPU, or a process that we may not see.
        held = [_count(state.loaded.refcount, "reference") + " of unknown origin"]
    return _list(held)


def _load(state: State) -> str:
    name = "amdgpu" if state.vendor == "amd" else "nvidia"
    if not state.loaded.module:
        return f"Load it with modprobe {name}."
    unload = " ".join((*state.loaded.dependents, name))
    return f"Stop the driver's own daemons, unload {unload}, and load {name} again."


def _called(state: State, desired: Desired) -> str:
    words = ("the", _NAMES[state.vendor] if state.vendor else "GPU", "driver", desired.version)
    name = " ".join(word for word in words if word)
    return f"{name} with the {desired.flavour} kernel module" if desired.flavour else name


def _urgent_first(kernels: t.Sequence[Kernel]) -> list[Kernel]:
    """The running one, the next one, and the others from the newest on."""
    return sorted(reversed(kernels), key=lambda kernel: (not kernel.running, not kernel.next_boot))


def _told(kernel: Kernel) -> str:
    words = [word for word, is_so in (("running", kernel.running), ("boots next", kernel.next_boot)) if is_so]
    return f"{kernel.release} ({', '.join(words)})" if words else kernel.release


def _spellings(names: t.Iterable[str]) -> set[str]:
    """A driver of the PCI bus can be called nova-core where its module is nova_core, or NovaCore."""
    return {spelling for name in names for spelling in (name, name.replace("_", "-"), name.title().replace("_", ""))}


def _words(state: str) -> str:
    return state.replace("_", " ")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _list(names: t.Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(names))
