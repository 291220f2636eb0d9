"""Pin every dependency of pyproject.toml, with hashes, for every platform and Python that we support.

Run through `make lock`. `run.txt` is what the program needs, `dev.txt` adds what the tests and checks need
(and agrees with `run.txt` on every version), `build.txt` is what builds the package itself.
"""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

HERE = Path(__file__).parent
PROJECT = tomllib.loads((HERE.parent / "pyproject.toml").read_text(encoding="utf-8"))


def compile_pins(target: str, requirements: list[str], *options: str) -> None:
    """Write `target` with exact versions and hashes for `requirements`."""
    header = "# Made by `make lock`; do not edit.\n"
    command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--universal", "--python-version", "3.11"]
    command += ["--generate-hashes", "--no-header", "--no-annotate", "--no-emit-index-url", "--upgrade", *options, "-"]
    done = subprocess.run(  # noqa: S603 - our own arguments
        command,
        input="\n".join(requirements),
        check=True,
        text=True,
        stdout=subprocess.PIPE,
        env=os.environ,
    )
    (HERE / target).write_text(header + done.stdout, encoding="utf-8")


run = PROJECT["project"]["dependencies"]
# Telling speakers apart needs PyTorch, which alone weighs more than all the rest: `make speakers` installs that.
extras = [
    r for name, group in PROJECT["project"]["optional-dependencies"].items() if name != "diarization" for r in group
]
compile_pins("run.txt", run)
compile_pins(
    "dev.txt", run + extras + PROJECT["dependency-groups"]["dev"] + ["uv"], "--constraint", str(HERE / "run.txt")
)
compile_pins("build.txt", [*PROJECT["build-system"]["requires"], "editables"], "--constraint", str(HERE / "dev.txt"))
