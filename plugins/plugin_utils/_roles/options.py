# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Gives the options of a role the types of its ``argument_specs``, or says in a sentence why that is not possible.

Extra vars and the surveys of AWX bring text, an inventory in INI brings text or Python, and YAML makes numbers and
booleans of words that were meant as text. Ansible checks the arguments of a role against its specification and hands
them on as they came. What is read here has one meaning, or it is refused: nothing is guessed.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import re
import typing as t

import yaml

Spec = t.Mapping[str, t.Mapping[str, t.Any]]
T = t.TypeVar("T")

_TRUE = ("true", "yes", "on", "1", "y", "t")
_FALSE = ("false", "no", "off", "0", "n", "f")
_SHOWN = 60  # characters of a value in a message


@dataclasses.dataclass(frozen=True)
class Converted:
    """``values`` by option, with the types of the specification; ``problems`` are sentences, all of them at once."""

    values: dict[str, t.Any]
    problems: tuple[str, ...]


class _Invalid(Exception):
    """What is desired in the place of a value."""


def convert(spec: Spec, values: t.Mapping[str, t.Any]) -> Converted:
    """Options of a role with the types that ``spec`` gives them.

    ``spec`` is ``argument_specs.main.options`` of the role, ``values`` are the role's variables, templated. A value
    that is null counts as not given: the option's default, or null where it has none.
    """
    problems: list[str] = []
    converted: dict[str, t.Any] = {}
    for name, option in spec.items():
        value = values.get(name)
        if value is None:
            value = option.get("default")
        if value is None and option.get("required"):
            problems.append(f"{name} is required; for example: {name}: {example(option)}.")
        converted[name] = None if value is None else _value(name, option, value, problems)
    return Converted(converted, tuple(problems))


def misspelt(role: str, spec: Spec, names: t.Iterable[str]) -> dict[str, str]:
    """Variables that begin with the name of the role and are almost the name of an option, with that name."""
    found = {}
    for name in names:
        if name.startswith(f"{role}_") and name not in spec:
            near = difflib.get_close_matches(name[len(role) :], [option[len(role) :] for option in spec], 1, 0.85)
            if near:
                found[name] = f"{role}{near[0]}"
    return found


def _value(where: str, option: t.Mapping[str, t.Any], value: t.Any, problems: list[str]) -> t.Any:
    kind = option.get("type", "str")
    try:
        if kind == "list":
            return _items(where, option, _list(option, value), problems)
        if kind == "dict":
            return _entries(where, option, _dict(value), problems)
        converted = _SCALARS[kind](option, value) if kind in _SCALARS else value
        if option.get("choices") and converted not in option["choices"]:
            raise _Invalid(f"one of {', '.join(str(choice) or 'the empty text' for choice in option['choices'])}")
    except _Invalid as desired:
        found = "" if option.get("no_log") else f", not {_shown(value)}"
        problems.append(f"{where} must be {desired}{found}; for example: {_name(where)}: {example(option)}.")
        return None
    return converted


def _items(where: str, option: t.Mapping[str, t.Any], items: list[t.Any], problems: list[str]) -> list[t.Any]:
    element = {
        "type": option.get("elements", "raw"),
        **{k: option[k] for k in ("options", "choices", "no_log") if k in option},
    }
    converted = []
    for place, item in enumerate(items):
        name = item.get("name") if isinstance(item, dict) else None
        at = f"{where}[{name if isinstance(name, str) and name else place}]"
        if item is None:
            problems.append(f"{at} is empty; remove it, or give it a value.")
        else:
            converted.append(_value(at, element, item, problems))
    return converted


def _entries(
    where: str, option: t.Mapping[str, t.Any], entries: dict[str, t.Any], problems: list[str]
) -> dict[str, t.Any]:
    options: Spec | None = option.get("options")
    if options is None:
        return entries
    converted = {}
    for name, value in entries.items():
        if name not in options:
            near = difflib.get_close_matches(str(name), options, 1)
            hint = f"did you mean {near[0]}? It" if near else "it"
            problems.append(f"{where} has no option {name}; {hint} can have {', '.join(options)}.")
        elif value is not None:
            converted[name] = _value(f"{where}.{name}", options[name], value, problems)
    for name, nested in options.items():
        if nested.get("required") and entries.get(name) is None:
            problems.append(f"{where}.{name} is required; for example: {name}: {example(nested)}.")
    return converted


