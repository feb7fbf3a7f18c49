# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import pathlib

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._component import sources
from ansible_collections.mlops.hosts.plugins.module_utils._component.changes import PathChange
from ansible_collections.mlops.hosts.plugins.module_utils._component.fs_entry import ABSENT, Entry
from ansible_collections.mlops.hosts.plugins.module_utils._errors import HostError
from ansible_collections.mlops.hosts.plugins.module_utils._runner import Completed

DATA = pathlib.Path(__file__).parents[3] / "data"
URI = "https://nvidia.github.io/libnvidia-container/stable/deb"
OURS = f"Types: deb\nURIs: {URI}/amd64\nSuites: /\nSigned-By: /etc/apt/keyrings/ours.asc\n"


@pytest.fixture
def apt(tmp_path, monkeypatch):
    parts = tmp_path / "sources.list.d"
    parts.mkdir()
    monkeypatch.setattr(sources, "_APT_PARTS", str(parts))
    monkeypatch.setattr(sources, "_APT_LIST", str(tmp_path / "sources.list"))
    return parts


class Apt:
    """Answers with what apt once said, and notes what it was given to read."""

    def __init__(self, record):
        self.record, self.read = record, {}

    def __call__(self, *argv, timeout_s=None, stdin=None):
        folder = argv[-1].partition("=")[2]
        self.read = {name: pathlib.Path(folder, name).read_text() for name in os.listdir(folder)}
        rc, out, err = (DATA / f"apt-get/indextargets-{self.record}.{end}" for end in ("rc", "stdout", "stderr"))
        return Completed(argv, int(rc.read_text()), out.read_text(), err.read_text())


def change(path, content=OURS, after=None):
    return PathChange(str(path), ABSENT, after or Entry("file", content=content.encode()), "root", "root")


@pytest.mark.parametrize(
    ("record", "name", "text", "words"),
    [
        (
            "signed-by",
            "nvidia.list",
            f"# by hand\ndeb [signed-by=/usr/share/keyrings/n.gpg] {URI}/$(ARCH) /\n",
            "{parts}/ours.sources cannot be written: {parts}/nvidia.list:2 has the same repository with other options, "
            "and apt would refuse all of its sources (Conflicting values set for option Signed-By regarding source "
            f"{URI}/amd64/ /: /usr/share/keyrings/n.gpg != /etc/apt/keyrings/ours.asc). Remove it there",
        ),
        ("trusted", "n.list", f"deb [trusted=yes] {URI}/$(ARCH)/ /\n", "{parts}/n.list:1 has the same repository"),
        ("embedded", "n.sources", f"Types: deb\nURIs: https://x {URI}/amd64\nSuites: /\n", "{parts}/n.sources:2 has"),
        ("signed-by", "../sources.list", f"#deb {URI}/amd64 /\ndeb {URI}/amd64 /\n", "/sources.list:2 has the same"),
        (
            "malformed",
            "n.list",
            "deb [foo] https://x",
            "apt cannot read its sources: Malformed entry 1 in list file /etc/apt/sources.list.d/n.list ([option] not",
        ),
        ("malformed-deb822", "n.sources", "Types: deb\n", "Malformed entry 1 in sources file"),
    ],
)
def test_a_source_by_hand_that_conflicts_is_named(apt, record, name, text, words):
    (apt / name).write_text(text)
    with pytest.raises(HostError) as caught:
        sources.require_readable([change(apt / "ours.sources")], Apt(record))
    assert words.format(parts=apt) in str(caught.value)


def test_apt_reads_what_would_be_there(apt):
    (apt / "theirs.list").write_text("deb http://x y z\n")
    (apt / "ours.sources").write_text("earlier")
    (apt / "renamed.sources").write_text("earlier")
    run = Apt("good")
    sources.require_readable([change(apt / "ours.sources"), change(apt / "renamed.sources", after=ABSENT)], run)
    assert run.read == {"theirs.list": "deb http://x y z\n", "ours.sources": OURS}


@pytest.mark.parametrize("after", [ABSENT, None])
def test_apt_is_not_asked_without_need(apt, after):
    changes = [] if after is None else [change(apt / "ours.sources", after=after)]
    sources.require_readable(changes, None)


@pytest.fixture
def dnf(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "_DNF_PARTS", (str(tmp_path / "yum.repos.d"),))
    monkeypatch.setattr(sources, "_DNF_MAIN", (str(tmp_path / "dnf.conf"),))
    (tmp_path / "yum.repos.d").mkdir()
    return tmp_path / "yum.repos.d"


@pytest.mark.parametrize("name", ["cuda-rhel9.repo", "../dnf.conf"])
def test_dnf_would_read_only_one_of_two_with_the_same_id(dnf, name):
    (dnf / name).write_text("[other]\nname=x\n[ours]\nbaseurl=https://y\n")
    with pytest.raises(HostError, match=r":3 has a repository with the same id, ours, and dnf would read only one"):
        sources.require_readable([change(dnf / "ours.repo", "[ours]\n")], None)


def test_our_own_file_and_another_id_do_not_count(dnf):
    (dnf / "ours.repo").write_text("[ours]\n")
    (dnf / "other.repo").write_text("[ours-source]\n")
    sources.require_readable([change(dnf / "ours.repo", "[ours]\n")], None)
