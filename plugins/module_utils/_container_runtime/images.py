# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Images by digest: which are there, and pulling those that are not."""

from __future__ import annotations

import json
import re
import typing as t

from .._errors import CommandError
from .._runner import NOT_FOUND, Completed, Runner

# Kubernetes looks for its images in this namespace of containerd.
_CTR = ("ctr", "--namespace", "k8s.io", "images")
_CRICTL = ("crictl", "--runtime-endpoint", "unix:///var/run/crio/crio.sock")
_PULL: dict[str, tuple[str, ...]] = {
    "docker": ("docker", "pull", "--quiet"),
    "podman": ("podman", "pull", "--quiet"),
    "containerd": (*_CTR, "pull", "--hosts-dir", "/etc/containerd/certs.d"),
    "crio": (*_CRICTL, "pull"),
}
_LOOK_TIMEOUT_S = 60
# Some are 20 GiB.
PULL_TIMEOUT_S = 3600
# What engines say, in the order in which it counts, and what it means.
_MEANINGS = (
    (
        r"x509: certificate signed by unknown authority|certificate is not trusted",
        "{registry} shows a certificate of an authority that this host does not know; give its certificate as ca in "
        "container_runtime_registries",
    ),
    (r"x509: ", "{registry} shows a certificate that is not for it, or not for now"),
    (
        r"server gave HTTP response to HTTPS client",
        "{registry} has no TLS; give it some, or name it in container_runtime_insecure_registries",
    ),
    (
        r"unauthorized|authentication required|no basic auth|\b401\b",
        "{registry} does not take the login, or wants one; see username and password in container_runtime_registries",
    ),
    (r"denied|\b403\b", "{registry} does not let this login at the image"),
    (r"manifest unknown|not found|\b404\b", "{registry} has no such image"),
    (
        r"connection refused|no such host|i/o timeout|no route to host|server misbehaving|Client.Timeout",
        "{registry} cannot be reached",
    ),
)


def missing(images: t.Sequence[str], provider: str, run: Runner) -> list[str]:
    """Those of the images that the engine does not have. All of them when there is no engine yet."""
    return [image for image in images if not _is_there(image, provider, run)]


def pull(image: str, provider: str, run: Runner, *, timeout_s: float, mirror: str | None = None) -> None:
    """Raises CommandError with what is in the way. ``mirror``: the address of a bundle that has it."""
    if mirror:
        _pull_from(mirror, image, provider, run, timeout_s=timeout_s)
        return
    done = run(*_PULL[provider], image, timeout_s=timeout_s)
    if done.rc != 0:
        raise _failed(image, provider, done, timeout_s)


def _pull_from(mirror: str, image: str, provider: str, run: Runner, *, timeout_s: float) -> None:
    from .._http_plain import PlainFetch  # few hosts have a mirror
    from . import mirror as mirrors

    registry = mirrors.Registry(mirror, PlainFetch())
    port = mirrors.DOCKER_PORT if provider == "docker" else 0
    with registry.open(port) as at, mirrors.told(image, provider, at) as (before, options):
        command = list(_PULL[provider])
        if options:
            command = command[: command.index(options[0])]
        done = run(*before, *command, *options, image, timeout_s=timeout_s)
    if done.rc != 0 and registry.problems:
        why = " ".join(f"{one}." for one in dict.fromkeys(registry.problems))
        raise CommandError(
            f"image {image} cannot be pulled from the mirror: {why} {provider} says: {done.last_words}", done
        )
    if done.rc != 0:
        raise _failed(image, provider, done, timeout_s)


def _failed(image: str, provider: str, done: Completed, timeout_s: float) -> CommandError:
    registry = registry_of(image)
    if done.timed_out:
        why = f"{registry} did not send it within {timeout_s:g} s"
    elif done.rc == NOT_FOUND:
        why = f"{_PULL[provider][0]} is not installed"
        if provider == "crio":
            why += ", and CRI-O cannot be asked without it; it is in the package cri-tools of Kubernetes"
    else:
        meanings = (text for pattern, text in _MEANINGS if re.search(pattern, done.stderr))
        why = next(meanings, "{registry} or the engine refused it").format(registry=registry)
    return CommandError(f"image {image} cannot be pulled: {why}: {done.last_words}", done)


def environment(image: str, provider: str, run: Runner) -> dict[str, str]:
    """The variables that an image of Docker or Podman gives its programs. Empty where it is not there."""
    done = run(provider, "image", "inspect", "--format", "{{json .Config.Env}}", image, timeout_s=_LOOK_TIMEOUT_S)
    try:
        said = json.loads(done.stdout) if done.rc == 0 else None
    except ValueError:
        said = None
    return dict(entry.partition("=")[::2] for entry in said or ())


def registry_of(image: str) -> str:
    """The registry in the name of an image, by the rule that all engines share."""
    first, slash, _rest = image.partition("/")
    return first if slash and re.search(r"[.:]|^localhost$", first) else "docker.io"


def _is_there(image: str, provider: str, run: Runner) -> bool:
    if provider == "containerd":
        found = run(*_CTR, "ls", "-q", f"name=={image}", timeout_s=_LOOK_TIMEOUT_S)
        return found.rc == 0 and image in found.stdout.split()
    if provider == "crio":
        return run(*_CRICTL, "inspecti", "--quiet", image, timeout_s=_LOOK_TIMEOUT_S).rc == 0
    return run(provider, "image", "inspect", "--format", "{{.Id}}", image, timeout_s=_LOOK_TIMEOUT_S).rc == 0
