#!/usr/bin/env python3
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure what fetching and checking a model costs, beside ``hf download`` and ``sha256sum``.

    models.py [--mib N] [--files N] [--rounds N] [--out FOLDER]

The result is docs/performance-models.md. The hub is tools/fakes/fake_hub.py on this machine. The newest huggingface_hub
that pip finds is installed in a folder below .build. Each round is one of each, in turn.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import datetime
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from measure import COLLECTIONS, FOLDER, PYTHON, ROOT, say

WORK = FOLDER / "models"
REPOSITORY = "bench/model"
WALL_AT_MOST = 1.0
MEMORY_AT_MOST = 0.5
HASH_AT_LEAST = 1.7
_MIB = 1024 * 1024


@dataclasses.dataclass(frozen=True)
class Used:
    """By one process and its children, or the medians of several: seconds, and MiB of the largest process."""

    wall: float
    cpu: float
    peak: float


@dataclasses.dataclass(frozen=True)
class Found:
    client: str
    mib: int
    files: int
    rounds: int
    used: Mapping[str, Used]


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--mib", type=int, default=2048, help="size of the model (%(default)s)")
    parser.add_argument("--files", type=int, default=40, help="how many files it has (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is run (%(default)s)")
    parser.add_argument("--out", type=Path, default=ROOT / "docs", help="where the page goes")
    options = parser.parse_args(argv)
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    try:
        hf = _client()
        model = _model(options.mib, options.files)
        with _hub() as endpoint:
            used = _measure(hf, model, endpoint, options.rounds)
    finally:
        shutil.rmtree(WORK, ignore_errors=True)
    version = subprocess.run([hf, "version"], capture_output=True, text=True, check=True).stdout.split()[-1]
    (options.out / "performance-models.md").write_text(
        page(Found(version, options.mib, options.files, options.rounds, used))
    )
    say(f"written: {options.out / 'performance-models.md'}")
    return 0


def _client() -> Path:
    """The ``hf`` of the newest huggingface_hub, in an environment of its own."""
    home = FOLDER / "huggingface_hub"
    if not (home / "bin" / "hf").exists():
        say("installing huggingface_hub")
        subprocess.run([PYTHON, "-m", "venv", home], check=True)
        subprocess.run([home / "bin" / "pip", "install", "--quiet", "huggingface_hub"], check=True)
    return home / "bin" / "hf"


def _model(mib: int, files: int) -> Path:
    """A repository with files of random bytes, all but the configuration of one size."""
    folder = WORK / "served" / "models" / REPOSITORY / "main"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}\n")
    for number in range(1, files):
        with open(folder / f"model-{number:05}-of-{files - 1:05}.safetensors", "wb") as file:
            left = mib * _MIB // (files - 1)
            while left:
                left -= file.write(os.urandom(min(left, _MIB)))
    return folder


@contextlib.contextmanager
def _hub() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    argv = [PYTHON, ROOT / "tools/fakes/fake_hub.py", WORK / "served", f"--port={port}"]
    with open(WORK / "hub.log", "wb") as log, subprocess.Popen(argv, stdout=log, stderr=log) as hub:
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            hub.terminate()


def _measure(hf: Path, model: Path, endpoint: str, rounds: int) -> Mapping[str, Used]:
    commit = _commit(endpoint)
    store, theirs, arguments = WORK / "store", WORK / "theirs", WORK / "arguments.json"
    artifact = {"name": "model", "source": f"hf://{REPOSITORY}", "revision": commit}
    given = {"artifacts": [artifact], "store": f"{store}", "endpoint": endpoint}
    ours: list[Path | str] = [
        PYTHON,
        "-m",
        "ansible_collections.mlops.hosts.plugins.modules.model_artifact",
        arguments,
    ]
    their: list[Path | str] = [hf, "download", REPOSITORY, f"--revision={commit}", f"--local-dir={theirs}"]
    sums: list[Path | str] = ["sha256sum", *sorted(map(str, model.iterdir()))]
    seen: dict[str, list[Used]] = {}
    for number in range(rounds):
        shutil.rmtree(store, ignore_errors=True)
        shutil.rmtree(theirs, ignore_errors=True)

        def fetch() -> None:
            _arguments(arguments, given)
            seen.setdefault("fetch", []).append(_used(ours, changed=True))

        def hf_download() -> None:
            seen.setdefault("hf", []).append(used := _used(their, HF_ENDPOINT=endpoint))
            begun = time.monotonic()
            os.sync()
            seen.setdefault("hf sync", []).append(dataclasses.replace(used, wall=used.wall + time.monotonic() - begun))

        for step in (fetch, hf_download) if number % 2 == 0 else (hf_download, fetch):
            os.sync()
            step()
        seen.setdefault("again", []).append(_used(ours, changed=False))
        seen.setdefault("hf again", []).append(_used(their, HF_ENDPOINT=endpoint))
        _arguments(arguments, {**given, "verify": True})
        seen.setdefault("verify", []).append(_used(ours, changed=False))
        seen.setdefault("sha256sum", []).append(_used(sums))
        say(f"round {number + 1}: " + ", ".join(f"{name} {used[-1].wall:.1f} s" for name, used in seen.items()))
    return {name: _medians(used) for name, used in seen.items()}


