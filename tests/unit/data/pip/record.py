# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records what a pip says when it fails: ``python record.py PYTHON...``, as root, since it mounts a disk that is full.

Each Python runs the pip that it brings with it, against an index of tiny wheels on this machine. What differs from run
to run is replaced: the folder and the port.
"""

from __future__ import annotations

import contextlib
import functools
import http.server
import pathlib
import shutil
import ssl
import subprocess
import sys
import tempfile
import threading

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parents[3] / "tools/fakes"))
from tiny_wheel import wheel  # noqa: E402


class Index(http.server.SimpleHTTPRequestHandler):
    """A package index. Below /closed it asks for a password."""

    def do_GET(self) -> None:
        if self.path.startswith("/closed"):
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="index"')
            self.end_headers()
        else:
            super().do_GET()

    def log_message(self, *args: object) -> None:
        pass


def serve(folder: pathlib.Path, certificate: pathlib.Path | None = None) -> http.server.ThreadingHTTPServer:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Index, directory=str(folder)))
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def main(pythons: list[str]) -> None:
    with tempfile.TemporaryDirectory() as name:
        top = pathlib.Path(name)
        index = top / "index"
        line = {
            package: wheel(package, version, index, requires=requires, more=more)
            for package, version, requires, more in (
                ("demo", "1.0", (), ""),
                ("needs", "1.0", ("demo>=1",), ""),
                ("exact", "1.0", ("demo==1.0",), ""),
                ("clash", "1.0", ("demo>=2",), ""),
                ("later", "1.0", (), "Requires-Python: >=3.99"),
                ("other", "1.0", (), ""),
            )
        }
        broken = index / "other/other-1.0-py3-none-any.whl"
        broken.write_bytes(b"PK not a wheel")
        hashed = subprocess.run(["sha256sum", broken], capture_output=True, text=True, check=True).stdout.split()[0]
        wrong = "demo==1.0 --hash=sha256:" + "0" * 64
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
            + ["-subj", "/CN=localhost", "-keyout", top / "tls.pem", "-out", top / "cert.pem"],
            check=True,
            capture_output=True,
        )
        (top / "tls.pem").write_text((top / "tls.pem").read_text() + (top / "cert.pem").read_text())
        plain, tls = serve(index), serve(index, top / "tls.pem")
        url = f"http://127.0.0.1:{plain.server_port}"
        cases = {
            "hash-mismatch": (url, wrong),
            "no-version": (url, line["demo"].replace("1.0", "9.9")),
            "no-package": (url, line["demo"].replace("demo", "nonesuch")),
            "other-python": (url, line["later"]),
            "incomplete-set": (url, line["needs"]),
            "incomplete-set-exact": (url, line["exact"]),
            "conflict": (url, line["demo"] + "\n" + line["clash"]),
            "broken-wheel": (url, f"other==1.0 --hash=sha256:{hashed}"),
            "refused": ("http://127.0.0.1:9", line["demo"]),
            "no-name": ("http://index.invalid", line["demo"]),
            "password": (f"{url}/closed", line["demo"]),
            "certificate": (f"https://localhost:{tls.server_port}", line["demo"]),
            "disk-full": (url, line["demo"]),
        }
        for python in pythons:
            for case, (address, text) in cases.items():
                environment = top / "environment"
                environment.mkdir()
                if case == "disk-full":
                    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", environment], check=True)
                try:
                    record(
                        python, case, address, text, environment, top, [str(plain.server_port), str(tls.server_port)]
                    )
                finally:
                    if case == "disk-full":
                        subprocess.run(["umount", environment], check=True)
                    shutil.rmtree(environment)


def record(
    python: str, case: str, url: str, text: str, environment: pathlib.Path, top: pathlib.Path, ports: list[str]
) -> None:
    subprocess.run([python, "-I", "-m", "venv", environment], check=True)
    (environment / "tmp").mkdir()
    if case == "disk-full":
        with open(environment / "filler", "wb", buffering=0) as filler, contextlib.suppress(OSError):
            while True:
                filler.write(bytes(4096))
    (top / "set.txt").write_text(text + "\n")
    (top / "pip.conf").write_text(f"[global]\nindex-url = {url}\nextra-index-url =\nfind-links =\n")
    pip = [environment / "bin/python", "-I", "-m", "pip"]
    version = subprocess.run([*pip, "--version"], capture_output=True, text=True, check=True).stdout.split()[1]
    done = subprocess.run(
        [*pip, "install", "--require-hashes", "--no-cache-dir", "--only-binary=:all:", "--progress-bar=off"]
        + ["--no-input", "--retries=1", "--requirement", top / "set.txt"],
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "PIP_CONFIG_FILE": str(top / "pip.conf"), "HOME": str(top)}
        | {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "TMPDIR": str(environment / "tmp")},
    )
    folder = HERE / version
    folder.mkdir(exist_ok=True)
    for end, said in (("rc", f"{done.returncode}\n"), ("stdout", done.stdout), ("stderr", done.stderr)):
        for port in ports:
            said = said.replace(f":{port}", ":3141").replace(f"port={port}", "port=3141")
        (folder / f"{case}.{end}").write_text(said.replace(str(top), "/srv/recorded"))


if __name__ == "__main__":
    main(sys.argv[1:])
