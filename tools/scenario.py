# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run Molecule scenarios, several side by side, in the order that proves a role.

    scenario.py                  all scenarios but those that run by name only
    scenario.py --all            these, too: before a release, two hours
    scenario.py NAME ...         these
    scenario.py --keep NAME      leave the hosts there, to look at them (python -m tools.hosts ps, down --group NAME)

Order: create and prepare, check on the fresh host, converge, idempotence, check on the converged host, verify, absent,
absent again, in some back again, destroy. Molecule runs all of it in one call, since each costs it two seconds of a
processor before its work; what it does not know, and this does, is that a check on a converged host and a second absent
must change nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import typing as t
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from docker.errors import DockerException

ROOT = Path(__file__).resolve().parent.parent
if __name__ == "__main__":
    sys.path[0] = str(ROOT)

from tools import runs
from tools.ansible_listener import Listener
from tools.each import DETAILS
from tools.hosts.docker_engine import Problem, engine
from tools.hosts.group import Group

BUILD = ROOT / ".build"
# What a host is asked about itself when it is converged.
WHAT_RUNS = ROOT / "tools" / "hosts" / "what_runs.py"
STEP_LIMIT_S = 2700
TAIL_LINES = 120
# What `make test` leaves out, so that it ends in time on a slow machine of two processors; `--all` runs them, too.
BY_NAME_ONLY = (
    # Real builds of drivers, real vLLM and SGLang, and real Ray, which gives up its start after 30 s: all processors.
    "gpu_driver",
    "gpu_driver_trixie",
    "model_server_sglang",
    "model_server_vllm",
    "ray_cluster",
    # Clients load three servers for a quarter of an hour. The gateway under load is in host_drain.
    "model_rollout",
    # The same clients for as long as two drivers are built. What an upgrade does without load is in driver_upgrade.
    "driver_upgrade_load",
    # 200,000 numbered lines of two hosts, a minute's outage, restarts, and 20 kinds of breakage on each: half an hour.
    "log_loss",
    # apt resolves what the roles of two releases need, from nothing, and four hosts fetch or install it: ten minutes.
    "air_gap",
    # Another distribution's names and files for what a scenario that is not left out does on Debian, or on EL.
    "component_dnf",
    "container_runtime_el",
    "gpu_driver_rhel",
    "gpu_driver_ubuntu",
)
# They take longest where no earlier run is known, and begin first: none of them is to run alone at the end.
LONG = (
    "gpu_metrics",
    "monitoring",
    "gpu_driver_el",
    "cuda_toolkit",
    "gpu_settings",
    "gpu_driver_vendor",
    "as_users_do",
    "host_drain",
    "component_packages",
    "container_runtime_gpu",
)
# Two more than a machine of two processors has: a scenario keeps one busy, but waits a third of its time.
JOBS = 4
SLOWEST = 5
# Of the task that failed, in the closing line, which is all that a cut log may show.
WHY_CHARACTERS = 300
# Seconds of each scenario in the last run here that passed.
TOOK = BUILD / "log" / "molecule-seconds.json"
_BEGINS = re.compile(r"^INFO\s+\[\S+ > (\w+)\] Executing$")
_ERROR = re.compile(r"^\[ERROR\]: (.+)", re.MULTILINE)
_RECAP = re.compile(r"^(\S+)\s+: ok=\d+\s+changed=(\d+)", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Step:
    """An action of Molecule's test sequence."""

    name: str
    action: str
    unchanged: bool = False  # it must change nothing
    playbook: str | None = None  # it runs where the scenario has this
    optional: bool = False  # it runs where the scenario's own test_sequence has it


# The same as test_sequence in .config/molecule/config.yml, which a test compares.
STEPS = (
    Step("create", "create"),
    Step("prepare", "prepare", playbook="prepare.yml"),
    Step("check fresh", "check"),
    Step("converge", "converge"),
    Step("idempotence", "idempotence"),
    Step("check converged", "check", unchanged=True),
    Step("verify", "verify"),
    Step("absent", "side_effect", playbook="absent.yml"),
    Step("absent again", "side_effect", playbook="absent.yml", unchanged=True),
    Step("back", "converge", optional=True),
)


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a scenario ended."""

    name: str
    seconds: float
    failure: str | None
    took: tuple[tuple[str, float], ...]  # its steps, and the seconds of each
    tail: str  # of the log, when it failed
    hosts: tuple[runs.Record, ...] | None = None  # what each ran, None where one did not say it


class Failure(Exception):
    """A step did not do what it had to."""


class Scenario:
    """One scenario with its log and its state below .build."""

    def __init__(self, folder: Path, keep: bool) -> None:
        self.folder = folder
        self.name = folder.name
        self.keep = keep
        self.state = BUILD / "molecule" / self.name
        self.log = BUILD / "log" / f"molecule-{self.name}.log"
        self.hosts: tuple[runs.Record, ...] | None = None

    def run(self) -> Outcome:
        """All steps, in order, until one fails; the hosts go in any case."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.log.write_text("")
        begun = time.monotonic()
        took: list[tuple[str, float]] = []
        failure, tail = None, ""
        try:
            # A run that was killed may have left hosts: they are not fresh.
            self._clear()
            self._test(took)
        except Failure as problem:
            failure = str(problem)
            # Now, before the removal of the hosts is logged after it.
            lines = self.log.read_text(errors="replace").splitlines()[-TAIL_LINES:]
            tail = "\n".join([*lines, f"(all of it: {self.log.relative_to(ROOT)})", ""])
        finally:
            if not self.keep:
                self._clear()
        return Outcome(self.name, time.monotonic() - begun, failure, tuple(took), tail, self.hosts)

    def _test(self, took: list[tuple[str, float]]) -> None:
        """Molecule's test sequence until a step fails; what each took is added as it ends."""
        steps = iter(STEPS)
        step: Step | None = None
        started, output = time.monotonic(), ""
        argv = [_program("molecule"), "test", "--destroy=never", "--scenario-name", self.name]
        with Listener() as ansible, self._molecule(argv, ansible) as process, open(self.log, "a") as log:
            assert process.stdout is not None
            limit = _limit(process)
            try:
                for line in process.stdout:
                    log.write(line)
                    log.flush()
                    if begun := _BEGINS.search(line):
                        self._ended(step, output, started, took)
                        step = next(steps, None)
                        if step is None or step.action != begun[1]:
                            raise Failure(f"Molecule runs {begun[1]}, which is not the next step")
                        limit.cancel()
                        limit = _limit(process)
                        started, output = time.monotonic(), ""
                        if step.name == "verify":
                            self.hosts = self._what_runs()
                    output += line
                code = process.wait()
            except BaseException:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGTERM)
                raise
            finally:
                limit.cancel()
        name = step.name if step else "molecule"
        if code == -signal.SIGKILL and time.monotonic() - started >= STEP_LIMIT_S:
            raise Failure(f"{name} was not done after {STEP_LIMIT_S} s")
        if code:
            raise Failure(f"{name} failed with exit code {code}{_why(output)}")
        self._ended(step, output, started, took)
        if left := [later.name for later in steps if not later.optional]:
            raise Failure(f"Molecule did not run {', '.join(left)}")

    def _what_runs(self) -> tuple[runs.Record, ...] | None:
        """Of each host, when it is converged and before it is verified; a run that is not recorded can pass."""
        try:
            answers = Group(engine(), self.name).ask(WHAT_RUNS.read_text())
            return tuple(runs.host(host.name, host.suite, json.loads(text)) for host, text in answers)
        except (Problem, DockerException, subprocess.TimeoutExpired, ValueError) as problem:
            print(f"scenario {self.name}: not recorded, for a host did not say what it runs: {problem}", flush=True)
            return None

    def _ended(self, step: Step | None, output: str, started: float, took: list[tuple[str, float]]) -> None:
        if step is None or not (self.folder / step.playbook if step.playbook else self.folder).exists():
            return
        took.append((step.name, time.monotonic() - started))
        recap = _RECAP.findall(output)
        changed = [host for host, count in recap if count != "0"]
        if step.unchanged and not recap:
            raise Failure(f"{step.name} ran on no host")
        if step.unchanged and changed:
            raise Failure(f"{step.name} must change nothing, but changes {', '.join(changed)}")

    def _molecule(self, argv: list[str], ansible: Listener) -> subprocess.Popen[str]:
        with open(self.log, "a") as log:
            log.write(f"\n==== {' '.join(argv[1:])}\n")
        return subprocess.Popen(
            argv,
            cwd=ROOT,
            env=ansible.environment(self._environment()),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            process_group=0,
        )

    def _clear(self) -> None:
        try:
            Group(engine(), self.name).down()
        except (Problem, DockerException, OSError) as problem:
            raise Failure(f"destroy failed: {problem}") from problem
        # Molecule must not remember that these hosts were created and prepared.
        (self.state / "state.yml").unlink(missing_ok=True)

    def _environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}",
            "ANSIBLE_COLLECTIONS_PATH": str(BUILD / "collections"),
            "MOLECULE_PROJECT_DIRECTORY": str(ROOT),
            "MOLECULE_EPHEMERAL_DIRECTORY": str(self.state),
            # The recap is read below: no frames around it, no colours in it, no line folded.
            "MOLECULE_COMMAND_BORDERS": "false",
            # One pipe takes what Molecule logs and what it prints, in their order.
            "PYTHONUNBUFFERED": "1",
            "NO_COLOR": "1",
            "ANSIBLE_NOCOLOR": "1",
            "COLUMNS": "200",
            "MOLECULE_GLOB": str(self.folder / "molecule.yml"),
        }


