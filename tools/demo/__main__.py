#!/usr/bin/env python3
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole product on this machine: two ML hosts, their gateway, and a host for logs, metrics and alerts. They are
configured by the collection's own playbooks.

python -m tools.demo, in the root of the checkout, with one of these:

    up      start the hosts, run playbooks/site.yml, ask the model, change it while clients ask, roll out a bad one
            and see it refused, have a GPU fall off the bus, edit a file by hand, and audit the fleet
    down    remove the hosts

The models are tiny and random, made here; the GPUs and the line of the kernel about one are simulated. The servers, the
gateway, systemd, TLS, logs, Prometheus and Alertmanager are real. What is made lies in .build/demo: the inventory, the
secrets, the models, the report of the audit and the logs of each step.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import hashlib
import json
import os
import re
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tools.demo.pki import make_pki

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".build" / "demo"
DEMO = Path(__file__).resolve().parent
PLAYBOOKS = ROOT / "playbooks"
GROUP = "demo"
ML_HOSTS = ("ml1", "ml2")
# llama.cpp is packaged for forky only.
HOSTS = [
    *({"name": name, "suite": "forky", "stock": True, "groups": ["ml_hosts"]} for name in ML_HOSTS),
    {"name": "gateway", "suite": "trixie", "stock": True, "groups": ["gateways"]},
    {"name": "ops", "suite": "trixie", "stock": True, "groups": ["log_hosts", "monitoring_hosts"]},
]
# One loads and is healthy, and never says a word: a health check passes it, a question does not.
MODELS = {"v1": ["--seed=1"], "v2": ["--seed=2"], "silent": ["--broken=says-nothing"]}
EDITED = "/etc/systemd/system/mlops-model-chat.service"
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
    begun = time.monotonic()
    say("1/8", "four hosts with systemd and SSH: two for models, a gateway, and one for logs, metrics and alerts")
    hosts("up", "--group", GROUP, "--spec", "-", stdin=json.dumps(HOSTS))
    (FOLDER / "hosts.yml").write_text(hosts("inventory", "--group", GROUP))
    say("2/8", "tiny models, secrets of this demo, simulated GPUs")
    make_models()
    make_secrets()
    play("prepare", DEMO / "prepare.yml", show=False)
    say(
        "3/8", "playbooks/site.yml: logs, metrics, GPU events, models, model servers, gateway, Prometheus, Alertmanager"
    )
    changed = play("site", PLAYBOOKS / "site.yml", show=True)
    say("4/8", "a question to the model, through the gateway, over TLS with a key")
    ask()
    model = "v2" if desired_model() == "v1" else "v1"
    say(
        "5/8", f"playbooks/model_rollout.yml: model {model}, host by host, while 16 clients ask, half of them streaming"
    )
    with clients():
        rollout("rollout", model)
        desire_model(model)
        say("6/8", "a bad model: it loads, reports healthy, and never answers")
        rollout("bad-model", "silent", rc=2)
    seen = seen_by_clients()
    say("7/8", "a GPU of ml2 falls off the bus")
    alert()
    say(
        "8/8",
        "a unit of ml1, edited by hand: playbooks/audit.yml finds that alone, and playbooks/site.yml puts it back",
    )
    found = edit()
    report(changed, model, seen, found, time.monotonic() - begun)
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
    names = [str(host["name"]) for host in HOSTS]
    found: dict[str, Any] = yaml.safe_load(vault().read_text()) if vault().exists() else {}
    if not {"ca", *names} <= found.get("demo_pki", {}).keys():
        found = {
            "demo_api_key": f"sk-{secrets.token_urlsafe(24)}",
            "demo_upstream_key": f"sk-{secrets.token_urlsafe(24)}",
            "demo_pki": make_pki("ops", [name for name in names if name != "ops"]),
            "demo_model": "v1",
        }
    found["demo_folder"] = str(FOLDER)
    found["demo_sums"] = {name: hashlib.sha256((FOLDER / f"{name}.gguf").read_bytes()).hexdigest() for name in MODELS}
    write_vault(found)


def vault() -> Path:
    return FOLDER / "secrets.yml"


