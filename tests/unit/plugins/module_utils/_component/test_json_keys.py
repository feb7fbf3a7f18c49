# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._component import json_keys, json_text
from ansible_collections.mlops.hosts.plugins.module_utils._errors import HostError
from hypothesis import given
from hypothesis import strategies as st

NAMES = st.sampled_from(["a", "b", "c", "log-opts", "x/y", "t~z", "ü"])
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5), st.floats(allow_nan=False))
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=3)),
    max_leaves=6,
)
OBJECTS = st.dictionaries(NAMES, VALUES, max_size=5)
LAYOUTS = st.sampled_from(
    [
        {"indent": None},
        {"indent": 2},
        {"indent": "\t"},
        {"indent": 4, "separators": (" , ", " : ")},
        {"separators": (",", ":")},
        {"ensure_ascii": False},
    ]
)
ENDS = st.sampled_from(["", "\n", "\n\n"])


@given(OBJECTS, OBJECTS, LAYOUTS, ENDS)
def test_merge_gives_the_desired_keys_and_keeps_the_others(before, desired, layout, end):
    text = json.dumps(before, **layout) + end
    merged = json_keys.merge(text, desired, {}, "/x.json")
    after = json.loads(merged.text)
    for pointer in json_keys.pointers(desired):
        key = json_keys.parse_pointer(pointer)
        assert json_text.same(_at(after, key), _at(desired, key))
    foreign = {name: value for name, value in before.items() if name not in desired}
    assert {name: after[name] for name in foreign} == foreign


@given(OBJECTS, OBJECTS, LAYOUTS)
def test_a_second_merge_finds_nothing(before, desired, layout):
    merged = json_keys.merge(json.dumps(before, **layout), desired, {}, "/x.json")
    again = json_keys.merge(merged.text, desired, merged.records, "/x.json")
    assert again.drift == ()
    assert again.text == merged.text
    assert again.records == merged.records


@given(OBJECTS, OBJECTS, LAYOUTS)
def test_giving_all_back_restores_every_value(before, desired, layout):
    text = json.dumps(before, **layout)
    merged = json_keys.merge(text, desired, {}, "/x.json")
    back = json_keys.merge(merged.text, {}, merged.records, "/x.json")
    assert json_text.same(json.loads(back.text), before)
    assert back.records == {}


@given(OBJECTS, OBJECTS, OBJECTS, LAYOUTS)
def test_giving_back_after_another_change_restores_every_value(before, first, second, layout):
    merged = json_keys.merge(json.dumps(before, **layout), first, {}, "/x.json")
    changed = json_keys.merge(merged.text, second, merged.records, "/x.json")
    back = json_keys.merge(changed.text, {}, changed.records, "/x.json")
    assert json_text.same(json.loads(back.text), before)


def test_foreign_bytes_stay_where_they_were():
    before = '{\n  "debug":   true,\n\n  "hosts": [ "a",\n     "b" ],\n  "log-opts": {"max-file" :"3"}\n}\n'
    merged = json_keys.merge(before, {"live-restore": True, "log-opts": {"max-size": "10m"}}, {}, "/x.json")
    assert merged.text == (
        '{\n  "debug":   true,\n\n  "hosts": [ "a",\n     "b" ],\n'
        '  "log-opts": {"max-file" :"3", "max-size" :"10m"},\n  "live-restore":   true\n}\n'
    )
    assert json_keys.merge(merged.text, {}, merged.records, "/x.json").text == before


def test_keys_added_by_somebody_else_stay_when_ours_go():
    merged = json_keys.merge("", {"log-opts": {"max-size": "10m"}}, {}, "/x.json")
    edited = merged.text.replace('"10m"', '"10m", "max-file": "3"')
    back = json_keys.merge(edited, {}, merged.records, "/x.json")
    assert json.loads(back.text) == {"log-opts": {"max-file": "3"}}


def test_a_value_changed_by_hand_is_named_with_want_and_have():
    merged = json_keys.merge('{"a": 1}', {"a": 2}, {}, "/x.json")
    drift = json_keys.merge('{"a": 3}', {"a": 2}, merged.records, "/x.json").drift
    assert drift == (json_keys.KeyDrift("/a", 2, 3),)


