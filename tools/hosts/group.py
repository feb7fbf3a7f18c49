# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A group of test hosts: containers that run systemd and sshd, on a network of their own."""

from __future__ import annotations

import calendar
import contextlib
import dataclasses
import json
import re
import shlex
import subprocess
import time
import typing as t
import urllib.parse
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import docker
from docker.errors import APIError, NotFound
from docker.models.containers import Container

from tools.hosts.apt_mirror import machine_mirror
from tools.hosts.docker_engine import ROOT, Problem, only_one, say
from tools.hosts.image import USER, ensure, ensure_cache
from tools.hosts.ssh import PRIVATE_KEY, SSH_DIR, archive, free_port, greets, public_key

GROUP, CHECKOUT, SPEC, PORT = "mlops.hosts", "mlops.hosts.checkout", "mlops.hosts.spec", "mlops.hosts.ssh"
CACHE = "mlops-hosts-cache"
CACHE_PORT = 3142
BOOT_LIMIT_S = 240
ASK_LIMIT_S = 120
LISTS_OLD_S = 6 * 3600
INOTIFY_INSTANCES = 8192


@dataclasses.dataclass(frozen=True)
class Host:
    """What a host should be."""

    name: str
    suite: str
    image: str = ""
    stock: bool = False
    groups: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    tmpfs: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    publish: Mapping[str, int] = dataclasses.field(default_factory=dict)
    vars: Mapping[str, t.Any] = dataclasses.field(default_factory=dict)

    @classmethod
    def of(cls, item: Mapping[str, t.Any]) -> Host:
        """A host from a line of a spec."""
        known = {field.name for field in dataclasses.fields(cls)}
        wrong = sorted(set(item) - known)
        if wrong or not {"name", "suite"} <= set(item):
            raise Problem(
                f"a host needs name and suite and may have {', '.join(sorted(known))}; found {', '.join(sorted(item))}"
            )
        values: dict[str, t.Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in item.items()}
        return cls(**values)


