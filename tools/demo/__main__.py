#!/usr/bin/env python3
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The main job on this machine: two ML hosts and a log host, configured by the collection's own playbook.

python -m tools.demo, in the root of the checkout, with one of these:

    up      start the hosts, run playbooks/site.yml, ask the models, roll out a bad model and see it refused
    down    remove the hosts

The models are tiny and random, made here; the server, systemd, TLS and the logs are real. What is made lies in
.build/demo: the inventory, the secrets, the models and the logs of each step.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import secrets
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import yaml

from tools.demo.pki import make_pki

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".build" / "demo"
DEMO = Path(__file__).resolve().parent
GROUP = "demo"
ML_HOSTS = ("ml1", "ml2")
LOG_HOST = "loghost"
# llama.cpp is packaged for forky only.
HOSTS = [
    *({"name": name, "suite": "forky", "stock": True, "groups": ["ml_hosts"]} for name in ML_HOSTS),
    {"name": LOG_HOST, "suite": "trixie", "stock": True, "groups": ["log_hosts"]},
]
# A model that loads and is healthy, and never says a word: a health check passes it, a question does not.
MODELS = {"good": ["--seed=1"], "broken": ["--broken=says-nothing"]}
_RECAP = re.compile(r"^(\S+)\s+: ok=\d+\s+changed=(\d+)", re.MULTILINE)


class Failed(Exception):
    """A step did not end as it must; the text is for a person."""


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.demo", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("verb", choices=["up", "down"])
    try:
        return up() if parser.parse_args(argv).verb == "up" else down()
    except Failed as problem:
        print(f"demo: {problem}", file=sys.stderr)
        return 1


def up() -> int:
    FOLDER.mkdir(parents=True, exist_ok=True)
    say("1/6", "three hosts with systemd and SSH")
    hosts("up", "--group", GROUP, "--spec", "-", stdin=json.dumps(HOSTS))
    (FOLDER / "hosts.yml").write_text(hosts("inventory", "--group", GROUP))
    say("2/6", "a tiny model, and secrets of this demo")
    make_models()
    make_secrets()
    play("prepare", DEMO / "prepare.yml", show=False)
    say("3/6", "playbooks/site.yml: log shipping, models, model servers")
    changed = play("site", ROOT / "playbooks" / "site.yml", show=True)
    say("4/6", "a question to each model")
    answers = ask()
    say("5/6", "a bad model is rolled out to ml1; it loads, reports healthy, and never answers")
    begun = time.monotonic()
    roll_out_bad_model()
    took = time.monotonic() - begun
    say("6/6", "the old model answers again")
    ask(limit="ml1", lines=1)
    play("back", ROOT / "playbooks" / "site.yml", "--limit=ml1", show=False)
    report(answers, changed, took)
    return 0


def down() -> int:
    print(hosts("down", "--group", GROUP), end="")
    return 0


def say(step: str, text: str) -> None:
    print(f"\n== {step} {text}", flush=True)


def make_models() -> None:
    for name, options in MODELS.items():
        path = FOLDER / f"{name}.gguf"
        if not path.exists():
            run("model", [sys.executable, str(ROOT / "tools" / "fakes" / "tiny_model.py"), *options, str(path)])


def make_secrets() -> None:
    """What a team keeps in its vault. Made once, so that a second run finds a fleet that is right."""
    path = FOLDER / "secrets.yml"
    found: dict[str, Any] = yaml.safe_load(path.read_text()) if path.exists() else {}
    if "demo_api_key" not in found:
        found = {"demo_api_key": secrets.token_urlsafe(24), "demo_pki": make_pki(LOG_HOST, ML_HOSTS)}
    found["demo_folder"] = str(FOLDER)
    found["demo_sums"] = {name: hashlib.sha256((FOLDER / f"{name}.gguf").read_bytes()).hexdigest() for name in MODELS}
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as out:
        yaml.safe_dump(found, out)


