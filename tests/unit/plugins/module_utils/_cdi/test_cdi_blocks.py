# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""CDI specifications without a parser of YAML: what is read is what engines read, and of the rest nothing is said."""

from __future__ import annotations

import json
import pathlib
import typing as t

import pytest
import yaml
from ansible_collections.mlops.hosts.plugins.module_utils._cdi import blocks
from ansible_collections.mlops.hosts.plugins.module_utils._cdi.files import SpecFile
from ansible_collections.mlops.hosts.plugins.module_utils._cdi.spec import SpecError
from ansible_collections.mlops.hosts.plugins.plugin_utils._cdi import spec
from hypothesis import given
from hypothesis import strategies as st

RECORDED = json.loads((pathlib.Path(__file__).resolve().parents[3] / "data/cdi/go-library-0.8.0.json").read_text())


@pytest.mark.parametrize("name", RECORDED)
def test_what_is_read_is_what_engines_read(name: str) -> None:
    text, read = RECORDED[name]["text"], RECORDED[name]["read"]
    try:
        found = blocks.parse(SpecFile(name, text))
    except SpecError:
        return
    assert read is not None
    assert (found.kind, list(found.devices)) == (read["kind"], read["devices"])
    assert set(found.paths) == set(read["paths"])


WRITTEN = """---
cdiVersion: 0.5.0
containerEdits:
  deviceNodes:
  - path: /dev/nvidiactl
  env:
  - NVIDIA_VISIBLE_DEVICES=void
  hooks:
  - args:
    - nvidia-ctk
    - hook
    - --path
    - usr/lib::x
    hookName: createContainer
    path: /usr/bin/nvidia-ctk
  mounts:
  - containerPath: /usr/lib/libcuda.so.580.95.05
    hostPath: /usr/lib/libcuda.so.580.95.05
    options:
    - ro
    - nosuid
devices:
- containerEdits:
    deviceNodes:
    - path: /dev/nvidia0
  name: "0"
- containerEdits: {}
  name: GPU-1
- name: '0:1'
kind: nvidia.com/gpu
"""


def test_what_the_toolkit_writes_is_read() -> None:
    assert blocks.parse(SpecFile("x", WRITTEN)) == spec.parse("x", WRITTEN)
    assert blocks.parse(SpecFile("x", json.dumps(yaml.safe_load(WRITTEN)))) == spec.parse("x", WRITTEN)


@given(st.text("ab:- #\n'\"{}[]&*|>,/\\~\t0", max_size=40))
def test_what_is_read_of_any_text_is_what_a_parser_reads(text: str) -> None:
    try:
        found: t.Any = blocks.load(text)
    except SpecError:
        return
    assert found == spec._load(text)


@pytest.mark.parametrize(
    "text",
    ["kind: [a]", "kind: |\n  a", "a: &x b", "kind: a\nkind: b", "-", "a: b # c", "a:\n  - b\n c", "\ta: b", 'a: "b'],
)
def test_of_other_texts_nothing_is_said(text: str) -> None:
    with pytest.raises(SpecError):
        blocks.load(text)
