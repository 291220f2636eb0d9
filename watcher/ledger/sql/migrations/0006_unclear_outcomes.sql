-- Attempts whose outcome was unclear are counted per content, so that they can't go on without end.

ALTER TABLE attempts ADD COLUMN unclear_at REAL;
CREATE INDEX attempts_unclear ON attempts (entry_id) WHERE unclear_at IS NOT NULL;
