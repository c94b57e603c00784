#!/bin/sh
# front.sh start|stop|answer STATUS|forward|forget: the counting front of the upstream.
# Each returns when it is so: after `stop` connections are refused, after `answer 429` all requests get a 429.
set -eu
pid_file=/run/nginx.pid
answer=/etc/lab/answer.conf
log=/var/log/lab/requests.jsonl

running() { [ -s "$pid_file" ] && kill -0 "$(cat "$pid_file")" 2>/dev/null; }
start() { running || nginx; }
stop() {
    if running; then nginx -s stop; fi
    while running; do sleep 0.02; done
}

case "$1" in
start) start ;;
stop) stop ;;
answer)
    body='{"errors":[{"code":"LAB","message":"the lab told the upstream to answer so"}]}'
    [ "$2" != 429 ] || body='{"errors":[{"code":"TOOMANYREQUESTS","message":"You have reached your pull rate limit."}]}'
    echo "return $2 '$body';" >"$answer"
    stop
    start
    ;;
forward)
    : >"$answer"
    stop
    start
    ;;
forget) : >"$log" ;;
*)
    echo "front.sh: unknown order $1" >&2
    exit 2
    ;;
esac
