"""What a status says where the platform team has set nothing, not enough, or an account of its own."""

import pathlib

from kit import certs, operators, remedies, tutorial, worlds


def _stranger(world: worlds.World, tmp_path: pathlib.Path, ca: certs.Authority, namespace: str) -> remedies.Stranger:
    bundle = tmp_path / "ca.pem"
    bundle.write_text(ca.ca_pem, encoding="ascii")
    return remedies.Stranger(world=world, namespace=namespace, bundle=bundle, host_file=tutorial.host_file())


def test_without_host_settings_one_sentence_says_what_to_apply(
    world: worlds.World, operator: operators.Operator, tmp_path: pathlib.Path, ca: certs.Authority
) -> None:
    """What is inherited from nobody is told once, and the platform team's settings mend it."""
    world.namespace("hostless", mail="on")
    world.org("hostless")
    world.until(lambda: world.reason("hostless") == "HostSettingsMissing", "hostless/default waits for the host")
    conditions = world.conditions("hostless")
    assert conditions["Ready"]["message"].count("HostEmailSettings") == 1
    assert conditions["Reconciling"]["status"] == "True"
    assert _stranger(world, tmp_path, ca, "hostless").mend() == ["HostSettingsMissing"]
    assert operator.running


def test_what_neither_tier_says_can_be_said_by_the_organization(
    world: worlds.World, operator: operators.Operator, tmp_path: pathlib.Path, ca: certs.Authority
) -> None:
    """Server, sender and credentials are asked for one after the other, each in words that can be followed."""
    world.namespace("bare-host")
    world.host(policy={"locked": ["suspend"]})
    world.org("bare-host")
    met = _stranger(world, tmp_path, ca, "bare-host").mend()
    assert met[:4] == ["EndpointMissing", "FromMissing", "CredentialsRequired", "SecretNotFound"]
    assert operator.running


def test_who_names_the_host_s_account_is_told_how_to_inherit_it(
    world: worlds.World, operator: operators.Operator, tmp_path: pathlib.Path, ca: certs.Authority
) -> None:
    """Whoever removes what the message names sends with the host's account, and has no password to guess."""
    relay = {"host": "smtp.platform.example"}
    auth = {"username": "platform", "passwordSecretRef": {"name": "relay"}}
    named = {"name": "relay", "namespace": world.system, "annotations": {"mailtier.dev/endpoint": relay["host"]}}
    world.apply({"apiVersion": "v1", "kind": "Secret", "metadata": named, "stringData": {"password": "correct horse"}})
    world.namespace("guesser")
    world.host(smtp=relay, auth=auth, **{"from": {"address": "no-reply@platform.example"}})
    world.org("guesser", smtp=relay, auth={**auth, "passwordSecretRef": {"name": "guess"}})
    met = _stranger(world, tmp_path, ca, "guesser").mend()
    assert list(dict.fromkeys(met)) == ["HostAccountNotAllowed", "SecretNotFound"]
    assert world.conditions("guesser")["Ready"]["status"] == "True"
    assert operator.running
