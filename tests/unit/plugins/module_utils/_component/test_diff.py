# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The diff says all that a run changes, in check mode and when it is done, and no secret."""

from __future__ import annotations

import dataclasses

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._component import diff, users
from ansible_collections.mlops.hosts.plugins.module_utils._component.desired import (
    DesiredPackage,
    DesiredUnit,
    DesiredUser,
    Effect,
)
from ansible_collections.mlops.hosts.plugins.module_utils._component.users import User
from ansible_collections.mlops.hosts.tests.unit.plugins.module_utils._component.support import (
    GONE,
    Machine,
    component,
)

UNIT = "etc/systemd/system/tool.service"


@pytest.fixture
def machine(tmp_path, monkeypatch):
    machine = Machine(tmp_path, monkeypatch)
    machine.people = {}

    def apt_get(*argv):
        """Says what it would install, a dependency too."""
        if "--simulate" not in argv:
            return 0
        told = []
        for asked in argv:
            name, equals, version = asked.partition("=")
            if equals and not name.startswith("-"):
                have = f"[{machine.installed[name]}] " if name in machine.installed else ""
                told.append(f"Inst {name} {have}({version} demo [amd64])\n")
                if not have:
                    told.append("Inst libtool1 (0.9 demo [amd64])\n")
        return 0, "".join(told)

    def useradd(*argv):
        machine.people[argv[-1]] = User(argv[4], argv[6], frozenset())
        return 0

    machine.programs.update({"apt-get": apt_get, "useradd": useradd})
    machine.programs["sysctl"] = lambda *argv: 0
    machine.programs["userdel"] = lambda name: machine.people.pop(name) and 0
    monkeypatch.setattr(users, "observe", machine.people.get)
    monkeypatch.setattr(users, "missing_groups", lambda desired: [])
    return machine


def whole(machine, version="1.0", text=b"[Service]\n", secret=b"hush\n", mode=0o755):
    return component(
        packages=(DesiredPackage("tool", True, version, True, Effect("none")),),
        users=(DesiredUser("tool", "/srv", "/bin/sh", ()),),
        directories=(machine.directory("etc/tool", mode),),
        files=(
            machine.file("etc/tool/secret", secret, secret=True),
            machine.file("etc/tool/sysctl", text, effect=Effect("none", (), ("sysctl", "--system"))),
            machine.file(UNIT, text, effect=Effect("restart")),
        ),
        links=(machine.link("etc/tool/link", "secret"),),
        units=(DesiredUnit("tool.service", "started", True),),
        settle_s=0,
    )


def shown(result, machine):
    return {
        item["after_header"].replace(f"{machine.root}/", ""): (item["before"], item["after"]) for item in result["diff"]
    }


def both(machine, desired):
    """The diff of a check, which is that of the run after it."""
    checked = machine.ensure(desired, check=True)
    done = machine.bring(desired)
    assert checked["diff"] == done["diff"]
    assert "hush" not in str(done["diff"])
    return shown(done, machine)


def test_all_that_a_fresh_host_gets(machine):
    found = both(machine, whole(machine))
    owner = next(after for _before, after in found.values() if after.startswith("directory"))
    assert owner.startswith("directory\nmode: 0755\nowner: ")
    del found["etc/tool"]
    assert found == {
        "package tool": ("", "version: 1.0\n"),
        "package libtool1": ("", "version: 0.9\n"),
        "user tool": ("", "home: /srv\nshell: /bin/sh\ngroups: tool\n"),
        "etc/tool/secret": ("", "(not shown)\n"),
        "etc/tool/sysctl": ("", "[Service]\n"),
        "etc/tool/sysctl (applied)": ("", "sysctl --system\n"),
        UNIT: ("", "[Service]\n"),
        "etc/tool/link": ("", "-> secret\n"),
        "systemd": ("", "daemon-reload\n"),
        "unit tool.service": ("enabled: no\n", "enabled: yes\nstate: started\n"),
    }


