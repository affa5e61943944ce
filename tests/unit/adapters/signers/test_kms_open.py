import builtins
import ssl
import threading
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address

import pytest
from botocore.credentials import RefreshableCredentials
from botocore.session import Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from auditseal.adapters.signers import kms_open
from auditseal.adapters.signers.kms_botocore import BotocoreTransport
from auditseal.adapters.signers.kms_lean import LeanTransport
from auditseal.adapters.signers.kms_open import KmsSettings, open_kms
from auditseal.errors import ConfigError, SignerError
from fakes.kms import FakeKms, Principal
from support.kms import calls_to

DIGEST = b"d" * 32


def _sign(calls, key):
    return calls.call("Sign", {"KeyId": key.id, "Message": DIGEST, "SigningAlgorithm": "ED25519_SHA_512"})


def _hot(calls) -> type:
    return type(calls._hot)


def test_the_region_is_that_of_the_environment(monkeypatch):
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    assert open_kms(KmsSettings()).endpoint == "https://kms.eu-west-1.amazonaws.com"


def test_the_older_name_of_the_region_is_read_too(monkeypatch):
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-north-1")
    assert open_kms(KmsSettings()).region == "eu-north-1"


def test_the_region_that_is_set_goes_first(monkeypatch):
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    opened = open_kms(KmsSettings(region="us-east-2"))
    assert (opened.region, opened.endpoint) == ("us-east-2", "https://kms.us-east-2.amazonaws.com")


def test_the_endpoint_of_kms_goes_before_that_of_all_services(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", "http://127.0.0.1:2")
    opened = open_kms(KmsSettings(region="eu-west-1"))
    assert (opened.endpoint, opened.is_loopback) == ("http://127.0.0.1:2", True)


def test_the_fips_endpoint_is_used_where_it_is_asked_for(monkeypatch):
    monkeypatch.setenv("AWS_USE_FIPS_ENDPOINT", "true")
    assert open_kms(KmsSettings(region="us-east-1")).endpoint == "https://kms-fips.us-east-1.amazonaws.com"


@pytest.mark.parametrize(
    ("settings", "fix"),
    [
        ({}, "AWS_REGION"),
        ({"region": "not a region"}, "AWS_REGION"),
        ({"region": "eu-west-1", "endpoint_url": "no url"}, "AWS_ENDPOINT_URL_KMS"),
        ({"region": "eu-west-1", "profile": "nobody"}, "profile"),
    ],
)
def test_a_missing_or_malformed_setting_is_named(settings, fix):
    with pytest.raises(ConfigError, match=fix):
        open_kms(KmsSettings(**settings))


@pytest.mark.parametrize(
    "settings", [{"concurrency": 0}, {"deadline_s": 0}, {"attempt_timeout_s": -1}, {"max_attempts": 0}]
)
def test_settings_that_could_never_work_are_refused(settings):
    with pytest.raises(ConfigError):
        KmsSettings(**settings)


def test_the_number_of_attempts_is_that_of_the_settings_then_of_aws_then_three(monkeypatch):
    assert open_kms(KmsSettings(region="eu-west-1")).rules.max_attempts == 3
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "7")
    assert open_kms(KmsSettings(region="eu-west-1")).rules.max_attempts == 7
    assert open_kms(KmsSettings(region="eu-west-1", max_attempts=2)).rules.max_attempts == 2


def test_deadline_and_timeout_are_those_of_the_settings():
    rules = open_kms(KmsSettings(region="eu-west-1", deadline_s=4, attempt_timeout_s=2)).rules
    assert (rules.deadline_s, rules.attempt_timeout_s) == (4, 2)


def test_without_a_proxy_the_lean_transport_signs():
    assert _hot(open_kms(KmsSettings(region="eu-west-1"))) is LeanTransport


def test_botocore_alone_can_be_asked_for():
    assert _hot(open_kms(KmsSettings(region="eu-west-1", transport="botocore"))) is BotocoreTransport


