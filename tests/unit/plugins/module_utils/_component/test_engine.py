# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Applies components to a real file system below tmp_path. Packages and units are for Molecule, on real hosts."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.mlops.hosts.plugins.module_utils._component import (
    arguments,
    change,
    dpkg_repair,
    lock,
    policy,
    steps,
    undo,
)
from ansible_collections.mlops.hosts.plugins.module_utils._component.desired import (
    Component,
    DesiredImage,
    DesiredPackage,
    Effect,
    Requirement,
    parse,
)
from ansible_collections.mlops.hosts.plugins.module_utils._component.fs_entry import Entry
from ansible_collections.mlops.hosts.plugins.module_utils._component.journal import Journal
from ansible_collections.mlops.hosts.plugins.module_utils._component.ready import RunEnvironment
from ansible_collections.mlops.hosts.plugins.module_utils._component.store import Ledger
from ansible_collections.mlops.hosts.plugins.module_utils._driver import loaded
from ansible_collections.mlops.hosts.plugins.module_utils._errors import HostError
from ansible_collections.mlops.hosts.plugins.module_utils._runner import Completed
from ansible_collections.mlops.hosts.tests.unit.plugins.module_utils._component.support import (
    GONE,
    Host,
    Killed,
    Machine,
    component,
    keys_of,
)


@pytest.fixture
def host(tmp_path):
    return Host(tmp_path)


def example(host):
    return component(
        directories=(host.directory("etc"),),
        files=(
            host.file("etc/conf", b"new\n", mode=0o640),
            host.file("etc/secret", b"hush\n", secret=True, mode=0o600),
            host.keys("etc/shared.json", {"a": {"b": 1}}),
        ),
        links=(host.link("etc/link", "conf"),),
        absent_paths=(host.path("old"),),
    )


def test_a_fresh_host_becomes_right_and_stays_so(host):
    first = host.ensure(example(host))
    assert first["changed"]
    assert (host.root / "etc/conf").read_text() == "new\n"
    assert (host.root / "etc/conf").stat().st_mode & 0o7777 == 0o640
    assert os.readlink(host.root / "etc/link") == "conf"
    second = host.ensure(example(host))
    assert not second["changed"]
    assert second["drift"] == []


def test_check_mode_touches_nothing_and_says_what_would_happen(host):
    checked = host.ensure(example(host), check=True)
    assert host.snapshot() == {}
    assert not os.path.exists(host.store.directory)
    done = host.ensure(example(host))
    assert checked["drift"] == done["drift"]
    assert checked["diff"] == done["diff"]


def test_absent_leaves_what_was_there_before(host):
    (host.root / "old").write_text("keep me\n")
    (host.root / "etc").mkdir(mode=0o700)
    (host.root / "etc/conf").write_text("mine\n")
    (host.root / "etc/shared.json").write_text('{ "x":1 }')
    before = host.snapshot()
    host.ensure(example(host))
    assert not (host.root / "old").exists()
    host.ensure(GONE)
    assert host.snapshot() == {**before, "etc": ("directory", 0o755)}
    assert host.ensure(GONE)["drift"] == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
@pytest.mark.parametrize("shared", [False, True])
def test_a_directory_that_was_there_before_gets_its_owner_back(host, shared):
    """The user that it was given to may go, and another one be given its number."""
    (host.root / "data").mkdir(mode=0o750)
    ours = dataclasses.replace(host.directory("data", mode=0o750), owner="64000", group="64001")
    host.ensure(component(directories=(ours,)))
    if shared:
        host.ensure(component("another", directories=(ours,)), run="run-2")
    seen = (host.root / "data").stat()
    assert (seen.st_uid, seen.st_gid) == (64000, 64001)
    checked = host.ensure(GONE, check=True, run="run-3")
    done = host.ensure(GONE, run="run-4")
    assert checked["drift"] == done["drift"]
    seen = (host.root / "data").stat()
    assert (seen.st_uid, seen.st_gid) == ((64000, 64001) if shared else (0, 0))
    assert host.ensure(GONE, run="run-5")["drift"] == []


def test_absent_keeps_a_directory_that_others_use(host):
    host.ensure(example(host))
    (host.root / "etc/foreign").write_text("x")
    host.ensure(GONE)
    assert sorted(host.snapshot()) == ["etc", "etc/foreign"]


def test_what_is_no_longer_desired_goes(host):
    host.ensure(component(files=(host.file("a", b"1"), host.file("b", b"2"))))
    result = host.ensure(component(files=(host.file("a", b"1"),)))
    assert [(item["item"], item["want"]) for item in result["drift"]] == [(host.path("b"), None)]
    assert sorted(host.snapshot()) == ["a"]


