# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""What the repositories have: the package manager's lists, read again when they may be old, and checked before anything
is installed."""

from __future__ import annotations

import contextlib
import dataclasses
import fnmatch
import glob
import os
import re
import tempfile
import time
import typing as t

from .._errors import HostError
from .._package_manager import Manager
from .._runner import Completed, Runner
from . import packages, selection
from .desired import DesiredPackage, Repository
from .packages import Installed, Move, Work

# Lists of this age are read again before packages are installed.
_FRESH_S = 3600
_DPKG_STATUS = "/var/lib/dpkg/status"
_READ_TIMEOUT_S = 900
_SHOWN_VERSIONS = 8
_READ_AT = {
    # apt writes here whenever it reads lists, whether they are new or not.
    "apt": "/var/lib/apt/lists/partial",
    "dnf": "/var/cache/dnf/*/repodata/repomd.xml",
    "dnf5": "/var/cache/libdnf5/*/repodata/repomd.xml",
}
_APT_COMPLAINT = re.compile(
    r"^(?:E: (?!Some index files)|W: (?=.*(?:Failed to fetch|GPG error|previous index files)))(.+)$", re.MULTILINE
)


@dataclasses.dataclass(frozen=True)
class Offer:
    """``versions`` that the repositories have, by package, newest first; ``age_s`` of the lists, None where there are
    none; ``complaints`` of the package manager about them."""

    versions: t.Mapping[str, t.Sequence[str]]
    age_s: float | None
    complaints: tuple[str, ...] = ()

    def has(self, desired: DesiredPackage, manager: Manager) -> bool:
        return any(self.fits(version, desired, manager) for version in self.versions.get(desired.name, ()))

    @staticmethod
    def fits(version: str, desired: DesiredPackage, manager: Manager) -> bool:
        return packages.matches(dataclasses.replace(desired, present=True), Installed(version), manager)

    @property
    def fresh(self) -> bool:
        # Less than nothing: somebody set the clock back.
        return self.age_s is not None and 0 <= self.age_s < _FRESH_S


def known(to_install: t.Sequence[DesiredPackage], manager: Manager, run: Runner) -> Offer:
    """What the lists on this host say, by one process. No repository is reached."""
    names = [desired.name for desired in to_install]
    if not names:
        return Offer({}, _age_s(manager))
    if manager == "apt":
        said = run("apt-cache", "madison", *names)
        rows = [[part.strip() for part in line.split("|")] for line in said.stdout.splitlines()]
    else:
        said = _repoquery(manager, ["-C", "--setopt=skip_if_unavailable=True"], names, run)
        rows = [line.split() for line in said.stdout.splitlines()]
    versions: dict[str, list[str]] = {}
    for row in rows:
        if len(row) > 1 and row[1].removeprefix("0:") not in versions.setdefault(row[0], []):
            versions[row[0]].append(row[1].removeprefix("0:"))
    if manager != "apt":
        versions = {name: _allowed(name, found[::-1], manager) for name, found in versions.items()}
    return Offer(versions, _age_s(manager), (said.last_words,) if said.rc else ())


def _allowed(name: str, versions: list[str], manager: Manager) -> list[str]:
    """Those that dnf4's versionlock, which is left aside when asking, does not exclude."""
    patterns = packages.excluded(name) if manager == "dnf" else []
    full = [(version, version if ":" in version else f"0:{version}") for version in versions]
    return [version for version, long in full if not any(fnmatch.fnmatchcase(long, pattern) for pattern in patterns)]


def refreshed(to_install: t.Sequence[DesiredPackage], manager: Manager, run: Runner, *, changed: bool) -> Offer:
    """The same, after the lists were read again where that can make a difference: ``changed`` says that repositories
    did."""
    if manager == "apt":
        offer = known(to_install, manager, run)
        if offer.fresh and not changed and all(offer.has(desired, manager) for desired in to_install):
            return offer
        # It exits with status 0 when a repository cannot be reached, and goes on with what it had.
        said = run("apt-get", "-q", "update", timeout_s=_READ_TIMEOUT_S)
        complaints = _APT_COMPLAINT.findall(said.stderr)
    else:
        # Yes, to the key of a repository whose index is signed: it is the one that its file names.
        options = ["-y", "--refresh", "--setopt=skip_if_unavailable=False"]
        said = _repoquery(manager, options, [desired.name for desired in to_install], run)
        complaints = re.findall(r"^(?:Error: )?(Failed to .+)$", said.stderr, re.MULTILINE)
    if said.timed_out:
        complaints.append(f"{said.argv[0]} did not end in {_READ_TIMEOUT_S} s")
    elif said.rc != 0 and not complaints:
        complaints.append(said.last_words)
    offer = known(to_install, manager, run)
    return dataclasses.replace(offer, complaints=tuple(dict.fromkeys([*map(str.strip, complaints), *offer.complaints])))


def ensure(to_install: t.Sequence[DesiredPackage], manager: Manager, run: Runner) -> None:
    """Read the lists again if they do not have all of it: they may be those of other repositories."""
    if to_install and diagnose(to_install, known(to_install, manager, run), manager) is not None:
        refreshed(to_install, manager, run, changed=True)


