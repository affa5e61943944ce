"""A refusal as KMS words it on the wire."""

from __future__ import annotations


class RefusalError(Exception):
    """An error answer: `__type`, message, HTTP status."""

    def __init__(self, type_: str, message: str = "", status: int = 400) -> None:
        super().__init__(message)
        self.type = type_
        self.message = message
        self.status = status


def invalid(message: str) -> RefusalError:
    return RefusalError("ValidationException", f"1 validation error detected: {message}")