def test_an_edit_by_hand_is_found_exactly(host):
    host.ensure(example(host))
    (host.root / "etc/conf").write_text("edited\n")
    os.chmod(host.root / "etc/secret", 0o644)
    os.unlink(host.root / "etc/link")
    os.symlink("elsewhere", host.root / "etc/link")
    found = host.ensure(example(host), check=True)["drift"]
    assert {(item["kind"], os.path.basename(item["item"]), item["attribute"]) for item in found} == {
        ("file", "conf", "content"),
        ("file", "secret", "mode"),
        ("link", "link", "target"),
    }


def test_a_secret_is_in_no_answer(host):
    (host.root / "etc").mkdir()
    (host.root / "etc/secret").write_text("older hush\n")
    result = host.ensure(example(host))
    assert "hush" not in str(result)
    assert "hush" not in str(host.ensure(GONE))


def test_a_validator_that_refuses_leaves_everything(host):
    host.programs["refuse"] = lambda *argv: 1
    host.ensure(component(files=(host.file("a", b"old"), host.file("b", b"old"))))
    before = host.snapshot()
    bad = component(files=(host.file("a", b"new"), host.file("b", b"new", validate=("refuse", "{staged}"))))
    with pytest.raises(HostError, match="the new .*/b is refused, the old one stays") as caught:
        host.ensure(bad)
    assert caught.value.details["rolled_back"] is True
    assert host.snapshot() == before
    with pytest.raises(HostError, match="is refused"):
        host.ensure(bad, check=True)


def test_the_validator_sees_the_new_content_under_the_name_it_needs(host):
    seen = {}

    def accept(path):
        seen[os.path.basename(path)] = pathlib.Path(path).read_bytes()
        return 0

    host.programs["accept"] = accept
    host.ensure(component(files=(host.file("a", b"new", validate=("accept", "{staged}"), validate_as="x.service"),)))
    assert seen == {"x.service": b"new"}
    assert sorted(host.snapshot()) == ["a"]


def named(host, config, ca=b"good"):
    """A configuration that names a certificate, whose reader opens it."""
    path = host.path("ca.pem")
    text = config.replace(b"CA", path.encode())
    return component(
        files=(
            host.file("conf", text, validate=("reads", "{staged}"), validate_with=(path,)),
            host.file("ca.pem", ca, secret=True, mode=0o600),
        )
    )


def reader(seen):
    """Accepts a file whose lines "ca PATH" all lead to good certificates; remembers what it read and where."""

    def read(path):
        found = [pathlib.Path(line.split()[1]) for line in pathlib.Path(path).read_text().splitlines()]
        seen.append([(str(ca), ca.read_bytes(), ca.stat().st_mode & 0o777) for ca in found if ca.exists()])
        return 0 if found and all(ca.exists() and ca.read_bytes() == b"good" for ca in found) else 1

    return read


@pytest.mark.parametrize("check", [True, False], ids=["check-mode", "for-real"])
def test_a_file_is_validated_with_the_new_contents_of_the_files_that_it_names(host, check):
    seen = []
    host.programs["reads"] = reader(seen)
    host.ensure(named(host, b"ca CA\n"), check=check)
    ((path, content, mode),) = seen[0]
    assert (content, mode) == (b"good", 0o600)
    assert path != host.path("ca.pem") and not os.path.exists(path)
    if not check:
        assert (host.root / "conf").read_text() == f"ca {host.path('ca.pem')}\n"
        assert sorted(host.snapshot()) == ["ca.pem", "conf"]


def test_only_whole_names_lead_to_the_new_contents(host):
    seen = []
    host.programs["reads"] = reader(seen)
    (host.root / "ca.pem.old").write_bytes(b"good")
    host.ensure(named(host, b"ca CA\nca CA.old\n"))
    assert [path for path, _content, _mode in seen[0]][1] == host.path("ca.pem.old")


@pytest.mark.parametrize("check", [True, False], ids=["check-mode", "for-real"])
def test_a_file_is_validated_again_when_only_a_file_that_it_names_changes(host, check):
    host.programs["reads"] = reader([])
    host.ensure(named(host, b"ca CA\n"))
    before = host.snapshot()
    with pytest.raises(HostError, match="conf is refused"):
        host.ensure(named(host, b"ca CA\n", b"bad"), check=check)
    assert host.snapshot() == before
    host.ensure(named(host, b"ca CA\n"))


