# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""The models of a server that takes them in itself, such as Ollama: what its unit has noted, and what it lists now.

The digest is that of ``/api/tags``, of which the list for people has the first 12 digits. It is made of all that the
server keeps of a model. It is not that of the file, which Ollama writes anew.
"""

from __future__ import annotations

import json
import os
import re
import stat
import typing as t

from .._http import Fetch, Unreachable

Models = t.Mapping[str, str]

_NOTE = re.compile(r"(\S{1,400}) ([0-9a-f]{12})")
_MOST = 1 << 20
_TIMEOUT_S = 10


def noted(path: str) -> Models | None:
    """Digests by name, of a file with a line for each. None where there is no such file. It is no program of ours that
    wrote it, and its folder may be the server's."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        text = file.read(_MOST).decode("utf-8", "replace")
    lines = [_NOTE.fullmatch(line) for line in text.splitlines()]
    return None if not all(lines) else {line[1]: line[2] for line in lines if line}


def listed(url: str, fetch: Fetch) -> Models | None:
    """The same of the server. None when it does not say."""
    try:
        with fetch(f"{url}/api/tags", timeout_s=_TIMEOUT_S) as answer:
            document = json.loads(answer.body.read(_MOST)) if answer.status == 200 else {}
        return {str(model["name"]): str(model["digest"])[:12] for model in document["models"]}
    except (Unreachable, ValueError, LookupError, TypeError):
        return None


def difference(path: str, url: str, fetch: Fetch) -> tuple[str, str] | None:
    """What the server was given and what it has, in words, where that is not the same. None where it does not say:
    whether it answers is for others to ask."""
    have = listed(url, fetch)
    if have is None:
        return None
    desired = noted(path)
    return None if desired == have else ("not known" if desired is None else _words(desired), _words(have))


def _words(models: Models) -> str:
    return ", ".join(f"{name} {digest}" for name, digest in sorted(models.items())) or "none"
