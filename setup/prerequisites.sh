#!/bin/sh
# Checks that the machine has what PyPI cannot give: one line for each thing missing, with the command that installs it.
#
# usage: prerequisites.sh PYTHON
# Exit status 0 if all is there, 2 if not.

python=$1
missing=0

lacks() { # lacks WHAT CURE
    echo "skipstone: $1 is missing: $2" >&2
    missing=2
}

if ! command -v "$python" >/dev/null 2>&1; then
    lacks "Python ($python)" "apt install python3 python3-venv (3.11 or later), or name one with PYTHON=/path/to/python"
elif ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    found=$("$python" -c 'import platform; print(platform.python_version())' 2>/dev/null)
    lacks "Python 3.11 or later ($python is ${found:-no Python 3})" \
        "apt install python3.11 python3.11-venv, then add PYTHON=python3.11"
elif ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
    lacks "Python's venv module" "apt install $("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')"
fi

# Verilator compiles what it generates with c++, and calls it through make; its own front end is a perl script.
if ! command -v c++ >/dev/null 2>&1; then
    lacks "a C++ compiler (c++)" "apt install g++"
elif ! echo 'int main() { return 0; }' | c++ -std=c++20 -x c++ -fsyntax-only - 2>/dev/null; then
    lacks "a C++ compiler that knows C++20 (c++ does not)" "apt install g++-12, then update-alternatives --config c++"
fi
command -v make >/dev/null 2>&1 || lacks "make" "apt install make"
command -v perl >/dev/null 2>&1 || lacks "perl" "apt install perl"
command -v git >/dev/null 2>&1 || lacks "git" "apt install git"

exit $missing