def test_a_file_that_is_only_validated_again_is_not_written(host):
    seen = []
    host.programs["reads"] = reader(seen)
    host.ensure(named(host, b"ca CA\n"))
    os.chmod(host.root / "ca.pem", 0o644)
    (host.root / "ca.pem").write_bytes(b"edited")
    inode = (host.root / "conf").stat().st_ino
    result = host.ensure(named(host, b"ca CA\n"))
    assert [item["after_header"] for item in result["diff"]] == [
        host.path("ca.pem"),
        host.path("ca.pem") + " (attributes)",
    ]
    assert len(seen) == 2
    assert (host.root / "conf").stat().st_ino == inode


@pytest.mark.parametrize(
    ("written", "words", "reached"),
    [
        pytest.param({}, "holds no usable key", False, id="on-the-host"),
        pytest.param({"key": b"sk-1\n"}, "came to the stop", True, id="of-this-change"),
    ],
)
def test_a_key_file_without_a_key_is_refused_before_anything_changes(host, written, words, reached):
    def reach(step):
        steps.append(step)
        if step == "stop":
            raise HostError("came to the stop")

    path, steps = pathlib.Path(host.path("key")), []
    path.write_text("# none\n")
    before = host.snapshot()
    question = {"url": "http://127.0.0.1:1", "api_key_file": str(path)}
    files = [host.file(name, content) for name, content in {"env": b"A=1\n", **written}.items()]
    with pytest.raises(HostError, match=words):
        host.ensure(component(files=tuple(files), ready=({"inference": question},)), reach=reach)
    assert ("stop" in steps, "journal" in steps) == (reached, reached)
    assert host.snapshot() == before


IMAGE = "r.example.org/server@sha256:" + "a" * 64
COMPONENT_WITH_IMAGE = {"images": (DesiredImage(IMAGE, "podman"),)}


def with_podman(host, *, has=(), gives=(), said=None):
    there = set(has)

    def podman(verb, *words):
        if verb == "image":
            variables = [f"{name}={value}" for name, value in (said or {}).items()]
            return (0, json.dumps(variables)) if words[-1] in there else 1
        there.update(set(words) & set(gives))
        return 0 if words[-1] in there else 125

    host.programs["podman"] = podman
    return lambda: [argv[1] for argv in host.calls if argv[0] == "podman"]


def test_an_image_is_pulled_once_and_stays(host):
    asked = with_podman(host, gives=[IMAGE])
    desired = component(files=(host.file("a", b"1"),), **COMPONENT_WITH_IMAGE)
    result = host.ensure(desired)
    assert keys_of(result["drift"]) == {("image", IMAGE.rpartition("/")[2], "state"), ("file", "a", "state")}
    assert result["diff"][0]["before_header"] == f"image {IMAGE}"
    assert host.ensure(desired)["changed"] is False
    assert host.ensure(GONE)["changed"] is True
    assert asked().count("pull") == 1


def test_check_mode_pulls_no_image(host):
    asked = with_podman(host, gives=[IMAGE])
    assert host.ensure(component(**COMPONENT_WITH_IMAGE), check=True)["changed"] is True
    assert asked() == ["image"]


def test_an_image_that_cannot_be_pulled_leaves_the_host_as_it_is(host):
    with_podman(host)
    reached = []
    with pytest.raises(HostError, match="cannot be pulled") as caught:
        host.ensure(component(files=(host.file("a", b"1"),), **COMPONENT_WITH_IMAGE), reach=reached.append)
    assert (reached, host.snapshot()) == ([], {})
    assert "rolled_back" not in caught.value.details


@pytest.mark.parametrize(
    ("driver", "variables", "words"),
    [
        pytest.param(
            "570.211.01", {"CUDA_VERSION": "13.0.1"}, "needs driver 580 or newer, and 570.211.01 is there", id="old"
        ),
        pytest.param("580.65.06", {"CUDA_VERSION": "13.0.1"}, None, id="new-enough"),
        pytest.param(None, {"CUDA_VERSION": "13.0.1"}, None, id="no-driver-answers"),
        pytest.param("570.211.01", {}, None, id="no-image-of-nvidia"),
    ],
)
@pytest.mark.parametrize("there", [False, True])
def test_an_image_whose_cuda_the_driver_does_not_run_changes_nothing(
    host, monkeypatch, driver, variables, words, there
):
    with_podman(host, has=[IMAGE] * there, gives=[IMAGE], said=variables)
    monkeypatch.setattr(loaded, "nvidia_version", lambda root: driver)
    desired = component(files=(host.file("a", b"1"),), images=(DesiredImage(IMAGE, "podman", needs_driver=True),))
    checked = host.ensure(desired, check=True)
    assert [words in text for text in checked["warnings"]] == [True] * bool(words and there)
    if words is None:
        assert host.ensure(desired)["changed"]
        return
    reached = []
    with pytest.raises(HostError, match=f"image {IMAGE} cannot run here: .*{words}.*; set an image for an older CUDA"):
        host.ensure(desired, reach=reached.append)
    assert (reached, host.snapshot()) == ([], {})


