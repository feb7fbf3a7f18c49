# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the engine's tests share: a real directory that plays the host's file system, and simulated systemd and dpkg."""

from __future__ import annotations

import fnmatch
import getpass
import grp
import itertools
import os

from ansible_collections.mlops.hosts.plugins.module_utils import _package_manager
from ansible_collections.mlops.hosts.plugins.module_utils._component import (
    boot_links,
    dpkg_repair,
    engine,
    fs_entry,
    journal,
    lock,
    policy,
    units,
)
from ansible_collections.mlops.hosts.plugins.module_utils._component.desired import (
    Component,
    DesiredDirectory,
    DesiredFile,
    DesiredLink,
    Effect,
)
from ansible_collections.mlops.hosts.plugins.module_utils._component.ready import RunEnvironment
from ansible_collections.mlops.hosts.plugins.module_utils._component.store import Store
from ansible_collections.mlops.hosts.plugins.module_utils._runner import Completed

ME = getpass.getuser()
MY_GROUP = grp.getgrgid(os.getgid()).gr_name
NO_EFFECT = Effect("none")
GONE = Component(name="demo", present=False)


# What changes the file system, in the engine's own words.
TOUCHES = {
    name: getattr(fs_entry, name)
    for name in ("stage", "swap_in", "make_directory", "discard", "remove_if_empty", "sync_directory")
}


class Killed(BaseException):
    """The process is gone: no except clause of the engine may catch it."""


def component(name="demo", **parts):
    return Component(name=name, present=True, **parts)


class Host:
    """A directory to change, and a state directory."""

    def __init__(self, path):
        self.root = path / "root"
        self.root.mkdir(parents=True)
        self.store = Store(str(path / "state"))
        self.programs = {}
        self.calls = []
        self.now = 0.0

    def run(self, *argv, timeout_s=None, stdin=None):
        self.calls.append(argv)
        self.tick()
        done = self.programs[argv[0]](*argv[1:]) if argv[0] in self.programs else 127
        rc, stdout = done if isinstance(done, tuple) else (done, "")
        return Completed(argv, rc, stdout, "")

    def tick(self):
        """Called before everything that touches the host."""

    def ensure(self, component, *, check=False, reach=lambda step: None, run="run-1", work_error=None):
        request = engine.Request(component, run, "here", check, lock_timeout_s=0, work_error=work_error)
        env = RunEnvironment(run=self.run, fetch=None, clock=lambda: self.now, sleep=self.sleep)
        return engine.ensure(request, self.store, env, reach)

    def sleep(self, seconds):
        self.now += seconds

    def path(self, name):
        return str(self.root / name)

    def file(self, name, content, **more):
        more = {"owner": ME, "group": MY_GROUP, "effect": NO_EFFECT, **more}
        return DesiredFile(self.path(name), content, **more)

    def keys(self, name, keys, **more):
        return self.file(name, None, json_keys=keys, **more)

    def directory(self, name, mode=0o755, **more):
        return DesiredDirectory(self.path(name), ME, MY_GROUP, mode, **more)

    def link(self, name, target):
        return DesiredLink(self.path(name), target, NO_EFFECT)

    def snapshot(self):
        found = {}
        for path in sorted(self.root.rglob("*")):
            name = str(path.relative_to(self.root))
            if path.is_symlink():
                found[name] = ("link", os.readlink(path).replace(str(self.root), ""))
            elif path.is_dir():
                found[name] = ("directory", path.stat().st_mode & 0o7777)
            else:
                found[name] = ("file", path.stat().st_mode & 0o7777, path.read_bytes())
        return found


