# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is read of containerd on a host. The list of plugins is as recorded from containerd 1.7.24."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._container_runtime import containerd_host, paths
from ansible_collections.mlops.hosts.plugins.module_utils._runner import NOT_FOUND, Completed

PLUGINS = """TYPE                                   ID                       PLATFORMS      STATUS
io.containerd.snapshotter.v1           overlayfs                linux/amd64    ok
io.containerd.grpc.v1                  cri                      linux/amd64    {status}
"""


def runner(status: str = "ok", *, installed: bool = True, dump_rc: int = 0) -> t.Any:
    def run(*argv: str, timeout_s: float | None = None, stdin: str | None = None) -> Completed:
        if not installed:
            return Completed(argv, NOT_FOUND, "", "not found")
        if argv[0] == "ctr":
            return Completed(argv, 0, PLUGINS.format(status=status), "")
        if argv[1:] == ("config", "default"):
            return Completed(argv, 0, "default", "")
        config = pathlib.Path(argv[2])
        texts = [(config.parent / name).read_text() for name in ("config.toml", "last.toml", "settings.toml")]
        return Completed(argv, dump_rc, "\n".join(texts), "line 3: no value")

    return run


def read(path: str) -> str:
    try:
        return pathlib.Path(path).read_text()
    except OSError:
        return ""


@pytest.fixture
def root(tmp_path: pathlib.Path) -> pathlib.Path:
    for name, text in {
        "etc/containerd/config.toml": "version = 2\n",
        "etc/containerd/conf.d/a.toml": "a = 1\n",
        "etc/containerd/certs.d/docker.io/hosts.toml": "password",
        "etc/containerd/mlops-hosts/settings.toml": "ours",
        "usr/lib/systemd/system/containerd.service": "[Service]\nExecStart=/usr/bin/containerd $OPTIONS\n",
        "etc/systemd/system/containerd.service.d/mlops-hosts.conf": "[Service]\nExecStart=\nExecStart=/bin/ours\n",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_files_and_commands_of_others_are_read_and_not_those_of_the_role(root: pathlib.Path) -> None:
    found = containerd_host.configuration(
        runner(installed=False), lambda path: read(path) or read(f"{root}{path}"), root=str(root)
    )
    assert list(found["files"]) == ["/etc/containerd/config.toml", "/etc/containerd/conf.d/a.toml"]
    assert found["commands"] == [
        {"command": "/usr/bin/containerd", "source": f"{root}/usr/lib/systemd/system/containerd.service"}
    ]
    assert (found["site"], found["effective"], found["problem"], found["cri"]) == (None, None, "", None)


def test_what_would_be_is_asked_for_without_a_change(root: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "CONFIG", str(root / "none.toml"))
    found = containerd_host.configuration(runner("error"), read, "root = 1\n", str(root))
    assert (found["site"], found["cri"], found["problem"]) == ("default", "error", "")
    assert "root = 1" in found["effective"] and "con*fig.toml" in found["effective"]


def test_why_containerd_refuses_is_told(root: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "CONFIG", str(root / "none.toml"))
    found = containerd_host.configuration(runner(dump_rc=1), read, "root = \n", str(root))
    assert found["effective"] is None
    assert (
        found["problem"]
        == "containerd cannot use the files of the role together with those of others: line 3: no value"
    )
