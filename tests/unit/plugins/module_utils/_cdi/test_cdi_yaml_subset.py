# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of YAML that CDI specifications are written in, held against a reader of all of it."""

from __future__ import annotations

import string
import typing as t

import pytest
import yaml
from ansible_collections.mlops.hosts.plugins.module_utils._cdi import yaml_subset
from hypothesis import given
from hypothesis import strategies as st

WORDS = st.text(string.ascii_letters + string.digits + "/.-_:=@# '", min_size=1, max_size=20)
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-9, 10**6), WORDS)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(WORDS, inner, max_size=4)),
    max_leaves=20,
)


@given(VALUES.filter(lambda value: isinstance(value, (dict, list)) and value))
def test_it_reads_what_a_full_writer_writes(value: t.Any) -> None:
    assert yaml_subset.load(yaml.safe_dump(value, width=10**6, default_flow_style=False)) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ('---\na: 1 # one\n# none\nb: "x # y"\n', {"a": 1, "b": "x # y"}),
        ("a:\n  - b: 1\n    c:\n    - d\n  - e\n", {"a": [{"b": 1, "c": ["d"]}, "e"]}),
        ("a: [ro, nosuid]\nb: {}\n", {"a": ["ro", "nosuid"], "b": {}}),
        ("- - 1\n  - 2\n-\n  - 3\n", [[1, 2], [3]]),
        ("version: 0.5.0\nmode: 0666\n", {"version": "0.5.0", "mode": "0666"}),
    ],
)
def test_forms(text: str, value: t.Any) -> None:
    assert yaml_subset.load(text) == value


@pytest.mark.parametrize(
    ("text", "line"),
    [("a: 1\nb: |\n  x\n", "line 2"), ("a: &x 1\n", "line 1"), ("a: 1\n   b: 2\n", "line 2"), ("a: 1\nb\n", "line 2")],
)
def test_another_form_is_named_with_its_line(text: str, line: str) -> None:
    with pytest.raises(ValueError, match=line):
        yaml_subset.load(text)