def ask(limit: str = "ml_hosts", lines: int = 8) -> list[dict[str, Any]]:
    """Ask each model, show ``lines`` of what arrived on the log host because of it."""
    play("ask", DEMO / "ask.yml", f"--limit={limit},{LOG_HOST}", show=False)
    names = ML_HOSTS if limit == "ml_hosts" else (limit,)
    answers = [json.loads((FOLDER / f"answer-{name}.json").read_text()) for name in names]
    for answer in answers:
        print(f"{answer['host']}: {answer['tokens']} tokens of nonsense, as it must be: {answer['text'][:40]!r}")
        print(f"the request's log lines, as they arrived on {LOG_HOST}:")
        print("".join(f"  {line[:180]}\n" for line in answer["lines"][-lines:]), end="", flush=True)
    return answers


def roll_out_bad_model() -> None:
    """Must fail, and be taken back."""
    output = run(
        "bad-model", ansible(ROOT / "playbooks" / "site.yml", "--limit=ml1", "--extra-vars=demo_model=broken"), rc=2
    )
    said = re.search(r"Module failed: (.*?The host is as it was before)", output, re.DOTALL)
    if said is None:
        raise Failed(f"the bad model was not refused and taken back; see {log_path('bad-model')}")
    print(f"ml1 refused it: {' '.join(said.group(1).split())[:300]}", flush=True)


def report(answers: list[dict[str, Any]], changed: dict[str, int], took: float) -> None:
    rows = [("host", "model", "endpoint", "first token", "tokens/s", "log lines received")]
    for answer in answers:
        speed = "-" if answer["tokens_per_s"] is None else f"{answer['tokens_per_s']:.0f}"
        first = f"{answer['ttft_s'] * 1000:.0f} ms"
        rows.append((answer["host"], answer["model"], answer["endpoint"], first, speed, str(len(answer["lines"]))))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    print()
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
    print("\nsite.yml: " + ", ".join(f"{host} changed={count}" for host, count in sorted(changed.items())))
    print(f"bad model: refused and rolled back in {took:.0f} s; the old one answers")
    print(
        "\nLook around:\n"
        "  .venv/bin/python -m tools.hosts ps\n"
        "  .venv/bin/ansible -i .build/demo/hosts.yml ml1 -b -a 'systemctl status mlops-model-chat'\n"
        f"  .venv/bin/ansible -i .build/demo/hosts.yml {LOG_HOST} -b -a 'ls -R /var/log/mlops'\n"
        "Take it down: make demo-down",
        flush=True,
    )


def play(name: str, playbook: Path, *options: str, show: bool) -> dict[str, int]:
    """Run a playbook that must succeed. Returns how much changed on each host."""
    output = run(name, ansible(playbook, *options), show=show)
    return {host: int(count) for host, count in _RECAP.findall(output)}


def ansible(playbook: Path, *options: str) -> list[str]:
    return [
        str(Path(sys.executable).parent / "ansible-playbook"),
        f"--inventory={FOLDER / 'hosts.yml'}",
        f"--inventory={DEMO / 'inventory'}",
        f"--extra-vars=@{FOLDER / 'secrets.yml'}",
        *options,
        str(playbook),
    ]


def hosts(*argv: str, stdin: str | None = None) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "tools.hosts", *argv],
        cwd=ROOT,
        input=stdin,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        raise Failed(f"the hosts could not be managed: tools.hosts {argv[0]} exited with status {done.returncode}")
    return done.stdout


def run(name: str, argv: list[str], *, show: bool = False, rc: int = 0) -> str:
    """Run a program; its output goes to a log, and to the terminal as well with ``show``."""
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".build" / "collections"),
        "ANSIBLE_PIPELINING": "true",
        "ANSIBLE_INJECT_FACT_VARS": "false",
        "ANSIBLE_NOCOLOR": "true",
    }
    with (
        open(log_path(name), "w") as log,
        subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
        ) as process,
    ):
        lines = []
        for line in process.stdout or ():
            lines.append(line)
            log.write(line)
            if show:
                print(line, end="", flush=True)
    output = "".join(lines)
    if process.returncode != rc:
        raise Failed(
            f"{name} ended with {process.returncode}, expected {rc}:\n{output[-4000:]}(all of it: {log_path(name)})"
        )
    return output


def log_path(name: str) -> Path:
    return FOLDER / f"{name}.log"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
