# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What pages tell people to type is run; what they tell them to write, and to look for, is there."""

from __future__ import annotations

import ast
import functools
import io
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import typing as t

import pytest
import yaml

from tools import guides
from tools.docs import pages

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGES = pages.pages(ROOT)
GUIDES = guides.page_names()
_BLOCK = re.compile(r"^ *```(yaml)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
# Variables of playbooks, which no role has, and of tasks that playbooks include.
_IN_PLAYBOOKS = re.compile(r"\b[a-z][a-z0-9]*(?:_[a-z0-9]+)+\b")
PLACEHOLDER = "…"


PLAN = guides.plan()
PROGRAMS = f"{pathlib.Path(sys.executable).parent}:{os.environ.get('PATH', '')}"


def blocks(text: str) -> list[str]:
    return [found[2] for found in _BLOCK.finditer(text)]


@functools.cache
def typed() -> tuple[guides.Command, ...]:
    """The commands of all pages."""
    told = [step for name in GUIDES for step in guides.steps(name, (ROOT / name).read_text())]
    return tuple(step for step in told if isinstance(step, guides.Command))


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


def is_variable(name: str) -> bool:
    return name in variables()


def test_each_command_of_a_page_is_run_or_listed_with_the_reason_why_not():
    assert [f"{one.page}:{one.line}: {one.text}" for one in typed() if PLAN.ring(one) is None] == []


def test_nothing_is_listed_in_vain():
    there = {one.text for one in typed()}
    listed = [*PLAN.unit, *PLAN.not_run]
    assert [text for text in listed if text not in there] == []
    assert len(listed) == len(set(listed)), "a command is run, and is not"
    of_scenarios = [page for listed in PLAN.scenarios.values() for page in listed]
    assert len(of_scenarios) == len(set(of_scenarios)), "a page is in two scenarios"
    left = {one.page for one in typed() if PLAN.ring(one) in PLAN.scenarios}
    assert left == set(of_scenarios)


@pytest.mark.parametrize("scenario", PLAN.scenarios)
def test_a_scenario_runs_the_pages_that_it_is_said_to_run(scenario):
    text = "".join(path.read_text() for path in (ROOT / "molecule" / scenario).glob("*.yml"))
    assert f"--ring={scenario}" in text
    assert [page for page in PLAN.scenarios[scenario] if page not in text] == []


@pytest.fixture
def checkout(tmp_path):
    """As a fresh clone has it, with what is not committed yet."""
    to = tmp_path / "checkout"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        check=True,
    ).stdout.decode()
    for name in filter(None, listed.split("\0")):
        # Recorded output and captures are most of a checkout, and in no artifact.
        if (ROOT / name).is_file() and not name.startswith(("tests/unit/", "findings/")):
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, to / name)
    return to


def environment(home: pathlib.Path) -> dict[str, str]:
    """Of a reader who has installed nothing but Ansible."""
    ours = ("ANSIBLE_", "MAKEFLAGS", "MFLAGS", "SSL_CERT_FILE")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**kept, "PATH": PROGRAMS, "HOME": str(home), "ANSIBLE_HOME": str(home / ".ansible")}


@pytest.mark.parametrize("page", sorted({one.page for one in typed() if PLAN.ring(one) == "unit"}))
def test_commands_that_need_no_host_do_what_the_page_says(page, checkout, tmp_path):
    todo = [one for one in typed() if one.page == page and PLAN.ring(one) == "unit"]
    guides.run(todo, checkout, environment(tmp_path), io.StringIO())