class Group:
    """The hosts of one label."""

    def __init__(self, client: docker.DockerClient, name: str) -> None:
        self.client = client
        self.name = name
        self.network = f"mlops-hosts-{name}"
        self.known_hosts = SSH_DIR / f"known_hosts-{name}"

    def up(self, hosts: list[Host]) -> list[str]:
        """Start the hosts that do not run yet and wait for all of them; one line each."""
        key = public_key()
        _raise_inotify_limit()
        images = ensure(self.client, ((host.suite, host.stock) for host in hosts if not host.image))
        self._make_network()
        with ThreadPoolExecutor(max_workers=4) as pool:
            begun = time.monotonic()
            list(pool.map(lambda host: self._start(host, host.image or images[host.suite, host.stock], key), hosts))
            lines = list(pool.map(lambda host: self._ready(host, begun), hosts))
        self._write_known_hosts()
        return lines

    def down(self) -> int:
        """Remove the group's hosts, their volumes and their network."""
        containers = self._containers(stopped=True)
        with ThreadPoolExecutor(max_workers=4) as pool:
            list(pool.map(_remove, containers))
        try:
            network = self.client.networks.get(self.network)
            for attached in network.attrs["Containers"] or {}:
                network.disconnect(attached, force=True)
            network.remove()
        except NotFound:
            pass
        self.known_hosts.unlink(missing_ok=True)
        return len(containers)

    def snapshot(self, name: str, image: str) -> None:
        """Make an image of a host that runs, as ``image`` of other hosts."""
        try:
            container = self.client.containers.get(self._full(name))
        except NotFound:
            raise Problem(f"the group {self.name} has no host {name}") from None
        container.commit(repository=image)

    def ask(self, program: str) -> list[tuple[Host, str]]:
        """What a program in Python prints, run by root, on each host that runs.

        By SSH: no process can be added to the cgroup of a host where podman has made others below it.
        """
        return [(_spec(one), self._ssh(one, program)) for one in self._containers()]

    def _ssh(self, container: Container, program: str) -> str:
        options = ("BatchMode=yes", "IdentitiesOnly=yes", f"UserKnownHostsFile={self.known_hosts}")
        argv = ["ssh", "-p", container.labels[PORT], "-i", str(PRIVATE_KEY), *(f"-o{option}" for option in options)]
        done = subprocess.run(
            [*argv, f"{USER}@127.0.0.1", "sudo /usr/bin/python3 -"],
            input=program,
            capture_output=True,
            text=True,
            timeout=ASK_LIMIT_S,
            check=False,
        )
        if done.returncode:
            raise Problem(f"{_spec(container).name} exited with status {done.returncode}: {done.stderr.strip()[-300:]}")
        return done.stdout

    def inventory(self) -> dict[str, t.Any]:
        """An Ansible inventory of the hosts that run."""
        hosts: dict[str, t.Any] = {}
        children: dict[str, t.Any] = {}
        for container in self._containers():
            host = _spec(container)
            hosts[host.name] = {"ansible_port": int(container.labels[PORT]), **host.vars}
            for group in host.groups:
                children.setdefault(group, {"hosts": {}})["hosts"][host.name] = {}
        if not hosts:
            raise Problem(
                f"no host of {self.name} runs; start some: python -m tools.hosts up --group {self.name} NAME=SUITE"
            )
        connection = {
            "ansible_host": "127.0.0.1",
            "ansible_user": USER,
            "ansible_ssh_private_key_file": str(PRIVATE_KEY),
            "ansible_ssh_common_args": " ".join(
                f"-o {shlex.quote(option)}"
                for option in (f'UserKnownHostsFile="{self.known_hosts}"', "IdentitiesOnly=yes")
            ),
            "ansible_ssh_args": "-o ControlMaster=auto -o ControlPersist=300s",
            "ansible_python_interpreter": "/usr/bin/python3",
        }
        return {"all": {"vars": connection, "hosts": hosts, "children": children}}

    def describe(self) -> list[str]:
        """One line per host, for people."""
        return [f"{self.name}: {_line(container)}" for container in self._containers(stopped=True)]

    def _full(self, name: str) -> str:
        return f"{self.network}-{name}"

    def _containers(self, stopped: bool = False) -> list[Container]:
        found = self.client.containers.list(all=True, filters={"label": f"{GROUP}={self.name}"})
        return sorted((c for c in found if _ours(c) and (stopped or c.status == "running")), key=lambda c: str(c.name))

    def _make_network(self) -> None:
        with only_one("network"):
            try:
                network = self.client.networks.get(self.network)
            except NotFound:
                network = self.client.networks.create(self.network, driver="bridge", labels={GROUP: self.name})
            if _cached_mirror():
                cache = self._cache()
                if cache.id not in (network.attrs["Containers"] or {}):
                    network.connect(cache, aliases=["package-cache"])

    def _cache(self) -> Container:
        image = ensure_cache(self.client)
        with contextlib.suppress(NotFound):
            cache = self.client.containers.get(CACHE)
            if cache.attrs["Config"]["Image"] == image:
                cache.start()
                return cache
            _remove(cache)
        volumes = {CACHE: {"bind": "/var/cache/packages", "mode": "rw"}}
        return self.client.containers.run(image, name=CACHE, volumes=volumes, init=True, detach=True)

    def _start(self, host: Host, image: str, key: str) -> None:
        with contextlib.suppress(NotFound):
            known = self.client.containers.get(self._full(host.name))
            if _ours(known) and known.status != "created":
                known.start()
                return
            if known.status == "running":
                raise Problem(f"{known.name} runs already, started from {known.labels[CHECKOUT]}; take it down there")
            _remove(known)  # left by a run that was killed
        others = self.client.containers.list(all=True, filters={"label": PORT}, ignore_removed=True)
        labels = {
            GROUP: self.name,
            CHECKOUT: str(ROOT),
            SPEC: json.dumps(dataclasses.asdict(host)),
            PORT: str(free_port({int(one.labels[PORT]) for one in others})),
        }
        published = {"22": int(labels[PORT]), **host.publish}
        api = self.client.api
        settings = api.create_host_config(
            network_mode=self.network,
            port_bindings={port: ("127.0.0.1", at) for port, at in published.items()},
            # Not --privileged: it fails where the machine itself has no CAP_SYS_RESOURCE to give.
            cap_add=["ALL"],
            cap_drop=["SYS_RESOURCE", *host.cap_drop],
            security_opt=["seccomp=unconfined"],
            cgroupns="host",
            tmpfs={"/run": "", "/run/lock": "", **dict(_pair(mount) for mount in host.tmpfs)},
            binds=[f"{_cgroup(self.client)}:/sys/fs/cgroup:rw", *(volume for volume in host.volumes if ":" in volume)],
        )
        # What the command line calls systempaths=unconfined; a container engine inside the host needs it.
        settings.update(MaskedPaths=[], ReadonlyPaths=[])
        made = api.create_container(
            image,
            name=self._full(host.name),
            hostname=host.name,
            labels=labels,
            ports=[int(port) for port in published],
            volumes=[volume for volume in host.volumes if ":" not in volume],
            host_config=settings,
            networking_config=api.create_networking_config(
                {self.network: api.create_endpoint_config(aliases=[host.name])}
            ),
        )
        container = self.client.containers.get(made["Id"])
        files = {f"home/{USER}/.ssh/authorized_keys": key}
        mirror = _cached_mirror()
        if mirror:
            # Only this mirror goes through the cache: a repository that a test brings along is asked directly.
            files["etc/apt/apt.conf.d/11cache"] = (
                f'Acquire::http::Proxy::{mirror} "http://package-cache:{CACHE_PORT}";\n'
            )
        container.put_archive("/", archive(files))
        container.start()

    def _ready(self, host: Host, begun: float) -> str:
        container = self.client.containers.get(self._full(host.name))
        limit = time.monotonic() + BOOT_LIMIT_S
        state = "unknown"
        while time.monotonic() < limit:
            container.reload()
            if container.status != "running":
                log = container.logs(tail=20).decode(errors="replace").strip()
                raise Problem(
                    f"{host.name} stopped while it booted (is systemd able to run here?): {log or 'it said nothing'}"
                )
            # One question that waits: each that does not starts processes while the host needs the processor to boot.
            state = _run(container, "timeout", "30", "systemctl", "is-system-running", "--wait")
            if state in ("running", "degraded") and greets(int(container.labels[PORT])):
                break
            time.sleep(0.2)
        else:
            raise Problem(
                f"{host.name} is not up after {BOOT_LIMIT_S} s; systemd: {state}; failed units: {_failed(container)}"
            )
        if _image_age(container) > LISTS_OLD_S:
            _run(container, "apt-get", "update", "-qq")
        failed = f", failed units: {_failed(container)}" if state == "degraded" else ""
        return f"{host.name}: {host.suite}, {state} after {time.monotonic() - begun:.1f} s{failed}"

    def _write_known_hosts(self) -> None:
        lines = []
        for container in self._containers():
            lines.append(f"[127.0.0.1]:{container.labels[PORT]} {_host_key(container)}\n")
        self.known_hosts.write_text("".join(lines))


