"""The SQLite ledger of all recordings: what was found, and what became of it."""

from watcher.ledger.connection import check_integrity, connect_readonly
from watcher.ledger.ledger import Ledger, open_ledger, open_readonly
from watcher.ledger.migrate import VERSION, back_up
from watcher.ledger.reader import LedgerReader
from watcher.ledger.rows import Change, Cleanup, Hold, JobOutcome, NewEntry, config_key, display_name
from watcher.ledger.transitions import AUTOMATIC, USER_REQUESTS, IllegalMove, check_move
from watcher.ledger.worker import LedgerWorker

__all__ = [
    "AUTOMATIC",
    "USER_REQUESTS",
    "VERSION",
    "Change",
    "Cleanup",
    "Hold",
    "IllegalMove",
    "JobOutcome",
    "Ledger",
    "LedgerReader",
    "LedgerWorker",
    "NewEntry",
    "back_up",
    "check_integrity",
    "check_move",
    "config_key",
    "connect_readonly",
    "display_name",
    "open_ledger",
    "open_readonly",
]
