import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditseal.core.algorithm import AlgorithmId
from auditseal.core.key import to_pem
from auditseal.core.registered_signer import Status
from auditseal.core.registry import Registry
from auditseal.core.validity import Bound
from auditseal.errors import ConflictError, InputError, NotFoundError
from support.keys import SECRET, public_key, signer

RSA, EC, ED25519, HMAC = (
    AlgorithmId.RSA_SHA256,
    AlgorithmId.ECDSA_P256_SHA256,
    AlgorithmId.ED25519,
    AlgorithmId.HMAC_SHA256,
)
names = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=20)
# Names that no member of a signer has, whatever the spelling.
unknown = names.map(lambda name: f"x-{name}")
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | names,
    lambda inner: st.lists(inner) | st.dictionaries(names, inner),
)
bounds = st.none() | st.builds(Bound, seq=st.dictionaries(st.sampled_from(["a", "b"]), st.integers(0, 9), min_size=1))
signers = st.builds(
    signer,
    st.sampled_from([EC, ED25519, HMAC]),
    signer_id=names,
    status=st.sampled_from(Status),
    valid_from=bounds,
    description=st.none() | names,
    development=st.booleans(),
    extra=st.dictionaries(unknown, json_values, max_size=2),
)
registries = st.builds(
    Registry,
    signers=st.lists(signers, max_size=4, unique_by=lambda s: s.signer_id).map(tuple),
    extra=st.dictionaries(unknown, json_values, max_size=2),
)


def _parse(document):
    return Registry.parse(json.dumps(document).encode())


def _member(id_, algorithm=EC, **members):
    return {"signerId": id_, "publicKey": to_pem(public_key(algorithm))} | members


@given(registries, st.sampled_from(["pem", "der"]))
def test_what_is_written_reads_back_and_is_written_alike_again(registry, key_form):
    data = registry.to_json_bytes(key_form=key_form)
    again = Registry.parse(data)
    assert again == registry
    assert again.to_json_bytes(key_form=key_form) == data


def test_the_form_that_is_written_is_the_designs():
    registry = Registry(signers=(signer(EC),), extra={"version": 3})
    data = registry.to_json_bytes()
    assert data.startswith(b'{\n  "signers": [\n    {\n      "signerId": "signer-ecdsa-p256-sha256",\n')
    assert data.endswith(b'\n  "version": 3\n}\n')
    assert list(json.loads(data)) == ["signers", "version"]


def test_signers_keep_the_files_order_and_are_found_by_their_exact_id():
    registry = _parse([_member("b"), _member("a", ED25519)])
    assert [member.signer_id for member in registry] == ["b", "a"]
    assert len(registry) == 2
    assert registry.find("a").algorithm.id is ED25519
    assert registry.find("A") is None
    assert registry.find("a ") is None


@pytest.mark.parametrize(
    ("second", "error"),
    [
        (_member("a", RSA), "has the same id and another key: give one of them an id of its own"),
        (_member("a"), "has the same id and the same key: remove one"),
        (_member("a", status="revoked"), "has the same id and the same key: remove one"),
    ],
)
def test_two_signers_under_one_id_are_refused(second, error):
    with pytest.raises(InputError, match=error) as caught:
        _parse([_member("a"), _member("b", ED25519), second])
    assert str(caught.value).startswith("signers[2] ('a'): signers[0] ('a') ")


def test_two_secrets_under_one_id_are_refused_and_not_shown():
    document = [{"kid": "a", "alg": "hmac", "key": SECRET.decode()}, {"a": {"alg": "hmac", "key": "another"}}]
    with pytest.raises(InputError, match="another key") as caught:
        _parse(document)
    assert SECRET.decode() not in str(caught.value)


def test_a_registry_made_of_two_signers_with_one_id_is_refused():
    with pytest.raises(InputError, match="two signers have one id"):
        Registry(signers=(signer(EC, signer_id="a"), signer(ED25519, signer_id="a")))


def test_extra_members_must_be_json_and_none_of_ours():
    with pytest.raises(InputError, match="signers stands among"):
        Registry(extra={"signers": []})
    with pytest.raises(InputError):
        Registry(extra={"a": object()})