def test_an_image_is_not_pulled_for_a_host_that_is_not_as_required(host):
    asked = with_podman(host, gives=[IMAGE])
    lacking = Requirement("path", "the model is not there", path=host.path("model"))
    with pytest.raises(HostError, match="the model is not there"):
        host.ensure(component(requires=(lacking,), **COMPONENT_WITH_IMAGE))
    assert asked() == ["image"]


def test_an_image_has_a_digest():
    given = {"name": "demo", "images": [{"name": "r.example.org/server:1", "engine": "docker"}]}
    with pytest.raises(HostError, match="'r.example.org/server:1' has no digest"):
        parse(ArgumentSpecValidator(arguments.SPEC).validate(given).validated_parameters)


def test_a_validator_that_is_not_installed_is_reported_in_check_mode_and_refused_otherwise(host):
    desired = component(files=(host.file("a", b"new", validate=("nowhere", "{staged}")),))
    assert host.ensure(desired, check=True)["after_install"] == [f"{host.path('a')}: nowhere"]
    with pytest.raises(HostError, match="nowhere is not installed"):
        host.ensure(desired)
    assert host.snapshot() == {}


def test_two_components_cannot_claim_one_path(host):
    host.ensure(component("one", files=(host.file("a", b"1"),)))
    with pytest.raises(HostError, match="component 'two' requests .*/a, which component 'one' owns"):
        host.ensure(component("two", files=(host.file("a", b"2"),)))
    assert (host.root / "a").read_bytes() == b"1"


def test_two_components_share_a_json_file_by_their_keys(host):
    (host.root / "d.json").write_text('{"theirs": 0}\n')
    host.ensure(component("one", files=(host.keys("d.json", {"a": 1}),)))
    host.ensure(component("two", files=(host.keys("d.json", {"b": 2}),)))
    with pytest.raises(HostError, match="requests key /a in .*d.json, which component 'one' owns"):
        host.ensure(component("two", files=(host.keys("d.json", {"a": 2}),)))
    host.ensure(Component(name="one", present=False))
    assert (host.root / "d.json").read_text() == '{"theirs": 0, "b": 2}\n'
    host.ensure(Component(name="two", present=False))
    assert (host.root / "d.json").read_text() == '{"theirs": 0}\n'


def test_a_shared_json_file_that_we_made_goes_with_the_last_key(host):
    host.ensure(component("one", files=(host.keys("d.json", {"a": 1}),)))
    host.ensure(component("two", files=(host.keys("d.json", {"b": 2}),)))
    host.ensure(Component(name="one", present=False))
    host.ensure(Component(name="two", present=False))
    assert host.snapshot() == {}


def sources(host, text, name="r.sources"):
    return host.file(name, text, kind="repository")


def test_two_components_share_a_repository(host):
    (host.root / "r.sources").write_text("theirs\n")
    for name in ("one", "two"):
        host.ensure(component(name, files=(sources(host, b"ours"),)))
    assert not host.ensure(component("one", files=(sources(host, b"ours"),)))["changed"]
    host.ensure(Component(name="one", present=False))
    assert (host.root / "r.sources").read_bytes() == b"ours"
    assert not host.ensure(component("two", files=(sources(host, b"ours"),)))["changed"]
    host.ensure(component("two"))
    assert (host.root / "r.sources").read_text() == "theirs\n"


def test_a_repository_that_only_one_component_has_otherwise_is_refused(host):
    host.ensure(component("one", files=(sources(host, b"1"),)))
    with pytest.raises(HostError, match="'two' requests another .*/r.sources than component 'one', which shares it"):
        host.ensure(component("two", files=(sources(host, b"2"),)))
    assert (host.root / "r.sources").read_bytes() == b"1"


