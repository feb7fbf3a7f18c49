# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked of dpkg and apt, and when. That it repairs a host is for Molecule, scenario component_packages."""

from __future__ import annotations

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._component import (
    broken_packages,
    dpkg_repair,
    lock,
    policy,
    undo,
)
from ansible_collections.mlops.hosts.plugins.module_utils._component.desired import DesiredPackage, Effect
from ansible_collections.mlops.hosts.plugins.module_utils._component.journal import Journal
from ansible_collections.mlops.hosts.plugins.module_utils._component.store import Store
from ansible_collections.mlops.hosts.plugins.module_utils._errors import CommandError
from ansible_collections.mlops.hosts.plugins.module_utils._runner import Completed


class Dpkg:
    """A dpkg database with one package, and notes of work that was not ended."""

    def __init__(self, path, monkeypatch):
        self.updates, self.policy = path / "updates", path / "policy-rc.d"
        self.updates.mkdir()
        self.package, self.calls, self.rc, self.policies = "tool\t1.0\tii \n", [], {}, []
        self.holder = None
        self.store = Store(str(path / "state"))
        self.store.prepare()
        monkeypatch.setattr(dpkg_repair, "_UPDATES", str(self.updates))
        monkeypatch.setattr(policy, "_POLICY", str(self.policy))
        for module in (dpkg_repair, lock):
            monkeypatch.setattr(module, "package_manager_pid", lambda: self.holder)

    def interrupt(self):
        (self.updates / "0000").write_text("")
        (self.updates / "tmp.i").write_text("")

    def run(self, *argv, timeout_s=None, stdin=None):
        words = [
            word for word in argv if word not in ("env", "DEBIAN_FRONTEND=noninteractive", *dpkg_repair._OWN_FILES)
        ]
        if words[0] == "dpkg-query":
            return Completed(argv, 0, self.package, "")
        if words[0] == "apt-cache":
            return Completed(argv, 0, " tool | 1.0 | file:/srv ./ Packages\n", "")
        self.calls.append(" ".join(word for word in words if not word.startswith(("-o", "-q", "-y", "Dpkg::"))))
        self.policies.append(self.policy.read_text() if self.policy.exists() else None)
        rc = self.rc.get(words[0], 0)
        if rc == 0:
            (self.updates / "0000").unlink(missing_ok=True)
        return Completed(argv, rc, "", "it does not go")

    def journal(self, version="1.0"):
        return Journal(
            txn="t",
            run="r",
            component="demo",
            controller="here",
            manager="apt",
            packages_before={"tool": {"version": version, "held": False}},
            removals=["tool"],
        )


@pytest.fixture
def dpkg(tmp_path, monkeypatch):
    return Dpkg(tmp_path, monkeypatch)


def desired(version=None):
    return [DesiredPackage("tool", True, version, False, Effect())]


def test_notes_are_an_interruption_unless_somebody_is_at_it(dpkg):
    assert not dpkg_repair.interrupted()
    dpkg.interrupt()
    assert dpkg_repair.interrupted()
    dpkg.holder = 7
    assert not dpkg_repair.interrupted()


def test_a_whole_host_is_left_alone(dpkg):
    broken_packages.before_install(desired(), dpkg.journal(), dpkg.store, dpkg.run)
    assert undo.packages_to_restore(dpkg.journal(), dpkg.store, dpkg.run) == ()
    broken_packages.before_removal(dpkg.journal(), dpkg.run)
    assert dpkg.calls == []


def test_what_is_unpacked_is_configured_and_nothing_starts(dpkg):
    dpkg.interrupt()
    dpkg.policy.write_text("#!/bin/sh\nexit 0\n")
    journal = dpkg.journal()
    policy.record(journal, dpkg.store)
    broken_packages.before_install(desired(), journal, dpkg.store, dpkg.run)
    assert dpkg.calls == ["dpkg --configure -a"]
    assert dpkg.policies == ["#!/bin/sh\nexit 101\n"]
    assert dpkg.policy.read_text() == "#!/bin/sh\nexit 0\n"


def test_a_script_that_does_not_end_does_not_keep_apt_from_working(dpkg):
    dpkg.interrupt()
    run = dpkg.run

    def hang(*argv, **more):
        dpkg.rc = {"dpkg": 124} if "-a" in argv else {}
        return run(*argv, **more)

    dpkg_repair.configure(hang)
    assert dpkg.calls == ["dpkg --configure -a", "dpkg --set-selections"]


def test_a_dpkg_that_refuses_everything_is_an_error(dpkg):
    dpkg.interrupt()
    dpkg.rc = {"dpkg": 2}
    with pytest.raises(
        CommandError, match="dpkg was interrupted and does not go on: dpkg exited with status 2: it does not go"
    ):
        dpkg_repair.configure(dpkg.run)


@pytest.mark.parametrize(
    ("version", "calls"),
    [
        pytest.param("1.*", ["dpkg --configure -a", "apt-get --reinstall install tool=1.0"], id="stays"),
        pytest.param("2.*", ["dpkg --configure -a"], id="is for the package manager"),
    ],
)
def test_a_torn_package(dpkg, version, calls):
    dpkg.package = "tool\t1.0\tiHR\n"
    broken_packages.before_install(desired(version), dpkg.journal(), dpkg.store, dpkg.run)
    assert dpkg.calls == calls


@pytest.mark.parametrize(
    ("before", "state", "calls"),
    [
        pytest.param("0.9", "iF ", ["dpkg --set-selections"], id="another version is not configured first"),
        pytest.param("1.0", "iF ", ["dpkg --set-selections", "dpkg --configure -a"], id="the version from before is"),
        pytest.param(
            "1.0",
            "iHR",
            ["dpkg --set-selections", "apt-get --reinstall install tool=1.0", "dpkg --configure -a"],
            id="torn on its way to another version",
        ),
        pytest.param(
            None,
            "iHR",
            ["dpkg --set-selections", "dpkg --remove --force-remove-reinstreq tool"],
            id="torn when it was new",
        ),
        pytest.param(
            None,
            "iF ",
            ["dpkg --set-selections", "dpkg --remove --force-remove-reinstreq tool"],
            id="half configured when it was new, which Ansible's apt would leave there",
        ),
    ],
)
def test_the_way_back(dpkg, before, state, calls):
    dpkg.interrupt()
    dpkg.package = f"tool\t1.0\t{state}\n"
    undo.packages_to_restore(dpkg.journal(before), dpkg.store, dpkg.run)
    # Reading lists is not what this is about.
    assert [call for call in dpkg.calls if call != "apt-get update"] == calls


@pytest.mark.parametrize("state", ["rHR", "rF ", "iF "], ids=["torn", "half configured", "its script was killed"])
def test_a_package_that_was_caught_while_it_was_removed(dpkg, state):
    dpkg.interrupt()
    dpkg.package = f"tool\t1.0\t{state}\n"
    broken_packages.before_removal(dpkg.journal(), dpkg.run)
    assert dpkg.calls == ["dpkg --set-selections", "dpkg --remove --force-remove-reinstreq tool"]
