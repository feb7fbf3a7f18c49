# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pathlib

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._component import package_index, packages, selection
from ansible_collections.mlops.hosts.plugins.module_utils._component.desired import DesiredPackage, Effect
from ansible_collections.mlops.hosts.plugins.module_utils._component.package_index import Offer
from ansible_collections.mlops.hosts.plugins.module_utils._component.packages import Move, Work
from ansible_collections.mlops.hosts.plugins.module_utils._errors import HostError
from ansible_collections.mlops.hosts.plugins.module_utils._runner import Completed
from ansible_collections.mlops.hosts.tests.unit.fakes import Recorded

DATA = pathlib.Path(__file__).parents[3] / "data"
OFFER = Offer({"ptool": ["1.1", "1.0"], "pdep": ["1.0"], "plone": ["1.0"]}, 0)


def desired(name="ptool", version=None, present=True):
    return DesiredPackage(name, present, version, False, Effect())


@pytest.fixture(autouse=True)
def preferences(tmp_path, monkeypatch):
    monkeypatch.setattr(selection, "_PREFERENCES", str(tmp_path / "preferences"))
    (tmp_path / "preferences.d").mkdir()
    return tmp_path / "preferences.d" / "site.pref"


MINUS_ONE = "Package: ptool\nPin: release *\nPin-Priority: -1\n"
BY = "/site.pref:1 (Package: ptool, Pin: "


@pytest.mark.parametrize(
    ("record", "pins", "version", "words"),
    [
        pytest.param("plain", "", None, None, id="no pin"),
        pytest.param("plain", "", "1.0", None, id="no pin, an older version"),
        pytest.param("minus-one", MINUS_ONE, None, ["ptool is desired, and is pinned at priority -1", BY], id="-1"),
        pytest.param(
            "minus-one", MINUS_ONE, "1.1", ["desired at 1.1, and is pinned at priority -1", BY], id="-1, =1.1"
        ),
        pytest.param(
            "minus-one-version",
            "# site\n\nExplanation: broken\nPackage: ptool\nPin: version 1.1\nPin-Priority: -1\n",
            "1.1",
            ["is pinned at priority -1", "/site.pref:3 (Package: ptool, Pin: version 1.1"],
            id="only this version",
        ),
        pytest.param("minus-one-version", "", "1.0", None, id="only the other version"),
        pytest.param("minus-one-version", "", None, None, id="any version, and one is left"),
        pytest.param(
            "minus-one-all",
            'Package: *\nPin: origin ""\nPin-Priority: -1\n',
            None,
            ['/site.pref:1 (Package: *, Pin: origin ""'],
            id="a whole repository",
        ),
        pytest.param(
            "minus-one-all", "", "1.0", None, id="a whole repository gives way to a version that is asked for"
        ),
        pytest.param("higher", "", "1.1", ["is pinned to 1.0"], id="a higher pin takes another version"),
        pytest.param("higher", "", "1.0", None, id="a higher pin takes this version"),
        pytest.param("lower", "", "1.1", None, id="a lower pin gives way"),
        pytest.param("default-release", "", "1.0", None, id="a default release gives way"),
    ],
)
def test_pins(record, pins, version, words, preferences):
    preferences.write_text(pins)
    trouble = selection.pinned_away([desired(version=version)], "apt", Recorded(f"apt-cache/policy-{record}"))
    assert (trouble is None) is (words is None)
    for part in words or ():
        assert part in trouble


@pytest.mark.parametrize(
    ("pins", "refused"),
    [
        (MINUS_ONE, True),
        (MINUS_ONE.replace("ptool", "other pto*"), True),
        (MINUS_ONE.replace("ptool", "/^pto+l$/"), True),
        (MINUS_ONE.replace("release *", "release o=Other"), False),
        (MINUS_ONE.replace("-1", "100"), False),
        (MINUS_ONE.replace("ptool", "other"), False),
        (MINUS_ONE.replace("ptool", "*"), False),
        (MINUS_ONE.replace("-1", "500") + "\n" + MINUS_ONE, False),
        ("", False),
    ],
)
def test_a_pin_of_all_versions_counts_before_there_is_any(pins, refused, preferences):
    preferences.write_text(pins)
    assert (selection.pinned_whatever_comes([desired()], "apt") is not None) is refused


