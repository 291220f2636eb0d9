-- Version 5: a failed recording needs attention until it is retried, cancelled or dismissed.

ALTER TABLE entries ADD COLUMN dismissed_at REAL;
