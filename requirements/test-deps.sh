#!/bin/sh
# Debian packages that some tests use: a browser, panels on a virtual screen, a service manager's checker.
# usage: test-deps.sh           say which are missing
#        test-deps.sh install   install them; needs root and apt-get
set -u
packages="chromium xvfb openbox tint2 xfce4-panel xdotool x11-utils imagemagick scrot dbus libglib2.0-bin systemd espeak-ng"
packages="$packages python3-gi gir1.2-gtk-3.0 gir1.2-ayatanaappindicator3-0.1 zsh fish"
missing=""
if command -v dpkg-query >/dev/null; then
    for package in $packages; do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
    done
    if [ -z "$missing" ]; then
        [ -z "${1:-}" ] || echo "All packages that the tests use are installed."
        exit 0
    fi
fi
if [ "${1:-}" != install ]; then
    [ -z "$missing" ] || echo "Some tests will be skipped; they need these packages (make test-deps installs them):$missing"
    exit 0
fi
if ! command -v apt-get >/dev/null; then
    echo "This system has no apt-get. Install what your system calls these Debian packages: $packages" >&2
    exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
    echo "Installing packages needs root. Run: sudo apt-get install --no-install-recommends$missing" >&2
    exit 1
fi
echo "Installing:$missing"
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086 - a list of names
apt-get update -qq && apt-get install -y -qq --no-install-recommends $missing >/dev/null
