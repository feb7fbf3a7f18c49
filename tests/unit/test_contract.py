# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all roles and modules promise, held by reading their files. A promise yields the ways in which it is broken."""

from __future__ import annotations

import ast
import pathlib
import re
import typing as t

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
READ_IN = ("tasks", "handlers", "templates", "vars", "files")
SET_FACT = {"set_fact", "ansible.builtin.set_fact"}
INCLUDE_ROLE = {f"{prefix}{name}" for prefix in ("", "ansible.builtin.") for name in ("include_role", "import_role")}


class Loader(yaml.SafeLoader):
    """Reads what Ansible reads; tags such as !vault and !unsafe are only marks on a value here."""


Loader.add_multi_constructor("!", lambda loader, _suffix, node: getattr(node, "value", None))


def load(path: pathlib.Path) -> t.Any:
    return yaml.load(path.read_text(), Loader) if path.exists() else None


def roles(root: pathlib.Path) -> list[pathlib.Path]:
    return sorted(path for path in root.glob("roles/*") if path.is_dir())


def modules(root: pathlib.Path) -> list[pathlib.Path]:
    return sorted(root.glob("plugins/modules/[!_]*.py"))


def defaults_are_the_argument_specs(root: pathlib.Path) -> t.Iterator[str]:
    for role in roles(root):
        specs = load(role / "meta/argument_specs.yml")
        if not specs:
            yield f"{role.name}: has no meta/argument_specs.yml"
            continue
        defaults = load(role / "defaults/main.yml") or {}
        options = specs["argument_specs"]["main"].get("options", {})
        for name in sorted(options.keys() - defaults.keys()):
            if not options[name].get("required"):
                yield f"{role.name}: {name} is in argument_specs, neither required nor in defaults"
        for name in sorted(defaults):
            if name not in options:
                yield f"{role.name}: {name} is in defaults and not in argument_specs"
            elif options[name].get("required"):
                yield f"{role.name}: {name} is required and has a default"
            elif options[name].get("default") != defaults[name]:
                spec = options[name].get("default")
                yield f"{role.name}: {name} is {defaults[name]!r} in defaults and {spec!r} in argument_specs"


def every_default_is_read(root: pathlib.Path) -> t.Iterator[str]:
    code = "\n".join(path.read_text(errors="replace") for path in root.glob("plugins/**/*.py"))
    names_in_code = set(re.findall(r"\w+", code))
    for role in roles(root):
        files = [path for folder in READ_IN for path in role.glob(f"{folder}/**/*") if path.is_file()]
        own = "\n".join(path.read_text(errors="replace") for path in files)
        defaults = load(role / "defaults/main.yml") or {}
        for name in sorted(defaults):
            others = repr([value for other, value in defaults.items() if other != name])
            noun = name[len(role.name) + 1 :]
            last = noun.rpartition("_")[2]
            # By its name, of the converted options, or by the code that is given all of these.
            named = re.search(rf"\b({name}|__{role.name}_options\.{noun})\b", own + others) or name in names_in_code
            forms = (f"'{noun}'", f'"{noun}"', f'}}{last}"')
            if not named and not any(form in text for form in forms for text in (own, others, code)):
                yield f"{role.name}: nothing reads {name}"


CONSENT = ["never", "when_idle", "when_needed"]


def consent_is_asked_for_in_one_way(root: pathlib.Path) -> t.Iterator[str]:
    """``<role>_<act>``: never, or when_idle, when_needed or both, as far as the act can be done so."""
    acts = re.compile(r"_(restart|reload|reset|reboot)(_allowed)?")
    for role in roles(root):
        for entry in ((load(role / "meta/argument_specs.yml") or {}).get("argument_specs") or {}).values():
            for name, option in (entry.get("options") or {}).items():
                act = acts.fullmatch(name[len(role.name) :])
                choices = option.get("choices") or []
                good = choices == [one for one in CONSENT if one in choices] and "never" in choices and len(choices) > 1
                if act and (act[2] or not good):
                    yield f"{role.name}: {name} is consent, and is not one of {', '.join(CONSENT)}"


def every_role_has_a_scenario(root: pathlib.Path) -> t.Iterator[str]:
    scenarios = {path.parent.name for path in root.glob("molecule/*/molecule.yml")}
    for role in roles(root):
        if not any(name == role.name or name.startswith(f"{role.name}_") for name in scenarios):
            yield f"{role.name}: has no scenario molecule/{role.name} or molecule/{role.name}_*"


