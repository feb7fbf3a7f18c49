# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A log host and ML hosts with simulated GPUs, and the variables that all seven roles are run with.

Of many ML hosts, one is converged, and the others start from an image of it. So all of them have the same identity
towards the log host, which takes in the logs of all of them.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import yaml
from measure import FOLDER, HERE, ROOT, Play, hosts, say

sys.path.insert(0, str(ROOT))

from tools.demo.pki import make_pki

GROUP = "bench-fleet"
PREPARED, CONVERGED = "mlops-hosts-bench-prepared", "mlops-hosts-bench"
FORKS = 50
BOOTS = 5
DRIVER = "580.95.05"
# In the order of site.yml.
ROLES = (
    "gpu_driver", "gpu_settings", "cuda_toolkit", "container_runtime", "log_shipper", "model_store", "model_server",
)  # fmt: skip
SITE = ROOT / "playbooks" / "site.yml"
# Names of hosts for first changes.
FRESH = tuple(f"fresh{number}" for number in range(1, 21))


@contextmanager
def prepared(names: Sequence[str]) -> Iterator[None]:
    """The log host, converged, and the first of these hosts as it is before the site comes, which is an image, too."""
    try:
        say("a log host, and an ML host with simulated GPUs")
        up({"loghost": {"suite": "trixie", "stock": True, "groups": ["log_hosts"]}, names[0]: _ml_host()})
        _make_models()
        made = _vars(names)
        _write_vars(made)
        Play("models", HERE / "prepare_models.yml", must_change=True).run()
        Play("prepare", HERE / "prepare_fleet.yml", must_change=True).run()
        _write_vars({**made, **_of_repositories()})
        Play("site", SITE, ("--limit=log_hosts",), must_change=True).run()
        hosts("snapshot", "--group", GROUP, names[0], PREPARED)
        yield
    finally:
        hosts("down", "--group", GROUP)
        for image in (CONVERGED, PREPARED):
            hosts("forget", image)


def converge(names: Sequence[str]) -> None:
    """All of these hosts as the site desires them."""
    Play("site", SITE, limit(names[0]), must_change=True).run()
    Play("site", SITE, limit(names[0])).run()
    if names[1:]:
        say(f"{len(names)} hosts like that one")
        hosts("snapshot", "--group", GROUP, names[0], CONVERGED)
        up({name: {**_ml_host(), "image": CONVERGED} for name in names[1:]})
        # A copied file is another file, and what lay in memory is gone: each model is hashed once more, and the
        # description of the GPUs for containers is written anew. After that, nothing may differ.
        Play("site", SITE, limit(*names), must_change=None).run()
        Play("site", SITE, limit(*names)).run()


def fresh(name: str) -> None:
    """One more host as it is before the site comes; its first connection is open already."""
    up({name: {**_ml_host(), "image": PREPARED}})
    Play("empty", HERE / "empty.yml", limit(name)).run()


def limit(*names: str) -> tuple[str, ...]:
    return (f"--limit={','.join(names)}", f"--forks={FORKS}")


def up(desired: dict[str, dict[str, object]]) -> None:
    spec = [{"name": name, **options} for name, options in desired.items()]
    # A few at a time: fifty that boot side by side would take longer than a host may.
    for first in range(0, len(spec), BOOTS):
        hosts("up", "--group", GROUP, "--spec", "-", stdin=json.dumps(spec[first : first + BOOTS]))
    FOLDER.joinpath("hosts.yml").write_text(hosts("inventory", "--group", GROUP))


def _ml_host() -> dict[str, object]:
    # llama.cpp is packaged for forky only.
    return {"suite": "forky", "stock": True, "groups": ["ml_hosts"]}


def _make_models() -> None:
    """broken.gguf is only published."""
    for name, options in {"good": ["--seed=1"], "broken": ["--broken=says-nothing"]}.items():
        program = [sys.executable, str(ROOT / "tools" / "fakes" / "tiny_model.py"), *options]
        subprocess.run([*program, str(FOLDER / f"{name}.gguf")], check=True, stdout=subprocess.DEVNULL)


def _vars(names: Sequence[str]) -> dict[str, Any]:
    """What the inventory needs, and what prepare_fleet.yml does."""
    pki = make_pki("loghost", [names[0]])
    return {
        "bench_driver": DRIVER,
        "bench_folder": str(FOLDER),
        "bench_api_key": secrets.token_urlsafe(24),
        "bench_pki": {**pki, **dict.fromkeys(names, pki[names[0]]), **dict.fromkeys(FRESH, pki[names[0]])},
        "bench_sums": {
            name: hashlib.sha256((FOLDER / f"{name}.gguf").read_bytes()).hexdigest() for name in ("good", "broken")
        },
    }


def _of_repositories() -> dict[str, Any]:
    """What the roles are asked for beside the inventory's: a driver and a toolkit of NVIDIA's, Docker with GPUs."""
    keys = {
        f"{variable}_{name}": (FOLDER / f"{repository}-{file}").read_text().strip() + end
        for variable, repository in {
            "gpu_driver_repository": "nvidia",
            "cuda_toolkit_repository": "nvidia",
            "container_runtime_toolkit": "toolkit",
        }.items()
        for name, file, end in (("key", "key.asc", "\n"), ("fingerprint", "fingerprint", ""))
    }
    return {
        **keys,
        "gpu_driver_vendor": "auto",
        "gpu_driver_version": DRIVER,
        "gpu_driver_repository_url": "file:/srv/nvidia",
        # What is loaded is simulated, and is the one that is installed.
        "gpu_driver_reload": "never",
        "gpu_settings_devices": [{"select": "all", "persistence": True, "power_limit_w": 300}],
        "cuda_toolkit_versions": ["12.9"],
        "cuda_toolkit_repository_url": "file:/srv/nvidia",
        "container_runtime_provider": "docker",
        "container_runtime_mirror": "file:/srv/toolkit",
        "container_runtime_toolkit": "nvidia",
        # The host says that it is a trixie, for which no package with llama-server is known.
        "model_server_packages": [{"name": "llama.cpp-tools"}],
    }


def _write_vars(found: dict[str, Any]) -> None:
    path = FOLDER / "vars.yml"
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w") as out:
        yaml.safe_dump(found, out)
