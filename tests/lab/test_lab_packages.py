"""The lab's package repositories behave like the real ones where the program relies on it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lab import Lab, LabError

FORGED_REPOSITORY = """[forged]
name=Packages that another key signed
baseurl=https://forged.example.test/packages
enabled=1
gpgcheck={gpgcheck}
gpgkey=https://download.docker.com/linux/rhel/gpg
"""


def test_docker_installs_from_the_real_address_with_its_signatures_checked(
    lab: Lab, guests: Callable[..., None]
) -> None:
    guests("blank-el9")
    host = lab.host("blank-el9")
    source = "https://download.docker.com/linux/rhel/docker-ce.repo"
    host.run(f"curl -fsS -o /etc/yum.repos.d/docker-ce.repo {source}")

    host.run("yum install -y -q docker-ce-20.10.24 docker-ce-cli-20.10.24 containerd.io")

    assert "gpgcheck=1" in host.read("/etc/yum.repos.d/docker-ce.repo").decode()
    assert host.run("rpm -q --qf '%{VERSION}' docker-ce").stdout == "20.10.24"
    host.run("yum install -y -q docker-ce")
    assert host.run("rpm -q --qf '%{VERSION}' docker-ce").stdout == "28.5.2", "the newer one is an upgrade"


def test_a_package_that_another_key_signed_is_refused(lab: Lab, guests: Callable[..., None]) -> None:
    guests("blank-el9")
    host = lab.host("blank-el9")
    host.run("cat >/etc/yum.repos.d/forged.repo", FORGED_REPOSITORY.format(gpgcheck=1))

    refused = host.run("yum install -y lab-forged", check=False)

    assert refused.code != 0
    assert "GPG check FAILED" in refused.stdout + refused.stderr
    assert host.run("rpm -q lab-forged", check=False).code != 0
    host.run("cat >/etc/yum.repos.d/forged.repo", FORGED_REPOSITORY.format(gpgcheck=0))
    host.run("yum install -y -q lab-forged")  # so it was the signature, and nothing else
    host.run("yum remove -y -q lab-forged && rm /etc/yum.repos.d/forged.repo")


def test_an_el7_host_has_a_dead_mirror_list_and_a_vault_that_answers(
    lab: Lab, guests: Callable[..., None]
) -> None:
    guests("blank-el7")
    host = lab.host("blank-el7")

    dead = host.run("yum install -y nftables", check=False)

    assert dead.code != 0
    assert "Could not resolve host: mirrorlist.centos.org" in dead.stdout + dead.stderr
    host.run(
        "sed -i -e 's/^mirrorlist=/#&/' -e 's,^#baseurl=http://mirror.centos.org/centos/$releasever,"
        "baseurl=http://vault.centos.org/7.9.2009,' /etc/yum.repos.d/CentOS-Base.repo"
    )
    host.run("yum install -y -q nftables")


@pytest.mark.parametrize(
    ("path", "newest"),
    [("centos/7", "20.10.24"), ("centos/8", "20.10.24"), ("rhel/8", "28.5.2"), ("rhel/10", "28.5.2")],
)
def test_dockers_repository_stops_early_where_the_real_one_does(lab: Lab, path: str, newest: str) -> None:
    url = f"https://download.docker.com/linux/{path}/x86_64/stable"
    listed = lab.host("client-1").run(
        f"dnf -q --disablerepo='*' --repofrompath=docker,{url} --setopt=docker.gpgcheck=0"
        " repoquery --latest-limit=1 --qf '%{version}' docker-ce"
    )
    assert listed.stdout.strip() == newest


def test_docker_does_not_start_on_el10_without_the_extra_kernel_modules(
    lab: Lab, guests: Callable[..., None]
) -> None:
    guests("blank-el10")
    host = lab.host("blank-el10")
    source = "https://download.docker.com/linux/rhel/docker-ce.repo"
    host.run(f"curl -fsS -o /etc/yum.repos.d/docker-ce.repo {source}")
    host.run("yum install -y -q docker-ce docker-ce-cli containerd.io")

    with pytest.raises(LabError):
        host.run("systemctl start docker")

    assert "addrtype" in host.run("journalctl -u docker --no-pager").stdout
    host.run("yum install -y -q kernel-modules-extra && systemctl reset-failed docker")
    host.run("systemctl start docker && docker info")


def test_iptables_can_be_in_a_place_that_a_login_does_not_search(
    lab: Lab, guests: Callable[..., None]
) -> None:
    guests("mirror-3")
    host = lab.host("mirror-3")

    assert host.run("command -v iptables", check=False).code != 0
    assert not host.run("ls /usr/sbin/iptables", check=False).stdout
    assert "-P INPUT ACCEPT" in host.run("/sbin/iptables -S").stdout
