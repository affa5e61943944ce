"""Collecting cosignatures: a signed checkpoint goes to every witness of the policy at once, within a time limit.

A witness that last saw another size says so, and is asked once more with a proof from there. Whether a missing quorum
stops the log is the caller's setting; to go on without it is asked for by name, and never looks like success.

Source: c2sp.org/tlog-witness; `docs/spec/checkpoint.md`, "Witnesses".
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Final, Literal

from auditseal.core.note import NoteSignature, parse_signatures
from auditseal.core.note_key import verifier_for
from auditseal.core.witness_rules import AddCheckpoint, StaleError, format_add_checkpoint
from auditseal.errors import AuditSealError, PolicyNotMetError, RejectedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from auditseal.core.note import Note
    from auditseal.core.stored_checkpoint import StoredCheckpoint
    from auditseal.core.witness_policy import WitnessPolicy
    from auditseal.ports import CheckpointStore, WitnessClient
    from auditseal.service.tree import StreamTree

OnMissing = Literal["block", "fail-open"]
"""What a missing quorum means: `block`, nothing counts as signed until it is there; `fail-open`, the log goes on."""
_TRIES: Final = 2


class Cosigner:
    """Asks the witnesses of one policy. Safe to use from many threads."""

    def __init__(
        self,
        store: CheckpointStore,
        policy: WitnessPolicy,
        clients: Sequence[WitnessClient],
        *,
        timeout_s: float = 5.0,
        on_missing: OnMissing = "block",
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Sets up.

        Args:
            store: where cosignatures are kept.
            policy: who counts.
            clients: one for each witness that can be asked, under the policy's names.
            timeout_s: for all of them together.
            on_missing: what a missing quorum means.
            monotonic: seconds.
        """
        self.policy = policy
        self.last_problem: str | None = None
        self._store = store
        self._clients = tuple(clients)
        self._timeout_s = timeout_s
        self._on_missing = on_missing
        self._monotonic = monotonic
        self._pool = ThreadPoolExecutor(max(1, len(self._clients)), "auditseal-witness")
        self._sizes: dict[tuple[str, str], int] = {}
        self._lock = threading.Lock()

    def collect(self, checkpoint: StoredCheckpoint, tree: StreamTree) -> tuple[NoteSignature, ...]:
        """The cosignatures that came in time; they are kept with the checkpoint.

        Args:
            checkpoint: signed and kept.
            tree: of its stream, for proofs.

        Raises:
            PolicyNotMetError: the quorum is missing, and `on_missing` is `block`.
            StoreError: they could not be kept.
        """
        note = checkpoint.note()
        deadline = self._monotonic() + self._timeout_s
        futures = {
            self._pool.submit(self._ask, client, checkpoint, note, tree, deadline): client for client in self._clients
        }
        lines: list[NoteSignature] = []
        problems: dict[str, str] = {}
        left = set(futures)
        while left and (rest_s := deadline - self._monotonic()) > 0:
            done, left = wait(left, timeout=rest_s, return_when=FIRST_COMPLETED)
            for future in done:
                try:
                    lines += future.result()
                except AuditSealError as error:
                    problems[futures[future].name] = str(error)
            if self.policy.evaluate(note.with_signatures(lines)).met:
                break
        for future in left:
            problems[futures[future].name] = "no answer in time"
        if lines:
            self._store.add_cosignatures(checkpoint.stream, checkpoint.size, lines)
        self._judge(note.with_signatures(lines), problems)
        return tuple(lines)

    def close(self) -> None:
        """Lets go of what is still under way."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _judge(self, note: Note, problems: Mapping[str, str]) -> None:
        try:
            self.policy.require(note)
        except PolicyNotMetError as error:
            said = "; ".join(f"{name}: {problem}" for name, problem in sorted(problems.items()))
            self.last_problem = f"{error}{' (' + said + ')' if said else ''}"[:1000]
            if self._on_missing == "block":
                raise PolicyNotMetError(self.last_problem, missing=error.missing) from error
        else:
            self.last_problem = None

    def _ask(
        self, client: WitnessClient, checkpoint: StoredCheckpoint, note: Note, tree: StreamTree, deadline: float
    ) -> tuple[NoteSignature, ...]:
        place = (client.name, checkpoint.stream)
        with self._lock:
            old_size = min(self._sizes.get(place, 0), checkpoint.size)
        for attempt in range(_TRIES):
            proof = tree.consistency(old_size, checkpoint.size)
            body = format_add_checkpoint(AddCheckpoint(old_size=old_size, proof=proof, note=note))
            try:
                answer = client.add_checkpoint(body, timeout_s=max(0.01, deadline - self._monotonic()))
            except StaleError as stale:
                if attempt or stale.size > checkpoint.size:
                    raise RejectedError(
                        f"it has seen size {stale.size}, and this checkpoint has {checkpoint.size}"
                    ) from stale
                old_size = stale.size
                continue
            lines = self._checked(client.name, note, answer)
            with self._lock:
                self._sizes[place] = max(self._sizes.get(place, 0), checkpoint.size)
            return lines
        raise RejectedError("it named another size each time")

    def _checked(self, name: str, note: Note, answer: bytes) -> tuple[NoteSignature, ...]:
        """The lines of an answer that are by this witness and verify.

        Raises:
            InputError: no signature lines.
            SignatureInvalidError: a line does not verify.
            RejectedError: no line is by this witness.
        """
        witness = self.policy.witnesses[name]
        verifier = verifier_for(witness.key)
        lines = parse_signatures(answer.decode("utf-8", "replace"))
        own = tuple(line for line in lines if (line.name, line.key_id) == (verifier.name, verifier.key_id))
        for line in own:
            verifier.check(note.text, line.signature)
        if not own:
            raise RejectedError("it answered without a cosignature of its own")
        return own
