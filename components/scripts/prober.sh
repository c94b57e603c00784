# shellcheck shell=bash
# Asks the upstreams each minute whether they serve. Standard input: the prober's settings, with credentials.
# apply
# shellcheck source=on_host.sh
. "${0%/*}/on_host.sh"
# How the service is shut in.
# shellcheck source=sandbox.sh
. "$SCRIPTS/sandbox.sh"

action=$1
python=
UNIT=registry-cache-upstreams
SETTINGS=/etc/registry-cache/upstreams.json
SERVICE=/etc/systemd/system/$UNIT.service
TIMER=/etc/systemd/system/$UNIT.timer
METRICS=$RECORDS/metrics

service() { # python
  cat <<UNIT
[Unit]
Description=Asks the upstreams of the registry caches whether they serve
After=network-online.target
Wants=network-online.target

[Service]
Type=oneshot
WorkingDirectory=$SCRIPTS
ExecStart=$1 -B -s -E -m prober $SETTINGS $METRICS
TimeoutStartSec=58
Nice=10
# root that owns its files and reads those of the caches, and may do nothing else that root may.
CapabilityBoundingSet=CAP_DAC_READ_SEARCH
$(sandbox)
ReadWriteDirectories=$METRICS
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
UNIT
}

timer() {
  cat <<UNIT
[Unit]
Description=Asks the upstreams of the registry caches each minute

[Timer]
OnCalendar=minutely
AccuracySec=1s

[Install]
WantedBy=timers.target
UNIT
}

case $action in
  apply)
    # shellcheck disable=SC2119  # restore gets no argument
    keep_undo
    find_python
    install -d -m 755 "$METRICS"
    put_file "$SETTINGS" 600 root:root
    echo "$SETTINGS: $outcome"
    put_file "$SERVICE" 644 root:root < <(service "$python")
    put_file "$TIMER" 644 root:root < <(timer)
    systemctl daemon-reload
    systemctl enable -q "$UNIT.timer"
    systemctl is-active -q "$UNIT.timer" || systemctl start "$UNIT.timer"
    watch timer "$UNIT"
    # The first answers now, without waiting for them.
    systemctl start --no-block "$UNIT.service"
    ;;
  restore)
    systemctl disable -q --now "$UNIT.timer" 2>/dev/null || true
    systemctl stop "$UNIT.service" 2>/dev/null || true
    rm -f "$METRICS"/upstreams.{prom,json}{,.new}
    rmdir "$METRICS" 2>/dev/null || true
    put_back "$TIMER"
    put_back "$SERVICE"
    put_back "$SETTINGS"
    systemctl daemon-reload
    forget_undo
    echo "$UNIT: removed"
    ;;
esac
