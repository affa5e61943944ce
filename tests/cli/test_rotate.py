"""`rotate` as a command: the policies of new keys, and an emergency with evidence out of the thief's reach."""

from __future__ import annotations

import shlex
from contextlib import closing

import orjson
import pytest

from auditseal.cli import entry
from auditseal.wiring.sources import open_store
from support.evidence import Witness
from support.tsa import running_authority

SINCE = "--since 2099-01-01T00:00:00Z --reason stolen"
NEXT = "Next: auditseal rotate emergency --since … --reason …, which carries it out"


@pytest.fixture
def run(tmp_path, monkeypatch, capsys, kms):
    """Runs a command that must end with a code; what it printed."""
    monkeypatch.chdir(tmp_path)
    settings = {
        "AUDITSEAL_LOG": "sqlite:///audit.db",
        "AUDITSEAL_SIGNERS": "signers.json",
        "AUDITSEAL_ORIGIN": "log.example/audit",
        "AUDIT_SIGNING_KMS_KEY_ID": "alias/audit",
        "AUDIT_SIGNER_KID": "audit-2026",
        "AWS_ENDPOINT_URL_KMS": kms.url,
        "AWS_REGION": kms.region,
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)

    def run(command: str, code: int = 0) -> str:
        assert entry.run(shlex.split(command)) == code, f"{command}\n{capsys.readouterr()}"
        return capsys.readouterr().out

    run("keys create --algorithm ed25519 --alias alias/audit --signer-id audit-2026 --signers signers.json")
    run("init")
    run("append --type agent.spawned")
    return run


def test_the_roles_that_are_named_get_a_policy_by_the_access_rules(kms, run):
    role = "arn:aws:iam::111122223333:role"
    said = run(f"rotate start --signer-role {role}/agent-manager --admin-role {role}/security -o json")
    new = orjson.loads(said)["new"]["keyArn"].rpartition("/")[2]
    statements = orjson.loads(kms.service.store.keys[new].policy)["Statement"]
    allowed = {str(each["Principal"]) for each in statements if each["Effect"] == "Allow"}
    assert allowed >= {str({"AWS": f"{role}/{name}"}) for name in ("agent-manager", "security")}
    assert run("rotate abort -o json").count("abandoned") == 1


def test_an_administrator_goes_with_a_signer(run):
    run("rotate start --admin-role arn:aws:iam::111122223333:role/security", code=2)


def damage_of(said: str, stream: str = "default"):
    (damage,) = [each for each in orjson.loads(said)["damage"] if each["stream"] == stream]
    return damage


def test_an_anchor_from_before_the_theft_proves_what_it_holds(tmp_path, run):
    with running_authority(tmp_path / "tsa") as authority:
        stamps = f"rfc3161:stamps.jsonl?roots={authority.roots}"
        run(f"anchor publish '{stamps}&tsa={authority.url}'")
        proven_to = orjson.loads(run("verify -o json"))["streams"][0]["last_seq"]
        run("append --type agent.spawned")
        damage = damage_of(run(f"rotate emergency {SINCE} --anchor '{stamps}' --dry-run -o json"))
        assert (damage["proven_to"], damage["in_doubt"][0]) == (proven_to, proven_to + 1)
        assert "stamps.jsonl" in damage["proven_by"]
        late = damage_of(run(f"rotate emergency {SINCE.replace('2099', '2020')} --anchor '{stamps}' --dry-run -o json"))
        assert (late["proven_to"], late["proven_by"]) == (-1, None)


def test_witnesses_count_by_a_policy(tmp_path, run):
    run("checkpoint create")
    witness = Witness("witness.example/w1")
    (tmp_path / "policy").write_text(f"witness w1 {witness.key.vkey()}\nquorum w1\n")
    with closing(open_store("sqlite:///audit.db")) as store:
        last = store.last_checkpoint("default")
        store.add_cosignatures("default", last.size, [witness.cosign(last.text, 1_700_000_000)])
    run("append --type agent.spawned")
    damage = damage_of(run(f"rotate emergency {SINCE} --witness-policy policy -o json"))
    assert (damage["proven_to"], damage["proven_by"]) == (last.size - 1, "witnesses")


def test_a_dry_run_changes_nothing_and_names_the_command_that_carries_it_out(tmp_path, run):
    before = (tmp_path / "signers.json").read_bytes()
    said = run(f"rotate emergency {SINCE} --dry-run")
    assert said.endswith(f"{NEXT}\n")
    assert (tmp_path / "signers.json").read_bytes() == before
    assert run("verify -o json") == run("verify -o json")


def test_a_key_that_was_disabled_by_hand_is_left_behind(kms, run):
    (key,) = kms.service.store.keys.values()
    key.state = "Disabled"
    said = run(f"rotate emergency {SINCE}")
    assert said.endswith("Next: auditseal rotate publish, then auditseal rotate verify\n")
    run("rotate publish --location published.json")
    run("rotate verify --location published.json")
    run("append --type agent.spawned")
    run("signers check --log sqlite:///audit.db")
    streams = orjson.loads(run("verify -o json", code=1))["streams"]
    assert {part["signer"] for stream in streams for part in stream["signed_by"]} == {"audit-2027"}
