# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How large the weights of a model are said to be: files in the format of safetensors, with heads and holes."""

from __future__ import annotations

import json

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._weights import Weights, weights

GIB = 1024**3


def shard(path, **tensors):
    """With a hole in the place of the numbers."""
    head, end = {"__metadata__": {"format": "pt"}}, 0
    for name, (kind, size) in tensors.items():
        head[name] = {"dtype": kind, "shape": [size], "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(head).encode()
    with open(path, "wb") as out:
        out.write(len(text).to_bytes(8, "little") + text)
        out.truncate(out.tell() + end)


def sizes(path):
    found = weights(str(path))
    assert found.path == str(path)
    return found.size_bytes, found.narrow_bytes


def test_numbers_of_32_bits_are_loaded_with_16_and_small_ones_as_they_are(tmp_path):
    shard(tmp_path / "model.safetensors", a=("F32", 4 * GIB), b=("BF16", 2 * GIB), c=("F8_E4M3", GIB), d=("F64", 8))
    assert sizes(tmp_path) == (7 * GIB + 8, 5 * GIB + 2)


def test_of_shards_those_count_that_the_index_names(tmp_path):
    for name in ("one", "two", "other"):
        shard(tmp_path / f"{name}.safetensors", a=("F16", GIB))
    assert sizes(tmp_path) == (3 * GIB, 3 * GIB)
    index = {"weight_map": {"a": "one.safetensors", "b": "two.safetensors", "c": "one.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    assert sizes(tmp_path) == (2 * GIB, 2 * GIB)


def test_the_same_weights_in_another_form_do_not_count_twice(tmp_path):
    shard(tmp_path / "consolidated.safetensors", a=("BF16", GIB))
    assert sizes(tmp_path) == (GIB, GIB)
    shard(tmp_path / "model.safetensors", a=("BF16", GIB))
    assert sizes(tmp_path) == (GIB, GIB)


@pytest.mark.parametrize("content", [b"", b"\xff" * 64, (2).to_bytes(8, "little") + b"[]", b"GGUF" + b"\0" * 20])
def test_of_what_cannot_be_read_nothing_is_said(tmp_path, content):
    assert weights(str(tmp_path)) == Weights(str(tmp_path))
    (tmp_path / "model.safetensors").write_bytes(content)
    assert weights(str(tmp_path)) == Weights(str(tmp_path))
    (tmp_path / "model.safetensors").unlink()
    (tmp_path / "model.safetensors").mkdir()  # nor of what nobody can open as a file
    assert weights(str(tmp_path)) == Weights(str(tmp_path))
    assert sizes(tmp_path / "none") == sizes(tmp_path / "model.safetensors") == (None, None)


def test_a_shard_that_is_missing_makes_the_rest_no_answer(tmp_path):
    shard(tmp_path / "one.safetensors", a=("F16", GIB))
    index = {"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    assert sizes(tmp_path) == (None, None)
