#!/bin/sh
# Makes the virtual environment and installs the project and its dependencies into it; does nothing if that was done.
#
# usage: environment.sh PYTHON VENV
# The stamp in VENV holds what the environment was made from: pyproject.toml, the interpreter and this folder. A change to
# any of them installs again. An environment whose making was interrupted is made anew.

set -u
python=$1
venv=$2
stamp=$venv/skipstone-stamp
unfinished=$venv/skipstone-unfinished
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd) || exit 2
cd "$root" || exit 2

wanted() {
    echo "$root"
    command -v "$python"
    "$python" --version
    cat pyproject.toml
}

if [ -f "$stamp" ] && wanted 2>/dev/null | cmp -s - "$stamp" && [ -x "$venv/bin/python" ]; then
    exit 0
fi

sh setup/prerequisites.sh "$python" || exit 2

fail() {
    echo "skipstone: $1" >&2
    exit 2
}

usable() { # the environment works, was made here, and of the interpreter asked for
    [ -x "$venv/bin/python" ] || return 1
    "$venv/bin/python" -m pip --version >/dev/null 2>&1 || return 1
    # Its commands name their interpreter by its whole path: an environment cannot be moved.
    grep -q -F "$root/$venv/bin/python" "$venv/bin/pip" 2>/dev/null || return 1
    version='import sys; print(sys.version, sys.base_prefix)'
    [ "$("$venv/bin/python" -c "$version")" = "$("$python" -c "$version")" ]
}

rm -f "$stamp"
if [ -f "$unfinished" ] || ! usable; then
    echo "skipstone: making $venv with $("$python" --version)"
    rm -rf "$venv"
    mkdir -p "$venv" && touch "$unfinished" || fail "cannot write to $root/$venv"
    "$python" -m venv "$venv" || fail "$python -m venv failed: apt install python3-venv"
fi

touch "$unfinished"
echo "skipstone: installing the dependencies into $venv (once; some minutes)"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --editable '.[sim,fpga,judge,report,docs,dev]' \
    || fail "pip could not install the dependencies (its message is above): check the network, then run make again"
"$venv/bin/python" -c 'import sys, find_libpython; sys.exit(find_libpython.find_libpython() is None)' \
    || fail "Python's shared library, which the simulator loads, is missing: apt install libpython3-dev"

wanted >"$stamp" && rm -f "$unfinished"