def test_a_shared_repository_changes_with_the_first_and_is_right_for_the_second(host):
    for name in ("one", "two"):
        host.ensure(component(name, files=(sources(host, b"1"),)))
    assert host.ensure(component("one", files=(sources(host, b"2"),)))["changed"]
    with pytest.raises(HostError, match="'two' requests another"):
        host.ensure(component("two", files=(sources(host, b"1"),)))
    assert host.ensure(component("two", files=(sources(host, b"2"),)))["drift"] == []
    for name in ("one", "two"):
        assert not host.ensure(component(name, files=(sources(host, b"2"),)))["changed"]
    host.ensure(Component(name="one", present=False))
    host.ensure(Component(name="two", present=False))
    assert host.snapshot() == {}


def test_an_edit_of_a_shared_repository_by_hand_is_repaired_by_each(host):
    for name in ("one", "two"):
        host.ensure(component(name, files=(sources(host, b"1"),)))
    (host.root / "r.sources").write_bytes(b"by hand")
    assert host.ensure(component("two", files=(sources(host, b"1"),)))["changed"]
    assert not host.ensure(component("one", files=(sources(host, b"1"),)))["changed"]


@pytest.mark.parametrize("first", [True, False])
def test_a_repository_is_not_shared_with_a_plain_file(host, first):
    parts = [(sources(host, b"1"),), (host.file("r.sources", b"1"),)]
    one, two = parts if first else reversed(parts)
    host.ensure(component("one", files=one))
    with pytest.raises(HostError, match="component 'two' requests .*/r.sources, which component 'one' owns"):
        host.ensure(component("two", files=two))


def test_a_missing_parent_is_named(host):
    with pytest.raises(HostError, match="needs the directory .*/nowhere, which does not exist"):
        host.ensure(component(files=(host.file("nowhere/a", b"1"),)))


@pytest.mark.parametrize("step", steps.STEPS)
def test_killed_before_any_step_the_next_run_ends_wholly_new(host, step):
    (host.root / "etc").mkdir()
    (host.root / "etc/conf").write_text("mine\n")
    (host.root / "old").write_text("old\n")

    def die(reached):
        if reached == step:
            raise Killed

    with pytest.raises(Killed):
        host.ensure(example(host), reach=die)
    result = host.ensure(example(host), run="run-2")
    assert result["recovered"] == {"journal": "none", "clean": "finished"}.get(step, "undone")
    assert host.ensure(example(host), run="run-3")["drift"] == []
    assert not any(name.endswith(".mlops-new") for name in host.snapshot())
    host.ensure(GONE, run="run-4")
    assert host.snapshot() == {
        "etc": ("directory", 0o755),
        "etc/conf": ("file", 0o644, b"mine\n"),
        "old": ("file", 0o644, b"old\n"),
    }


@pytest.mark.parametrize("step", [step for step in steps.STEPS if step not in ("commit", "clean")])
def test_killed_before_the_commit_another_component_brings_the_old_state_back(host, step):
    host.ensure(example(host))
    before = host.snapshot()
    changed = component(files=(host.file("etc/conf", b"newer\n"),), links=(host.link("etc/other", "conf"),))

    def die(reached):
        if reached == step:
            raise Killed

    with pytest.raises(Killed):
        host.ensure(changed, reach=die)
    result = host.ensure(component("another"), run="run-2")
    assert result["recovered"] == ("none" if step == "journal" else "undone")
    assert result["changed"] == (step != "journal")
    assert host.snapshot() == before
    assert host.ensure(example(host), run="run-3")["drift"] == []


@pytest.mark.parametrize("phase", ["undo", "resume", "close"])
def test_killed_on_the_way_back_the_next_run_goes_on(host, phase):
    host.ensure(example(host))
    before = host.snapshot()

    def die(reached):
        if reached == phase:
            raise Killed
        if reached == "apply":
            raise HostError("no")

    with pytest.raises(Killed):
        host.ensure(component(files=(host.file("etc/conf", b"newer\n"),)), reach=die)
    assert host.ensure(component("another"), run="run-2")["recovered"] == "undone"
    assert host.snapshot() == before
    assert host.ensure(example(host), run="run-3")["drift"] == []


@pytest.mark.parametrize("before", [None, b"#!/bin/sh\nexit 0\n"], ids=["none", "theirs"])
@pytest.mark.parametrize("end", [undo.undo_paths, change.clean])
def test_a_policy_that_a_killed_apt_left_goes(host, end, before, monkeypatch):
    theirs = host.root / "policy-rc.d"
    monkeypatch.setattr(policy, "_POLICY", str(theirs))
    if before is not None:
        theirs.write_bytes(before)
    host.store.prepare()
    journal = a_journal(manager="apt")
    policy.record(journal, host.store)
    theirs.write_bytes(b"#!/bin/sh\nexit 101\n")
    end(journal, host.store, host.run)
    assert (theirs.read_bytes() if theirs.exists() else None) == before


