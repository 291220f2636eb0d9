-- name: insert_job
INSERT INTO jobs (id, owner, reference, created, data_name, config, status, log)
VALUES (:id, :owner, :reference, :created, :data_name, :config, 'running', :log);

-- name: job_by_reference
SELECT id, owner, created, data_name, config, status, duration, crashes, errors, finished FROM jobs
WHERE owner = :owner AND reference = :reference AND status NOT IN ('deleted', 'expired');

-- name: job_by_id
SELECT id, owner, created, data_name, config, status, duration, crashes, errors, finished FROM jobs
WHERE id = :id;

-- name: list_jobs
SELECT id, owner, created, data_name, config, status, duration, crashes, errors, finished FROM jobs
WHERE owner = :owner
  AND (:before IS NULL OR created < :before)
  AND (:with_deleted OR status NOT IN ('deleted', 'expired'))
ORDER BY created DESC
LIMIT :limit;

-- name: unfinished_jobs
SELECT id, owner, created, data_name, config, status, duration, crashes, errors, finished FROM jobs
WHERE status = 'running' ORDER BY created;

-- name: count_unfinished
SELECT count(*) FROM jobs WHERE status = 'running' AND owner = :owner;

-- name: latest_creation
SELECT coalesce(max(created), 0) FROM jobs;

-- name: count_crash
UPDATE jobs SET crashes = crashes + 1 WHERE id = :id RETURNING crashes;

-- name: finish_job
UPDATE jobs SET status = :status, duration = coalesce(:duration, duration), errors = :errors, finished = :finished
WHERE id = :id AND status = 'running';

-- name: retire_job
UPDATE jobs SET status = :status, finished = :finished, config = :config, log = ''
WHERE id = :id AND status NOT IN ('deleted', 'expired');

-- name: append_log
UPDATE jobs SET log = log || :lines WHERE id = :id;

-- name: log_of_job
SELECT log FROM jobs WHERE id = :id;

-- name: insert_transcript
INSERT INTO transcripts (job_id, json_v2) VALUES (:job_id, :json_v2);

-- name: transcript_of_job
SELECT json_v2 FROM transcripts WHERE job_id = :job_id;

-- name: delete_transcript
DELETE FROM transcripts WHERE job_id = :job_id;

-- name: jobs_to_expire
SELECT id FROM jobs WHERE status IN ('done', 'rejected') AND finished < :before;

-- name: insert_usage
INSERT OR IGNORE INTO usage (job_id, owner, day, language, operating_point, duration)
VALUES (:job_id, :owner, :day, :language, :operating_point, :duration);

-- name: usage_between
SELECT language, operating_point, count(*), sum(duration) FROM usage
WHERE owner = :owner AND day BETWEEN :since AND :until
GROUP BY language, operating_point ORDER BY language, operating_point;

-- name: first_usage_day
SELECT min(day) FROM usage WHERE owner = :owner;

-- name: insert_webhook
INSERT INTO notifications (job_id, number) VALUES (:job_id, :number);

-- name: pending_webhooks
SELECT job_id, number FROM notifications WHERE :job_id IS NULL OR job_id = :job_id ORDER BY job_id, number;

-- name: delete_webhook
DELETE FROM notifications WHERE job_id = :job_id AND number = :number;

-- name: count_webhooks
SELECT count(*) FROM notifications WHERE job_id = :job_id;

-- name: set_errors
UPDATE jobs SET errors = :errors WHERE id = :id;
