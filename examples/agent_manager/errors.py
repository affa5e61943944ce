"""Why a call is not answered as it was asked."""

from __future__ import annotations


class ManagerError(Exception):
    """The root. `status` is that of HTTP."""

    status = 500


class UnknownError(ManagerError):
    """There is no such template, agent or operation."""

    status = 404


class NotAllowedError(ManagerError):
    """Not in this state, not at this moment, or not under this id."""

    status = 409


class CannotDoError(ManagerError):
    """It was recorded and tried, and did not work; that it did not is recorded as well."""

    status = 422


class NotRecordedError(ManagerError):
    """The audit log did not take an event.

    Attributes:
        is_certain: whether the event is surely not in the log; else nobody knows.
        is_done: whether what was ordered was carried out, and only its outcome waits to be recorded.
    """

    status = 503

    def __init__(self, message: str, *, is_certain: bool = False, is_done: bool = False) -> None:
        super().__init__(message)
        self.is_certain = is_certain
        self.is_done = is_done


class DeniedError(ManagerError):
    """The caller did not show who it is."""

    status = 401
