-- Every statement of the ledger, by name. `watcher.ledger.queries` reads this file.

-- name: insert_entry
INSERT INTO entries (uid, root, path, name, state, size, mtime_ns, sha256, engine, config, config_key, formats,
                     media, added_at, changed_at, reason, fix, kind, target)
VALUES (:uid, :root, :path, :name, :state, :size, :mtime_ns, :sha256, :engine, :config, :config_key, :formats,
        :media, :now, :now, :reason, :fix, :kind, :target);

-- name: insert_event
INSERT INTO events (entry_id, at, from_state, to_state, reason)
VALUES (:entry_id, :now, :from_state, :to_state, :reason);

-- name: entry_by_id
SELECT * FROM entries WHERE id = :id;

-- name: entry_by_uid
SELECT * FROM entries WHERE uid = :uid;

-- name: entry_by_path
SELECT * FROM entries WHERE path = :path AND current = 1 AND kind = 'WATCHED';

-- name: latest_at_path
SELECT * FROM (SELECT * FROM entries WHERE path = :path AND current = 1 AND kind = 'WATCHED'
               UNION ALL SELECT * FROM entries WHERE path = :path AND current = 1 AND kind = 'REQUESTED')
ORDER BY changed_at DESC, id DESC LIMIT 1;

-- name: requests_at_path
SELECT * FROM entries WHERE path = :path AND current = 1 AND kind = 'REQUESTED' ORDER BY id;

-- name: entry_once_at_path
SELECT * FROM entries WHERE path = :path ORDER BY id DESC LIMIT 1;

-- name: entry_by_output
SELECT entries.* FROM entries JOIN outputs ON outputs.entry_id = entries.id WHERE outputs.path = :path LIMIT 1;

-- name: seen
SELECT size, mtime_ns, state, sha256 FROM entries WHERE path = :path AND current = 1 AND kind = 'WATCHED';

-- name: touch
UPDATE entries SET size = :size, mtime_ns = :mtime_ns WHERE id = :id;

-- name: supersede
UPDATE entries SET current = 0, changed_at = :now WHERE id = :id;

-- name: move
UPDATE entries SET state = :to_state, changed_at = :now, reason = :reason, fix = :fix,
                   next_attempt_at = :next_attempt_at, dismissed_at = NULL
WHERE id = :id AND state = :from_state AND reference IS :reference AND job_id IS :job_id;

-- No delay is longer than an hour: one that ends later than in two was set by a clock that was ahead.

-- name: claimable
SELECT * FROM entries AS e
WHERE e.state = 'WAITING' AND e.engine = :engine AND e.root = :root AND e.kind = 'WATCHED'
  AND (e.next_attempt_at <= :now OR e.next_attempt_at > :now + 7200)
  AND NOT EXISTS (SELECT 1 FROM entries AS t
                  WHERE t.sha256 = e.sha256 AND t.config_key = e.config_key AND t.id <> e.id
                    AND t.state IN ('SUBMITTING', 'SUBMITTED', 'TRANSCRIBED', 'HELD'))
  AND NOT EXISTS (SELECT 1 FROM attempts AS a CROSS JOIN entries AS t ON t.id = a.entry_id
                  WHERE a.state = 'ARMED'
                    AND t.sha256 = e.sha256 AND t.config_key = e.config_key AND t.id <> e.id)
ORDER BY e.mtime_ns, e.id LIMIT 1;

-- name: claimable_newest
SELECT * FROM entries AS e
WHERE e.state = 'WAITING' AND e.engine = :engine AND e.root = :root AND e.kind = 'WATCHED'
  AND (e.next_attempt_at <= :now OR e.next_attempt_at > :now + 7200)
  AND NOT EXISTS (SELECT 1 FROM entries AS t
                  WHERE t.sha256 = e.sha256 AND t.config_key = e.config_key AND t.id <> e.id
                    AND t.state IN ('SUBMITTING', 'SUBMITTED', 'TRANSCRIBED', 'HELD'))
  AND NOT EXISTS (SELECT 1 FROM attempts AS a CROSS JOIN entries AS t ON t.id = a.entry_id
                  WHERE a.state = 'ARMED'
                    AND t.sha256 = e.sha256 AND t.config_key = e.config_key AND t.id <> e.id)
ORDER BY e.mtime_ns DESC, e.id DESC LIMIT 1;

