# Sourced by the other launch scripts: creates .venv, and updates it when requirements change.
# It sets PYTHON to the interpreter inside. Choose another base interpreter with PYTHON_BASE=…, or a
# complete environment of your own with PHYSIO_MAE_PYTHON=/path/to/python.

repository="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
cd "$repository"

find_python() {
    local candidate
    for candidate in ${PYTHON_BASE:-python3.13 python3.12 python3.11 python3 python}; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    echo "error: Python 3.11 or newer is needed and was not found; install it, or name it with" \
        "PYTHON_BASE=/path/to/python3" >&2
    return 1
}

# prepare_environment REQUIREMENTS…: install the files into .venv unless already installed.
prepare_environment() {
    local venv="${VENV:-$repository/.venv}" base stamp wanted file arguments=()
    if [[ -n "${PHYSIO_MAE_PYTHON:-}" ]]; then
        PYTHON="$PHYSIO_MAE_PYTHON"
        "$PYTHON" -c 'import flax, grain, ml_collections, orbax.checkpoint' && return
        echo "error: PHYSIO_MAE_PYTHON=$PYTHON lacks what requirements.txt names; install that, or" \
            "unset PHYSIO_MAE_PYTHON" >&2
        return 1
    fi
    base="$(find_python)" || return 1
    stamp="$venv/.installed"
    wanted="$("$base" -V; cat "$@")"
    PYTHON="$venv/bin/python"
    if [[ -x "$PYTHON" ]] && [[ "$(cat "$stamp" 2>/dev/null)" == "$wanted"* ]]; then
        return
    fi
    echo "installing into $venv (once; a few minutes)" >&2
    "$base" -m venv "$venv" || {
        echo "error: cannot make $venv; on Debian and Ubuntu: apt install python3-venv" >&2
        return 1
    }
    for file in "$@"; do arguments+=(-r "$file"); done
    "$PYTHON" -m pip install --quiet --disable-pip-version-check "${arguments[@]}" || {
        echo "error: pip could not install the requirements; see its message above" >&2
        return 1
    }
    # Written last, so that an interrupted installation is repeated.
    printf '%s' "$wanted" >"$stamp"
}
