# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Makes the survey of a job template of AWX from the options of roles, so that a form asks for what a role takes.

An answer is an extra variable: it counts for all hosts of a job, over the inventory. AWX sends a text that was left
blank as an empty one, which as a list would be no model servers at all, and sends the default of a question that
nobody was shown. So a question has to be answered, unless its answer was filled in on purpose.
"""

from __future__ import annotations

import re
import typing as t

import yaml

from .._roles.options import Spec, example

Option = t.Mapping[str, t.Any]
Question = dict[str, t.Any]

# What AWX's form would limit to 1024 characters.
_LONGEST = {"text": 4096, "password": 4096, "textarea": 131072}
_NUMBERS = {"int": "integer", "float": "float"}
_MARKUP = re.compile(r"\b([A-Z])\(((?:\\.|[^\\()]|\([^()]*\))*)\)")
_BOOLEANS = ["true", "false"]


class Refused(Exception):
    """What cannot be asked for by a survey, in a sentence."""


def survey(spec: Spec, names: t.Sequence[str], *, name: str, description: str, defaults: bool) -> dict[str, t.Any]:
    """As AWX keeps it, in the order of ``names``.

    ``spec`` is ``argument_specs.main.options`` of the roles whose options these are. With ``defaults`` the defaults of
    the options are filled in.
    """
    if unknown := [one for one in names if one not in spec]:
        raise Refused(f"No role has the option {', '.join(unknown)}.")
    questions = [_question(one, spec[one], defaults) for one in names]
    return {"name": name, "description": description, "spec": questions}


def _question(name: str, option: Option, defaults: bool) -> Question:
    kind = _type(option)
    if kind == "textarea" and option.get("no_log"):
        raise Refused(f"{name} is secret and no line of text: give it by a credential.")
    default = _default(kind, option) if defaults and not option.get("no_log") else None
    question: Question = {
        "variable": name,
        "question_name": name,
        "question_description": _help(kind, option),
        "type": kind,
        "required": bool(option.get("required")) or default is None,
    }
    if kind in _LONGEST:
        question.update(min=1, max=_LONGEST[kind])
    if kind in ("multiplechoice", "multiselect"):
        question["choices"] = _choices(option)
    if default is not None:
        question["default"] = default
    return question


def _type(option: Option) -> str:
    kind = option.get("type", "str")
    if kind in ("list", "dict", "raw"):
        return "multiselect" if _choices(option) else "textarea"
    if option.get("no_log"):
        return "password"
    return "multiplechoice" if _choices(option) else _NUMBERS.get(kind, "text")


def _choices(option: Option) -> list[str]:
    if option.get("type") == "bool":
        return _BOOLEANS
    # AWX has no choice that is empty.
    return [str(choice) for choice in option.get("choices") or () if str(choice)]


def _default(kind: str, option: Option) -> t.Any:
    """What is filled in; None where that is nothing, or is known on a host only."""
    default = option.get("default")
    if default in (None, "", [], {}) or (isinstance(default, str) and "{{" in default):
        return None
    if isinstance(default, bool):
        return _BOOLEANS[not default]
    if kind == "multiselect":
        return "\n".join(str(item) for item in default)
    if kind == "textarea":
        return yaml.safe_dump(default, sort_keys=False)
    return str(default) if kind in ("text", "multiplechoice") else default


def _help(kind: str, option: Option) -> str:
    described = option.get("description", "")
    sentences = [_plain(one) for one in ([described] if isinstance(described, str) else described)]
    if kind == "textarea":
        sentences.append(f"YAML or JSON, for example {example(option)}.")
    default = option.get("default")
    if default is not None and not option.get("no_log"):
        sentences.append(f"The role's default: {_shown(default)}.")
    if secrets := sorted(set(_secrets(option.get("options") or {}))):
        sentences.append(
            f"Who may see the job sees the answer: leave out {', '.join(secrets)}, and give secrets by a credential."
        )
    return " ".join(filter(None, sentences))


def _shown(default: t.Any) -> str:
    if isinstance(default, str):
        return default or "empty"
    text: str = yaml.safe_dump(default, default_flow_style=True)
    return text.strip().removesuffix("...").strip()


def _secrets(options: Spec) -> t.Iterator[str]:
    for name, option in options.items():
        if option.get("no_log"):
            yield name
        yield from _secrets(option.get("options") or {})


def _plain(text: str) -> str:
    """A description without the markup of Ansible's documentation."""

    def unmarked(match: re.Match[str]) -> str:
        kind, what = match[1], re.sub(r"\\(.)", r"\1", match[2])
        if kind in "MP":
            return what.partition("#")[0]
        if kind == "L":
            title, link = what.rsplit(",", 1) if "," in what else ("", what)
            return f"{title.strip()} ({link.strip()})"
        return what if kind in "BCEIORUV" else match[0]

    return _MARKUP.sub(unmarked, " ".join(text.split()))