def a_journal(**more):
    return Journal(txn="t", run="r", component="demo", controller="here", **more)


@pytest.mark.parametrize(("created", "stopped"), [(True, "old.service"), (False, None)])
def test_a_unit_that_runs_as_a_new_user_is_stopped_before_the_user_goes(host, created, stopped):
    said = "LoadState=loaded\nActiveState=active\nSubState=running\n"
    host.programs["systemctl"] = lambda *argv: 0
    host.programs["userdel"] = host.programs["gpasswd"] = lambda *argv: 0
    run = host.run
    host.run = lambda *argv, **more: dataclasses.replace(run(*argv, **more), stdout=said)
    journal = a_journal(
        units_before={"old.service": {"active": True, "enabled": True}},
        units_touched=True,
        activated=["old.service"],
        users=[{"name": "new", "created": created, "groups": ["video"], "before": None}],
    )
    undo.undo_paths(journal, host.store, host.run)
    stops = [argv[-1] for argv in host.calls if argv[:2] == ("systemctl", "stop")]
    assert stops == ([stopped] if stopped else [])
    if created:
        assert host.calls.index(("systemctl", "stop", "--", "old.service")) < host.calls.index(("userdel", "new"))


@pytest.mark.parametrize(
    ("earlier", "stopped", "cleaned"),
    [
        pytest.param({}, True, True, id="a-new-unit"),
        pytest.param({"/etc/systemd/system/a.service": "file"}, True, False, id="of-another-file-before"),
        pytest.param({"/etc/containers/systemd/a.container": "file"}, False, False, id="of-the-same-file-before"),
    ],
)
def test_a_unit_of_a_new_file_is_stopped_before_the_file_goes(host, monkeypatch, earlier, stopped, cleaned):
    said = "LoadState=loaded\nActiveState=active\nSubState=running\nUnitFileState=generated\nCacheDirectory=a\n"
    host.programs["systemctl"] = lambda *argv: 0
    run = host.run
    host.run = lambda *argv, **more: dataclasses.replace(run(*argv, **more), stdout=said)
    monkeypatch.setattr(undo.fs_entry, "put", lambda *_args: host.calls.append(("put",)))
    monkeypatch.setattr(undo.fs_entry, "read", lambda _path: None)
    monkeypatch.setattr(undo.fs_entry, "discard", lambda _path: None)
    before = {"/etc/containers/systemd/a.container": "absent", **earlier}
    journal = a_journal(
        units_before={"a.service": {"active": True, "enabled": False}},
        units_touched=True,
        activated=["a.service"],
        paths=[
            {"path": path, "before": change.pack(Entry(kind), host.store), "directory": False}
            for path, kind in before.items()
        ],
    )
    undo.undo_paths(journal, host.store, host.run)
    stops = [host.calls.index(argv) for argv in host.calls if argv[:2] == ("systemctl", "stop")]
    assert bool(stops) is stopped
    assert all(stop < host.calls.index(("put",)) for stop in stops)
    assert any(argv[:2] == ("systemctl", "clean") for argv in host.calls) is cleaned


@pytest.mark.parametrize(("known", "read_again"), [("2", True), ("1", False)])
def test_packages_come_back_from_the_lists_of_the_earlier_repositories(host, known, read_again, monkeypatch):
    monkeypatch.setattr(lock, "package_manager_pid", lambda: None)
    monkeypatch.setattr(dpkg_repair, "interrupted", lambda: False)
    said = {"dpkg-query": "a\t2\tii \n", "apt-cache": f" a | {known} | file:/srv ./ Packages\n", "apt-get": ""}
    asked = []

    def run(*argv, **more):
        asked.append(argv[0])
        return Completed(argv, 0, said[argv[0]], "")

    journal = a_journal(manager="apt", packages_before={"a": {"version": "1", "held": False}})
    (work,) = undo.packages_to_restore(journal, host.store, run)
    assert work.names == ("a=1",)
    assert ("apt-get" in asked) == read_again


