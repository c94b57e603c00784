#!/bin/sh
# Ends the processes of the other sessions of this SSH connection; run by command_remote.py when a command is
# cancelled, over the very connection that the command runs on. Every process below this connection's sshd
# gets TERM, and KILL after 2 s, except this script and what it starts. Says so where there was one.
set -u

# the nearest ancestor named sshd (sshd-session from OpenSSH 9.8 on) belongs to this connection alone
server=$$
while [ "$server" -gt 1 ]; do
    case $(cat "/proc/$server/comm") in sshd*) break ;; esac
    server=$(sed -n 's/^PPid:[[:space:]]*//p' "/proc/$server/status")
    server=${server:-0}
done
[ "$server" -gt 1 ] || exit 1

# those first that started the others: one whose child ends before it is told to end would go on
started_by_connection() {
    grep -H '^PPid:' /proc/[0-9]*/status 2>/dev/null |
        awk -F '[/:[:space:]]+' -v server="$server" -v self="$$" '
            { parent[$3] = $NF }
            END {
                for (process in parent) {
                    depth = 0
                    for (above = process; above > 1 && above != server && above != self; depth++)
                        above = parent[above]
                    if (above == server && process != server) print depth, process
                }
            }' | sort -n | sed 's/.* //'
}

still_running() {
    for process in $targets; do
        [ -d "/proc/$process" ] && echo "$process"
    done
}

signal_all() {
    # processes under sudo can only be signalled by root
    # shellcheck disable=SC2086 # a list of process ids
    kill "-$1" $targets 2>/dev/null || sudo -n kill "-$1" $targets 2>/dev/null
}

targets=$(started_by_connection)
[ -n "$targets" ] || exit 0
echo interrupted
signal_all TERM
tries=0
while [ "$tries" -lt 20 ]; do
    # a process may have forked between the listing and the signal
    targets=$(printf '%s\n' "$(still_running)" "$(started_by_connection)" | sort -u)
    [ -n "$targets" ] || exit 0
    sleep 0.1
    tries=$((tries + 1))
done
signal_all KILL