def test_files_that_apt_does_not_read_hold_no_pins(preferences):
    preferences.with_name("site.pref.bak").write_text(MINUS_ONE)
    assert selection.read_pins() == []


def test_dnf_has_no_pins(preferences):
    preferences.write_text(MINUS_ONE)
    assert selection.pinned_away([desired()], "dnf", Recorded()) is None
    assert selection.pinned_whatever_comes([desired()], "dnf") is None


@pytest.mark.parametrize(
    ("name", "text", "hint"),
    [
        ("dnf.conf", "[main]\nexclude=a pt*,b\n", "; hidden by {dir}/dnf.conf:2 (exclude)"),
        ("dnf.conf", "[main]\nexcludepkgs = a\n  ptool\n", "; hidden by {dir}/dnf.conf:3 (excludepkgs)"),
        (
            "x.repo",
            "[x]\nincludepkgs=a\nenabled = 0\n",
            "; hidden by {dir}/x.repo:2 (includepkgs); disabled here: {dir}/x.repo:3",
        ),
        ("x.repo", "[x]\nincludepkgs=ptool\nexclude=tool\nenabled=1\n", ""),
        ("versionlock.list", "# x\n!ptool-0:1.1-1.*\n", "; hidden by {dir}/versionlock.list:2"),
    ],
)
def test_what_hides_a_package_from_dnf_is_named(name, text, hint, tmp_path, monkeypatch):
    monkeypatch.setattr(selection, "_DNF_FILES", (str(tmp_path / "dnf.conf"), str(tmp_path / "*.repo")))
    monkeypatch.setattr(selection, "_DNF_OVERRIDES", str(tmp_path / "none"))
    monkeypatch.setattr(packages, "_VERSIONLOCK_LIST", str(tmp_path / "versionlock.list"))
    monkeypatch.setattr(packages, "_VERSIONLOCK_TOML", str(tmp_path / "versionlock.toml"))
    (tmp_path / name).write_text(text)
    assert selection.hint(desired(), "dnf") == hint.format(dir=tmp_path)


@pytest.mark.parametrize("version", [None, "1.0"])
def test_what_was_removed_and_not_purged_is_not_pinned(version):
    run = Recorded("apt-cache/policy-removed")
    assert selection.pinned_away([desired(version=version)], "apt", run) is None


def test_a_disabled_source_of_apt_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(selection, "_APT_PARTS", str(tmp_path / "*.sources"))
    (tmp_path / "a.sources").write_text("Types: deb\nEnabled: no\n")
    (tmp_path / "b.sources").write_text("Types: deb\nEnabled: yes\n")
    assert selection.hint(desired(), "apt") == f"; disabled here: {tmp_path}/a.sources:2"


@pytest.mark.parametrize(
    ("record", "work", "moves"),
    [
        ("new", ("pdep", "ptool=1.0"), {"pdep": Move(None, "1.0"), "ptool": Move(None, "1.0")}),
        ("upgrade", ("ptool=1.1",), {"ptool": Move("1.0", "1.1")}),
    ],
)
def test_apt_says_what_would_change(record, work, moves):
    run = Recorded(f"apt-get/simulate-{record}")
    found = package_index.rehearse([Work("present", work)], [], OFFER, "apt", run)
    assert found == package_index.Rehearsal(moves)
    assert run.calls[0][-len(work) :] == work


def test_apt_is_asked_with_the_epoch_that_people_leave_out():
    run = Recorded("apt-get/simulate-new")
    offer = Offer({"ptool": ["5:1.1-1"]}, 0.0)
    found = package_index.rehearse([Work("present", ("ptool=1.1-*",))], [desired(version="1.1-*")], offer, "apt", run)
    assert run.calls[0][-1] == "ptool=5:1.1-*"
    assert found.trouble is None


