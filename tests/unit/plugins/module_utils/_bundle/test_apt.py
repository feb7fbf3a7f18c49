# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What apt would fetch for a host on which nothing is installed, as apt 3.3 said it, and the index of it."""

from __future__ import annotations

import hashlib

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._bundle.apt import Apt, File, release
from ansible_collections.mlops.hosts.plugins.module_utils._bundle.packages import Place, names, source
from ansible_collections.mlops.hosts.plugins.module_utils._component.desired import Repository
from ansible_collections.mlops.hosts.plugins.module_utils._errors import HostError
from ansible_collections.mlops.hosts.tests.unit.fakes import Replay, Told

CONTROL = "Package: jq\nVersion: 1:1.8\nArchitecture: amd64\nDescription: x\n more\n"


def apt(tmp_path, run):
    return Apt(f"{tmp_path}/work", run)


def package(name, **more):
    return {"name": name, "state": "present", "version": None, **more}


def test_the_closure_is_what_apt_resolves_with_the_checksums_of_its_index(tmp_path):
    run = Replay("apt-get/uris-closure")
    found = apt(tmp_path, run).closure(["jq"], "tools")
    assert {"jq", "libjq1", "libc6"} <= {one.name.split("_")[0] for one in found}
    assert all(len(one.sha256) == 64 and one.size for one in found)
    (call,) = run.calls
    assert f"Dir::State::status={tmp_path}/work/status" in call and "--no-install-recommends" in call


def test_names_of_files_are_those_of_the_repository(tmp_path):
    found = apt(tmp_path, Replay("apt-get/uris-closure")).closure(["jq"], "tools")
    assert "gcc-16-base_16.2.0-3_amd64.deb" in [one.published for one in found]
    one = File("http://x/pool/g/g%2b%2b_4%2breally_amd64.deb", "g++_4%3a4_amd64.deb", 1, "")
    assert one.published == "g++_4+really_amd64.deb"


def test_a_checksum_that_is_too_weak_is_not_taken(tmp_path):
    with pytest.raises(HostError, match="apt has no checksum for some of them"):
        apt(tmp_path, Replay("apt-get/uris-md5")).closure(["jq"], "tools")


def test_what_apt_cannot_resolve_is_said_in_its_words(tmp_path):
    with pytest.raises(HostError, match=r"packages of tools cannot be resolved.*Unable to locate package nosuch"):
        apt(tmp_path, Replay("apt-get/uris-unknown")).closure(["jq", "nosuch"], "tools")


def test_a_file_that_is_here_is_not_fetched_again_and_a_broken_one_is_refused(tmp_path):
    run = Told(apt_get="")
    work, data = apt(tmp_path, run), b"package"
    one = File("http://x/jq.deb", "jq_1_amd64.deb", len(data), hashlib.sha256(data).hexdigest())
    (tmp_path / "work/archives/jq_1_amd64.deb").write_bytes(data)
    assert work.download(["jq"], [one], "tools") == 0 and run.calls == []
    (tmp_path / "work/archives/jq_1_amd64.deb").write_bytes(b"pack8ge")
    with pytest.raises(HostError, match="is not what apt's index says"):
        work.download(["jq"], [one], "tools")
    assert "--download-only" in run.calls[0]


def test_versions_are_asked_for_as_the_component_would():
    packages = [package("a"), package("b", version="26.1.*"), package("gone", state="absent")]
    assert names(packages, "apt") == ["a", "b=26.1.*"]
    assert names(packages, "dnf") == ["a", "b-26.1.*"]


def test_sources_and_pins_stand_beside_those_of_the_host_without_touching_them(tmp_path):
    etc = tmp_path / "etc"
    for name in ("sources.list.d/debian.sources", "preferences.d/site"):
        (etc / name).parent.mkdir(parents=True)
        (etc / name).write_text("theirs\n")
    run = Told(apt_get="")
    work = apt(tmp_path, run)
    vendor = Repository("vendor", ("https://v",), ("/",), (), (), "a key")
    work.configure([vendor], ["Package: x\n"], str(etc))
    assert sorted(path.name for path in (tmp_path / "work/sources.d").iterdir()) == ["debian.sources", "vendor.sources"]
    assert f"Signed-By: {tmp_path}/work/keys/vendor.asc" in (tmp_path / "work/sources.d/vendor.sources").read_text()
    assert sorted(path.name for path in (tmp_path / "work/preferences.d").iterdir()) == ["mlops-bundle-0", "site"]
    # The lists are read once for components with the same sources.
    work.configure([vendor], [], str(etc))
    assert [call[-1] for call in run.calls] == ["update"]
    work.configure([], [], str(etc))
    assert [call[-1] for call in run.calls] == ["update", "update"]
    assert [path.name for path in (etc / "sources.list.d").iterdir()] == ["debian.sources"]


def test_a_repository_without_a_key_is_refused():
    with pytest.raises(HostError, match="has no signing key"):
        source({"name": "vendor", "key": None})


def test_an_index_says_where_a_file_is_below_its_own_root(tmp_path):
    work = apt(tmp_path, Told(dpkg_deb=CONTROL))
    one = File("http://x/pool/j/jq_1.8_amd64.deb", "jq_1%3a1.8_amd64.deb", 7, "ab" * 32)
    place = Place("tools", "trixie", "amd64", "apt/trixie")
    entry = work.entry(one, place)
    assert (entry.name, entry.version, entry.arch) == ("jq", "1:1.8", "amd64")
    assert entry.path == "apt/trixie/pool/abababababababab/jq_1.8_amd64.deb"
    text = work.index([(work.path(one), entry)], place)["Packages"].decode()
    assert text == f"{CONTROL}Filename: pool/abababababababab/jq_1.8_amd64.deb\nSize: 7\nSHA256: {'ab' * 32}\n"
    signed = release(text.encode(), place, "now")
    assert f" {hashlib.sha256(text.encode()).hexdigest()} {len(text)} Packages\n" in signed
