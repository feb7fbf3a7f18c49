# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What dnf would install on a host on which nothing is installed, as dnf 4.23 said it, and what becomes of it."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import re
import types

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._bundle import dnf, host, make
from ansible_collections.mlops.hosts.plugins.module_utils._bundle.dnf import Dnf
from ansible_collections.mlops.hosts.plugins.module_utils._bundle.manifest import read
from ansible_collections.mlops.hosts.plugins.module_utils._bundle.packages import Place
from ansible_collections.mlops.hosts.plugins.module_utils._component.desired import Repository
from ansible_collections.mlops.hosts.plugins.module_utils._errors import HostError
from ansible_collections.mlops.hosts.tests.unit.fakes import DATA, Recorded, Told

# MLOPS_FREEZE=1 writes it anew.
GOLDEN = DATA / "bundle/el9-simulated.json"
PLACE = Place("tools", "el9", "amd64", "rpm/el9")
LONG = "mlops-example-with-a-name-that-alone-is-longer-than-a-line-of-eighty-characters-1.0-1.noarch.rpm"
FIRST = ["mlops-example-2.0-1.noarch.rpm", "mlops-example-lib-2.5-2.sim.noarch.rpm", LONG]
SECOND = [*FIRST, "mlops-example-more-2.5-2.el9.noarch.rpm"]
OS_RELEASE = 'ID="rocky"\nID_LIKE="rhel centos fedora"\nVERSION_ID="9.6"\nPLATFORM_ID="platform:el9"\n'


class Host(Recorded):
    """Answers with recordings, and has simulated packages where dnf had real ones. ``said``: what dnf said, in turn."""

    def __init__(self, work, *said):
        super().__init__()
        self.archives = pathlib.Path(work) / "archives"
        self.said = list(said)

    def answer(self, argv):
        if argv[0] == "dnf":
            name, fetched = self.said.pop(0)
            for file in fetched:
                (self.archives / file).write_text(f"a simulated {file}")
        elif argv[0] == "rpm":
            name = f"rpm/bundle/{os.path.basename(argv[-1])}"
        else:
            name = "createrepo_c/bundle"
            at = pathlib.Path(argv[-1]) / "repodata"
            at.mkdir()
            index = (DATA / name / "repomd.xml").read_text()
            (at / "repomd.xml").write_text(index)
            for part in re.findall(r'href="repodata/(.+)"', index):
                (at / part).write_text("simulated")
        self.names.append(name)
        return super().answer(argv)


@pytest.fixture(autouse=True)
def el9(monkeypatch):
    said = {"/etc/os-release": OS_RELEASE}
    for module in (host, dnf):
        monkeypatch.setattr(module._text_file, "read", lambda path: said.get(path, ""))
    return said


def package(name, version=None):
    return {"name": name, "state": "present", "version": version}


def fetched(tmp_path, *said):
    run = Host(tmp_path, *said)
    work = Dnf(str(tmp_path), run)
    return run, work


def test_the_closure_is_what_dnf_fetches(tmp_path):
    run, work = fetched(tmp_path, ("dnf/bundle", FIRST))
    found = work.fetch([package("mlops-example", "2.*"), package("mlops-example-with-a-name")], PLACE)
    assert [os.path.basename(path) for path, _entry in found] == FIRST
    lib = found[1][1]
    assert (lib.kind, lib.name, lib.version, lib.arch) == ("rpm", "mlops-example-lib", "3:2.5-2.sim", "all")
    assert lib.path == f"rpm/el9/pool/{lib.sha256[:16]}/mlops-example-lib-2.5-2.sim.noarch.rpm"
    assert {"--releasever=9", f"--installroot={tmp_path}/root", "--downloadonly"} <= {*run.calls[0]}
    assert {"--setopt=install_weak_deps=False", "--setopt=module_platform_id=platform:el9"} <= {*run.calls[0]}
    assert run.calls[0][-2:] == ("mlops-example-2.*", "mlops-example-with-a-name")


def test_what_is_here_is_of_the_closure_too_and_what_another_needs_is_not(tmp_path):
    (tmp_path / "archives").mkdir()
    (tmp_path / "archives/other-1-1.noarch.rpm").write_text("of another component")
    _run, work = fetched(tmp_path, ("dnf/bundle", FIRST), ("dnf/bundle-again", SECOND[-1:]))
    work.fetch([], PLACE)
    assert [os.path.basename(path) for path, _entry in work.fetch([], PLACE)] == sorted(SECOND)


