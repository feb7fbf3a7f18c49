# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""CDI specifications are read as container engines read them.

``go-library-0.8.0.json`` holds texts, and what CDI's own Go library, version 0.8.0, read in each: null for an error.
"""

from __future__ import annotations

import json
import pathlib
import typing as t

import pytest
import yaml
from ansible_collections.mlops.hosts.plugins.plugin_utils._cdi import spec
from hypothesis import given
from hypothesis import strategies as st

RECORDED = json.loads((pathlib.Path(__file__).resolve().parents[3] / "data/cdi/go-library-0.8.0.json").read_text())


@pytest.mark.parametrize("name", RECORDED)
def test_what_engines_read_is_read_and_nothing_else(name: str) -> None:
    text, read = RECORDED[name]["text"], RECORDED[name]["read"]
    if read is None:
        with pytest.raises(spec.SpecError):
            spec.parse(name, text)
        return
    found = spec.parse(name, text)
    assert (found.kind, list(found.devices)) == (read["kind"], read["devices"])
    assert set(found.paths) == set(read["paths"])


NAMES = st.one_of(st.text("0123456789abc:._-", min_size=1, max_size=6), st.sampled_from(["all", "0:0", "null", "<<"]))
PATHS = st.text("/ab1 ,:#'\"-{}[]\\é", min_size=1, max_size=12).map(lambda text: f"/dev/{text}")


@given(
    st.lists(NAMES, max_size=4, unique=True),
    st.lists(PATHS, max_size=4, unique=True),
    st.sampled_from([True, False, None]),
)
def test_what_writers_write_is_read(names: list[str], paths: list[str], flow: bool | None) -> None:
    said = {
        "kind": "nvidia.com/gpu",
        "containerEdits": {"deviceNodes": [{"path": path} for path in paths]},
        "devices": [{"name": name, "containerEdits": {}} for name in names],
    }
    texts = [
        yaml.safe_dump(said, default_flow_style=flow),
        yaml.safe_dump(said, width=20),
        json.dumps(said, indent="\t"),
    ]
    for text in texts:
        found = spec.parse("x", text)
        assert (found.devices, found.paths) == (tuple(names), tuple(paths))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "it is empty"),
        ("- a\n", "it is not a mapping"),
        ("a: 1\n", "it names no kind"),
        ("kind: |\n  x\n", "it names no kind"),
        ("kind: a/b\nkind: c/d\n", "line 2: kind is there twice"),
        ("a: 1\n   b: 2\n", "line 2: mapping values are not allowed"),
        ("a: 1\nb\n", "line 3: could not find expected ':'"),
        ("{[a]: b}", "line 1: a key is no text"),
        ("\0", "control characters are not allowed"),
        ("[" * 20000, "it is not valid YAML"),
        ("kind: a/b\ndevices: &all [*all]\n", "its devices are not a list of mappings"),
        ("kind: a/b\ncontainerEdits: {mounts: /a}\n", "its mounts are not a list of mappings"),
        ("kind: a/b\ncontainerEdits: []\ndevices: [{name: a}, {name: a}]\n", "its containerEdits are not a mapping"),
        ("kind: a/b\ndevices: [{name: a}, {name: a}]\n", "it offers a twice"),
        ("kind: a/b\ndevices: [{}]\n", "one of its devices has no name"),
    ],
)
def test_why_a_text_is_no_specification_is_said(text: str, says: str) -> None:
    with pytest.raises(spec.SpecError) as caught:
        spec.parse("x", text)
    assert says in str(caught.value)


def test_a_tag_makes_no_object(tmp_path: pathlib.Path) -> None:
    mark = tmp_path / "mark"
    text = f"kind: a/b\nnote: !!python/object/apply:os.system ['touch {mark}']\n"
    with pytest.raises(spec.SpecError):
        spec.parse("x", text)
    assert not mark.exists()


def test_what_the_driver_is_called_is_read() -> None:
    said: dict[str, t.Any] = {
        "kind": "nvidia.com/gpu",
        "containerEdits": {
            "mounts": [{"hostPath": "/usr/lib/libcuda.so.580.95.05"}, {"hostPath": "/usr/lib/libcuda.so.1"}]
        },
    }
    assert spec.parse("x", yaml.safe_dump(said)).drivers == ("580.95.05",)
