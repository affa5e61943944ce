"""What a CloudTrail trail records of KMS, from its event selectors.

Sign and GenerateMac are read-only management events of kms.amazonaws.com: a trail that records writes alone, or that
leaves KMS out, sees no signature.

Source: CloudTrail User Guide, "Logging management events"; API Reference, EventSelector, AdvancedEventSelector.
"""

from __future__ import annotations

from dataclasses import dataclass

from auditseal.access.node import Node, Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Whether reads and KMS are recorded, and where the text says so."""

    reads: bool
    kms: bool
    place: Place


def classic_selection(selectors: list[Node], place: Place) -> Selection:
    """What classic selectors record; without any, a trail records all management events.

    Args:
        selectors: objects with `ReadWriteType`, `IncludeManagementEvents`, `ExcludeManagementEventSources`.
        place: where the trail stands.
    """
    if not selectors:
        return Selection(reads=True, kms=True, place=place)
    reads = kms = False
    where = selectors[0].place
    for selector in selectors:
        included = selector.get("IncludeManagementEvents")
        if included is not None and _is_false(included):
            continue
        kind = selector.get("ReadWriteType")
        sees_reads = kind is None or kind.text in {None, "All", "ReadOnly"}
        excluded = selector.get("ExcludeManagementEventSources")
        sources = [] if excluded is None else [item.text for item in excluded.items]
        reads = reads or sees_reads
        kms = kms or "kms.amazonaws.com" not in sources
    return Selection(reads=reads, kms=kms, place=where)


def advanced_selection(selectors: list[Node], place: Place) -> Selection:
    """What advanced selectors record.

    Args:
        selectors: objects with `FieldSelectors`, each with `Field` and `Equals`, `NotEquals`, ….
        place: where the trail stands.
    """
    reads = kms = False
    for selector in selectors:
        fields = selector.get("FieldSelectors")
        by_name = {} if fields is None else {_text(item, "Field"): item for item in fields.items}
        if "Management" not in _values(by_name.get("eventCategory"), "Equals"):
            continue
        only_writes = "false" in _values(by_name.get("readOnly"), "Equals")
        reads = reads or not only_writes
        source = by_name.get("eventSource")
        wanted = _values(source, "Equals")
        unwanted = _values(source, "NotEquals")
        kms = kms or ("kms.amazonaws.com" not in unwanted and (not wanted or "kms.amazonaws.com" in wanted))
    return Selection(reads=reads, kms=kms, place=selectors[0].place if selectors else place)


def _is_false(node: Node) -> bool:
    return node.value is False or node.text == "false"


def _text(node: Node, member: str) -> str:
    found = node.get(member)
    return "" if found is None else found.text or ""


def _values(node: Node | None, member: str) -> list[str]:
    found = None if node is None else node.get(member)
    return (
        [] if found is None else [str(item.value).lower() if item.text is None else item.text for item in found.items]
    )
