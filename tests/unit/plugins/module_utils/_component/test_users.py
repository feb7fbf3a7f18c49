# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A user whose group is there already, by hand or left by userdel, gets that group and does not take it away."""

from __future__ import annotations

import grp
import pwd

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._component import plan_users, undo, users
from ansible_collections.mlops.hosts.plugins.module_utils._component.changes import Situation
from ansible_collections.mlops.hosts.plugins.module_utils._component.desired import Component, DesiredUser
from ansible_collections.mlops.hosts.plugins.module_utils._component.observe import Observed
from ansible_collections.mlops.hosts.plugins.module_utils._component.store import Ledger
from ansible_collections.mlops.hosts.plugins.module_utils._component.users import User
from ansible_collections.mlops.hosts.plugins.module_utils._runner import Completed

MODELS = DesiredUser("models", "/nonexistent", "/usr/sbin/nologin", ())
THERE = User("/nonexistent", "/usr/sbin/nologin", frozenset())


class Host:
    """The users and groups of a host that shadow's programs change: only what these tests need of them."""

    def __init__(self):
        self.users, self.groups, self.calls = {}, {}, []

    def run(self, program, *argv, **_more):
        self.calls.append((program, *argv))
        name = argv[-1]
        if program == "useradd":
            if "--user-group" in argv and name in self.groups:
                return Completed((program, *argv), 9, "", f"useradd: group {name} exists")
            self.users[name] = self.groups.setdefault(name, 990)
        elif program == "userdel":
            if name not in self.users:
                return Completed((program, *argv), 6, "", f"userdel: user '{name}' does not exist")
            del self.users[name], self.groups[name]
        elif program == "groupadd":
            self.groups[name] = int(argv[argv.index("--gid") + 1])
        return Completed((program, *argv), 0, "", "")

    def getgrnam(self, name):
        return grp.struct_group((name, "x", self.groups[name], []))

    def getpwnam(self, name):
        return pwd.struct_passwd((name, "x", self.users[name], self.users[name], "", THERE.home, THERE.shell))


@pytest.fixture
def host(monkeypatch):
    made = Host()
    monkeypatch.setattr(users.grp, "getgrnam", made.getgrnam)
    monkeypatch.setattr(users.pwd, "getpwnam", made.getpwnam)
    return made


def planned(desired=(MODELS,), *, user=None, group=None, owned=None, others=()):
    seen = Observed(
        manager=None,
        children={},
        entries={},
        originals={},
        strays={},
        drop_ins={},
        packages={},
        users={"models": user},
        missing_groups={},
        units={},
        repository_files=(),
        own_groups={} if group is None else {"models": group},
    )
    component = Component("demo", True, users=desired)
    return plan_users.plan(Situation(component, Ledger("demo", users=owned or {}), others, seen, None), pending=False)


def test_a_group_that_is_there_is_used(host):
    host.groups["models"] = 555
    users.create(MODELS, host.run)
    assert host.users == {"models": 555} and host.groups == {"models": 555}


def test_a_group_that_is_missing_is_made_with_the_user(host):
    users.create(MODELS, host.run)
    assert host.groups == {"models": 990} and "--user-group" in host.calls[0]


@pytest.mark.parametrize("times", [1, 2])
def test_a_group_that_was_there_before_stays(host, times):
    host.groups["models"] = 555
    users.create(MODELS, host.run)
    for _time in range(times):  # a run that is killed does it again
        users.remove("models", host.run, group=555)
    assert host.users == {} and host.groups == {"models": 555}


def test_a_run_that_is_killed_before_the_group_is_back_gives_it_back_later(host):
    users.remove("models", host.run, group=555)
    assert host.groups == {"models": 555}


def test_a_group_that_came_with_the_user_goes_with_it(host):
    users.create(MODELS, host.run)
    users.remove("models", host.run)
    assert host.groups == {}


@pytest.mark.parametrize(
    ("given", "record"),
    [
        pytest.param({}, {"created": True, "groups": []}, id="neither"),
        pytest.param({"group": 555}, {"created": True, "groups": [], "group": 555}, id="a-group-that-was-left"),
        pytest.param({"group": 555, "user": THERE}, {"created": False, "groups": []}, id="a-user-that-was-there"),
        pytest.param(
            {"group": 990, "user": THERE, "owned": {"models": {"created": True, "groups": []}}},
            {"created": True, "groups": []},
            id="our-own",
        ),
        pytest.param(
            {"group": 990, "owned": {"models": {"created": True, "groups": []}}},
            {"created": True, "groups": []},
            id="our-own-group-whose-user-was-removed-by-hand",
        ),
        pytest.param(
            {"group": 555, "user": THERE, "owned": {"models": {"created": True, "groups": [], "group": 555}}},
            {"created": True, "groups": [], "group": 555},
            id="remembered",
        ),
        pytest.param(
            {
                "group": 555,
                "user": THERE,
                "others": (Ledger("other", users={"models": {"created": True, "groups": [], "group": 555}}),),
            },
            {"created": True, "groups": [], "group": 555},
            id="shared-with-another-component",
        ),
    ],
)
def test_what_the_ledger_remembers(given, record):
    assert planned(**given).records == {"models": record}


def test_what_goes_knows_the_group_that_stays():
    owned = {"models": {"created": True, "groups": [], "group": 555}}
    assert planned((), user=THERE, owned=owned).gone == (
        {"name": "models", "created": True, "groups": [], "group": 555},
    )
    owned = {"models": {"created": True, "groups": []}}
    assert planned((), user=THERE, owned=owned).gone == (
        {"name": "models", "created": True, "groups": [], "group": None},
    )


def test_a_change_that_is_taken_back_leaves_the_group(host, monkeypatch):
    from types import SimpleNamespace

    monkeypatch.setattr(undo.policy, "restore", lambda *_args: None)
    monkeypatch.setattr(undo.units, "observe", lambda *_args: {})
    host.groups["models"] = 555
    users.create(MODELS, host.run)
    entry = {"name": "models", "created": True, "groups": [], "before": None, "group": 555}
    journal = SimpleNamespace(units_before={}, users=[entry], units_touched=False, activated=[], paths=[])
    monkeypatch.setattr(undo, "_activated", lambda *_args: set())
    monkeypatch.setattr(undo.units, "stop", lambda *_args: None)
    monkeypatch.setattr(undo.units, "set_enabled", lambda *_args, **_more: None)
    undo.undo_paths(journal, None, host.run)
    assert host.users == {} and host.groups == {"models": 555}
