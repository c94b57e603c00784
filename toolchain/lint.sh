#!/usr/bin/env bash
# All static checks; goes on after one that fails, so that one run shows everything.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

failed=()
check() { # check NAME COMMAND…
    local name=$1 begin=$SECONDS
    shift
    if "$@"; then
        echo "lint: $name: fine ($((SECONDS - begin)) s)"
    else
        echo "lint: $name: FAILED"
        failed+=("$name")
    fi
}

# Hashes of locked packages and modules look like secrets, and are not.
no_secrets='(^|/)(go\.sum|requirements[a-z-]*\.txt)$'

secrets() { # secrets FILE…: fails on what the baseline does not know
    local baseline code=0
    # A copy: the hook rewrites its baseline where a known finding is gone, and says so by exit code 3.
    baseline=$(mktemp)
    cp .secrets.baseline "$baseline"
    detect-secrets-hook --baseline "$baseline" --exclude-files "$no_secrets" "$@" || code=$?
    rm -f "$baseline"
    if [ "$code" -ne 0 ] && [ "$code" -ne 3 ]; then
        echo "If every new finding above is a made-up value: detect-secrets scan --slim --all-files \\"
        echo "    --exclude-files '$no_secrets' FILE… >.secrets.baseline, and look at its diff."
        return 1
    fi
}

# New files count before they are committed; ignored ones do not.
mapfile -t files < <(git ls-files --cached --others --exclude-standard | while read -r file; do
    [ -f "$file" ] && echo "$file"
done)
mapfile -t shell_files < <(
    for file in "${files[@]}"; do
        if [[ $file == *.sh ]] || head -c 64 "$file" | head -n 1 | grep -qaE '^#!.*\b(ba)?sh\b'; then
            echo "$file"
        fi
    done
)

check ruff ruff check --quiet .
check format ruff format --check --quiet .
check types mypy
check shell shellcheck "${shell_files[@]}"
check secrets secrets "${files[@]}"

if [ ${#failed[@]} -gt 0 ]; then
    echo "lint: failed: ${failed[*]}"
    exit 1
fi
