"""signers.json on disk: what is refused, that no reader ever sees half a file, and that two writers lose nothing."""

import errno
import json
import os
import signal
import stat
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from auditseal.adapters import registry_file
from auditseal.adapters.registry_file import RegistryReader, load_registry, save_registry, update_registry
from auditseal.core.algorithm import AlgorithmId
from auditseal.core.key import to_pem
from auditseal.core.registered_signer import Status
from auditseal.core.registry import MAX_REGISTRY_BYTES, Registry
from auditseal.errors import ConfigError, ConflictError, InputError, NotFoundError, StoreError
from support.keys import public_key, signer

ONE = Registry(signers=(signer(AlgorithmId.ECDSA_P256_SHA256),))
TWO = ONE.with_signer(signer(AlgorithmId.ED25519))
SECRET = Registry(signers=(signer(AlgorithmId.HMAC_SHA256),))


def _mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def _names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def path(tmp_path):
    return tmp_path / "signers.json"


def test_what_is_saved_is_loaded(path):
    save_registry(path, TWO)
    assert load_registry(path) == TWO
    assert load_registry(str(path)) == TWO
    assert _names(path.parent) == ["signers.json"]


def test_keys_are_saved_in_the_form_that_is_asked_for(path):
    save_registry(path, ONE, key_form="der")
    assert "BEGIN" not in path.read_text()
    save_registry(path, ONE)
    assert to_pem(public_key(AlgorithmId.ECDSA_P256_SHA256)) == json.loads(path.read_text())["signers"][0]["publicKey"]


def test_openssl_loads_the_key_of_a_saved_file(path):
    save_registry(path, ONE)
    member = json.loads(path.read_text())["signers"][0]
    command = ["openssl", "pkey", "-pubin", "-noout", "-text"]
    done = subprocess.run(command, input=member["publicKey"], capture_output=True, text=True, check=True)
    assert "prime256v1" in done.stdout


def test_members_that_are_not_known_survive_a_rewrite(path):
    member = {
        "signerId": "k",
        "publicKey": to_pem(public_key(AlgorithmId.ED25519)),
        "deployedAt": "2026-01-01",
        "deep": {"b": [1, None]},
    }
    path.write_text(json.dumps({"version": 3, "signers": [member], "note": "n"}))
    update_registry(path, lambda registry: registry.with_changed("k", status=Status.RETIRED))
    written = json.loads(path.read_text())
    assert (written["version"], written["note"]) == (3, "n")
    assert written["signers"][0]["deployedAt"] == "2026-01-01"
    assert written["signers"][0]["deep"] == {"b": [1, None]}
    assert written["signers"][0]["status"] == "retired"


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda path: None, NotFoundError, "no such file"),
        (lambda path: path.mkdir(), InputError, "not a regular file|is a folder"),
        (os.mkfifo, InputError, "not a regular file"),
        (lambda path: path.symlink_to(path.with_name("gone")), NotFoundError, "no such file"),
        (lambda path: path.write_text("{"), InputError, "not JSON"),
        (lambda path: path.write_bytes(b" " * (MAX_REGISTRY_BYTES + 1)), InputError, "more than"),
        (lambda path: path.write_text('{"signers": 1}'), InputError, "neither an object nor a list"),
    ],
    ids=["missing", "folder", "pipe", "dangling link", "not json", "too large", "no registry"],
)
def test_what_cannot_be_loaded_is_refused_with_the_path(path, make, error, text):
    make(path)
    with pytest.raises(error, match=text) as caught:
        load_registry(path)
    assert str(path) in str(caught.value)


def test_a_reader_parses_a_file_once_until_it_changes(path):
    read = RegistryReader(path)
    with pytest.raises(NotFoundError):
        read()
    save_registry(path, ONE)
    first = read()
    assert first == ONE
    assert read() is first
    save_registry(path, TWO)
    assert read() == TWO
    path.write_bytes(b"{")
    with pytest.raises(InputError, match="signers"):
        read()
    save_registry(path, ONE)
    assert read() == ONE


def test_a_path_through_a_file_is_not_found(path):
    path.write_text("{}")
    with pytest.raises(NotFoundError):
        load_registry(path / "signers.json")


