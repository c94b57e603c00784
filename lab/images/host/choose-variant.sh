#!/bin/bash
# RELEASE FIREWALL DOCKER IPTABLES-PLACE: the last differences between hosts.
# FIREWALL firewalld | iptables-services | none; DOCKER a version or "none"; IPTABLES-PLACE usr-sbin | sbin.
set -euo pipefail
release=$1 firewall=$2 docker=$3 iptables_place=$4
rpms=/tmp/rpms

cp -a "/tmp/releases/$release/." /
major=${release#el}
rpm -i --nosignature "$rpms"/release/*.el"$major".noarch.rpm
case "$firewall" in
firewalld)
    rpm -i --nosignature "$rpms"/base/firewalld-*.rpm
    systemctl enable firewalld.service
    ;;
iptables-services | none)
    dpkg --purge --force-depends firewalld >/dev/null
    rm -rf /etc/firewalld
    ;;
*)
    echo "unknown firewall $firewall" >&2
    exit 1
    ;;
esac
if [ "$firewall" = iptables-services ]; then
    rpm -i --nosignature "$rpms"/base/iptables-{1,services-}*.rpm
    systemctl enable iptables.service ip6tables.service
fi
if [ "$docker" != none ]; then
    case "$docker" in 20.*) containerd=1 ;; *) containerd=2 ;; esac
    rpm -i --nosignature --nodeps "$rpms"/base/container-selinux-*.rpm \
        "$rpms"/docker/docker-ce-{,cli-}"$docker"-*.rpm "$rpms/docker/containerd.io-$containerd".*.rpm
    systemctl enable docker.service containerd.service
fi
if [ "$iptables_place" = sbin ]; then
    # As on systems where /sbin is a folder of its own, and not on the PATH that a login gets.
    rm /sbin
    mkdir /sbin
    for program in /usr/sbin/*; do
        case "$program" in
        */*tables*) mv "$program" /sbin/ ;;
        *) ln -s "$program" /sbin/ ;;
        esac
    done
    # Debian's alternatives point at /usr/sbin; the programs themselves are in /sbin now.
    for program in /sbin/*tables*; do
        case "$(readlink "$program")" in
        /etc/alternatives/*) ln -sf "$(basename "$(readlink "$(readlink "$program")")")" "$program" ;;
        esac
    done
    echo 'SetEnv PATH=/usr/local/bin:/usr/bin' >>/etc/ssh/sshd_config.d/lab.conf
fi
rm -rf /tmp/rpms /tmp/releases /tmp/choose-variant.sh