def test_an_empty_file_is_shown_too(machine):
    desired = component(files=(machine.file("empty", b""),))
    assert both(machine, desired) == {"empty": ("", "(empty)\n")}
    assert both(machine, GONE) == {"empty": ("(not shown)\n", "")}


def test_nothing_to_do_is_nothing_to_show(machine):
    machine.bring(whole(machine))
    assert machine.ensure(whole(machine))["diff"] == []


def test_a_new_version_is_shown_with_the_old_one_and_the_restart(machine):
    machine.bring(whole(machine))
    newer = whole(machine, version="1.1")
    newer = dataclasses.replace(newer, packages=(dataclasses.replace(newer.packages[0], effect=Effect("restart")),))
    assert both(machine, newer) == {
        "package tool": ("version: 1.0\n", "version: 1.1\n"),
        "unit tool.service": ("", "restarted\n"),
    }


def test_a_pattern_is_shown_as_the_version_that_it_means(machine):
    machine.programs["apt-get"] = lambda *argv: (0, "Inst tool (1.1 demo [amd64])\n")
    found = shown(machine.ensure(whole(machine, version="1.*"), check=True), machine)
    assert found["package tool"] == ("", "version: 1.1\n")


def test_a_mode_and_a_secret(machine):
    machine.bring(whole(machine))
    (machine.root / "etc/tool/sysctl").chmod(0o600)
    machine.enabled.clear()
    found = both(machine, whole(machine, secret=b"hush hush\n", mode=0o700))
    assert found.pop("etc/tool")[1].startswith("directory\nmode: 0700\n")
    assert found == {
        "etc/tool/secret": ("(not shown)\n", "(not shown, new content)\n"),
        "etc/tool/sysctl (attributes)": ("mode: 0600\n", "mode: 0644\n"),
        "unit tool.service": ("enabled: no\n", "enabled: yes\n"),
    }


def test_all_that_goes(machine):
    machine.bring(whole(machine))
    found = both(machine, GONE)
    assert found["package tool"] == ("hold: yes\nversion: 1.0\n", "hold: no\n")
    assert found["user tool"] == ("state: present\n", "")
    assert found["etc/tool"] == ("directory\n", "")
    assert found["unit tool.service"] == ("enabled: yes\nstate: active (running)\n", "enabled: no\nstate: stopped\n")
    assert found["systemd"] == ("", "daemon-reload\n")


def test_a_user_that_was_there_leaves_the_groups_that_it_was_added_to(machine):
    machine.people["tool"] = User("/srv", "/bin/sh", frozenset({"wheel"}))

    def gpasswd(verb, name, group):
        user = machine.people[name]
        groups = user.groups | {group} if verb == "--add" else user.groups - {group}
        machine.people[name] = user._replace(groups=groups)
        return 0

    machine.programs["gpasswd"] = gpasswd
    machine.bring(component(users=(DesiredUser("tool", "/srv", "/bin/sh", ("video",)),)))
    assert machine.people["tool"].groups == {"wheel", "video"}
    assert both(machine, GONE) == {"user tool": ("groups: video, wheel\n", "groups: wheel\n")}
    assert machine.people["tool"].groups == {"wheel"}
    assert not machine.ensure(GONE)["changed"]


def test_a_reload_and_a_reboot(machine):
    machine.bring(whole(machine))
    again = whole(machine, text=b"[Service]\n#\n")
    files = [dataclasses.replace(file, effect=Effect("reload")) for file in again.files]
    files[1] = dataclasses.replace(files[1], effect=Effect("reboot"))
    found = both(machine, dataclasses.replace(again, files=tuple(files)))
    assert found["unit tool.service"] == ("", "reloaded\n")
    assert found["host"] == ("", "reboot required\n")


def test_every_entry_is_what_ansible_prints():
    assert diff._entry("a", [], ["b"]) == {"before_header": "a", "after_header": "a", "before": "", "after": "b\n"}
