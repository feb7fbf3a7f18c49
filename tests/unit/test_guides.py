# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What pages tell people to type, to write and to look for is there: commands, variables, files, sentences."""

from __future__ import annotations

import ast
import functools
import pathlib
import re
import shlex
import typing as t

import pytest
import yaml

from tools.docs import pages

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGES = pages.pages(ROOT)
GUIDES = [name for name in PAGES if name != "docs/reliability.md"]
_BLOCK = re.compile(r"^ *```(console|bash|yaml)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
# Programs that a reader has, with what follows them taken as it is.
SYSTEM = {
    "apt-cache",
    "cd",
    "chromium",
    "curl",
    "docker",
    "export",
    "openssl",
    "pip",
    "podman",
    "read",
    "sha256sum",
    "ssh",
    "uv",
}
ANSIBLE = {"ansible-builder", "ansible-galaxy"}
# Variables of playbooks, which no role has, and of tasks that playbooks include.
_IN_PLAYBOOKS = re.compile(r"\b[a-z][a-z0-9]*(?:_[a-z0-9]+)+\b")
PLACEHOLDER = "…"


def blocks(text: str, *languages: str) -> list[str]:
    return [found[2] for found in _BLOCK.finditer(text) if found[1] in languages]


def commands(text: str) -> list[list[str]]:
    """The words of each command of a page: lines after a prompt, with those that they go on in, without comments."""
    found = []
    for block in blocks(text, "console", "bash"):
        joined = re.sub(r"\\\n\s*(?:> )?", "", block)
        lines = [line[2:] for line in joined.splitlines() if line.startswith("$ ")]
        if not lines:
            continue
        for line in lines:
            words = shlex.split(line, comments=True)
            while words:
                end = next((place for place, word in enumerate(words) if word in ("&&", "|", ";")), len(words))
                found.append(words[:end])
                words = words[end + 1 :]
    return found


@functools.cache
def options() -> frozenset[str]:
    """Of all roles."""
    found: set[str] = set()
    for path in ROOT.glob("roles/*/meta/argument_specs.yml"):
        for entry in yaml.safe_load(path.read_text())["argument_specs"].values():
            found.update(entry.get("options") or {})
    return frozenset(found)


@functools.cache
def variables() -> frozenset[str]:
    """Of roles and playbooks, those of Ansible itself, and those that name a thing of the reader's own."""
    playbooks = [*ROOT.glob("playbooks/**/*.yml"), *ROOT.glob("plugins/**/*.py"), *ROOT.glob("examples/awx/*.yml")]
    text = "\n".join(path.read_text() for path in playbooks)
    return options() | frozenset(_IN_PLAYBOOKS.findall(text)) | {"target"}


@functools.cache
def verbs() -> frozenset[str]:
    return frozenset(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def wrong(words: list[str]) -> t.Iterator[str]:
    """What is not there of a command, each in a clause."""
    words = [*words]
    while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
        name, _, value = words.pop(0).partition("=")
        if name == "ANSIBLE_CALLBACKS_ENABLED" and not is_plugin("callback", value):
            yield f"there is no callback {value}"
    if not words:
        return
    program, rest = words[0], words[1:]
    if program == "make":
        yield from (f"make has no {one}" for one in rest if "=" not in one and one not in verbs())
        scenarios = [one[2:] for one in rest if one.startswith("s=")]
        yield from (f"there is no scenario {one}" for one in scenarios if not (ROOT / "molecule" / one).is_dir())
    elif program == "ansible-playbook":
        yield from wrong_playbook(rest)
    elif program == "ansible":
        names = [rest[place + 1] for place, word in enumerate(rest) if word == "-m"]
        yield from (f"there is no module {one}" for one in names if not is_plugin("modules", one))
        yield from wrong_arguments(rest)
    elif program == "ansible-doc":
        for one in (word for word in rest if word.startswith("mlops.hosts.")):
            kind = ROOT / "roles" / one.rpartition(".")[2] if "role" in rest else None
            if not (kind.is_dir() if kind else is_plugin("modules", one)):
                yield f"there is no {one}"
    elif program in ("python", "python3"):
        named = [one for one in rest if one.endswith(".py")]
        named += [f"{rest[place + 1].replace('.', '/')}" for place, word in enumerate(rest) if word == "-m"]
        yield from (f"there is no {one}" for one in named if not list(ROOT.glob(f"{one}*")))
    elif program not in SYSTEM | ANSIBLE:
        yield f"{program} is no program that a reader has"


def wrong_playbook(rest: list[str]) -> t.Iterator[str]:
    names = [word for word in rest if word.startswith("mlops.hosts.")]
    if not names and not any(word.endswith(".yml") for word in rest):
        yield "no playbook is named"
    yield from (f"there is no playbook {one}" for one in names if not is_playbook(one))
    for place, word in enumerate(rest):
        if word in ("-e", "--extra-vars"):
            given = rest[place + 1]
            if given.startswith("@"):
                continue
            named = yaml.safe_load(given) if given.startswith("{") else {given.partition("=")[0]: None}
            yield from (f"there is no variable {one}" for one in named if not is_variable(one))
        if word == "--tags":
            tags = rest[place + 1].split(",")
            yield from (f"there is no tag {one}" for one in tags if not (ROOT / "roles" / one).is_dir())


def wrong_arguments(rest: list[str]) -> t.Iterator[str]:
    """Of a module of this collection that is called by ``ansible -m NAME -a 'a=b'``."""
    if "-m" not in rest or "-a" not in rest:
        return
    module, given = rest[rest.index("-m") + 1], rest[rest.index("-a") + 1]
    if module.startswith("mlops.hosts."):
        text = (ROOT / f"plugins/modules/{module.rpartition('.')[2]}.py").read_text()
        (documented,) = re.findall(r'^DOCUMENTATION = r?"""(.*?)"""', text, re.MULTILINE | re.DOTALL)
        known = yaml.safe_load(documented)["options"]
        for word in shlex.split(given):
            if word.partition("=")[0] not in known:
                yield f"{module} has no option {word.partition('=')[0]}"


def is_plugin(kind: str, name: str) -> bool:
    return name.startswith("ansible.builtin.") or (
        name.startswith("mlops.hosts.") and (ROOT / f"plugins/{kind}/{name.rpartition('.')[2]}.py").is_file()
    )


def is_playbook(name: str) -> bool:
    return (ROOT / f"playbooks/{name.rpartition('.')[2]}.yml").is_file()


def is_variable(name: str) -> bool:
    return name in variables()


@pytest.mark.parametrize("name", GUIDES)
def test_commands_of_a_page_are_there(name):
    found = commands((ROOT / name).read_text())
    assert [f"{' '.join(words)}: {clause}" for words in found for clause in wrong(words)] == []


@pytest.mark.parametrize(
    ("command", "clause"),
    [
        ("make demo-up", "make has no demo-up"),
        ("make molecule s=nothing", "there is no scenario nothing"),
        ("ansible-playbook -i inventory mlops.hosts.sites", "there is no playbook mlops.hosts.sites"),
        ("ansible-playbook mlops.hosts.site -e site_batch=2", "there is no variable site_batch"),
        ("ansible-playbook mlops.hosts.site --tags gpu_drivers", "there is no tag gpu_drivers"),
        ("ansible all -m mlops.hosts.gpu_infos", "there is no module mlops.hosts.gpu_infos"),
        ("ansible all -m mlops.hosts.model_probe -a 'uri=x'", "mlops.hosts.model_probe has no option uri"),
        (
            "ANSIBLE_CALLBACKS_ENABLED=mlops.hosts.audits ansible-playbook x.yml",
            "there is no callback mlops.hosts.audits",
        ),
        ("python3 tools/frobnicate.py", "there is no tools/frobnicate.py"),
        ("python -m tools.frobnicate", "there is no tools/frobnicate"),
        ("frobnicate --all", "frobnicate is no program that a reader has"),
    ],
)
def test_a_command_that_is_not_there_is_found(command, clause):
    (words,) = commands(f"```console\n$ {command}   # a comment\n```\n")
    assert list(wrong(words)) == [clause]


class Loader(yaml.SafeLoader):
    """Tags such as !vault are only marks on a value here."""


Loader.add_multi_constructor("!", lambda loader, _suffix, node: getattr(node, "value", None))


def inventories(text: str) -> t.Iterator[tuple[str, dict[str, t.Any]]]:
    """Variables that a page writes into files of an inventory: name of the file, and its data."""
    for block in blocks(text, "yaml"):
        first, _, _ = block.partition("\n")
        if re.match(r"# (inventory/)?(group_vars|host_vars)/\S+", first):
            yield first[2:], yaml.load(block, Loader)


@pytest.mark.parametrize("name", GUIDES)
def test_variables_of_a_page_are_those_of_roles_and_playbooks(name):
    found = list(inventories((ROOT / name).read_text()))
    assert [f"{file}: {key}" for file, data in found for key in data if not is_variable(key)] == []


def suboptions(spec: dict[str, t.Any], value: t.Any, path: str) -> t.Iterator[str]:
    """Keys of dictionaries that the specification does not have, and choices that it does not give."""
    if isinstance(value, list):
        for one in value:
            yield from suboptions(spec, one, path)
    elif isinstance(value, dict) and spec.get("options"):
        for key, one in value.items():
            if key not in spec["options"]:
                yield f"{path} has no {key}"
            else:
                yield from suboptions(spec["options"][key], one, f"{path}.{key}")
    elif spec.get("choices") and not str(value).startswith("{{") and value not in spec["choices"]:
        yield f"{path} cannot be {value}"


@functools.cache
def specifications() -> dict[str, dict[str, t.Any]]:
    found: dict[str, dict[str, t.Any]] = {}
    for path in ROOT.glob("roles/*/meta/argument_specs.yml"):
        found.update(yaml.safe_load(path.read_text())["argument_specs"]["main"].get("options") or {})
    return found


@pytest.mark.parametrize("name", GUIDES)
def test_values_of_a_page_are_what_the_roles_take(name):
    specs = specifications()
    found = [
        f"{file}: {clause}"
        for file, data in inventories((ROOT / name).read_text())
        for key, value in data.items()
        for clause in suboptions(specs.get(key, {}), value, key)
    ]
    assert found == []


def test_a_value_that_no_role_takes_is_found():
    spec = specifications()["log_shipper_sources"]
    given = [{"name": "a", "type": "journal", "unit": ["x"]}]
    assert list(suboptions(spec, given, "sources")) == ["sources.type cannot be journal", "sources has no unit"]


_PATH = re.compile(r"`((?:docs|examples|findings|molecule|playbooks|plugins|roles|tests|tools)/[^`\s]*)`")


@pytest.mark.parametrize("name", [*GUIDES, "AGENTS.md"])
def test_files_that_a_page_names_are_there(name):
    found = [path for path in _PATH.findall((ROOT / name).read_text()) if "#" not in path]
    there = {path: list(ROOT.glob(re.sub(r"<\w+>|\{[\w,]+\}|NAME|ENGINE", "*", path.rstrip("/")))) for path in found}
    assert [path for path, paths in there.items() if not paths] == []


def test_the_index_has_every_page_once():
    listed = [path for paths in pages.sections((ROOT / pages.INDEX).read_text()).values() for path in paths]
    resolved = [(ROOT / "docs" / path).resolve().relative_to(ROOT).as_posix() for path in listed]
    assert sorted(resolved) == sorted(set(PAGES) - {pages.INDEX})


def sentences(page: str) -> list[str]:
    """The first column of its tables, each with a cause and a cure."""
    return re.findall(r"^\| `([^`]+)` \| \S.* \| \S.* \|$", page, re.MULTILINE)


def templates() -> t.Iterator[str]:
    """Texts of the sources, with a sign where something is put in."""
    for path in ROOT.glob("plugins/**/*.py"):
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                yield "".join(
                    str(part.value) if isinstance(part, ast.Constant) else PLACEHOLDER for part in node.values
                )
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield re.sub(r"\{\w*\}|%s", PLACEHOLDER, node.value)
    for path in [*ROOT.glob("playbooks/**/*.yml"), *ROOT.glob("roles/*/tasks/*.yml")]:
        for value in scalars(yaml.load(path.read_text(), Loader)):
            yield re.sub(r"\{\{.*?\}\}|\{%.*?%\}", PLACEHOLDER, value, flags=re.DOTALL)


def scalars(data: t.Any) -> t.Iterator[str]:
    if isinstance(data, str):
        yield data
    elif isinstance(data, dict):
        for value in data.values():
            yield from scalars(value)
    elif isinstance(data, list):
        for value in data:
            yield from scalars(value)


@functools.cache
def sources() -> tuple[str, ...]:
    return tuple(" ".join(text.split()) for text in templates() if " " in text)


def is_said(sentence: str) -> bool:
    """Whether one text of the sources has all that the sentence has, in its order."""
    parts = [part.strip() for part in sentence.split(PLACEHOLDER)]
    return any(in_order(parts, text) for text in sources())


def in_order(parts: t.Iterable[str], text: str) -> bool:
    at = 0
    for part in parts:
        at = text.find(part, at)
        if at < 0:
            return False
        at += len(part)
    return True


TROUBLE = (ROOT / "docs/troubleshooting.md").read_text()


@pytest.mark.parametrize("sentence", sentences(TROUBLE))
def test_a_sentence_of_the_guide_is_said_somewhere(sentence):
    assert len(re.sub(rf"{PLACEHOLDER}|\W", "", sentence)) >= 12, "too little to look for"
    assert is_said(sentence)


def test_a_sentence_that_nothing_says_is_found():
    assert not is_said("the flux capacitor of … is not charged")
    # As somebody would remember it, and not as it is.
    assert not is_said("Another run is changing this host: …; wait for it, or end it.")


def test_the_guide_has_sentences_and_each_once():
    found = sentences(TROUBLE)
    assert len(found) > 40
    assert sorted(found) == sorted(set(found))
    rows = [line for line in TROUBLE.splitlines() if line.startswith("| ") and not line.startswith("| sentence ")]
    assert len(rows) == len(found), "a row has no cause or no cure"
