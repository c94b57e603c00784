# shellcheck shell=bash
# Serves the metrics to the networks that may read them. Standard input: the exporter's settings.
# apply
# shellcheck source=on_host.sh
. "${0%/*}/on_host.sh"
# How the service is shut in.
# shellcheck source=sandbox.sh
. "$SCRIPTS/sandbox.sh"

action=$1
python=
UNIT=registry-cache-metrics
SETTINGS=/etc/registry-cache/metrics.json
SERVICE=/etc/systemd/system/$UNIT.service
METRICS=$RECORDS/metrics
ANSWER_WITHIN_SECONDS=30

# A user of its own by DynamicUser= could reach none of the files, and systemd 219 of CentOS 7 has none: the
# program opens them as root and gives up root before it serves.
service() { # python
  cat <<UNIT
[Unit]
Description=Metrics of the registry caches for Prometheus
After=network-online.target registry-cache-firewall.service
Wants=network-online.target registry-cache-firewall.service

[Service]
WorkingDirectory=$SCRIPTS
ExecStart=$1 -B -s -E -m exporter $SETTINGS
Restart=always
RestartSec=5
CapabilityBoundingSet=CAP_SETUID CAP_SETGID CAP_DAC_READ_SEARCH
$(sandbox)
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX

[Install]
WantedBy=multi-user.target
UNIT
}

case $action in
  apply)
    # shellcheck disable=SC2119  # restore gets no argument
    keep_undo
    find_python
    install -d -m 755 "$METRICS"
    put_file "$SETTINGS" 644 root:root
    echo "$SETTINGS: $outcome"
    put_file "$SERVICE" 644 root:root < <(service "$python")
    systemctl daemon-reload
    systemctl enable -q "$UNIT"
    watch service "$UNIT"
    # This step runs where the settings, the unit or the program have changed, and never else.
    systemctl restart "$UNIT"
    port=$(sed -n 's/.*"port": \([0-9]*\).*/\1/p' "$SETTINGS")
    deadline=$((SECONDS + ANSWER_WITHIN_SECONDS))
    until curl --silent --fail --noproxy '*' --max-time 5 -o /dev/null "http://127.0.0.1:$port/metrics"; do
      if [ "$SECONDS" -ge "$deadline" ]; then
        journalctl -u "$UNIT" -n 10 --no-pager >&2
        die "$UNIT.service does not answer at port $port: its last words are above"
      fi
      sleep 0.2
    done
    echo "metrics answer at port $port"
    ;;
  restore)
    systemctl disable -q --now "$UNIT" 2>/dev/null || true
    rmdir "$METRICS" 2>/dev/null || true
    put_back "$SERVICE"
    put_back "$SETTINGS"
    systemctl daemon-reload
    forget_undo
    echo "$UNIT: removed"
    ;;
esac
