#!/bin/sh
# Debian packages that some tests use: a browser, panels on a virtual screen, a service manager's checker.
# Installed only by root and only where apt-get is there; otherwise those tests skip and say why.
set -u
packages="chromium xvfb openbox tint2 xfce4-panel xdotool x11-utils imagemagick scrot dbus libglib2.0-bin systemd espeak-ng"
packages="$packages python3-gi gir1.2-gtk-3.0 gir1.2-ayatanaappindicator3-0.1 zsh fish"
missing=""
for package in $packages; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    echo "Some tests will be skipped; they need:$missing"
    exit 0
fi
echo "Installing Debian packages for the tests (once):$missing"
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086 - a list of names
{ apt-get update -qq && apt-get install -y -qq --no-install-recommends $missing; } >/dev/null 2>&1 ||
    echo "apt-get could not install them; the tests that need them are skipped."