def _bool(_option: t.Mapping[str, t.Any], value: t.Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, (int, float)) and value in (0, 1):
        return bool(value)
    if isinstance(value, str) and value.strip().lower() in (*_TRUE, *_FALSE):
        return value.strip().lower() in _TRUE
    raise _Invalid("true or false")


def _int(_option: t.Mapping[str, t.Any], value: t.Any) -> int:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    # Not int() alone, which reads 1_000 and digits of other scripts.
    if isinstance(value, str) and re.fullmatch(r"[+-]?[0-9]+", value.strip()):
        return int(value)
    raise _Invalid("a whole number")


def _float(_option: t.Mapping[str, t.Any], value: t.Any) -> float:
    if isinstance(value, str) and re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)", value.strip()):
        value = float(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
        # 300, "300" and 300.0 are written to a host as one.
        return int(value) if value == int(value) else value
    raise _Invalid("a number")


def _str(option: t.Mapping[str, t.Any], value: t.Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        raise _Invalid("text in quotes, since YAML reads yes, no, on and off as true and false")
    if isinstance(value, float):
        raise _Invalid("text in quotes, since YAML drops zeros at the end of a number")
    if isinstance(value, int):
        default = option.get("default")
        # YAML reads 0440 as 288.
        if isinstance(default, str) and default.isdigit() and str(int(default)) != default:
            raise _Invalid("text in quotes, since YAML reads digits after a zero as an octal number")
        return str(value)
    raise _Invalid("text")


def _list(option: t.Mapping[str, t.Any], value: t.Any) -> list[t.Any]:
    if isinstance(value, list):
        return value
    if isinstance(value, str):
        data = _data(value)
        if isinstance(data, list):
            return data
        if not value.strip():
            return []
        if option.get("elements") == "dict":
            if isinstance(data, dict):
                return [data]
            raise _Invalid("a list of dictionaries, or such a list as YAML or JSON text")
        if re.search(r"[,\n]", value.strip()):
            # Two readings: one item that holds a comma, or several.
            raise _Invalid("a list, or a list as YAML or JSON text")
    return [value]


def _dict(value: t.Any) -> dict[str, t.Any]:
    data = _data(value) if isinstance(value, str) else value
    if isinstance(data, dict):
        return data
    if isinstance(value, str) and not value.strip():
        return {}
    raise _Invalid("a dictionary, or a dictionary as YAML or JSON text")


_SCALARS: dict[str, t.Callable[[t.Mapping[str, t.Any], t.Any], t.Any]] = {
    "bool": _bool,
    "int": _int,
    "float": _float,
    "str": _str,
    "path": _str,
}


def _data(text: str) -> t.Any:
    """What YAML reads in a text; JSON is YAML. The text itself where it is none."""
    try:
        return yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError:
        return text


def _name(where: str) -> str:
    return where.rpartition(".")[2].partition("[")[0]


def _shown(value: t.Any) -> str:
    if isinstance(value, (list, dict)):
        return "a list" if isinstance(value, list) else "a dictionary"
    text = repr(value)
    if isinstance(value, str) and (len(text) > _SHOWN or "\n" in value):
        return f"text of {len(value)} characters"
    return text if isinstance(value, str) else f"{text} ({type(value).__name__})"


def example(option: t.Mapping[str, t.Any]) -> str:
    """A value that the option takes, as YAML in a flow."""
    kind = option.get("type", "str")
    default = option.get("default")
    if kind == "list":
        element = {
            "type": option.get("elements", "str"),
            **({"options": option["options"]} if "options" in option else {}),
        }
        return f"[{example(element)}]"
    if kind == "dict":
        options: Spec = option.get("options") or {"key": {"type": "str"}}
        needed = [name for name in options if options[name].get("required")] or list(options)[:1]
        return "{" + ", ".join(f"{name}: {example(options[name])}" for name in needed) + "}"
    if option.get("choices"):
        return next(str(choice) for choice in option["choices"] if str(choice))
    if kind == "bool":
        return "true"
    if kind in ("int", "float"):
        return str(default if default is not None else 8)
    return f'"{default}"' if isinstance(default, str) and default and "{" not in default else '"text"'
