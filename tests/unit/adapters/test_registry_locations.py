"""Where verifiers get their registry: each sort of place gives back what was put there, or says why it does not."""

import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from uuid import uuid4

import botocore.session
import pytest

from auditseal.adapters.registry_locations import HttpsLocation, S3Location, open_location
from auditseal.core.algorithm import parse_algorithm
from auditseal.core.registered_signer import RegisteredSigner
from auditseal.core.registry import Registry
from auditseal.errors import ConfigError, InputError, NotFoundError, StoreError
from auditseal.wiring.publishing import publish_registry
from support.keys import private_key

SIGNER = RegisteredSigner(
    signer_id="audit-2026", algorithm=parse_algorithm("ed25519"), public_key=private_key("ed25519").public_key()
)
REGISTRY = Registry(signers=(SIGNER,))


def test_a_file_is_replaced_whole(tmp_path):
    location = open_location(str(tmp_path / "signers.json"))
    with pytest.raises(NotFoundError):
        location.fetch()
    location.publish(REGISTRY)
    assert location.fetch() == REGISTRY


def test_a_work_tree_of_git_is_committed_and_read_as_committed(tmp_path, monkeypatch):
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "Alice")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "alice@example.com")
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    location = open_location(f"git+{tmp_path}/signers.json")
    with pytest.raises(StoreError, match="git show failed"):
        location.fetch()
    location.publish(REGISTRY)
    location.publish(REGISTRY)
    (tmp_path / "signers.json").write_text("{}")
    assert location.fetch() == REGISTRY
    count = subprocess.run(["git", "-C", str(tmp_path), "rev-list", "--count", "HEAD"], capture_output=True, check=True)
    assert count.stdout == b"1\n"


@pytest.fixture
def served():
    """(address, what is served there)."""
    answer = {"status": 200, "body": REGISTRY.to_json_bytes()}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(answer["status"])
            self.end_headers()
            self.wfile.write(answer["body"])

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/signers.json", answer
    server.shutdown()
    thread.join()
    server.server_close()


def test_an_address_is_read_and_not_written(served):
    address, answer = served
    location = open_location(address)
    assert location.fetch() == REGISTRY
    with pytest.raises(ConfigError, match="only be read"):
        location.publish(REGISTRY)
    answer["status"] = 503
    with pytest.raises(StoreError, match="answered 503"):
        location.fetch()
    answer.update(status=200, body=b"<html>")
    with pytest.raises(InputError):
        location.fetch()


def test_an_address_in_the_clear_to_another_machine_is_refused():
    with pytest.raises(InputError, match="https"):
        HttpsLocation("http://example.com/signers.json")


@pytest.mark.parametrize("text", ["ftp://x/y", "gs://x/y"])
def test_other_forms_are_refused(text):
    with pytest.raises(InputError, match="no place for a registry"):
        open_location(text)


def test_a_bucket_must_keep_versions_and_gives_the_last(emulator):
    client = botocore.session.Session().create_client(
        "s3", region_name=emulator.region, endpoint_url=emulator.url, aws_access_key_id="a", aws_secret_access_key="b"
    )
    bucket = f"registry-{uuid4()}"
    client.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": emulator.region})
    location = S3Location(f"s3://{bucket}/signers.json", client)
    with pytest.raises(ConfigError, match="keeps no versions"):
        location.publish(REGISTRY)
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    location.publish(Registry())
    location.publish(REGISTRY)
    assert location.fetch() == REGISTRY
    assert len(client.list_object_versions(Bucket=bucket, Prefix="signers.json")["Versions"]) == 2


def test_publishing_goes_on_where_one_place_fails(tmp_path):
    good, bad = tmp_path / "signers.json", tmp_path / "no" / "such" / "folder.json"
    outcomes = publish_registry(REGISTRY, [str(bad), str(good)])
    assert [item.state for item in outcomes] == ["failed", "published"]
    assert [item.state for item in publish_registry(REGISTRY, [str(good)])] == ["unchanged"]
    assert [item.state for item in publish_registry(Registry(), [str(good)], dry_run=True)] == ["differs"]


def test_a_registry_with_a_secret_is_not_published(tmp_path):
    mac = RegisteredSigner(signer_id="mac", algorithm=parse_algorithm("hmac-sha256"), secret=b"a secret of the tests")
    (outcome,) = publish_registry(Registry(signers=(mac,)), [str(tmp_path / "signers.json")])
    assert (outcome.state, (tmp_path / "signers.json").exists()) == ("failed", False)
