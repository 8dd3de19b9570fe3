"""What the values of the intake's certificate, its Ingress and its Gateway do."""

import typing

from kit.chart_options import looking

_HOST = "mail.platform.example"
_ISSUED = {"certManager": {"enabled": True}}
_EXTERNAL = {"certManager": {"enabled": True, "issuerRef": {"name": "platform"}}}
_INGRESS: looking.Values = {"ingress": {"enabled": True, "hosts": [_HOST]}}
_PARENT = {"name": "front", "namespace": "gateways"}
_GATEWAY: looking.Values = {"gateway": {"enabled": True, "hostnames": [_HOST], "parentRefs": [_PARENT]}}
_ENDING: looking.Values = {"gateway": {**_GATEWAY["gateway"], "kind": "HTTPRoute"}}


def _certificate(objects: looking.Objects) -> dict[str, typing.Any]:
    return dict(looking.named("Certificate", "mailtier-intake")(objects)["spec"])


def _trust(objects: looking.Objects) -> object:
    """Return what a Gateway verifies the intake against; None where it is not told."""
    if "BackendTLSPolicy" not in looking.kinds(objects):
        return None
    validation = looking.named("BackendTLSPolicy")(objects)["spec"]["validation"]
    return validation.get("wellKnownCACertificates") or [each["name"] for each in validation["caCertificateRefs"]]


OPTIONS = (
    looking.Option(
        path="certManager.enabled",
        value=True,
        look=lambda found: (
            _certificate(found)["secretName"],
            looking.volume("tls")(found)["secret"]["secretName"],
            looking.argument("operator", "intake-url")(found),
        ),
        seen=("mailtier-intake", "mailtier-intake", ["https://mailtier.mailtier-system.svc.cluster.local"]),
    ),
    looking.Option(
        path="certManager.issuerRef.name",
        value="platform",
        along=_ISSUED,
        look=lambda found: (_certificate(found)["issuerRef"], "Issuer" in looking.kinds(found)),
        seen=({"name": "platform", "kind": "Issuer", "group": "cert-manager.io"}, False),
    ),
    looking.Option(
        path="certManager.issuerRef.kind",
        value="ClusterIssuer",
        along=_EXTERNAL,
        look=lambda found: _certificate(found)["issuerRef"]["kind"],
        seen="ClusterIssuer",
    ),
    looking.Option(
        path="certManager.issuerRef.group",
        value="issuers.example",
        along=_EXTERNAL,
        look=lambda found: _certificate(found)["issuerRef"]["group"],
        seen="issuers.example",
    ),
    looking.Option(
        path="certManager.names",
        value=[_HOST, "10.0.0.7", "fd00::7"],
        along=_ISSUED,
        look=lambda found: (_certificate(found)["dnsNames"], _certificate(found)["ipAddresses"]),
        seen=([_HOST], ["10.0.0.7", "fd00::7"]),
    ),
    looking.Option(
        path="certManager.duration",
        value="720h",
        along=_ISSUED,
        look=lambda found: _certificate(found)["duration"],
        seen="720h",
    ),
    looking.Option(
        path="certManager.renewBefore",
        value="360h",
        along=_ISSUED,
        look=lambda found: _certificate(found)["renewBefore"],
        seen="360h",
    ),
    looking.Option(
        path="ingress.enabled",
        value=True,
        along={"ingress": {"hosts": [_HOST]}},
        look=lambda found: looking.named("Ingress")(found)["spec"]["rules"][0]["http"]["paths"][0]["backend"],
        seen={"service": {"name": "mailtier", "port": {"name": "https"}}},
    ),
    looking.Option(
        path="ingress.hosts",
        value=["other.example"],
        along=_INGRESS,
        look=lambda found: (
            [rule["host"] for rule in looking.named("Ingress")(found)["spec"]["rules"]],
            "other.example" in looking.argument("sender", "tls-name")(found),
        ),
        seen=(["other.example"], True),
    ),
    looking.Option(
        path="ingress.className",
        value="inner",
        along=_INGRESS,
        look=lambda found: looking.named("Ingress")(found)["spec"]["ingressClassName"],
        seen="inner",
    ),
    looking.Option(
        path="ingress.annotations",
        value={"a": "b"},
        along=_INGRESS,
        look=lambda found: looking.named("Ingress")(found)["metadata"]["annotations"],
        seen={"a": "b"},
    ),
    looking.Option(
        path="ingress.tls",
        value=[{"hosts": [_HOST], "secretName": "front"}],
        along=_INGRESS,
        look=lambda found: looking.named("Ingress")(found)["spec"]["tls"],
        seen=[{"hosts": [_HOST], "secretName": "front"}],
    ),
    looking.Option(
        path="gateway.enabled",
        value=True,
        along={"gateway": {key: value for key, value in _GATEWAY["gateway"].items() if key != "enabled"}},
        look=lambda found: looking.named("TLSRoute")(found)["spec"]["rules"],
        seen=[{"backendRefs": [{"name": "mailtier", "port": 443}]}],
    ),
    looking.Option(
        path="gateway.kind",
        value="HTTPRoute",
        along=_GATEWAY,
        look=lambda found: (looking.kinds(found) & {"TLSRoute", "HTTPRoute"}, _trust(found)),
        seen=({"HTTPRoute"}, ["intake-ca"]),
    ),
    looking.Option(
        path="gateway.annotations",
        value={"a": "b"},
        along=_GATEWAY,
        look=lambda found: looking.named("TLSRoute")(found)["metadata"]["annotations"],
        seen={"a": "b"},
    ),
    looking.Option(
        path="gateway.parentRefs",
        value=[{"name": "other"}],
        along=_GATEWAY,
        look=lambda found: looking.named("TLSRoute")(found)["spec"]["parentRefs"],
        seen=[{"name": "other"}],
    ),
    looking.Option(
        path="gateway.hostnames",
        value=["*.other.example"],
        along=_GATEWAY,
        look=lambda found: (
            looking.named("TLSRoute")(found)["spec"]["hostnames"],
            looking.argument("sender", "tls-name")(found)[-1],
        ),
        seen=(["*.other.example"], "*.other.example"),
    ),
    looking.Option(path="gateway.backendTrust", value="System", along=_ENDING, look=_trust, seen="System"),
    looking.Option(path="gateway.backendTrust", value="None", along=_ENDING, look=_trust, seen=None),
)
