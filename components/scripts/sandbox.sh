# shellcheck shell=bash
# How our services are shut in: none of them needs any of this.

# CentOS 7's systemd 219 knows `full` as the most of ProtectSystem, and leaves out what it does not know. Home
# directories can be read: cache.directory may be in one.
sandbox() {
  cat <<'UNIT'
NoNewPrivileges=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectSystem=full
ProtectSystem=strict
ProtectHome=read-only
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
SystemCallArchitectures=native
UNIT
}
