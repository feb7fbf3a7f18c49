# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stops a run of the collection's module at a named point. It lies on test hosts only, where every Python loads it.

The observer writes the name of a point to ``/faults/at``. The first process that comes to this point removes the file,
writes its pid to ``/faults/reached`` and waits there until the observer makes ``/faults/go``, or kills it. Points are

    <step>          before a step of the transaction, or a phase of the engine
    requires        the host was compared, and what the component requires of it is to be checked
    staged <path>   a file or link waits next to its place, on disk, and is not swapped in yet
    swapped <path>  it is

``<point>#2`` is the second time in one process. ``/faults/limits`` maps ``<module>.<constant>`` to a shorter limit.
"""

from __future__ import annotations

import collections
import importlib.abc
import json
import os
import select
import sys
import time

TALK = "/faults"
PARENT = ".module_utils._component."
_seen: collections.Counter[str] = collections.Counter()


def point(name: str) -> None:
    _seen[name] += 1
    nth = name if _seen[name] == 1 else f"{name}#{_seen[name]}"
    with open(f"{TALK}/passed", "a") as log:
        log.write(f"{os.getpid()} {nth}\n")
    if _read("at") != nth:
        return
    os.unlink(f"{TALK}/at")
    with open(f"{TALK}/reached.new", "w") as out:
        out.write(str(os.getpid()))
    os.rename(f"{TALK}/reached.new", f"{TALK}/reached")
    while not os.path.exists(f"{TALK}/go"):
        time.sleep(0.02)
    os.unlink(f"{TALK}/go")


def _read(name: str) -> str:
    try:
        with open(f"{TALK}/{name}") as source:
            return source.read()
    except FileNotFoundError:
        return ""


def _patch(name: str, module) -> None:
    for limit, value in json.loads(_read("limits") or "{}").items():
        owner, _, constant = limit.partition(".")
        if owner == name:
            getattr(module, constant)  # a limit that has another name now must not be missed
            setattr(module, constant, value)
    if name == "engine":
        ensure = module.ensure
        module.ensure = lambda request, store, env: ensure(request, store, env, reach=point)
    if name == "requirements":
        check = module.check
        module.check = lambda *args, **options: point("requires") or check(*args, **options)
    if name == "fs_entry":
        module.stage = _told(module.stage, "staged")
        module.swap_in = _told(module.swap_in, "swapped")


def _told(function, word):
    def wrapped(path, *rest):
        result = function(path, *rest)
        point(f"{word} {path}")
        return result

    return wrapped


class _Loader(importlib.abc.Loader):
    def __init__(self, loader, name: str) -> None:
        self.loader, self.name = loader, name

    def create_module(self, spec):
        return self.loader.create_module(spec)

    def exec_module(self, module) -> None:
        self.loader.exec_module(module)
        _patch(self.name, module)


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, fullname, path, target=None):
        if PARENT not in fullname:
            return None
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(fullname, path, target)
            if spec is not None:
                spec.loader = _Loader(spec.loader, fullname.rpartition(".")[2])
                return spec
        return None


if "FAKETIME" in os.environ:
    # libfaketime refuses the sleep until a moment that Python asks for; select waits for a time.
    time.sleep = lambda seconds: select.select([], [], [], seconds)  # type: ignore[assignment]

if os.path.isdir(TALK):
    sys.meta_path.insert(0, _Finder())
