# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fakes of sources on loopback, and a bench to run the core against them with the collection's own HTTP client."""

from __future__ import annotations

import functools
import importlib.util
import os
import pathlib
import sys

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._http_module import ModuleFetch
from ansible_collections.mlops.hosts.plugins.module_utils._model.artifact import RunEnvironment, Settings, ensure
from ansible_collections.mlops.hosts.plugins.module_utils._model.desired import parse
from ansible_collections.mlops.hosts.plugins.module_utils._model.store import Ownership

ROOT = pathlib.Path(__file__).resolve().parents[5]
REPO = "acme/chat"


def _load_fake():
    name = "mlops_hosts_fake_hub"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / "fakes" / "fake_hub.py")
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


fake = _load_fake()


@functools.cache
def content(seed, size):
    """Bytes that differ everywhere, so that a shifted piece is noticed."""
    return b"".join(b"%d-%d " % (seed, number) for number in range(size // 4 + 1))[:size]


def write(root, files):
    for path, data in files.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)


@pytest.fixture
def served(tmp_path):
    """What the fake serves: two branches that share files, and plain files."""
    root = tmp_path / "served"
    shared = {"config.json": b'{"layers": 2}', "tokenizer/vocab.txt": content(9, 900)}
    write(root / "models" / REPO / "main", {**shared, "model.gguf": content(1, 700_000), "README.md": b"# chat\n"})
    write(root / "models" / REPO / "next", {**shared, "model.gguf": content(2, 650_000), "README.md": b"# chat 2\n"})
    write(
        root / "plain",
        {"tiny.gguf": content(3, 300_000), "set/a.bin": content(4, 5_000), "set/b/c.bin": content(5, 10)},
    )
    return root


@pytest.fixture
def hub(served):
    with fake.Hub(served) as running:
        yield running


class Bench:
    """Runs the core. Sleeping takes no time and is noted."""

    def __init__(self, path, hub):
        self.path = path
        self.hub = hub
        self.slept = []
        self.told = []
        self.holders = {}
        self.rollback = ""
        self.free = 10**12
        self.mount = "/data"
        self.ownership = Ownership()

    @property
    def commits(self):
        return self.hub.tree.commits()[REPO]

    def chat(self, branch="main", **more):
        return {"name": "chat", "source": f"hf://{REPO}", "revision": self.commits[branch], **more}

    def __call__(self, *artifacts, dry_run=False, token=None, **settings):
        artifacts = [
            parse({"state": "present", **artifact}, endpoint=self.hub.url, token=token) for artifact in artifacts
        ]
        environment = RunEnvironment(
            fetch=ModuleFetch(),
            clock=lambda: float(sum(self.slept)),
            now=lambda: 1_000.0 + len(os.listdir(self.path.parent)),
            sleep=self.slept.append,
            free_bytes=lambda path: self.free,
            mount_point=lambda path: self.mount,
            rollback=lambda: self.rollback,
            holders=lambda paths: {path: those for path, those in self.holders.items() if path in paths},
            tell=self.told.append,
        )
        found = ensure(artifacts, str(self.path), self.ownership, environment, Settings(**settings), dry_run=dry_run)
        return found.result

    def asked(self, *, data_only=False):
        """Requests for files that were answered with content."""
        return [one for one in self.hub.asked if one.method == "GET" and "/api/" not in one.path or not data_only]

    def tree(self):
        """Every path with what it is: to see that nothing was touched."""
        found = {}
        for folder, folders, files in os.walk(self.path):
            for name in (*folders, *files):
                path = os.path.join(folder, name)
                seen = os.lstat(path)
                link = os.readlink(path) if os.path.islink(path) else None
                found[os.path.relpath(path, self.path)] = (
                    seen.st_mode,
                    seen.st_ino,
                    seen.st_mtime_ns,
                    seen.st_nlink,
                    link,
                )
        return found

    def blobs(self):
        folder = self.path / "blobs"
        return sorted(name for name in os.listdir(folder)) if folder.exists() else []

    def current(self, name="chat"):
        return self.path / "models" / name / "current"


@pytest.fixture
def bench(tmp_path, hub):
    return Bench(tmp_path / "store", hub)