def test_holds_that_the_change_opens_are_open_when_apt_is_asked(tmp_path, monkeypatch):
    status = tmp_path / "status"
    stanzas = [f"Package: {name}\nStatus: hold ok installed\nVersion: 1.0" for name in ("ptool", "pdep")]
    status.write_text("\n\n".join(stanzas) + "\n")
    monkeypatch.setattr(package_index, "_DPKG_STATUS", str(status))
    seen = []

    def run(*argv, **_more):
        paths = [word.partition("=")[2] for word in argv if word.startswith("Dir::State::status=")]
        seen.append(pathlib.Path(paths[0]).read_text() if paths else None)
        return Completed(argv, 0, "", "")

    package_index.rehearse([Work("present", ("ptool=1.1",))], [], OFFER, "apt", run, opened=["ptool"])
    assert seen == [status.read_text().replace("hold", "install", 1)]
    package_index.rehearse([Work("present", ("ptool=1.1",))], [], OFFER, "apt", run, opened=["plone"])
    assert seen[1] is None


def test_no_room_for_the_copy_is_said_with_its_place(tmp_path, monkeypatch):
    status = tmp_path / "status"
    status.write_text("Package: ptool\nStatus: hold ok installed\n")
    monkeypatch.setattr(package_index, "_DPKG_STATUS", str(status))
    monkeypatch.setattr(package_index.tempfile, "tempdir", str(tmp_path))
    real = open

    def full(path, mode="r", **more):
        if mode == "w":
            raise OSError(28, "No space left on device", path)
        return real(path, mode, **more)

    monkeypatch.setattr(package_index, "open", full, raising=False)
    with pytest.raises(
        HostError, match=rf"a copy of {status}, .* to {tmp_path}/.*: No space left on device; make room"
    ):
        package_index.rehearse([Work("present", ("ptool=1.1",))], [], OFFER, "apt", Recorded(), opened=["ptool"])
    assert not list(tmp_path.glob("mlops-hosts-*"))


def test_apt_says_what_would_go():
    run = Recorded("apt-get/simulate-remove")
    found = package_index.rehearse([Work("absent", ("ptool",))], [], OFFER, "apt", run)
    assert found.moves == {"ptool": Move("1.0", None)}
    assert run.calls[0][-1] == "ptool-"


@pytest.mark.parametrize(
    ("records", "name", "pins", "words"),
    [
        (["unmet", "showhold"], "plone", "", "plone could not be changed: plone : Depends: nothere but"),
        (
            ["pinned-dependency", "showhold"],
            "pdep",
            MINUS_ONE,
            "; pinned by {dir}/preferences.d/site.pref:1 (Package: ptool",
        ),
        (["held-dependency", "showhold"], "pdep", "", "; ptool is held (apt-mark hold)"),
    ],
)
def test_what_apt_would_refuse_is_known_before(records, name, pins, words, preferences, tmp_path):
    preferences.write_text(pins)
    run = Recorded(f"apt-get/simulate-{records[0]}", f"apt-get/{records[1]}")
    found = package_index.rehearse([Work("present", (name,))], [desired(name)], OFFER, "apt", run)
    assert words.format(dir=tmp_path) in found.trouble


@pytest.mark.parametrize("manager", ["dnf", "dnf5"])
def test_of_dnf_the_version_is_said_that_it_would_take(manager):
    found = package_index.rehearse([], [desired(version="1.*")], OFFER, manager, Recorded())
    assert found == package_index.Rehearsal({"ptool": Move(None, "1.1")})


def test_what_versionlock_excludes_is_not_offered(tmp_path, monkeypatch):
    lock = tmp_path / "versionlock.list"
    monkeypatch.setattr(packages, "_VERSIONLOCK_LIST", str(lock))
    lock.write_text("!demo-tool-0:1.1-2.*\n")
    monkeypatch.setattr(package_index, "_READ_AT", {"dnf": str(lock), "dnf5": str(lock)})
    assert package_index.known([desired("demo-tool")], "dnf", Recorded("dnf/offer")).versions["demo-tool"] == ["1.0-1"]
    assert package_index.known([desired("demo-tool")], "dnf5", Recorded("dnf5/offer")).versions["demo-tool"] == [
        "1.1-2",
        "1.0-1",
    ]
