# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""From the options of role gpu_driver and what driver_info found to a component, and to what else is left. Pure."""

from __future__ import annotations

import re
import typing as t

from ....module_utils._driver import packages
from ....module_utils._driver.generations import Flavour, flavour_for
from ..built import Built, Data, Question
from ..nvidia_repository import Repository
from ..platform import Platform
from . import amd, config_files
from . import package_names as names

_VERSION = re.compile(r"(\d{3})(?:\.\d+){0,2}")


_INFO = "mlops.hosts.driver_info"
_COMPONENT: Data = {"name": "gpu_driver", "lock_timeout_s": 600}
_LOCK_TIMEOUT_S = 300


def facts(options: Data) -> tuple[str, ...]:
    if options["vendor"] == "none" or options["state"] == "absent":
        return ()
    return ("distribution", "distribution_release", "os_family")


def asks(options: Data) -> Question | None:
    """What is desired of a host depends on its GPUs, its kernels and the driver that it has."""
    if options["vendor"] == "none":
        return None
    desired = {}
    if options["state"] == "present":
        desired = {"version": options["version"], "flavour": options["flavour"]}
        desired = {name: value for name, value in desired.items() if value and value != "auto"}
    return Question(_INFO, {"vendor": options["vendor"], **desired})


def build(options: Data, platform: Platform, driver: Data | None = None) -> Built:
    """``driver``: what driver_info returned, None where nothing was asked."""
    if driver is None:
        return Built()
    told = {"asked": {_INFO: {name: driver[name] for name in ("vendor", "verdict", "reasons")}}}
    if options["state"] == "absent":
        return Built(
            component={**_COMPONENT, "state": "absent"},
            rest=lambda changed, dry_run: _rest_of_absent(options, driver, changed),
            published=told,
        )
    if not _has_one(options, driver):
        return Built(published=told)
    known = {"manager": "apt", "schemes": {}, "releases": {}, **platform.known.get("platform", {})}
    release = platform.distribution_major_version if known["manager"] == "dnf" else platform.distribution_release
    if release not in known["releases"]:
        releases = ", ".join(known["releases"]) or "Debian, Ubuntu and Enterprise Linux"
        host = f"{platform.distribution} {release}"
        return Built((f"gpu_driver knows {releases}, and this host is {host}; take it out of the play.",))
    where = {
        **known,
        "release": release,
        "distribution": platform.distribution,
        "distribution_version": platform.distribution_version,
    }
    found = resources(options, where, driver)
    if found["problems"]:
        return Built(tuple(found["problems"]))
    # Secure Boot would refuse the module: until its key is enrolled, the host keeps the driver that it has.
    headers = Question(
        "ansible.builtin.dnf", {"name": found["headers"], "state": "present", "lock_timeout": _LOCK_TIMEOUT_S}
    )
    return Built(
        notices=tuple(found["notices"]),
        before=(headers,) if found["headers"] and not found["unsigned"] else (),
        component=None if found["unsigned"] else {**_COMPONENT, "state": "present", **found["component"]},
        rest=lambda changed, dry_run: _rest(options, found, driver, changed, dry_run),
        published=told,
    )


def _has_one(options: Data, driver: Data) -> bool:
    """Whether the host is to have a driver of the role.

    A host without a GPU, of which nobody said that it needs a driver, needs none: tools and libraries come with images
    and with programs, and make no host one of NVIDIA's. For AMD the kernel has one.
    """
    if driver["vendor"] is None or not (driver["gpus"] or options["vendor"] != "auto"):
        return False
    return driver["vendor"] == "nvidia" or bool(options["version"])


def _rest(options: Data, found: Data, driver: Data, changed: bool, dry_run: bool) -> dict[str, t.Any] | None:
    """None for a host where the driver that is desired is the one that runs."""
    users = options["users"] if driver["vendor"] == "amd" else []
    conflicting = leftovers(found, driver, options["source"])
    waits = not dry_run and (driver["verdict"] != "ok" or driver["disruption"] or options["verify"] == "always")
    if not (changed or waits or users or conflicting or found["unsigned"] or driver["mismatches"]):
        return None
    # The component travels back with its units only: the key of a repository is no news.
    desired = {**found, "component": {"units": found["component"]["units"]}}
    return {"first": driver, "desired": desired}


