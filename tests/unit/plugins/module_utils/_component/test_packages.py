# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pathlib

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._component import packages
from ansible_collections.mlops.hosts.plugins.module_utils._component.desired import DesiredPackage, Effect
from ansible_collections.mlops.hosts.plugins.module_utils._component.packages import Installed
from ansible_collections.mlops.hosts.plugins.module_utils._errors import CommandError, HostError
from ansible_collections.mlops.hosts.plugins.module_utils._package_manager import find_manager
from ansible_collections.mlops.hosts.plugins.module_utils._runner import Completed
from ansible_collections.mlops.hosts.tests.unit.fakes import Replay

DATA = pathlib.Path(__file__).parents[3] / "data"


class Silent:
    """Succeeds without a word."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, ...]] = []

    def __call__(self, *argv, timeout_s=None, stdin=None):
        self.calls.append(argv)
        return Completed(argv, 0, "", "")


@pytest.fixture(autouse=True)
def locks(tmp_path, monkeypatch):
    """Where dnf4 and dnf5 would keep their locks: nothing there yet."""
    monkeypatch.setattr(packages, "_VERSIONLOCK_LIST", str(tmp_path / "versionlock.list"))
    monkeypatch.setattr(packages, "_VERSIONLOCK_TOML", str(tmp_path / "versionlock.toml"))
    return tmp_path


def recorded_locks(locks, name):
    (locks / name).write_text((DATA / "rpm" / name).read_text())


def desired(version=None, *, name="tool", present=True):
    return DesiredPackage(name, present, version, False, Effect())


# Only the lines of os-release that are read: those of EL and Fedora stand in for hosts that were not at hand.
DEBIAN = (DATA / "os-release" / "debian-trixie").read_text()
UBUNTU = "ID=ubuntu\nID_LIKE=debian\n"
RHEL = 'ID="rhel"\nID_LIKE="fedora"\n'
ROCKY = 'ID="rocky"\nID_LIKE="rhel centos fedora"\n'
FEDORA = "ID=fedora\n"


@pytest.mark.parametrize(
    ("os_release", "programs", "manager"),
    [
        pytest.param(DEBIAN, ["dpkg-query"], "apt", id="Debian has apt"),
        pytest.param(DEBIAN, ["dpkg-query", "dnf-3", "dnf>dnf-3"], "apt", id="Debian with dnf as a tool has apt"),
        pytest.param(UBUNTU, ["dpkg-query", "dnf5"], "apt", id="Ubuntu with dnf5 as a tool has apt"),
        pytest.param(ROCKY, ["dnf-3", "dnf>dnf-3"], "dnf", id="EL has dnf4"),
        pytest.param(RHEL, ["dnf-3", "dnf>dnf-3", "dpkg-query"], "dnf", id="EL with dpkg as a tool has dnf4"),
        pytest.param(RHEL, ["dnf-3", "dnf>dnf-3", "dnf5"], "dnf", id="EL with dnf5 beside dnf4 uses dnf4"),
        pytest.param(FEDORA, ["dnf5", "dnf>dnf5"], "dnf5", id="Fedora has dnf5"),
        pytest.param(FEDORA, ["dnf-3", "dnf5", "dnf>dnf5"], "dnf5", id="Fedora with dnf4 beside dnf5 uses dnf5"),
        pytest.param(FEDORA, ["dnf5"], "dnf5", id="dnf5 without the link is dnf5"),
        pytest.param("ID=unheard-of\n", ["dpkg-query"], "apt", id="an unknown host with dpkg has apt"),
        pytest.param("ID=unheard-of\n", ["dnf-3", "dnf>dnf-3"], "dnf", id="an unknown host with dnf has dnf"),
        pytest.param(None, ["dnf5", "dnf>dnf5"], "dnf5", id="a host without os-release is asked for its programs"),
    ],
)
def test_manager_is_that_of_the_distribution(tmp_path, os_release, programs, manager):
    _host(tmp_path, os_release, programs)
    assert find_manager(str(tmp_path)) == manager


@pytest.mark.parametrize(
    ("os_release", "programs"),
    [
        pytest.param("ID=arch\n", [], id="no program that is known"),
        pytest.param(DEBIAN, ["dnf-3", "dnf>dnf-3"], id="a Debian without dpkg"),
        pytest.param(ROCKY, ["dpkg-query"], id="an EL without dnf"),
    ],
)
def test_a_host_without_its_manager_is_an_error(tmp_path, os_release, programs):
    _host(tmp_path, os_release, programs)
    with pytest.raises(HostError, match="neither apt nor dnf"):
        find_manager(str(tmp_path))


def test_os_release_in_etc_comes_before_the_one_in_usr(tmp_path):
    _host(tmp_path, ROCKY, ["dpkg-query", "dnf-3", "dnf>dnf-3"])
    (tmp_path / "usr/lib").mkdir()
    (tmp_path / "usr/lib/os-release").write_text(DEBIAN)
    assert find_manager(str(tmp_path)) == "dnf"
    (tmp_path / "etc/os-release").unlink()
    assert find_manager(str(tmp_path)) == "apt"


def _host(root, os_release, programs):
    (root / "usr/bin").mkdir(parents=True)
    (root / "etc").mkdir()
    if os_release is not None:
        (root / "etc/os-release").write_text(os_release)
    for program in programs:
        name, _, target = program.partition(">")
        if target:
            (root / "usr/bin" / name).symlink_to(target)
        else:
            (root / "usr/bin" / name).write_text("")


@pytest.mark.parametrize(
    ("manager", "version", "pattern", "match"),
    [
        pytest.param("dnf", "1.0-1", None, True, id="any rpm is right when no version is asked for"),
        pytest.param("dnf", "1.0-1", "1.*", True, id="a wildcard covers version and release of an rpm"),
        pytest.param("dnf", "1.0-1", "1.0", True, id="an rpm version needs no release"),
        pytest.param("dnf", "1.0-1", "1.0-1", True, id="an rpm version may have its release"),
        pytest.param("dnf", "1.0-1", "1.0-2", False, id="another release is another rpm"),
        pytest.param("dnf", "1.0-1.el9", "1.0-1*", True, id="a wildcard in the release covers the dist tag"),
        pytest.param("dnf", "1.0-1", "1", False, id="a version is not a prefix"),
        pytest.param("dnf", "10.0-1", "1.*", False, id="1.* is not 10.0"),
        pytest.param("dnf", "1.0-1", "0:1.0-1", True, id="an rpm without epoch has epoch 0"),
        pytest.param("dnf", "1.0-1", "0:1.*", True, id="epoch 0 may be written with a wildcard"),
        pytest.param("dnf", "1.0-1", "3:1.0-1", False, id="an rpm without epoch does not have epoch 3"),
        pytest.param("dnf", "3:1.5-2.el9", "1.5", True, id="an rpm with epoch need not be asked for by it"),
        pytest.param("dnf", "3:1.5-2.el9", "1.*", True, id="a wildcard without epoch covers every epoch"),
        pytest.param("dnf", "3:1.5-2.el9", "3:1.5", True, id="an epoch without a release is enough"),
        pytest.param("dnf", "3:1.5-2.el9", "3:1.5-2.el9", True, id="an rpm may be named in full"),
        pytest.param("dnf", "3:1.5-2.el9", "0:1.5", False, id="epoch 0 is not epoch 3"),
        pytest.param("dnf5", "3:1.5-2.fc42", "1.5", True, id="dnf5 is no different"),
        pytest.param("apt", "1:26.1.5-9", "26.1.*", True, id="a wildcard without epoch covers every epoch of a deb"),
        pytest.param("apt", "1:26.1.5-9", "1:26.1.*", True, id="a deb may be asked for by its epoch"),
        pytest.param("apt", "1:26.1.5-9", "2:26.1.*", False, id="epoch 2 is not epoch 1"),
        pytest.param("apt", "1.0-1", "1.0", False, id="apt knows no version without its revision"),
        pytest.param("apt", "1.0-1", "1.0-1", True, id="a deb may be named in full"),
    ],
)
def test_matches(manager, version, pattern, match):
    assert packages.matches(desired(pattern), Installed(version), manager) is match


@pytest.mark.parametrize(
    ("present", "found", "match"),
    [
        pytest.param(True, Installed(None), False, id="what is missing is not right"),
        pytest.param(True, Installed("1.0-1", whole=False), False, id="what is half installed is not right"),
        pytest.param(False, Installed(None, held=True), True, id="what should be gone is gone, whatever is locked"),
        pytest.param(False, Installed("1.0-1"), False, id="what should be gone is there"),
    ],
)
def test_matches_presence(present, found, match):
    assert packages.matches(desired(present=present), found, "dnf") is match


@pytest.mark.parametrize(
    ("manager", "version", "name"),
    [
        pytest.param("apt", None, "tool", id="without a version the name is enough"),
        pytest.param("apt", "1.*", "tool=1.*", id="apt takes the version after an equals sign"),
        pytest.param("apt", "[0-9]*.31*", "tool=[0-9]*.31*?", id="apt takes a final wildcard for the end of a start"),
        pytest.param("dnf", "[0-9]*.31*", "tool-[0-9]*.31*", id="dnf is told that a version begins with a digit"),
        pytest.param("apt", "12*", "tool=12*", id="apt cannot take a version for a name"),
        pytest.param("dnf", "1.*", "tool-1.*", id="dnf takes the version after a hyphen"),
        pytest.param("dnf5", "3:1.5-2.el9", "tool-3:1.5-2.el9", id="dnf takes epoch and release"),
        pytest.param("dnf", "3:*", "tool-3:*", id="a colon is in no package name"),
        pytest.param("dnf", "570", "tool-570", id="without a wildcard no other name fits"),
    ],
)
def test_install_name(manager, version, name):
    assert packages.install_name(desired(version), manager) == name


@pytest.mark.parametrize("pattern", ["*", "12*", "1?", "[12].0", "12-*"])
def test_a_wildcard_that_dnf_would_also_find_in_package_names_is_refused(pattern):
    with pytest.raises(HostError, match="a full stop before the first wildcard"):
        packages.install_name(desired(pattern, name="cuda"), "dnf")


@pytest.mark.parametrize(
    ("manager", "version", "name"),
    [
        pytest.param("apt", "1:26.1.5-9", "tool=1:26.1.5-9", id="apt takes the version as dpkg says it"),
        pytest.param("dnf", "1.0-1", "tool-0:1.0-1", id="for dnf a missing epoch is spelled out as 0, or it takes any"),
        pytest.param("dnf", "3:1.5-2.el9", "tool-3:1.5-2.el9", id="for dnf the epoch stands before the version"),
        pytest.param("dnf5", "1.0-1", "tool-0:1.0-1", id="dnf5 is no different"),
    ],
)
def test_exact_name(manager, version, name):
    assert packages.exact_name("tool", version, manager) == name


def test_what_was_observed_is_matched_by_its_exact_version():
    found = packages.observe(["mlops-standin", "mlops-epoch"], "dnf", Replay("rpm/installed"))
    for state in found.values():
        assert packages.matches(desired(state.version), state, "dnf")


def test_observe_rpm():
    run = Replay("rpm/installed")
    assert packages.observe(["mlops-standin", "mlops-epoch", "mlops-nothere"], "dnf", run) == {
        "mlops-standin": Installed("1.0-1"),
        "mlops-epoch": Installed("3:1.5-2.sim"),
        "mlops-nothere": Installed(None),
    }
    assert len(run.calls) == 1


def test_observe_rpm_with_nothing_installed():
    found = packages.observe(["mlops-nothere", "mlops-neither"], "dnf", Replay("rpm/none"))
    assert set(found.values()) == {Installed(None)}


def test_an_rpm_database_that_cannot_be_read_is_not_an_empty_one():
    with pytest.raises(CommandError, match="the installed packages could not be read: rpm exited with status 1"):
        packages.observe(["mlops-standin"], "dnf", Replay("rpm/unreadable"))


@pytest.mark.parametrize("name", ["versionlock.list", "versionlock.toml"])
def test_locks_are_read_and_exclusions_are_not_locks(locks, name):
    recorded_locks(locks, name)
    names = ["mlops-standin", "mlops-epoch", "mlops-foreign"]
    found = packages.observe(names, "dnf", Replay("rpm/installed"))
    assert {name: state.held for name, state in found.items()} == {
        "mlops-standin": True,
        "mlops-epoch": True,
        "mlops-foreign": False,
    }


def test_a_lock_outlives_its_package(locks):
    recorded_locks(locks, "versionlock.list")
    found = packages.observe(["mlops-standin", "mlops-neither"], "dnf", Replay("rpm/none"))
    assert found["mlops-standin"] == Installed(None, held=True)


def test_observe_dpkg():
    run = Replay("dpkg-query/states")
    names = ["openssh-server", "ed", "logrotate", "hello", "mlops-nothere"]
    found = packages.observe(names, "apt", run)
    assert {name: (state.held, state.whole) for name, state in found.items() if state.version} == {
        "openssh-server": (False, True),
        "ed": (True, True),
        "hello": (False, False),  # unpacked, not configured
    }
    # Only its configuration is left.
    assert found["logrotate"] == found["mlops-nothere"] == Installed(None)
    assert found["openssh-server"].version.startswith("1:")
    assert len(run.calls) == 1


def test_observe_dpkg_with_nothing_installed():
    assert packages.observe(["mlops-nothere"], "apt", Replay("dpkg-query/none")) == {"mlops-nothere": Installed(None)}


def test_a_dpkg_database_that_cannot_be_read_is_not_an_empty_one():
    with pytest.raises(CommandError, match="the installed packages could not be read: dpkg-query exited with status 2"):
        packages.observe(["ed"], "apt", Replay("dpkg-query/unreadable"))


def test_no_process_without_names():
    run = Silent()
    assert packages.observe([], "dnf", run) == {}
    assert run.calls == []


@pytest.mark.parametrize(
    ("manager", "held", "argv"),
    [
        ("apt", True, ("apt-mark", "hold", "tool")),
        ("apt", False, ("apt-mark", "unhold", "tool")),
        ("dnf", False, ("dnf", "-q", "--disablerepo=*", "versionlock", "delete", "tool")),
        ("dnf5", False, ("dnf5", "-q", "--disablerepo=*", "versionlock", "delete", "tool")),
    ],
)
def test_holds_are_set_by_the_managers_own_means(manager, held, argv):
    run = Silent()
    packages.set_holds([("tool", held)], manager=manager, run=run)
    assert run.calls == [argv]


def test_all_holds_of_a_kind_are_one_call():
    run = Silent()
    packages.set_holds([("a", True), ("b", False), ("c", True)], manager="apt", run=run)
    assert run.calls == [("apt-mark", "unhold", "b"), ("apt-mark", "hold", "a", "c")]
    packages.set_holds([], manager="apt", run=run)
    assert len(run.calls) == 2


@pytest.mark.parametrize(("manager", "name"), [("dnf", "versionlock.list"), ("dnf5", "versionlock.toml")])
def test_a_lock_that_is_there_afterwards_is_enough(locks, manager, name):
    recorded_locks(locks, name)
    packages.set_holds([("mlops-epoch", True)], manager=manager, run=Silent())


@pytest.mark.parametrize(("manager", "record"), [("dnf", "rpm/lock-unknown"), ("dnf5", "rpm/lock-unknown-dnf5")])
def test_a_lock_that_dnf_only_claims_to_have_set_is_an_error(manager, record):
    with pytest.raises(HostError, match=f"{manager} reported success, but said: No package found for.*mlops-nothere"):
        packages.set_holds([("mlops-nothere", True)], manager=manager, run=Replay(record))


def test_of_several_locks_the_one_that_was_not_set_is_named(locks):
    recorded_locks(locks, "versionlock.list")
    with pytest.raises(HostError, match="package mlops-nothere could not be locked: dnf reported success"):
        packages.set_holds([("mlops-epoch", True), ("mlops-nothere", True)], manager="dnf", run=Silent())


def test_a_lock_that_stays_is_an_error(locks):
    recorded_locks(locks, "versionlock.list")
    with pytest.raises(HostError, match="mlops-epoch could not be unlocked"):
        packages.set_holds([("mlops-epoch", False)], manager="dnf", run=Silent())


def test_a_missing_versionlock_plugin_is_named():
    with pytest.raises(HostError, match="add python3-dnf-plugin-versionlock to the packages"):
        packages.set_holds([("mlops-standin", True)], manager="dnf", run=Replay("rpm/lock-no-plugin"))


class Simulated:
    """apt as it answered on a host where bc was needed by nothing, and jq had brought libraries along."""

    RECORDS = {"--auto-remove": "autoremove-with", "autoremove": "autoremove", "libjq1": "remove-libjq1"}

    def __init__(self, rc=0, by_name=()):
        self.rc, self.by_name = rc, by_name

    def __call__(self, *argv, timeout_s=None, stdin=None):
        if argv[0] == "apt-mark":
            return Completed(argv, 0, "".join(f"{name}\n" for name in self.by_name), "")
        name = next((name for word, name in self.RECORDS.items() if word in argv), "")
        return Completed(argv, self.rc, (DATA / "apt-get" / f"{name}.stdout").read_text(), "")


def test_what_a_package_brought_along_is_orphaned_by_its_removal_and_nothing_else():
    assert packages.orphaned_by(["jq"], Simulated()) == ["libjq1", "libonig5"]


@pytest.mark.parametrize(
    ("names", "by_name", "owned", "needed"),
    [
        pytest.param(["libjq1"], ["jq"], [], ["libjq1"], id="by-what-somebody-installed"),
        pytest.param(["libjq1"], [], ["jq"], ["libjq1"], id="by-what-a-component-has"),
        pytest.param(["libjq1"], [], [], [], id="by-what-came-along-with-something"),
        pytest.param(["libjq1", "jq"], ["jq"], ["jq"], [], id="by-what-goes-too"),
    ],
)
def test_what_others_need_is_told(names, by_name, owned, needed):
    assert packages.needed_by_others(names, owned, Simulated(by_name=by_name)) == needed


def test_nothing_more_is_removed_where_apt_does_not_know():
    assert packages.orphaned_by(["jq"], Simulated(rc=100)) == []
