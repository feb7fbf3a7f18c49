# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import subprocess
import sys

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._holders import Holder, holders, runners


@pytest.fixture
def store(tmp_path):
    """Two versions of a model that share a file, as the store has them."""
    for name in ("v1", "v2"):
        (tmp_path / "chat" / name).mkdir(parents=True)
    (tmp_path / "chat/v1/model.gguf").write_text("weights")
    os.link(tmp_path / "chat/v1/model.gguf", tmp_path / "chat/v2/model.gguf")
    return tmp_path / "chat"


def process(proc, pid, **files):
    folder = proc / str(pid)
    (folder / "fd").mkdir(parents=True)
    for name, text in {"comm": "llama-server\n", "cgroup": "0::/\n", **files}.items():
        (folder / name).write_text(text)


def mapped(path, inode):
    return f"7f00-7f01 r--s 00000000 fe:00 {inode}    {path}\n7f02-7f03 r--p 00000000 00:00 0    [heap]\n"


def users(store, proc):
    found = holders([str(store / "v1"), str(store / "v2")], str(proc))
    return {os.path.basename(path): [str(one) for one in those] for path, those in found.items()}


def test_a_mapped_version_is_used_and_the_one_that_shares_its_file_is_not(store, tmp_path):
    inode = (store / "v1/model.gguf").stat().st_ino
    process(tmp_path / "proc", 812, maps=mapped(store / "v1/model.gguf", inode), cgroup="0::/system.slice/m.service\n")
    assert users(store, tmp_path / "proc") == {"v1": ["llama-server (pid 812, m.service)"]}


def test_a_container_sees_the_file_by_another_path(store, tmp_path):
    inode = (store / "v1/model.gguf").stat().st_ino
    process(tmp_path / "proc", 5, maps=mapped("/models/model.gguf", inode))
    assert set(users(store, tmp_path / "proc")) == {"v1", "v2"}  # it cannot be known which


@pytest.mark.parametrize("file", ["cmdline", "environ"])
def test_a_service_that_names_the_model_will_need_it_again(store, tmp_path, file):
    words = f"vllm\0MODEL={store}/v2/model.gguf\0"
    process(tmp_path / "proc", 5, cgroup="0::/system.slice/vllm.service\n", **{file: words})
    process(tmp_path / "proc", 6, cgroup="0::/user.slice/session-1.scope\n", **{file: words})
    assert users(store, tmp_path / "proc") == {"v2": ["llama-server (pid 5, vllm.service)"]}


def test_a_real_process_that_has_it_open(store):
    program = f"import sys; f = open({str(store / 'v2/model.gguf')!r}); print('.', flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        child.stdout.read(1)
        found = holders([str(store / "v1"), str(store / "v2")])
        child.stdin.close()
    assert [one.pid for one in found[str(store / "v2")]] == [child.pid] and str(store / "v1") not in found


def test_nobody_uses_what_nobody_uses(store, tmp_path):
    process(tmp_path / "proc", 5, maps=mapped(f"{store}/v10/model.gguf", 1), cmdline=f"cat\0{store}/v1\0")
    assert users(store, tmp_path / "proc") == {}
    assert holders([], "/nowhere") == {}


def test_who_runs_from_an_environment_is_known_by_its_command_line(store, tmp_path):
    proc = tmp_path / "proc"
    process(proc, 5, cmdline=f"{store}/v1/bin/python\0-m\0demo\0", comm="python\n")
    process(proc, 6, cmdline="VLLM::EngineCore\0", maps=mapped(f"{store}/v2/lib/torch.so", 1), comm="VLLM\n")
    process(proc, 7, cmdline=f"ls\0{store}/v10/bin\0--color={store}/v1/\0")
    found = runners([f"{store}/v1", f"{store}/v2", f"{store}/v3"], str(proc))
    assert {path[-2:]: [one.pid for one in those] for path, those in found.items()} == {"v1": [5], "v2": [6]}
    assert runners([], "/nowhere") == {}


def test_a_holder_without_a_unit():
    assert str(Holder(7, "python3", None)) == "python3 (pid 7)"
