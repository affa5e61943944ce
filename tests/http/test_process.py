"""`auditseal serve` as a process: TLS, client certificates, what it refuses to start with, and how it stops."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx2
import pytest
import trustme

import auditseal
from auditseal.cli.entry import run
from auditseal.client import Client
from auditseal.core.event import Event
from auditseal.errors import ServiceError
from auditseal.wiring.sources import open_store
from support.service import Replicas, make_log, make_token, service_environment, wait_until


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_log(tmp_path)
    return tmp_path


@pytest.fixture
def token(folder: Path) -> str:
    return make_token(folder / "tokens.json", roles=("producer", "auditor", "operator"))


@pytest.fixture
def replicas(folder: Path, token: str) -> Iterator[Replicas]:
    environment = service_environment(
        AUDITSEAL_LOG=f"sqlite:///{folder / 'audit.db'}", AUDITSEAL_TOKENS=str(folder / "tokens.json")
    )
    running = Replicas(folder, environment)
    yield running
    running.close()


class TestItDoesNotStart:
    @pytest.fixture
    def serve(self, folder, monkeypatch, capsys):
        """Runs the command in this process: it ends before it serves."""
        monkeypatch.chdir(folder)
        monkeypatch.setenv("AUDITSEAL_LOG", "sqlite:///audit.db")
        monkeypatch.setattr("auditseal.http.server.configure_logs", lambda: None)

        def call(*options: str, **settings: str) -> tuple[int, str]:
            for name, value in settings.items():
                monkeypatch.setenv(name, value)
            return run(["serve", *options]), capsys.readouterr().err

        return call

    def test_without_anybody_who_could_call(self, serve):
        code, said = serve()
        assert (code, "nobody could call" in said) == (2, True)

    @pytest.mark.parametrize("listen", ["0.0.0.0:0", "[::]:0", "audit.internal:0"])
    def test_without_authentication_where_others_could_call(self, serve, listen):
        code, said = serve("--insecure-no-auth", "--listen", listen)
        assert (code, "this machine alone" in said) == (2, True)

    def test_without_tls_where_others_could_listen(self, serve, token):
        code, said = serve("--listen", "0.0.0.0:0", "--tokens", "tokens.json")
        assert (code, "AUDITSEAL_TLS_CERT" in said) == (2, True)

    @pytest.mark.parametrize("listen", ["nowhere", "127.0.0.1:", "127.0.0.1:99999", ":80", "127.0.0.1:x"])
    def test_without_an_address(self, serve, token, listen):
        code, said = serve("--listen", listen, "--tokens", "tokens.json")
        assert (code, "HOST:PORT" in said) == (2, True)

    def test_with_a_certificate_that_is_none(self, serve, folder, token):
        for name in ("cert.pem", "key.pem"):
            (folder / name).write_text("nothing")
        code, said = serve("--tls-cert", "cert.pem", "--tls-key", "key.pem", "--tokens", "tokens.json")
        assert (code, "PEM" in said) == (2, True)

    @pytest.mark.parametrize(
        ("settings", "named"),
        [
            ({"AUDITSEAL_TLS_CERT": "cert.pem"}, "AUDITSEAL_TLS_KEY"),
            ({"AUDITSEAL_TLS_CLIENT_CA": "ca.pem"}, "AUDITSEAL_TLS_CERT"),
            ({"AUDITSEAL_OIDC_ISSUER": "https://idp.example"}, "AUDITSEAL_OIDC_AUDIENCE"),
            ({"AUDITSEAL_OIDC_JWKS_URL": "https://idp.example/jwks"}, "AUDITSEAL_OIDC_ISSUER"),
            ({"AUDITSEAL_OIDC_ISSUER": "http://idp.example", "AUDITSEAL_OIDC_AUDIENCE": "a"}, "https://"),
            (
                {
                    "AUDITSEAL_OIDC_ISSUER": "https://idp.example",
                    "AUDITSEAL_OIDC_AUDIENCE": "a",
                    "AUDITSEAL_OIDC_ALGORITHMS": "HS256",
                },
                "HS256",
            ),
        ],
    )
    def test_with_settings_that_contradict_each_other(self, serve, settings, named):
        code, said = serve(**settings)
        assert (code, named in said) == (2, True)

    def test_with_a_token_file_that_is_not_there(self, serve):
        code, said = serve("--tokens", "nothing.json")
        assert (code, "tokens create" in said) == (2, True)

    def test_on_a_port_that_is_taken(self, replicas):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            replica = replicas.start(port=taken.getsockname()[1], ready=False)
            assert replica.process.wait(60) == 2
        assert "could not listen" in replica.log.read_text()


class TestTls:
    @pytest.fixture
    def authority(self, folder):
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(folder / "ca.pem"))
        server = authority.issue_cert("127.0.0.1")
        server.cert_chain_pems[0].write_to_path(str(folder / "cert.pem"))
        server.private_key_pem.write_to_path(str(folder / "key.pem"))
        return authority

    def _start(self, replicas, folder, *options):
        replica = replicas.start(
            "--tls-cert", "cert.pem", "--tls-key", "key.pem", *options, scheme="https", ready=False
        )
        port = int(replica.url.rpartition(":")[2])
        wait_until(lambda: _accepts(port))
        return replica

    def test_events_go_over_tls_alone(self, replicas, folder, token, authority):
        replica = self._start(replicas, folder)
        with Client(replica.url, token=token, ca=folder / "ca.pem") as client:
            assert client.append("a").status == "signed"
        with Client(replica.url, token=token, retry_for_s=0) as client, pytest.raises(ServiceError):
            client.append("a")
        with pytest.raises(httpx2.TransportError):
            httpx2.get(replica.url.replace("https", "http") + "/healthz", trust_env=False)

    def test_tls_1_2_or_later_is_spoken(self, replicas, folder, token, authority):
        port = int(self._start(replicas, folder).url.rpartition(":")[2])
        context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        with (
            socket.create_connection(("127.0.0.1", port)) as raw,
            context.wrap_socket(raw, server_hostname="127.0.0.1") as wrapped,
        ):
            assert wrapped.version() in ("TLSv1.2", "TLSv1.3")

    def test_where_clients_need_certificates_a_token_is_not_enough(self, replicas, folder, token, authority):
        own = authority.issue_cert("agent-manager.internal")
        own.cert_chain_pems[0].write_to_path(str(folder / "client.pem"))
        own.private_key_pem.write_to_path(str(folder / "client-key.pem"))
        stranger = trustme.CA().issue_cert("agent-manager.internal")
        stranger.cert_chain_pems[0].write_to_path(str(folder / "stranger.pem"))
        stranger.private_key_pem.write_to_path(str(folder / "stranger-key.pem"))
        replica = self._start(replicas, folder, "--tls-client-ca", "ca.pem")
        arguments = {"token": token, "ca": folder / "ca.pem", "retry_for_s": 0}
        certificate = (folder / "client.pem", folder / "client-key.pem")
        with Client(replica.url, certificate=certificate, **arguments) as client:
            assert client.append("a").status == "signed"
        strange = (folder / "stranger.pem", folder / "stranger-key.pem")
        for certificate in (None, strange):
            with Client(replica.url, certificate=certificate, **arguments) as client, pytest.raises(ServiceError):
                client.append("a")


class TestSlowBodies:
    """Over a socket: a body of 5 parts, of which some come and the rest does not."""

    @pytest.fixture
    def send(self, replicas, folder, token):
        replica = replicas.start(environment={"AUDITSEAL_BODY_TIMEOUT_S": "2"})

        def call(
            path: str, media_type: str, *, parts: int, pause_s: float, padding: int = 0
        ) -> tuple[int, dict[str, str], list[str]]:
            event = b'{"type":"agent.spawned","payload":{"note":"%s"}}\n' % (b"x" * padding)
            head = (
                f"POST /v1/streams/agents/{path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
                f"Content-Type: {media_type}\r\nContent-Length: {5 * len(event)}\r\n\r\n"
            )
            port = int(replica.url.rpartition(":")[2])
            with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
                connection.sendall(head.encode())
                for _ in range(parts):
                    connection.sendall(event)
                    time.sleep(pause_s)
                answer = http.client.HTTPResponse(connection)
                answer.begin()
                lines = answer.read().decode().splitlines()
                headers = {name.lower(): value for name, value in answer.getheaders()}
                # Where the answer ends the connection, nothing follows.
                assert headers.get("connection") != "close" or connection.recv(1) == b""
                return answer.status, headers, lines

        return call

    @pytest.mark.parametrize(
        ("path", "media_type"), [("events", "application/json"), ("events:batch", "application/x-ndjson")]
    )
    def test_one_that_stays_away_is_refused_and_nothing_appended(self, send, folder, path, media_type):
        status, headers, (problem,) = send(path, media_type, parts=2, pause_s=0)
        assert (status, headers["connection"]) == (408, "close")
        assert headers["content-type"] == "application/problem+json"
        members = json.loads(problem)
        assert (members["type"], members["retryable"]) == ("urn:auditseal:problem:too-slow", True)
        with closing(open_store(f"sqlite:///{folder / 'audit.db'}", read_only=True)) as store:
            assert store.count() == 0

    def test_a_batch_may_take_its_time_as_long_as_more_of_it_comes(self, send):
        status, _, lines = send("events:batch", "application/x-ndjson", parts=5, pause_s=0.6, padding=16_384)
        assert (status, len(lines)) == (200, 5)

    def test_a_batch_of_which_a_little_comes_now_and_then_holds_nothing_open(self, send):
        status, headers, (problem,) = send("events:batch", "application/x-ndjson", parts=4, pause_s=0.6)
        assert (status, headers["connection"], json.loads(problem)["status"]) == (408, "close", 408)

    def test_a_single_event_may_not(self, send):
        status, _, (problem,) = send("events", "application/json", parts=4, pause_s=0.6)
        assert (status, json.loads(problem)["status"]) == (408, 408)


class TestStopping:
    def test_it_ends_well_and_says_so(self, replicas, token):
        replica = replicas.start()
        with Client(replica.url, token=token) as client:
            client.append("a")
        assert replica.stop() == 0
        lines = [json.loads(line) for line in replica.log.read_text().splitlines()]
        assert lines[-1]["event"] == "stopped"

    def test_a_tail_does_not_hold_it_up(self, replicas, token):
        replica = replicas.start()
        url = f"{replica.url}/v1/streams/agents/tail"
        with (
            httpx2.Client(trust_env=False) as client,
            client.stream("GET", url, headers={"Authorization": f"Bearer {token}"}) as answer,
        ):
            lines = answer.iter_lines()
            assert next(lines) == "retry: 2000"
            assert replica.stop() == 0

    def test_what_is_in_flight_is_finished(self, replicas, folder, token):
        replica = replicas.start()
        outcomes: list[object] = []

        def write(number: int) -> None:
            with Client(replica.url, token=token, retry_for_s=0) as client:
                try:
                    while True:
                        outcomes.append(client.append_many([Event(type="a", stream=f"s{number}")] * 200))
                except ServiceError:
                    return

        threads = [threading.Thread(target=write, args=[number]) for number in range(4)]
        for thread in threads:
            thread.start()
        wait_until(lambda: len(outcomes) > 8)
        assert replica.stop() == 0
        for thread in threads:
            thread.join()
        receipts = [receipt for part in outcomes for receipt in part]
        report = auditseal.verify(f"sqlite:///{folder / 'audit.db'}", folder / ".auditseal" / "signers.json")
        assert report.verdict == "valid"
        assert report.checked["entries"] >= len(receipts)
        assert all(receipt.status == "signed" for receipt in receipts)

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_either_signal_ends_it(self, replicas, number):
        replica = replicas.start()
        os.kill(replica.process.pid, number)
        assert replica.process.wait(30) == 0


def test_without_authentication_on_loopback_it_serves(folder):
    replicas = Replicas(folder, service_environment(AUDITSEAL_LOG=f"sqlite:///{folder / 'audit.db'}"))
    try:
        replica = replicas.start("--insecure-no-auth")
        with Client(replica.url) as client:
            assert client.append("a").status == "signed"
            assert list(client.entries("default"))
    finally:
        replicas.close()


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
