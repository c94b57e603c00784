#!/bin/sh
# front.sh start|stop|answer STATUS|forward|forget|limit LIMIT REMAINING|unlimited|accounts: the counting front of an
# upstream. Each returns when it is so: after `stop` connections are refused, after `answer 429` all requests get a 429.
set -eu
pid_file=/run/nginx.pid
answer=/etc/lab/answer.conf
rate_limit=/etc/lab/rate-limit.conf
log=/var/log/lab/requests.jsonl
window=21600
refusal='{"errors":[{"code":"TOOMANYREQUESTS","message":"You have reached your pull rate limit."}]}'

running() { [ -s "$pid_file" ] && kill -0 "$(cat "$pid_file")" 2>/dev/null; }
start() { running || nginx; }
stop() {
    if running; then nginx -s stop; fi
    while running; do sleep 0.02; done
}
again() {
    stop
    start
}
# Docker Hub's headers (https://docs.docker.com/docker-hub/usage/pulls/). Where there are tokens, one without gets its
# challenge first.
limit() { # limit LIMIT REMAINING
    echo "add_header ratelimit-limit '$1;w=$window' always;"
    echo "add_header ratelimit-remaining '$2;w=$window' always;"
    # shellcheck disable=SC2016  # nginx's variable
    echo 'add_header docker-ratelimit-source $remote_addr always;'
    [ "$2" = 0 ] || return 0
    echo "add_header retry-after $window always;"
    if [ "$LAB_REGISTRY" = ghcr.io ]; then
        # shellcheck disable=SC2016
        echo 'if ($http_authorization) {'" return 429 '$refusal'; }"
    else
        echo "return 429 '$refusal';"
    fi
}

case "$1" in
start) start ;;
stop) stop ;;
answer)
    body='{"errors":[{"code":"LAB","message":"the lab told the upstream to answer so"}]}'
    [ "$2" != 429 ] || body=$refusal
    echo "return $2 '$body';" >"$answer"
    again
    ;;
forward)
    : >"$answer"
    again
    ;;
limit)
    limit "$2" "$3" >"$rate_limit"
    again
    ;;
unlimited)
    : >"$rate_limit"
    again
    ;;
accounts) cat >/etc/lab/accounts.json ;;
forget) : >"$log" ;;
*)
    echo "front.sh: unknown order $1" >&2
    exit 2
    ;;
esac
