# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a container engine is like. Output of dockerd and systemd is recorded."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils import _unit_file
from ansible_collections.mlops.hosts.plugins.module_utils._container_runtime import flags, images, info, paths
from ansible_collections.mlops.hosts.plugins.module_utils._errors import HostError
from ansible_collections.mlops.hosts.plugins.module_utils._runner import Completed
from ansible_collections.mlops.hosts.tests.unit.fakes import Told

RECORDED = pathlib.Path(__file__).resolve().parents[3] / "data"
DATA = RECORDED / "docker"


def runner(answers: dict[str, tuple[int, str, str]]) -> t.Any:
    def run(*argv: str, timeout_s: float | None = None, stdin: str | None = None) -> Completed:
        rc, stdout, stderr = answers.get(argv[0], (127, "", "not found"))
        return Completed(argv, rc, stdout, stderr)

    return run


def on_host(version: str, active: str = "active") -> t.Any:
    answers = {
        ("systemctl", "is-active"): active,
        ("docker", "info"): (DATA / version / "info.json").read_text(),
    }

    def run(*argv: str, timeout_s: float | None = None, stdin: str | None = None) -> Completed:
        return Completed(argv, 0, answers[argv[:2]], "")

    return run


def units(root: pathlib.Path, version: str, **drop_ins: str) -> str:
    """A tree with the recorded unit and drop-ins."""
    fragment = root / "usr/lib/systemd/system/docker.service"
    fragment.parent.mkdir(parents=True)
    fragment.write_text((DATA / version / "docker.service").read_text())
    for name, text in drop_ins.items():
        path = root / f"etc/systemd/system/docker.service.d/{name}.conf"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return str(root)


def reader(**texts: str) -> t.Callable[[str], str]:
    known = {"daemon_json": paths.DAEMON_JSON, "default": "/etc/default/docker"}
    told = {known[name]: text for name, text in texts.items()}
    return lambda path: told.get(path) or (pathlib.Path(path).read_text() if "systemd" in path else "")


@pytest.mark.parametrize("version", ["20.10.24", "26.1.5"])
def test_a_running_docker_is_read(version: str, tmp_path: pathlib.Path) -> None:
    read = reader(daemon_json='{"log-driver": "json-file"}', default="#DOCKER_OPTS=\n")
    seen = info.docker(on_host(version), ["/"], read, units(tmp_path, version))
    assert (seen.active, seen.running, seen.live_restore) == (True, 0, True)
    assert str(seen.version).startswith(version)
    assert [flag.key for flag in seen.flags] == ["hosts", "containerd"]
    assert seen.config_keys == ("log-driver",)
    assert seen.mounts == {"/": True}


def test_a_docker_that_does_not_run_tells_nothing_but_its_options(tmp_path: pathlib.Path) -> None:
    seen = info.docker(on_host("26.1.5", "inactive"), [], reader(), units(tmp_path, "26.1.5"))
    assert (seen.active, seen.running, seen.live_restore, len(seen.flags)) == (False, None, None, 2)


def test_options_of_the_environment_file_are_options_of_the_unit(tmp_path: pathlib.Path) -> None:
    options = 'DOCKER_OPTS="--log-driver=journald -D --registry-mirror https://m.example.org"\n'
    files = _unit_file.paths(paths.DOCKER_UNIT, units(tmp_path, "26.1.5"))
    assert [(flag.key, flag.source) for flag in flags.read(paths.DOCKER_UNIT, files, reader(default=options))[2:]] == [
        ("log-driver", "/etc/default/docker"),
        ("debug", "/etc/default/docker"),
        ("registry-mirrors", "/etc/default/docker"),
    ]


def test_a_drop_in_counts_as_soon_as_it_lies_there(tmp_path: pathlib.Path) -> None:
    drop_in = "[Service]\n# ExecStart=/no --debug\nExecStart=\nExecStart=/usr/sbin/dockerd \\\n  -g /srv\n"
    files = _unit_file.paths(paths.DOCKER_UNIT, units(tmp_path, "26.1.5", hand=drop_in))
    assert [(flag.key, flag.flag, flag.source) for flag in flags.read(paths.DOCKER_UNIT, files, reader())] == [
        ("data-root", "-g", f"{tmp_path}/etc/systemd/system/docker.service.d/hand.conf")
    ]


def options(command: str, **more: str) -> list[tuple[str, str, str]]:
    """Key, option and file of what a unit of one command gives; ``more`` are other lines of its section."""
    lines = "".join(f"{key}={value}\n" for key, value in more.items())
    texts = {"unit": f"[Service]\n{lines}ExecStart={command}\n", "/env": "OPTS='--log-driver=local -D'\n"}
    found = flags.read(paths.DOCKER_UNIT, ["unit"], lambda path: texts.get(path, ""))
    return [(flag.key, flag.flag, flag.source) for flag in found]


