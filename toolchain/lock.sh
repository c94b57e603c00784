#!/usr/bin/env bash
# Pins the Python packages anew, with hashes. No index address is written: that is the machine's own affair.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

for requirements in requirements requirements-dev toolchain/go/requirements; do
    uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
        --custom-compile-command "make lock" "$requirements.in" --output-file "$requirements.txt"
done
