#!/usr/bin/env python3
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fake of AWX's API: the parts that the modules of awx.awx need to make what playbooks/awx.yml makes.

It is not AWX: it runs no job, knows no rights and asks no project for its files. What it answers and refuses is derived
from the source of AWX 24.6.1: the rules for surveys and their answers, for credential types and for playbooks, secrets
that are never told, and fields that it does not know, which it ignores. It has the fields that are used here.

    fake_awx.py --port 8052 --token TOKEN --project FOLDER

FOLDER has the playbooks that each project has. ``GET /fake/objects`` names all objects, by kind. A machine credential
and a notification template are there from the start. A job template is launched, as far as its variables go:
``POST /api/v2/job_templates/ID/launch/`` answers with the extra variables that a job would have.
"""

from __future__ import annotations

import argparse
import dataclasses
import http.server
import json
import pathlib
import re
import typing as t
import urllib.parse

Data = dict[str, t.Any]

ENCRYPTED = "$encrypted$"
# What an answer of each type of question is, in JSON.
QUESTIONS: dict[str, tuple[type, ...]] = {
    "text": (str,),
    "textarea": (str,),
    "password": (str,),
    "multiplechoice": (str,),
    "multiselect": (str,),
    "integer": (int,),
    "float": (float, int),
}
_NAME = re.compile(r"[a-zA-Z_]+[a-zA-Z0-9_]*")


@dataclasses.dataclass(frozen=True)
class Kind:
    """Objects of one endpoint. ``fields`` have their values where none is given, ``references`` name other objects."""

    type: str
    fields: Data = dataclasses.field(default_factory=dict)
    references: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    required: tuple[str, ...] = ("name",)
    lists: tuple[str, ...] = ()
    by: str = "name"


_NOTIFIED = ("notification_templates_started", "notification_templates_success", "notification_templates_error")
_EE = {"execution_environment": "execution_environments"}
_ASK = dict.fromkeys(
    (f"ask_{what}_on_launch" for what in ("limit", "variables", "tags", "skip_tags", "inventory", "credential")), False
)
KINDS = {
    "organizations": Kind("organization", {"max_hosts": 0}, {"default_environment": "execution_environments"}),
    "credential_types": Kind("credential_type", {"kind": "cloud", "inputs": {}, "injectors": {}, "managed": False}),
    "credentials": Kind(
        "credential",
        {"inputs": {}},
        {"organization": "organizations", "credential_type": "credential_types"},
        ("name", "credential_type"),
    ),
    "execution_environments": Kind(
        "execution_environment",
        {"image": "", "pull": ""},
        {"organization": "organizations", "credential": "credentials"},
        ("name", "image"),
    ),
    "projects": Kind(
        "project",
        {"scm_type": "", "scm_url": "", "scm_branch": "", "scm_update_on_launch": False, "scm_revision": ""},
        {
            "organization": "organizations",
            "credential": "credentials",
            "default_environment": "execution_environments",
        },
        lists=_NOTIFIED,
    ),
    "inventories": Kind(
        "inventory", {"kind": "", "host_filter": None, "variables": ""}, {"organization": "organizations"}
    ),
    "inventory_sources": Kind(
        "inventory_source",
        {
            "source": "",
            "source_path": "",
            "overwrite": False,
            "overwrite_vars": False,
            "update_on_launch": False,
        },
        {"inventory": "inventories", "source_project": "projects", **_EE},
        ("name", "inventory"),
        _NOTIFIED,
    ),
    "notification_templates": Kind(
        "notification_template", {"notification_type": "webhook"}, {"organization": "organizations"}
    ),
    "job_templates": Kind(
        "job_template",
        {
            "job_type": "run",
            "playbook": "",
            "limit": "",
            "extra_vars": "",
            "diff_mode": False,
            "allow_simultaneous": False,
            "job_slice_count": 1,
            "survey_enabled": False,
            **_ASK,
        },
        {"organization": "organizations", "project": "projects", "inventory": "inventories", **_EE},
        ("name", "project", "playbook"),
        ("credentials", "labels", "instance_groups", *_NOTIFIED),
    ),
    "workflow_job_templates": Kind(
        "workflow_job_template",
        {"extra_vars": "", "survey_enabled": False, "limit": None, **_ASK},
        {"organization": "organizations", "inventory": "inventories"},
        lists=("labels", "notification_templates_approvals", *_NOTIFIED),
    ),
    "workflow_job_template_nodes": Kind(
        "workflow_job_template_node",
        {"identifier": "", "extra_data": {}, "limit": None, "all_parents_must_converge": False},
        {"workflow_job_template": "workflow_job_templates", "unified_job_template": "unified_job_templates"},
        ("identifier", "workflow_job_template"),
        ("always_nodes", "success_nodes", "failure_nodes", "credentials", "labels", "instance_groups"),
        by="identifier",
    ),
    "workflow_approval_templates": Kind("workflow_approval_template", {"timeout": 0}),
    "schedules": Kind(
        "schedule",
        {"rrule": "", "enabled": True, "extra_data": {}},
        {"unified_job_template": "unified_job_templates"},
        ("name", "rrule", "unified_job_template"),
        ("credentials", "labels", "instance_groups"),
    ),
    "labels": Kind("label", {}, {"organization": "organizations"}),
    "instance_groups": Kind("instance_group"),
}
# What jobs are made of, which share their numbers.
UNIFIED = ("projects", "inventory_sources", "job_templates", "workflow_job_templates", "workflow_approval_templates")
_ASSOCIATED = {
    "always_nodes": "workflow_job_template_nodes",
    "success_nodes": "workflow_job_template_nodes",
    "failure_nodes": "workflow_job_template_nodes",
    "credentials": "credentials",
    "labels": "labels",
    "instance_groups": "instance_groups",
    **dict.fromkeys((*_NOTIFIED, "notification_templates_approvals"), "notification_templates"),
}


class Refused(Exception):
    """An answer with status 400: its body."""

    def __init__(self, body: Data) -> None:
        super().__init__(str(body))
        self.body = body


class NotFound(Exception):
    """An answer with status 404."""


class Awx:
    """All objects, by kind and number."""

    def __init__(self, playbooks: t.Collection[str]) -> None:
        self.playbooks = set(playbooks)
        self.objects: dict[str, dict[int, Data]] = {kind: {} for kind in KINDS}
        self.lists: dict[tuple[str, int, str], list[int]] = {}
        self.surveys: dict[tuple[str, int], Data] = {}
        self._last = 0

    def find(self, kind: str, query: t.Mapping[str, str]) -> list[Data]:
        """Those that have these values; of ``or__`` one is enough."""
        kinds = UNIFIED if kind == "unified_job_templates" else (kind,)
        found = [self.shown(one, number) for one in kinds for number in self.objects[one]]
        asked = {name: value for name, value in query.items() if name not in ("page", "page_size")}
        all_of = {name: value for name, value in asked.items() if not name.startswith("or__")}
        any_of = {name[4:]: value for name, value in asked.items() if name.startswith("or__")}
        return [
            item
            for item in found
            if all(str(item.get(name)) == value for name, value in all_of.items())
            and (not any_of or any(str(item.get(name)) == value for name, value in any_of.items()))
        ]

    def shown(self, kind: str, number: int) -> Data:
        """An object as it is told: no secret is."""
        if number not in self.objects[kind]:
            raise NotFound
        item = dict(self.objects[kind][number])
        url = f"/api/v2/{kind}/{number}/"
        item.update(id=number, type=KINDS[kind].type, url=url, summary_fields={}, related={})
        if kind in ("job_templates", "workflow_job_templates"):
            item["related"]["survey_spec"] = f"{url}survey_spec/"
        if kind == "workflow_job_template_nodes" and item.get("unified_job_template"):
            other = self._kind_of(item["unified_job_template"])
            item["related"]["unified_job_template"] = f"/api/v2/{other}/{item['unified_job_template']}/"
        if kind == "credentials":
            secret = self._secrets(item["credential_type"])
            item["inputs"] = {name: ENCRYPTED if name in secret else value for name, value in item["inputs"].items()}
        return item

    def create(self, kind: str, given: Data) -> Data:
        self._last += 1
        number = self._last
        self._write(kind, number, given, dict(KINDS[kind].fields, description=""))
        return self.shown(kind, number)

    def change(self, kind: str, number: int, given: Data) -> Data:
        self.shown(kind, number)
        self._write(kind, number, given, self.objects[kind][number])
        return self.shown(kind, number)

    def associated(self, kind: str, number: int, name: str) -> list[Data]:
        return [self.shown(_ASSOCIATED[name], other) for other in self.lists.get((kind, number, name), [])]

    def associate(self, kind: str, number: int, name: str, given: Data) -> None:
        self.shown(kind, number)
        self.shown(_ASSOCIATED[name], int(given["id"]))
        there = self.lists.setdefault((kind, number, name), [])
        if given.get("disassociate"):
            there.remove(int(given["id"]))
        elif int(given["id"]) not in there:
            there.append(int(given["id"]))

    def set_survey(self, kind: str, number: int, spec: Data) -> None:
        self.shown(kind, number)
        if problem := survey_problem(spec):
            raise Refused({"error": problem})
        self.surveys[kind, number] = spec

    def approve_by(self, node: int, given: Data) -> Data:
        """Make the node one that waits for an approval."""
        template = self.create("workflow_approval_templates", given)
        self.objects["workflow_job_template_nodes"][node]["unified_job_template"] = template["id"]
        return template

    def launch(self, number: int, given: Data) -> Data:
        """The extra variables of a job."""
        template = self.shown("job_templates", number)
        survey = self.surveys.get(("job_templates", number), {}) if template["survey_enabled"] else {}
        return extra_variables(template, survey, dict(given.get("extra_vars") or {}))

    def _write(self, kind: str, number: int, given: Data, there: Data) -> None:
        made = KINDS[kind]
        known = {"name", "description", *made.fields, *made.references}
        item = {**dict.fromkeys(made.references), **there, **{k: v for k, v in given.items() if k in known}}
        if missing := [name for name in made.required if item.get(name) in (None, "")]:
            raise Refused({name: ["This field is required."] for name in missing})
        for name, other in made.references.items():
            kinds = UNIFIED if other == "unified_job_templates" else (other,)
            if item[name] is not None and not any(item[name] in self.objects[one] for one in kinds):
                raise Refused({name: [f"Invalid pk {item[name]} - object does not exist."]})
        twins = [
            one
            for one in self.objects[kind].items()
            if one[0] != number and _identity(kind, one[1]) == _identity(kind, item)
        ]
        if twins:
            raise Refused({"__all__": [f"{made.type} with this {made.by} already exists."]})
        if kind == "job_templates" and item["playbook"] not in self.playbooks:
            raise Refused({"playbook": ["Playbook not found for project."]})
        if kind == "credential_types" and (problem := credential_type_problem(item["inputs"], item["injectors"])):
            raise Refused({"injectors": [problem]})
        if kind == "credentials":
            was = there.get("inputs", {})
            item["inputs"] = {k: was.get(k) if v == ENCRYPTED else v for k, v in item["inputs"].items()}
        self.objects[kind][number] = item

    def _kind_of(self, number: int) -> str:
        return next(kind for kind in UNIFIED if number in self.objects[kind])

    def _secrets(self, credential_type: int) -> set[str]:
        fields = self.objects["credential_types"][credential_type]["inputs"].get("fields", [])
        return {field["id"] for field in fields if field.get("secret")}


def _identity(kind: str, item: Data) -> tuple[t.Any, ...]:
    """What is there once. Approvals and labels may be there more often."""
    if kind == "workflow_approval_templates":
        return (id(item),)
    scope = next((name for name in ("workflow_job_template", "inventory", "organization") if name in item), None)
    scope = "inventory" if kind == "inventory_sources" else scope
    return item.get(KINDS[kind].by), item.get(scope) if scope else None, item.get("credential_type")


def survey_problem(survey: Data) -> str | None:
    """Why AWX does not take a survey."""
    for name, kind in (("name", str), ("description", str), ("spec", list)):
        if not isinstance(survey.get(name), kind):
            return f"{name} of a survey must be there, as a {kind.__name__}"
    if not survey["spec"]:
        return "a survey without questions"
    variables: set[str] = set()
    for place, question in enumerate(survey["spec"]):
        fields: dict[str, type] = {"type": str, "question_name": str, "variable": str, "required": bool}
        for name, meant in fields.items():
            if not isinstance(question.get(name), meant):
                return f"question {place}: {name} must be there, as a {meant.__name__}"
        if question["variable"] in variables:
            return f"question {place}: {question['variable']} is asked for twice"
        variables.add(question["variable"])
        if question["type"] not in QUESTIONS:
            return f"question {place}: there is no type {question['type']}"
        default = question.get("default", "")
        if default != "" and not isinstance(default, QUESTIONS[question["type"]]):
            return f"question {place}: the default is no {question['type']}"
        if any(not isinstance(question.get(name, 0), (int, type(None))) for name in ("min", "max")):
            return f"question {place}: min and max must be whole numbers"
        if question["type"] in ("multiplechoice", "multiselect"):
            if "choices" not in question:
                return f"question {place}: there are no choices"
            if any(item not in question["choices"] for item in str(default).splitlines()):
                return f"question {place}: the default is none of the choices"
    return None


def answer_problem(question: Data, answers: Data) -> str | None:
    """Why AWX does not take the answer of a question, or that there is none."""
    name, kind = question["variable"], question["type"]
    if name not in answers:
        return f"'{name}' value missing" if question["required"] else None
    answer = answers[name]
    if kind == "multiselect":
        wrong = not isinstance(answer, list) or any(item not in question["choices"] for item in answer)
        return f"{name} must be of the choices" if wrong else None
    # True is an int in Python and none in AWX.
    if type(answer) not in QUESTIONS[kind]:
        return f"Value {answer} for '{name}' expected to be a {kind}."
    if kind == "multiplechoice":
        return (
            None if answer in question["choices"] else f"Value {answer} for '{name}' expected to be one of the choices."
        )
    size = len(answer) if isinstance(answer, str) else answer
    if question.get("min") is not None and size < question["min"]:
        return f"'{name}' value is too small (must be at least {question['min']})."
    if question.get("max") is not None and size > question["max"]:
        return f"'{name}' value is too large (must be no more than {question['max']})."
    return None


def extra_variables(template: Data, survey: Data, given: Data) -> Data:
    """Of a launch: those of the template, defaults of the survey that are right, and then what was given."""
    questions = survey.get("spec", [])
    problems = [problem for question in questions if (problem := answer_problem(question, given))]
    if problems:
        raise Refused({"variables_needed_to_start": problems})
    others = set(given) - {question["variable"] for question in questions}
    if others and not template["ask_variables_on_launch"]:
        raise Refused({"extra_vars": [f"Variables {', '.join(sorted(others))} are not allowed on launch."]})
    defaults = {
        question["variable"]: question["default"]
        for question in questions
        if "default" in question and not answer_problem(question, {question["variable"]: question["default"]})
    }
    return {**json.loads(template["extra_vars"] or "{}"), **defaults, **given}


def credential_type_problem(inputs: Data, injectors: Data) -> str | None:
    """Why AWX does not take a credential type."""
    names = {field.get("id", "") for field in inputs.get("fields", [])}
    if wrong := [name for name in names if not _NAME.fullmatch(name) or name == "tower"]:
        return f"{wrong[0]} is an invalid variable name"
    if unlabelled := [field["id"] for field in inputs.get("fields", []) if not field.get("label")]:
        return f"{unlabelled[0]} has no label"
    if other := set(injectors) - {"file", "env", "extra_vars"}:
        return f"there is no injector {', '.join(sorted(other))}"
    files = set(injectors.get("file", {}))
    if "template" in files:
        names = names | {"tower.filename"}
        if len(files) > 1:
            return "Must use multi-file syntax when injecting multiple files"
    names = names | {f"tower.filename.{name.partition('.')[2]}" for name in files if "." in name}
    for name in injectors.get("env", {}):
        if name.startswith("ANSIBLE_") or not _NAME.fullmatch(name):
            return f"Environment variable {name} is not allowed to be used in credentials."
    for kind, injected in injectors.items():
        for name, text in injected.items():
            for used in re.findall(r"\{\{\s*([\w.]+)\s*\}\}", str(text)):
                if used not in names:
                    return f"{name} of {kind} uses an undefined field ({used})"
    return None


class Handler(http.server.BaseHTTPRequestHandler):
    """Paths, and what is done there. One request at a time."""

    awx: Awx
    token: str

    def do_GET(self) -> None:
        self._answer(self._get)

    def do_POST(self) -> None:
        self._answer(self._post)

    def do_PATCH(self) -> None:
        self._answer(self._patch)

    def do_DELETE(self) -> None:
        self._answer(self._delete)

    def log_message(self, *args: t.Any) -> None:
        """Nothing: what is there can be asked for."""

    def _answer(self, act: t.Callable[[], tuple[int, t.Any]]) -> None:
        self.url = urllib.parse.urlsplit(self.path)
        size = int(self.headers.get("Content-Length") or 0)
        text = self.rfile.read(size)
        self.given = json.loads(text) if text.strip() else {}
        allowed = self.url.path.startswith("/fake/") or self.headers.get("Authorization") == f"Bearer {self.token}"
        try:
            status, body = act() if allowed else (401, {"detail": "Authentication credentials were not provided."})
        except Refused as refused:
            status, body = 400, refused.body
        except NotFound:
            status, body = 404, {"detail": "Not found."}
        data = b"" if status == 204 else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.send_header("X-API-Product-Name", "AWX")
        self.send_header("X-API-Product-Version", "24.6.1")
        self.end_headers()
        self.wfile.write(data)

    def _parts(self) -> tuple[str, int | None, str | None]:
        """The kind, the number and what is below: of /api/v2/KIND/NUMBER/BELOW/."""
        parts = [part for part in self.url.path.split("/") if part][2:]
        if not parts or parts[0] not in (*KINDS, "unified_job_templates") or len(parts) > 3:
            raise NotFound
        return parts[0], int(parts[1]) if len(parts) > 1 else None, parts[2] if len(parts) > 2 else None

    def _get(self) -> tuple[int, t.Any]:
        if self.url.path == "/fake/objects":
            kinds = {
                kind: [
                    {
                        **self.awx.shown(kind, number),
                        "survey": self.awx.surveys.get((kind, number)),
                        "lists": {
                            name: ids for (k, n, name), ids in self.awx.lists.items() if (k, n) == (kind, number)
                        },
                    }
                    for number in numbers
                ]
                for kind, numbers in self.awx.objects.items()
            }
            return 200, kinds
        kind, number, below = self._parts()
        if number is None:
            found = self.awx.find(kind, dict(urllib.parse.parse_qsl(self.url.query)))
            return 200, {"count": len(found), "next": None, "previous": None, "results": found}
        if below == "survey_spec":
            return 200, self.awx.surveys.get((kind, number), {})
        if below in KINDS[kind].lists:
            found = self.awx.associated(kind, number, below)
            return 200, {"count": len(found), "next": None, "previous": None, "results": found}
        if below:
            raise NotFound
        return 200, self.awx.shown(kind, number)

    def _post(self) -> tuple[int, t.Any]:
        kind, number, below = self._parts()
        if number is None:
            return 201, self.awx.create(kind, self.given)
        if below == "survey_spec":
            self.awx.set_survey(kind, number, self.given)
            return 200, {}
        if below == "create_approval_template":
            return 201, self.awx.approve_by(number, self.given)
        if below == "launch" and kind == "job_templates":
            return 201, {"extra_vars": self.awx.launch(number, self.given)}
        if below in KINDS[kind].lists:
            self.awx.associate(kind, number, below, self.given)
            return 204, None
        raise NotFound

    def _patch(self) -> tuple[int, t.Any]:
        kind, number, below = self._parts()
        if number is None or below:
            raise NotFound
        return 200, self.awx.change(kind, number, self.given)

    def _delete(self) -> tuple[int, t.Any]:
        kind, number, below = self._parts()
        if number is None or below != "survey_spec":
            raise NotFound
        self.awx.surveys.pop((kind, number), None)
        return 200, {}


def main(argv: t.Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--token", required=True, help="the one that is taken")
    parser.add_argument("--project", type=pathlib.Path, required=True, help="folder with the playbooks of projects")
    options = parser.parse_args(argv)
    Handler.awx = Awx([path.relative_to(options.project).as_posix() for path in options.project.rglob("*.yml")])
    Handler.token = options.token
    machine = Handler.awx.create("credential_types", {"name": "Machine", "kind": "ssh", "managed": True})
    Handler.awx.create("credentials", {"name": "machines", "credential_type": machine["id"]})
    Handler.awx.create("notification_templates", {"name": "operators"})
    with http.server.HTTPServer(("127.0.0.1", options.port), Handler) as server:
        server.serve_forever()


if __name__ == "__main__":
    main()
