"""Finding the interpreters that the wheel is tried with. They are small programs that print a version."""

import pytest

from tests.smoke.interpreters import find, look_at, supported


@pytest.fixture
def install(tmp_path):
    def install(path, *, prints="", says="", status=0):
        target = tmp_path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(f"#!/bin/sh\necho '{prints}'\necho '{says}' >&2\nexit {status}\n")
        target.chmod(0o755)
        return target

    return install


@pytest.fixture
def environment(tmp_path):
    path = f"{tmp_path}/pyenv/shims:{tmp_path}/bin"
    return {"PATH": path, "HOME": str(tmp_path / "home")}


def found(environment, minors=("3.12",)):
    result = find(environment, list(minors))
    return [(str(it.path), it.version) for it in result.usable], result.broken


def test_one_on_path_is_found(install, environment):
    path = install("bin/python3.12", prints="3.12.1")
    assert found(environment, ["3.11", "3.12"]) == ([(str(path), "3.12.1")], {})


@pytest.mark.parametrize("root", ["home/.pyenv", "pyenv"])
def test_the_newest_of_pyenv_is_found_without_being_on_path(install, environment, root):
    install(f"{root}/versions/3.12.9/bin/python", prints="3.12.9")
    path = install(f"{root}/versions/3.12.10/bin/python", prints="3.12.10")
    assert found(environment) == ([(str(path), "3.12.10")], {})


def test_a_shim_of_a_version_that_is_not_active_does_not_hide_the_version(install, environment):
    install("pyenv/shims/python3.12", says="pyenv: python3.12: command not found", status=127)
    path = install("pyenv/versions/3.12.1/bin/python", prints="3.12.1")
    assert found(environment) == ([(str(path), "3.12.1")], {})


def test_one_that_cannot_be_used_is_named_with_the_reason(install, environment):
    path = install("bin/python3.12", says="No module named ensurepip", status=1)
    assert found(environment) == ([], {"3.12": f"{path}: No module named ensurepip"})


def test_one_that_is_another_version_than_its_name_says_is_not_taken(install, environment):
    path = install("bin/python3.12", prints="3.11.2")
    assert found(environment) == ([], {"3.12": f"{path}: is Python 3.11.2"})


def test_one_that_is_named_must_be_usable(install, tmp_path):
    assert look_at(str(install("python", prints="3.13.0"))).version == "3.13.0"
    with pytest.raises(ValueError, match="nowhere"):
        look_at(str(tmp_path / "nowhere"))


def test_the_supported_versions_are_those_of_the_package():
    assert {"3.11", "3.12", "3.13"} <= set(supported())
