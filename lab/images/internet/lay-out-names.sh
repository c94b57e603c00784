#!/bin/sh
# What each name of the 'internet' serves, as links into /srv/packages.
set -eu
packages=/srv/packages
names=/srv/names

docker_ce() { # docker_ce FOLDER KEY: the layout of download.docker.com
    for family in centos rhel; do
        mkdir -p "$1/linux/$family"
        ln -s "$packages/$2.gpg" "$1/linux/$family/gpg"
        ln -s "$packages/docker-ce/$family.repo" "$1/linux/$family/docker-ce.repo"
    done
    for release in centos/7:el7 centos/8:el7 centos/9:all centos/10:all rhel/8:all rhel/9:all rhel/10:all; do
        mkdir -p "$1/linux/${release%:*}/x86_64"
        ln -s "$packages/docker-ce/${release#*:}" "$1/linux/${release%:*}/x86_64/stable"
    done
}

docker_ce "$names/download.docker.com" release
mkdir -p "$names/mirrors.example.test"
ln -s "$names/download.docker.com" "$names/mirrors.example.test/docker-ce"
# A mirror whose packages are not signed by the key that it offers.
docker_ce "$names/forged.example.test/docker-ce" forger
ln -s "$packages/forged" "$names/forged.example.test/packages"

rocky="$names/dl.rockylinux.org/pub/rocky"
mkdir -p "$rocky"
ln -s "$packages/release.gpg" "$rocky/RPM-GPG-KEY-rockyofficial"
for release in 8 9 10; do
    mkdir -p "$rocky/$release/BaseOS/x86_64"
    ln -s "$packages/base" "$rocky/$release/BaseOS/x86_64/os"
done

# CentOS 7 has moved to the vault; mirrorlist.centos.org and mirror.centos.org have no folder and no address.
vault="$names/vault.centos.org"
mkdir -p "$vault"
ln -s "$packages/release.gpg" "$vault/RPM-GPG-KEY-CentOS-7"
for repository in os updates extras; do
    mkdir -p "$vault/7.9.2009/$repository"
    ln -s "$packages/base" "$vault/7.9.2009/$repository/x86_64"
done
ln -s "$vault" "$vault/centos"