def every_variable_says_whose_it_is(root: pathlib.Path) -> t.Iterator[str]:
    for role in roles(root):
        named: list[tuple[str, str]] = []
        for path in [*sorted(role.glob("defaults/**/*.yml")), *sorted(role.glob("vars/**/*.yml"))]:
            named += [(str(name), path.name) for name in load(path) or {}]
        for path in [*sorted(role.glob("tasks/**/*.yml")), *sorted(role.glob("handlers/**/*.yml"))]:
            named += [(name, path.name) for name in task_variables(load(path) or [])]
        for name, file in named:
            if not re.match(rf"(__)?{re.escape(role.name)}(_|$)", name):
                yield f"{role.name}: {name} in {file} must begin with {role.name}_ or __{role.name}_"


def every_private_variable_that_is_read_is_set(root: pathlib.Path) -> t.Iterator[str]:
    by_code = "\n".join(path.read_text() for path in sorted(root.glob("plugins/**/*.py")))
    for role in roles(root):
        names = {name for path in role.glob("vars/**/*.yml") for name in load(path) or {}}
        names |= {name for path in role.glob("tasks/**/*.yml") for name in task_variables(load(path) or [])}
        for path in sorted(path for folder in READ_IN for path in role.glob(f"{folder}/**/*") if path.is_file()):
            read = {*re.findall(rf"\b__{re.escape(role.name)}_\w+", path.read_text(errors="replace"))}
            yield from (
                f"{role.name}: nothing sets {name} of {path.name}"
                for name in sorted(read - names)
                if name not in by_code
            )


def task_variables(tasks: t.Any) -> t.Iterator[str]:
    """Names that tasks give to variables."""
    for task in tasks if isinstance(tasks, list) else []:
        if "register" in task:
            yield task["register"]
        control = task.get("loop_control") or {}
        yield from (control[key] for key in ("loop_var", "index_var") if key in control)
        for key in SET_FACT & task.keys():
            yield from (name for name in task[key] if name != "cacheable")
        # The variables of an included role are its own.
        if not INCLUDE_ROLE & task.keys():
            yield from task.get("vars") or {}
        for key in ("block", "rescue", "always"):
            yield from task_variables(task.get(key))


def an_audit_changes_nothing(root: pathlib.Path) -> t.Iterator[str]:
    """An audit sets check_mode without --check: what a role decides by itself must not ask for --check alone."""
    for role in roles(root):
        dry_run = rf"(__{role.name}_dry_run|{role.name}_result\.dry_run)"
        obeys = re.compile(rf'check_mode: (true|"{{{{ {dry_run}( or .*)? }}}}")$')
        for path in sorted(role.glob("**/*.yml")):
            for line in path.read_text().splitlines():
                if "ansible_check_mode" in line and "mlops_hosts_audit" not in line:
                    yield f"{role.name}: {path.name} asks for ansible_check_mode, and not for mlops_hosts_audit"
                if re.match(r"\s*check_mode:", line) and not obeys.search(line):
                    yield f"{role.name}: {path.name} has a check_mode that an audit does not set: {line.strip()}"


def the_audit_has_every_role_of_the_site(root: pathlib.Path) -> t.Iterator[str]:
    listed = set(included(load(root / "playbooks/site.yml") or []))
    audited = {
        name
        for play in load(root / "playbooks/audit.yml") or []
        for variable, names in play["vars"].items()
        if variable.startswith("audit_roles_")
        for name in names
    }
    yield from (f"{name}: is in site.yml and not in audit.yml" for name in sorted(listed - audited))
    yield from (f"{name}: is in audit.yml and not in site.yml" for name in sorted(audited - listed))


def included(plays: list[t.Any]) -> t.Iterator[str]:
    """Names of the roles that tasks of plays include, in order."""
    for play in plays:
        for task in play["tasks"]:
            if role := task.get("ansible.builtin.include_role"):
                yield role["name"]


