# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import pathlib
import time

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._component import package_index, packages
from ansible_collections.mlops.hosts.plugins.module_utils._component.desired import DesiredPackage, Effect, Repository
from ansible_collections.mlops.hosts.plugins.module_utils._component.package_index import Offer
from ansible_collections.mlops.hosts.plugins.module_utils._component.packages import Work
from ansible_collections.mlops.hosts.plugins.module_utils._errors import HostError
from ansible_collections.mlops.hosts.plugins.module_utils._runner import Completed
from ansible_collections.mlops.hosts.tests.unit.fakes import Recorded

DATA = pathlib.Path(__file__).parents[3] / "data"
MANAGERS = ["apt", "dnf", "dnf5"]


@pytest.fixture(autouse=True)
def read_at(tmp_path, monkeypatch):
    """Where the package managers would note that they read their lists: just now."""
    path = tmp_path / "partial"
    path.mkdir()
    monkeypatch.setattr(package_index, "_READ_AT", dict.fromkeys(MANAGERS, str(path)))
    return path


def desired(name="demo-tool", version=None):
    return DesiredPackage(name, True, version, False, Effect())


def repository(name="r", uri="http://127.0.0.1:8000/"):
    return Repository(name, (uri,), ("./",), (), (), "key")


ALL = [desired("demo-tool"), desired("demo-epoch"), desired("nothere")]
OFFER = {
    "apt": {"demo-tool": ["1.1", "1.0"], "demo-epoch": ["1:2.0-3"]},
    "dnf": {"demo-tool": ["1.1-2", "1.0-1"], "demo-epoch": ["1:2.0-3"]},
    "dnf5": {"demo-tool": ["1.1-2", "1.0-1"], "demo-epoch": ["1:2.0-3"]},
}
KNOWN = {"apt": "apt-cache/madison", "dnf": "dnf/offer", "dnf5": "dnf5/offer"}


@pytest.mark.parametrize("manager", MANAGERS)
def test_known(manager):
    run = Recorded(KNOWN[manager])
    offer = package_index.known(ALL, manager, run)
    assert offer.versions == OFFER[manager]
    assert offer.fresh
    assert offer.complaints == ()
    assert len(run.calls) == 1


@pytest.mark.parametrize(
    ("manager", "record"), [("apt", "apt-cache/none"), ("dnf", "dnf/no-lists"), ("dnf5", "dnf5/no-lists")]
)
def test_a_host_without_lists_knows_nothing(manager, record, read_at):
    read_at.rmdir()
    assert package_index.known(ALL, manager, Recorded(record)) == Offer({}, None)


@pytest.mark.parametrize(
    ("version", "there"),
    [(None, True), ("1.1", True), ("1.*", True), ("2.*", False), ("1.1-2", False)],
)
def test_what_apt_has(version, there):
    assert Offer(OFFER["apt"], 0).has(desired(version=version), "apt") is there


@pytest.mark.parametrize(
    ("version", "there"),
    [(None, True), ("1.1", True), ("1.1-2", True), ("1.*", True), ("2.*", False), ("3:1.1", False)],
)
def test_what_dnf_has(version, there):
    assert Offer(OFFER["dnf"], 0).has(desired(version=version), "dnf") is there


def test_young_lists_that_have_everything_are_not_read_again():
    run = Recorded("apt-cache/madison")
    package_index.refreshed([desired(version="1.*")], "apt", run, changed=False)
    assert [argv[0] for argv in run.calls] == ["apt-cache"]


@pytest.mark.parametrize(
    ("version", "changed", "age_s"),
    [
        pytest.param("2.*", False, 0, id="it lacks what is desired"),
        pytest.param("1.*", True, 0, id="repositories changed"),
        pytest.param("1.*", False, 3601, id="they are old"),
        pytest.param("1.*", False, -3600, id="they are from the future"),
    ],
)
def test_lists_are_read_again_when(version, changed, age_s, read_at):
    os.utime(read_at, (time.time() - age_s,) * 2)
    run = Recorded("apt-cache/madison", "apt-get/good", "apt-cache/madison")
    package_index.refreshed([desired(version=version)], "apt", run, changed=changed)
    assert [argv[0] for argv in run.calls] == ["apt-cache", "apt-get", "apt-cache"]