def test_with_a_proxy_botocore_signs(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    assert _hot(open_kms(KmsSettings(region="eu-west-1"))) is BotocoreTransport


def test_a_proxy_that_is_not_for_this_endpoint_changes_nothing(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", "amazonaws.com")
    assert _hot(open_kms(KmsSettings(region="eu-west-1"))) is LeanTransport


def test_signing_goes_through_the_proxy(kms, monkeypatch):
    """The fake stands in for the proxy: what was meant for another host arrives there."""
    monkeypatch.setenv("HTTP_PROXY", kms.url)
    key = kms.create("ECC_NIST_EDWARDS25519")
    target = "http://kms.nowhere.invalid"
    calls = open_kms(KmsSettings(region=kms.region, endpoint_url=target, max_attempts=1))
    _sign(calls, key)
    calls.close()
    assert len(kms.records("Sign")) == 1


def test_without_credentials_the_text_says_where_they_come_from(kms, monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    for transport in ("auto", "botocore"):
        calls = calls_to(kms, transport=transport)
        with pytest.raises(ConfigError, match="role, a profile or AWS_ACCESS_KEY_ID"):
            _sign(calls, kms.create("ECC_NIST_EDWARDS25519"))
        calls.close()


def test_half_of_the_credentials_are_none(kms, monkeypatch):
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(ConfigError, match="incomplete"):
        calls_to(kms)


class _Source:
    """Credentials that last for a while, each generation with a name of its own."""

    def __init__(self, lasting: timedelta):
        self.lasting = lasting
        self.fetched = 0
        self.fetch = lambda: None

    def __call__(self):
        self.fetch()
        self.fetched += 1
        return {
            "access_key": f"ASIAGENERATION{self.fetched:06d}",
            "secret_key": "secret",
            "token": "token",
            "expiry_time": (datetime.now(UTC) + self.lasting).isoformat(),
        }


@pytest.fixture
def give_credentials(monkeypatch):
    def give(source):
        credentials = RefreshableCredentials.create_from_metadata(source(), source, "test")
        monkeypatch.setattr(Session, "get_credentials", lambda _: credentials)

    return give


def _callers(kms):
    return [record["userIdentity"]["accessKeyId"] for record in kms.records("Sign")]


def test_credentials_are_refreshed_as_they_near_their_end(kms, give_credentials):
    source = _Source(timedelta(minutes=5))
    give_credentials(source)
    calls = calls_to(kms)
    key = kms.create("ECC_NIST_EDWARDS25519")
    _sign(calls, key)
    _sign(calls, key)
    calls.close()
    assert _callers(kms) == ["ASIAGENERATION000002", "ASIAGENERATION000003"]


def test_credentials_that_last_are_not_fetched_again(kms, give_credentials):
    source = _Source(timedelta(hours=1))
    give_credentials(source)
    calls = calls_to(kms)
    key = kms.create("ECC_NIST_EDWARDS25519")
    for _ in range(3):
        _sign(calls, key)
    calls.close()
    assert _callers(kms) == ["ASIAGENERATION000001"] * 3


def test_credentials_that_do_not_come_end_the_set_up(monkeypatch):
    stop = threading.Event()
    monkeypatch.setattr(Session, "get_credentials", lambda _: stop.wait(10))
    monkeypatch.setattr(kms_open, "_SET_UP_S", 0.05)
    with pytest.raises(SignerError) as caught:
        open_kms(KmsSettings(region="eu-west-1"))
    stop.set()
    assert caught.value.reason == "timeout"


def test_a_refresh_that_does_not_end_ends_with_the_deadline(kms, give_credentials):
    source = _Source(timedelta(minutes=5))
    give_credentials(source)
    calls = calls_to(kms, deadline_s=0.2, max_attempts=1)
    stop = threading.Event()
    source.fetch = lambda: stop.wait(10)
    with pytest.raises(SignerError) as caught:
        _sign(calls, kms.create("ECC_NIST_EDWARDS25519"))
    stop.set()
    calls.close()
    assert caught.value.reason == "timeout"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """An authority of our own and a certificate for 127.0.0.1, as (authority's PEM file, server's PEM file)."""
    folder = tmp_path_factory.mktemp("tls")
    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root_name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test authority")])
    now = datetime.now(UTC)

    def build(subject, public_key, *, is_root):
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(root_name)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=5))
            .not_valid_after(now + timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=is_root, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()), critical=False)
        )

    root = build(root_name, root_key.public_key(), is_root=True).sign(root_key, hashes.SHA256())
    own_name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    names = x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1")), x509.DNSName("localhost")])
    own = (
        build(own_name, key.public_key(), is_root=False)
        .add_extension(names, critical=False)
        .sign(root_key, hashes.SHA256())
    )
    authority, server = folder / "authority.pem", folder / "server.pem"
    authority.write_bytes(root.public_bytes(Encoding.PEM))
    server.write_bytes(
        own.public_bytes(Encoding.PEM) + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    return authority, server


@pytest.fixture
def tls_kms(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate[1])
    with FakeKms(tls=context) as running:
        running.url = running.url.replace("127.0.0.1", "localhost")
        yield running


@pytest.mark.parametrize("transport", ["auto", "botocore"])
def test_an_authority_of_aws_ca_bundle_is_trusted(tls_kms, certificate, transport, monkeypatch):
    monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate[0]))
    calls = calls_to(tls_kms, transport=transport, attempt_timeout_s=5.0)
    key = tls_kms.create("ECC_NIST_EDWARDS25519")
    key.material.public_key().verify(_sign(calls, key).values["Signature"], DIGEST)
    calls.close()


def test_an_unknown_authority_is_not_trusted(tls_kms):
    calls = calls_to(tls_kms, transport="botocore", attempt_timeout_s=5.0)
    with pytest.raises(SignerError) as caught:
        _sign(calls, tls_kms.create("ECC_NIST_EDWARDS25519"))
    calls.close()
    assert (caught.value.reason, caught.value.retryable) == ("tls", False)
    assert tls_kms.records() == []


def test_the_lean_transport_does_not_trust_it_either_and_names_the_bundle(tls_kms):
    calls = calls_to(tls_kms, max_attempts=1)
    with pytest.raises(SignerError, match="AWS_CA_BUNDLE"):
        _sign(calls, tls_kms.create("ECC_NIST_EDWARDS25519"))
    calls.close()
    assert tls_kms.records() == []


def test_a_bundle_that_is_not_there_is_a_config_error(monkeypatch, tmp_path):
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "none.pem"))
    with pytest.raises(ConfigError, match="AWS_CA_BUNDLE"):
        open_kms(KmsSettings(region="eu-west-1"))


def test_without_awscrt_botocore_signs(monkeypatch):
    real = builtins.__import__

    def without(name, *arguments, **members):
        if name.startswith("auditseal.adapters.signers.kms_lean"):
            raise ImportError
        return real(name, *arguments, **members)

    monkeypatch.setattr(builtins, "__import__", without)
    assert _hot(kms_open.open_kms(KmsSettings(region="eu-west-1"))) is BotocoreTransport


def test_a_principal_is_known_by_its_key(kms):
    kms.service.principals.add(Principal(access_key="AKIATESTSIGNER000001", name="alice"))
    calls = calls_to(kms)
    _sign(calls, kms.create("ECC_NIST_EDWARDS25519"))
    calls.close()
    assert kms.records("Sign")[0]["userIdentity"]["arn"] == "arn:aws:iam::111122223333:user/alice"