def a_site_compares_what_it_runs(root: pathlib.Path) -> t.Iterator[str]:
    """A role that is compared and not included is never run, and one that is only included runs on no host."""
    for play in load(root / "playbooks/site.yml") or []:
        compared = [
            f"mlops.hosts.{role}"
            for task in play["tasks"]
            for role in task.get("mlops.hosts.host_check", {}).get("roles", ())
        ]
        if compared != list(included([play])):
            yield f"site.yml: compares {', '.join(compared)} and includes {', '.join(included([play]))}"
        there = [f"tasks/{path.name}" for path in root.glob("playbooks/tasks/site_remove.yml")]
        for task in play["tasks"]:
            if task.get("ansible.builtin.include_tasks", {}).get("file") in there:
                removed = list(included([{"tasks": load(root / "playbooks" / there[0])}]))
                if removed != compared[::-1]:
                    yield f"site_remove.yml: removes {', '.join(removed)}, and not all in reverse"


def action_groups_list_every_module(root: pathlib.Path) -> t.Iterator[str]:
    groups = (load(root / "meta/runtime.yml") or {}).get("action_groups") or {}
    listed = {name for group in groups.values() for name in group if isinstance(name, str)}
    there = {path.stem for path in modules(root)}
    yield from (f"{name}: is in no action group of meta/runtime.yml" for name in sorted(there - listed))
    yield from (f"{name}: is in an action group and is no module" for name in sorted(listed - there))


