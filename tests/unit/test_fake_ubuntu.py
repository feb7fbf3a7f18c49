# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fake archive of Ubuntu has the true names, and everything that its packages need."""

from __future__ import annotations

import base64
import json
import pathlib
import re
import subprocess
import sys

import pytest

TOOL = pathlib.Path(__file__).resolve().parents[2] / "tools" / "fakes" / "fake_ubuntu.py"
UPLOADS = ("6.8.0-88.89=570.172.08,580.95.05", "6.8.0-88.89+1=580.178.04,615.71.09")


@pytest.fixture(scope="module")
def packages():
    done = subprocess.run([sys.executable, str(TOOL), *UPLOADS], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_names(packages):
    found = {(package["name"], package["version"]) for package in packages}
    assert {
        ("linux-modules-nvidia-580-server-open-6.8.0-88-generic", "6.8.0-88.89+1"),
        ("linux-modules-nvidia-580-server-open-generic", "6.8.0-88.89"),
        ("linux-objects-nvidia-580-server-6.8.0-88-generic", "6.8.0-88.89"),
        ("linux-signatures-nvidia-6.8.0-88-generic", "6.8.0-88.89+1"),
        ("nvidia-headless-no-dkms-570-server-open", "570.172.08-0ubuntu0.24.04.1"),
        ("nvidia-fabricmanager-580", "580.178.04-0ubuntu0.24.04.1"),
    } <= found
    assert not [
        name for name, _version in found if re.search("(modules|objects)-nvidia-615-server-[6g]|dkms-615-server$", name)
    ]


def test_every_dependency_is_there(packages):
    there = {name for package in packages for name in (package["name"], *package.get("provides", ()))}
    # Debian's own, on Debian.
    there |= {"dkms", "initramfs-tools", "kmod"}
    for package in packages:
        for need in package.get("depends", ()):
            choices = {choice.partition(" (")[0] for choice in need.split(" | ")}
            assert there & choices, f"{package['name']} needs {need}"


def test_modules_are_tied_to_the_libraries_of_their_version(packages):
    (package,) = (
        each
        for each in packages
        if (each["name"], each["version"]) == ("linux-modules-nvidia-580-server-open-generic", "6.8.0-88.89+1")
    )
    assert package["depends"] == [
        "linux-modules-nvidia-580-server-open-6.8.0-88-generic (= 6.8.0-88.89+1)",
        "nvidia-kernel-common-580-server (>= 580.178.04)",
        "nvidia-kernel-common-580-server (<= 580.178.04-1)",
    ]
    assert package["provides"] == [
        "nvidia-dkms-580-server-open (= 580.178.04-0ubuntu0.24.04.1)",
        "nvidia-prebuilt-kernel",
    ]


def test_every_module_has_its_signature(packages):
    modules = {path: text for package in packages for path, text in package.get("binary", {}).items()}
    objects = [path for path in modules if path.endswith(".o")]
    assert objects
    for path in objects:
        assert b"license=" in base64.b64decode(modules[path])
        assert base64.b64decode(modules[f"{path[:-2]}.ko.sig"]).endswith(b"~Module signature appended~\n")