def _rest_of_absent(options: Data, driver: Data, changed: bool) -> dict[str, t.Any] | None:
    """Tools and libraries on a host without a GPU are not of a driver."""
    of_driver = driver["gpus"] or driver["verdict"] != "absent" or options["vendor"] != "auto"
    left = driver["installed"]["packages"] and of_driver
    return {"first": driver, "desired": {}} if changed or left or driver["disruption"] else None


class _Refused(Exception):
    """What is desired is not possible; the message is a sentence for the user."""


def resources(
    desired: t.Mapping[str, t.Any], platform: t.Mapping[str, t.Any], seen: t.Mapping[str, t.Any]
) -> dict[str, t.Any]:
    """Returns ``problems`` and ``notices`` (sentences), ``version`` and ``flavour`` as chosen, ``unsigned`` (Secure
    Boot would refuse the module), ``headers`` (packages with those that are missing, where several versions of one
    package are installed side by side), ``prebuilt`` (the series of the modules that come in packages, if they do) and
    ``modules`` (those packages by kernel), ``component`` (options of the module component), ``keep`` (the packages
    that are desired) and ``managed`` (all that could be).

    ``desired``: the role's variables without their prefix. ``platform``: what the role knows of the distribution.
    ``seen``: what driver_info returned.
    """
    if seen["vendor"] == "amd":
        return _of_amd(desired, platform, seen)
    try:
        return _Desired(desired, platform, seen).answer()
    except _Refused as refused:
        return {**_NOTHING, "problems": [str(refused)]}


def leftovers(desired: t.Mapping[str, t.Any], seen: t.Mapping[str, t.Any], source: str) -> list[str]:
    """Packages of a driver other than the one that is desired: of the other source, of another flavour or branch."""
    mismatched = {item["name"] for item in seen["mismatches"]}
    return sorted(
        package["name"]
        for package in seen["installed"]["packages"]
        if package["state"] == "installed"
        and package["name"] not in desired["keep"]
        and (
            package["name"] in desired["managed"]
            or package["name"] in mismatched
            or names.prebuilt_series(package["name"]) not in (None, desired["prebuilt"])
            or (package["source"] is not None and package["source"] != source)
        )
    )


_NOTHING: dict[str, t.Any] = {
    "problems": [],
    "notices": [],
    "version": None,
    "flavour": None,
    "unsigned": False,
    "headers": [],
    "prebuilt": None,
    "modules": {},
    "keep": [],
    "managed": [],
    "component": {"repositories": [], "packages": [], "directories": [], "files": [], "units": []},
}


def _of_amd(
    desired: t.Mapping[str, t.Any], platform: t.Mapping[str, t.Any], seen: t.Mapping[str, t.Any]
) -> dict[str, t.Any]:
    problems = amd.problems(desired, platform, seen)
    if problems:
        return {**_NOTHING, "problems": problems}
    component = amd.component(desired, platform, seen)
    unsigned = seen["secure_boot"] == "enabled" and seen["mok"]["enrolled"] is not True
    keep = [package["name"] for package in component["packages"]]
    return {
        **_NOTHING,
        "version": desired["version"],
        "unsigned": unsigned,
        "headers": amd.headers(platform, seen),
        "keep": keep,
        "component": component,
    }


