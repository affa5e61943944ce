"""Reconciling again and again, and who is told of what: stdout, a webhook, metrics, the log itself."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from auditseal.adapters.webhook import Webhook
from auditseal.cli.reconcile_follow import Telling, follow_account
from auditseal.config import load_settings
from auditseal.core.account import AccountCode, AccountFinding, AccountReport
from auditseal.errors import ConfigError, InputError, StoreError
from auditseal.service.accounting.follow import follow, identity_of
from auditseal.service.accounting.recording import FOUND
from auditseal.wiring.accounting import Reconciling
from auditseal.wiring.logs import open_log

from .conftest import SIGNER_ROLE


def found(number, **members):
    members = {"code": AccountCode.UNACCOUNTED_SIGNATURE, "message": "m", "request_id": str(number), **members}
    return AccountFinding(**members)


def run_rounds(rounds, *listeners):
    """Follows through so many rounds; what each gave, and the errors."""
    stop, errors = threading.Event(), []
    remaining = list(rounds)

    def once():
        result = remaining.pop(0)
        if not remaining:
            stop.set()
        if isinstance(result, Exception):
            raise result
        return AccountReport(source="log", trail="trail", findings=tuple(result))

    follow(once, listeners, interval_s=0, stop=stop, on_error=errors.append)
    return errors


def test_a_finding_is_told_once_and_a_count_that_grows_is_not_news():
    told = []
    many = found(9, request_id=None, signer="s", count=2)
    grown = found(9, request_id=None, signer="s", count=5, message="more")
    run_rounds([[found(1)], [found(1), found(2), many], [found(1), grown]], lambda _, new: told.append(len(new)))
    assert told == [1, 2, 0]


def test_who_could_not_be_told_is_told_the_next_time():
    told = []

    def listen(_, new):
        told.append([finding.request_id for finding in new])
        if len(told) == 1:
            raise StoreError("away", retryable=True)

    errors = run_rounds([[found(1)], [found(1)], [found(1)]], listen)
    assert (told, [str(error) for error in errors]) == ([["1"], ["1"], []], ["away"])


def test_a_failure_that_may_pass_ends_nothing_and_one_of_the_settings_ends_it_at_once():
    told = []
    errors = run_rounds([StoreError("away"), [found(1)]], lambda _, new: told.append(len(new)))
    assert (told, len(errors)) == ([1], 1)
    with pytest.raises(ConfigError):
        run_rounds([ConfigError("wrong"), []])


def test_what_a_finding_is_about_is_what_it_is_known_by():
    assert identity_of(found(1, message="a", at="t")) == identity_of(found(1, message="b"))
    assert identity_of(found(1)) != identity_of(found(2))


@contextmanager
def endpoint(status=200):
    taken = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            taken.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(status)
            self.send_header("Location", "/elsewhere")
            self.end_headers()

        def do_GET(self):
            taken.append("a GET")
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/hook?secret=x", taken
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("status", [302, 307, 404, 500])
def test_a_webhook_that_does_not_take_it_or_sends_elsewhere_has_not_taken_it(status):
    with endpoint(status) as (url, taken):
        with pytest.raises(StoreError, match=str(status)) as caught:
            Webhook(url).post({"a": 1})
        assert "secret" not in str(caught.value)
        assert taken == [{"a": 1}]


@pytest.mark.parametrize("url", ["http://example.org/", "ftp://127.0.0.1/", "https://", "https://[", "https:///x", "x"])
def test_a_webhook_elsewhere_needs_https(url):
    with pytest.raises(InputError):
        Webhook(url)


def test_findings_go_to_stdout_a_webhook_metrics_and_once_to_the_log(world, monkeypatch, capsys):
    world.append(3)
    world.sign_elsewhere(world.keys["audit-2026"])
    orphan = world.kms.records("Sign")[-1]["requestID"]
    trail, metrics = world.folder / "trail.json", world.folder / "reconcile.prom"
    settings = load_settings({"log": world.log, "signers": world.folder / "signers.json"}).settings
    monkeypatch.setattr(
        "auditseal.wiring.logs._configured_signer", lambda *_: world.signer()
    )  # the settings would name the key, and the test KMS by an address
    asked = Reconciling(trail=str(trail), settle_s=0, principals=[SIGNER_ROLE], without_digests=True)
    with endpoint() as (url, taken):
        telling = Telling(webhook=url, metrics=metrics, record="findings")
        for _ in range(2):  # as after a restart
            stop = threading.Event()
            seen = []

            def window(stop=stop, seen=seen):
                trail.write_text(json.dumps({"Records": world.kms.records()}))
                seen.append(1)
                if len(seen) == 2:
                    stop.set()
                return asked

            assert follow_account(settings, window, 0, telling, stop=stop) == 1
    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [item["request_id"] for item in printed if item["code"] == "unaccounted-signature"] == [orphan] * 2
    assert orphan in json.dumps(taken)
    assert 'code="unaccounted-signature",severity="error"} 1' in metrics.read_text()
    with open_log(world.log, signer=world.signer()) as log:
        recorded = [json.loads(entry.body) for entry in log.entries("findings")]
    kept = [entry for entry in recorded if entry["payload"]["request_id"] == orphan]
    assert [entry["type"] for entry in kept] == [FOUND]