def test_one_signer_more_stands_at_the_end_and_twice_the_same_is_once():
    registry = Registry(signers=(signer(EC),))
    more = registry.with_signer(signer(ED25519))
    assert [member.algorithm.id for member in more] == [EC, ED25519]
    assert more.with_signer(signer(ED25519)) is more
    assert len(registry) == 1


def test_another_signer_under_a_used_id_is_a_conflict():
    registry = Registry(signers=(signer(EC, signer_id="a"),))
    for other in (signer(ED25519, signer_id="a"), signer(EC, signer_id="a", status=Status.RETIRED)):
        with pytest.raises(ConflictError, match="give the new one an id of its own"):
            registry.with_signer(other)


def test_a_change_keeps_all_else():
    registry = Registry(signers=(signer(EC), signer(ED25519, extra={"x": 1})), extra={"version": 3})
    end = Bound(seq={"default": 7})
    changed = registry.with_changed("signer-ed25519", status=Status.RETIRED, valid_until=end)
    assert (changed.find("signer-ed25519").status, changed.find("signer-ed25519").valid_until) == ("retired", end)
    assert changed.find("signer-ed25519").extra == {"x": 1}
    assert changed.find("signer-ecdsa-p256-sha256") is registry.find("signer-ecdsa-p256-sha256")
    assert changed.extra == {"version": 3}
    assert registry.find("signer-ed25519").status is Status.ACTIVE


@pytest.mark.parametrize("change", [{"public_key": None}, {"secret": b"x"}, {"algorithm": None}])
def test_a_key_cannot_change_under_its_id(change):
    with pytest.raises(InputError, match="the key of signer 'signer-ed25519' cannot change"):
        Registry(signers=(signer(),)).with_changed("signer-ed25519", **change)


def test_a_signer_that_is_not_there_cannot_change():
    with pytest.raises(NotFoundError, match="no signer 'x'"):
        Registry().with_changed("x", status=Status.RETIRED)


def test_whether_it_holds_secrets_is_known_and_repr_shows_none():
    assert not Registry(signers=(signer(EC),)).has_secrets
    remote = signer(HMAC, secret=None, key_arn="arn:aws:kms:key")
    assert not Registry(signers=(remote,)).has_secrets
    holding = Registry(signers=(signer(EC), signer(HMAC)), extra={"note": "hidden-note"})
    assert holding.has_secrets
    assert SECRET.decode() not in repr(holding)
    assert "hidden-note" not in repr(holding)


@pytest.mark.parametrize(
    ("members", "warning"),
    [
        ((), "has no signer: no signature can be verified"),
        ((signer(EC, signer_id="a"), signer(EC, signer_id="b", status="revoked")), r"'a' \(active\), 'b' \(revoked\)"),
        ((signer(HMAC, signer_id="a"), signer(HMAC, signer_id="b")), "one key stands under 2 ids"),
        ((signer(EC, status="retired"),), "retired without validUntil"),
        ((signer(HMAC),), "has its secret here"),
        ((signer(HMAC, secret=b"short"),), r"its secret \(a short one\) here"),
        ((signer(EC, extra={"revokedAt": "2026"}),), "has revokedAt, which auditseal keeps and does not act on"),
        ((signer(EC, extra={"expires": "2026"}),), "has expires"),
        ((signer(EC, extra={"notAfter": "2026"}),), "has notAfter"),
    ],
)
def test_what_is_worth_a_look_is_told(members, warning):
    lines = Registry(signers=members).warnings()
    assert any(re.search(warning, line) for line in lines)
    assert not any(SECRET.decode() in line for line in lines)


def test_a_plain_registry_has_no_warnings():
    retired = signer(ED25519, status="retired", valid_until=Bound(seq={"default": 9}))
    remote = signer(HMAC, secret=None, key_arn="arn:aws:kms:key")
    assert Registry(signers=(signer(EC), retired, remote)).warnings() == []


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode) | json_values.map(json.dumps).map(str.encode))
def test_any_bytes_are_a_registry_or_refused_in_one_line(data):
    try:
        registry, refusal = Registry.parse(data), ""
    except InputError as error:
        registry, refusal = Registry(), str(error)
    assert "\n" not in refusal
    assert Registry.parse(registry.to_json_bytes()) == registry
