# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""CDI specifications, read as container engines read them: with CDI's own Go library, whose YAML is that of libyaml."""

from __future__ import annotations

import re
import typing as t

import yaml

from ...module_utils._cdi.spec import Spec, SpecError, of

_TAG = "tag:yaml.org,2002:"
__all__ = ["Spec", "SpecError", "parse"]


def parse(path: str, text: str) -> Spec:
    """SpecError for a text that engines pass over, or that has another shape than CDI's."""
    return of(path, _load(text))


# libyaml's, of which Go's is a translation, takes tabs between the parts of JSON; the one in Python does not.
class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # to mypy it is Any
    """A key that is there twice is an error, also where a merge brings it. All scalars but null are text: 0:1 is a MIG
    device, and to YAML 1.1 a number."""

    yaml_implicit_resolvers: t.ClassVar[dict[str, t.Any]] = {}
    yaml_constructors: t.ClassVar[dict[str | None, t.Any]] = {
        None: yaml.SafeLoader.construct_scalar,
        **{f"{_TAG}{name}": yaml.SafeLoader.yaml_constructors[f"{_TAG}{name}"] for name in ("null", "seq", "map")},
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[str, t.Any]:
        self.flatten_mapping(node)
        seen: set[str] = set()
        for key, _value in node.value:
            problem = "a key is no text" if not isinstance(key, yaml.ScalarNode) else f"{key.value} is there twice"
            if not isinstance(key, yaml.ScalarNode) or key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            seen.add(key.value)
        return t.cast("dict[str, t.Any]", super().construct_mapping(node, deep))


_Loader.add_implicit_resolver(f"{_TAG}merge", re.compile(r"<<$"), ["<"])
_Loader.add_implicit_resolver(f"{_TAG}null", re.compile(r"(~|null|Null|NULL)?$"), ["~", "n", "N", ""])


def _load(text: str) -> t.Any:
    """The first document, which is all that engines read."""
    try:
        loader = _Loader(text)
        return loader.get_data() if loader.check_data() else None
    except (yaml.YAMLError, RecursionError) as exc:
        mark = getattr(exc, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        problem = getattr(exc, "problem", None) or " ".join(str(exc).split())
        raise SpecError(f"it is not valid YAML: {where}{problem}") from exc