@pytest.mark.parametrize(
    ("invocation", "touched", "verb"),
    [
        ("as before", False, None),
        ("another", False, "restart"),
        ("another", True, "restart"),
        ("as before", True, "reload-or-restart"),
    ],
    ids=["it runs on", "a boot began it", "the change began it", "the change reloaded it"],
)
def test_a_unit_that_began_with_what_is_taken_back_begins_again(host, invocation, touched, verb):
    host.programs["systemctl"] = lambda *argv: 0
    said = f"LoadState=loaded\nActiveState=active\nSubState=running\nInvocationID={invocation}\n"
    run = host.run
    host.run = lambda *argv, **more: dataclasses.replace(run(*argv, **more), stdout=said)
    was = {"active": True, "enabled": False, "masked": False, "invocation": "as before"}
    journal = a_journal(units_before={"a.service": was}, units_touched=touched, activated=["a.service"])
    env = RunEnvironment(run=host.run, fetch=None, sleep=lambda seconds: None)
    undo.resume_units(journal, Ledger("demo", settle_s=0), env)
    asked = [argv for argv in host.calls if argv[:2] == ("systemctl", "--no-block")]
    assert asked == ([("systemctl", "--no-block", verb, "--", "a.service")] if verb else [])


def test_a_full_disk_is_said_and_undone(host):
    def full(step):
        if step == "swap":
            raise OSError(28, "No space left on device", "/full")

    with pytest.raises(
        HostError, match="the host refused /full: No space left on device. The host is as it was before"
    ):
        host.ensure(example(host), reach=full)
    assert host.snapshot() == {}
    assert host.ensure(example(host))["changed"]


@pytest.mark.parametrize("check", [True, False])
def test_a_state_directory_that_cannot_be_used_is_named(host, check):
    pathlib.Path(host.store.directory).write_text("a file in its place")
    with pytest.raises(HostError, match="the host refused .*/state.*; fix that and run again"):
        host.ensure(example(host), check=check)
    assert host.snapshot() == {}


def test_a_lock_of_ours_is_open_while_packages_are_at_work_and_shut_afterwards(tmp_path, monkeypatch):
    """What is locked beside what changes has to make way or go along."""
    machine = Machine(tmp_path, monkeypatch)

    def desired(version, *, hold):
        tool = DesiredPackage("tool", True, None, hold, Effect("none"))
        return component(packages=(tool, DesiredPackage("served", True, version, False, Effect("none"))))

    machine.bring(desired("1.0", hold=True), run="run-1")
    assert machine.held == {"tool"}
    asked = machine.ensure(desired("2.0", hold=True), run="run-2")
    assert (asked["work"][0]["names"], machine.held) == (("served=2.0",), set())
    machine.work(asked["work"][0])
    machine.ensure(desired("2.0", hold=True), run="run-2")
    assert machine.held == {"tool"}
    assert not machine.bring(desired("2.0", hold=True), run="run-3")["changed"]


def pinned(machine, version):
    """A pin that says which version of a tool may be there, in a file and in a package."""
    return component(
        files=(machine.file("pin", version.encode(), before_packages=True), machine.file("conf", version.encode())),
        packages=(
            DesiredPackage("tool", True, version, False, Effect("none")),
            DesiredPackage("served", True, version, False, Effect("none"), before_packages=True),
        ),
    )


def test_pins_are_in_place_before_the_packages_that_they_are_about(tmp_path, monkeypatch):
    machine = Machine(tmp_path, monkeypatch)
    asked = machine.ensure(pinned(machine, "1.0"))
    assert [work["names"] for work in asked["work"]] == [("served=1.0",), ("tool=1.0",)]
    assert "pin" in machine.snapshot()
    assert "conf" not in machine.snapshot()
    machine.bring(pinned(machine, "1.0"), run="run-2")
    assert not machine.bring(pinned(machine, "1.0"), run="run-3")["changed"]


def test_a_pin_that_is_no_longer_desired_is_gone_before_the_packages_change(tmp_path, monkeypatch):
    machine = Machine(tmp_path, monkeypatch)
    machine.bring(pinned(machine, "1.0"), run="run-1")
    before = machine.whole()
    desired = dataclasses.replace(pinned(machine, "2.0"), files=(machine.file("conf", b"2.0"),))
    asked = machine.ensure(desired, run="run-2")
    assert "pin" not in machine.snapshot()
    for work in asked["work"]:
        machine.work(work)
    for work in machine.ensure(desired, run="run-2", work_error="no")["work"]:
        machine.work(work)
    with pytest.raises(HostError, match="The host is as it was before"):
        machine.ensure(desired, run="run-2")
    assert machine.whole() == before
    machine.bring(desired, run="run-3")
    assert "pin" not in machine.snapshot()
    assert not machine.bring(desired, run="run-4")["changed"]


