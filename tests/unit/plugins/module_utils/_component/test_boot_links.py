# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an [Install] section asks for is what there is, also for a unit that systemd calls enabled already. The file
system is real; systemd is simulated."""

from __future__ import annotations

import os

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._component import boot_links
from ansible_collections.mlops.hosts.plugins.module_utils._component.desired import DesiredLink, DesiredUnit, Effect
from ansible_collections.mlops.hosts.plugins.module_utils._errors import HostError
from ansible_collections.mlops.hosts.tests.unit.plugins.module_utils._component.support import (
    GONE,
    Machine,
    component,
)

UNIT = "a.service"
FOLDER = Machine.UNITS


@pytest.fixture
def machine(tmp_path, monkeypatch):
    return Machine(tmp_path, monkeypatch)


def asked(machine, *lines, unit=UNIT, drop_in=None, **more):
    text = "\n".join(["[Service]", "ExecStart=/bin/true", "[Install]", *lines, ""])
    files = [machine.file(f"{FOLDER}/{unit}", text.encode(), effect=Effect("none"))]
    if drop_in is not None:
        files.append(machine.file(f"{FOLDER}/{unit}.d/more.conf", drop_in.encode()))
        more["directories"] = (machine.directory(f"{FOLDER}/{unit}.d"),)
    return component(files=tuple(files), units=(DesiredUnit(unit, "started", True),), settle_s=0, **more)


def links(machine):
    found = machine.snapshot()
    return sorted(name[len(FOLDER) + 1 :] for name, entry in found.items() if entry[0] == "link")


def of(result, unit=UNIT):
    return [item for item in result["drift"] if item["item"] == unit and item["attribute"] == "links"]


def test_a_unit_that_is_enabled_gets_the_links_of_its_new_file_and_loses_the_old(machine):
    machine.bring(asked(machine, "WantedBy=old.target both.target", "Alias=was.service"))
    machine.enable_links(UNIT)
    machine.bring(asked(machine, "WantedBy=old.target both.target", "Alias=was.service"), run="run-2")
    assert links(machine) == ["both.target.wants/a.service", "old.target.wants/a.service", "was.service"]

    later = asked(
        machine, "WantedBy=both.target new.target", "RequiredBy=r.target", "UpheldBy=u.target", "Alias=b.service"
    )
    said = machine.ensure(later, check=True)
    done = machine.bring(later, run="run-3")

    desired = [
        "b.service",
        "both.target.wants/a.service",
        "new.target.wants/a.service",
        "r.target.requires/a.service",
        "u.target.upholds/a.service",
    ]
    have = ["both.target.wants/a.service", "old.target.wants/a.service", "was.service"]
    assert of(done) == of(said) == [{"kind": "unit", "item": UNIT, "attribute": "links", "want": desired, "have": have}]
    assert said["diff"] == done["diff"]
    assert links(machine) == desired
    assert not os.path.exists(machine.path(f"{FOLDER}/old.target.wants"))
    assert ("systemctl", "daemon-reload") in machine.calls
    again = machine.bring(later, run="run-4")
    assert not again["changed"] and again["drift"] == []


def test_one_that_was_static_is_linked_and_one_that_becomes_static_is_not_any_more(machine):
    machine.bring(asked(machine))
    assert links(machine) == []
    assert of(machine.bring(asked(machine, "WantedBy=a.target"), run="run-2"))[0]["have"] == []
    assert links(machine) == ["a.target.wants/a.service"]
    assert of(machine.bring(asked(machine), run="run-3"))[0]["want"] == []
    assert links(machine) == []


def test_a_change_that_fails_brings_the_old_links_back(machine):
    machine.bring(asked(machine, "WantedBy=old.target"))
    os.symlink("../a.service", machine.path(f"{FOLDER}/old.target.wants/z.service"))
    before = machine.snapshot()
    never = {"command": ["false"], "timeout_s": 1.0, "unit": None}
    with pytest.raises(HostError, match="The host is as it was before"):
        machine.bring(asked(machine, "WantedBy=new.target", "Alias=b.service", ready=(never,)), run="run-2")
    assert machine.snapshot() == before


def test_a_link_by_hand_is_drift_and_one_that_a_component_owns_is_not(machine):
    mine = DesiredLink(machine.path(f"{FOLDER}/mine.target.wants/a.service"), "../a.service", Effect("none"))
    folder = machine.directory(f"{FOLDER}/mine.target.wants")
    desired = asked(machine, "WantedBy=a.target", links=(mine,), directories=(folder,))
    machine.bring(desired)
    theirs = component("theirs", links=(machine.link(f"{FOLDER}/a.target.wants/b.service", "x"),))
    machine.bring(theirs, run="run-2")
    assert not machine.bring(desired, run="run-3")["changed"]
    os.mkdir(machine.path(f"{FOLDER}/hand.target.wants"))
    os.symlink("../a.service", machine.path(f"{FOLDER}/hand.target.wants/a.service"))
    os.unlink(machine.path(f"{FOLDER}/a.target.wants/a.service"))
    found = of(machine.bring(desired, run="run-4"))
    assert found[0]["want"] == ["a.target.wants/a.service"]
    assert found[0]["have"] == ["hand.target.wants/a.service", "mine.target.wants/a.service"]
    assert links(machine) == ["a.target.wants/a.service", "a.target.wants/b.service", "mine.target.wants/a.service"]


def test_a_link_that_the_component_gives_up_stays_where_its_unit_asks_for_it(machine):
    link = DesiredLink(machine.path(f"{FOLDER}/a.target.wants/a.service"), "../a.service", Effect("none"))
    folder = machine.directory(f"{FOLDER}/a.target.wants")
    machine.bring(asked(machine, links=(link,), directories=(folder,)))
    later = asked(machine, "WantedBy=a.target")
    machine.bring(later, run="run-2")
    assert links(machine) == ["a.target.wants/a.service"]
    assert not machine.bring(later, run="run-3")["changed"]


def test_a_first_run_leaves_the_links_to_systemd_except_those_that_an_old_one_does_not_know(machine):
    desired = asked(machine, "WantedBy=a.target", "UpheldBy=u.target")
    first = machine.bring(desired)
    assert of(first)[0]["want"] == ["a.target.wants/a.service", "u.target.upholds/a.service"]
    assert not machine.bring(desired, run="run-2")["changed"]
    assert of(machine.bring(GONE, run="run-3")) == []


def test_a_drop_in_has_its_say(machine):
    desired = asked(machine, "WantedBy=a.target", drop_in="[Install]\nWantedBy=\nWantedBy=b.target\n")
    machine.bring(desired)
    machine.bring(desired, run="run-2")
    assert links(machine) == ["b.target.wants/a.service"]
    assert not machine.bring(desired, run="run-3")["changed"]


@pytest.mark.parametrize(
    ("unit", "lines", "expected"),
    [
        ("a.service", "WantedBy=x.target \\\n  y.target", ["x.target.wants/a.service", "y.target.wants/a.service"]),
        ("a.service", "Alias=a.service b.service", ["b.service"]),
        ("t@i.service", "WantedBy=x.target", ["x.target.wants/t@i.service"]),
        ("t@i.service", "WantedBy=%i.target", None),
        ("t@i.service", "Alias=x.service", None),
        ("a.service", 'WantedBy="x.target"', None),
        ("a.service", "", []),
    ],
)
def test_what_a_section_asks_for(unit, lines, expected):
    found = boot_links.desired_links(unit, ["[Unit]\nWantedBy=no.target\n", f"[Install]\n{lines}\n"])
    assert (found if found is None else boot_links.shown(found)) == expected


@pytest.mark.parametrize(
    ("unit", "file"), [("a.service", "a.service"), ("t@i.service", "t@.service"), ("t@1.2.timer", "t@.timer")]
)
def test_instances_share_the_file_of_their_template(unit, file):
    assert boot_links.file_of(unit) == f"/etc/systemd/system/{file}"