def diagnose(to_install: t.Sequence[DesiredPackage], offer: Offer, manager: Manager) -> str | None:
    """Why the packages cannot be installed, in one sentence, or None."""
    for desired in to_install:
        if not offer.has(desired, manager):
            have = offer.versions.get(desired.name, ())
            if not have:
                return f"package {desired.name} is desired, and no repository has it ({_when(offer)})"
            return (
                f"package {desired.name} is desired at {desired.version}, but the repositories have {_words(have)} "
                f"({_when(offer)}); correct the version, or bring it back into the repository"
            )
    return None


def explained(to_install: t.Sequence[DesiredPackage], offer: Offer, manager: Manager, run: Runner) -> str | None:
    """The same, with what there is instead and what on this host hides it."""
    trouble = diagnose(to_install, offer, manager)
    if trouble is None:
        return None
    first = next(desired for desired in to_install if not offer.has(desired, manager))
    return trouble + selection.hint(first, manager) + instead(to_install, offer, manager, run)


@dataclasses.dataclass(frozen=True)
class Rehearsal:
    """``moves``: what would change, dependencies too, by name; ``trouble``: why the package manager refuses."""

    moves: t.Mapping[str, Move]
    trouble: str | None = None


def chosen(to_install: t.Iterable[DesiredPackage], offer: Offer, manager: Manager) -> dict[str, Move]:
    """The versions that the package manager would take of what is offered."""
    moves = {}
    for desired in to_install:
        fitting = [version for version in offer.versions.get(desired.name, ()) if offer.fits(version, desired, manager)]
        if fitting:
            moves[desired.name] = Move(None, fitting[0])
    return moves


def rehearse(
    work: t.Sequence[Work],
    to_install: t.Sequence[DesiredPackage],
    offer: Offer,
    manager: Manager,
    run: Runner,
    *,
    opened: t.Collection[str] = (),
) -> Rehearsal:
    """What the package manager would do. apt is asked; of dnf it is only said which versions it would take.

    ``opened``: packages whose holds the change opens first.
    """
    moves = chosen(to_install, offer, manager)
    if manager != "apt":
        return Rehearsal(moves)
    spelt = spelled(work, to_install, offer, manager)
    names = [name if part.state == "present" else f"{name}-" for part in spelt for name in part.names]
    with _without_holds(opened) as options:
        argv = ("apt-get", "-q", "-y", "--simulate", *options, "--no-install-recommends", "--allow-downgrades")
        said = run(*argv, "install", *names, timeout_s=_READ_TIMEOUT_S)
    if said.rc != 0:
        words = reason(f"{said.stdout}\n{said.stderr}")
        changed = ", ".join(desired.name for desired in to_install) or ", ".join(name.rstrip("-") for name in names)
        return Rehearsal(moves, f"{changed} could not be changed: {words}{selection.behind(words, run)}")
    for line in said.stdout.splitlines():
        found = re.match(r"Inst (\S+) (?:\[(\S+)\] )?\((\S+) ", line)
        if found:
            moves[found[1]] = Move(found[2], found[3])
        gone = re.match(r"Remv (\S+) \[(\S+)\]", line)
        if gone:
            moves[gone[1]] = Move(gone[2], None)
    return Rehearsal(moves)


@contextlib.contextmanager
def _without_holds(names: t.Collection[str]) -> t.Iterator[list[str]]:
    """Options with which apt sees a host where these packages are not held.

    With --allow-change-held-packages or --ignore-hold its resolver keeps what is held, and refuses what conflicts.
    """
    try:
        with open(_DPKG_STATUS, encoding="utf-8", errors="surrogateescape") as source:
            status = source.read()
    except FileNotFoundError:
        status = ""
    opened = "\n\n".join(
        re.sub(r"(?m)^Status: hold ", "Status: install ", stanza) if _package(stanza) in names else stanza
        for stanza in status.split("\n\n")
    )
    if opened == status:
        yield []
        return
    with tempfile.TemporaryDirectory(prefix="mlops-hosts-") as folder:
        path = f"{folder}/status"
        try:
            with open(path, "w", encoding="utf-8", errors="surrogateescape") as copy:
                copy.write(opened)
        except OSError as exc:
            raise HostError(
                f"a copy of {_DPKG_STATUS}, which apt is asked with, could not be written to {path}: {exc.strerror}; "
                "make room there and run again"
            ) from exc
        # Its cache is of the real one.
        yield ["-o", f"Dir::State::status={path}", "-o", "Dir::Cache::pkgcache=", "-o", "Dir::Cache::srcpkgcache="]


def _package(stanza: str) -> str:
    found = re.match(r"\s*Package: (\S+)", stanza)
    return found[1] if found else ""


