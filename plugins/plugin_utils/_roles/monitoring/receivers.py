# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Who is told of alerts: receivers, routes and inhibition of Alertmanager. Pure.

Secrets are in files of the host. The unit copies them to where Alertmanager alone reads them (LoadCredential= finds
none where systemd 257 runs in a container), and its configuration has the paths of the copies.
"""

from __future__ import annotations

import re
import typing as t

from ..built import Data

SEVERITIES = ("page", "ticket", "info")
NOTIFY: Data = {"group_wait_s": 30, "group_interval_s": 300, "repeat_s": 14400}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z")
CREDENTIALS = "/run/mlops-alertmanager"
# Options that a type of receiver needs, of those that not all have.
_NEEDS: t.Mapping[str, tuple[str, ...]] = {
    "webhook": (),
    "email": ("to", "from", "smarthost"),
    "slack": ("credential_file", "channel"),
    "pagerduty": ("credential_file",),
}
_HAS = {
    "webhook": ("url", "url_file", "credential_file", "username", "ca_file"),
    "email": ("to", "from", "smarthost", "username", "credential_file", "require_tls"),
    "slack": ("credential_file", "channel"),
    "pagerduty": ("credential_file",),
}
_OF_SOME = sorted({name for names in _HAS.values() for name in names})
# An alert that a host is gone says all that those of its GPUs and models could.
HOST_GONE = "HostSilent"


def severities(receiver: Data) -> tuple[str, ...]:
    return tuple(receiver.get("severities") or SEVERITIES)


def credentials(receivers: t.Sequence[Data]) -> dict[str, str]:
    """Files of the host that hold secrets, by the names of their copies."""
    return {
        f"{receiver['name']}.{name}": str(receiver[name])
        for receiver in receivers
        for name in ("url_file", "credential_file")
        if receiver.get(name)
    }


def problems(receivers: t.Sequence[Data], *, url_file: bool, release: str) -> t.Iterator[str]:
    """``url_file``: whether this release's Alertmanager reads the address of a webhook from a file."""
    if not receivers:
        yield "monitoring_receivers has no receiver, so that nobody would be told of alerts; add one."
    names = [receiver["name"] for receiver in receivers]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        yield f"monitoring_receivers has {', '.join(twice)} twice; give each a name of its own."
    for receiver in receivers:
        for problem in _problems(receiver, url_file=url_file, release=release):
            yield f"Receiver {receiver['name']!r} {problem}."


def _problems(receiver: Data, *, url_file: bool, release: str) -> t.Iterator[str]:
    kind = receiver["type"]
    given = [name for name in _OF_SOME if receiver.get(name) is not None]
    if not _NAME.match(receiver["name"]):
        yield "cannot be its name; use letters, digits, -, _ and dots, 64 at most"
    if missing := [name for name in _NEEDS[kind] if name not in given]:
        yield f"needs {' and '.join(missing)} to be told by {kind}"
    if strange := [name for name in given if name not in _HAS[kind]]:
        yield f"is told by {kind}, which has no {', '.join(strange)}"
    bad = [receiver[name] for name in ("url_file", "credential_file", "ca_file") if not _absolute(receiver.get(name))]
    if bad:
        yield f"names {', '.join(bad)}; give absolute paths of files on the host, without blanks"
    if kind == "webhook":
        yield from _webhook_problems(receiver, url_file=url_file, release=release)
    if kind == "email" and ("username" in given) != ("credential_file" in given):
        yield "needs both username and credential_file, the file that has its password, or neither"
    if kind == "email" and "credential_file" not in given and not _loopback(str(receiver.get("smarthost") or "")):
        yield (
            "has no credential for a mail server of another host; give username and credential_file, the file that has "
            "its password"
        )


