# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Python packages as an index of static files (PEP 503), each with its hash."""

from __future__ import annotations

import contextlib
import html
import os
import re
import shutil
import typing as t
import urllib.parse

from .._errors import HostError
from .._python_environment import pip
from .._python_environment.requirements import canonical, parse, render
from .._runner import Runner, must
from . import files
from .manifest import Entry

COMPONENT = "model_runtime"
INDEX = "wheels/simple"
_FILES = "wheels/files"
_VENV_TIMEOUT_S = 300


def download(item: t.Mapping[str, t.Any], work: str, run: Runner, variables: t.Mapping[str, str]) -> int:
    """Have the files of an environment in ``work``. How many were not there."""
    folder, python = os.path.join(work, "files"), str(item["python"])
    os.makedirs(folder, exist_ok=True)
    place = pip.Work(os.path.join(work, "pip"))
    shutil.rmtree(place.path, ignore_errors=True)
    # The configuration of pip lies there, and may hold a password.
    os.mkdir(place.path, 0o700)
    for each in (place.temporary, place.home):
        os.mkdir(each)
    with contextlib.ExitStack() as end:
        end.callback(shutil.rmtree, place.path, ignore_errors=True)
        made = run(python, "-I", "-m", "venv", place.tool, timeout_s=_VENV_TIMEOUT_S)
        must(made, f"{python} makes no environment for pip; install its package for venv")
        sources = pip.Sources(item["index_url"], tuple(item["extra_index_urls"]), item["wheels"])
        sources.check()
        _write(place.requirements, render(parse(item["requirements"])))
        if sources.configuration is not None:
            _write(place.configuration, sources.configuration)
        before = {*os.listdir(folder)}
        done = run(
            *place.environment(sources, variables),
            f"{place.tool}/bin/python",
            *("-I", "-m", "pip", "download", "--require-hashes", "--no-deps", "--progress-bar=off"),
            *(["--only-binary=:all:"] if item["only_binary"] else []),
            *(["--no-index", f"--find-links={sources.wheels}"] if sources.wheels else []),
            *(f"--dest={folder}", f"--requirement={place.requirements}"),
            timeout_s=item["timeout_s"],
        )
        if done.rc != 0:
            raise pip.failure(item["name"], done, timeout_s=item["timeout_s"])
    return len({*os.listdir(folder)} - before)


def entries(item: t.Mapping[str, t.Any], work: str, out: str) -> tuple[list[Entry], int]:
    """Publish the files of an environment that are in ``work``. The entries, and how many files were not there."""
    allowed = {one.partition(":")[2] for need in parse(item["requirements"]) for one in need.hashes}
    folder, found, new = os.path.join(work, "files"), [], 0
    for file in sorted(os.listdir(folder)):
        sha256 = files.digest(os.path.join(folder, file))
        if sha256 in allowed:
            path = f"{_FILES}/{sha256[:16]}/{file}"
            new += files.publish(os.path.join(folder, file), os.path.join(out, path), sha256)
            size, (name, version) = os.path.getsize(os.path.join(folder, file)), identity(file)
            source = f"python environment {item['name']}"
            found.append(Entry("wheel", name, version, "", "", path, sha256, size, source, (COMPONENT,)))
    return found, new


def index(all_entries: t.Iterable[Entry], out: str) -> list[Entry]:
    """The pages of all packages."""
    pages: dict[str, list[Entry]] = {}
    for one in all_entries:
        if one.kind == "wheel":
            pages.setdefault(one.name, []).append(one)
    found = []
    for name, page in sorted(pages.items()):
        links = "".join(f'<a href="{_link(one)}">{html.escape(_file(one))}</a><br/>\n' for one in page)
        data = f"<!DOCTYPE html>\n<html><body>\n{links}</body></html>\n".encode()
        path = f"{INDEX}/{name}/index.html"
        files.write(os.path.join(out, path), data)
        sha256 = files.digest(os.path.join(out, path))
        found.append(
            Entry("file", name, "", "", "", path, sha256, len(data), "the wheels of this bundle", (COMPONENT,))
        )
    return found


def identity(file: str) -> tuple[str, str]:
    """Canonical name and version of a package, by the name of its file."""
    wheel = re.fullmatch(r"(?P<name>[^-]+)-(?P<version>[^-]+)(?:-\d[^-]*)?-[^-]+-[^-]+-[^-]+\.whl", file)
    archive = re.fullmatch(r"(?P<name>.+)-(?P<version>[^-]+)\.(?:tar\.gz|zip)", file)
    known = wheel or archive
    if known is None:
        raise HostError(f"{file} is neither a wheel nor a source archive of Python")
    return canonical(known["name"]), known["version"]


def _file(one: Entry) -> str:
    return one.path.rsplit("/", 1)[1]


def _link(one: Entry) -> str:
    below = urllib.parse.quote(os.path.relpath(one.path, f"{INDEX}/{one.name}"))
    return html.escape(f"{below}#sha256={one.sha256}")


def _write(path: str, text: str) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as out:
        out.write(text)
