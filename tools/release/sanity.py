# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prove what is shipped: build the artifact, ansible-test it, import it as Galaxy does, install it, use it.

Tests and tools are not shipped. They have ruff and mypy, and recorded output in tests/unit/data must keep every byte.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / ".build" / "sanity"
LOG = ROOT / ".build" / "log" / "sanity.log"
NAME = "mlops.hosts"
SHIPPED = {"meta", "plugins", "roles", "playbooks"}
# Pythons that managed hosts may have; those that this machine has are used.
TARGETS = ("3.9", "3.10", "3.11", "3.12", "3.13")


class Failure(Exception):
    """A step that failed, in a sentence."""


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--ansible-test", action="store_true", help="ansible-test alone, that of this Python")
    options = parser.parse_args(argv)
    LOG.parent.mkdir(parents=True, exist_ok=True)
    LOG.write_text("")
    shutil.rmtree(WORK, ignore_errors=True)
    failed = 0
    artifact = _build(_copy())
    steps = [_ignores_nothing, _ansible_test, *([] if options.ansible_test else [_importer, _install_and_use])]
    for step in steps:
        try:
            step(artifact)
        except Failure as failure:
            failed += 1
            print(f"sanity: {failure}", flush=True)
    print(f"sanity: {'FAILED' if failed else 'passed'}; all of it is in {LOG.relative_to(ROOT)}")
    return 1 if failed else 0


def _ignores_nothing(_artifact: Path) -> None:
    ignored = [path.name for path in ROOT.glob("tests/sanity/ignore*.txt") if path.read_text().strip()]
    if ignored:
        raise Failure(f"no sanity test is ignored in this collection, but {', '.join(ignored)} ignores some")


def _copy() -> Path:
    """The tree as a fresh clone would have it, with what is not committed yet."""
    listed = _run("list files", ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT)
    tree = WORK / "tree"
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tree / name)
    return tree


def _build(tree: Path) -> Path:
    galaxy = Path(sys.executable).parent / "ansible-galaxy"
    _run("build", [str(galaxy), "collection", "build", "--output-path", str(WORK)], cwd=tree)
    (artifact,) = WORK.glob("*.tar.gz")
    print(f"sanity: built {artifact.name}, {artifact.stat().st_size // 1024} KiB")
    return artifact


def _ansible_test(artifact: Path) -> None:
    collection = WORK / "ansible_collections" / NAME.replace(".", "/")
    _unpack(artifact, collection)
    shutil.copytree(ROOT / "tests", collection / "tests", ignore=lambda _, names: set(names) - {"config.yml"})
    # ansible-test takes files from git, and would find the checkout around this folder, which ignores it.
    _run("make a repository", ["git", "init", "--quiet", "."], cwd=collection)
    pythons = _pythons()
    path = [Path(sys.executable).parent, *pythons.values(), *(d for d in _path() if d.name != "shims")]
    environment = {"PATH": os.pathsep.join(map(str, path))}
    argv = ["ansible-test", "sanity", "--local", "--color", "no"]
    try:
        _run("ansible-test", argv, cwd=collection, environment=environment)
    except Failure:
        if not _lay_pip_bootstrap():
            raise
        _run("ansible-test", argv, cwd=collection, environment=environment)
    tests = set(re.findall(r'^Running sanity test "(\S+)"', LOG.read_text(), re.MULTILINE))
    absent = [version for version in TARGETS if version not in pythons]
    print(f"sanity: {len(tests)} ansible-test tests passed; compile and import on Python {', '.join(pythons)}")
    if absent:
        print(f"sanity: not run on Python {', '.join(absent)}, which this machine does not have")


def _importer(artifact: Path) -> None:
    output = _run("galaxy-importer", [sys.executable, "-m", "galaxy_importer.main", str(artifact)], cwd=WORK)
    warnings = [line for line in output.splitlines() if line.startswith("WARNING")]
    if warnings:
        raise Failure(f"galaxy-importer warns: {'; '.join(warnings)}")
    print("sanity: galaxy-importer passed")


