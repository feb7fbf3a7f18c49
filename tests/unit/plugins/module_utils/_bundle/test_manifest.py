# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The manifest of a bundle: what a host needs of it, and what is refused as one."""

from __future__ import annotations

import json

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._bundle.files import prune, publish, write
from ansible_collections.mlops.hosts.plugins.module_utils._bundle.make import claim
from ansible_collections.mlops.hosts.plugins.module_utils._bundle.manifest import (
    Entry,
    Manifest,
    Repository,
    parse,
    read,
)
from ansible_collections.mlops.hosts.plugins.module_utils._errors import HostError

SUM = "0" * 64


def entry(path, *components, suite="trixie", arch="amd64", kind="apt"):
    return Entry(kind, path, "1", arch, suite, path, SUM, 1, "http://x", components)


def paths(entries):
    return [one.path for one in entries]


def test_it_is_read_as_it_was_written(tmp_path):
    manifest = Manifest("now", "key", "AB", (Repository("docker", "trixie", "amd64", ("runc",)),), (entry("a", "x"),))
    write(f"{tmp_path}/bundle.json", manifest.text().encode())
    assert read(str(tmp_path)) == manifest


def test_where_there_is_none_it_is_empty(tmp_path):
    assert read(str(tmp_path)) == Manifest()


def test_a_host_needs_what_is_for_its_components_its_release_and_its_architecture():
    manifest = Manifest(
        entries=(
            entry("other-component", "cuda"),
            entry("other-release", "docker", suite="forky"),
            entry("other-arch", "docker", arch="arm64"),
            entry("all", "docker", arch="all"),
            entry("own", "docker", "cuda"),
            entry("model", "model_store", suite="", arch=""),
        )
    )
    assert paths(manifest.needed(["docker", "model_store"], "trixie", "amd64")) == ["all", "own", "model"]


def test_what_a_component_no_longer_needs_goes_and_what_others_need_stays():
    manifest = Manifest(
        entries=(entry("shared", "cuda", "docker"), entry("old", "docker"), entry("f", "docker", suite="forky"))
    )
    found = manifest.replaced("docker", "trixie", [entry("new", "docker")])
    assert {one.path: one.components for one in found.entries} == {
        "shared": ("cuda",),
        "new": ("docker",),
        "f": ("docker",),
    }
    again = found.replaced("docker", "trixie", [entry("shared", "docker")])
    assert {one.path: one.components for one in again.entries}["shared"] == ("cuda", "docker")


@pytest.mark.parametrize("path", ["../out", "/etc/passwd", "a/../../b", "a\\b", "a\nb", ""])
def test_a_path_that_leads_out_is_refused(path):
    text = Manifest(entries=(entry(path, "x"),)).text()
    with pytest.raises(HostError, match="whose path or sha256 is not valid"):
        parse(text, "it")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": 1}', "null"])
def test_what_is_no_manifest_is_refused(text):
    with pytest.raises(HostError, match="^it is no manifest of a bundle"):
        parse(text, "it")


def test_one_of_a_newer_release_is_refused():
    with pytest.raises(HostError, match="has the schema 2, and this release of the collection reads 1"):
        parse(json.dumps({"schema": 2}), "it")


def test_a_file_is_published_once_and_what_is_broken_is_replaced(tmp_path):
    (tmp_path / "a").write_text("x")
    sha256 = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
    assert publish(f"{tmp_path}/a", f"{tmp_path}/out/a", sha256)
    assert not publish(f"{tmp_path}/a", f"{tmp_path}/out/a", sha256)
    (tmp_path / "out/a").unlink()
    (tmp_path / "out/a").write_text("cut")
    assert publish(f"{tmp_path}/a", f"{tmp_path}/out/a", sha256)
    assert (tmp_path / "out/a").read_text() == "x"


def test_only_what_nothing_names_goes(tmp_path):
    for name in ("apt/a", "apt/old/b", "hub/c", "notes.txt"):
        write(f"{tmp_path}/{name}", b"")
    assert sorted(prune(str(tmp_path), {"apt/a"})) == ["apt/old/b", "hub/c"]
    assert sorted(str(one.relative_to(tmp_path)) for one in tmp_path.rglob("*") if one.is_file()) == [
        "apt/a",
        "notes.txt",
    ]


def test_a_directory_that_has_files_of_others_does_not_become_a_bundle(tmp_path):
    write(f"{tmp_path}/web/index.html", b"")
    with pytest.raises(HostError, match="must be a directory for a bundle alone, and has web without a bundle.json"):
        claim(str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["web"]


def test_a_bundle_that_was_begun_is_gone_on_with(tmp_path):
    claim(str(tmp_path))
    write(f"{tmp_path}/apt/pool/a", b"")
    claim(str(tmp_path))
    assert read(str(tmp_path)) == Manifest()
