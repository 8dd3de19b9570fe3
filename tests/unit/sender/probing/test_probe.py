"""What is told of a probe, and to whom."""

import dataclasses
import datetime as dt

import pytest

from mailtier.api import feed, reasons, vocabulary
from mailtier.mail import classify, oauth, replies
from mailtier.mail import reasons as delivery_reasons
from mailtier.sender.probing import probe
from mailtier.settings.providers import catalogue

_NOW = dt.datetime(2026, 11, 24, 9, 30, tzinfo=dt.UTC)
_R = delivery_reasons.DeliveryReason


def _report(failure: classify.Failure, *, host: str = "smtp.example.com") -> feed.Probe:
    finding = probe.ProbeResult(
        server=host,
        endpoint=f"{host}:587",
        secret_version="1",
        phase=classify.Phase.AUTH,
        failure=failure,
        certificate_expires_at=None,
    )
    return probe.report("key", finding, at=_NOW)


def test_a_known_refusal_comes_with_its_provider_s_remedy() -> None:
    """The owner of an endpoint reads what to do at that provider; others read the codes alone (R7)."""
    (reply,) = replies.ReplyParser().receive(b"535 5.7.8 Username and Password not accepted.\r\n")
    failure = classify.classify_reply(classify.Phase.AUTH, reply)
    told = _report(failure, host="smtp.gmail.com")
    remedy = catalogue.remedy("smtp.gmail.com", 535, "5.7.8", "")
    assert remedy is not None
    assert told.owner_message.endswith(remedy)
    assert told.tenant_message.endswith("It answered 535 5.7.8.")
    assert remedy not in _report(failure).owner_message


@pytest.mark.parametrize(
    ("answer", "reason", "owner", "tenant"),
    [
        (
            oauth.TokenRefused(code="invalid_grant", said="The refresh token has expired."),
            reasons.TOKEN_REFUSED,
            'It answered invalid_grant, "The refresh token has expired.".',
            "It answered invalid_grant.",
        ),
        (
            oauth.Unusable(problem="has a certificate that does not verify"),
            reasons.TOKEN_FAILED,
            "It has a certificate that does not verify.",
            "There is no access token from the token server.",
        ),
    ],
)
def test_a_token_that_is_missing_is_a_matter_of_auth(
    answer: oauth.TokenRefused | oauth.Unusable, reason: reasons.Reason, owner: str, tenant: str
) -> None:
    """The token server's error code is for everybody, its words and ours about it for the endpoint's owner (R7)."""
    told = _report(oauth.judge(answer))
    assert (told.reason, told.stage) == (reason.name, vocabulary.ProbeStage.AUTH)
    assert told.owner_message.endswith(owner)
    assert told.tenant_message.endswith(tenant)


def test_the_owner_reads_which_endpoint_once() -> None:
    """Host and port stand before what was found unless it names the host itself; a tenant reads neither (R7)."""
    fault = classify.classify_fault(classify.Phase.CONNECT, classify.Fault.NAME_NOT_RESOLVED)
    told = _report(fault)
    assert told.owner_message == f"smtp.example.com:587: {fault.text}"
    assert told.tenant_message == fault.text
    named = dataclasses.replace(fault, text="The certificate is not valid for smtp.example.com.")
    assert _report(named).owner_message == named.text


@pytest.mark.parametrize("reason", [reasons.AUTH_FAILED, reasons.TOKEN_REFUSED])
def test_a_refusal_is_recalled_as_what_it_was(reason: reasons.Reason) -> None:
    """What an earlier process reported of credentials holds them in the next one (R12)."""
    failure = classify.Failure(
        scope=classify.Scope.CREDENTIALS,
        permanence=classify.Permanence.PERMANENT,
        phase=classify.Phase.AUTH,
        reason=_R.CREDENTIALS_REFUSED if reason is reasons.AUTH_FAILED else _R.TOKEN_REFUSED,
        code=535 if reason is reasons.AUTH_FAILED else None,
    )
    told = _report(failure)
    assert told.reason == reason.name
    recalled = probe.refusal_of(told)
    assert recalled is not None
    assert (recalled.reason, recalled.is_permanent) == (failure.reason, True)


def test_a_fault_is_not_recalled() -> None:
    """A token server that did not answer refused nothing."""
    assert probe.refusal_of(_report(oauth.judge(oauth.Unusable(problem="answered 503")))) is None