-- name: claimable_requested
-- `ids`: only these; NULL: any.
SELECT * FROM entries AS e
WHERE e.state = 'WAITING' AND e.engine = :engine AND e.kind = 'REQUESTED'
  AND (:ids IS NULL OR e.id IN (SELECT value FROM json_each(:ids)))
  AND (e.next_attempt_at <= :now OR e.next_attempt_at > :now + 7200)
  AND NOT EXISTS (SELECT 1 FROM entries AS t
                  WHERE t.sha256 = e.sha256 AND t.config_key = e.config_key AND t.id <> e.id
                    AND t.state IN ('SUBMITTING', 'SUBMITTED', 'TRANSCRIBED', 'HELD'))
  AND NOT EXISTS (SELECT 1 FROM attempts AS a CROSS JOIN entries AS t ON t.id = a.entry_id
                  WHERE a.state = 'ARMED'
                    AND t.sha256 = e.sha256 AND t.config_key = e.config_key AND t.id <> e.id)
ORDER BY e.id LIMIT 1;

-- name: retried_requested
SELECT 1 FROM entries
WHERE state = 'WAITING' AND engine = :engine AND kind = 'REQUESTED'
  AND (:ids IS NULL OR id IN (SELECT value FROM json_each(:ids)))
  AND next_attempt_at > :now AND attempts BETWEEN 1 AND :attempts - 1 LIMIT 1;

-- name: retried
SELECT 1 FROM entries
WHERE state = 'WAITING' AND engine = :engine AND root = :root AND kind = 'WATCHED'
  AND next_attempt_at > :now AND attempts BETWEEN 1 AND :attempts - 1 LIMIT 1;

-- name: next_due_at
SELECT min(next_attempt_at) FROM entries WHERE state = 'WAITING' AND next_attempt_at > :now;

-- name: due_to_publish
SELECT * FROM entries WHERE state = 'TRANSCRIBED' AND (next_attempt_at <= :now OR next_attempt_at > :now + 7200)
ORDER BY next_attempt_at, id LIMIT :limit;

-- name: next_publishing_at
SELECT min(next_attempt_at) FROM entries WHERE state = 'TRANSCRIBED' AND next_attempt_at > :now;

-- name: waiting_with_other_engine
SELECT id, config FROM entries
WHERE state = 'WAITING' AND root = :root AND kind = 'WATCHED' AND engine <> :engine;

-- name: change_engine
UPDATE entries SET engine = :engine, config_key = :config_key WHERE id = :id AND state = 'WAITING';

-- name: waiting_elsewhere
SELECT * FROM entries
WHERE state = 'WAITING' AND kind = 'WATCHED' AND hex(root) NOT IN (SELECT value FROM json_each(:roots)) LIMIT :limit;

-- name: same_job
-- Entries whose transcript may do for this one: itself first, then those that are DONE.
-- The index is enough to choose them; of thousands of copies only these are read.
SELECT * FROM entries
WHERE id IN (SELECT id FROM entries WHERE sha256 = :sha256 AND config_key = :config_key
             ORDER BY id = :id DESC, state = 'DONE' DESC, id LIMIT 20)
ORDER BY id = :id DESC, state = 'DONE' DESC, id;

-- name: twin_in_flight
SELECT * FROM entries
WHERE sha256 = :sha256 AND config_key = :config_key AND id <> :id
  AND (state IN ('SUBMITTING', 'SUBMITTED', 'TRANSCRIBED', 'HELD')
       OR EXISTS (SELECT 1 FROM attempts AS a WHERE a.entry_id = entries.id AND a.state = 'ARMED'))
ORDER BY id LIMIT 1;

-- name: same_content
SELECT * FROM entries WHERE sha256 = :sha256 AND current = 1 AND kind = 'WATCHED' ORDER BY id;

-- name: relocate
UPDATE entries SET root = :root, path = :path, name = :name, size = :size, mtime_ns = :mtime_ns WHERE id = :id;

-- name: start_attempt
INSERT INTO attempts (entry_id, reference, state, account, prepared_at)
VALUES (:entry_id, :reference, 'PREPARED', :account, :now);

-- name: note_attempt
UPDATE entries SET reference = :reference, account = :account, job_id = NULL,
                   key_digest = NULL, copy_of = NULL
WHERE id = :entry_id;

-- name: attempt_by_id
SELECT * FROM attempts WHERE id = :id;

-- name: latest_attempt
SELECT * FROM attempts WHERE entry_id = :entry_id ORDER BY id DESC LIMIT 1;

-- name: open_attempts
SELECT * FROM attempts WHERE state = :state ORDER BY id;

-- name: arm_attempt
UPDATE attempts SET state = 'ARMED', armed_at = :now, key_digest = :key_digest, unclear_at = :now
WHERE id = :id AND state = 'PREPARED';

