#!/bin/bash
# Turns the Debian root file system into a host that looks and behaves like RHEL's family where it matters here:
# yum and its helpers, the rpm database in its place, unit names, the places of python and of the trusted CAs.
set -euo pipefail

ln -sf dnf-3 /usr/bin/yum
for tool in yum-config-manager repoquery needs-restarting package-cleanup; do
    ln -sf /usr/libexec/dnf-utils-3 "/usr/bin/$tool"
done
ln -sf /usr/bin/python3 /usr/libexec/platform-python
mkdir -p /etc/yum.repos.d /etc/pki/rpm-gpg /etc/pki/tls/certs /etc/sysconfig /var/lib/rpm
rm -rf /root/.rpmdb
rpm --initdb
sed -i -e 's/^skip_if_unavailable.*/skip_if_unavailable=False/' -e 's/^best=.*/best=True/' /etc/dnf/dnf.conf

update-ca-certificates >/dev/null
ln -s /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt

# No kernel, no console and no Debian housekeeping of its own, and nothing that only takes inotify instances.
systemctl mask systemd-ask-password-console.path systemd-ask-password-wall.path polkit.service \
    systemd-udevd.service systemd-udev-trigger.service systemd-udevd-kernel.socket \
    systemd-udevd-control.socket systemd-modules-load.service systemd-logind.service systemd-timesyncd.service \
    systemd-pstore.service systemd-firstboot.service getty@tty1.service getty-static.service \
    console-getty.service getty.target apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer \
    e2scrub_all.timer e2scrub_reap.service fstrim.timer sys-kernel-debug.mount sys-kernel-tracing.mount \
    sys-kernel-config.mount dev-hugepages.mount dev-mqueue.mount
systemctl disable firewalld.service
systemctl enable ssh.service
systemctl set-default multi-user.target

rm -f /etc/ssh/ssh_host_* /etc/machine-id
touch /etc/machine-id
useradd --create-home --gid operator --shell /bin/bash operator
chmod 440 /etc/sudoers.d/operator
install -d -m 700 /root/.ssh
install -d -m 700 -o operator -g operator /home/operator/.ssh