def _why(output: str) -> str:
    """What Ansible said last of a task that failed: those before it may have failed on purpose."""
    errors = _ERROR.findall(output)
    return f": {errors[-1][:WHY_CHARACTERS]}" if errors else ""


def _limit(process: subprocess.Popen[str]) -> threading.Timer:
    """Kills the process and its children when a step takes too long."""
    timer = threading.Timer(STEP_LIMIT_S, os.killpg, (process.pid, signal.SIGKILL))
    timer.daemon = True
    timer.start()
    return timer


def main(argv: list[str]) -> int:
    options = _parser().parse_args(argv)
    folders = {path.parent.name: path.parent for path in sorted(ROOT.glob("molecule/*/molecule.yml"))}
    folders.update({Path(name).name: Path(name).resolve() for name in options.name if "/" in name})
    left_out = () if options.all else BY_NAME_ONLY
    names = [Path(name).name for name in options.name] or sorted(folders.keys() - set(left_out))
    if not options.name and left_out:
        print(_by_name_only(), flush=True)
    unknown = [name for name in names if name not in folders]
    if unknown:
        print(
            f"scenario: there is no {', '.join(unknown)}; scenarios are {', '.join(sorted(folders))}", file=sys.stderr
        )
        return 2
    if not names:
        print("scenario: there is none")
        return 0
    known = _read(TOOK)
    if set(names) <= known.keys():
        names.sort(key=known.__getitem__, reverse=True)
    else:
        names.sort(key=lambda name: LONG.index(name) if name in LONG else len(LONG))
    print(f"scenarios: {len(names)}, {_estimate(names, known, options.jobs)}", flush=True)
    with ThreadPoolExecutor(max_workers=options.jobs) as pool:
        outcomes: list[Outcome] = []
        for done in as_completed([pool.submit(Scenario(folders[name], options.keep).run) for name in names]):
            outcomes.append(done.result())
            if outcomes[-1].failure is None and outcomes[-1].hosts is not None:
                runs.note(runs.ring_of_scenario(outcomes[-1].name), outcomes[-1].hosts)
            left = set(names) - {outcome.name for outcome in outcomes}
            so_far = f"{len(outcomes)} of {len(names)}; {_estimate(left, known, options.jobs)}"
            print(_report(outcomes[-1]) + (f"  [{so_far}]" if left else ""), flush=True)
    failed = sum(outcome.failure is not None for outcome in outcomes)
    known.update({outcome.name: round(outcome.seconds) for outcome in outcomes if outcome.failure is None})
    TOOK.write_text(json.dumps(known, indent=1, sort_keys=True))
    print(_slowest(outcomes))
    _tell(outcomes, [] if options.name or options.all else [_by_name_only()])
    print(f"scenarios: {len(outcomes) - failed} passed, {failed} failed", flush=True)
    return 1 if failed else 0


