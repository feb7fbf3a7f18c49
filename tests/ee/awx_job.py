# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs as AWX runs them: its own runner starts the execution environment, with the project, the inventory and the
answers of a survey mounted into it. There is no AWX: what it would put there is written by hand."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import sys
import typing as t
from pathlib import Path

import ansible_runner
import jinja2
import yaml

from tools.hosts.docker_engine import BUILD, ROOT, engine
from tools.hosts.group import Group, Host
from tools.hosts.image import PYTHON, USER, ensure_execution_base
from tools.hosts.ssh import PRIVATE_KEY

HERE = BUILD / "ee"
DEFINITION = ROOT / "examples/execution-environment/execution-environment.yml"
PROJECT = ROOT / "examples/awx"
IMAGE = f"mlops-hosts-ee:{ROOT.name}"
HOSTS = ("ml1", "ml2")


def build() -> str:
    """The image of the definition that users get, on a Debian instead of its default base. Its tag."""
    context = HERE / "image"
    shutil.rmtree(context, ignore_errors=True)
    context.mkdir(parents=True)
    shutil.copy(DEFINITION, context)
    _run("ansible-galaxy", "collection", "build", f"--output-path={context}", str(_clean_copy()))
    arguments = {"EE_BASE_IMAGE": ensure_execution_base(engine()), "PKGMGR": "/usr/bin/apt-get", "PYCMD": PYTHON}
    given = [f"--build-arg={name}={value}" for name, value in arguments.items()]
    _run(
        "ansible-builder",
        "build",
        "--container-runtime=docker",
        f"--tag={IMAGE}",
        f"--file={context / DEFINITION.name}",
        f"--context={context / 'context'}",
        *given,
    )
    return IMAGE


@dataclasses.dataclass(frozen=True)
class Job:
    """What AWX keeps of a job."""

    rc: int
    status: str
    output: str
    changed: dict[str, int]
    artifacts: Path


class Fleet:
    """Two hosts, and a folder per job."""

    def __init__(self, image: str) -> None:
        self.image = image
        self.group = Group(engine(), f"{ROOT.name}-ee")
        self.shared = HERE / "shared"
        self._count = 0

    def up(self) -> None:
        self.group.down()
        shutil.rmtree(HERE / "jobs", ignore_errors=True)
        shutil.rmtree(self.shared, ignore_errors=True)
        self.shared.mkdir(parents=True)
        self.group.up([Host(name, "bookworm", groups=("ml_hosts",)) for name in HOSTS])

    def down(self) -> None:
        self.group.down()

    def on_hosts(self, program: str) -> dict[str, str]:
        """What a program in Python, run by root, prints on each host."""
        return {host.name: text.strip() for host, text in self.group.ask(program)}

    def job(
        self,
        playbook: str,
        answers: t.Mapping[str, t.Any] | None = None,
        *,
        inventory: t.Mapping[str, t.Any] | None = None,
        hosts: t.Sequence[str] = HOSTS,
        limit: str | None = None,
        credential: tuple[str, t.Mapping[str, str]] | None = None,
    ) -> Job:
        """Run a playbook of the project. ``hosts`` are the inventory's, as of a slice; ``answers`` are extra vars.

        ``credential`` is a type of playbooks/awx.yml, and its inputs.
        """
        self._count += 1
        folder = HERE / "jobs" / str(self._count)
        shutil.copytree(PROJECT, folder / "project")
        (folder / "env").mkdir()
        (folder / "inventory").mkdir()
        environment = _inject(folder, *credential) if credential else {}
        (folder / "env/extravars").write_text(_extra_vars({"awx_job_id": self._count}, answers or {}))
        (folder / "known_hosts").write_text(self._known_hosts())
        (folder / "inventory/hosts.json").write_text(json.dumps(_inventory(hosts, inventory or {})))
        run = ansible_runner.run(
            private_data_dir=str(folder),
            ident="job",
            playbook=playbook,
            limit=limit,
            # Without colours, which would be in the middle of words.
            envvars={"ANSIBLE_NOCOLOR": "1", "ANSIBLE_FORCE_COLOR": "0", **environment},
            ssh_key=PRIVATE_KEY.read_text(),
            quiet=True,
            process_isolation=True,
            process_isolation_executable="docker",
            container_image=self.image,
            container_options=[f"--network={self.group.network}"],
            container_volume_mounts=[f"{self.shared}:/shared"],
        )
        changed = (run.stats or {}).get("changed", {})
        return Job(run.rc, run.status, run.stdout.read(), changed, folder)

    def _known_hosts(self) -> str:
        keys = self.on_hosts("print(open('/etc/ssh/ssh_host_ed25519_key.pub').read())")
        return "".join(f"{name} {' '.join(key.split()[:2])}\n" for name, key in keys.items())


def report(folder: Path) -> dict[str, t.Any]:
    """What an audit wrote there."""
    return t.cast("dict[str, t.Any]", json.loads((folder / "drift.json").read_text()))


def _inventory(hosts: t.Sequence[str], variables: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    connection = {
        "ansible_user": USER,
        "ansible_python_interpreter": "/usr/bin/python3",
        "ansible_ssh_common_args": "-o UserKnownHostsFile=/runner/known_hosts",
    }
    return {
        "all": {
            "vars": {**connection, **variables},
            "children": {"ml_hosts": {"hosts": {name: {} for name in hosts}}},
        }
    }


class _Untrusted(yaml.SafeDumper):
    """Writes a text, and a name too, as AWX does: as one that is no template."""


_Untrusted.add_representer(str, lambda dumper, text: dumper.represent_scalar("!unsafe", text))


def _extra_vars(own: t.Mapping[str, t.Any], answers: t.Mapping[str, t.Any]) -> str:
    untrusted: str = yaml.dump(dict(answers), Dumper=_Untrusted) if answers else ""
    return yaml.safe_dump(dict(own)) + untrusted


class _Playbook(yaml.SafeLoader):
    """Reads a text that is no template as the text."""


_Playbook.add_constructor("!unsafe", lambda _, node: node.value)


def tasks() -> list[dict[str, t.Any]]:
    """Of playbooks/awx.yml."""
    return t.cast("list[dict[str, t.Any]]", yaml.load((ROOT / "playbooks/tasks/awx.yml").read_text(), _Playbook))


def credential_types() -> dict[str, t.Any]:
    (found,) = [task["vars"]["awx_credential_types"] for task in tasks() if "credential types" in task["name"]]
    return t.cast("dict[str, t.Any]", found)


def _inject(folder: Path, name: str, inputs: t.Mapping[str, str]) -> dict[str, str]:
    """Put the inputs of a credential where its type says. The environment of the job."""
    injectors = credential_types()[name]["injectors"]
    path = folder / "env/credential"
    path.touch(mode=0o600)
    known = {**inputs, "tower": {"filename": f"/runner/env/{path.name}"}}
    path.write_text(jinja2.Template(injectors["file"]["template"]).render(known))
    return {variable: jinja2.Template(text).render(known) for variable, text in injectors["env"].items()}


def _clean_copy() -> Path:
    """The tree as a fresh clone would have it, with what is not committed yet."""
    tree = HERE / "tree"
    shutil.rmtree(tree, ignore_errors=True)
    listed = _run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tree / name)
    return tree


def _run(program: str, *argv: str) -> str:
    beside = Path(sys.executable).parent / program
    done = subprocess.run(
        [str(beside) if beside.exists() else program, *argv], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{program} exited with status {done.returncode}: {(done.stdout + done.stderr)[-3000:]}")
    return done.stdout
