"""The demo command."""

from __future__ import annotations

import os
import shutil
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final
from urllib.parse import urlsplit

import typer

from auditseal.cli.exits import Exit
from auditseal.errors import InputError

if TYPE_CHECKING:
    from auditseal.cli.demo.story import Caught, Recorded, Story

_SAMPLE: Final = 17
_MARKER: Final = ".auditseal-demo"


def demo(
    to: Annotated[Path, typer.Option("--to", metavar="FOLDER", help="The folder to work in.")] = Path("auditseal-demo"),
) -> int:
    """Show the whole story with a KMS emulator: sign, verify offline, tamper, be caught. script/demo starts one."""
    from auditseal.cli.demo.agents import AGENTS
    from auditseal.cli.demo.story import STREAMS, Story

    endpoint = _emulator_endpoint()
    _prepare(to)
    story = Story(to)
    keys = story.make_keys()
    print(f"auditseal demo: a KMS emulator on {endpoint}, {keys} keys, an Agent Manager with {AGENTS} agents\n")
    print(f"  {'stream':<10}  {'algorithm':<18}  {'entries':>7}  {'signed by KMS':<15}  verified offline")
    recorded = []
    for stream in STREAMS:
        recorded.append(story.record(stream))
        print(_recorded_line(recorded[-1]), flush=True)
    good = all(item.signed == item.report.checked["entries"] == item.stream.events for item in recorded)
    good &= all(item.report.verdict == "valid" for item in recorded)
    good &= _second_opinion(story)
    print("\nNow somebody edits copies of the log:")
    print(f"  {'what was done':<52}  what verify said")
    caught = []
    for item in story.tamper():
        caught.append(item)
        print(_caught_line(item), flush=True)
    count = sum(item.as_expected for item in caught)
    print(f"  {count} of {len(caught)} caught.\n")
    print(f"Left for you in {to}:  auditseal list --log {story.address} --limit 10")
    print(f"{'':<{16 + len(str(to))}}  auditseal verify {story.address} --signers {story.signers}")
    print(f"{'':<{16 + len(str(to))}}  auditseal explain {story.address} 'ed25519#{_SAMPLE}' --signers {story.signers}")
    return Exit.GOOD if good and count == len(caught) else Exit.BAD


def _emulator_endpoint() -> str:
    """The endpoint's host and port; never AWS itself, where keys cost money and stay.

    Raises:
        InputError: none is set, or it is not this machine.
    """
    url = os.environ.get("AWS_ENDPOINT_URL_KMS") or os.environ.get("AWS_ENDPOINT_URL") or ""
    parts = urlsplit(url)
    try:
        is_here = parts.hostname == "localhost" or ip_address(parts.hostname or "").is_loopback
    except ValueError:
        is_here = False
    if not is_here:
        raise InputError(
            "the demo makes keys, and only in an emulator on this machine: run script/demo, which starts one, or set "
            "AWS_ENDPOINT_URL_KMS to one that runs"
        )
    return parts.netloc


def _prepare(folder: Path) -> None:
    """An empty folder; one that an earlier demo left is emptied, and nobody else's.

    Raises:
        InputError: there is something else.
    """
    if folder.exists():
        if not (folder / _MARKER).is_file():
            raise InputError(f"{folder} exists and is no folder of an earlier demo: name another with --to")
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    (folder / _MARKER).touch()


def _recorded_line(item: Recorded) -> str:
    how = "" if not item.stream.algorithm.startswith("hmac") else " (through VerifyMac)"
    timing = f"{item.signed} in {item.seconds:.1f} s"
    return (
        f"  {item.stream.name:<10}  {item.stream.algorithm:<18}  {item.report.checked['entries']:>7}  {timing:<15}  "
        f"{item.report.verdict}{how}"
    )


def _second_opinion(story: Story) -> bool:
    agreed = story.ask_openssl(_SAMPLE)
    if agreed is None:
        print("  openssl was not asked: there is no such command on this machine")
        return True
    places = " and ".join(f"{stream} #{_SAMPLE}" for stream in agreed)
    good = all(agreed.values())
    print(f"  openssl {'agrees' if good else 'DOES NOT AGREE'} on {places}")
    return good


def _caught_line(item: Caught) -> str:
    place = "" if item.seq is None else f" #{item.seq}"
    said = ", ".join(f"{code}{place if index == 0 else ''}" for index, code in enumerate(item.found))
    missed = "" if item.as_expected else "   MISSED"
    return f"  {item.what:<52}  {item.report.verdict:<12}  {said}{missed}"