@pytest.mark.parametrize(
    ("record", "complaint"),
    [
        ("down", "Failed to fetch http://127.0.0.1:8000/./InRelease  Could not connect"),
        ("sums", "Failed to fetch http://127.0.0.1:8000/./Packages  Hash Sum mismatch"),
        ("unsigned", "The repository 'http://127.0.0.1:8000 ./ Release' is not signed."),
        ("foreign", "GPG error: http://127.0.0.1:8000 ./ InRelease: The following signatures couldn't be verified"),
        ("foreign-later", "An error occurred during the signature verification. The repository is not updated"),
        ("expired", "Release file for http://127.0.0.1:8000/./InRelease is expired (invalid since"),
    ],
)
def test_what_apt_complains_about(record, complaint):
    run = Recorded("apt-cache/madison", f"apt-get/{record}", "apt-cache/madison")
    offer = package_index.refreshed([desired()], "apt", run, changed=True)
    assert offer.complaints[0].startswith(complaint)
    assert not any("Some index files" in text for text in offer.complaints)
    with pytest.raises(HostError, match="repository 'r' cannot be used: .*127.0.0.1:8000"):
        package_index.require_new([repository()], offer)
    package_index.require_new([repository("other", "http://127.0.0.1:9000")], offer)


@pytest.mark.parametrize("manager", ["dnf", "dnf5"])
@pytest.mark.parametrize("record", ["down", "sums"])
def test_what_dnf_complains_about(manager, record):
    run = Recorded(f"{manager}/{record}", f"{manager}/offer")
    offer = package_index.refreshed([desired()], manager, run, changed=False)
    (complaint,) = offer.complaints
    assert complaint.startswith("Failed to download metadata")
    assert offer.versions == OFFER[manager]  # from before
    with pytest.raises(HostError, match="repository 'r' cannot be used: Failed to download metadata"):
        package_index.require_new([repository()], offer)
    package_index.require_new([repository("other", "http://127.0.0.1:9000")], offer)


def test_good_lists_make_no_complaint():
    run = Recorded("apt-cache/madison", "apt-get/good", "apt-cache/madison")
    assert package_index.refreshed([desired()], "apt", run, changed=True).complaints == ()


@pytest.mark.parametrize(
    ("item", "age_s", "complaints", "sentence"),
    [
        (desired(version="1.*"), 0, (), None),
        (
            desired(version="2.*"),
            10800,
            (),
            "package demo-tool is desired at 2.*, but the repositories have 1.1 and 1.0 (lists read 3 h ago); "
            "correct the version, or bring it back into the repository",
        ),
        (
            desired(version="2.*"),
            0,
            ("no route", "no way"),
            "package demo-tool is desired at 2.*, but the repositories have 1.1 and 1.0 (the lists could not be read "
            "again: no route; no way); correct the version, or bring it back into the repository",
        ),
        (desired("nothere"), 0, (), "package nothere is desired, and no repository has it (lists just read)"),
        (desired("nothere"), None, (), "package nothere is desired, and no repository has it (there are no lists)"),
    ],
)
def test_a_package_that_cannot_be_had(item, age_s, complaints, sentence):
    assert package_index.diagnose([item], Offer(OFFER["apt"], age_s, complaints), "apt") == sentence


def test_many_versions_are_not_all_named():
    offer = Offer({"demo-tool": [f"1.{minor}" for minor in range(20, 0, -1)]}, 0)
    sentence = package_index.diagnose([desired(version="2.*")], offer, "apt")
    assert "1.20, 1.19, 1.18, 1.17, 1.16, 1.15, 1.14, 1.13 and 12 more" in sentence


def _said(name):
    # As ansible.builtin.apt puts it together.
    out, err = ((DATA / f"apt-get/{name}.{end}").read_bytes().decode() for end in ("stdout", "stderr"))
    return f"'/usr/bin/apt-get -y install demo-tool' failed: {err}\n{out}"


