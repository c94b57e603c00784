#!/bin/bash
# Turns a container image of RHEL's family into a host: FIREWALL DOCKER IPTABLES-PLACE, as in host/choose-variant.sh.
set -euo pipefail
firewall=$1 docker=$2 iptables_place=$3

packages=(ca-certificates dbus hostname iproute iptables-nft kmod nftables openssh-clients openssh-server openssl
    procps-ng python3 sudo systemd util-linux xz)
case "$firewall" in
firewalld) packages+=(firewalld) ;;
iptables-services) packages+=(iptables-nft-services) ;;
none) ;;
*)
    echo "unknown firewall $firewall" >&2
    exit 1
    ;;
esac
if [ "$iptables_place" != usr-sbin ]; then
    echo "on a real userland iptables is where its package puts it: no host with iptables in $iptables_place" >&2
    exit 1
fi
# curl is there as curl-minimal, with which curl itself conflicts.
command -v curl >/dev/null || packages+=(curl)
dnf -y -q install --setopt=install_weak_deps=False "${packages[@]}" || {
    # RHEL 8 has no iptables-nft: its iptables is that.
    packages=("${packages[@]/iptables-nft-services/iptables-services}")
    dnf -y -q install --setopt=install_weak_deps=False "${packages[@]/iptables-nft/iptables}"
}

if [ "$docker" != none ]; then
    # rhel/8 goes on where centos/8 has ended; old versions are in centos alone.
    for family in rhel centos; do
        base=https://download.docker.com/linux/$family
        curl -fsSo /etc/yum.repos.d/docker-ce.repo "$base/docker-ce.repo"
        if dnf -y -q install "docker-ce-3:$docker" "docker-ce-cli-1:$docker" containerd.io; then break; fi
        rm /etc/yum.repos.d/docker-ce.repo
    done
    [ -x /usr/bin/dockerd ] || {
        echo "no Docker $docker for $(. /etc/os-release && echo "$PRETTY_NAME")" >&2
        exit 1
    }
    # A host with Docker and without its repository is what a mirror's administrator may find.
    rm /etc/yum.repos.d/docker-ce.repo
    systemctl enable docker.service containerd.service
fi
dnf -q clean all

# The prototype's hosts log in by the same files; RHEL 8's sshd reads no folder by itself.
grep -q '^Include /etc/ssh/sshd_config.d/' /etc/ssh/sshd_config ||
    sed -i '1i Include /etc/ssh/sshd_config.d/*.conf' /etc/ssh/sshd_config
# The host key is put there before the first start; none is ever made here.
systemctl mask sshd-keygen@rsa.service sshd-keygen@ecdsa.service sshd-keygen@ed25519.service \
    systemd-udevd.service systemd-udev-trigger.service systemd-logind.service systemd-firstboot.service \
    getty@tty1.service console-getty.service getty.target dev-hugepages.mount dev-mqueue.mount \
    sys-kernel-debug.mount sys-kernel-tracing.mount sys-kernel-config.mount sys-fs-fuse-connections.mount
systemctl enable sshd.service
case "$firewall" in
firewalld) systemctl enable firewalld.service ;;
iptables-services) systemctl enable iptables.service ip6tables.service ;;
esac
systemctl set-default multi-user.target
rm -f /etc/ssh/ssh_host_* /etc/machine-id /run/nologin
touch /etc/machine-id

# The user of the prototype's hosts, with the same ids.
! getent passwd operator >/dev/null || userdel operator
! getent group operator >/dev/null || groupdel operator
groupadd --gid 37 --non-unique operator
useradd --uid 1000 --gid 37 --create-home --shell /bin/bash operator
chmod 440 /etc/sudoers.d/operator
install -d -m 700 /root/.ssh
install -d -m 700 -o operator -g operator /home/operator/.ssh
