#!/usr/bin/env bash
# Finds a Python that is new enough and hands over to the Python package beside this file.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

for python in python3 python3.14 python3.13 python3.12 python3.11; do
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        # -I: what the user's PYTHON* variables and site packages hold must not change the toolchain.
        exec "$python" -I -c 'import sys; sys.path.insert(0, sys.argv.pop(1)); from toolchain.main import main; main()' \
            "$root" "$@"
    fi
done

echo "toolchain: no Python 3.11 or later on PATH. Install one (Debian, Ubuntu: apt-get install python3 python3-venv)." >&2
exit 1