def test_reason():
    assert package_index.reason(_said("install-sums")) == (
        "Failed to fetch http://127.0.0.1:8000/./demo-tool_1.1_all.deb  Hash Sum mismatch"
    )
    assert package_index.reason(_said("install-script")) == (
        "processing package slow (--configure): installed slow package post-installation script subprocess returned "
        "error exit status 3; Sub-process /usr/bin/dpkg returned an error code (1)"
    )
    assert package_index.reason(_said("install-unmet")) == (
        "nvidia-headless-no-dkms-580-server-open : Depends: libnvidia-cfg1-580-server (= 580.95.05-0ubuntu0.24.04.1) "
        "but 580.178.04-0ubuntu0.24.04.1 is to be installed; Unable to correct problems, you have held broken packages."
    )
    assert (
        package_index.reason("no available installation candidate for x") == "no available installation candidate for x"
    )


def test_a_module_that_does_not_build_is_told_with_the_words_of_the_compiler(tmp_path):
    complaint = "nv-pci.c:223:9: error: too few arguments to function 'pci_resize_resource'"
    log = tmp_path / "make.log"
    log.write_text(f"  CC\n{complaint}\nmake[3]: *** Error 1\n")
    said = _said("install-dkms").replace("/var/lib/dkms/nvidia-current-open/535.261.03/build/make.log", str(log))
    assert package_index.reason(said).startswith(
        f"Bad return status for module build on kernel: 6.1.0-56-amd64 (x86_64): {complaint}; "
        "processing package nvidia-open-kernel-dkms (--configure): "
    )


class TestInstead:
    """What there is in place of what is missing; the lines are in the forms that are asked for."""

    def said(self, manager, name, answers):
        def run(*argv, timeout_s=None, stdin=None):
            key = next((key for key in answers if key in argv), None)
            return Completed(argv, 0, answers.get(key, ""), "")

        return package_index.instead([desired(name)], Offer({}, None, ()), manager, run)

    def test_other_names_that_hold_a_version(self):
        names = "nvidia-driver-pinning-580\nnvidia-driver-pinning-610\n"
        said = self.said("apt", "nvidia-driver-pinning-999", {"nvidia-driver-pinning-": names})
        assert said == ". There are nvidia-driver-pinning-610 and nvidia-driver-pinning-580"

    def test_versions_that_a_module_stream_hides(self):
        lines = "kmod 3:580.95.05-1.el9\nkmod 3:610.57.04-1.el9\n"
        said = self.said("dnf", "kmod", {"--setopt=*.module_hotfixes=true": lines})
        assert said == ". Without the enabled module stream there are 3:610.57.04-1.el9 and 3:580.95.05-1.el9"

    def test_nothing(self):
        assert self.said("apt", "demo-tool", {}) == ""
        assert self.said("dnf", "demo-tool-1", {}) == ""


@pytest.mark.parametrize(
    ("manager", "version", "name"),
    [
        pytest.param("apt", "2.*", "demo-epoch=1:2.*", id="apt knows no version without its epoch"),
        pytest.param("apt", "2.0-3", "demo-epoch=1:2.0-3", id="not in an exact one either"),
        pytest.param("apt", "1:2.*", "demo-epoch=1:2.*", id="an epoch that is given stays the only one"),
        pytest.param("apt", "[0-9]*.0*", "demo-epoch=[0-9]*.0*?", id="a pattern that covers the epoch is enough"),
        pytest.param("apt", None, "demo-epoch", id="any version needs none"),
        pytest.param("dnf", "2.*", "demo-epoch-2.*", id="dnf does without"),
    ],
)
def test_the_epoch_is_spelled_out_where_it_has_to_be(manager, version, name):
    asked = [desired("demo-epoch", version)]
    work = [Work("absent", ("demo-tool",)), Work("present", (packages.install_name(asked[0], manager),))]
    found = package_index.spelled(work, asked, Offer({"demo-epoch": ["1:2.0-3", "1:1.0-1"]}, 0.0), manager)
    assert [part.names for part in found] == [("demo-tool",), (name,)]
