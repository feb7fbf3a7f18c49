# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What SSH to a test host needs: a key made on the spot, a port, and the first files in the host."""

from __future__ import annotations

import io
import random
import socket
import subprocess
import tarfile
from collections.abc import Collection, Mapping

from tools.hosts.docker_engine import BUILD, Problem, need, only_one
from tools.hosts.image import USER

SSH_DIR = BUILD / "ssh"
PRIVATE_KEY = SSH_DIR / "id_ed25519"


def public_key() -> str:
    """The public half of the key for all test hosts, which is made when it is missing."""
    with only_one("ssh-key"):
        if not PRIVATE_KEY.exists():
            need({"ssh-keygen": "openssh-client"})
            SSH_DIR.mkdir(parents=True, exist_ok=True, mode=0o700)
            argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "mlops.hosts tests", "-f", str(PRIVATE_KEY)]
            subprocess.run(argv, check=True)
        return PRIVATE_KEY.with_suffix(".pub").read_text()


def free_port(taken: Collection[int] = ()) -> int:
    """A port on 127.0.0.1 for the host's sshd. ``taken``: those of other hosts, which an engine without its proxy
    forwards and nobody binds."""
    # Chosen here and not by Docker, so that it stays when the container is started again; below the range that the
    # kernel takes for outgoing connections.
    for _ in range(200):
        port = random.randint(20000, 32000)
        if port in taken:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise Problem("no free port was found between 20000 and 32000 on 127.0.0.1")


def greets(port: int) -> bool:
    """Whether sshd answers. Docker itself takes the connection before sshd runs, so only the greeting counts."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def archive(files: Mapping[str, str]) -> bytes:
    """The files packed for a host that does not run yet; those below /home belong to its user."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for path, text in files.items():
            # The first user of a fresh Debian; sshd wants the key's file to be theirs.
            owner = 1000 if path.startswith("home/") else 0
            for folder in [f"home/{USER}/.ssh"] if owner else []:
                entry = tarfile.TarInfo(folder)
                entry.type, entry.mode, entry.uid, entry.gid = tarfile.DIRTYPE, 0o700, owner, owner
                tar.addfile(entry)
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode, entry.uid, entry.gid = len(text.encode()), 0o644, owner, owner
            tar.addfile(entry, io.BytesIO(text.encode()))
    return packed.getvalue()