def _read(path: Path) -> dict[str, t.Any]:
    try:
        return dict(json.loads(path.read_text()))
    except (OSError, ValueError):
        return {}


def _estimate(names: Collection[str], known: dict[str, int], jobs: int) -> str:
    """How long these take, from the last run; the longest one is the least."""
    seconds = [known[name] for name in names if name in known]
    if not seconds:
        return "no earlier run to estimate from"
    # Those that never ran here are taken for average ones.
    total = sum(seconds) * len(names) / len(seconds)
    return f"about {max([total / jobs, *seconds]) / 60:.0f} min left"


def _slowest(outcomes: list[Outcome]) -> str:
    steps = [(seconds, outcome.name, step) for outcome in outcomes for step, seconds in outcome.took]
    slowest = sorted(steps, reverse=True)[:SLOWEST]
    return "slowest steps: " + ", ".join(f"{name} {step} {seconds:.0f} s" for seconds, name, step in slowest)


def _by_name_only() -> str:
    """The scenarios that are left out of a run of all, and when each last passed."""
    passed, sources = runs.known(), runs.sources()
    told = []
    for name in BY_NAME_ONLY:
        last = passed.get(f"molecule/{name}")
        if last is None or last["date"] is None:
            told.append(f"{name} (no run that passed is noted)")
            continue
        changed = "" if last["sources"] == sources else ", before later changes of plugins or roles"
        told.append(f"{name} (passed on {last['date']}{changed})")
    return f"by name only: {', '.join(told)}"


