#!/usr/bin/env bash
# Set up the environment, then lint, check types and run the tests. Arguments go to pytest.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
prepare_environment requirements.txt tests/requirements.txt

"$PYTHON" -m ruff check .
"$PYTHON" -m ruff format --check .
"$PYTHON" -m mypy
exec "$PYTHON" -m pytest -n auto --maxprocesses=8 --dist loadfile "$@"