def test_a_broken_file_that_dnf_fetched_again_is_of_the_closure(tmp_path):
    (tmp_path / "archives").mkdir()
    (tmp_path / "archives" / FIRST[0]).write_text("broken")
    _run, work = fetched(tmp_path, ("dnf/bundle", FIRST))
    assert len(work.fetch([], PLACE)) == 3


def test_a_closure_that_is_not_whole_is_refused(tmp_path):
    _run, work = fetched(tmp_path, ("dnf/bundle", FIRST[:2]))
    with pytest.raises(HostError, match=r"of tools cannot be fetched: dnf names 2 files of 3; remove .*/archives"):
        work.fetch([], PLACE)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("foreign", "Failing package is: mlops-example-3.0-1.noarch | GPG check FAILED"),
        ("unknown", "Unable to find a match: mlops-nosuch"),
        ("unmet", "conflicting requests | nothing provides mlops-nowhere needed by mlops-example-broken-1.0-1.noarch"),
    ],
)
def test_what_dnf_refuses_is_said_in_its_words(tmp_path, name, sentence):
    _run, work = fetched(tmp_path, (f"dnf/bundle-{name}", []))
    with pytest.raises(HostError, match="the packages of tools cannot be fetched: dnf exited") as caught:
        work.fetch([], PLACE)
    assert sentence in str(caught.value)


def test_a_release_that_the_host_is_tied_to_counts(tmp_path, el9):
    el9["/etc/dnf/vars/releasever"] = "9.4\n"
    run, work = fetched(tmp_path, ("dnf/bundle", FIRST))
    work.fetch([], PLACE)
    assert "--releasever=9.4" in run.calls[0]


def test_repositories_stand_beside_those_of_the_host_each_with_its_own_key(tmp_path):
    (tmp_path / "etc/yum.repos.d").mkdir(parents=True)
    for name in ("rocky.repo", "vendor.repo"):
        (tmp_path / "etc/yum.repos.d" / name).write_text("theirs\n")
    # A key that was trusted for another component.
    (tmp_path / "work/root/var/lib/rpm").mkdir(parents=True)
    work = Dnf(f"{tmp_path}/work", Told())
    stream = "[nvidia-driver]\nname=nvidia-driver\nstate=enabled\nstream=580-open\n"
    vendor = Repository("vendor", ("https://v",), (), (), (), "a key", "metadata")
    work.configure([vendor], [stream], f"{tmp_path}/etc")
    assert sorted(os.listdir(tmp_path / "work/repos.d")) == ["rocky.repo", "vendor.repo"]
    ours = (tmp_path / "work/repos.d/vendor.repo").read_text()
    assert "repo_gpgcheck=1" in ours and f"gpgkey=file://{tmp_path}/work/keys/vendor.asc" in ours
    assert (tmp_path / "etc/yum.repos.d/vendor.repo").read_text() == "theirs\n"
    assert (tmp_path / "work/root/etc/dnf/modules.d/nvidia-driver.module").read_text() == stream
    assert not (tmp_path / "work/root/var").exists()


def test_a_component_becomes_a_signed_repository_and_a_manifest(tmp_path, monkeypatch):
    signer = types.SimpleNamespace(public="a key", fingerprint="AB" * 20, sign=lambda text, detached: b"signed")
    monkeypatch.setattr(make.gpg, "signer", lambda *_args: contextlib.nullcontext(signer))
    monkeypatch.setattr(make, "find_manager", lambda: "dnf")
    monkeypatch.setattr(make, "architecture", lambda _run: "amd64")
    run = Host(tmp_path / "work/dnf", ("dnf/bundle-again", SECOND))
    item = {"name": "tools", "repositories": [], "preferences": [], "packages": [package("mlops-example")]}
    params = {"dir": f"{tmp_path}/out", "work": f"{tmp_path}/work", "signing_key": "/key"}
    made = make.component(item, params, run)
    assert made.changed and made.new == 4
    manifest = dataclasses.replace(read(f"{tmp_path}/out"), made_at="now").text()
    if "MLOPS_FREEZE" in os.environ:
        GOLDEN.write_text(manifest)
    assert manifest == GOLDEN.read_text()
    for one in made.entries:
        assert (tmp_path / "out" / one.path).stat().st_size == one.size
    assert "--location-prefix=.." in run.calls[-1]
    times = {(tmp_path / "work/dnf/archives" / file).stat().st_mtime for file in SECOND}
    assert times == {0}, "createrepo_c writes them into the index, which is to be the same for the same packages"
