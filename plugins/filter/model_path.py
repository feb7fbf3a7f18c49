# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter model_path. Its documentation lies next to this file."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ..module_utils._errors import HostError
from ..module_utils._model.paths import model_file, version_folder
from ..plugin_utils._roles.options import convert
from ..plugin_utils._roles.variables import plain, specification

_OPTION = "model_store_artifacts"


def converted(artifacts: t.Any) -> list[dict[str, t.Any]]:
    """Artefacts with the types that the role model_store gives them, since a version is named after them."""
    found = convert({_OPTION: specification("model_store")[_OPTION]}, {_OPTION: plain(artifacts)})
    if found.problems:
        raise AnsibleFilterError(" ".join(found.problems))
    return t.cast("list[dict[str, t.Any]]", found.values[_OPTION])


def model_path(artifacts: t.Any, name: str, file: str | None = None, store: str = "/var/lib/mlops-models") -> str:
    """Absolute path on the host of an artefact's desired version, or of one file of it."""
    items = converted(artifacts)
    try:
        if file is None:
            return version_folder(items, str(name), store=str(store))
        return model_file(items, str(name), store=str(store), file=str(file))
    except HostError as exc:
        raise AnsibleFilterError(f"mlops.hosts.model_path: {exc}.") from exc


class FilterModule:
    """The filter by name."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"model_path": model_path}