@pytest.mark.parametrize(
    ("number", "error"),
    [(errno.EACCES, ConfigError), (errno.EROFS, ConfigError), (errno.EIO, StoreError), (errno.ENOSPC, StoreError)],
)
def test_every_fault_of_the_disk_has_a_named_error(path, monkeypatch, number, error):
    def fail(*args, **kwargs):
        raise OSError(number, os.strerror(number))

    save_registry(path, ONE)
    with monkeypatch.context() as patch:
        patch.setattr(registry_file.os, "open", fail)
        with pytest.raises(error, match=os.strerror(number)):
            load_registry(path)
    with monkeypatch.context() as patch:
        patch.setattr(registry_file.os, "fsync", fail)
        with pytest.raises(error, match="could not be written"):
            save_registry(path, TWO)
    assert load_registry(path) == ONE
    assert _names(path.parent) == ["signers.json"]


def test_a_registry_is_not_saved_where_there_is_no_folder(path):
    with pytest.raises(NotFoundError):
        save_registry(path.parent / "gone" / "signers.json", ONE)


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_what_is_no_file_is_not_replaced(path, make):
    make(path)
    with pytest.raises(InputError):
        save_registry(path, ONE)
    assert not path.is_file()


def test_a_link_stays_a_link_and_its_target_is_replaced(tmp_path, path):
    target = tmp_path / "elsewhere" / "real.json"
    target.parent.mkdir()
    save_registry(target, ONE)
    path.symlink_to(target)
    save_registry(path, TWO)
    assert path.is_symlink()
    assert load_registry(target) == TWO


def test_a_new_file_is_for_everybody_to_read_and_an_old_one_keeps_its_mode(path):
    before = os.umask(0o077)
    try:
        save_registry(path, ONE)
    finally:
        os.umask(before)
    assert _mode(path) == 0o644
    path.chmod(0o640)
    save_registry(path, TWO)
    assert _mode(path) == 0o640


def test_a_file_with_a_secret_is_for_its_owner_alone(path):
    save_registry(path, ONE)
    save_registry(path, SECRET)
    assert _mode(path) == 0o600


def test_a_secret_is_never_on_disk_for_others_to_read(path, monkeypatch):
    seen = []
    replace = Path.replace

    def look(self, target):
        seen.append(_mode(self))
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", look)
    before = os.umask(0)
    try:
        save_registry(path, SECRET)
    finally:
        os.umask(before)
    assert seen == [0o600]


@pytest.mark.parametrize("step", ["fsync", "fchmod"])
def test_an_interrupt_before_the_rename_leaves_the_old_file_and_nothing_beside_it(path, monkeypatch, step):
    def interrupt(*args):
        raise KeyboardInterrupt

    save_registry(path, ONE)
    monkeypatch.setattr(registry_file.os, step, interrupt)
    with pytest.raises(KeyboardInterrupt):
        save_registry(path, TWO)
    monkeypatch.undo()
    assert load_registry(path) == ONE
    assert _names(path.parent) == ["signers.json"]


_CRASH = """
    import os
    import signal
    import sys
    from pathlib import Path
    from auditseal.adapters import registry_file
    from auditseal.core.registered_signer import Status

    def crash(*args, **kwargs):
        os.kill(os.getpid(), signal.SIGKILL)

    def retire(registry):
        setattr(Path if step == "replace" else registry_file.os, step, crash)
        return registry.with_changed(next(iter(registry)).signer_id, status=Status.RETIRED)

    path, step = sys.argv[1:]
    registry_file.update_registry(path, retire)
"""


def _crash(path, step):
    """Lets another process die at this step of writing."""
    command = [sys.executable, "-c", textwrap.dedent(_CRASH), str(path), step]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr


@pytest.mark.parametrize("step", ["fdopen", "fchmod", "fsync", "replace"])
def test_a_crash_before_the_rename_leaves_the_old_file(path, step):
    save_registry(path, ONE)
    before = path.read_bytes()
    _crash(path, step)
    assert path.read_bytes() == before
    # What the crash left behind is no obstacle.
    save_registry(path, TWO)
    assert load_registry(path) == TWO


def test_the_file_and_its_folder_are_synced_around_the_rename(path, monkeypatch):
    steps = []
    fsync, replace = os.fsync, Path.replace

    def note_sync(descriptor):
        steps.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        fsync(descriptor)

    def note_replace(self, target):
        steps.append("rename")
        return replace(self, target)

    monkeypatch.setattr(registry_file.os, "fsync", note_sync)
    monkeypatch.setattr(Path, "replace", note_replace)
    save_registry(path, ONE)
    assert steps == ["file", "rename", "folder"]


