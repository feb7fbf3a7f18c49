# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""One environment: read what the host has, plan, build, and tell what is there then."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import shutil
import typing as t

from .._drift import Drift
from .._errors import HostError
from .._holders import Holder, runners
from .._lock import locked
from .._runner import Runner, must
from . import environments, interpreter, markers, paths, pip
from .arguments import BASE
from .environments import Found, Marker, Packages
from .requirements import canonical, parse, render

_KIND = "python_environment"
_VENV_TIMEOUT_S = 600
_FULL_BYTES = 1024 * 1024


@dataclasses.dataclass(frozen=True)
class Desired:
    """``name``: empty for all that are to be absent. ``requirements``: the text of the set. ``python``: name or path,
    None for the newest of the host."""

    name: str
    state: str
    base: str
    python: str | None
    requirements: str
    sources: pip.Sources
    only_binary: bool
    complete: bool
    keep: int
    verify: str
    timeout_s: float
    retries: int
    lock_timeout_s: float

    @property
    def folder(self) -> str:
        return f"{self.base.rstrip('/')}/{self.name}"


@dataclasses.dataclass(frozen=True)
class RunEnvironment:
    """What the core needs from outside. ``variables``: of the process."""

    run: Runner
    clock: t.Callable[[], float]
    sleep: t.Callable[[float], None]
    variables: t.Mapping[str, str]
    runners: t.Callable[[t.Sequence[str]], t.Mapping[str, t.Sequence[Holder]]] = runners
    unit_files: t.Callable[[], t.Mapping[str, str]] = environments.unit_files


@dataclasses.dataclass(frozen=True)
class Plan:
    """``build``: the path where an environment is to be made, None where it is right. ``remove``: paths that go.

    ``before``, ``after``: packages. The ones before are those of the newest environment that was complete.
    ``missing``: what an earlier step of the same run would install, in a dry run.
    """

    build: str | None
    remove: tuple[str, ...]
    drift: tuple[Drift, ...]
    before: Packages
    after: Packages
    missing: str | None = None

    @property
    def is_empty(self) -> bool:
        return self.build is None and not self.remove


def desired(given: t.Mapping[str, t.Any]) -> Desired:
    """What the parameters of the module desire. HostError for what they cannot."""
    if given["name"] is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", given["name"]):
        raise HostError(f"the name {given['name']!r} may have letters, digits, dots, underscores and dashes only")
    if not re.match("/[^/]", given["base"]):
        raise HostError(f"base must be a folder by its absolute path, not {given['base']!r}")
    if given["keep"] < 0:
        raise HostError("keep must not be less than 0")
    sources = pip.Sources(given["index_url"], tuple(given["extra_index_urls"]), given["wheels"])
    sources.check()
    if given["state"] == "present":
        parse(given["requirements"] or "")
    same = ("state", "base", "python", "only_binary", "complete", "keep", "verify")
    limits = ("timeout_s", "retries", "lock_timeout_s")
    return Desired(
        **{key: given[key] for key in (*same, *limits)},
        name=given["name"] or "",
        requirements=given["requirements"] or "",
        sources=sources,
    )


def ensure(want: Desired, host: RunEnvironment, *, dry_run: bool) -> dict[str, t.Any]:
    """Make the host have the environment, or none of its name. Returns the return values of the module."""
    if not want.name:
        return _all_absent(want, host, dry_run=dry_run)
    try:
        python, version, path = _place(want, host, dry_run=dry_run) if want.state == "present" else ("", "", None)

        def decide(*, alone: bool) -> Plan:
            decided = _decide(want, host, path, environments.read(want.folder), alone=alone)
            try:
                after = _chosen(want, host, python, version) if decided.build else {}
            except interpreter.NotInstalled as exc:
                if not dry_run:
                    raise
                return dataclasses.replace(decided, missing=str(exc))
            return dataclasses.replace(decided, after=after)

        decided = decide(alone=False)
        if dry_run or decided.is_empty:
            return _result(path, decided)
        os.makedirs(want.folder, exist_ok=True)
        with locked(want.folder, _KIND, wait_s=want.lock_timeout_s, clock=host.clock, sleep=host.sleep):
            decided = decide(alone=True)  # another run may have done it in the meantime
            if decided.build:
                have = _build(want, host, python, version, decided.build, decided.after)
                decided = dataclasses.replace(decided, after=have)
            for gone in decided.remove:
                environments.remove(gone)
            if want.state == "absent":
                _dismantle(want)
        return _result(path, decided)
    except OSError as exc:
        raise HostError(f"{exc.filename or want.folder}: {exc.strerror or exc}", errno=exc.errno) from exc


