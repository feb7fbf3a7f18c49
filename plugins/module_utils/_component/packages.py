# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Packages: what is installed, what has to be asked of the package manager, and native locks."""

from __future__ import annotations

import dataclasses
import fnmatch
import re
import typing as t

from .. import _versionlock
from .._errors import HostError
from .._package_manager import Manager
from .._runner import Runner, must
from .desired import DesiredPackage

_NO_DPKG_MATCH = 1
_VERSIONLOCK_LIST = "/etc/dnf/plugins/versionlock.list"
_VERSIONLOCK_TOML = "/etc/dnf/versionlock.toml"


@dataclasses.dataclass(frozen=True)
class Installed:
    """``version`` is None for a package that is not installed. ``whole`` is false for one half installed, ``torn``
    true for one whose files are not all of one version. ``lock`` says by what it is held."""

    version: str | None
    held: bool = False
    lock: str = dataclasses.field(default="", compare=False)
    whole: bool = True
    torn: bool = False


@dataclasses.dataclass(frozen=True)
class Work:
    """One call of the package manager: ``names`` as it takes them, with versions. With ``erasing`` it may take away
    what conflicts with them."""

    state: t.Literal["present", "absent"]
    names: tuple[str, ...]
    erasing: bool = False


@dataclasses.dataclass(frozen=True)
class Move:
    """Versions of one package before and after the package manager has worked; None where it is not installed."""

    before: str | None
    after: str | None


def observe(names: t.Sequence[str], manager: Manager, run: Runner) -> dict[str, Installed]:
    """The state of each named package, by one process."""
    if not names:
        return {}
    found = _observe_dpkg(names, run) if manager == "apt" else _observe_rpm(names, run)
    return {name: found.get(name, Installed(None)) for name in names}


def matches(desired: DesiredPackage, found: Installed, manager: Manager) -> bool:
    """Whether what is installed is what was asked for, the lock left aside."""
    if not desired.present:
        return found.version is None
    if found.version is None or not found.whole:
        return False
    if desired.version is None:
        return True
    spellings = _spellings(found.version, desired.version, manager)
    return any(fnmatch.fnmatchcase(spelling, desired.version) for spelling in spellings)


def install_name(desired: DesiredPackage, manager: Manager) -> str:
    """The package as its manager is asked for it."""
    if desired.version is None:
        return desired.name
    plain = re.split(r"[*?\[]", desired.version, maxsplit=1)[0]
    if manager == "apt":
        # A pattern that ends in * is to apt the start of a version, whatever other wildcards are in it.
        by_start = desired.version == f"{plain}*" or not desired.version.endswith("*")
        return f"{desired.name}={desired.version}{'' if by_start else '?'}"
    if plain != desired.version and not re.search(r"[.:]", plain) and not re.match(r"\[0-9\]\*\.", desired.version):
        # dnf looks for a package of that name first: cuda-12* is cuda-12-4 before it is version 12.4 of cuda.
        raise HostError(
            f"package {desired.name}: to dnf {desired.name}-{desired.version} is also the name of other packages; "
            f"write version {desired.version!r} with a full stop before the first wildcard, such as '12.*'"
        )
    return f"{desired.name}-{desired.version}"


def exact_name(name: str, version: str, manager: Manager) -> str:
    """One version, as observed, and no other."""
    if manager == "apt":
        return f"{name}={version}"
    # Without an epoch dnf takes any.
    return f"{name}-{version}" if ":" in version else f"{name}-0:{version}"


def needed_by_others(names: t.Sequence[str], owned: t.Collection[str], run: Runner) -> list[str]:
    """Those of them whose removal would take along what somebody installed by name, or a component has."""
    taken = _taken_along(names, run)
    if not taken:
        return []
    by_name = run("apt-mark", "showmanual", *sorted(taken))
    lost = taken & {*owned, *by_name.stdout.split()}
    return [name for name in names if lost & _taken_along([name], run)] if lost else []


def _taken_along(names: t.Sequence[str], run: Runner) -> set[str]:
    return _simulated(run("apt-get", "--simulate", "remove", *names).stdout) - set(names)


def orphaned_by(names: t.Sequence[str], run: Runner) -> list[str]:
    """What nothing needs any more once these are gone, by apt's own account. What nothing needed before stays."""
    before = run("apt-get", "--simulate", "autoremove")
    after = run("apt-get", "--simulate", "--auto-remove", "remove", *names)
    if before.rc != 0 or after.rc != 0:
        return []  # the removal, which comes next, will say why
    return sorted(_simulated(after.stdout) - _simulated(before.stdout) - set(names))


def _simulated(said: str) -> set[str]:
    return set(re.findall(r"^Remv (\S+)", said, re.MULTILINE))


