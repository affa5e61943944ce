"""A decorator that records calls of a function: that it is about to happen, and how it ended.

The first event is recorded before the function runs; if that fails the function does not run.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

from auditseal.core.event import Event, check_name, check_stream

if TYPE_CHECKING:
    from auditseal.client.interface import AsyncRecorder, Recorder

P = ParamSpec("P")
R = TypeVar("R")
Details = Callable[..., Mapping[str, Any]]


def audited(
    recorder: Recorder | AsyncRecorder,
    *,
    type: str,  # noqa: A002 - the member's name in the format
    stream: str = "default",
    actor: str | Callable[..., str | None] | None = None,
    payload: Details = lambda *_, **__: {},
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Records each call as `TYPE.started`, and then as `TYPE.done` or `TYPE.failed`.

    Args:
        recorder: a synchronous one for a function, an asynchronous one for a coroutine function.
        type: what the call is, such as `report.delete`.
        stream: where the events go.
        actor: who does it, or a function of the call's arguments that says so.
        payload: a function of the call's arguments that gives what to record of them. Nothing is recorded unasked.

    Raises:
        InputError: type or stream is not acceptable.
    """
    check_name("type", f"{type}.started")
    check_stream(stream)

    def event(how: str, arguments: tuple[Any, ...], named: Mapping[str, Any], **more: Any) -> Event:
        who = actor(*arguments, **named) if callable(actor) else actor
        return Event(type=f"{type}.{how}", actor=who, stream=stream, payload={**payload(*arguments, **named), **more})

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        if inspect.iscoroutinefunction(function):
            later = cast("AsyncRecorder", recorder)

            @functools.wraps(function)
            async def recorded_later(*arguments: P.args, **named: P.kwargs) -> Any:
                await later.submit(event("started", arguments, named))
                try:
                    result = await function(*arguments, **named)
                except BaseException as error:
                    await later.submit(event("failed", arguments, named, error=error.__class__.__name__))
                    raise
                await later.submit(event("done", arguments, named))
                return result

            return cast("Callable[P, R]", recorded_later)
        now = cast("Recorder", recorder)

        @functools.wraps(function)
        def recorded(*arguments: P.args, **named: P.kwargs) -> R:
            now.submit(event("started", arguments, named))
            try:
                result = function(*arguments, **named)
            except BaseException as error:
                now.submit(event("failed", arguments, named, error=error.__class__.__name__))
                raise
            now.submit(event("done", arguments, named))
            return result

        return recorded

    return decorate