class _Desired:
    def __init__(
        self, desired: t.Mapping[str, t.Any], platform: t.Mapping[str, t.Any], seen: t.Mapping[str, t.Any]
    ) -> None:
        self.desired, self.platform, self.seen = desired, platform, seen
        self.installed = seen["installed"]
        self.source = desired["source"]
        self.release = platform["releases"][platform["release"]]
        self.notices: list[str] = []
        self.scheme = self._scheme()
        if desired["modules"] == "prebuilt" and self.scheme not in ("ubuntu", "rhel"):
            raise _Refused(
                f"There are no prebuilt modules of source {self.source} for {platform['name']}: only Ubuntu and RHEL "
                "have them, with gpu_driver_source=distribution; leave gpu_driver_modules as it is."
            )
        self.version = self._version()
        self.branch = int(self.version.partition(".")[0])
        self.flavour = self._flavour()

    def answer(self) -> dict[str, t.Any]:
        named = self._named()
        self._refuse_namesakes({item.name for item in named if item.versioned})
        along = self._along({item.name for item in named})
        old = (self.installed["version"] or self.version).partition(".")[0]
        pin = names.pin(self.scheme, self.version)
        return {
            **_NOTHING,
            "notices": self.notices,
            "version": self.version,
            "flavour": self.flavour,
            "unsigned": self._unsigned(),
            "headers": [
                f"kernel-devel-{kernel['release']}"
                for kernel in self._kernels_to_build()
                if self.scheme == "nvidia_el" and not kernel["headers"]
            ],
            "prebuilt": self._series,
            "modules": {
                kernel["release"]: self._prebuilt_module(kernel["release"]).name
                for kernel in self.seen["kernels"]
                if self._prebuilt
            },
            "keep": sorted({item.name for item in named} | set(along) | ({pin} if pin else set())),
            "managed": sorted(names.managed(self.scheme, {self.branch, int(old)})),
            "component": {
                "repositories": self._repositories(),
                "packages": [
                    *([{"name": pin, "before_packages": True, "on_change": "none"}] if pin else []),
                    *(self._package(item) for item in named),
                    *(
                        {"name": name, "version": self._pattern(), "on_change": "none", "owned": False}
                        for name in along
                    ),
                ],
                "directories": [{"path": config_files.DROP_IN}] if self._starts_without_its_mode else [],
                "files": self._files(),
                "units": self._units(),
            },
        }

    def _scheme(self) -> names.Scheme:
        # Others build their distribution from the same source, and do not have Red Hat's driver.
        is_rhel = self.platform.get("distribution") == "RedHat"
        schemes = {source: scheme for source, scheme in self.platform["schemes"].items() if scheme != "rhel" or is_rhel}
        scheme = schemes.get(self.source)
        if scheme is None:
            raise _Refused(
                f"gpu_driver has no packages of source {self.source} for {self.platform['name']}; "
                f"set gpu_driver_source to {' or '.join(schemes)}."
                f"{self.platform.get('else', '')}"
            )
        return t.cast(names.Scheme, scheme)

    def _version(self) -> str:
        version = str(self.desired["version"] or self.release["default_version"][self.source] or "")
        if not _VERSION.fullmatch(version):
            raise _Refused(
                f"gpu_driver_version must be a branch such as 580 or an exact version such as 580.178.04, not "
                f"{version!r}."
            )
        if self.scheme == "rhel" and "." not in version and not self._is_there(version):
            raise _Refused(
                "The names of Red Hat's kernel modules have the driver's exact version: set gpu_driver_version to one "
                f"of branch {version} that dnf list --showduplicates nvidia-driver-cuda tells, such as 595.71.05."
            )
        return version

    def _is_there(self, branch: str) -> bool:
        have = self.installed["version"]
        return bool(have) and have.startswith(f"{branch}.") and self.installed["source"] in (None, self.source)

    def _refuse_namesakes(self, named: set[str]) -> None:
        """NVIDIA's and Red Hat's packages share names: by name and version dnf cannot tell them apart."""
        have = self.installed["version"]
        if self.platform["manager"] != "dnf" or not f"{have}.".startswith(f"{self.version}."):
            return
        for package in self.installed["packages"]:
            if package["name"] in named and package["source"] not in (None, self.source):
                raise _Refused(
                    f"The host has {package['name']} {have} of source {package['source']}, and source {self.source} "
                    "has a package of the same name; take the driver away first, with gpu_driver_state: absent, or "
                    "choose another version."
                )

    def _flavour(self) -> Flavour:
        found = {gpu["pci_id"]: gpu["generation"] for gpu in self.seen["gpus"]}
        flavour = None if self.desired["flavour"] == "auto" else t.cast(Flavour, self.desired["flavour"])
        if not found:
            self.notices.append(
                "There is no GPU of NVIDIA on the PCI bus: whether the driver serves those to come is not known."
            )
        choice = flavour_for(found, self.branch, flavour, from_vendor=self.source == "vendor")
        if choice.refusal or choice.flavour is None:
            raise _Refused(f"{choice.refusal} See gpu_driver_version and gpu_driver_flavour.")
        if choice.flavour in self.release.get("exact_only", ()) and self._is_branch and self.source == "distribution":
            raise _Refused(
                f"{self.platform['name']} {self.platform['release']} has the {choice.flavour} kernel module and the "
                f"libraries of branch {self.version} at different versions; set gpu_driver_version to the exact one "
                "that both have: apt-cache madison nvidia-open-kernel-dkms libcuda1."
            )
        if self.scheme == "rhel":
            self._check_rhel(choice.flavour)
        return choice.flavour

    def _check_rhel(self, flavour: Flavour) -> None:
        if flavour != "open":
            raise _Refused(
                "Red Hat builds the open kernel module only, and these GPUs or gpu_driver_flavour want the proprietary "
                "one; set gpu_driver_source to vendor."
            )
        if self.desired["modules"] == "dkms":
            raise _Refused("Red Hat's kernel modules are built already; leave gpu_driver_modules at auto.")
        if self.installed["source"] != "distribution":
            release, machine = self.platform["release"], self.seen["architecture"]
            self.notices.append(
                f"Red Hat's driver is in the repositories rhel-{release}-for-{machine}-extensions-rpms and "
                f"-supplementary-rpms, which subscription-manager repos --enable= opens; in a cloud, in "
                f"rhel-{release}-extensions-rhui-rpms and rhel-{release}-supplementary-rhui-rpms."
            )

    @property
    def _is_branch(self) -> bool:
        return "." not in self.version

    def _pattern(self) -> str:
        """Exact where the driver is there already: what is added must be of the same build. A kernel may have a module
        of a later one only."""
        have = self.installed["version"]
        if self._is_branch and not (self._is_there(self.version) and not self._lacks_a_prebuilt_module):
            return f"{self.version}.*"
        exact = have if self._is_branch else self.version
        return exact if self.platform["manager"] == "dnf" else f"{exact}-*"

    @property
    def _holds(self) -> bool:
        """dnf knows no priorities of versions, and what upgrades by itself nothing but locks."""
        return self.platform["manager"] == "dnf" and (
            bool(self.release.get("hold"))
            or self.scheme == "rhel"
            or not self._is_branch
            or self.desired["unattended"] == "exclude"
        )

    def _named(self) -> list[names.Named]:
        found: list[names.Named] = []
        if self.scheme != "nvidia_el":
            found += [names.headers(kernel["release"]) for kernel in self._kernels_to_build()]
        found += names.driver(self.scheme, self.branch, self.flavour, self.desired["profile"])
        if self._prebuilt:
            found += [self._prebuilt_module(kernel["release"]) for kernel in self._kernels_that_matter()]
            if self.scheme == "ubuntu":
                brought = self.seen["kernel_packages"]
                found += [names.prebuilt_modules(self.branch, self.flavour, package) for package in brought]
        elif self.scheme == "ubuntu":
            found.append(names.built_module(self.branch, self.flavour))
        if self._needs_fabric:
            found += self._or_refuse(
                names.fabric(self.scheme, self.branch), "a fabric manager, which its NVSwitches need"
            )
        if self.desired["imex"]:
            found += self._or_refuse(names.imex(self.scheme, self.branch), "IMEX")
        return found

    def _or_refuse(self, found: tuple[names.Named, ...] | None, what: str) -> tuple[names.Named, ...]:
        if found is None:
            raise _Refused(
                f"The host is to have {what}, and {self.platform['name']} has no package of it; "
                "set gpu_driver_source to vendor."
            )
        return found

    @property
    def _prebuilt(self) -> bool:
        return self.scheme == "rhel" or (self.scheme == "ubuntu" and self.desired["modules"] != "dkms")

    @property
    def _needs_fabric(self) -> bool:
        runs = self.desired["fabric_manager"]
        return bool(self.seen["fabric_manager"]["needed"]) if runs == "auto" else runs == "always"

    @property
    def _series(self) -> str | None:
        """What the names of prebuilt modules say of themselves besides the kernel."""
        if self.scheme == "rhel":
            return str(self.installed["version"]) if self._is_branch else self.version
        return names.series(self.branch, self.flavour) if self._prebuilt else None

    def _prebuilt_module(self, kernel: str) -> names.Named:
        if self.scheme == "rhel":
            return names.prebuilt_kmod(str(self._series), kernel)
        return names.prebuilt_module(self.branch, self.flavour, kernel)

    def _kernels_to_build(self) -> list[t.Mapping[str, t.Any]]:
        return [] if self._prebuilt else list(self.seen["kernels"])

    def _kernels_that_matter(self) -> list[t.Mapping[str, t.Any]]:
        """Older ones have a prebuilt module only as long as the archive builds this driver for them."""
        kernels = list(self.seen["kernels"])
        return [kernel for kernel in kernels if kernel["running"] or kernel["next_boot"]] or kernels

    @property
    def _lacks_a_prebuilt_module(self) -> bool:
        # Red Hat's are asked for by the version that is there.
        kernels = self._kernels_that_matter() if self._prebuilt and self.scheme != "rhel" else []
        modules = [kernel["module"] for kernel in kernels]
        return any(module is None or module["origin"] == "kernel" for module in modules)

    def _along(self, named: set[str]) -> list[str]:
        """Libraries of the same driver that others have installed: they must have its version, too."""
        old = int((self.installed["version"] or self.version).partition(".")[0])
        if names.renamed(self.scheme, old, self.branch):
            return []
        managed = names.managed(self.scheme, {self.branch, old})
        return sorted(
            package["name"]
            for package in self.installed["packages"]
            if package["state"] == "installed"
            and package["source"] in (None, self.source)
            and package["name"] not in named | managed
            and not package["name"].startswith(names.PIN)
            and not names.comes_with_another(package["name"])
            # NVIDIA releases them with the driver, Debian by themselves.
            and not (self.scheme == "debian" and packages.has_version_of_its_own(package["name"]))
            and re.split(r"[-~]", package["version"].rpartition(":")[2])[0] == self.installed["version"]
            and not re.search(rf"-(?!{self.branch}\b)\d{{3}}\b", package["name"])
        )

    def _package(self, item: names.Named) -> dict[str, t.Any]:
        found: dict[str, t.Any] = {"name": item.name, "on_change": "none", "before_packages": item.before_packages}
        if names.prebuilt_series(item.name) and not self._is_branch:
            # No pin knows their versions, and a full upgrade takes away what cannot go along.
            found["hold"] = True
        if item.versioned:
            found["version"] = self._pattern()
            found["hold"] = self._holds
        return found

    def _repositories(self) -> list[dict[str, t.Any]]:
        if self.source != "vendor":
            return []
        found = Repository.of("gpu_driver", self.desired, self.release, self.seen["architecture"])
        for problem in found.problems("driver"):
            raise _Refused(f"{problem} Where the driver is not yours to manage, set gpu_driver_vendor to none.")
        return [found.data("nvidia-cuda", flat=self.platform["manager"] == "apt")]

    def _files(self) -> list[dict[str, t.Any]]:
        # A kernel's package brings the program; without kernels there is no initramfs.
        found = [config_files.no_nouveau(self.platform["rebuild_initramfs"] if self.seen["kernels"] else [])]
        by_apt = self.platform["manager"] == "apt"
        if by_apt and self.source == "distribution":
            found.append(config_files.preferences(f"{self.version}.*" if self._is_branch else f"{self.version}-*"))
        if by_apt and self.desired["unattended"] == "exclude":
            found.append(config_files.not_unattended(prebuilt=self._prebuilt))
        if self.release.get("modular") and self.source == "vendor":
            found.append(config_files.module_stream(self.branch, self.flavour))
        if self._starts_without_its_mode:
            found.append(config_files.persistence_mode())
        return found

    @property
    def _starts_without_its_mode(self) -> bool:
        """All but Debian start the persistence daemon without the mode that it is there for."""
        return bool(self.desired["persistence"]) and self.scheme != "debian"

    def _units(self) -> list[dict[str, t.Any]]:
        """They cannot run before the module is loaded: after a change that is for later, and enough that they begin at
        boot."""
        runs = self.seen["verdict"] == "ok" and self.installed["version"] and self._pattern_holds()
        state = "started" if runs else "unmanaged"
        units = ["nvidia-persistenced.service"] if self.desired["persistence"] else []
        units += ["nvidia-fabricmanager.service"] if self._needs_fabric else []
        return [{"name": name, "enabled": True, "state": state} for name in units]

    def _pattern_holds(self) -> bool:
        have = str(self.installed["version"])
        return have == self.version or self._is_there(self.version)

    def _unsigned(self) -> bool:
        """Whether the kernel would refuse the module that DKMS builds."""
        if self._prebuilt or self.seen["secure_boot"] != "enabled" or self.seen["mok"]["enrolled"]:
            return False
        # What the kernel has loaded, it trusts, also where no tool can say so.
        loaded = self.seen["loaded"]["version"]
        return not any(
            kernel["running"] and module and module["origin"] == "dkms" and module["version"] == loaded
            for kernel in self.seen["kernels"]
            for module in (kernel["module"],)
        )
