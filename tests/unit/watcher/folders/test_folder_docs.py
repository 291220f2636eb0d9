"""docs/detection.md names every rule that `explain` may name."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[4]


def test_every_rule_is_documented():
    page = (ROOT / "docs/detection.md").read_text(encoding="utf-8")
    sources = [ROOT / "watcher/folders/rules/filters.py", ROOT / "watcher/folders/root.py"]
    text = "".join(source.read_text(encoding="utf-8") for source in sources)
    rules = set(re.findall(r'(?:_no\(\s*|rule=)"([a-z_ ]+)"', text)) - {"accepted"}
    assert len(rules) > 12
    looked_at_elsewhere = {"min_duration", "max_duration"}
    table = {name for row in re.findall(r"^\| (`.*?) \|", page, re.MULTILINE) for name in re.findall(r"`([^`]+)`", row)}
    assert rules - looked_at_elsewhere == table & rules
    assert all(f"`{name}`" in page for name in looked_at_elsewhere)
