#!/usr/bin/env bash
# test.sh TIER…: runs the tests of each tier and says how long each took. Goes on after a tier that fails.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

# Programs that the tests run on this machine, and the Debian package of each.
missing=()
[ -x /usr/sbin/sshd ] || missing+=(openssh-server)
command -v ssh-keygen >/dev/null || missing+=(openssh-client)
command -v curl >/dev/null || missing+=(curl)
command -v openssl >/dev/null || missing+=(openssl)
# promtool comes with it.
command -v promtool >/dev/null || missing+=(prometheus)
command -v chromium >/dev/null || missing+=(chromium)
if [ ${#missing[@]} -gt 0 ]; then
    echo "== tests: installing ${missing[*]}"
    # The run level keeps Debian from starting the servers: the tests start some of their own.
    export RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive
    apt-get -qq update && apt-get -qq install -y --no-install-recommends "${missing[@]}" >/dev/null || exit 1
    # Nor at the machine's next start.
    case " ${missing[*]} " in *" prometheus "*) systemctl disable -q prometheus 2>/dev/null || true ;; esac
fi

summary=""
failed=0
for tier in "$@"; do
    case $tier in
        lab) parallel=(--numprocesses 2 --dist loadfile) ;; # two labs of ten hosts; a file's tests share a stack
        *) parallel=(--numprocesses auto) ;; # each test has a backend of its own
    esac
    echo "== tests: $tier"
    begin=$SECONDS
    pytest -q --durations=3 "${parallel[@]}" "tests/$tier" </dev/null
    code=$?
    took=$((SECONDS - begin))
    verdict=passed
    if [ "$code" -ne 0 ]; then
        verdict="FAILED (exit code $code)"
        failed=1
    fi
    summary+=$(printf '  %-8s %3d min %2d s  %s' "$tier" $((took / 60)) $((took % 60)) "$verdict")$'\n'
done
printf '== tests: summary\n%s' "$summary"
exit "$failed"
