# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What benchmarks/ make of what they measured: the page says what was missed, by how much, and of which sources."""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
import shutil
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))

from engine import Engine
from fingerprint import _normal, covered, fingerprint
from fleet import DIFFER, SIZES, Fleet
from measure import Cost, Counted
from page import page, picture, targets
from profile_play import Row

COUNTED = Counted(3, 2, {"host01": ["Compare", "Host", "Roles"]}, {"main": 1.0, "workers": 0.5, "commands": 0.1})
EMPTY = Cost(1.0, 0.5)
# All that is to be reached is.
GOOD = Fleet(
    by_size={size: {"empty": EMPTY, "site": Cost(1 + 0.2 * size, 0.5 + 0.2 * size)} for size in SIZES},
    most={"empty": EMPTY, "site": Cost(11.0, 10.5), "audit": Cost(21.0, 20.5)},
    one={"empty": EMPTY, "facts": Cost(2.0, 1.0), "site": Cost(1.6, 0.8), "peer": Cost(9.0, 3.0)},
    differ={role: {"site": Cost(5.4, 2.0), "role": Cost(5.0, 1.8)} for role in DIFFER},
    first={"now": Cost(60.0, 9.0), "base": Cost(70.0, 12.0)},
    counted={"facts": COUNTED, "site": COUNTED, "peer": COUNTED},
    counted_most={name: dataclasses.replace(COUNTED, forks=150, round_trips=100) for name in ("site", "audit")},
    profiled={"main": [Row("worker.py:1 start", 0.25, 0.5, 150)], "worker": [Row("select.poll", 0.1, 0.1, 9)]},
    rounds={**dict.fromkeys(map(str, SIZES), 3), "one": 7, "differ": 3, "audit": 2, "first": 2},
    minutes_first=5.0,
)
ENGINE = Engine(
    first={"empty": EMPTY, "plain": Cost(20.0, 3.0), "component": Cost(8.0, 1.5)},
    same={"empty": EMPTY, "plain": Cost(16.0, 3.0), "component": Cost(1.75, 0.7)},
    counted_first={"plain": COUNTED, "component": COUNTED},
    counted_same={"plain": COUNTED, "component": COUNTED},
    rounds_first=5,
    rounds_same=9,
)


def rows(fleet, engine=ENGINE):
    """Of the table of targets: whether each is reached, by its words."""
    lines = page(engine, fleet, "0123abcd", 19.0, 0.1).partition("| target |")[2].partition("\n\n")[0].splitlines()[2:]
    return {words: reached for words, _found, reached in (line.strip("| ").split(" | ") for line in lines)}


def test_all_that_is_reached_says_so():
    assert set(rows(GOOD).values()) == {"yes"}
    assert len(rows(GOOD)) == len(targets(GOOD)) + 1 == 8 + 1 + len(DIFFER)


def missed(**changes):
    return dataclasses.replace(GOOD, **changes)


@pytest.mark.parametrize(
    ("fleet", "words", "over"),
    [
        (missed(one={**GOOD.one, "facts": Cost(1.6, 1.0)}), "that of fact gathering", 43),
        (missed(one={**GOOD.one, "peer": Cost(4.0, 1.0)}), "that of `geerlingguy.docker`", 100),
        (missed(counted={**GOOD.counted, "site": dataclasses.replace(COUNTED, round_trips=5)}), "round trips", 150),
        (missed(counted={**GOOD.counted, "site": dataclasses.replace(COUNTED, forks=5)}), "forks", 25),
        (
            missed(by_size={size: {"empty": EMPTY, "site": Cost(11.0, 0.5 + 0.36 * size)} for size in SIZES}),
            "50 hosts: controller CPU per host",
            20,
        ),
        (
            missed(by_size={**GOOD.by_size, 10: {"empty": EMPTY, "site": Cost(3.0, 3.1)}}),
            "on more hosts by that on fewer",
            13,
        ),
        (missed(differ={**GOOD.differ, DIFFER[1]: {"site": Cost(11.0, 2.0), "role": Cost(5.0, 1.8)}}), DIFFER[1], 107),
        (missed(first={"now": Cost(77.0, 9.0), "base": Cost(70.0, 12.0)}), "first change of the site: wall", 5),
        (missed(first={"now": Cost(60.0, 15.0), "base": Cost(70.0, 12.0)}), "first change of the site: controller", 19),
    ],
)
def test_what_is_missed_says_by_how_much(fleet, words, over):
    said = rows(fleet)
    assert {name: reached for name, reached in said.items() if reached != "yes"} == {
        next(name for name in said if words in name): f"**no**, by {over} %"
    }


