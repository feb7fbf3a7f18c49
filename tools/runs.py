# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was run, as data: a ring of tests notes it here when it passed.

    runs.py RING    note that this ring passed, here and now

A note lies in .build/runs, which git ignores, so that no run changes a file of the repository. `make matrix` takes the
notes of this checkout into tests/runs.json, which is committed, and writes the pages that are made of it.
"""

from __future__ import annotations

import datetime
import hashlib
import importlib.metadata
import json
import platform
import re
import subprocess
import sys
import typing as t
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NOTES = ROOT / ".build" / "runs"
RECORDS = ROOT / "tests" / "runs.json"

Record = dict[str, t.Any]

# Programs that are named in the pages, and what their packages are called.
COMPONENTS = {
    "AMD Container Toolkit": r"amd-container-toolkit",
    "AMD driver": r"amdgpu-dkms",
    "CRI-O": r"cri-o",
    "CUDA toolkit": r"nvidia-cuda-toolkit|cuda-toolkit-\d+-\d+",
    "containerd": r"containerd(\.io)?",
    "DKMS": r"dkms",
    "dnf": r"dnf5?",
    "Docker": r"docker\.io|docker-ce",
    "HAProxy": r"haproxy",
    "llama.cpp": r"llama\.cpp-tools",
    "node exporter": r"prometheus-node-exporter",
    "NVIDIA Container Toolkit": r"nvidia-container-toolkit",
    "NVIDIA driver": r"nvidia-(open-)?(kernel-)?(open-)?dkms(-\d+)?(-server)?(-open)?|kmod-nvidia-(open|latest)-dkms",
    "Podman": r"podman",
    "Prometheus": r"prometheus",
    "Ray": r"ray",
    "ROCm": r"rocm-core.*",
    "rsyslog": r"rsyslog",
    "SGLang": r"sglang",
    "syslog-ng": r"syslog-ng-core",
    "systemd": r"systemd",
    "vLLM": r"vllm(-cpu)?",
}
_COMPONENT = {name: re.compile(pattern) for name, pattern in COMPONENTS.items()}
# How tools/fakes describe all packages that they make.
FAKE = "fake for tests"
SUITES = {"bookworm": "Debian 12", "trixie": "Debian 13", "forky": "Debian forky"}
# What a host may say that it is, though it is a Debian.
_RELEASES = {"jammy": "22.04", "noble": "24.04", "resolute": "26.04"}
_FAMILIES = {"rhel": "Enterprise Linux", "rocky": "Enterprise Linux", "almalinux": "Enterprise Linux"}
# Roles whose component has another name.
_LEDGER = {"ray": "ray_cluster"}


def note(name: str, hosts: t.Sequence[Record] | None = None) -> None:
    """That ``name`` passed. ``hosts``: what each ran, see ``host``; None for a ring that has none."""
    path = NOTES / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    record: Record = {
        "date": f"{datetime.date.today()}",
        "commit": commit(),
        "sources": sources(),
        "controller": {"ansible-core": importlib.metadata.version("ansible-core"), "python": platform.python_version()},
        "evidence": "recorded by the run",
    }
    if hosts is not None:
        record["hosts"] = sorted(hosts, key=lambda one: str(one["name"]))
    path.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n")


def host(name: str, suite: str, seen: Record) -> Record:
    """A host of a scenario, of what tools/hosts/what_runs.py printed there.

    ``runs`` is the distribution of its image, ``simulates`` another one that it says to be, or None. ``components``:
    ``{name: {"version": "1.0-1", "simulated": false}}``.
    """
    said = seen["distribution"]
    family = _FAMILIES.get(said["id"], said["name"])
    version = (
        said["version"].partition(".")[0]
        if said["id"] in _FAMILIES
        else _RELEASES.get(said["version"], said["version"])
    )
    roles = {_LEDGER.get(component, component) for component in seen["ledger"]}
    roles |= {"model_runtime"} if seen["environments"] else set()
    return {
        "name": name,
        "runs": SUITES[suite],
        "simulates": None if said["id"] == "debian" else f"{family} {version}".strip(),
        "roles": sorted(role for role in roles if (ROOT / "roles" / role).is_dir()),
        "components": {
            component: {"version": version, "simulated": summary.strip() == FAKE}
            for package, version, summary in sorted(seen["packages"])
            for component, pattern in _COMPONENT.items()
            if pattern.fullmatch(package)
        },
    }


def ring_of_scenario(name: str) -> str:
    """Its name as a run: one with another ansible-core than the pinned one is a run of its own."""
    core = importlib.metadata.version("ansible-core")
    pinned = re.search(r"^ansible-core==(\S+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    minor = ".".join(core.split(".")[:2])
    return f"molecule/{name}" if pinned and pinned[1] == core else f"ansible-core-{minor}/{name}"


def known() -> dict[str, Record]:
    """By name: what is committed, and what was run here after it."""
    found = recorded()
    for name, record in notes().items():
        if name not in found or (found[name]["date"] or "") <= record["date"]:
            found[name] = record
    return dict(sorted(found.items()))


def recorded() -> dict[str, Record]:
    return dict(json.loads(RECORDS.read_text())) if RECORDS.exists() else {}


def notes() -> dict[str, Record]:
    return {
        path.relative_to(NOTES).with_suffix("").as_posix(): json.loads(path.read_text())
        for path in sorted(NOTES.rglob("*.json"))
    }


def write(records: t.Mapping[str, Record]) -> None:
    RECORDS.write_text(json.dumps(records, indent=1, sort_keys=True) + "\n")


def sources() -> str:
    """Of the plugins and roles as they are."""
    found = hashlib.sha256()
    for path in sorted(path for folder in ("plugins", "roles") for path in (ROOT / folder).rglob("*")):
        if path.suffix in (".csv", ".py", ".yml", ".j2", ".txt", ".json") and path.is_file():
            found.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes() + b"\0")
    return found.hexdigest()[:12]


def commit() -> str | None:
    """The commit whose plugins and roles these are; None when they are those of none."""
    changed = _git("status", "--porcelain", "plugins", "roles")
    return None if changed is None or changed else _git("rev-parse", "--short=12", "HEAD")


def _git(*argv: str) -> str | None:
    done = subprocess.run(["git", *argv], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None


def main(argv: list[str]) -> int:
    if len(argv) != 1 or argv[0].startswith("-"):
        print("runs: one name of a ring is needed", file=sys.stderr)
        return 2
    note(argv[0])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
