# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""The operator's key, which signs the repositories of a bundle."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import typing as t

from .._component import openpgp
from .._errors import HostError
from .._runner import NOT_FOUND, Completed, Runner, must

_TIMEOUT_S = 300
_USER = "mlops.hosts bundle"


class Signer:
    """A key that was read. ``public`` is ASCII-armoured."""

    def __init__(self, home: str, run: Runner) -> None:
        self._home = home
        self._run = run
        self.public = must(self._gpg("--armor", "--export"), "the signing key cannot be read").stdout
        self.fingerprint = openpgp.fingerprint(self.public, "the signing key").upper()

    def sign(self, text: str, *, detached: bool = False) -> bytes:
        """The text, signed as a Release file is, or its signature alone, ASCII-armoured."""
        how = ("--armor", "--detach-sign") if detached else ("--clearsign",)
        said = self._gpg("--local-user", self.fingerprint, *how, "--output", "-", stdin=text)
        why = "has it a passphrase? A key that signs a bundle must have none" if said.rc else None
        return must(said, "the package lists cannot be signed", why=why and f"{said.last_words}; {why}").stdout.encode()

    def _gpg(self, *argv: str, stdin: str | None = None) -> Completed:
        return _gpg(self._run, self._home, *argv, stdin=stdin)


@contextlib.contextmanager
def signer(path: str, run: Runner) -> t.Iterator[Signer]:
    """The key in a file; a new one where there is no file. It is in no keyring of a user."""
    home = tempfile.mkdtemp(prefix="mlops-bundle-")
    try:
        if os.path.exists(path):
            must(_gpg(run, home, "--import", path), f"{path} cannot be read as an OpenPGP key")
            if not _gpg(run, home, "--with-colons", "--list-secret-keys").stdout.strip():
                raise HostError(f"{path} has no secret key; export one with gpg --armor --export-secret-keys")
        else:
            _make(path, home, run)
        yield Signer(home, run)
    finally:
        run("gpgconf", "--homedir", home, "--kill", "all", timeout_s=60)
        shutil.rmtree(home, ignore_errors=True)


def _make(path: str, home: str, run: Runner) -> None:
    made = _gpg(run, home, "--passphrase", "", "--quick-generate-key", _USER, "rsa3072", "sign", "never")
    if made.rc == NOT_FOUND:
        raise HostError("gpg must be installed, and is not; install the package gnupg")
    must(made, "a signing key cannot be made")
    secret = must(_gpg(run, home, "--armor", "--export-secret-keys"), "the signing key cannot be written").stdout
    os.makedirs(os.path.dirname(path), exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as out:
        out.write(secret)


def _gpg(run: Runner, home: str, *argv: str, stdin: str | None = None) -> Completed:
    start = ("gpg", "--homedir", home, "--batch", "--yes", "--pinentry-mode", "loopback")
    return run(*start, *argv, timeout_s=_TIMEOUT_S, stdin=stdin)
