"""How an entry gets its job: claimed, armed, accepted or given back, each in one transaction."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from watcher.ledger.housekeeping import Housekeeping
from watcher.ledger.reader import as_json_ids
from watcher.ledger.rows import display_name
from watcher.ledger.transitions import IllegalMove
from watcher.models import AttemptState, Entry, EntryState

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from pathlib import Path

    from watcher.ledger.rows import Cleanup
    from watcher.models import Attempt, Engine

__all__ = ["REPLACED", "Submitting"]

_S = EntryState
_OPEN = frozenset({_S.SUBMITTING, _S.HELD})
"""States of an entry whose latest attempt may still come to something."""
REPLACED = "Other content took its place before it was submitted."


class Submitting(Housekeeping):
    """The part of the ledger that keeps a recording from being paid twice.

    Only the latest attempt of an entry is ever open: what leads back to WAITING ends the one before. So what comes of
    an attempt that is open concerns its entry as it is; what comes of one that has ended concerns nobody.
    """

    def claim(
        self,
        engine: Engine,
        root: Path,
        *,
        account: str,
        reference: str,
        now: float,
        reusable: Callable[[Entry, Entry, Entry], bool],
        newest_first: bool = False,
    ) -> tuple[Entry, Attempt | None] | None:
        """Take the next waiting entry of a folder.

        It becomes SUBMITTING with a prepared attempt; or TRANSCRIBED, with no attempt, where a transcript of the
        same content and config is there already. An entry is passed over while another of the same content and
        config has a job, or may have one.

        Args:
            engine: of the folder.
            root: the folder.
            account: where the job would go.
            reference: a fresh one for the attempt.
            now: unix time.
            reusable: called with the entry, one of the same content and config, and the one under whose uid that
                one's transcript is stored; says whether this transcript is to be used.
            newest_first: take the newest recording instead of the oldest.
        """
        with self._transaction("claim"):
            query = "claimable_newest" if newest_first else "claimable"
            entry = self._entry(query, engine=engine.value, root=os.fsencode(root), now=now)
            return self._claim(entry, account, reference, now, reusable) if entry else None

    def claim_requested(
        self,
        engine: Engine,
        *,
        account: str,
        reference: str,
        now: float,
        reusable: Callable[[Entry, Entry, Entry], bool],
        ids: Collection[int] | None = None,
    ) -> tuple[Entry, Attempt | None] | None:
        """Take the next waiting entry that was requested, oldest request first; see `claim`.

        Args:
            engine: of the entry.
            account: where the job would go.
            reference: a fresh one for the attempt.
            now: unix time.
            reusable: as for `claim`.
            ids: only these entries; None: any.
        """
        with self._transaction("claim"):
            entry = self._entry("claimable_requested", engine=engine.value, now=now, ids=as_json_ids(ids))
            return self._claim(entry, account, reference, now, reusable) if entry else None

    def _claim(
        self,
        entry: Entry,
        account: str,
        reference: str,
        now: float,
        reusable: Callable[[Entry, Entry, Entry], bool],
    ) -> tuple[Entry, Attempt | None]:
        if owner := self._transcript_for(entry, reusable):
            own = owner.id == entry.id
            reason = "It was transcribed before." if own else f"Same content as {display_name(owner.path)}."
            self._move(entry, _S.TRANSCRIBED, now, reason=reason)
            self._execute("note_copy", id=entry.id, copy_of=None if own else owner.id)
            return self.entry(entry.id), None
        self._move(entry, _S.SUBMITTING, now)
        self._execute("start_attempt", entry_id=entry.id, reference=reference, account=account, now=now)
        self._execute("note_attempt", entry_id=entry.id, reference=reference, account=account)
        return self.entry(entry.id), self.latest_attempt(entry.id)

    def _transcript_for(self, entry: Entry, reusable: Callable[[Entry, Entry, Entry], bool]) -> Entry | None:
        """Find the entry whose stored transcript `entry` can have."""
        for twin in self.same_job(entry):
            owner = self.entry(twin.copy_of) if twin.copy_of else twin
            if reusable(entry, twin, owner):
                return owner
        return None

    def arm(self, attempt: Attempt, *, now: float, key: str) -> None:
        """From here on a job may exist: commit that before the tail of the upload is sent.

        The attempt counts among the unclear ones until its outcome is known, so that crashes count, too.

        Args:
            attempt: the one that is under way.
            now: unix time.
            key: digest of the key that it is submitted with.

        Raises:
            IllegalMove: a person cancelled the entry meanwhile, or another attempt is under way; send no tail.
        """
        with self._transaction("arm"):
            entry = self.entry(attempt.entry_id)
            if entry.state is not _S.SUBMITTING or not self._execute(
                "arm_attempt", id=attempt.id, now=now, key_digest=key
            ):
                raise IllegalMove(f"{entry.path} is not to be submitted any more.")

    def arm_answered(self, attempt: Attempt, *, now: float, key: str) -> None:
        """The service claimed a job before it had the whole recording: a job may exist, as after `arm`.

        It may exist for an entry that a person cancelled meanwhile, too: then it is looked for, to be deleted.

        Args:
            attempt: the one that was answered.
            now: unix time.
            key: digest of the key that it was submitted with.
        """
        with self._transaction("arm answered"):
            if self.entry(attempt.entry_id).state in {_S.SUBMITTING, _S.CANCELLED}:
                values = {"entry_id": attempt.entry_id, "now": now, "key_digest": key}
                self._execute("arm_answered_attempt", id=attempt.id, **values)

    def note_unclear(self, entry: Entry, attempt: Attempt, *, reason: str, counts: bool) -> Entry:
        """The service's answer doesn't tell whether a job exists: say so; don't count it if it is just offline."""
        with self._transaction("note unclear"):
            values = {"reason": reason, "fix": "", "next_attempt_at": 0.0}
            self._execute("annotate", id=entry.id, state=entry.state.value, **values)
            if not counts:
                self._execute("forgive_attempt", id=attempt.id)
            return self.entry(entry.id)

    def unclear_outcomes(self, attempt: Attempt) -> int:
        """How many submissions of this content to this account had an unclear outcome, and gave no job that is known.

        Counted from when a person last asked to try it again.
        """
        sha256 = self.entry(attempt.entry_id).fingerprint.sha256
        row = self._row("count_unclear", sha256=sha256, account=attempt.account)
        return int(row[0]) if row else 0

    def accept(
        self, attempt: Attempt, job_id: str, *, now: float, key: str, reason: str = "", twins: Sequence[str] = ()
    ) -> Entry:
        """The service has the job: SUBMITTING (or HELD) → SUBMITTED.

        Args:
            attempt: the one that made it.
            job_id: its id.
            now: unix time.
            key: digest of the key that sees it.
            reason: how it was found, if not by the answer.
            twins: ids of other jobs with the same reference, which are to be deleted.

        Returns:
            The entry. If it does not have this `job_id` then, nobody waits for the job any more: it is left to be
            deleted, unless that was done before.
        """
        with self._transaction("accept"):
            entry = self.entry(attempt.entry_id)
            was_open = self._end_attempt(attempt, AttemptState.ACCEPTED, now, job_id)
            values = {"account": attempt.account, "key": key}
            for twin in twins:
                self._delete_job_later(entry, twin, now, **values, is_wanted=False)
            if not was_open or entry.state not in _OPEN:
                known = self._row("attempt_by_id", id=attempt.id)
                if known is not None and (was_open or known["job_id"] != job_id):
                    self._delete_job_later(entry, job_id, now, **values, is_wanted=was_open)
                return entry
            values = {"job_id": job_id, "account": attempt.account, "key_digest": key}
            self._move(entry, _S.SUBMITTED, now, reason=reason)
            self._execute("note_job", id=entry.id, **values, now=now)
            return self.entry(entry.id)

    def requeue(
        self,
        attempt: Attempt,
        ended: AttemptState,
        *,
        now: float,
        next_attempt_at: float,
        reason: str,
        fix: str = "",
        counts: bool = True,
    ) -> Entry:
        """No job exists: SUBMITTING → WAITING, to be tried again from `next_attempt_at` on.

        An entry that a person cancelled meanwhile stays so. One whose place other content took is CANCELLED.

        Args:
            attempt: the one that ended.
            ended: REFUSED, ABSENT or DROPPED.
            now: unix time.
            next_attempt_at: unix time.
            reason: why, in words for a person.
            fix: what the person can do, if anything.
            counts: False where it was no fault of the recording's, such as being offline.
        """
        with self._transaction("requeue"):
            entry = self.entry(attempt.entry_id)
            was_open = self._end_attempt(attempt, ended, now)
            if not was_open or entry.state not in _OPEN:
                return entry
            if entry.current:
                self._move(entry, _S.WAITING, now, reason=reason, fix=fix, next_attempt_at=next_attempt_at)
            else:
                self._move(entry, _S.CANCELLED, now, reason=REPLACED)
            if not counts:
                self._execute("uncount", id=entry.id)
            return self.entry(entry.id)

    def adopt(self, attempt: Attempt, left: Cleanup, *, now: float) -> Entry:
        """Wait for a job that nobody waited for, instead of making another: SUBMITTING → SUBMITTED.

        Args:
            attempt: the one that is not needed then.
            left: the job, of this entry or of one with the same content and config.
            now: unix time.

        Returns:
            The entry; as it was, if a person cancelled it meanwhile.
        """
        with self._transaction("adopt"):
            entry = self.entry(attempt.entry_id)
            was_open = self._end_attempt(attempt, AttemptState.DROPPED, now)
            if not was_open or entry.state is not _S.SUBMITTING:
                return entry
            self._execute("drop_cleanup", entry_id=left.entry_id, kind="job", what=left.what)
            whose = "It was cancelled, but its job"
            if left.entry_id != entry.id:
                former = self.entry(left.entry_id)
                whose = f"The job of {display_name(former.path)}, which was cancelled,"
                self._note(former, now, f"Its job is waited for again, for {display_name(entry.path)}.")
            self._move(entry, _S.SUBMITTED, now, reason=f"{whose} may still be there: it is waited for, at no cost.")
            values = {"job_id": left.what, "account": left.account, "key_digest": left.key_digest}
            self._execute("note_job", id=entry.id, **values, now=now)
            self._execute("uncount", id=entry.id)
            return self.entry(entry.id)