@pytest.mark.parametrize(
    "command",
    [
        "/usr/bin/dockerd -H fd:// $OPTS",
        "/bin/sh -c 'exec dockerd -H fd:// $OPTS'",
        '/bin/bash -ec "sleep 1; X=--no exec dockerd -H fd:// ${OPTS} && other --debug"',
        "/bin/sh -c 'dockerd -H fd:// $$OPTS > /dev/null' --no",
        "/usr/bin/env PATH=/x dockerd -H fd:// $OPTS -- --no",
    ],
)
def test_dockerd_is_found_behind_what_begins_it(command: str) -> None:
    assert options(command, EnvironmentFile="-/env") == [
        ("hosts", "-H", "unit"),
        ("log-driver", "--log-driver", "/env"),
        ("debug", "-D", "/env"),
    ]


@pytest.mark.parametrize(
    ("command", "names"),
    [
        ("/usr/bin/dockerd -Dl warn", ["debug", "log-level"]),
        ("/usr/bin/dockerd -lD", ["log-level"]),
        ("/usr/bin/dockerd --dns=1.1.1.1 --dns-opt ndots:1", ["dns", "dns-opts"]),
        ("/usr/local/bin/start --debug", ["debug"]),
        ("/bin/sh -c 'dockerd --debug \"'", ["debug"]),
        ("/bin/sh /usr/local/bin/start --debug", ["debug"]),
        ("/bin/sh -c", ["c"]),
    ],
)
def test_options_are_told_from_what_is_given_to_them(command: str, names: list[str]) -> None:
    assert [key for key, _flag, _source in options(command)] == names


def test_an_option_that_a_drop_in_takes_back_is_none(tmp_path: pathlib.Path) -> None:
    override = "[Service]\nEnvironment=\nEnvironmentFile=\n"
    root = units(tmp_path, "26.1.5", a='[Service]\nEnvironment="DOCKER_OPTS=--debug"\n', b=override)
    seen = info.docker(on_host("26.1.5"), [], reader(default="DOCKER_OPTS=--debug\n"), root)
    assert [flag.key for flag in seen.flags] == ["hosts", "containerd"]


IMAGE = "r.example.org:5000/tiny@sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("stderr", "says"),
    [
        (
            "tls: failed to verify certificate: x509: certificate signed by unknown authority",
            "give its certificate as ca",
        ),
        ("x509: certificate is valid for a, not b", "not for it, or not for now"),
        ("unauthorized: authentication required", "does not take the login"),
        ("manifest for tiny@sha256 not found: manifest unknown", "has no such image"),
        ("dial tcp 10.0.0.1:5000: connect: connection refused", "cannot be reached"),
        ("http: server gave HTTP response to HTTPS client", "has no TLS"),
        ("no space left on device", "the engine refused it"),
        (f"error pulling sha256:{'a401b403c404' * 5}0000: dial tcp: i/o timeout", "cannot be reached"),
    ],
)
def test_why_an_image_does_not_come_is_said(stderr: str, says: str) -> None:
    with pytest.raises(HostError, match=says) as caught:
        images.pull(IMAGE, "docker", runner({"docker": (1, "", stderr)}), timeout_s=1)
    assert "r.example.org:5000" in str(caught.value)
    assert stderr in str(caught.value)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ("foreign", "give its certificate as ca"),
        ("login", "does not take the login"),
        ("missing", "has no such image"),
        ("unreachable", "cannot be reached"),
    ],
)
def test_crictl_is_understood(answer: str, says: str) -> None:
    stderr = (RECORDED / f"crio/1.33.0/crictl-pull-{answer}.txt").read_text()
    with pytest.raises(HostError, match=says):
        images.pull(IMAGE, "crio", runner({"crictl": (1, "", stderr)}), timeout_s=1)


def test_without_crictl_it_is_said_where_it_is() -> None:
    with pytest.raises(HostError, match="crictl is not installed, and CRI-O cannot be asked without it"):
        images.pull(IMAGE, "crio", runner({}), timeout_s=1)


@pytest.mark.parametrize("there", [True, False])
def test_crictl_is_asked_which_images_are_there(there: bool) -> None:
    found = images.missing([IMAGE], "crio", runner({"crictl": (0 if there else 1, "", "")}))
    assert found == ([] if there else [IMAGE])


@pytest.mark.parametrize(
    ("image", "registry"),
    [
        (IMAGE, "r.example.org:5000"),
        ("tiny@x", "docker.io"),
        ("library/tiny@x", "docker.io"),
        ("localhost/x", "localhost"),
    ],
)
def test_the_registry_is_told_from_the_name(image: str, registry: str) -> None:
    assert images.registry_of(image) == registry


@pytest.mark.parametrize(
    ("said", "version"),
    [({"podman": "podman version 5.4.2\n"}, "5.4.2"), ({"podman": "who knows\n"}, None), ({}, None)],
)
def test_podman_tells_its_version(said: dict[str, str], version: str | None) -> None:
    assert info.podman(Told(**said), []).version == version


@pytest.mark.parametrize("provider", ["docker", "podman", "containerd", "crio"])
def test_without_an_engine_all_images_are_missing(provider: str) -> None:
    assert images.missing([IMAGE], provider, runner({})) == [IMAGE]
