# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Both ways to ask over HTTP, against real servers on loopback, where localhost is another host than 127.0.0.1."""

from __future__ import annotations

import datetime
import gzip
import http.server
import ipaddress
import ssl
import threading
import zlib

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._errors import HostError
from ansible_collections.mlops.hosts.plugins.module_utils._http import Unreachable, Untrusted, same_recipient
from ansible_collections.mlops.hosts.plugins.module_utils._http_module import ModuleFetch
from ansible_collections.mlops.hosts.plugins.module_utils._http_plain import PlainFetch
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

TEXT = b"All of it, " * 20_000
SECRET = {"Authorization": "Bearer a-secret"}


class Server(http.server.ThreadingHTTPServer):
    """Answers ``answers[path]``, a status with headers and a body, and notes what was asked."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, context=None):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers, self.asked = {}, []
        self.scheme = "https" if context else "http"
        if context:
            self.socket = context.wrap_socket(self.socket, server_side=True)
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def at(self, host, path="/"):
        return f"{self.scheme}://{host}:{self.server_port}{path}"

    def handle_error(self, *_args):
        pass


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append((self.path, self.headers))
        status, headers, body = self.server.answers.get(self.path, (404, {}, b""))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_POST = do_GET

    def log_message(self, *_args):
        pass


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.timezone.utc)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(secret + made.public_bytes(pem))
    return path


@pytest.fixture
def servers(certificate):
    """The one that is asked, another one of the same host, and one over TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    started = [Server(), Server(), Server(context)]
    yield started
    for server in started:
        server.shutdown()
        server.server_close()


@pytest.fixture(params=["plain", "module"])
def fetch(request, certificate, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    monkeypatch.setenv("HOME", str(certificate.parent))
    return PlainFetch() if request.param == "plain" else ModuleFetch(ca_path=str(certificate))


def read(fetch, url, **options):
    with fetch(url, timeout_s=5, **options) as answer:
        return answer, answer.body.read()


# Redirects


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    ("first", "to", "place", "kept"),
    [
        pytest.param(0, "/end", 0, True, id="relative"),
        pytest.param(0, "end?signature=x", 0, True, id="relative-without-slash"),
        pytest.param(0, "//{0}/end", 0, True, id="relative-to-the-scheme"),
        pytest.param(0, "http://{0}/end", 0, True, id="same-host"),
        pytest.param(0, "http://LOCALHOST:{port0}/end", 0, False, id="other-host"),
        pytest.param(0, "http://{1}/end", 1, False, id="same-host-other-port"),
        pytest.param(0, "https://{2}/end", 2, True, id="same-host-now-https"),
        pytest.param(0, "https://localhost:{port2}/end", 2, False, id="other-host-https"),
        pytest.param(2, "https://{2}/end", 2, True, id="same-host-https"),
        pytest.param(2, "http://{0}/end", 0, False, id="same-host-no-longer-https"),
    ],
)
def test_a_redirect_takes_the_token_along_within_one_host(fetch, servers, status, first, to, place, kept):
    hosts = [f"127.0.0.1:{server.server_port}" for server in servers]
    ports = {f"port{number}": server.server_port for number, server in enumerate(servers)}
    servers[first].answers["/start"] = (status, {"Location": to.format(*hosts, **ports)}, b"")
    for path in ("/end", "/end?signature=x"):
        servers[place].answers[path] = (200, {}, b"here")
    answer, body = read(fetch, servers[first].at("127.0.0.1", "/start"), headers={**SECRET, "Range": "bytes=1-"})
    _path, headers = servers[place].asked[-1]
    assert body == b"here"
    assert headers["Authorization"] == (SECRET["Authorization"] if kept else None)
    assert headers["Range"] == "bytes=1-", "the rest of the request is the same"
    assert bool(answer.withheld_from) is not kept and "signature" not in answer.withheld_from


def test_a_token_that_was_dropped_does_not_come_back(fetch, servers):
    one, two, _tls = servers
    one.answers["/start"] = (302, {"Location": two.at("localhost", "/between")}, b"")
    two.answers["/between"] = (302, {"Location": one.at("127.0.0.1", "/end")}, b"")
    one.answers["/end"] = (200, {}, b"here")
    assert read(fetch, one.at("127.0.0.1", "/start"), headers={"authorization": "Bearer a-secret"})[1] == b"here"
    assert two.asked[0][1]["Authorization"] is None and one.asked[-1][1]["Authorization"] is None


def test_netrc_speaks_for_the_address_that_was_asked_and_not_for_where_it_redirects(fetch, servers, certificate):
    one, two, _tls = servers
    netrc = certificate.parent / ".netrc"
    netrc.write_text("machine localhost login me password open\n")
    netrc.chmod(0o600)
    try:
        one.answers["/start"] = (302, {"Location": two.at("localhost", "/end")}, b"")
        two.answers["/end"] = (200, {}, b"here")
        read(fetch, one.at("127.0.0.1", "/start"), headers=SECRET)
        read(fetch, one.at("127.0.0.1", "/start"))
    finally:
        netrc.unlink()
    assert [headers["Authorization"] for _path, headers in two.asked] == [None, None]


