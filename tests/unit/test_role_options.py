# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every option of every role, nested ones included, with each form that extra vars, surveys and YAML bring.

Each is converted to the type of the specification, or refused with the name of the option, what is desired and an
example. And no role reads a variable past the conversion.
"""

from __future__ import annotations

import dataclasses
import json
import pathlib
import re
import typing as t

import jinja2
import pytest
import yaml
from ansible.errors import AnsibleError
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible_collections.mlops.hosts.plugins.lookup import role_options
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.options import convert, misspelt
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.variables import borrow, read, specification

ROOT = pathlib.Path(__file__).resolve().parents[2]
ROLES = sorted(path.name for path in (ROOT / "roles").iterdir())
TRUE, FALSE = ("true", "True", "yes", "on", "1", 1, True), ("false", "False", "no", "off", "0", 0, False)


@dataclasses.dataclass(frozen=True)
class Place:
    """An option, the specification that it is in, and the options that it is nested in."""

    role: str
    path: tuple[str, ...]

    @property
    def chain(self) -> list[dict[str, t.Any]]:
        found, options = [], specification(self.role)
        for name in self.path:
            found.append(options[name])
            options = options[name].get("options", {})
        return found

    @property
    def option(self) -> dict[str, t.Any]:
        return self.chain[-1]

    def converted(self, value: t.Any) -> t.Any:
        """The value as the role gets it. It must have no problem."""
        result = convert(specification(self.role), {self.path[0]: self._around(value)})
        assert not result.problems
        found = result.values[self.path[0]]
        for outer, name in zip(self.chain, self.path[1:], strict=False):
            found = (found[0] if outer["type"] == "list" else found)[name]
        return found

    def refusal(self, value: t.Any) -> str:
        (problem,) = convert(specification(self.role), {self.path[0]: self._around(value)}).problems
        return problem

    def _around(self, value: t.Any) -> t.Any:
        chain = self.chain
        for outer, name in zip(reversed(chain[:-1]), reversed(self.path[1:]), strict=True):
            needed = {key: sample(option) for key, option in outer["options"].items() if option.get("required")}
            value = {**needed, name: value}
            value = [value] if outer["type"] == "list" else value
        return value


def sample(option: dict[str, t.Any]) -> t.Any:
    """A value that is right."""
    if option["type"] == "list":
        chosen = {"choices": option["choices"]} if "choices" in option else {}
        return [sample({"type": option["elements"], "options": option.get("options", {}), **chosen})]
    if option["type"] == "dict":
        return {name: sample(o) for name, o in option.get("options", {}).items() if o.get("required")}
    if "choices" in option:
        return option["choices"][-1]
    return {"bool": True, "int": 7, "float": 7.5}.get(option["type"], "/a")


def places() -> t.Iterator[Place]:
    def below(role: str, path: tuple[str, ...], options: dict[str, t.Any]) -> t.Iterator[Place]:
        for name, option in options.items():
            yield Place(role, (*path, name))
            yield from below(role, (*path, name), option.get("options", {}))

    for role in ROLES:
        yield from below(role, (), specification(role))


def of(*types: str) -> t.Any:
    chosen = [place for place in places() if place.option["type"] in types]
    return pytest.mark.parametrize("place", chosen, ids=lambda place: ".".join(place.path))


def assert_refused(place: Place, value: t.Any) -> None:
    problem = place.refusal(value)
    assert problem.startswith(place.path[0]) and f"{place.path[-1]}" in problem.partition(" must be ")[0]
    assert re.search(r" must be .*; for example: \w+: .+\.$", problem)


def test_every_type_is_known() -> None:
    assert {place.option["type"] for place in places()} <= {"bool", "int", "float", "str", "path", "list", "dict"}


@of("bool")
def test_booleans(place: Place) -> None:
    for value in TRUE:
        assert place.converted(value) is True
    for value in FALSE:
        assert place.converted(value) is False
    for value in ("maybe", "", "2", 2, [], {}):
        assert_refused(place, value)


@of("int", "float")
def test_numbers(place: Place) -> None:
    for value in (24, "24", " 24 ", 24.0):
        converted = place.converted(value)
        assert converted == 24 and type(converted) is int
    if place.option["type"] == "float":
        assert place.converted("24.5") == 24.5
    for value in ("24x", "", "1_000", "0x18", True, "24.5.1", [24], {}, float("inf"), "٢٤"):
        assert_refused(place, value)


@of("str", "path")
def test_text(place: Place) -> None:
    choices = place.option.get("choices")
    text = next(str(choice) for choice in reversed(choices) if choice) if choices else "a,b: [c"
    assert place.converted(text) == text
    if choices:
        problem = place.refusal("neither")
        assert all(str(choice) in problem for choice in choices)
    elif place.path[-1].endswith("mode"):
        assert_refused(place, 0o440)  # what YAML makes of 0440
    else:
        assert place.converted(580) == "580"
    # What YAML makes of yes and of 12.10.
    for value in (True, 12.1, [text], {text: text}):
        assert_refused(place, value)


@of("list")
def test_lists(place: Place) -> None:
    right = place.converted(sample(place.option))
    for text in (json.dumps(right), yaml.safe_dump(right)):
        assert place.converted(text) == right
    assert place.converted(right[0]) == right
    assert place.converted("") == []
    if place.option["elements"] == "dict":
        for value in ("a", "a,b", "[a", 5):
            if value == 5:
                assert "must be a dictionary" in place.refusal(value)
            else:
                assert_refused(place, value)
    else:
        assert place.converted(str(right[0])) == right  # one word is one item, and not its letters
        for value in ("a,b", "a\nb"):
            assert_refused(place, value)
    assert "is empty" in place.refusal([None])


@of("dict")
def test_dictionaries(place: Place) -> None:
    right = place.converted(sample(place.option))
    for text in (json.dumps(right), yaml.safe_dump(right)):
        assert place.converted(text) == right
    for value in ("a", "a=b", "[a]", "{a", ["a"], 5, True):
        assert_refused(place, value)
    if place.option.get("options"):
        assert "has no option neither" in place.refusal({**right, "neither": 1})


@pytest.mark.parametrize("place", [p for p in places() if p.option.get("required")], ids=lambda p: ".".join(p.path))
def test_what_is_required_is_missed(place: Place) -> None:
    assert f"{place.path[-1]} is required; for example: " in place.refusal(None)


@pytest.mark.parametrize("place", [p for p in places() if p.option.get("no_log")], ids=lambda p: ".".join(p.path))
def test_a_secret_is_not_in_a_message(place: Place) -> None:
    assert "12.25" not in place.refusal(12.25)


def test_all_problems_are_said_at_once() -> None:
    spec = {"a_x": {"type": "int"}, "a_y": {"type": "bool"}, "a_z": {"type": "str", "required": True}}
    assert len(convert(spec, {"a_x": "x", "a_y": "y?"}).problems) == 3


def test_null_is_the_default() -> None:
    spec = {"a_x": {"type": "int", "default": 5}, "a_y": {"type": "list", "elements": "dict", "options": {"n": {}}}}
    assert convert(spec, {"a_x": None, "a_y": [{"n": None}]}).values == {"a_x": 5, "a_y": [{}]}


def test_a_misspelt_option_of_an_option_is_named() -> None:
    spec = {"a_x": {"type": "dict", "options": {"timeout_s": {"type": "int"}}}}
    assert convert(spec, {"a_x": {"timeout": 1}}).problems == (
        "a_x has no option timeout; did you mean timeout_s? It can have timeout_s.",
    )


def test_an_item_is_named_by_its_name() -> None:
    spec = {"a_x": {"type": "list", "elements": "dict", "options": {"name": {"type": "str"}, "p": {"type": "int"}}}}
    (problem,) = convert(spec, {"a_x": [{"name": "chat", "p": "x"}]}).problems
    assert problem == "a_x[chat].p must be a whole number, not 'x'; for example: p: 8."


def test_a_misspelt_variable_is_noticed() -> None:
    names = ["model_store_artefacts", "model_store_paths", "model_server_artefacts", "model_store_nfs_export"]
    assert misspelt("model_store", specification("model_store"), names) == {
        "model_store_artefacts": "model_store_artifacts"
    }


# The lookup


def options(role: str, variables: dict[str, t.Any], **keywords: t.Any) -> t.Any:
    """What a role reads, with the variables of a host as templates."""
    defaults = yaml.safe_load((ROOT / "roles" / role / "defaults/main.yml").read_text())
    there = {name: trusted(value) for name, value in {**defaults, **variables}.items()}
    templar = Templar(loader=DataLoader(), variables=there)
    lookup = role_options.LookupModule(loader=DataLoader(), templar=templar)
    lookup.get_option = lambda name: keywords.get(name, False)
    lookup.set_options = lambda **_options: None
    (found,) = lookup.run([role], there)
    return found


def trusted(value: t.Any) -> t.Any:
    try:
        from ansible.template import trust_as_template
    except ImportError:  # ansible-core 2.18
        return value
    return trust_as_template(value) if isinstance(value, str) else value


def test_a_role_reads_converted_values_without_its_own_name_in_front() -> None:
    found = options("model_store", {"model_store_purge": "false", "model_store_keep": "{{ 1 + 1 }}"})
    assert found["purge"] is False and found["keep"] == 2


def test_a_default_that_names_another_option_is_evaluated() -> None:
    found = options("model_store", {"model_store_user": "models", "model_store_group": None})
    assert found["group"] == "models"


def test_a_variable_that_cannot_be_evaluated_is_named() -> None:
    variables = {"model_store_artifacts": "{{ nowhere }}"}
    (problem,) = options("model_store", variables, problems=True)
    assert problem.startswith("model_store_artifacts cannot be evaluated: ")
    with pytest.raises(AnsibleError, match="model_store_artifacts cannot be evaluated"):
        options("model_store", variables)


@pytest.mark.parametrize("role", [role for role in ROLES if f"{role}_state" in specification(role)])
def test_to_be_absent_needs_no_list_and_no_dictionary(role: str) -> None:
    spec = specification(role)
    plural = [name for name, option in spec.items() if option["type"] in ("list", "dict")]
    # A default that is a template is not evaluated: nothing reads it.
    plural = [name for name in plural if not isinstance(spec[name]["default"], str)]
    found = options(role, {f"{role}_state": "absent", **dict.fromkeys(plural, "{{ nowhere }}")})
    assert found["state"] == "absent"
    assert {name: found[name[len(role) + 1 :]] for name in plural} == {name: spec[name]["default"] for name in plural}


def test_what_is_removed_is_never_a_default_in_the_place_of_what_was_meant() -> None:
    assert "dir" not in options("model_store", {"model_store_state": "absent", "model_store_dir": "{{ nowhere }}"})


def test_an_option_that_is_read_although_it_cannot_be_evaluated_is_an_error_that_names_it() -> None:
    there = {"model_server_state": "absent", "model_server_scope": trusted("{{ nowhere }}")}
    found = read("model_server", there, Templar(loader=DataLoader(), variables=there).template)
    assert not found.problems and "scope" not in found.options
    with pytest.raises(AnsibleError, match="^model_server_scope cannot be evaluated: "):
        found.options["scope"]
    with pytest.raises(KeyError):
        found.options["no_option"]


# Options of another role


def borrowed(variables: dict[str, t.Any], own: t.Any = None) -> t.Any:
    there = {name: trusted(value) for name, value in variables.items()}
    templar = Templar(loader=DataLoader(), variables=there)
    return borrow("model_server", "artifacts", own, "model_store", there, templar.template)


HUB = {"name": "chat", "source": "hf://acme/chat"}


@pytest.mark.parametrize(
    ("own", "variables", "value"),
    [
        pytest.param(None, {"model_store_artifacts": [{**HUB, "include": "*.gguf"}]}, "*.gguf", id="converted"),
        pytest.param([{**HUB, "include": "x"}], {"model_store_artifacts": "{{ nowhere }}"}, "x", id="its-own-first"),
    ],
)
def test_an_option_of_another_role_has_the_form_that_it_has_there(
    own: t.Any, variables: dict[str, t.Any], value: str
) -> None:
    assert borrowed(variables, own) == ([{**HUB, "include": [value]}], ())


@pytest.mark.parametrize("variables", [{}, {"model_store_artifacts": None}, {"model_store_artifacts": []}])
def test_an_option_of_another_role_need_not_be_there(variables: dict[str, t.Any]) -> None:
    assert borrowed(variables) == ([], ())


@pytest.mark.parametrize(
    ("own", "words"),
    [
        pytest.param(None, "model_store_artifacts cannot be evaluated: ", id="not-evaluated"),
        pytest.param([{**HUB, "includes": []}], "model_server_artifacts[chat] has no option includes", id="its-own"),
    ],
)
def test_an_option_of_another_role_that_is_wrong_is_named_where_it_is_written(own: t.Any, words: str) -> None:
    _value, problems = borrowed({"model_store_artifacts": "{{ nowhere }}"}, own)
    assert len(problems) == 1 and problems[0].startswith(words)


# The roles


def expressions(value: t.Any, key: str = "") -> t.Iterator[str]:
    """Templates and conditions in a task file."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from expressions(item, str(name))
    elif isinstance(value, list):
        for item in value:
            yield from expressions(item, key)
    elif isinstance(value, str):
        bare = key in ("when", "that", "changed_when", "failed_when", "until")
        yield f"{{{{ {value} }}}}" if bare and "{{" not in value else value


@pytest.mark.parametrize("role", ROLES)
def test_no_role_reads_a_variable_past_the_conversion(role: str) -> None:
    environment = jinja2.Environment()
    known, unknown = specification(role), set()
    files = [
        path for folder in ("tasks", "vars", "handlers") for path in (ROOT / "roles" / role).glob(f"{folder}/*.yml")
    ]
    texts = [text for path in files for text in expressions(yaml.safe_load(path.read_text()))]
    texts += [path.read_text() for path in (ROOT / "roles" / role).glob("templates/*")]
    read: set[str] = set()
    for text in texts:
        text = text.replace("\\", "/")  # Ansible keeps an escape that Jinja alone would complain of
        tree = environment.parse(re.sub(r"\|\s*(mlops|ansible)\.(\w+)\.(\w+)", r"| \1_\2_\3", text))
        unknown |= {node.name for node in tree.find_all(jinja2.nodes.Name)} & known.keys()
        for node in tree.find_all(jinja2.nodes.Getattr):
            if isinstance(node.node, jinja2.nodes.Name) and node.node.name == f"__{role}_options":
                read.add(f"{role}_{node.attr}")
    assert not unknown
    assert read <= known.keys()
