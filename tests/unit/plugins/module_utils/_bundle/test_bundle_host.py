# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host is, as a manifest names it."""

from __future__ import annotations

import os
import types

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._bundle import host, make
from ansible_collections.mlops.hosts.plugins.module_utils._errors import HostError
from ansible_collections.mlops.hosts.plugins.module_utils._runner import NOT_FOUND, Completed


def reads(monkeypatch, text):
    monkeypatch.setattr(host._text_file, "read", lambda _path: text)


def test_the_release_is_that_of_the_distribution(monkeypatch):
    reads(monkeypatch, 'ID=debian\nVERSION_CODENAME="trixie"\n')
    assert host.suite() == make.release() == "trixie"


@pytest.mark.parametrize(
    "said",
    [
        'ID="rocky"\nID_LIKE="rhel centos fedora"\nVERSION_ID="9.6"\n',
        'ID="rhel"\nID_LIKE="fedora"\nVERSION_ID="9.4"\nVERSION_CODENAME=""\n',
        'ID="ol"\nID_LIKE="fedora"\nVERSION_ID="9.5"\n',
        'ID="centos"\nID_LIKE="rhel fedora"\nVERSION_ID="9"\n',
    ],
)
def test_the_release_of_an_enterprise_linux_is_its_major_version(monkeypatch, said):
    reads(monkeypatch, said)
    assert host.suite() == make.release() == "el9"


def test_a_distribution_that_names_no_release_has_models_wheels_and_images_and_makes_nothing(monkeypatch):
    reads(monkeypatch, "ID=arch\n")
    assert host.suite() == ""
    with pytest.raises(HostError, match="make the bundle on Debian, Ubuntu or an Enterprise Linux"):
        make.release()


def test_dnf_5_makes_no_bundle(monkeypatch):
    monkeypatch.setattr(make, "find_manager", lambda: "dnf5")
    with pytest.raises(HostError, match="by apt or by dnf 4, and this host has dnf 5; make the bundle on another host"):
        make._packages("/nowhere", None)


@pytest.mark.parametrize(
    ("machine", "rc", "said", "expected"),
    [
        ("x86_64", 0, "i386\n", "i386"),
        ("x86_64", NOT_FOUND, "", "amd64"),
        ("aarch64", NOT_FOUND, "", "arm64"),
        ("riscv64", NOT_FOUND, "", "riscv64"),
    ],
)
def test_the_architecture_is_that_of_packages_or_of_the_kernel(monkeypatch, machine, rc, said, expected):
    monkeypatch.setattr(os, "uname", lambda: types.SimpleNamespace(machine=machine))
    assert host.architecture(lambda *argv, **_options: Completed(argv, rc, said, "")) == expected
