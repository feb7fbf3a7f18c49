# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A gateway below a folder, whose HAProxy is simulated."""

from __future__ import annotations

import datetime
import pathlib
import typing as t

from ansible_collections.mlops.hosts.plugins.module_utils._gateway.host import Gateway
from ansible_collections.mlops.hosts.plugins.module_utils._runner import Completed
from ansible_collections.mlops.hosts.tests.unit.fake_haproxy import CONFIG, FakeHaproxy
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

UTC = datetime.timezone.utc
NOW = datetime.datetime(2026, 11, 29, 12, tzinfo=UTC)
KEYS = "etc/mlops.hosts/model_gateway/keys.map"
TLS = "etc/mlops.hosts/model_gateway/tls.pem"
TEXT = """
global
    server-state-file /var/lib/mlops-gateway/servers.state
frontend clients
    http-request deny unless { http_auth_bearer,map(/etc/mlops.hosts/model_gateway/keys.map) -m found }
backend model.chat
    server one:chat 10.0.0.1:8001
    server two:chat 10.0.0.2:8001
backend model.embed
    server two:embed 10.0.0.2:8002
"""


class Checks:
    """A Runner for ``haproxy -c``."""

    def __init__(self) -> None:
        self.rc, self.stderr = 0, ""
        self.calls: list[tuple[str, ...]] = []

    def __call__(self, *argv: str, timeout_s: float | None = None, stdin: str | None = None) -> Completed:
        self.calls.append(argv)
        return Completed(argv, self.rc, "", self.stderr)


class Host:
    """Its files, its HAProxy, and a clock that moves when somebody sleeps. ``during``: called at each sleep."""

    def __init__(self, root: pathlib.Path, version: str = "3.0") -> None:
        (root / CONFIG).parent.mkdir(parents=True)
        self.root = root
        self.write(CONFIG, TEXT)
        self.write(KEYS, "k1 alice\nk2 bob\n")
        self.haproxy = FakeHaproxy(root, version)
        self.checks = Checks()
        self.seconds = 0.0
        self.killed: list[int] = []
        self.today = NOW
        self.during: t.Callable[[], None] = lambda: None
        self.gateway = Gateway(
            root=str(root),
            run=self.checks,
            clock=lambda: self.seconds,
            sleep=self._sleep,
            kill=lambda pid, _signal: self.killed.append(pid),
            now=lambda: self.today,
        )

    def write(self, path: str, text: str) -> None:
        (self.root / path).write_text(text)

    def edit(self, path: str, old: str, new: str) -> None:
        text = (self.root / path).read_text()
        assert old in text
        self.write(path, text.replace(old, new))

    def _sleep(self, seconds: float) -> None:
        self.seconds += seconds
        self.during()


def pem(ends: datetime.datetime, begins: datetime.datetime = NOW - datetime.timedelta(days=1)) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gateway")])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), begins, ends)
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return made.decode() + key.private_bytes(*form).decode()
