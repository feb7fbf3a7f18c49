# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Where engines have their files and what their units are called: the host reads them, the controller writes them."""

from __future__ import annotations

DOCKER_UNIT = "docker.service"
DAEMON_JSON = "/etc/docker/daemon.json"
CONTAINERD_UNIT = "containerd.service"
CONF = "/etc/containerd"
OURS = f"{CONF}/mlops-hosts"
CERTS = f"{CONF}/certs.d"
CONFIG = f"{CONF}/config.toml"
MAIN = f"{OURS}/config.toml"
SETTINGS = f"{OURS}/settings.toml"


def chain(folder: str, settings: str) -> dict[str, str]:
    """Texts by file name, in which a containerd started with the first one has the settings as the last word: it reads
    files breadth-first, so those that config.toml imports come before what ``last.toml`` does."""
    head = "# Ansible managed\nversion = 2\n"
    return {
        # A pattern, so that containerd starts without the file, too; it is an error for a plain name.
        "config.toml": f'{head}imports = ["{CONF}/con*fig.toml", "{folder}/last.toml"]\n',
        "last.toml": f'{head}imports = ["{folder}/settings.toml"]\n',
        "settings.toml": f"# Ansible managed\n{settings}",
    }
