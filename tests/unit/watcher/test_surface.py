"""What `service` may use of `watcher`: these names, each public where it is taken from, and no others."""

import ast
import importlib
import inspect
from pathlib import Path

import service

SURFACE = {
    "watcher": {"logs", "speechmatics"},
    "watcher.addresses": {"is_local", "problem_of"},
    "watcher.attention": {"ATTENTION", "NEEDS_ATTENTION", "attention", "is_paused"},
    "watcher.clock": {"Clock", "SystemClock"},
    "watcher.config": {
        "Config", "ConfigPart", "DashboardConfig", "FolderConfig", "LocalConfig", "NotificationsConfig",
        "SpeechmaticsConfig", "expand", "folders_dir", "load_config", "merge_parts", "parse_config", "read_parts",
    },
    "watcher.control": {"Control"},
    "watcher.daemon": {"Daemon"},
    "watcher.wording": {
        "blockers", "describe_done", "describe_entry", "describe_hold", "describe_output", "display_path",
        "format_duration", "next_step_text", "strip_path",
    },
    "watcher.errors": {
        "AlreadyRunning", "ConfigError", "DropscribeError", "EngineUnavailable", "LedgerDamaged", "LedgerError",
        "LedgerLost", "NoLedger", "OutputError", "RecordingError", "UnusableError", "UsageError", "sentences",
    },
    "watcher.events": {"Event", "EventBus", "Subscription"},
    "watcher.folders": {"Explanation"},
    "watcher.folders.filesystems": {"filesystem_of", "is_remote"},
    "watcher.folders.rules.overrides": {"parse_overrides", "read_overrides"},
    "watcher.interpreter": {"WORKING_DIRECTORY", "child_environment", "python_command"},
    "watcher.ledger": {
        "Ledger", "LedgerReader", "check_integrity", "connect_readonly", "open_ledger", "open_readonly",
    },
    "watcher.ledger.transitions": {"IllegalMove"},
    "watcher.logs": {"get_logger"},
    "watcher.models": {
        "Engine", "Entry", "EntryKind", "EntryState", "Existing", "OutputFormat", "PAUSE", "WatchFolder",
    },
    "watcher.nofollow": {"IsALink", "open_below", "path_of_descriptor"},
    "watcher.paths": {"StatePaths", "default_config_file", "default_state_dir"},
    "watcher.runtime": {"Runtime"},
    "watcher.scheduler": {"Account", "RateLimits", "Request"},
    "watcher.speechmatics": {"AsyncClient", "ConfigurationError"},
    "watcher.toml": {"TableReader", "closest"},
    "watcher.transcription_settings": {"problems_of"},
    "watcher.timings": {"DEFAULT", "Timings"},
    "watcher.transcripts": {"jsonv2", "needed_originals", "render"},
}  # fmt: skip


def test_service_uses_these_names_and_no_others():
    used = {}
    for file in Path(service.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "watcher":
                used.setdefault(node.module, set()).update(alias.name for alias in node.names)
            elif isinstance(node, ast.Import):
                assert not any(alias.name.startswith("watcher") for alias in node.names), file
    assert used == SURFACE


def test_each_of_them_is_public_and_explained():
    for name, wanted in SURFACE.items():
        module = importlib.import_module(name)
        for each in wanted:
            try:
                found = importlib.import_module(f"{name}.{each}")
            except ModuleNotFoundError:
                found = getattr(module, each)
                assert each in module.__all__, f"{name}.{each} is not public"
            if inspect.ismodule(found) or callable(found):
                assert inspect.getdoc(found), f"{name}.{each} is not explained"
