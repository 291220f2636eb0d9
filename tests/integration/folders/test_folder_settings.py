"""What people say about a folder: ignore files, overrides, outputs, changed settings, and `explain`."""

import pytest

from tests.integration.folders.conftest import wav
from watcher.folders import Phase
from watcher.models import WatchFolder

pytestmark = pytest.mark.anyio


async def test_an_ignore_file_comes_and_goes(desk, root):
    (root / "private").mkdir()
    (root / "private/.dropscribe-ignore").touch()
    (root / "private/a.wav").write_bytes(wav())
    async with desk(root) as d:
        (root / "private/b.wav").write_bytes(wav())
        (root / "c.wav").write_bytes(wav())
        await d.until_settled(root / "c.wav")
        explanation = await d.watch.explain(root / "private/a.wav")
        assert (explanation.phase, explanation.rule) == (Phase.IGNORED, "ignore file")
        assert d.paths() == [root / "c.wav"]
        (root / "private/.dropscribe-ignore").unlink()
        await d.until_settled(root / "private/a.wav", root / "private/b.wav")


async def test_overrides_go_along_and_broken_ones_hold_recordings_until_mended(desk, root):
    (root / "de").mkdir()
    (root / "de/.dropscribe.toml").write_text('langage = "de"')
    async with desk(root) as d:
        (root / "de/a.wav").write_bytes(wav())
        await d.until(lambda: root / "de/a.wav" in d.watch._roots[root].blocked)
        [left] = await d.watch.scan_complete()
        assert left.phase is Phase.BLOCKED
        assert "langage" in left.reason
        assert any("langage" in problem for problem in d.watch.status()[0].problems)
        (root / "de/.dropscribe.toml").write_text('language = "de"')
        items = await d.until_settled(root / "de/a.wav")
        assert items[root / "de/a.wav"].folder.transcription == {"language": "de"}
        assert items[root / "de/a.wav"].folder.path == root


async def test_folders_change_while_running(desk, root, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "b.wav").write_bytes(wav())
    async with desk(root) as d:
        await d.watch.set_folders([WatchFolder(root, settle=0.3, exclude=("no*",)), WatchFolder(other, settle=0.3)])
        await d.until_settled(other / "b.wav")
        (root / "no.wav").write_bytes(wav())
        (root / "yes.wav").write_bytes(wav())
        await d.until_settled(root / "yes.wav")
        await d.watch.set_folders([WatchFolder(root, settle=0.3)])
        await d.until_settled(root / "no.wav")
        assert [status.path for status in d.watch.status()] == [root]
        (other / "c.wav").write_bytes(wav())
        (root / "d.wav").write_bytes(wav())
        await d.until_settled(root / "d.wav")
        assert (await d.watch.explain(other / "c.wav")).phase is Phase.NOT_WATCHED
        assert other / "c.wav" not in d.paths()


async def test_explain_says_which_rule_decided(desk, root):
    (root / "folder.wav").mkdir()
    for name in ("a.txt", "a.wav.part", "small.wav", "x.xyz"):
        (root / name).write_bytes(b"x")
    async with desk(WatchFolder(root, settle=0.3, min_size=10)) as d:
        rules = {}
        for name in ("a.txt", "a.wav.part", "small.wav", "x.xyz", "folder.wav"):
            explanation = await d.watch.explain(root / name)
            await d.until(lambda: d.watch.pending() == 0)
            explanation = await d.watch.explain(root / name)
            assert explanation.phase is Phase.IGNORED
            assert explanation.folder == root
            rules[name] = explanation.rule
        assert rules == {
            "a.txt": "transcript",
            "a.wav.part": "temporary",
            "small.wav": "min_size",
            "x.xyz": "extension",
            "folder.wav": "kind",
        }
        assert (await d.watch.explain(root / "nowhere.wav")).phase is Phase.MISSING
        assert d.settled == []


async def test_the_mirrored_outputs_inside_the_tree_feed_nothing(desk, root):
    out = root / "out"
    async with desk(WatchFolder(root, settle=0.3, output=out, include=("*",))) as d:
        out.mkdir()
        for suffix in (".txt", ".json", ".srt", ".vtt", ".md"):
            (out / f"a{suffix}").write_bytes(wav())
        (root / "a.wav").write_bytes(wav())
        await d.until_settled(root / "a.wav")
        await d.nothing_left()
        assert d.paths() == [root / "a.wav"]


async def test_own_outputs_are_asked_for_where_include_decides(desk, root):
    async def ours(path):
        return path.name == "ours.dat"

    folder = WatchFolder(root, settle=0.2, include=("*.dat",))
    async with desk(folder, is_own_output=ours) as d:
        (root / "ours.dat").write_bytes(b"x")
        (root / "theirs.dat").write_bytes(b"x")
        await d.until_settled(root / "theirs.dat")
        await d.nothing_left()
        assert d.paths() == [root / "theirs.dat"]


@pytest.mark.parametrize(
    "content",
    ["language = 5", "x = " + "[" * 3000 + "]" * 3000, "language = " + "9" * 5000, "[transcription]\nx = 2026-01-01"],
    ids=["a wrong type", "3,000 brackets", "5,000 digits", "a date"],
)
async def test_whatever_shared_settings_hold_only_their_folder_waits(desk, root, content):
    for name in ("in", "beside"):
        (root / name).mkdir()
        (root / name / "a.wav").write_bytes(wav())
    settings = root / "in/.dropscribe.toml"
    settings.write_text(content)
    async with desk(root) as d:
        await d.until_settled(root / "beside/a.wav")
        await d.until(lambda: root / "in/a.wav" in d.watch._roots[root].blocked)
        explanation = await d.watch.explain(root / "in/a.wav")
        assert explanation.phase is Phase.BLOCKED
        assert f"{settings}, line" in explanation.reason
        settings.unlink()
        await d.until_settled(root / "in/a.wav")
