#!/usr/bin/env python3
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Describe fake packages of Docker's own repository, under their true names, for fake_repository.py.

    fake_docker.py apt debian.13~trixie | fake_repository.py apt DIRECTORY trixie/stable
    fake_docker.py dnf el9              | fake_repository.py dnf DIRECTORY

Names, versions and what conflicts with what are Docker's, as far as they are known. The programs only start those of
Debian, which have to lie in /opt/fake-docker: a real Docker of another version. As those of Docker before June 2026,
docker-ce-cli does not say that it conflicts with Debian's docker-cli; docker-buildx-plugin does not say so of
docker-buildx to this day.
"""

from __future__ import annotations

import json
import pathlib
import sys
from collections.abc import Iterator
from typing import Any

VERSIONS = ("29.2.0", "29.2.1")
SOURCES = pathlib.Path(__file__).resolve().parent / "fake_docker"
HOME = "/opt/fake-docker"
UNITS = "/usr/lib/systemd/system"
PLUGINS = "/usr/libexec/docker/cli-plugins"
GROUP = "getent group docker >/dev/null || groupadd --system docker\n"


def packages(manager: str, suffix: str) -> Iterator[dict[str, Any]]:
    """Each version of the engine, and one of what goes with it."""
    apt = manager == "apt"
    for version in VERSIONS:
        yield _package(
            "docker-ce",
            f"{5 if apt else 3}:{version}-1{'~' if apt else '.'}{suffix}",
            ["dockerd", "docker-proxy"],
            ["docker.service", "docker.socket"],
            depends=["containerd.io", "docker-ce-cli", "iptables"] if apt else ["containerd.io", "docker-ce-cli"],
            conflicts=["docker.io"] if apt else ["docker", "docker-io", "docker-ee"],
            scripts=_scripts(apt, "docker.service docker.socket", GROUP),
        )
        yield _package(
            "docker-ce-cli",
            f"{5 if apt else 1}:{version}-1{'~' if apt else '.'}{suffix}",
            ["docker"],
            conflicts=["docker.io"] if apt else ["docker", "docker-io", "docker-ee", "docker-ee-cli"],
        )
    config = "/etc/containerd/config.toml"
    yield _package(
        "containerd.io",
        f"2.2.1-1{'~' if apt else '.'}{suffix}",
        ["containerd", "containerd-shim-runc-v2", "ctr", "runc"],
        ["containerd.service"],
        {config: 'disabled_plugins = ["cri"]\n'},
        conffiles=[config],
        provides=["containerd", "runc"],
        conflicts=["containerd", "runc"],
        replaces=["containerd", "runc"],
        scripts=_scripts(apt, "containerd.service", ""),
    )
    for name, version in (("buildx", "0.31.1"), ("compose", "5.0.2")):
        path = f"{PLUGINS}/docker-{name}"
        yield _package(
            f"docker-{name}-plugin",
            f"{version}-1{'~' if apt else '.'}{suffix}",
            files={path: f"#!/bin/sh\necho 'a fake of docker {name}' >&2\nexit 1\n"},
            executable=[path],
            conflicts=["docker-compose"] if name == "compose" and apt else [],
        )


def _package(
    name: str,
    version: str,
    programs: list[str] | None = None,
    units: list[str] | None = None,
    files: dict[str, str] | None = None,
    **more: Any,
) -> dict[str, Any]:
    started = {f"/usr/bin/{each}": f'#!/bin/sh\nexec {HOME}/{each} "$@"\n' for each in programs or ()}
    installed = {f"{UNITS}/{each}": (SOURCES / each).read_text() for each in units or ()}
    note = {f"/usr/share/doc/{name}/README.fake": f"A fake of Docker's {name} {version}, for tests.\n"}
    return {
        "name": name,
        "version": version,
        "maintainer": "Docker <tests@example.invalid>",
        "files": {**note, **started, **installed, **(files or {})},
        "executable": list(started),
        **more,
    }


def _scripts(apt: bool, units: str, before: str) -> dict[str, str]:
    """What debhelper and rpm's macros would do: on apt services are enabled and started, on dnf they are not."""
    if not apt:
        stop = f'if [ "$1" = 0 ]; then systemctl --no-reload disable --now {units} >/dev/null 2>&1 || :; fi\n'
        return {"post": f"{before}systemctl daemon-reload\n", "preun": stop}
    head = "#!/bin/sh\nset -e\n"
    return {
        "postinst": f'{head}if [ "$1" = configure ]; then\n{before}'
        f"deb-systemd-helper enable {units} >/dev/null\nsystemctl --system daemon-reload\n"
        f"deb-systemd-invoke restart {units} >/dev/null || true\nfi\n",
        "prerm": f'{head}if [ "$1" = remove ]; then\ndeb-systemd-invoke stop {units} >/dev/null || true\nfi\n',
        "postrm": f'{head}if [ "$1" = remove ]; then systemctl --system daemon-reload; fi\n',
    }


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in ("apt", "dnf"):
        raise SystemExit(__doc__)
    json.dump(list(packages(*sys.argv[1:])), sys.stdout)