def write_vault(found: dict[str, Any]) -> None:
    handle = os.open(vault(), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as out:
        yaml.safe_dump(found, out)


def desired_model() -> str:
    return str(yaml.safe_load(vault().read_text())["demo_model"])


def desire_model(name: str) -> None:
    """What a team would commit to its inventory."""
    write_vault({**yaml.safe_load(vault().read_text()), "demo_model": name})


def ask() -> None:
    """Show what the model says, and what arrived on the log host because of it."""
    play("ask", DEMO / "ask.yml", show=False)
    asked = json.loads((FOLDER / "asked.json").read_text())
    answer = asked["answers"][0]
    print(f"{answer['tokens']} tokens of nonsense, as it must be: {answer['text'][:40]!r}")
    print(f"first token after {answer['ttft_s'] * 1000:.0f} ms; without a key and with a wrong one: refused")
    print("the requests' log lines, as they arrived on ops:")
    for lines in asked["lines"].values():
        print("".join(f"  {line[:180]}\n" for line in lines[-3:]), end="", flush=True)


def rollout(name: str, model: str, rc: int = 0) -> None:
    """Show what it says of each host, and of itself where it is stopped."""
    options = [f"--extra-vars=demo_model={model}", '--extra-vars={"model_rollout_batches": [1]}']
    begun = time.monotonic()
    output = run(name, ansible(PLAYBOOKS / "model_rollout.yml", *options), rc=rc)
    said = re.findall(r'ml\d (?:\([^)]*\): |is not as it should be)[^\n"]*', output)
    if not said:
        raise Failed(f"the rollout did not say who runs what; see {log_path(name)}")
    print("".join(f"{line[:300]}\n" for line in dict.fromkeys(said)), end="")
    print(f"took {time.monotonic() - begun:.0f} s", flush=True)


@contextlib.contextmanager
def clients() -> Iterator[None]:
    """Of the gateway, meanwhile. They end with what they are there for, also where it fails."""
    play("load-start", DEMO / "load.yml", "--extra-vars=demo_load=start", show=False)
    try:
        yield
    finally:
        play("load-stop", DEMO / "load.yml", "--extra-vars=demo_load=stop", show=False)


def seen_by_clients() -> collections.Counter[str]:
    """What all of them saw of both. Anything but whole answers is what this product is to prevent."""
    seen: collections.Counter[str] = collections.Counter()
    for found in json.loads((FOLDER / "load.json").read_text()).values():
        seen.update(found)
    bad = {what: count for what, count in seen.items() if not what.endswith(" whole")}
    if bad:
        raise Failed(f"clients saw {bad}; see {FOLDER / 'load.json'}")
    print(
        f"the clients meanwhile: {seen['stream whole']} streams and {seen['short whole']} short answers, all whole",
        flush=True,
    )
    return seen


def alert() -> None:
    play("alert", DEMO / "alert.yml", show=False)
    told = json.loads((FOLDER / "alert.json").read_text())
    print(f"on the log host: {' '.join(told['event'].split()[:4])} ... {told['event'].rpartition('] ')[2]}")
    print(f"on-call was told: {told['alert']['labels']['alertname']}: {told['alert']['annotations']['summary']}")
    print(f"what to do then:  {told['alert']['annotations']['runbook_url']}", flush=True)


def edit() -> str:
    """What the last audit says, of a fleet that is right again."""
    play("edit", DEMO / "edit.yml", f"--extra-vars=demo_edited={EDITED}", show=False)
    audit("audit-drift", rc=16)
    hosts_found = json.loads((FOLDER / "audit" / "drift.json").read_text())["hosts"]
    rows = [(host["name"], row["item"], row["attribute"]) for host in hosts_found for row in host["drift"]]
    print("".join(f"  {name}: {item}, its {attribute}\n" for name, item, attribute in rows), end="", flush=True)
    # The bad model has left nothing: its canary is what it was before, and so is its store.
    if [row[:2] for row in rows] != [("ml1", EDITED)]:
        raise Failed(f"the audit was to find {EDITED} of ml1 alone; see {log_path('audit-drift')}")
    play("back", PLAYBOOKS / "site.yml", "--limit=ml1", show=False)
    return audit("audit")


def audit(name: str, rc: int = 0) -> str:
    """Exit code 16 is a difference."""
    options = [f"--extra-vars=audit_dir={FOLDER / 'audit'}"]
    output = run(name, ansible(PLAYBOOKS / "audit.yml", *options), rc=rc)
    print("".join(f"{line}\n" for line in re.findall(r"^drift .*", output, re.MULTILINE)), end="")
    found = re.search(r"^\d+ hosts?: .*", output, re.MULTILINE)
    if found is None:
        raise Failed(f"the audit did not say what it found; see {log_path(name)}")
    print(found[0], flush=True)
    return found[0]


def report(changed: dict[str, int], model: str, seen: collections.Counter[str], found: str, took: float) -> None:
    print("\nsite.yml:    " + ", ".join(f"{host} changed={count}" for host, count in sorted(changed.items())))
    print(f"rollout:     {model} on both hosts; the clients' {sum(seen.values())} answers were all whole")
    print(f"bad model:   refused by the canary, which serves {model} again, and whose store says so")
    print(f"audit:       {found}")
    print(f"all of it:   {took / 60:.1f} minutes")
    print(
        "\nLook around:\n"
        f"  {(FOLDER / 'audit' / 'audit.html').relative_to(ROOT)}    the fleet page\n"
        "  docker exec mlops-hosts-demo-ops amtool --alertmanager.url=http://127.0.0.1:9093 alert\n"
        "  docker exec mlops-hosts-demo-ops ls -R /var/log/mlops\n"
        "  docker exec mlops-hosts-demo-ml1 systemctl status mlops-model-chat\n"
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
        # Where the fakes are: their tasks are those of the scenarios.
        "MOLECULE_PROJECT_DIRECTORY": str(ROOT),
        # Writes the report of playbooks/audit.yml; other playbooks do not concern it.
        "ANSIBLE_CALLBACKS_ENABLED": "mlops.hosts.audit",
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
        ended = f"{name} exited with status {process.returncode}, expected {rc}"
        raise Failed(f"{ended}:\n{output[-4000:]}(all of it: {log_path(name)})")
    return output


def log_path(name: str) -> Path:
    return FOLDER / f"{name}.log"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