def test_what_more_hosts_share_is_no_growth():
    shared = missed(by_size={**GOOD.by_size, 5: {"empty": EMPTY, "site": Cost(3.0, 0.5 + 0.28 * 5)}})
    assert set(rows(shared).values()) == {"yes"}


def test_an_engine_that_is_too_slow_is_missed():
    slow = dataclasses.replace(ENGINE, same={**ENGINE.same, "component": Cost(4.0, 1.0)})
    assert [reached for reached in rows(GOOD, slow).values() if reached != "yes"] == ["**no**"]


def test_what_was_not_at_hand_is_neither_reached_nor_missed():
    one = {name: cost for name, cost in GOOD.one.items() if name != "peer"}
    few = missed(one=one, first={"now": Cost(60.0, 9.0)}, by_size={1: GOOD.by_size[1], 5: GOOD.by_size[5]})
    assert sorted(rows(few).values()) == sorted(["–"] * 5 + ["yes"] * (len(rows(few)) - 5))
    text = page(ENGINE, few, "0123abcd", 3.0, 0.1)
    assert "not at hand on this machine" in text and "is not in this checkout" in text


def test_the_page_has_what_was_counted_and_profiled():
    text = page(ENGINE, GOOD, "0123abcd", 19.0, 0.1)
    assert "| `site.yml` | 1.60 s | 0.60 s | 0.80 s | 0.30 s | 2 | 3 |" in text
    assert "| 50 | `audit.yml` | 21.00 s | 20.50 s | 0.400 s | 0.400 s |" in text
    assert "`site.yml` 2 round trips and 3 forks; `audit.yml` 2 round trips and 3 forks" in text
    assert "*Compare*, *Host*, *Roles*" in text
    assert "| `worker.py:1 start` | 25.0 % | 50.0 % | 150 |" in text
    assert "fingerprint `0123abcd`" in text
    assert picture(GOOD).startswith("<svg ")


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    root = tmp_path_factory.mktemp("tree")
    for name in ("playbooks", "roles", "plugins"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    return root


@pytest.fixture(scope="module")
def unchanged(tree):
    return fingerprint(tree)


def test_the_fingerprint_is_that_of_the_checkout(unchanged):
    assert fingerprint() == unchanged


def test_comments_and_documentation_cost_nothing(tree, unchanged):
    changes = [
        ("plugins/action/component.py", "\n# Why.\n"),
        ("playbooks/site.yml", "\n# Why.\n"),
        ("roles/model_store/meta/argument_specs.yml", "\ndescription: More.\n"),
        ("roles/model_store/README.md", "More.\n"),
    ]
    with contextlib.ExitStack() as stack:
        for path, more in changes:
            stack.enter_context(longer(tree / path, more))
        assert fingerprint(tree) == unchanged


@pytest.mark.parametrize(
    ("path", "more"),
    [
        ("playbooks/site.yml", "\n- hosts: localhost\n"),
        ("playbooks/audit.yml", "\n- hosts: localhost\n"),
        ("roles/model_store/tasks/main.yml", "\n- ansible.builtin.meta: noop\n"),
        ("roles/model_store/meta/argument_specs.yml", "\nmore: 1\n"),
        ("roles/model_store/defaults/main.yml", "\nmore: 1\n"),
        ("roles/model_store/vars/main.yml", "\nmore: 1\n"),
        ("plugins/action/component.py", "\nmore = 1\n"),
        ("plugins/plugin_utils/_fast_check.py", "\nmore = 1\n"),
        ("plugins/module_utils/_component/fast_check.py", "\nmore = 1\n"),
        ("plugins/module_utils/_runner.py", "\nmore = 1\n"),
    ],
)
def test_what_costs_something_counts(tree, unchanged, path, more):
    with longer(tree / path, more):
        assert fingerprint(tree) != unchanged


def test_a_docstring_costs_nothing():
    told = '"""What it is."""\n\n\ndef one() -> int:\n    """One.\n\n    Always.\n    """\n    return 1\n'
    assert _normal("some.py", told) == "def one() -> int:\nreturn 1"


def test_what_only_a_change_runs_does_not_count():
    names = {path.relative_to(ROOT).as_posix() for path in covered()}
    assert "plugins/module_utils/_component/transaction.py" not in names
    assert not [name for name in names if name.startswith("plugins/modules/")]


@contextlib.contextmanager
def longer(path, more):
    text = path.read_text()
    path.write_text(text + more)
    try:
        yield
    finally:
        path.write_text(text)
