"""The tls resource types take, replace and renew as pulumi-tls 5.6.2 does."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from offline_plugins.diff import Change, ChangeKind
from offline_plugins.handler import ResourceHandler
from offline_plugins.tls_resources import (
    CertRequest,
    LocallySignedCert,
    PrivateKey,
    SelfSignedCert,
    is_due,
)
from offline_plugins.values import UNKNOWN, Properties, Secret

# what the official schema has: required inputs, the others, and computed outputs
OFFICIAL: dict[type[ResourceHandler], tuple[str, str, str]] = {
    PrivateKey: (
        "algorithm",
        "ecdsaCurve rsaBits",
        "privateKeyOpenssh privateKeyPem privateKeyPemPkcs8 publicKeyFingerprintMd5"
        " publicKeyFingerprintSha256 publicKeyOpenssh publicKeyPem",
    ),
    CertRequest: (
        "privateKeyPem",
        "dnsNames ipAddresses subject uris",
        "certRequestPem keyAlgorithm",
    ),
    SelfSignedCert: (
        "allowedUses privateKeyPem validityPeriodHours",
        "dnsNames earlyRenewalHours ipAddresses isCaCertificate maxPathLength setAuthorityKeyId"
        " setSubjectKeyId subject uris",
        "certPem keyAlgorithm readyForRenewal validityEndTime validityStartTime",
    ),
    LocallySignedCert: (
        "allowedUses caCertPem caPrivateKeyPem certRequestPem validityPeriodHours",
        "earlyRenewalHours isCaCertificate maxPathLength setSubjectKeyId",
        "caKeyAlgorithm certPem readyForRenewal validityEndTime validityStartTime",
    ),
}

USUAL: Properties = {"allowedUses": ["server_auth"], "validityPeriodHours": 24, "privateKeyPem": "pem"}


def checked(**inputs: Any) -> Properties:
    done, problems = SelfSignedCert.spec.check({**USUAL, **inputs})
    assert not problems
    return done


def state_ending(in_hours: float, **different: Any) -> Properties:
    end = datetime.now(UTC) + timedelta(hours=in_hours)
    return {**checked(), "validityEndTime": end.isoformat(), "readyForRenewal": False, **different}


@pytest.mark.parametrize("kind", OFFICIAL, ids=lambda kind: kind.__name__)
def test_every_official_input_and_output_is_there(kind: type[ResourceHandler]) -> None:
    required, optional, outputs = (set(names.split()) for names in OFFICIAL[kind])

    assert {name for name, field in kind.spec.inputs.items() if field.required} == required
    assert set(kind.spec.inputs) == required | optional
    assert set(kind.spec.outputs) == outputs


@pytest.mark.parametrize(
    ("kind", "inputs"),
    [
        (CertRequest, {"privateKeyPemWo", "privateKeyPemWoVersion"}),
        (SelfSignedCert, {"privateKeyPemWo", "privateKeyPemWoVersion"}),
        (LocallySignedCert, {"caPrivateKeyPemWo", "caPrivateKeyPemWoVersion"}),
    ],
)
def test_write_only_keys_of_the_sdk_are_refused_by_name(
    kind: type[ResourceHandler], inputs: set[str]
) -> None:
    assert kind.spec.refused == inputs


@pytest.mark.parametrize("kind", OFFICIAL, ids=lambda kind: kind.__name__)
def test_every_input_replaces_but_the_hours_of_early_renewal(kind: type[ResourceHandler]) -> None:
    kept = {name for name in kind.spec.inputs if not kind.spec.replaces((name,))}

    assert kept == ({"earlyRenewalHours"} & set(kind.spec.inputs))


@pytest.mark.parametrize("kind", OFFICIAL, ids=lambda kind: kind.__name__)
def test_private_keys_are_secret_whatever_the_program_did(kind: type[ResourceHandler]) -> None:
    private = {name for name in {**kind.spec.inputs, **kind.spec.outputs} if "rivateKey" in name}

    marked = {name for name, field in kind.spec.inputs.items() if field.secret}
    marked |= {name for name, computed in kind.spec.outputs.items() if computed.secret}
    assert private == marked


def test_defaults_are_the_official_ones() -> None:
    key, _ = PrivateKey.spec.check({"algorithm": "ECDSA"})

    assert key == {"algorithm": "ECDSA", "ecdsaCurve": "P224", "rsaBits": 2048}
    assert checked() == {
        "allowedUses": ["server_auth"],
        "validityPeriodHours": 24,
        "privateKeyPem": Secret("pem"),
        "earlyRenewalHours": 0,
        "isCaCertificate": False,
        "maxPathLength": -1,
        "setAuthorityKeyId": False,
        "setSubjectKeyId": False,
    }


@pytest.mark.parametrize(
    ("kind", "inputs", "named"),
    [
        (PrivateKey, {"algorithm": "DSA"}, "algorithm"),
        (PrivateKey, {"algorithm": "ECDSA", "ecdsaCurve": "P192"}, "ecdsaCurve"),
        (PrivateKey, {}, "algorithm"),
        (SelfSignedCert, {**USUAL, "allowedUses": ["serve_auth"]}, "allowedUses[0]"),
        (SelfSignedCert, {**USUAL, "subject": {"commonname": "x"}}, "subject.commonname"),
        (SelfSignedCert, {**USUAL, "ca": True}, "ca"),
        (CertRequest, {}, "privateKeyPem"),
    ],
)
def test_a_wrong_input_is_named(kind: type[ResourceHandler], inputs: Properties, named: str) -> None:
    _, problems = kind.spec.check(inputs)

    assert [f"'{named}'" in problem.reason for problem in problems] == [True]


@pytest.mark.parametrize("name", ["earlyRenewalHours", "validityPeriodHours"])
def test_hours_below_zero_are_a_mistake(name: str) -> None:
    handler = SelfSignedCert()

    assert [problem.path for problem in handler.validate(checked(**{name: -1}), {})] == [(name,)]
    assert handler.validate(checked(**{name: 0}), {}) == []
    assert handler.validate(checked(**{name: UNKNOWN}), {}) == [], "what is not known yet is no mistake"


@pytest.mark.parametrize(
    ("hours_left", "early", "due"),
    [(1, 0, False), (1, 1, True), (0, 0, True), (-5, 0, True), (720.5, 720, False), (719.5, 720, True)],
)
def test_a_certificate_is_due_from_its_early_renewal_on(hours_left: float, early: int, due: bool) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    end = (now + timedelta(hours=hours_left)).isoformat()

    assert is_due(end, early, now) is due


def test_the_times_of_the_official_plugin_are_understood() -> None:
    now = datetime(2020, 5, 15, 22, 0, tzinfo=UTC)

    assert not is_due("2020-05-15T18:25:17.750041999-04:00", 0, now)
    assert is_due("2020-05-15T18:25:17.750041999-04:00", 1, now)


def test_a_certificate_that_is_due_is_replaced_though_no_input_changed() -> None:
    handler, inputs, state = SelfSignedCert(), checked(earlyRenewalHours=2), state_ending(in_hours=1)

    found = handler.diff(inputs, inputs, state)

    assert found == [Change(("readyForRenewal",), ChangeKind.UPDATE, of_inputs=False)]
    assert handler.replaces(found[0], state, inputs)


def test_a_certificate_that_is_not_due_does_not_differ() -> None:
    inputs = checked(earlyRenewalHours=2)

    assert SelfSignedCert().diff(inputs, inputs, state_ending(in_hours=3)) == []


def test_fewer_hours_of_early_renewal_take_back_a_renewal_that_a_refresh_saw() -> None:
    handler, inputs = SelfSignedCert(), checked(earlyRenewalHours=0)
    state = state_ending(in_hours=1, readyForRenewal=True, earlyRenewalHours=2)

    found = handler.diff(checked(earlyRenewalHours=2), inputs, state)

    assert Change(("readyForRenewal",), ChangeKind.UPDATE, of_inputs=False) in found
    assert not any(handler.replaces(change, state, inputs) for change in found)


def test_unknown_hours_of_early_renewal_do_not_renew() -> None:
    handler, inputs, state = SelfSignedCert(), checked(earlyRenewalHours=UNKNOWN), state_ending(in_hours=-1)

    found = handler.diff(checked(), inputs, state)

    assert not any(handler.replaces(change, state, inputs) for change in found)


def test_previews_know_that_a_new_certificate_is_not_due() -> None:
    planned = SelfSignedCert().plan_create(checked())

    assert planned["readyForRenewal"] is False
    assert planned["certPem"] is UNKNOWN