def _tell(outcomes: list[Outcome], more: Collection[str] = ()) -> None:
    """Add a line for each scenario, the longest one first, to the table of tools/each.py that this is a part of."""
    if DETAILS not in os.environ:
        return
    with open(os.environ[DETAILS], "a") as details:
        for outcome in sorted(outcomes, key=lambda outcome: outcome.seconds, reverse=True):
            details.write(f"{outcome.name}: {outcome.failure or 'passed'}, {outcome.seconds:.0f} s\n")
        details.writelines(f"{line}\n" for line in (_slowest(outcomes), *more))


def _report(outcome: Outcome) -> str:
    verdict = outcome.failure or "passed"
    took = ", ".join(f"{step} {seconds:.0f}" for step, seconds in outcome.took)
    return f"{outcome.tail}scenario {outcome.name}: {verdict}, {outcome.seconds:.0f} s ({took})"


def _program(name: str) -> str:
    return str(Path(sys.executable).parent / name)


def _parser() -> argparse.ArgumentParser:
    summary, _, rest = (__doc__ or "").partition("\n")
    parser = argparse.ArgumentParser(
        description=summary, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", nargs="*", help="scenario, or path of one")
    parser.add_argument("--all", action="store_true", help="those that run by name only, too")
    parser.add_argument("--jobs", type=int, default=JOBS, help=f"how many at once ({JOBS})")
    parser.add_argument("--keep", action="store_true", help="leave the hosts there")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