def test_readers_beside_a_writer_never_see_part_of_a_file(path):
    save_registry(path, ONE)

    def write():
        for number in range(60):
            save_registry(path, (ONE, TWO)[number % 2])

    with ThreadPoolExecutor(2) as pool:
        writing = pool.submit(write)
        seen = set()
        while not writing.done():
            seen.add(len(load_registry(path)))
        writing.result()
    assert seen <= {1, 2}
    assert seen


def test_a_registry_that_could_not_be_read_back_is_not_written(path):
    save_registry(path, ONE)
    big = Registry(signers=ONE.signers, extra={"a": "x" * (MAX_REGISTRY_BYTES - 100)})
    with pytest.raises(InputError, match="was not written"):
        save_registry(path, big)
    assert load_registry(path) == ONE


def test_an_update_reads_changes_and_writes(path):
    save_registry(path, ONE)
    after = update_registry(path, lambda registry: registry.with_signer(signer(AlgorithmId.ED25519)))
    assert after == TWO == load_registry(path)
    assert _names(path.parent) == [".signers.json.lock", "signers.json"]


def test_an_update_that_changes_nothing_writes_nothing(path):
    path.write_bytes(ONE.to_json_bytes(key_form="der"))
    before = path.stat()
    assert update_registry(path, lambda registry: registry) == ONE
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_an_update_creates_a_file_only_if_it_may(path):
    def add(registry):
        return registry.with_signer(signer(AlgorithmId.ED25519))

    with pytest.raises(NotFoundError):
        update_registry(path, add)
    assert not path.exists()
    update_registry(path, add, create=True)
    assert len(load_registry(path)) == 1


def test_what_a_change_raises_ends_the_update_and_nothing_is_written(path):
    save_registry(path, ONE)
    other = signer(AlgorithmId.ED25519, signer_id="signer-ecdsa-p256-sha256")
    with pytest.raises(ConflictError):
        update_registry(path, lambda registry: registry.with_signer(other))
    assert load_registry(path) == ONE
    # The lock is free again.
    update_registry(path, lambda registry: registry, timeout_s=0)


def test_many_updates_at_once_lose_none(path):
    def add(number):
        new = signer(AlgorithmId.ED25519, signer_id=f"signer-{number}")
        update_registry(path, lambda registry: registry.with_signer(new), create=True)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(24)))
    assert {member.signer_id for member in load_registry(path)} == {f"signer-{number}" for number in range(24)}


def test_a_lock_that_another_process_holds_is_waited_for_and_then_told(path):
    save_registry(path, ONE)
    holder = textwrap.dedent("""
        import sys
        from auditseal.adapters.registry_file import update_registry

        def hold(registry):
            print("held", flush=True)
            sys.stdin.read()
            return registry

        update_registry(sys.argv[1], hold)
    """)
    with subprocess.Popen(
        [sys.executable, "-c", holder, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "held\n"
        with pytest.raises(StoreError, match="is being changed by another process: try again") as caught:
            update_registry(path, lambda registry: registry, timeout_s=0.05)
        assert caught.value.retryable
        assert load_registry(path) == ONE
        process.communicate("")
    assert process.returncode == 0
    update_registry(path, lambda registry: registry, timeout_s=0)


def test_a_lock_of_a_process_that_was_killed_is_free(path):
    save_registry(path, ONE)
    _crash(path, "replace")
    update_registry(path, lambda registry: registry, timeout_s=0)


def test_a_disk_that_cannot_lock_is_told(path, monkeypatch):
    def fail(*args):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    save_registry(path, ONE)
    monkeypatch.setattr(registry_file.fcntl, "flock", fail)
    with pytest.raises(StoreError, match="could not be locked"):
        update_registry(path, lambda registry: registry)


def test_a_lock_file_that_is_a_link_is_not_followed(path):
    save_registry(path, ONE)
    victim = path.with_name("victim")
    path.with_name(".signers.json.lock").symlink_to(victim)
    with pytest.raises(StoreError):
        update_registry(path, lambda registry: registry)
    assert not victim.exists()
