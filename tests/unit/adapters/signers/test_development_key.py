import errno
import os
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from auditseal.adapters.signers.development_key import generate_development_key
from auditseal.adapters.signers.local import LocalSigner
from auditseal.core.algorithm import AlgorithmId
from auditseal.errors import ConfigError, ConflictError


def _mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_the_key_signs_with_ed25519(tmp_path):
    path = tmp_path / "key.pem"
    generate_development_key(path)
    assert LocalSigner.from_file(path, signer_id="dev").algorithm.id is AlgorithmId.ED25519


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_only_the_owner_can_read_it_and_its_folder(tmp_path, umask):
    before = os.umask(umask)
    try:
        generate_development_key(tmp_path / "new" / "deep" / "key.pem")
    finally:
        os.umask(before)
    assert _mode(tmp_path / "new" / "deep" / "key.pem") == 0o600
    assert (_mode(tmp_path / "new"), _mode(tmp_path / "new" / "deep")) == (0o700, 0o700)


def test_a_file_that_is_there_is_left_as_it_is(tmp_path):
    path = tmp_path / "key.pem"
    path.write_text("precious")
    with pytest.raises(ConflictError, match="exists already"):
        generate_development_key(path)
    assert path.read_text() == "precious"
    assert [file.name for file in tmp_path.iterdir()] == ["key.pem"]


def test_a_link_that_leads_nowhere_is_not_followed(tmp_path):
    path = tmp_path / "key.pem"
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConflictError):
        generate_development_key(path)
    assert not (tmp_path / "elsewhere").exists()


def test_of_many_at_once_one_makes_the_key(tmp_path):
    path = tmp_path / "key.pem"

    def attempt(_):
        try:
            generate_development_key(path)
        except ConflictError:
            return 0
        return 1

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(attempt, range(8))) == 1
    assert [file.name for file in tmp_path.iterdir()] == ["key.pem"]


def test_a_folder_that_others_can_write_in_is_refused(tmp_path):
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(ConfigError, match="chmod go-w"):
        generate_development_key(folder / "key.pem")
    assert not list(folder.iterdir())


def test_a_folder_like_tmp_is_taken_since_others_cannot_replace_files_there(tmp_path):
    folder = tmp_path / "sticky"
    folder.mkdir()
    folder.chmod(0o1777)
    generate_development_key(folder / "key.pem")
    assert _mode(folder / "key.pem") == 0o600


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        generate_development_key(tmp_path / "file" / "key.pem")


def test_a_disk_that_is_full_leaves_nothing_behind(tmp_path, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ConfigError, match="No space left"):
        generate_development_key(tmp_path / "key.pem")
    assert not list(tmp_path.iterdir())