def _all_absent(want: Desired, host: RunEnvironment, *, dry_run: bool) -> dict[str, t.Any]:
    """All names, one after the other: what is used stops at the first that is."""
    try:
        names = sorted(entry.name for entry in os.scandir(want.base) if entry.is_dir(follow_symlinks=False))
    except FileNotFoundError:
        names = []
    done = [ensure(dataclasses.replace(want, name=name), host, dry_run=dry_run) for name in names]
    befores = [
        (f"{name}/{package}", version)
        for name, one in zip(names, done)
        for package, version in one["diff"]["before"].items()
    ]
    return {
        **_result(None, Plan(None, (), (), dict(befores), {})),
        "changed": any(one["changed"] for one in done),
        **{key: [item for one in done for item in one[key]] for key in ("removed", "drift")},
    }


def _search(host: RunEnvironment) -> str:
    return f"{host.variables.get('PATH', '')}:/usr/local/bin:/usr/bin:/bin".lstrip(":")


def _place(want: Desired, host: RunEnvironment, *, dry_run: bool) -> tuple[str, str, str]:
    """Python, the version of its ABI, and the path of the environment."""
    named = paths.python_version(want.python or "")
    try:
        python = interpreter.find(want.python, _search(host))
        version = interpreter.version(python, host.run)
    except interpreter.NotInstalled:
        if named is None or not dry_run:
            raise
        python, version = str(want.python), named
    return python, version, paths.path(want.base, want.name, want.requirements, version)


def _chosen(want: Desired, host: RunEnvironment, python: str, version: str) -> Packages:
    """Those of the set that are for this interpreter."""
    python = interpreter.find(python, _search(host))
    told = interpreter.ask(python, host.run)
    told.check()
    if told.version != version:
        raise HostError(f"{told.path} is Python {told.version}, and not {version} as its name says; name another one")
    if want.sources.wheels and not os.path.isdir(want.sources.wheels):
        raise HostError(f"the folder of wheels {want.sources.wheels} is not on the host")
    found: Packages = {}
    for one in parse(want.requirements):
        applies = not one.marker or markers.applies(one.marker, told.variables)
        if applies and found.setdefault(one.name, one.version) != one.version:
            raise HostError(f"requirements: {one.name} is there as {found[one.name]} and as {one.version}")
    return found


def _decide(want: Desired, host: RunEnvironment, path: str | None, found: t.Sequence[Found], *, alone: bool) -> Plan:
    """What is to be done. HostError where a process is in the way.

    ``alone``: no other run changes the environments meanwhile, so nobody else completes the one that is not complete.
    """
    wrong = None
    there = next((one for one in found if one.path == path), None)
    if there is not None:
        wrong = "it is not complete" if there.marker is None else _damage(want, host, there.marker)
    complete = [one for one in found if one.marker is not None]
    spare = [one.path for one in complete if one.path != path]
    parts = [one.path for one in found if one.marker is None and one.path != path]
    going = [*parts, *(spare if want.state == "absent" else spare[want.keep :])]
    touched = [*going, *([path] if path and wrong else [])]
    running = host.runners(touched) if touched else {}
    named = _named(touched, host)
    if path and path in running and (alone or (there and there.marker)):
        raise HostError(
            f"the environment {path} must be built anew, since {wrong}, and {running[path][0]} runs from it; "
            "end that, and run again",
        )
    if want.state == "absent" and (used := [one for one in going if one in running or one in named]):
        by = str(running[used[0]][0]) if used[0] in running else named[used[0]]
        raise HostError(f"the environment {used[0]} is to go, and {by} uses it; take that away first")
    remove = tuple(one for one in going if one not in running and one not in named)
    build = path if path and (there is None or wrong) else None
    before = _packages(complete[0]) if complete and (build or want.state == "absent") else {}
    return Plan(build, remove, tuple(_drift(want, path, found, build, wrong, remove)), before, {})


def _damage(want: Desired, host: RunEnvironment, marker: Marker) -> str | None:
    if want.verify == "full":
        return environments.damage_in_full(marker, host.run)
    return environments.damage(marker)


def _named(touched: t.Sequence[str], host: RunEnvironment) -> dict[str, str]:
    """By environment, the file of a unit that names it."""
    texts = host.unit_files() if touched else {}
    return {path: file for path in touched for file, text in sorted(texts.items()) if path in text}


