# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import configparser

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._component import repositories
from ansible_collections.mlops.hosts.plugins.module_utils._component.desired import Repository


def repository(**more):
    values = {
        "name": "vendor",
        "uris": ("https://example.invalid/repo",),
        "suites": (),
        "components": (),
        "architectures": (),
        "key": "the key\n",
    }
    return Repository(**{**values, **more})


def fields(text):
    return dict(line.split(": ", 1) for line in text.splitlines())


def test_apt_trusts_the_key_for_this_repository_only():
    key, sources = repositories.files(repository(suites=("stable",), components=("main", "extra")), "apt")
    assert (key.path, key.content) == ("/etc/apt/keyrings/vendor.asc", b"the key\n")
    assert sources.path == "/etc/apt/sources.list.d/vendor.sources"
    assert fields(sources.content.decode()) == {
        "Types": "deb",
        "URIs": "https://example.invalid/repo",
        "Suites": "stable",
        "Components": "main extra",
        "Signed-By": "/etc/apt/keyrings/vendor.asc",
    }


def test_a_flat_apt_repository_has_no_components():
    _key, sources = repositories.files(repository(suites=("./",), architectures=("amd64", "arm64")), "apt")
    found = fields(sources.content.decode())
    assert "Components" not in found
    assert (found["Suites"], found["Architectures"]) == ("./", "amd64 arm64")


@pytest.mark.parametrize("manager", ["dnf", "dnf5"])
def test_dnf_checks_every_package_with_the_key_file(manager):
    key, repo = repositories.files(repository(), manager)
    assert (key.path, key.content) == ("/etc/pki/rpm-gpg/RPM-GPG-KEY-vendor", b"the key\n")
    assert repo.path == "/etc/yum.repos.d/vendor.repo"
    parsed = configparser.ConfigParser(interpolation=None)
    parsed.read_string(repo.content.decode())
    assert parsed.sections() == ["vendor"]
    assert dict(parsed["vendor"]) == {
        "name": "vendor",
        "baseurl": "https://example.invalid/repo",
        "enabled": "1",
        "gpgcheck": "1",
        "repo_gpgcheck": "0",
        "gpgkey": "file:///etc/pki/rpm-gpg/RPM-GPG-KEY-vendor",
    }


def test_dnf_checks_the_index_where_only_that_is_signed():
    _key, repo = repositories.files(repository(gpg_check="metadata"), "dnf")
    assert b"\ngpgcheck=0\nrepo_gpgcheck=1\ngpgkey=file:" in repo.content


@pytest.mark.parametrize("manager", ["apt", "dnf", "dnf5"])
def test_files_are_readable_for_all_and_touch_no_unit(manager):
    for file in repositories.files(repository(), manager):
        assert (file.mode, file.owner, file.kind, file.effect.impact) == (0o644, "root", "repository", "none")
