import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.os_service.plan import (
    Command,
    EditedByHand,
    FileChange,
    Ran,
    ServiceError,
    apply,
    describe,
    run,
    sealed,
    was_edited,
)

HASH = ("# ", "")


def ours(text="[Unit]\n"):
    return sealed(text, comment=HASH).encode()


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\r")), st.data())
def test_any_edit_is_noticed(text, data):
    content = sealed(text + "\n", comment=("<!-- ", " -->")).encode()
    assert not was_edited(content)
    place = data.draw(st.integers(0, len(content.decode()) - 1))
    edited = content.decode()[:place] + "!" + content.decode()[place:]
    assert was_edited(edited.encode())


def test_files_are_written_with_their_folders_and_only_once(tmp_path):
    step = FileChange(tmp_path / "a" / "b" / "unit", ours())
    assert apply([step]) == [step.path]
    assert step.path.read_bytes() == step.content
    assert apply([step]) == []
    assert [path.name for path in step.path.parent.iterdir()] == ["unit"]


def test_our_older_file_is_replaced_and_removed(tmp_path):
    path = tmp_path / "unit"
    path.write_bytes(ours("old\n"))
    assert apply([FileChange(path, ours("new\n"))]) == [path]
    assert apply([FileChange(path, None)]) == [path]
    assert not path.exists()
    assert apply([FileChange(path, None)]) == []


@pytest.mark.parametrize("content", [None, ours("new\n")])
def test_what_a_person_edited_stays_unless_forced(tmp_path, content):
    path, other = tmp_path / "unit", tmp_path / "other"
    edited = ours("old\n").replace(b"old", b"mine")
    path.write_bytes(edited)
    with pytest.raises(EditedByHand, match="unit was edited"):
        apply([FileChange(other, ours()), FileChange(path, content)])
    assert path.read_bytes() == edited
    assert not other.exists(), "nothing at all is done then"
    apply([FileChange(path, content)], force=True)
    assert (path.read_bytes() if path.exists() else None) == content


def test_a_failed_command_ends_it_and_says_what_it_said(tmp_path):
    asked = []

    def execute(argv):
        asked.append(argv)
        return Ran(0 if argv == ("one",) else 5, "", "no such thing")

    steps = [Command(("one",)), Command(("two", "a b")), FileChange(tmp_path / "x", b"")]
    with pytest.raises(ServiceError, match=r"`two 'a b'` failed: no such thing\."):
        apply(steps, execute=execute)
    assert asked == [("one",), ("two", "a b")]
    assert not (tmp_path / "x").exists()
    apply([Command(("two",), may_fail=True), FileChange(tmp_path / "x", b"")], execute=execute)
    assert (tmp_path / "x").exists()


def test_without_a_user_manager_the_way_on_is_told():
    def execute(_argv):
        return Ran(1, "", "Failed to connect to bus: No medium found")

    with pytest.raises(ServiceError, match="enable-linger"):
        apply([Command(("systemctl", "--user", "show"))], execute=execute)


def test_commands_really_run(tmp_path):
    assert run(("sh", "-c", "echo out; echo err >&2; exit 3")) == Ran(3, "out", "err")
    with pytest.raises(ServiceError, match="'nothing-like-this' isn't on this machine"):
        run(("nothing-like-this",))
    with pytest.raises(ServiceError, match="did not finish within 0 seconds"):
        run(("sleep", "60"), timeout=0.1)
    file = tmp_path / "plain"
    file.write_text("x")
    with pytest.raises(ServiceError, match="can't be run: Permission denied"):
        run((str(file),))


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ServiceError, match="file/unit can't be written"):
        apply([FileChange(tmp_path / "file" / "unit", b"x")])


def test_a_dry_run_shows_all_of_it(tmp_path):
    steps = [FileChange(tmp_path / "u", b"[Unit]\n\nA=1\n"), Command(("go", "a b")), FileChange(tmp_path / "v", None)]
    assert describe(steps) == (f"Write:  {tmp_path}/u\n    [Unit]\n\n    A=1\nRun:    go 'a b'\nRemove: {tmp_path}/v")