def test_on_the_way_back_the_earlier_pins_come_before_the_packages(tmp_path, monkeypatch):
    machine = Machine(tmp_path, monkeypatch)
    machine.bring(pinned(machine, "1.0"), run="run-1")
    before = machine.whole()
    for work in machine.ensure(pinned(machine, "2.0"), run="run-2")["work"]:
        machine.work(work)
    back = machine.ensure(pinned(machine, "2.0"), run="run-2", work_error="no")
    assert [work["names"] for work in back["work"]] == [("served=1.0",), ("tool=1.0",)]
    assert machine.snapshot()["pin"] == before["files"]["pin"]
    for work in back["work"]:
        machine.work(work)
    with pytest.raises(HostError, match="The host is as it was before"):
        machine.ensure(pinned(machine, "2.0"), run="run-2")
    assert machine.whole() == before


def test_a_pin_that_its_validator_refuses_is_not_put_in_place(tmp_path, monkeypatch):
    machine = Machine(tmp_path, monkeypatch)
    machine.programs["pin-check"] = lambda *argv: 1
    pin = machine.file("pin", b"x", before_packages=True, validate=("pin-check", "{staged}"))
    desired = dataclasses.replace(pinned(machine, "1.0"), files=(pin,))
    with pytest.raises(HostError, match="pin is refused, the old one stays"):
        machine.ensure(desired)
    assert machine.installed == {}
    assert "pin" not in machine.snapshot()


def test_a_package_that_only_goes_along_is_not_owned(tmp_path, monkeypatch):
    machine = Machine(tmp_path, monkeypatch)
    machine.installed = {"tool": "2.0"}
    along = DesiredPackage("tool", True, "1.0", False, Effect("none"), owned=False)
    machine.bring(component(files=(machine.file("conf", b"1"),), packages=(along,)))
    assert machine.installed == {"tool": "1.0"}
    assert not machine.bring(component(files=(machine.file("conf", b"1"),)), run="run-2")["changed"]
    machine.bring(GONE, run="run-3")
    assert machine.installed == {"tool": "1.0"}


@pytest.mark.parametrize(("others", "removed"), [((), ("tool", "came")), (("came",), ("tool",))])
def test_what_came_along_with_a_package_goes_with_it_unless_a_component_has_it(tmp_path, monkeypatch, others, removed):
    machine = Machine(tmp_path, monkeypatch)
    machine.programs["apt-get"] = lambda *argv: (0, "Remv came [1.0]\n" if "--auto-remove" in argv else "")
    machine.installed["came"] = "1.0"
    machine.AVAILABLE = {**machine.AVAILABLE, "came": ("1.0",)}
    desired = {name: DesiredPackage(name, True, None, False, Effect("none")) for name in ("tool", "came")}
    machine.bring(component("other", packages=tuple(desired[name] for name in others)), run="run-1")
    machine.bring(component(packages=(desired["tool"],)), run="run-2")
    (work,) = machine.ensure(GONE, run="run-3")["work"]
    assert work["names"] == removed


@pytest.mark.parametrize("killed", [False, True])
def test_a_package_that_another_needs_is_left_to_it(tmp_path, monkeypatch, killed):
    machine = Machine(tmp_path, monkeypatch)
    machine.programs["apt-get"] = lambda *argv: (0, "Remv served [1.0]\nRemv tool [1.0]\n")
    desired = {name: DesiredPackage(name, True, None, False, Effect("none")) for name in ("tool", "served")}
    machine.bring(component(packages=(desired["tool"],)), run="run-1")
    machine.work({"state": "present", "names": ("served=1.0",)})
    marks = []
    machine.programs["apt-mark"] = lambda *argv: (0, "served\n") if argv[0] == "showmanual" else marks.append(argv) or 0

    def stop(step):
        if step == "removals":
            raise Killed

    if killed:
        with pytest.raises(Killed):
            machine.ensure(GONE, reach=stop, run="run-2")
    done = machine.ensure(GONE, run="run-3")
    assert not done.get("work")
    assert marks == [("auto", "tool")]
    assert set(machine.installed) == {"tool", "served"}
    assert not machine.ensure(GONE, run="run-4")["changed"]


def test_what_is_no_longer_asked_for_may_make_way_at_once(tmp_path, monkeypatch):
    machine = Machine(tmp_path, monkeypatch)
    one, other = (DesiredPackage(name, True, "1.0", False, Effect("none")) for name in ("tool", "served"))
    (work,) = machine.ensure(component(packages=(one,)))["work"]
    assert not work["erasing"]
    machine.bring(component(packages=(one,)), run="run-2")
    (work,) = machine.ensure(component(packages=(other,)), run="run-3")["work"]
    assert (work["names"], work["erasing"]) == (("served=1.0",), True)