def _commit(endpoint: str) -> str:
    """The commit of the branch. The hub has all checksums when it has answered once, so that nobody waits for them."""
    for attempt in range(100):
        try:
            with urllib.request.urlopen(f"{endpoint}/api/models/{REPOSITORY}/revision/main") as answer:
                return str(json.load(answer)["sha"])
        except OSError:
            time.sleep(0.1 * attempt)
    raise SystemExit("bench: the fake hub does not answer; its output was in hub.log")


def _arguments(path: Path, given: Mapping[str, object]) -> None:
    path.write_text(json.dumps({"ANSIBLE_MODULE_ARGS": given}))


def _used(argv: Sequence[Path | str], *, changed: bool | None = None, **environment: str) -> Used:
    quiet = {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_XET": "1"}
    env = {**os.environ, **quiet, "HF_HOME": str(WORK / "hf"), "PYTHONPATH": str(COLLECTIONS), **environment}
    with open(WORK / "last.log", "w+") as log:
        begun = time.monotonic()
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=env)
        _pid, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - begun
        log.seek(0)
        output = log.read()
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode or (changed is not None and json.loads(output)["changed"] is not changed):
        raise SystemExit(
            f"bench: {' '.join(map(str, argv[:4]))} exited with status {process.returncode}: {output[-2000:]}"
        )
    return Used(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def _medians(used: Sequence[Used]) -> Used:
    return Used(*(statistics.median(getattr(one, field.name) for one in used) for field in dataclasses.fields(Used)))


def page(found: Found) -> str:
    used = found.used
    hf = f"`hf download` {found.client}"
    synced = used["fetch"].wall / used["hf sync"].wall
    targets = [
        ("fetching: wall by that of " + hf, used["fetch"].wall / used["hf"].wall, WALL_AT_MOST, "most"),
        ("fetching: peak memory by that of " + hf, used["fetch"].peak / used["hf"].peak, MEMORY_AT_MOST, "most"),
        (
            "verifying: speed by that of one `sha256sum`",
            used["sha256sum"].wall / used["verify"].wall,
            HASH_AT_LEAST,
            "least",
        ),
    ]
    names = {
        "fetch": "`model_artifact`, an empty store",
        "hf": f"{hf}, an empty folder",
        "hf sync": f"{hf}, and until it is on the disk",
        "again": "`model_artifact`, the store is right",
        "hf again": f"{hf}, the folder is right",
        "verify": "`model_artifact` with `verify`, the store is right",
        "sha256sum": "`sha256sum` of the same files",
    }
    rows = [
        f"| {name} | {used[key].wall:.2f} s | {used[key].cpu:.2f} s | {used[key].peak:.0f} MiB |"
        for key, name in names.items()
    ]
    reached = []
    for words, ratio, limit, way in targets:
        missed = ratio > limit if way == "most" else ratio < limit
        reached.append(f"| {words}: at {way} {limit:g}× | {ratio:.2f}× | {'**no**' if missed else 'yes'} |")
    return f"""# What a model costs

Written by `make bench` on {datetime.date.today()}. A model of {found.mib} MiB in {found.files} files, from a simulated
hub (`tools/fakes/fake_hub.py`) on the same machine of {os.cpu_count()} cores, of which it takes its share. Medians of
{found.rounds} rounds, in turn. CPU and memory are those of the client. `hf download` runs without Xet, which the hub
does not speak. `model_artifact` also hashes what it fetches, and waits until it is on the disk: its wall is
{synced:.2f}× that of `hf download` with `sync` after it.

| target | measured | reached |
|---|---|---|
{chr(10).join(reached)}

| | wall | CPU | peak memory |
|---|--:|--:|--:|
{chr(10).join(rows)}
"""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
