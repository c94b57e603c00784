# shellcheck shell=bash
# Keeps the caches within their size, all the time. Standard input: the collector's settings.
# apply [CONTAINER DATA]…
# shellcheck source=on_host.sh
. "${0%/*}/on_host.sh"
# How the service is shut in.
# shellcheck source=sandbox.sh
. "$SCRIPTS/sandbox.sh"

action=$1
shift
caches=("$@")
python=
UNIT=registry-cache-collect
SETTINGS=/etc/registry-cache/collect.json
SERVICE=/etc/systemd/system/$UNIT.service
NOW=/etc/systemd/system/$UNIT-now.service
TIMER=/etc/systemd/system/$UNIT.timer
# A second one of each: it waits while the first one watches, and takes over without a gap, also where that is killed.
RELIEF_SERVICE=/etc/systemd/system/$UNIT-relief.service
RELIEF_TIMER=/etc/systemd/system/$UNIT-relief.timer
STATE=$RECORDS/collect
METRICS=$RECORDS/metrics
CONTAINERS=/run/registry-cache/containers

every_second() { # first|second: the containers, or their data
  local place=0 word
  [ "$1" = first ] || place=1
  for word in ${caches[@]+"${caches[@]}"}; do
    [ $((place % 2)) -ne 0 ] || printf '%s\n' "$word"
    place=$((place + 1))
  done
}

# CentOS 7's systemd 219 knows no + before a command, but also none of the rules that it is there to escape.
unsandboxed() {
  local version
  version=$(systemctl --version | sed -n '1s/[^0-9]*\([0-9]*\).*/\1/p')
  [ "$version" -lt 231 ] || printf +
}

service() { # description action python [line of the unit]
  local directory type=simple
  # Who asks for one waits for it. A watch is no job that is ever done: a boot would never be over.
  [ "$2" = watch ] || type=oneshot
  cat <<UNIT
[Unit]
Description=$1
After=docker.service
${4:-}
# One that was killed begins anew at once; one that fails waits a while itself.
StartLimitIntervalSec=0

[Service]
Type=$type
WorkingDirectory=$SCRIPTS
# Docker's socket is as good as root, so the collector has none: it reads what this wrote.
ExecStartPre=$(unsandboxed)/bin/bash $SCRIPTS/collect_containers.sh $CONTAINERS $(every_second first | tr '\n' ' ')
ExecStart=$3 -B -s -E -m collector $2
TimeoutStartSec=30min
# Ours is of the level notice: each run is then one line, under one name for both services.
LogLevelMax=notice
SyslogIdentifier=$UNIT
# Not the class idle: on a disk that is busy all the time it would never get to free anything.
IOSchedulingClass=best-effort
IOSchedulingPriority=7
Nice=5
# root that may write to the caches' data, which is not root's, and nothing else that root may.
CapabilityBoundingSet=CAP_DAC_OVERRIDE
$(sandbox)
PrivateNetwork=yes
ReadWriteDirectories=$STATE
ReadWriteDirectories=$METRICS
UNIT
  every_second second | while read -r directory; do echo "ReadWriteDirectories=$directory"; done
  cat <<UNIT
InaccessiblePaths=-/run/docker.sock
InaccessiblePaths=-/run/containerd
RestrictAddressFamilies=AF_UNIX
SystemCallFilter=@system-service
UMask=0022
UNIT
}

timer() { # line of the unit
  cat <<UNIT
[Unit]
Description=Keeps the registry caches within their size
$1

[Timer]
# A run watches for a minute, once it is its turn. The calendar begins anew where that breaks off.
OnActiveSec=0
OnUnitInactiveSec=200ms
OnCalendar=minutely
AccuracySec=50ms

[Install]
WantedBy=timers.target
UNIT
}

case $action in
  apply)
    keep_undo ${caches[@]+"${caches[@]}"}
    find_python
    install -d -m 755 "$METRICS" "$STATE"
    put_file "$SETTINGS" 644 root:root
    echo "$SETTINGS: $outcome"
    put_file "$SERVICE" 644 root:root < <(service 'Keeps the registry caches within their size' watch "$python")
    put_file "$RELIEF_SERVICE" 644 root:root < <(service 'Takes turns at keeping the registry caches within their size' watch "$python" \
      "PartOf=$UNIT.timer")
    put_file "$NOW" 644 root:root < <(service 'Collects once what the registry caches need not keep' now "$python")
    # Who stops or starts the first timer means both.
    put_file "$TIMER" 644 root:root < <(timer "Wants=$UNIT-relief.timer")
    put_file "$RELIEF_TIMER" 644 root:root < <(timer "PartOf=$UNIT.timer")
    systemctl daemon-reload
    systemctl enable -q "$UNIT.timer" "$UNIT-relief.timer"
    if systemctl is-active -q "$UNIT.timer"; then
      # Runs by other settings end; the timers begin the next ones.
      systemctl stop "$UNIT.service" "$UNIT-relief.service"
    fi
    systemctl start "$UNIT.timer" "$UNIT-relief.timer"
    watch timer "$UNIT"
    watch timer "$UNIT-relief"
    ;;
  restore)
    systemctl disable -q --now "$UNIT.timer" "$UNIT-relief.timer" 2>/dev/null || true
    systemctl stop "$UNIT.service" "$UNIT-relief.service" "$UNIT-now.service" 2>/dev/null || true
    rm -rf "${STATE:?}" "$CONTAINERS"*
    rmdir "${CONTAINERS%/*}" 2>/dev/null || true
    rm -f "$METRICS"/collect.{prom,json}{,.new}
    rmdir "$METRICS" 2>/dev/null || true
    put_back "$RELIEF_TIMER"
    put_back "$RELIEF_SERVICE"
    put_back "$TIMER"
    put_back "$NOW"
    put_back "$SERVICE"
    put_back "$SETTINGS"
    systemctl daemon-reload
    systemctl reset-failed "$UNIT.service" "$UNIT-relief.service" "$UNIT-now.service" 2>/dev/null || true
    forget_undo
    echo "$UNIT: removed"
    ;;
esac