-- name: arm_answered_attempt
UPDATE attempts SET state = 'ARMED', armed_at = :now, key_digest = :key_digest, unclear_at = :now, ended_at = NULL
WHERE id = :id AND state IN ('PREPARED', 'DROPPED', 'REFUSED')
  AND id = (SELECT max(id) FROM attempts WHERE entry_id = :entry_id);

-- name: reset_unclear_attempt
UPDATE attempts SET unclear_at = NULL WHERE id = :id;

-- name: count_unclear
SELECT count(*) FROM attempts
WHERE unclear_at IS NOT NULL AND state IN ('ARMED', 'ABSENT') AND account = :account
  AND entry_id IN (SELECT id FROM entries WHERE sha256 = :sha256);

-- name: reset_unclear
UPDATE attempts SET unclear_at = NULL
WHERE unclear_at IS NOT NULL AND entry_id IN (SELECT id FROM entries WHERE sha256 = :sha256);

-- name: end_attempt
UPDATE attempts SET state = :state, ended_at = :now, job_id = :job_id WHERE id = :id AND state IN ('PREPARED', 'ARMED');

-- name: note_job
UPDATE entries SET job_id = :job_id, account = :account, key_digest = :key_digest, submitted_at = :now WHERE id = :id;

-- name: forget_job
UPDATE entries SET job_id = NULL WHERE id = :id;

-- name: forget_deleted_job
UPDATE entries SET job_id = NULL WHERE id = :id AND job_id = :job_id;

-- name: annotate
UPDATE entries SET reason = :reason, fix = :fix, next_attempt_at = :next_attempt_at
WHERE id = :id AND state = :state;

-- name: note_copy
UPDATE entries SET copy_of = :copy_of WHERE id = :id;

-- name: reset_attempts
UPDATE entries SET attempts = 0 WHERE id = :id;

-- name: count_attempt
UPDATE entries SET attempts = attempts + 1 WHERE id = :id;

-- name: reconfigure
UPDATE entries SET config = :config, config_key = :config_key, formats = :formats, engine = :engine WHERE id = :id;

-- name: held_until
SELECT * FROM entries
WHERE state = 'HELD' AND current = 1 AND next_attempt_at > 0
  AND (next_attempt_at <= :now OR next_attempt_at > :now + 7200) ORDER BY id;

-- name: with_job
SELECT * FROM entries WHERE state = :state AND job_id IS NOT NULL ORDER BY id;

-- name: entries_in_state
SELECT * FROM entries WHERE state = :state ORDER BY id LIMIT :limit OFFSET :offset;

-- name: jobs_by_account
-- Whose job exists, or may: by account.
SELECT account, count(*) AS number FROM entries WHERE state IN ('SUBMITTING', 'SUBMITTED') GROUP BY account;

-- name: submitted_to
SELECT * FROM entries WHERE state = 'SUBMITTED' AND account = :account ORDER BY submitted_at, id;

-- name: submitted_elsewhere
SELECT * FROM entries
WHERE state IN ('SUBMITTING', 'SUBMITTED') AND account NOT IN (SELECT value FROM json_each(:accounts)) ORDER BY id;

-- name: count_by_state
SELECT state, count(*) AS number FROM entries WHERE current = 1 GROUP BY state;

-- name: count_since
SELECT state, count(*) AS number FROM entries WHERE current = 1 AND changed_at >= :since GROUP BY state;

-- name: count_attention
-- `watcher.attention` defines the states.
SELECT state, count(*) AS number FROM entries
WHERE current = 1 AND state IN (SELECT value FROM json_each(:states)) AND dismissed_at IS NULL GROUP BY state;

-- name: dismissible
SELECT * FROM entries
WHERE current = 1 AND state IN (SELECT value FROM json_each(:states)) AND dismissed_at IS NULL ORDER BY id;

-- name: dismiss
UPDATE entries SET dismissed_at = :now WHERE id = :id AND state = :state AND dismissed_at IS NULL;

-- name: count_in_flight
SELECT count(*) FROM entries WHERE state IN ('SUBMITTING', 'SUBMITTED') AND engine = :engine;

