#!/usr/bin/env bash
# Set up the environment, then lint, check types and run the tests. Arguments go to pytest.
#
# With --browser first, only the tests of the page for devices run, in Chromium. This installs
# playwright, onnxruntime-web (by npm) and, where none is on the path, the Chromium of playwright.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

if [[ "${1:-}" == --browser ]]; then
    shift
    prepare_environment requirements.txt tests/requirements.txt tests/requirements-browser.txt
    if ! command -v chromium chromium-browser google-chrome google-chrome-stable >/dev/null; then
        "$PYTHON" -m playwright install chromium || {
            echo "error: there is no Chromium, and playwright cannot download one; on Debian:" \
                "apt install chromium" >&2
            exit 1
        }
    fi
    if [[ -z "${ONNXRUNTIME_WEB:-}" ]]; then
        "$PYTHON" -m physio_mae_jax.edge_demo --download
    fi
    export PHYSIO_MAE_BROWSER=1 # what is missing is a failure
    exec "$PYTHON" -m pytest tests/inference/edge/test_web*.py "$@"
fi
prepare_environment requirements.txt tests/requirements.txt

"$PYTHON" -m ruff check .
"$PYTHON" -m ruff format --check .
"$PYTHON" -m mypy
exec "$PYTHON" -m pytest -n auto --maxprocesses=8 --dist loadfile "$@"