def set_holds(holds: t.Iterable[tuple[str, bool]], *, manager: Manager, run: Runner) -> None:
    """Lock or unlock packages by the package manager's own means, in one call for each: dnf takes a second to start."""
    desired = dict(holds)
    for held in (False, True):
        names = [name for name, is_held in desired.items() if is_held is held]
        if names:
            _set_hold(names, held=held, manager=manager, run=run)


def _set_hold(names: t.Sequence[str], *, held: bool, manager: Manager, run: Runner) -> None:
    which, verb = f"package {', '.join(names)}", "locked" if held else "unlocked"
    if manager == "apt":
        command = "hold" if held else "unhold"
        must(run("apt-mark", command, *names, timeout_s=120), f"{which} could not be {verb}")
        return
    command = "add" if held else "delete"
    # What is installed is enough to know: no repository has to be reached.
    done = run(manager, "-q", "--disablerepo=*", "versionlock", command, *names, timeout_s=120)
    if done.rc != 0 and "No such command: versionlock" in done.stderr:
        raise HostError(
            f"{which} could not be {verb}: dnf has no versionlock here; "
            "add python3-dnf-plugin-versionlock to the packages"
        )
    must(done, f"{which} could not be {verb}")
    locks = _versionlocks()
    if missed := [name for name in names if (name in locks) != held]:
        # dnf exits with status 0 for a package that it does not know, too.
        said = done.stdout.strip() or done.last_words
        raise HostError(
            f"package {', '.join(missed)} could not be {verb}: {manager} reported success, but said: {said}"
        )


def _spellings(version: str, pattern: str, manager: Manager) -> list[str]:
    """The version as people may write it: dpkg says 1:26.1.5 for their 26.1.*, and rpm 1.0-1.el9 for their 1.0."""
    epoch, colon, rest = version.partition(":")
    if not colon:
        epoch, rest = "0", version
    start = f"{epoch}:" if ":" in pattern else ""
    if manager == "apt":
        return [start + rest]
    return [start + rest, start + rest.rpartition("-")[0]]


def _observe_dpkg(names: t.Sequence[str], run: Runner) -> dict[str, Installed]:
    done = run("dpkg-query", "-W", "-f", "${Package}\t${Version}\t${db:Status-Abbrev}\n", *names)
    if done.rc not in (0, _NO_DPKG_MATCH):
        must(done, "the installed packages could not be read")
    found: dict[str, Installed] = {}
    for line in done.stdout.splitlines():
        name, version, status = line.split("\t")
        want, state = status[0], status[1]
        # n: not installed, c: only its configuration files are left
        if state not in "nc":
            found[name] = Installed(
                version,
                held=want == "h",
                lock="apt-mark hold" if want == "h" else "",
                whole=status.rstrip() in ("ii", "hi"),
                torn=state == "H" or status.endswith("R"),
            )
    return found


def _observe_rpm(names: t.Sequence[str], run: Runner) -> dict[str, Installed]:
    done = run("rpm", "-q", "--qf", "%{NAME}\t%{EPOCHNUM}:%{VERSION}-%{RELEASE}\n", *names)
    # rpm answers with the number of packages that are not installed, and calls them that when it cannot read its
    # database either.
    if done.rc > len(names) or re.search(r"^error:", done.stderr, re.MULTILINE):
        must(done, "the installed packages could not be read")
    held = _versionlocks()
    # A lock does not need its package.
    found = {name: Installed(None, held=True, lock=lock_place(name)) for name in names if name in held}
    for line in done.stdout.splitlines():
        name, tab, version = line.partition("\t")
        if tab:
            lock = lock_place(name) if name in held else ""
            found[name] = Installed(version.removeprefix("0:"), held=name in held, lock=lock)
    return found


def lock_place(name: str) -> str:
    """File and line of dnf's lock or exclusion of a package; empty without one."""
    pattern = rf'!?{re.escape(name)}-\d+:|name *= *"{re.escape(name)}"'
    return ", ".join(
        f"{path}:{number}"
        for path in (_VERSIONLOCK_LIST, _VERSIONLOCK_TOML)
        for number, line in enumerate(_text(path).splitlines(), 1)
        if re.match(pattern, line)
    )


def excluded(name: str) -> list[str]:
    """Patterns of versions that dnf4's versionlock excludes, as ``epoch:version-release``."""
    return re.findall(rf"^!{re.escape(name)}-(\d+:.+?)(?:\.\*)?$", _text(_VERSIONLOCK_LIST), re.MULTILINE)


def _versionlocks() -> set[str]:
    """Names locked by dnf4's plugin or by dnf5; what they merely exclude is not locked."""
    return _names_in_list(_text(_VERSIONLOCK_LIST)) | _versionlock.names(_text(_VERSIONLOCK_TOML))


def _names_in_list(text: str) -> set[str]:
    """dnf4: ``name-epoch:version-release.*`` a line; ``!`` before it excludes."""
    return set(re.findall(r"^(?!!|#)(.+?)-\d+:.+$", text, re.MULTILINE))


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as source:
            return source.read()
    except FileNotFoundError:
        return ""