-- name: list_entries
SELECT * FROM entries
WHERE (:states IS NULL OR state IN (SELECT value FROM json_each(:states)))
  AND (:dismissed OR dismissed_at IS NULL)
  AND (:root IS NULL OR (root = :root AND kind = 'WATCHED'))
  AND (:search IS NULL OR name LIKE :search ESCAPE '\')
  AND (:before_at IS NULL OR changed_at < :before_at OR (changed_at = :before_at AND id < :before_id))
  AND current = 1
ORDER BY changed_at DESC, id DESC LIMIT :limit;

-- name: history
SELECT at, from_state, to_state, reason FROM events WHERE entry_id = :entry_id ORDER BY id;

-- name: put_output
INSERT INTO outputs (entry_id, format, path, sha256) VALUES (:entry_id, :format, :path, :sha256)
ON CONFLICT (entry_id, format) DO UPDATE SET path = excluded.path, sha256 = excluded.sha256;

-- name: outputs
SELECT format, path, sha256 FROM outputs WHERE entry_id = :entry_id ORDER BY rowid;

-- name: claimed_outputs
-- A request may find the files that the same recording was given before: they are not written a second time.
SELECT outputs.path FROM outputs JOIN entries AS o ON o.id = outputs.entry_id
                    JOIN entries AS e ON e.id = :entry_id
WHERE outputs.path >= :low AND outputs.path < :high AND o.id <> e.id
  AND NOT (o.path = e.path AND o.sha256 = e.sha256 AND (o.kind = 'REQUESTED' OR e.kind = 'REQUESTED'));

-- name: is_output
SELECT 1 FROM outputs WHERE path = :path LIMIT 1;

-- name: put_hold
INSERT INTO holds (name, since, until, reason, fix) VALUES (:name, :now, :until, :reason, :fix)
ON CONFLICT (name) DO UPDATE SET until = excluded.until, reason = excluded.reason, fix = excluded.fix;

-- name: drop_hold
DELETE FROM holds WHERE name = :name;

-- name: holds
SELECT * FROM holds ORDER BY since, name;

-- name: root
SELECT first_watched_at, baseline FROM roots WHERE path = :path;

-- name: put_root
INSERT INTO roots (path, first_watched_at) VALUES (:path, :now) ON CONFLICT (path) DO NOTHING;

-- name: finish_baseline
UPDATE roots SET baseline = 1 WHERE path = :path;

-- name: salt
SELECT value FROM salt;

-- name: put_cleanup
INSERT INTO cleanups (entry_id, kind, what, path, account, key_digest, config_key, adoptable, since, due_at)
VALUES (:entry_id, :kind, :what, :path, :account, :key_digest, :config_key, :adoptable, :now, :now)
ON CONFLICT (entry_id, kind, what) DO UPDATE SET
    path = excluded.path, account = excluded.account, key_digest = excluded.key_digest,
    config_key = excluded.config_key, adoptable = excluded.adoptable, since = excluded.since, due_at = excluded.due_at, tries = 0, reason = '';

-- name: drop_cleanup
DELETE FROM cleanups WHERE entry_id = :entry_id AND kind = :kind AND what = :what;

-- name: drop_disposals
DELETE FROM cleanups WHERE entry_id = :entry_id AND kind = 'source';

-- name: delay_cleanup
UPDATE cleanups SET due_at = :due_at, tries = tries + 1, reason = :reason
WHERE entry_id = :entry_id AND kind = :kind AND what = :what;

-- name: cleanups
SELECT * FROM cleanups WHERE entry_id = :entry_id ORDER BY kind, what;

-- name: due_cleanups
-- An entry's own job is kept until its outputs are written: should the stored transcript be damaged, it is fetched
-- again. One that an entry is about to ask for, instead of paying again, is kept for that.
SELECT cleanups.* FROM cleanups JOIN entries ON entries.id = cleanups.entry_id
WHERE (due_at <= :now OR due_at > :now + 7200) AND (:kind IS NULL OR cleanups.kind = :kind)
  AND (entries.state IN ('DONE', 'FAILED', 'SKIPPED', 'CANCELLED') OR (cleanups.kind = 'job' AND what IS NOT entries.job_id))
  AND NOT EXISTS (SELECT 1 FROM entries AS w
                  WHERE cleanups.adoptable AND w.sha256 = entries.sha256 AND w.config_key = cleanups.config_key
                    AND w.state IN ('WAITING', 'SUBMITTING'))
ORDER BY due_at, entry_id LIMIT :limit;

-- name: orphaned_jobs
SELECT cleanups.* FROM cleanups JOIN entries ON entries.id = cleanups.entry_id
WHERE entries.sha256 = :sha256 AND cleanups.adoptable
  AND cleanups.config_key = :config_key AND cleanups.account = :account
ORDER BY since, what;

-- name: job_of_others
SELECT 1 FROM entries
WHERE job_id = :job_id AND id <> :id AND state IN ('SUBMITTED', 'TRANSCRIBED', 'DONE', 'HELD') LIMIT 1;

-- name: next_cleanup_at
SELECT min(due_at) FROM cleanups WHERE due_at > :now;
