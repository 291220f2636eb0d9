"""Shell completion in real shells, installed as a person installs it."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.fixture
def shell(tmp_path):
    """Run a script in a shell that finds `dropscribe`; returns what it printed."""
    program = tmp_path / "bin" / "dropscribe"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m service.cli.app "$@"\n')
    program.chmod(0o755)
    path = f"{program.parent}:{os.environ['PATH']}"
    environment = {"HOME": str(tmp_path), "PATH": path, "PYTHONPATH": str(ROOT), "TERM": "dumb", "LANG": "C.UTF-8"}

    def run(name, script):
        argv = [name, "-c", script]
        done = subprocess.run(
            argv, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def needs(name):
    return pytest.mark.skipif(shutil.which(name) is None, reason=f"{name} isn't installed; make test-deps installs it")


@needs("bash")
def test_bash_completes_commands_options_and_choices_after_it_was_installed(shell):
    shell("bash", "dropscribe --install-completion; true")
    ask = "COMP_WORDS=({}); COMP_CWORD={}; _dropscribe_completion dropscribe; echo ${{COMPREPLY[@]}}"
    asked = [("dropscribe sta", 1), ("dropscribe folders add --ex", 3), ('dropscribe folders add --existing ""', 4)]
    said = shell("bash", ". ~/.bashrc; " + "; ".join(ask.format(words, number) for words, number in asked))
    assert said.splitlines() == ["status", "--existing", "transcribe ignore"]


@needs("fish")
def test_fish_completes_commands_with_their_meaning(shell):
    shell("fish", "dropscribe --install-completion; true")
    assert shell("fish", 'complete -C "dropscribe sta"').startswith("status\tShow what Dropscribe")


@needs("zsh")
def test_zsh_is_told_commands_with_their_meaning(shell, tmp_path):
    shell("zsh", "dropscribe --install-completion; true")
    assert "#compdef dropscribe" in (tmp_path / ".zfunc" / "_dropscribe").read_text()
    ask = 'env _TYPER_COMPLETE_ARGS="dropscribe sta" _DROPSCRIBE_COMPLETE=complete_zsh dropscribe'
    assert '"status":"Show what Dropscribe' in shell("zsh", ask)
