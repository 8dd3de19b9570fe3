"""What the values of the sender and of its Service do."""

from kit.chart_options import looking


def _retention(when: str) -> looking.Look:
    """Return what finds what becomes of the claims."""
    return lambda found: looking.spec(found)["persistentVolumeClaimRetentionPolicy"][when]


OPTIONS = (
    looking.Option(path="sender.logLevel", value="ERROR", look=looking.argument("sender", "log-level"), seen=["ERROR"]),
    looking.Option(
        path="sender.heloName", value="a.example", look=looking.argument("sender", "helo-name"), seen=["a.example"]
    ),
    looking.Option(
        path="sender.quota.messages", value=9, look=looking.argument("sender", "quota-messages"), seen=["9"]
    ),
    # As a float it would be written 1.073741824e+09, which is no integer on a command line.
    looking.Option(
        path="sender.quota.storedBytes",
        value=2**31,
        look=looking.argument("sender", "quota-stored-bytes"),
        seen=["2147483648"],
    ),
    looking.Option(
        path="sender.quota.bytes", value=2**30, look=looking.argument("sender", "quota-bytes"), seen=["1073741824"]
    ),
    looking.Option(
        path="sender.trustedProxies",
        value=["10.0.0.0/24", "2001:db8::7"],
        look=looking.argument("sender", "trusted-proxy"),
        seen=["10.0.0.0/24", "2001:db8::7"],
    ),
    looking.Option(path="sender.keepFailed", value="24h", look=looking.argument("sender", "keep-failed"), seen=["24h"]),
    looking.Option(path="sender.fullAt", value=0.5, look=looking.argument("sender", "full-at"), seen=["0.5"]),
    looking.Option(
        path="sender.replicas",
        value=3,
        along=looking.SHARED,
        look=lambda found: looking.spec(found)["replicas"],
        seen=3,
    ),
    looking.Option(
        path="sender.postgres.dsnSecret.name",
        value="queue",
        look=lambda found: (
            looking.argument("sender", "queue-dsn-file")(found),
            looking.argument("sender", "sender-name")(found),
        ),
        seen=(["/etc/mailtier/queue/dsn"], ["$(POD_NAME)"]),
    ),
    looking.Option(
        path="sender.postgres.dsnSecret.key",
        value="uri",
        along=looking.SHARED,
        look=looking.argument("sender", "queue-dsn-file"),
        seen=["/etc/mailtier/queue/uri"],
    ),
    looking.Option(
        path="sender.persistence.enabled",
        value=False,
        along=looking.SHARED,
        look=lambda found: (looking.workload(found)["kind"], looking.volume("queue")(found)),
        seen=("Deployment", {"name": "queue", "emptyDir": {"sizeLimit": "16Mi"}}),
    ),
    looking.Option(
        path="sender.persistence.existingClaim",
        value="restored",
        look=lambda found: ("volumeClaimTemplates" in looking.spec(found), looking.volume("queue")(found)),
        seen=(False, {"name": "queue", "persistentVolumeClaim": {"claimName": "restored"}}),
    ),
    *(
        looking.Option(
            path=f"sender.persistence.retention.{when}",
            value="Delete",
            look=_retention(when),
            seen="Delete",
        )
        for when in ("whenDeleted", "whenScaled")
    ),
    looking.Option(
        path="sender.tls.secretName",
        value="intake",
        look=lambda found: (
            looking.argument("sender", "tls-dir")(found),
            looking.argument("sender", "tls-name")(found),
            [volume["secret"]["secretName"] for volume in looking.pod(found)["volumes"] if volume["name"] == "tls"],
        ),
        seen=(["/etc/mailtier/tls"], [], ["intake"]),
    ),
    looking.Option(
        path="sender.tls.extraNames",
        value=["mail.example", "fd00::1"],
        look=lambda found: looking.argument("sender", "tls-name")(found)[-2:],
        seen=["mail.example", "fd00::1"],
    ),
    looking.Option(
        path="sender.persistence.size",
        value="9Gi",
        look=lambda found: looking.claim(found)["spec"]["resources"]["requests"]["storage"],
        seen="9Gi",
    ),
    looking.Option(
        path="sender.persistence.storageClass",
        value="fast",
        look=lambda found: looking.claim(found)["spec"]["storageClassName"],
        seen="fast",
    ),
    looking.Option(
        path="sender.persistence.storageClass",
        value="-",
        look=lambda found: looking.claim(found)["spec"]["storageClassName"],
        seen="",
    ),
    looking.Option(
        path="sender.persistence.accessModes",
        value=["ReadWriteOncePod"],
        look=lambda found: looking.claim(found)["spec"]["accessModes"],
        seen=["ReadWriteOncePod"],
    ),
    looking.Option(
        path="sender.persistence.annotations",
        value={"a": "b"},
        look=lambda found: looking.claim(found)["metadata"]["annotations"],
        seen={"a": "b"},
    ),
    looking.Option(
        path="sender.resources",
        value={"requests": {"cpu": "1m"}},
        look=lambda found: looking.container(found, "sender")["resources"],
        seen={"requests": {"cpu": "1m", "memory": "288Mi"}, "limits": {"memory": "768Mi"}},
    ),
    looking.Option(
        path="service.port",
        value=8443,
        look=lambda found: looking.named("Service")(found)["spec"]["ports"][0]["port"],
        seen=8443,
    ),
    looking.Option(
        path="service.annotations",
        value={"a": "b"},
        look=lambda found: looking.named("Service")(found)["metadata"]["annotations"],
        seen={"a": "b"},
    ),
    looking.Option(
        path="service.clusterDomain",
        value="corp.example",
        look=lambda found: looking.argument("sender", "tls-name")(found)[1],
        seen="mailtier.mailtier-system.svc.corp.example",
    ),
)
