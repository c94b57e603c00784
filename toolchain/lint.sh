#!/usr/bin/env bash
# All static checks; goes on after one that fails, so that one run shows everything.
# lint.sh --accept-secrets: writes the secret scanner's findings of now, all looked at and made up, as known ones.
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

# Hashes of locked packages and modules look like secrets, and are not; recorded plans hold such hashes and marks.
no_secrets='(^|/)(go\.sum|requirements[a-z-]*\.txt|\.secrets\.baseline|plans/[a-z-]*\.jsonl)$'

secrets() { # secrets FILE…: fails on what the baseline does not know
    local baseline code=0
    # A copy: the hook rewrites its baseline where a known finding is gone, and says so by exit code 3.
    baseline=$(mktemp)
    cp .secrets.baseline "$baseline"
    detect-secrets-hook --baseline "$baseline" --exclude-files "$no_secrets" "$@" || code=$?
    rm -f "$baseline"
    if [ "$code" -ne 0 ] && [ "$code" -ne 3 ]; then
        echo "Take a real secret out. Where every finding above is a made-up value:"
        echo "    toolchain/run toolchain/lint.sh --accept-secrets    # and look at what git diff shows"
        return 1
    fi
}

workflows() { # what GitHub would run: its own rules, the shell within, and what makes a workflow unsafe
    local actionlint code=0
    actionlint=$(python -m toolchain.go_program actionlint) || return 1
    "$actionlint" -no-color || code=1
    zizmor --quiet --offline --no-progress --persona pedantic .github || code=1
    return "$code"
}

# New files count before they are committed; ignored ones do not.
mapfile -t files < <(git ls-files --cached --others --exclude-standard | while read -r file; do
    [ -f "$file" ] && echo "$file"
done)
if [ "${1:-}" = --accept-secrets ]; then
    # Without line numbers, so that a moved line is no new finding; without a time, so that nothing new is no change.
    detect-secrets scan --slim --exclude-files "$no_secrets" "${files[@]}" | grep -v '"generated_at"' >.secrets.new
    mv .secrets.new .secrets.baseline
    exit
fi

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
check workflows workflows
check secrets secrets "${files[@]}"

if [ ${#failed[@]} -gt 0 ]; then
    echo "lint: failed: ${failed[*]}"
    exit 1
fi
