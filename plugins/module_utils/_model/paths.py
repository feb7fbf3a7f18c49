# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Where the files of an artefact are on a host, known from the list of artefacts alone. No host and no hub is asked."""

from __future__ import annotations

import os
import typing as t

from .._errors import HostError
from .desired import DesiredArtifact, parse
from .layout import version_path
from .source import check_path


def version_folder(items: t.Sequence[t.Mapping[str, t.Any]], name: str, *, store: str) -> str:
    """Absolute folder of the desired version of an artefact, as the store makes it.

    ``items`` is the ``artifacts`` option of the module ``model_artifact``. HostError when the artefact is not in it, is
    to be absent, or has no version that is known without asking its hub.
    """
    return _folder(_find(items, name), store)


def model_file(items: t.Sequence[t.Mapping[str, t.Any]], name: str, *, store: str, file: str | None = None) -> str:
    """Absolute path of one file of an artefact. ``file`` may be left out when the artefact is one file."""
    artifact = _find(items, name)
    known = [named.path for named in artifact.files]
    if file is None and len(known) != 1:
        choice = f"one of {', '.join(known)}" if known else f"a file of {artifact.origin.shown}"
        raise HostError(f"the artifact {name} has more than one file, so file is needed: {choice}")
    path = check_path(known[0] if file is None else file, f"the artifact {name}")
    if known and path not in known:
        raise HostError(f"the artifact {name} has no file {path}; it has {', '.join(known)}")
    if not known and not artifact.chooses(path):
        raise HostError(f"the artifact {name} has no file {path}: its include and exclude leave it out")
    return os.path.join(_folder(artifact, store), path)


def _folder(artifact: DesiredArtifact, store: str) -> str:
    if not os.path.isabs(store):
        raise HostError(f"the store must be an absolute path, not {store!r}")
    if not artifact.origin.is_pinned(artifact):
        raise HostError(
            f"the artifact {artifact.name} has revision {artifact.origin.revision!r}, and its folder is named after "
            f"{artifact.origin.REVISION}: write that as revision"
        )
    return version_path(store, artifact.name, artifact.version)


def _find(items: t.Sequence[t.Mapping[str, t.Any]], name: str) -> DesiredArtifact:
    states = {str(item.get("name")): item.get("state") or "present" for item in items}
    found = [item for item in items if str(item.get("name")) == name]
    if len(found) > 1:
        raise HostError(f"the artifact {name} is listed {len(found)} times; give each a name of its own")
    if not found or states[name] == "absent":
        there = [other for other, state in states.items() if state != "absent"]
        what = f"the artifact {name} is to be absent" if found else f"there is no artifact {name}"
        raise HostError(f"{what}; those that are present: {', '.join(there) or 'none'}")
    return parse({**found[0], "state": "present"}, endpoint="", token=None)