def constants(body: t.Iterable[ast.stmt]) -> dict[str, t.Any]:
    return {
        target.id: node.value.value
        for node in body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def fragment(root: pathlib.Path, name: str) -> dict[str, t.Any]:
    """A documentation fragment of this collection, named as ``extends_documentation_fragment`` names it."""
    _namespace, _collection, file, *part = name.split(".")
    (body,) = (
        node.body
        for node in ast.parse((root / f"plugins/doc_fragments/{file}.py").read_text()).body
        if isinstance(node, ast.ClassDef)
    )
    return t.cast("dict[str, t.Any]", yaml.safe_load(constants(body)["".join(part).upper() or "DOCUMENTATION"]))


def every_module_is_documented(root: pathlib.Path) -> t.Iterator[str]:
    for path in modules(root):
        texts = constants(ast.parse(path.read_text()).body)
        for name in ("DOCUMENTATION", "EXAMPLES", "RETURN"):
            if not str(texts.get(name, "")).strip():
                yield f"{path.stem}: has no {name}"
        documented = yaml.safe_load(texts.get("DOCUMENTATION", "")) or {}
        extended = [fragment(root, name) for name in documented.get("extends_documentation_fragment") or []]
        for name in ("check_mode", "diff_mode"):
            if not any("support" in (one.get("attributes") or {}).get(name, {}) for one in (documented, *extended)):
                yield f"{path.stem}: does not say whether it supports {name}"


def every_module_that_changes_a_host_sets_its_umask(root: pathlib.Path) -> t.Iterator[str]:
    for path in modules(root):
        reads_only = path.stem.endswith(("_info", "_facts", "_probe"))
        # One that is all action plugin has no code for hosts.
        text = path.read_text()
        if not reads_only and "def main(" in text and "    usual_umask()\n" not in text:
            yield f"{path.stem}: main() does not call usual_umask()"


# What travels to hosts knows nothing of the controller, and what runs on the controller needs no module.
APART = {"module_utils": ("plugin_utils", "modules"), "modules": ("plugin_utils",), "action": ("modules",)}


def controller_and_hosts_are_apart(root: pathlib.Path) -> t.Iterator[str]:
    for folder, closed in APART.items():
        for path in sorted(root.glob(f"plugins/{folder}/**/*.py")):
            package = path.relative_to(root).parent.as_posix().split("/")
            for name in imported(path.read_text(), package):
                for other in closed:
                    if f".plugins.{other}." in f".{name}.":
                        yield f"{folder}/{path.name} imports {name}"


def imported(source: str, package: list[str]) -> t.Iterator[str]:
    """Each name that is imported, with the module that it is imported from."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level] if node.level else []
            yield from (".".join([*above, *filter(None, [node.module]), alias.name]) for alias in node.names)


def every_role_begins_in_less_than_25_lines(root: pathlib.Path) -> t.Iterator[str]:
    for role in roles(root):
        lines = len((role / "tasks/main.yml").read_text().splitlines())
        if lines >= 25:
            yield f"{role.name}: tasks/main.yml has {lines} lines"


def scenarios_read_what_is_published(root: pathlib.Path) -> t.Iterator[str]:
    private = re.compile("|".join(rf"__{role.name}_\w+" for role in roles(root)))
    for path in sorted(root.glob("molecule/**/*.yml")):
        yield from (f"{path.relative_to(root)}: reads {name}" for name in sorted({*private.findall(path.read_text())}))


# What the field has another word for. Names, task names, messages, comments and documents are all text of these files.
WORDS = {
    r"[a-z_]*wish[a-z_]*": "desired",
    r"(?:is|are) wanted": "is desired",
    r"wanted(?=\b|_)": "desired",
    r"glance\w*": "fast check",
    r"objections?": "problem, conflict",
    r"judg(?:e[ds]?|ing|e?ments?)": "diagnose, check, validate",
    r"mend(?:s|ed|ing)?": "repair, fix",
    r"(?:laid|lays?) (?:(?:it|them) )?down": "write, install",
    r"stands? against": "conflict with",
    r"cannot be meant": "invalid",
    r"answer(?:s|ed) (?:\d|\{[a-z_.]*(?:rc|returncode|exit_code)\b)": "exited with status",
    r"looked?_at": "inspect",
    r"(?<!mlops-)stand-?ins?": "fake, simulated",
    r"(?<!mlops-)(?:[a-z]+_)*standin(?:_[a-z]+)*": "fake, simulated",
}
# What each of these words has in it: only lines that have one are looked at by the whole, slow expression.
STEMS = ("wish", "wanted", "glance", "objection", "judg", "mend", "laid", "lay", "stand", "be meant", "answer", "look")
WRITTEN_IN = (
    "plugins",
    "roles",
    "playbooks",
    "molecule",
    "tools",
    "benchmarks",
    "findings",
    "tests",
    "docs",
    "meta",
    "examples",
)
# Recorded output keeps its words, and so do a log of real runs and this list.
AS_IT_IS = ("tests/unit/data/", "docs/reliability.md", "tests/unit/test_contract.py")


def texts(root: pathlib.Path) -> t.Iterator[tuple[str, str]]:
    """Names and contents of all files that people write."""
    top = [root / name for name in ("README.md", "CONTRIBUTING.md", "AGENTS.md", "Makefile")]
    for path in sorted([*top, *(path for name in WRITTEN_IN for path in (root / name).rglob("*"))]):
        name = path.relative_to(root).as_posix()
        if path.is_file() and not name.startswith(AS_IT_IS) and "__pycache__" not in name:
            try:
                yield name, path.read_text()
            except UnicodeDecodeError:
                continue


def lines_with(stems: t.Iterable[str], text: str) -> t.Iterator[tuple[int, int]]:
    """Begin and end of each line that has one of them, in any case."""
    lower, begins = text.lower(), {}
    for stem in stems:
        at = lower.find(stem)
        while at >= 0:
            end = text.find("\n", at)
            begins[text.rfind("\n", 0, at) + 1] = end if end >= 0 else len(text)
            at = lower.find(stem, at + len(stem))
    return iter(sorted(begins.items()))


def test_every_word_has_a_stem_by_which_its_lines_are_found():
    assert [word for word in WORDS if not any(stem in word for stem in STEMS)] == []


def words_are_those_of_the_field(root: pathlib.Path) -> t.Iterator[str]:
    one = re.compile(
        "|".join(rf"(?<![A-Za-z])(?P<w{place}>{word})(?![A-Za-z])" for place, word in enumerate(WORDS)), re.IGNORECASE
    )
    better = list(WORDS.values())
    for name, text in texts(root):
        for line, found in ((0, name), (1, text)):
            for begin, end in lines_with(STEMS, found):
                for match in one.finditer(found, begin, end):
                    say = better[int(str(match.lastgroup)[1:])]
                    yield f"{name}:{line and found.count(chr(10), 0, begin) + 1}: {match[0]!r}; say {say}"


def a_method_without_a_body_says_what_it_returns(root: pathlib.Path) -> t.Iterator[str]:
    """Dots on the line of a definition are a second statement (E704) to the pycodestyle in ansible-test of 2.18."""
    for path in sorted(root.glob("plugins/**/*.py")):
        for place, line in enumerate(path.read_text().splitlines(), 1):
            if line.endswith(": ...") and ("def " in line or line.lstrip().startswith(")")):
                yield f"{path.relative_to(root)}:{place}: dots in place of a docstring"


PROMISES = [
    defaults_are_the_argument_specs,
    every_default_is_read,
    consent_is_asked_for_in_one_way,
    every_role_has_a_scenario,
    every_variable_says_whose_it_is,
    every_private_variable_that_is_read_is_set,
    an_audit_changes_nothing,
    the_audit_has_every_role_of_the_site,
    a_site_compares_what_it_runs,
    action_groups_list_every_module,
    every_module_is_documented,
    every_module_that_changes_a_host_sets_its_umask,
    controller_and_hosts_are_apart,
    every_role_begins_in_less_than_25_lines,
    scenarios_read_what_is_published,
    words_are_those_of_the_field,
    a_method_without_a_body_says_what_it_returns,
]


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.__name__)
def test_this_collection_keeps(promise: t.Callable[[pathlib.Path], t.Iterator[str]]) -> None:
    assert not list(promise(ROOT))


BROKEN = {
    "roles/shy/tasks/main.yml": "- ansible.builtin.ping:\n",
    "roles/web/defaults/main.yml": "web_port: 80\nweb_unread: 1\nweb_secret: x\nweb_unspecified: 2\nport: 3\n",
    "roles/web/meta/argument_specs.yml": (
        "argument_specs: {main: {options: {web_port: {default: 8080}, web_unread: {default: 1}, port: {default: 3},"
        " web_secret: {required: true}, web_forgotten: {type: str}, web_needed: {required: true}}}}\n"
    ),
    "roles/idle/meta/argument_specs.yml": (
        "argument_specs: {main: {options: {idle_restart_allowed: {type: bool, required: true},"
        " idle_reload: {choices: [when_idle, never], required: true}, idle_reset: {choices: [never], required: true},"
        " idle_reboot: {choices: [never, when_needed], required: true}, idle_reboot_timeout_s: {required: true}}}}\n"
    ),
    "roles/idle/tasks/main.yml": "",
    "plugins/module_utils/_dots.py": "class Reader:\n    def read(self): ...\n\n    def name(self):\n        ...\n",
    "molecule/idle/molecule.yml": "platforms: []\n",
    "roles/web/vars/main.yml": "__web_a: 1\nb: !unsafe 2\n",
    "roles/web/tasks/main.yml": """
- block:
    - ansible.builtin.command: {argv: ["{{ web_port }}", "{{ web_secret }}", "{{ web_unspecified }}", "{{ port }}"]}
      register: result
  rescue:
    - ansible.builtin.set_fact: {fact: 1, __web_b: 2, cacheable: true}
      vars: {local: 1, web_c: 1}
      loop_control: {loop_var: thing, index_var: __web_i}
    - ansible.builtin.include_role: {name: other}
      vars: {other_port: 1}
"""
    + "#\n" * 20,
    "roles/web/tasks/more.yml": """
- command:
  check_mode: false
- command:
  check_mode: "{{ not __web_dry_run }}"
- command:
  when: not ansible_check_mode
- command:
  when: not (ansible_check_mode or mlops_hosts_audit)
""",
    "playbooks/site.yml": (
        "- tasks: [{ansible.builtin.include_role: {name: x.y.web}}]\n"
        "- tasks:\n"
        "  - mlops.hosts.host_check: {roles: [web, new]}\n"
        "  - ansible.builtin.include_tasks: {file: tasks/site_remove.yml}\n"
        "  - ansible.builtin.include_role: {name: x.y.new}\n"
    ),
    "playbooks/tasks/site_remove.yml": "- ansible.builtin.include_role: {name: x.y.web}\n",
    "playbooks/audit.yml": "- {vars: {audit_roles_of_all: [x.y.web, x.y.old]}}\n",
    "molecule/web_podman/molecule.yml": "platforms: []\n",
    "molecule/shyness/molecule.yml": "platforms: []\n",
    "molecule/shyness/verify.yml": "- assert: {that: __web_result is changed}\n",
    "meta/runtime.yml": "action_groups: {all: [known, gone, {metadata: {}}]}\n",
    "plugins/modules/known.py": (
        'DOCUMENTATION = "attributes: {check_mode: {support: full}, diff_mode: {support: none}}"\n'
        'EXAMPLES = "- known:"\nRETURN = "x: {}"\ndef main():\n    usual_umask()\n'
    ),
    "plugins/modules/mute.py": (
        'DOCUMENTATION = "extends_documentation_fragment: [x.y._a.diff]"\nEXAMPLES = ""\ndef main():\n    pass\n'
    ),
    "plugins/doc_fragments/_a.py": (
        'class ModuleDocFragment:\n    DIFF = "attributes: {diff_mode: {support: full}}"\n'
        '    DOCUMENTATION = "attributes: {check_mode: {support: full}}"\n'
    ),
    "plugins/modules/_private.py": "",
    "plugins/module_utils/_words.py": (
        "_wished_for = wanted_by(WantedBy, unwanted, amend, standing)\nf'answered {done.rc}'\n"
    ),
    "docs/wishes.md": "Judged, and mended. The judgmental recommend nothing.\nA stand-in is wanted; 3 answered.\n",
    "tests/unit/data/say.txt": "wish\n",
    "plugins/modules/_far.py": "from ..plugin_utils._fast_check import ask\n",
    "plugins/module_utils/_x/far.py": "def x():\n    from ... import plugin_utils\n",
    "plugins/module_utils/near.py": "from . import modules\n",
    "plugins/action/far.py": "import ansible_collections.x.y.plugins.modules.known\nfrom ..plugin_utils import _y\n",
}


@pytest.mark.parametrize(
    ("promise", "broken"),
    [
        (
            defaults_are_the_argument_specs,
            [
                "shy: has no meta/argument_specs.yml",
                "web: web_forgotten is in argument_specs, neither required nor in defaults",
                "web: web_port is 80 in defaults and 8080 in argument_specs",
                "web: web_secret is required and has a default",
                "web: web_unspecified is in defaults and not in argument_specs",
            ],
        ),
        (every_default_is_read, ["web: nothing reads web_unread"]),
        (
            consent_is_asked_for_in_one_way,
            [
                f"idle: {name} is consent, and is not one of never, when_idle, when_needed"
                for name in ("idle_reload", "idle_restart_allowed", "idle_reset")
            ],
        ),
        (every_role_has_a_scenario, ["shy: has no scenario molecule/shy or molecule/shy_*"]),
        (
            every_variable_says_whose_it_is,
            [
                f"web: {name} in main.yml must begin with web_ or __web_"
                for name in ("port", "b", "result", "fact", "local", "thing")
            ],
        ),
        (every_private_variable_that_is_read_is_set, ["web: nothing sets __web_dry_run of more.yml"]),
        (
            an_audit_changes_nothing,
            [
                "web: more.yml has a check_mode that an audit does not set: check_mode: false",
                'web: more.yml has a check_mode that an audit does not set: check_mode: "{{ not __web_dry_run }}"',
                "web: more.yml asks for ansible_check_mode, and not for mlops_hosts_audit",
            ],
        ),
        (
            the_audit_has_every_role_of_the_site,
            ["x.y.new: is in site.yml and not in audit.yml", "x.y.old: is in audit.yml and not in site.yml"],
        ),
        (
            a_site_compares_what_it_runs,
            [
                "site.yml: compares  and includes x.y.web",
                "site.yml: compares mlops.hosts.web, mlops.hosts.new and includes x.y.new",
                "site_remove.yml: removes x.y.web, and not all in reverse",
            ],
        ),
        (
            action_groups_list_every_module,
            ["mute: is in no action group of meta/runtime.yml", "gone: is in an action group and is no module"],
        ),
        (
            every_module_is_documented,
            ["mute: has no EXAMPLES", "mute: has no RETURN", "mute: does not say whether it supports check_mode"],
        ),
        (every_module_that_changes_a_host_sets_its_umask, ["mute: main() does not call usual_umask()"]),
        (every_role_begins_in_less_than_25_lines, ["web: tasks/main.yml has 30 lines"]),
        (
            words_are_those_of_the_field,
            [
                "docs/wishes.md:0: 'wishes'; say desired",
                "docs/wishes.md:1: 'Judged'; say diagnose, check, validate",
                "docs/wishes.md:1: 'mended'; say repair, fix",
                "docs/wishes.md:2: 'stand-in'; say fake, simulated",
                "docs/wishes.md:2: 'is wanted'; say is desired",
                "plugins/module_utils/_words.py:1: '_wished_for'; say desired",
                "plugins/module_utils/_words.py:1: 'wanted'; say desired",
                "plugins/module_utils/_words.py:2: 'answered {done.rc'; say exited with status",
            ],
        ),
        (
            a_method_without_a_body_says_what_it_returns,
            ["plugins/module_utils/_dots.py:2: dots in place of a docstring"],
        ),
        (scenarios_read_what_is_published, ["molecule/shyness/verify.yml: reads __web_result"]),
        (
            controller_and_hosts_are_apart,
            [
                "modules/_far.py imports plugins.plugin_utils._fast_check.ask",
                "module_utils/far.py imports plugins.plugin_utils",
                "action/far.py imports ansible_collections.x.y.plugins.modules.known",
            ],
        ),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_collection_that_breaks_it_is_caught(
    promise: t.Callable[[pathlib.Path], t.Iterator[str]], broken: list[str], tmp_path: pathlib.Path
) -> None:
    for name, text in BROKEN.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert sorted(promise(tmp_path)) == sorted(broken)


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.__name__)
def test_an_empty_collection_breaks_nothing(
    promise: t.Callable[[pathlib.Path], t.Iterator[str]], tmp_path: pathlib.Path
) -> None:
    assert not list(promise(tmp_path))


def test_output_of_a_connection_is_read_between_marks_only():
    """Shell start files print before and after it, so its place says nothing."""
    raw = [path for path in (ROOT / "plugins").rglob("*.py") if "_low_level_execute_command" in path.read_text()]
    assert raw
    assert [path.name for path in raw if "between_marks(" not in path.read_text()] == []


def shipped(root: pathlib.Path) -> t.Iterator[pathlib.Path]:
    """What people read in an installed collection."""
    for pattern in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "docs/*.md", "roles/*/README.md"):
        yield from sorted(root.glob(pattern))


def broken_links(root: pathlib.Path, ignored: t.Iterable[str]) -> t.Iterator[str]:
    left_out = [root / name for name in ignored if "*" not in name]
    for page in shipped(root):
        for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text()):
            target = (page.parent / link).resolve()
            is_there = target.exists() and not any(target.is_relative_to(name) for name in left_out)
            if "://" not in link and not is_there:
                yield f"{page.relative_to(root)} links {link}"


def test_links_lead_to_what_the_artifact_has():
    assert list(broken_links(ROOT, load(ROOT / "galaxy.yml")["build_ignore"])) == []


def test_a_link_that_the_artifact_lacks_is_found(tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools/x.py").touch()
    (tmp_path / "docs/a.md").write_text("[x](../tools/x.py) [b](b.md#top) [c](https://example.org/) [a](a.md)")
    assert list(broken_links(tmp_path, ["tools", "*.gz"])) == ["docs/a.md links ../tools/x.py", "docs/a.md links b.md"]


def test_examples_read_files_beside_the_inventory():
    """A relative path is searched for beside the playbook, which for those of a collection is in the collection."""
    pages = [*shipped(ROOT), ROOT / "README.md", *ROOT.glob("roles/*/meta/argument_specs.yml")]
    relative = re.compile(r"lookup\('(?:ansible\.builtin\.)?(?:file|template|unvault)', *'(?!/)")
    assert [page.relative_to(ROOT).as_posix() for page in pages if relative.search(page.read_text())] == []


@pytest.mark.parametrize("playbook", ["audit", "bundle", "driver_upgrade", "model_rollout", "model_rollback"])
def test_plays_over_a_whole_fleet_say_that_they_are_not_sliced(playbook):
    """AWX gives each slice of a job an inventory of its own hosts only."""
    page = (ROOT / "docs/audit.md").read_text()
    (words,) = re.findall(r"^- Leave \*Job slicing\* at 1\..*?(?=^- |^#|\Z)", page, re.MULTILINE | re.DOTALL)
    assert playbook in words


def test_every_play_in_batches_is_one_of_them():
    in_batches = {path.stem for path in ROOT.glob("playbooks/*.yml") for play in load(path) if "serial" in play}
    # The batches of the site are for the load alone: none waits for another to be right.
    assert in_batches - {"site"} == {"bundle", "driver_upgrade", "model_rollout", "model_rollback"}