def _packages(found: Found) -> Packages:
    return {canonical(name): version for name, version in found.marker.packages.items()} if found.marker else {}


def _drift(
    want: Desired,
    path: str | None,
    found: t.Sequence[Found],
    build: str | None,
    wrong: str | None,
    gone: t.Iterable[str],
) -> t.Iterator[Drift]:
    if build and wrong:
        yield Drift(_KIND, want.name, "content", "complete", wrong)
    elif build:
        newest = next((os.path.basename(one.path) for one in found if one.marker), None)
        yield Drift(_KIND, want.name, "version", os.path.basename(build), newest)
    for one in gone:
        yield Drift(_KIND, f"{want.name} {os.path.basename(one)}", "state", "absent", "present")


def _build(want: Desired, host: RunEnvironment, python: str, version: str, path: str, packages: Packages) -> Packages:
    """Build the environment where it stays, since it cannot be moved. Whatever fails, nothing of it is left."""
    if os.path.lexists(path):
        environments.remove(path)
    with _gone_on_failure(path):
        os.mkdir(path)
        work = pip.Work(os.path.join(path, ".work"))
        # The configuration of pip lies there, and may hold a password.
        os.mkdir(work.path, 0o700)
        for folder in (work.temporary, work.home):
            os.mkdir(folder)
        for folder, options in ((path, ["--without-pip"]), (work.tool, [])):
            made = host.run(python, "-I", "-m", "venv", *options, folder, timeout_s=_VENV_TIMEOUT_S)
            # venv says nothing of why its ensurepip fails.
            full = made.rc != 0 and shutil.disk_usage(path).free < _FULL_BYTES
            must(made, f"the environment {path} cannot be made{', since the disk is full; make room' if full else ''}")
        program = pip.program(work.tool, version)
        for name in os.listdir(os.path.dirname(program)):
            if name != "pip":  # what else is there would count as installed
                _remove_any(os.path.join(os.path.dirname(program), name))
        _write(work.requirements, render(parse(want.requirements)))
        if want.sources.configuration is not None:
            _write(work.configuration, want.sources.configuration)
        start = (*work.environment(want.sources, host.variables), environments.python(path), "-I", program)
        install = work.install(want.sources, only_binary=want.only_binary, complete=want.complete, retries=want.retries)
        done = host.run(*start, *install, timeout_s=want.timeout_s)
        if done.rc != 0:
            raise pip.failure(want.name, done, timeout_s=want.timeout_s)
        if want.complete:
            fits = host.run(*start, "check", timeout_s=_VENV_TIMEOUT_S)
            must(fits, f"the set of the environment {want.name} does not fit")
        have = environments.installed(path)
        if {canonical(name) for name in have} != packages.keys():
            raise HostError(
                f"the environment {path} holds other packages than its set", installed=have, desired=sorted(packages)
            )
        shutil.rmtree(work.path)
        must(host.run("sync", "-f", path, timeout_s=_VENV_TIMEOUT_S), f"{path} cannot be written to disk")
        digest = paths.digest(want.requirements, version)
        environments.write_marker(Marker(path, digest, python, have))
    return {canonical(name): number for name, number in have.items()}


@contextlib.contextmanager
def _gone_on_failure(path: str) -> t.Iterator[None]:
    try:
        yield
    except BaseException:
        shutil.rmtree(path, ignore_errors=True)
        raise


def _remove_any(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    else:
        os.unlink(path)


def _write(path: str, text: str) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as out:
        out.write(text)


def _dismantle(want: Desired) -> None:
    """Take the folders away that hold nothing any more."""
    os.unlink(os.path.join(want.folder, ".lock"))
    ours = (BASE, os.path.dirname(BASE)) if want.base.rstrip("/") == BASE else ()
    with contextlib.suppress(OSError):
        for folder in (want.folder, *ours):
            os.rmdir(folder)


def _result(path: str | None, decided: Plan) -> dict[str, t.Any]:
    """The return values of the module: the same keys whatever happened."""
    packages: Packages = decided.after
    if path and not decided.build:
        packages = next((_packages(one) for one in environments.read(os.path.dirname(path)) if one.path == path), {})
    return {
        "changed": not decided.is_empty,
        "path": path,
        "python": environments.python(path) if path else None,
        "packages": [{"name": name, "version": version} for name, version in sorted(packages.items())],
        "removed": list(decided.remove),
        "drift": [row.as_row() for row in decided.drift],
        "diff": {"before": decided.before, "after": decided.after},
        "warnings": [] if decided.missing is None else [f"{decided.missing}. What it would hold is known then."],
    }