def spelled(
    work: t.Iterable[Work], to_install: t.Iterable[DesiredPackage], offer: Offer, manager: Manager
) -> tuple[Work, ...]:
    """The same work as apt takes it, which finds no version without its epoch."""
    names = {}
    for desired in to_install if manager == "apt" else ():
        found = next((have for have in offer.versions.get(desired.name, ()) if offer.fits(have, desired, manager)), "")
        epoch, colon, _rest = found.partition(":")
        if desired.version and colon and not fnmatch.fnmatchcase(found, desired.version):
            with_epoch = dataclasses.replace(desired, version=f"{epoch}:{desired.version}")
            names[packages.install_name(desired, manager)] = packages.install_name(with_epoch, manager)
    return tuple(dataclasses.replace(part, names=tuple(names.get(name, name) for name in part.names)) for part in work)


def require_new(repositories: t.Iterable[Repository], offer: Offer) -> None:
    """A repository that was just put in place must be readable: old lists cannot stand in for it, and those of
    others must not."""
    for repository in repositories:
        signs = [f"repo '{repository.name}'", f'repository "{repository.name}"', *repository.uris]
        told = [text for text in offer.complaints if any(sign.rstrip("/") in text for sign in signs)]
        if told:
            raise HostError(f"repository {repository.name!r} cannot be used: {'; '.join(told)}")


def instead(to_install: t.Iterable[DesiredPackage], offer: Offer, manager: Manager, run: Runner) -> str:
    """What there is in place of packages that no repository has: other names, where theirs hold a version, or versions
    that an enabled module stream hides."""
    missing = [desired.name for desired in to_install if not offer.versions.get(desired.name)]
    if manager != "apt" and missing:
        shown = _repoquery(manager, ["-C", "--setopt=*.module_hotfixes=true"], missing[:1], run).stdout
        versions = sorted({line.partition(" ")[2] for line in shown.splitlines() if line.strip()}, reverse=True)
        if versions:
            return f". Without the enabled module stream there are {_words(versions)}"
    stem = next((found[0] for found in (re.match(r".*?-(?=\d)", name) for name in missing) if found), None)
    if stem is None:
        return ""
    if manager == "apt":
        said = run("apt-cache", "pkgnames", stem)
    else:
        said = run(manager, "-q", "-C", "repoquery", "--qf", "%{name}\n", f"{stem}*", timeout_s=_READ_TIMEOUT_S)
    names = sorted(set(said.stdout.split()), reverse=True)
    return f". There are {_words(names)}" if names else ""


def reason(said: str) -> str:
    """The package manager's own words, without the command line and the lists of sums around them."""
    said = said.replace("\r", "")  # debconf gives scripts a terminal
    scripts = [": ".join(words) for words in re.findall(r"^dpkg: error (.+):\n\s+(.+)$", said, re.MULTILINE)]
    unmet = [" ".join(words.split()) for words in re.findall(r"^ (\S+ : (?:Pre)?Depends: .+)$", said, re.MULTILINE)]
    errors = re.findall(
        r"^(?:'.* failed: )?E: (?!Unable to fetch some archives|The following information from)(.+)$",
        said,
        re.MULTILINE,
    )
    return "; ".join(dict.fromkeys(map(str.strip, [*_builds(said), *scripts, *unmet, *errors]))) or said


def _builds(said: str) -> list[str]:
    """Why DKMS could not build a module, with the first thing that the compiler did not take."""
    found = re.findall(r"^Error! (Bad return status .+)\n(?:Consult (\S+) for more)?", said, re.MULTILINE)
    return [f"{what.rstrip('.')}: {word}" if word else what for what, log in found for word in (_first_error(log),)]


def _first_error(log: str) -> str | None:
    try:
        with open(log, encoding="utf-8", errors="replace") as lines:
            return next((line.strip() for line in lines if ": error: " in line), None)
    except OSError:
        return None


def _repoquery(manager: Manager, options: t.Sequence[str], names: t.Sequence[str], run: Runner) -> Completed:
    # Locked packages have all their versions here. dnf5 shows all without being told, and its locks hide none.
    special = ["--disableplugin=versionlock", "repoquery", "--showduplicates"] if manager == "dnf" else ["repoquery"]
    form = "%{name} %{epoch}:%{version}-%{release}\n"
    return run(manager, "-q", *options, *special, "--qf", form, *names, timeout_s=_READ_TIMEOUT_S)


def _age_s(manager: Manager) -> float | None:
    times = [os.path.getmtime(path) for path in glob.glob(_READ_AT[manager])]
    return time.time() - max(times) if times else None


def _when(offer: Offer) -> str:
    if offer.age_s is None:
        words = "there are no lists"
    else:
        for unit, seconds in (("d", 86400), ("h", 3600), ("min", 60)):
            if offer.age_s >= seconds:
                words = f"lists read {offer.age_s / seconds:.0f} {unit} ago"
                break
        else:
            words = "lists just read"
    if offer.complaints:
        # Read again they were not, whatever their time says.
        return f"the lists could not be read again: {'; '.join(offer.complaints)}"
    return words


def _words(versions: t.Sequence[str]) -> str:
    shown = list(versions[:_SHOWN_VERSIONS])
    rest = len(versions) - len(shown)
    if rest:
        shown.append(f"{rest} more")
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
