#!/bin/sh
# create_venv.sh FOLDER LAST [PYTHON]: a virtual environment in FOLDER.
#
# Made by PYTHON, or by the newest Python from 3.11 to 3.LAST that runs here and has venv; one that is
# there already and serves is kept. On failure one line on standard error says what is missing.
set -eu
folder=$1 last=$2 wanted=${3-}

fail() {
    echo "$*" >&2
    exit 1
}

# a version manager's python3.13 may be a script that only says that it is not there: run each
version() {
    "$1" -c 'import sys; print(*sys.version_info[:2], sep=".")' 2>/dev/null || true
}
has_venv() {
    "$1" -c 'import venv, ensurepip' >/dev/null 2>&1
}
serves() {
    case $(version "$1") in
    3.1[1-9]) [ "$(version "$1" | cut -d . -f 2)" -le "$last" ] ;;
    *) return 1 ;;
    esac
}

if [ -n "$wanted" ]; then
    [ -n "$(version "$wanted")" ] || fail "PYTHON=$wanted does not run"
    serves "$wanted" || fail "PYTHON=$wanted is $(version "$wanted"), needed is 3.11 to 3.$last"
    has_venv "$wanted" || fail "PYTHON=$wanted lacks venv: on Debian and Ubuntu apt install python3-venv"
    python=$wanted
    [ "$(version "$folder/bin/python")" != "$(version "$python")" ] || exit 0
else
    ! serves "$folder/bin/python" || exit 0
    python= bare=
    for name in $(seq -f 'python3.%.0f' "$last" -1 11) python3 python; do
        serves "$name" || continue
        has_venv "$name" && python=$name && break
        bare=$name
    done
    if [ -z "$python" ]; then
        [ -z "$bare" ] || fail "$bare lacks venv: on Debian and Ubuntu apt install python3-venv"
        fail "no Python from 3.11 to 3.$last is on the PATH (PYTHON=... names one elsewhere)"
    fi
fi
echo "$folder: Python $(version "$python"), then packages; once, about a minute"
"$python" -m venv --clear "$folder"