def _webhook_problems(receiver: Data, *, url_file: bool, release: str) -> t.Iterator[str]:
    url = receiver.get("url")
    if (url is None) == (receiver.get("url_file") is None):
        yield "needs either url or url_file, the file that has its address"
    if receiver.get("url_file") is not None and not url_file:
        yield (
            f"has url_file, which Alertmanager of {release} does not read; give url, and as credential_file the file "
            "of a token"
        )
    if url is not None and not re.fullmatch(r"https?://[^\s/@]+(/\S*)?", url):
        yield "must have a url as http://HOST:PORT/PATH or https://HOST/PATH, without user and password"
    elif url is not None and receiver.get("credential_file") is None and not _loopback(url.partition("://")[2]):
        yield (
            "has no credential for another host; give credential_file, the file of a token or of the password of "
            "username, or url_file, where the address itself is secret"
        )
    if receiver.get("username") is not None and receiver.get("credential_file") is None:
        yield "has a username and needs credential_file, the file that has its password"


def _absolute(path: str | None) -> bool:
    return path is None or bool(re.fullmatch(r"/[^\s\"'\\%:]+", path))


def _loopback(address: str) -> bool:
    return bool(re.match(r"(127\.[0-9.]+|localhost|\[::1\])([:/]|\Z)", address))


def configuration(receivers: t.Sequence[Data], notify: Data) -> dict[str, t.Any]:
    """The file of Alertmanager. No secret is among it."""
    waits = {**NOTIFY, **{name: value for name, value in notify.items() if value is not None}}
    return {
        "route": {
            # What no receiver takes ends here.
            "receiver": "nobody",
            "group_by": ["alertname", "host"],
            "group_wait": f"{waits['group_wait_s']}s",
            "group_interval": f"{waits['group_interval_s']}s",
            "repeat_interval": f"{waits['repeat_s']}s",
            "routes": [
                {
                    "receiver": receiver["name"],
                    "matchers": [f'severity=~"{"|".join(severities(receiver))}"'],
                    "continue": True,
                }
                for receiver in receivers
            ],
        },
        "inhibit_rules": [
            {
                "source_matchers": [f'alertname="{HOST_GONE}"'],
                "target_matchers": [f'alertname!="{HOST_GONE}"'],
                "equal": ["host"],
            },
            {
                "source_matchers": ['severity="page"'],
                "target_matchers": ['severity=~"ticket|info"'],
                "equal": ["alertname", "host", "gpu", "model_instance"],
            },
        ],
        "receivers": [{"name": "nobody"}, *({"name": one["name"], **_told_by(one)} for one in receivers)],
    }


def _told_by(receiver: Data) -> dict[str, t.Any]:
    kind, resolved = receiver["type"], {"send_resolved": receiver.get("send_resolved") is not False}
    secret = f"{CREDENTIALS}/{receiver['name']}.credential_file"
    if kind == "slack":
        return {"slack_configs": [{"api_url_file": secret, "channel": receiver["channel"], **resolved}]}
    if kind == "pagerduty":
        return {"pagerduty_configs": [{"routing_key_file": secret, **resolved}]}
    if kind == "email":
        given = {name: receiver[name] for name in ("to", "from", "smarthost")}
        login = (
            {"auth_username": receiver["username"], "auth_password_file": secret} if receiver.get("username") else {}
        )
        tls = {"require_tls": receiver.get("require_tls") is not False}
        return {"email_configs": [{**given, **login, **tls, **resolved}]}
    address = (
        {"url": receiver["url"]} if receiver.get("url") else {"url_file": f"{CREDENTIALS}/{receiver['name']}.url_file"}
    )
    client: dict[str, t.Any] = {}
    if receiver.get("username"):
        client["basic_auth"] = {"username": receiver["username"], "password_file": secret}
    elif receiver.get("credential_file"):
        client["authorization"] = {"credentials_file": secret}
    if receiver.get("ca_file"):
        client["tls_config"] = {"ca_file": receiver["ca_file"]}
    return {"webhook_configs": [{**address, **({"http_config": client} if client else {}), **resolved}]}