@pytest.mark.parametrize("command", [text for text in PLAN.not_run if text.startswith("make ")])
def test_make_has_what_a_page_tells_to_make(command, tmp_path):
    words = shlex.split(command)
    done = subprocess.run(
        [words[0], "--dry-run", *words[1:]],
        cwd=ROOT,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert [one for one in words if one.startswith("s=") and not (ROOT / "molecule" / one[2:]).is_dir()] == []


@pytest.mark.parametrize(
    ("command", "asked"),
    [
        (text, asked)
        for text in PLAN.not_run
        for asked in ("ansible-builder build", "docker push")
        if text.startswith(asked)
    ],
)
def test_a_program_that_is_not_run_has_the_options_of_the_page(command, asked):
    if shutil.which(asked.split()[0], path=PROGRAMS) is None:
        pytest.skip(f"{asked} is not on this machine")
    known = subprocess.run(
        [*asked.split(), "--help"], env={**os.environ, "PATH": PROGRAMS}, capture_output=True, text=True
    )
    options = [word for word in shlex.split(command.replace("\\\n", "")) if word.startswith("--")]
    assert [one for one in options if not re.search(rf"{one}\b", known.stdout)] == []


def test_a_playbook_that_is_not_run_is_there():
    named = [name for text in PLAN.not_run for name in re.findall(r"ansible-playbook .*?\bmlops\.hosts\.(\w+)", text)]
    assert named
    assert [name for name in named if not (ROOT / f"playbooks/{name}.yml").is_file()] == []


def steps_of(text: str) -> list[guides.Command | guides.File]:
    return list(guides.steps("page.md", text))


@pytest.mark.parametrize(
    ("block", "why"),
    [
        ("```console\nmake demo\n```\n", "page.md:2: a block of console begins with '$ ' and a command"),
        ("```console\n# make demo\n```\n", "page.md:2: a block of console begins with '$ ' and a command"),
        ("```console\n```\n", "page.md:2: a block of console begins with '$ ' and a command"),
        ("```bash\nmake demo\n```\n", "page.md:1: a block of bash, which nothing runs; make it one of console"),
    ],
)
def test_a_block_that_nothing_would_run_is_refused(block, why):
    with pytest.raises(guides.Problem) as refused:
        steps_of(block)
    assert str(refused.value) == why


def test_a_page_is_read_as_its_reader_does_it():
    text = """
```yaml
# inventory/hosts.yml
all:
```

```yaml
- hosts: all
```

```console
$ first \\
    --option
$ second   # a comment
it says
...
```
"""
    assert steps_of(text) == [
        guides.File("page.md", 3, "inventory/hosts.yml", "# inventory/hosts.yml\nall:\n"),
        guides.Command("page.md", 12, "first \\\n    --option"),
        guides.Command("page.md", 14, "second   # a comment", ("it says", "...")),
    ]


def did(text: str, folder: pathlib.Path) -> str:
    out = io.StringIO()
    guides.run(steps_of(text), folder, {"PATH": os.environ["PATH"]}, out)
    return out.getvalue()


def test_commands_are_those_of_one_shell_in_the_folder_of_the_reader(tmp_path):
    did("```yaml\n# a/b.yml\nx: 1\ny: 1\n```\n```console\n$ export V=7\n$ cd a\n```\n", tmp_path)
    look = "```console\n$ echo $V; cat b.yml\n7\n...\ny: 2\n```\n"
    text = f"```yaml\n# a/b.yml\ny: 2\n```\n```console\n$ export V=7\n$ cd a\n```\n{look}"
    assert "x: 1" in did(text, tmp_path)
    assert yaml.safe_load((tmp_path / "a/b.yml").read_text()) == {"x": 1, "y": 2}


@pytest.mark.parametrize(
    ("shown", "fits"),
    [
        ("one\ntwo 2 three", True),
        ("one\ntwo ... three", True),
        ("one\ntwo … three", True),
        ("...\ntwo 2 three", True),
        ("one\n...", True),
        ("one", False),
        ("two 2 three", False),
        ("one\ntwo . three", False),
        ("...\ntwo", False),
    ],
)
def test_what_comes_out_is_compared_with_what_the_page_shows(shown, fits, tmp_path):
    text = f"```console\n$ printf 'one\\ntwo 2 three'\n{shown}\n```\n"
    if fits:
        did(text, tmp_path)
    else:
        with pytest.raises(guides.Problem, match="did not print what the page shows"):
            did(text, tmp_path)


def test_a_command_that_fails_ends_the_page(tmp_path):
    with pytest.raises(guides.Problem, match="exited with status 3, and no command after it was run\nwhy"):
        did("```console\n$ echo why; (exit 3)\n$ touch after\n```\n", tmp_path)
    assert not (tmp_path / "after").exists()


def test_a_page_may_say_that_a_command_fails(tmp_path):
    did("```console\n$ (exit 16)\n$ echo $?\n16\n$ touch after\n```\n", tmp_path)
    assert (tmp_path / "after").exists()
    with pytest.raises(guides.Problem, match="did not print"):
        did("```console\n$ (exit 2)\n$ echo $?\n16\n```\n", tmp_path)


class Loader(yaml.SafeLoader):
    """Tags such as !vault are only marks on a value here."""


Loader.add_multi_constructor("!", lambda loader, _suffix, node: getattr(node, "value", None))


def inventories(text: str) -> t.Iterator[tuple[str, dict[str, t.Any]]]:
    """Variables that a page writes into files of an inventory: name of the file, and its data."""
    for block in blocks(text):
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