class Machine(Host):
    """A Host with simulated systemd and dpkg, and the controller's loop that lets the package manager work.

    A unit is there when its file is, or its package (named like the unit). What a unit runs with is what systemd had
    read when it began: ``running`` is told apart from what is on the disk now.
    """

    UNITS = "etc/systemd/system"
    AVAILABLE = {"tool": ("1.0", "1.1", "2.0"), "served": ("1.0", "2.0")}

    def __init__(self, path, monkeypatch):
        super().__init__(path)
        (self.root / self.UNITS).mkdir(parents=True)
        self.patches, self.dies_after = monkeypatch, None
        monkeypatch.setattr(_package_manager, "find_manager", lambda: "apt")
        # A run that waits for the package manager is given up at once, and nobody else uses it.
        monkeypatch.setattr(journal, "_PATIENCE_S", -1)
        monkeypatch.setattr(lock, "package_manager_pid", lambda: None)
        monkeypatch.setattr(dpkg_repair, "package_manager_pid", lambda: None)
        monkeypatch.setattr(dpkg_repair, "_UPDATES", str(path / "updates"))
        monkeypatch.setattr(policy, "_POLICY", str(path / "policy-rc.d"))
        monkeypatch.setattr(lock, "package_manager_worked", lambda: float("-inf"))
        self.installed, self.held = {}, set()
        self.enabled, self.masked = set(), set()
        self.read, self.running, self.broken = {}, {}, set()
        self.programs = {
            "systemctl": self.systemctl,
            "journalctl": lambda *argv: (0, "it broke\n"),
            "dpkg-query": self.dpkg_query,
            "apt-mark": self.apt_mark,
            "apt-cache": self.apt_cache,
            "apt-get": lambda *argv: 0,
        }

    def tick(self):
        """Dies when it has been called as often as ``dies_after`` says."""
        if self.dies_after == 0:
            raise Killed
        if self.dies_after is not None:
            self.dies_after -= 1

    def ensure(self, component, **more):
        for name, touch in TOUCHES.items():
            self.patches.setattr(fs_entry, name, self.counted(touch))
        self.patches.setattr(boot_links, "PLACE", self.path(self.UNITS))
        self.patches.setattr(units, "_OVERRIDES", (self.path(self.UNITS),))
        self.patches.setattr(units, "_UNIT_DIRECTORIES", (self.path(self.UNITS) + "/",))
        return super().ensure(component, **more)

    def counted(self, touch):
        def first_tick(*args):
            self.tick()
            return touch(*args)

        return first_tick

    def bring(self, component, *, run="run-1", **more):
        """All calls of one run."""
        for _call in range(10):
            result = self.ensure(component, run=run, **more)
            if not result.get("work"):
                return result
            for work in result["work"]:
                self.work(work)
        raise AssertionError("the run does not come to an end")

    def work(self, work):
        for asked in work["names"]:
            name, _equals, version = asked.partition("=")
            assert name not in self.held, f"{name} is held, apt would refuse"
            if work["state"] == "absent":
                self.uninstall(name)
            elif version or name not in self.installed:
                offered = [found for found in self.AVAILABLE[name] if fnmatch.fnmatchcase(found, version or "*")]
                self.installed[name] = offered[-1]

    def uninstall(self, name):
        """A lock goes with its package."""
        self.installed.pop(name, None)
        self.held.discard(name)

    def dpkg_query(self, *argv):
        lines = [
            f"{name}\t{self.installed[name]}\t{'h' if name in self.held else 'i'}i \n"
            for name in argv[3:]
            if name in self.installed
        ]
        return (0 if len(lines) == len(argv[3:]) else 1), "".join(lines)

    def apt_cache(self, _madison, *names):
        offered = [(name, version) for name in names for version in self.AVAILABLE.get(name, ())]
        return 0, "".join(f" {name} | {version} | file:/srv ./ Packages\n" for name, version in offered)

    def apt_mark(self, verb, *names):
        getattr(self.held, "update" if verb == "hold" else "difference_update")(names)
        return 0

    def definition(self, name):
        """All that a unit is made of on the disk: its file, its drop-ins, and the configuration next to the root."""
        path = self.root / self.UNITS / name
        if not path.exists() and name.partition(".")[0] not in self.installed:
            return None
        parts = [path.read_bytes() if path.exists() else b"packaged"]
        parts += [found.read_bytes() for found in sorted((self.root / self.UNITS / f"{name}.d").glob("*.conf"))]
        return tuple(parts)

    def configuration(self):
        conf = self.root / "conf"
        return conf.read_bytes() if conf.exists() else None

    def systemctl(self, *argv):
        verb, names = argv[0], [word for word in argv[1:] if not word.startswith("--")]
        if verb in ("start", "restart", "reload-or-restart"):
            names = names or [argv[-1]]
        if argv[0] == "--no-block":
            verb, names = argv[1], list(argv[3:])
        if verb == "show":
            return 0, "\n\n".join(self.show(name) for name in names) + "\n"
        if verb in ("daemon-reload", "mask", "unmask"):
            self.read = {name: self.definition(name) for name in self.read}
        for name in names:
            if verb in ("start", "restart", "reload-or-restart"):
                if verb != "start" or name not in self.running:
                    self.read.setdefault(name, self.definition(name))
                    self.running[name] = (self.read[name], self.configuration())
            elif verb == "stop":
                self.running.pop(name, None)
            elif verb in ("enable", "disable"):
                getattr(self.enabled, "add" if verb == "enable" else "discard")(name)
                (self.enable_links if verb == "enable" else self.disable_links)(name)
            elif verb in ("mask", "unmask"):
                getattr(self.masked, "add" if verb == "mask" else "discard")(name)
        return 0

    def wants(self, name):
        return sorted(path.parent.name for path in (self.root / self.UNITS).glob(f"*.wants/{name}"))

    def enable_links(self, name):
        """Of each line WantedBy= of its file, as systemd makes them; what else may stand there is not simulated."""
        path = self.root / self.UNITS / name
        for line in path.read_bytes().splitlines() if path.exists() else ():
            if line.startswith(b"WantedBy="):
                link = self.root / self.UNITS / f"{line[9:].decode()}.wants" / name
                link.parent.mkdir(exist_ok=True)
                link.is_symlink() or link.symlink_to(path)

    def disable_links(self, name):
        for link in (self.root / self.UNITS).glob(f"*.wants/{name}"):
            link.unlink()
            if not any(link.parent.iterdir()):
                link.parent.rmdir()

    def show(self, name):
        now = self.definition(name)
        if now is not None:
            self.read.setdefault(name, now)
        exists = self.read.get(name) is not None
        fails = name in self.running and self.running[name][1] in self.broken
        state = "masked" if name in self.masked else "enabled" if name in self.enabled else "disabled"
        active = "failed" if fails else "active" if name in self.running else "inactive"
        return "\n".join(
            f"{key}={value}"
            for key, value in {
                "LoadState": "loaded" if exists else "not-found",
                "ActiveState": active,
                "SubState": {"active": "running", "inactive": "dead"}.get(active, active),
                "UnitFileState": state if exists else "",
                "NeedDaemonReload": "yes" if exists and now != self.read[name] else "no",
                "Result": "exit-code" if fails else "success",
                "Type": "simple",
            }.items()
        )

    def whole(self):
        """Everything about the machine that a component could have changed."""
        names = {name for name in self.enabled | self.masked if self.definition(name) is not None}
        return {
            "files": self.snapshot(),
            "installed": dict(self.installed),
            "held": set(self.held),
            "enabled": (self.enabled & names) - self.masked,
            "masked": self.masked & names,
            "running": {name: self.running[name] for name in sorted(self.running)},
        }

    def runs_what_is_there(self):
        """Whether each unit that runs has read the files that are on the disk now."""
        return all(self.running[name] == (self.definition(name), self.configuration()) for name in self.running)


def keys_of(drift):
    """Drift as a set, without the values."""
    return {(item["kind"], item["item"].rpartition("/")[2], item["attribute"]) for item in drift}


def subsets(items):
    items = list(items)
    return list(itertools.chain.from_iterable(itertools.combinations(items, size) for size in range(len(items) + 1)))