def _install_and_use(artifact: Path) -> None:
    """Install it with no network, delete what a user may delete, and see that all of it is still found and runs."""
    home = WORK / "installed"
    environment = {"ANSIBLE_COLLECTIONS_PATH": str(home)}
    argv = ["ansible-galaxy", "collection", "install", "--offline", "-p", str(home), str(artifact)]
    _run("install", argv, cwd=WORK, environment=environment)
    collection = home / "ansible_collections" / NAME.replace(".", "/")
    for path in collection.iterdir():
        if path.name not in {*SHIPPED, "MANIFEST.json", "FILES.json"}:
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    for kind, there in (
        ("module", {path.stem for path in (ROOT / "plugins/modules").glob("[!_]*.py")}),
        ("role", {path.parent.parent.name for path in (ROOT / "roles").glob("*/meta/argument_specs.yml")}),
    ):
        argv = ["ansible-doc", "--type", kind, "--list", "--json", NAME]
        found = {
            name.rpartition(".")[2]
            for name in json.loads(_run(f"list {kind}s", argv, cwd=WORK, environment=environment))
        }
        if found != there:
            raise Failure(
                f"the installed collection shows the {kind}s {sorted(found)}, the checkout has {sorted(there)}"
            )
        print(f"sanity: {len(found)} {kind}s are found in the installed collection")
    for playbook in sorted(collection.glob("playbooks/*.yml")):
        argv = ["ansible-playbook", "--syntax-check", "-i", "localhost,", f"{NAME}.{playbook.stem}"]
        _run(f"playbook {playbook.stem}", argv, cwd=WORK, environment=environment)
    argv = ["ansible", "localhost", "-i", "localhost,", "-c", "local", "-m", f"{NAME}.gpu_info"]
    interpreter = {"ANSIBLE_PYTHON_INTERPRETER": sys.executable, "ANSIBLE_LOCALHOST_WARNING": "false"}
    if "expected_from_pci" not in _run("run gpu_info", argv, cwd=WORK, environment={**environment, **interpreter}):
        raise Failure("gpu_info of the installed collection answered without expected_from_pci")
    print("sanity: installed offline with only meta, playbooks, plugins and roles, it runs")


def _unpack(artifact: Path, target: Path) -> None:
    target.mkdir(parents=True)
    _run("unpack", ["tar", "-xzf", str(artifact)], cwd=target)
    # A checkout has galaxy.yml where an artifact has a manifest; some sanity tests only look at a checkout.
    (target / "galaxy.yml").write_text(yaml.safe_dump(yaml.safe_load((ROOT / "galaxy.yml").read_text())))


def _pythons() -> dict[str, Path]:
    """Folder of each Python that works here. Launchers that only pretend (pyenv has some) are not counted."""
    folders = [*_path(), *sorted((Path.home() / ".pyenv/versions").glob("*/bin"), reverse=True)]
    found: dict[str, Path] = {}
    for version in TARGETS:
        for folder in folders:
            program = folder / f"python{version}"
            if (
                program.exists()
                and subprocess.run([program, "-c", ""], capture_output=True, check=False).returncode == 0
            ):
                found[version] = folder
                break
    return found


def _path() -> list[Path]:
    return [Path(name) for name in os.environ.get("PATH", "").split(os.pathsep) if name]


def _lay_pip_bootstrap() -> bool:
    """ansible-test downloads get-pip.py for its environments. Where it cannot, Python's own copy of pip does."""
    named = re.search(
        r"^The bootstrap script can be manually downloaded and saved to: (\S+)", LOG.read_text(), re.MULTILINE
    )
    if not named:
        return False
    target = Path(named[1])
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text("import ensurepip\nensurepip.bootstrap(upgrade=True)\n")
    return True


def _run(what: str, argv: list[str], *, cwd: Path, environment: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        argv,
        cwd=cwd,
        env={**os.environ, "ANSIBLE_NOCOLOR": "1", **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT if what == "ansible-test" else subprocess.PIPE,
        text=True,
        check=False,
    )
    with open(LOG, "a") as log:
        log.write(f"\n==== {what}: {' '.join(argv)}\n{done.stdout}{done.stderr or ''}")
    if done.returncode:
        lines = (done.stdout + (done.stderr or "")).splitlines()
        errors = [line for line in lines if line.startswith(("ERROR", "FATAL"))]
        raise Failure("\n".join([*(errors or lines[-40:]), f"{what} failed with exit code {done.returncode}"]))
    return done.stdout


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