def test_true_is_not_one():
    assert json_keys.merge('{"a": 1}', {"a": True}, {}, "/x.json").drift


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        pytest.param('{\n  "a": 1,\n}', "line 3, column 1", id="trailing-comma"),
        pytest.param("[1]", "must hold a JSON object, it holds list", id="a-list"),
        pytest.param('{"a": 1} x', "Extra data in line 1, column 10", id="something-behind"),
    ],
)
def test_a_broken_file_is_named_and_left(text, sentence):
    with pytest.raises(HostError, match=sentence):
        json_keys.merge(text, {"b": 1}, {}, "/etc/x.json")


def test_a_key_that_stands_twice_is_refused():
    with pytest.raises(HostError, match="'a' twice in one object, again in line 2"):
        json_keys.merge('{"a": 1,\n"a": 2}', {"b": 1}, {}, "/x.json")


@pytest.mark.parametrize(
    ("mine", "theirs", "expected"),
    [
        ("/a", "/a", "/a"),
        ("/a/b", "/a", "/a/b"),
        ("/a", "/a/b", "/a"),
        ("/a/b", "/a/c", None),
        ("/ab", "/a", None),
    ],
)
def test_conflict(mine, theirs, expected):
    assert json_keys.conflict([mine], {theirs: {"container": False}}) == expected


def _at(value, key):
    for name in key:
        value = value[name]
    return value


JOURNALD = {"log-opts": ["tag"]}
COMMONEST = '{"log-driver": "json-file", "log-opts": {"max-size": "10m", "max-file": "3", "tag": "x"}}'


def test_members_that_an_object_may_not_have_go_and_come_back():
    merged = json_keys.merge(COMMONEST, {"log-driver": "journald"}, {}, "/x.json", JOURNALD)
    assert json.loads(merged.text) == {"log-driver": "journald", "log-opts": {"tag": "x"}}
    assert {item.pointer for item in merged.drift} == {"/log-driver", "/log-opts/max-size", "/log-opts/max-file"}
    again = json_keys.merge(merged.text, {"log-driver": "journald"}, merged.records, "/x.json", JOURNALD)
    assert (again.text, again.records, again.drift) == (merged.text, merged.records, ())
    back = json_keys.merge(again.text, {}, again.records, "/x.json")
    assert (json.loads(back.text), back.notes) == (json.loads(COMMONEST), ())


def test_a_member_that_was_ours_does_not_come_back_to_an_object_that_may_not_have_it():
    files = {"log-driver": "json-file", "log-opts": {"max-size": "50m"}}
    first = json_keys.merge(COMMONEST, files, {}, "/x.json", {"log-opts": ["max-file", "tag"]})
    second = json_keys.merge(first.text, {"log-driver": "journald"}, first.records, "/x.json", JOURNALD)
    assert json.loads(second.text) == {"log-driver": "journald", "log-opts": {"tag": "x"}}
    third = json_keys.merge(second.text, files, second.records, "/x.json", {"log-opts": ["max-file", "tag"]})
    assert json.loads(third.text)["log-opts"] == {"max-size": "50m", "max-file": "3", "tag": "x"}
    back = json_keys.merge(third.text, {}, third.records, "/x.json")
    assert json.loads(back.text) == json.loads(COMMONEST)


def test_what_was_no_string_comes_back_as_one_and_is_told():
    text = '{"log-opts": {"max-file": 3, "compress": true}}'
    merged = json_keys.merge(text, {"log-opts": {"max-file": "5"}}, {}, "/x.json", {"log-opts": []})
    assert json.loads(merged.text) == {"log-opts": {"max-file": "5"}}
    back = json_keys.merge(merged.text, {}, merged.records, "/x.json")
    assert json.loads(back.text) == {"log-opts": {"max-file": "3", "compress": "true"}}
    assert [note.split(",")[0] for note in sorted(back.notes)] == [
        "/x.json had 3 as log-opts.max-file before",
        "/x.json had true as log-opts.compress before",
    ]


def test_what_is_no_string_and_stays_is_named():
    with pytest.raises(HostError, match='/x.json has true as log-opts.compress, .* write it as "true"'):
        json_keys.merge('{"log-opts": {"compress": true}}', {}, {}, "/x.json", {"log-opts": ["compress"]})
