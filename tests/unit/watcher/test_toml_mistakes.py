import tomllib

import pytest

from watcher.toml_mistakes import explain


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("engine = local", 1, "Text stands in quotes"),
        ('\nengine: "local"', 2, "Write: key = value"),
        ('engine = "local', 1, "closing quote"),
        ("[local]\nmodel = 'x\nthreads = 1\n", 2, "closing quote"),
        ('a = """x\n\nb = 1\n', 1, "closing quote"),
        ("[folders]\n[folders]\n", 2, "[[folders]]"),
        ("[[folders]]\n[folders]\n", 2, "[[folders]]"),
        ("[local]\n[dashboard]\n[local]\n", 3, "[local] appears again here"),
        ("a = 1\na = 2\nb = 3\n", 2, "'a' is set twice"),
        ('path = "C:\\Users\\me"', 1, "single quotes"),
        ('path = "C:\\Recordings"', 1, "single quotes"),
        ("a = [1,\n", 1, "Close the list"),
        ("a = {b = 1", 1, "Close the table"),
        ("[local", 1, "Close the heading"),
        ("a = “x”", 1, "straight quotes"),
        ("a = 2,5", 1, "2.5"),
        ("a = .5", 1, "0.5"),
        ("a = 5.", 1, "5.0"),
        ("a = 007", 1, "without the leading zero: 7"),
        ("a = 2s", 1, "without a unit: 2"),
        ("a = yes", 1, "Write true"),
        ("a = False", 1, "Write false"),
        ("a = 1 b = 2", 1, "a line of its own"),
        ("= 5", 1, "neither a setting"),
    ],
)
def test_a_mistake_is_explained_with_what_to_write(text, line, says):
    with pytest.raises(tomllib.TOMLDecodeError) as caught:
        tomllib.loads(text)
    what, number, fix = explain(caught.value, text.split("\n"))
    assert number == line
    assert says in f"{what}. {fix}"
