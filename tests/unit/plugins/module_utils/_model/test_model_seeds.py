# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stores of other hosts are asked before the source, and believed no more than it."""

from __future__ import annotations

import hashlib

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._errors import HostError

from .conftest import Bench, fake

TOKEN = "hf_a-token-that-must-not-be-seen"
DOWN = "http://127.0.0.1:1/models"


@pytest.fixture
def seed(tmp_path, bench):
    """Another host that has the model, and a web server that serves its store."""
    Bench(tmp_path / "other" / "plain", bench.hub)(bench.chat())
    with fake.Hub(tmp_path / "other") as running:
        running.base = f"{running.url}/plain"
        bench.hub.asked.clear()
        yield running


def big(bench):
    """What the source was asked to send of the files that are known by sha256."""
    return [one.range for one in bench.hub.asked if one.path.startswith("/cdn/") and one.method == "GET"]


def gguf(bench):
    path = bench.hub.tree.root / "models/acme/chat/main/model.gguf"
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_file_comes_from_a_seed_and_the_source_sends_only_what_is_not_known_by_sha256(bench, seed):
    result = bench(bench.chat(), seeds=[seed.base + "/"], token=TOKEN)
    assert big(bench) == [] and bench.told == []
    assert [one.path for one in seed.asked] == [f"/plain/blobs/sha256-{gguf(bench)}"]
    assert not any(one.authorized for one in seed.asked)
    assert result["downloaded_bytes"] == sum(file["size_bytes"] for file in result["artifacts"][0]["files"])
    asked = len(seed.asked)
    assert not bench(bench.chat(), seeds=[seed.base])["changed"]
    assert len(seed.asked) == asked


def test_what_a_seed_has_not_comes_from_the_source_in_a_sentence(bench, seed):
    bench(bench.chat("next"), seeds=[seed.base])
    assert big(bench) == [None]
    (said,) = bench.told
    assert said.startswith(f"the seed {seed.base} did not bring model.gguf, so others were asked: the source has no")
    assert "the answer was 404" in said


def test_a_seed_that_is_down_is_asked_once_and_the_next_one_brings_it(bench, seed):
    plain = {"name": "more", "source": f"{bench.hub.url}/plain/tiny.gguf"}
    plain["sha256"] = hashlib.sha256((bench.hub.tree.root / "plain/tiny.gguf").read_bytes()).hexdigest()
    bench(bench.chat(), plain, seeds=[DOWN, seed.base], parallel=1)
    assert big(bench) == []
    down, missing = sorted(bench.told)
    assert down.startswith(f"the seed {DOWN} did not bring model.gguf, so") and "cannot be reached" in down
    assert f"the seed {seed.base} did not bring tiny.gguf" in missing
    assert bench.slept == []


@pytest.mark.parametrize("fault", [{"wrong_content": True}, {"status": 503}, {"coding": "br"}])
def test_a_seed_that_sends_something_else_is_not_believed(bench, seed, fault):
    seed.faults = type(seed.faults)(**fault)
    bench(bench.chat(), seeds=[seed.base])
    assert big(bench) == [None] and len(bench.told) == 1
    assert hashlib.sha256((bench.current() / "model.gguf").read_bytes()).hexdigest() == gguf(bench)


def test_the_source_goes_on_where_a_seed_broke_off(bench, seed):
    seed.faults = type(seed.faults)(cut_after=400_000)
    result = bench(bench.chat(files=[{"path": "model.gguf"}]), seeds=[seed.base])
    assert big(bench) == ["bytes=400000-"] and result["downloaded_bytes"] == 700_000
    assert "ended after 400000 of 700000 bytes" in bench.told[0]


def test_a_seed_goes_on_where_the_source_broke_off(bench, seed):
    bench.hub.faults = type(bench.hub.faults)(cut_after=300_000)
    only = bench.chat(files=[{"path": "model.gguf"}])
    with pytest.raises(HostError, match="300000 bytes are kept"):
        bench(only, retries=0)
    assert bench(only, seeds=[seed.base])["downloaded_bytes"] == 400_000
    assert [one.range for one in seed.asked] == ["bytes=300000-"]


def test_a_part_that_was_wrong_before_is_not_blamed_on_a_seed(bench, seed):
    (bench.path / "blobs").mkdir(parents=True)
    (bench.path / "blobs" / f".partial-{gguf(bench)}").write_bytes(b"x" * 100_000)
    bench(bench.chat(), seeds=[seed.base])
    assert big(bench) == [] and bench.told == []


@pytest.mark.parametrize("seed", ["gpu01:8443", "file:///models", "https://u:p@gpu01/models", "https://gpu01/m?x=1"])
def test_what_is_no_seed_is_refused(bench, seed):
    with pytest.raises(HostError, match="a seed must be the address of a store"):
        bench(bench.chat(), seeds=[seed])
