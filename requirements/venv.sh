#!/bin/sh
# Make the virtual environment DIR, unless there is one that works.
# usage: venv.sh DIR [PYTHON]
# With PYTHON, an environment that was made by another interpreter is made again. Without, the newest that we
# support is taken.
set -eu
dir=$1
python=${2:-}

supported() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }
identity() { "$1" -c 'import sys; print(sys.version, sys.base_prefix)' 2>/dev/null; }

if [ -z "$python" ]; then
    # An environment that works is good enough.
    ! supported "$dir/bin/python" || python=$dir/bin/python
    for candidate in python3.13 python3.12 python3.11 python3; do
        [ -n "$python" ] || ! supported "$candidate" || python=$candidate
    done
    if [ -z "$python" ]; then
        echo "Dropscribe needs Python 3.11 or newer; none was found. Name one: make PYTHON=/path/to/python3.13 …" >&2
        exit 1
    fi
elif ! identity "$python" >/dev/null; then
    echo "PYTHON=$python can't be run." >&2
    exit 1
elif ! supported "$python"; then
    echo "PYTHON=$python is $("$python" --version 2>&1); Dropscribe needs Python 3.11 or newer." >&2
    exit 1
fi

if [ -e "$dir/bin/python" ] || [ -L "$dir/bin/python" ]; then
    if [ "$(identity "$dir/bin/python")" = "$(identity "$python")" ]; then
        # Some tools make environments without pip.
        "$dir/bin/python" -m pip --version >/dev/null 2>&1 || "$dir/bin/python" -m ensurepip >/dev/null
        [ -e "$dir/.made" ] || touch "$dir/.made"
        exit 0
    fi
    echo "$dir was made by another interpreter ($("$dir/bin/python" --version 2>/dev/null || echo "now gone")): making it again."
    rm -rf "$dir"
fi
echo "Setting up $dir with $("$python" --version) (once)…"
if ! "$python" -m venv "$dir"; then
    rm -rf "$dir"
    echo "'$python -m venv' failed. On Debian and Ubuntu: apt-get install python3-venv" >&2
    exit 1
fi
touch "$dir/.made"