@pytest.mark.parametrize(
    ("to", "words"),
    [
        pytest.param("/start", "redirects more than 10 times", id="in-a-circle"),
        pytest.param("file:///etc/passwd", "no address of a web server", id="file"),
        pytest.param("ftp://127.0.0.1/x", "no address of a web server", id="ftp"),
        pytest.param("http://127.0.0.1:port/?key=x", "no address of a web server", id="no-url"),
        pytest.param(
            "http://127.0.0.1:1/x?key=x", r"redirected to http://127.0.0.1:1/x\) cannot be", id="nobody-there"
        ),
    ],
)
def test_a_redirect_that_leads_nowhere_is_told_without_its_query(fetch, servers, to, words):
    servers[0].answers["/start"] = (302, {"Location": to}, b"")
    with pytest.raises(Unreachable, match=words) as caught:
        read(fetch, servers[0].at("127.0.0.1", "/start"))
    assert "key=x" not in str(caught.value)


def test_a_redirect_of_a_post_and_one_without_an_address_are_answers(fetch, servers):
    servers[0].answers.update({"/post": (307, {"Location": "/end"}, b""), "/none": (302, {}, b"")})
    assert read(fetch, servers[0].at("127.0.0.1", "/post"), method="POST", data=b"x")[0].status == 307
    assert read(fetch, servers[0].at("127.0.0.1", "/none"))[0].status == 302


def test_a_certificate_that_is_not_accepted_has_an_error_of_its_own(servers, monkeypatch, tmp_path):
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    for fetch in (PlainFetch(), ModuleFetch()):
        with pytest.raises(Untrusted, match="CERTIFICATE_VERIFY_FAILED"):
            read(fetch, servers[2].at("127.0.0.1"))


@pytest.mark.parametrize(
    ("url", "target", "same"),
    [
        ("https://hub/a", "https://hub:443/b", True),
        ("http://hub/a", "http://HUB:80/b", True),
        ("http://hub/a", "https://hub/b", True),
        ("https://hub/a", "https://hub.example/b", False),
        ("https://hub/a", "https://cdn.hub/b", False),
        ("https://hub/a", "https://hub@evil/b", False),
        ("https://hub/a", "https://hub:8443/b", False),
        ("https://hub/a", "http://hub/b", False),
        ("https://hub/a", "http://hub:443/b", False),
    ],
)
def test_who_may_have_a_secret(url, target, same):
    assert same_recipient(url, target) is same


# Compression that nobody asked for


def raw_deflate(data):
    deflate = zlib.compressobj(wbits=-15)
    return deflate.compress(data) + deflate.flush()


@pytest.mark.parametrize(
    ("coding", "sent"),
    [
        pytest.param("gzip", gzip.compress(TEXT), id="gzip"),
        pytest.param(" GZip ", gzip.compress(TEXT), id="other-case"),
        pytest.param("x-gzip", gzip.compress(TEXT[:5000]) + gzip.compress(TEXT[5000:]), id="two-members"),
        pytest.param("deflate", zlib.compress(TEXT), id="deflate"),
        pytest.param("deflate", raw_deflate(TEXT), id="deflate-without-header"),
        pytest.param("identity", TEXT, id="identity"),
    ],
)
def test_what_is_sent_compressed_is_decompressed(fetch, servers, coding, sent):
    headers = {"Content-Encoding": coding, "Content-Length": str(len(sent)), "ETag": '"x"'}
    servers[0].answers["/"] = (200, headers, sent)
    answer, body = read(fetch, servers[0].at("127.0.0.1"))
    assert body == TEXT
    assert servers[0].asked[0][1]["Accept-Encoding"] == "identity"
    described = {"content-length", "etag"} & answer.headers.keys()
    assert described == (set() if coding != "identity" else {"content-length", "etag"})
    with fetch(servers[0].at("127.0.0.1")) as answer:
        assert answer.body.read(7) + answer.body.read(3) == TEXT[:10], "in pieces, too"


def test_an_empty_compressed_body_is_empty(fetch, servers):
    servers[0].answers["/"] = (200, {"Content-Encoding": "gzip"}, b"")
    assert read(fetch, servers[0].at("127.0.0.1"), method="HEAD")[1] == b""


@pytest.mark.parametrize(
    ("coding", "sent", "words"),
    [
        pytest.param("gzip", gzip.compress(TEXT)[:-9], "ended early", id="cut"),
        pytest.param("gzip", TEXT, "not gzip, as its headers say", id="a-mere-claim"),
        pytest.param("deflate", b"\xff" * 100, "not deflate, as its headers say", id="not-deflate"),
    ],
)
def test_a_compressed_body_that_is_broken_counts_as_broken_off(fetch, servers, coding, sent, words):
    servers[0].answers["/"] = (200, {"Content-Encoding": coding}, sent)
    with pytest.raises(Unreachable, match=words):
        read(fetch, servers[0].at("127.0.0.1"))


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, gzip"])
def test_a_compression_that_cannot_be_read_is_told_and_the_status_still_counts(fetch, servers, coding):
    servers[0].answers["/"] = (503, {"Content-Encoding": coding}, TEXT)
    with fetch(servers[0].at("127.0.0.1")) as answer:
        assert answer.status == 503
    with pytest.raises(HostError, match=f"was sent with Content-Encoding '{coding}', which cannot be read"):
        read(fetch, servers[0].at("127.0.0.1"))
