"""Files of a trail as they lie in a bucket: compressed, of bounded size, and which of them is what.

Source: CloudTrail User Guide, "Finding your CloudTrail log files" and "CloudTrail digest file structure".
"""

from __future__ import annotations

import zlib
from typing import Final

from auditseal.errors import InputError

MAX_FILE_BYTES: Final = 256 * 1024 * 1024
"""Of one uncompressed log file; CloudTrail's have some 50 MB at most."""
_GZIP: Final = b"\x1f\x8b"
_AS_GZIP: Final = 16 + zlib.MAX_WBITS
DIGEST_FOLDER: Final = "CloudTrail-Digest"
_OTHER_FOLDERS: Final = ("CloudTrail-Insight", "CloudTrail-Aggregated", "CloudTrail-NetworkActivity")
_ENDINGS: Final = (".json", ".json.gz")


def inflate(data: bytes, place: str) -> bytes:
    """The content of a file that may be compressed.

    Raises:
        InputError: damaged, cut off, or larger than a file of CloudTrail is.
    """
    if not data.startswith(_GZIP):
        content = data
    else:
        parts: list[bytes] = []
        size = 0
        while data:
            inflater = zlib.decompressobj(_AS_GZIP)
            try:
                part = inflater.decompress(data, MAX_FILE_BYTES + 1 - size)
            except zlib.error:
                raise InputError(f"{place} is damaged: it cannot be decompressed") from None
            parts.append(part)
            size += len(part)
            if size > MAX_FILE_BYTES:
                break
            if not inflater.eof:
                raise InputError(f"{place} is cut off: it cannot be decompressed to its end")
            data = inflater.unused_data
        content = parts[0] if len(parts) == 1 else b"".join(parts)
    if len(content) > MAX_FILE_BYTES:
        raise InputError(f"{place} has more than {MAX_FILE_BYTES} bytes: it is no file of CloudTrail")
    return content


def is_digest(name: str) -> bool:
    """Whether this is a digest file, by its name and folders."""
    return name.endswith(_ENDINGS) and DIGEST_FOLDER in name


def is_log_file(name: str) -> bool:
    """Whether this is a file of records, by its name and folders."""
    return name.endswith(_ENDINGS) and DIGEST_FOLDER not in name and not any(part in name for part in _OTHER_FOLDERS)


def digest_order(name: str) -> tuple[str, str]:
    """Sorts digests of one account, Region and trail by their end, which their names carry."""
    file = name.rsplit("/", 1)[-1]
    head, _, end = file.removesuffix(".gz").removesuffix(".json").removesuffix("_backfill").rpartition("_")
    return head, end