def groups(client: docker.DockerClient) -> list[str]:
    """Names of the groups that have a host, started from this checkout."""
    return sorted(
        {str(c.labels[GROUP]) for c in client.containers.list(all=True, filters={"label": GROUP}) if _ours(c)}
    )


def forget(client: docker.DockerClient, image: str) -> None:
    """Remove an image that ``snapshot`` made; one that is not there is fine."""
    with contextlib.suppress(NotFound):
        client.images.remove(image)


def remove_cache(client: docker.DockerClient) -> None:
    """Remove the package cache, unless hosts of another checkout use it; the packages stay in its volume."""
    if not client.containers.list(filters={"label": GROUP}):
        with contextlib.suppress(NotFound):
            _remove(client.containers.get(CACHE))


def _raise_inotify_limit() -> None:
    """All hosts together may open what one user may, 128 by default, of which each takes several: then no more boot."""
    path = Path("/proc/sys/fs/inotify/max_user_instances")
    with contextlib.suppress(OSError):  # not root, or the engine is on another machine: what fails will say so
        if int(path.read_text()) < INOTIFY_INSTANCES:
            path.write_text(str(INOTIFY_INSTANCES))
            say(f"raised fs.inotify.max_user_instances to {INOTIFY_INSTANCES}")


def _ours(container: Container) -> bool:
    return str(container.labels.get(CHECKOUT, ROOT)) == str(ROOT)


def _remove(container: Container) -> None:
    try:
        container.remove(v=True, force=True)
    except NotFound:
        pass
    except APIError as error:
        if error.status_code != 409:  # its removal is already under way
            raise


def _spec(container: Container) -> Host:
    return Host.of(json.loads(container.labels[SPEC]))


def _line(container: Container) -> str:
    host = _spec(container)
    login = f"ssh -p {container.labels[PORT]} -i {PRIVATE_KEY} {USER}@127.0.0.1"
    return f"{host.name} ({host.suite}) {container.status}, {login}"


def _run(container: Container, *argv: str) -> str:
    """Run a command in the host; its output, whatever it exits with."""
    return str(container.exec_run(list(argv)).output.decode(errors="replace")).strip()


def _host_key(container: Container) -> str:
    """That of its sshd. An engine that is busy may answer with its own words, or with none."""
    for _ in range(20):
        said = _run(container, "cat", "/etc/ssh/ssh_host_ed25519_key.pub")
        if found := re.match(r"ssh-ed25519 [A-Za-z0-9+/=]{68}(?= |$)", said):
            return found[0]
        time.sleep(0.5)
    raise Problem(f"{container.name} must have an SSH host key, and says {said or 'nothing'!r}; run it again")


def _failed(container: Container) -> str:
    listed = _run(container, "systemctl", "list-units", "--failed", "--plain", "--no-legend")
    return ", ".join(line.split()[0] for line in listed.splitlines() if line) or "none"


def _image_age(container: Container) -> float:
    created = str(container.image.attrs["Created"])[:19] if container.image else "1970-01-01T00:00:00"
    return time.time() - calendar.timegm(time.strptime(created, "%Y-%m-%dT%H:%M:%S"))


def _cgroup(client: docker.DockerClient) -> str:
    """The cgroup v2 tree; systemd 258 and later start on no other."""
    if client.info().get("CgroupVersion") == "2":
        return "/sys/fs/cgroup"
    if not Path("/sys/fs/cgroup/unified").is_dir():
        raise Problem(
            "this machine has cgroup v1 only; test hosts need v2 or a hybrid, which has /sys/fs/cgroup/unified"
        )
    return "/sys/fs/cgroup/unified"


def _cached_mirror() -> str | None:
    """Name of the mirror whose packages are cached; https cannot be."""
    mirror = machine_mirror()
    parts = urllib.parse.urlsplit(mirror.main) if mirror else None
    return str(parts.hostname) if parts and parts.scheme == "http" else None


def _pair(mount: str) -> tuple[str, str]:
    path, _, options = mount.partition(":")
    return path, options
