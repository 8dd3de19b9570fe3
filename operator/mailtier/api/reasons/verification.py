"""Reasons of Verified: what the sender's probe found."""

from typing import Final

from mailtier.api import vocabulary
from mailtier.api.reasons import definition

_V: Final = vocabulary.Condition.VERIFIED

# What the sender's probe found.
VERIFIED: Final = definition.Reason(
    name="Verified", conditions=(_V,), meaning="The probe went through every stage.", remedy=definition.NOTHING
)
PROBE_PENDING: Final = definition.Reason(
    name="ProbePending",
    conditions=(_V,),
    meaning="The sender has not reported on these settings yet.",
    remedy="Wait a moment: the sender is about to probe. Where a namespace has had its probes, three at once and then"
    " one a minute, the message says when the next may begin.",
)
NOT_PROBED: Final = definition.Reason(
    name="NotProbed",
    conditions=(_V,),
    meaning="Nothing is connected to while the settings are blocked, unresolved or suspended.",
    remedy="Mend what Ready says first; suspended settings are probed when spec.suspend is removed.",
)
DNS_FAILED: Final = definition.Reason(
    name="DnsFailed",
    conditions=(_V,),
    meaning="The server's name could not be resolved.",
    remedy="Check smtp.host for a typing error, and the cluster's DNS.",
)
NAME_NOT_ABSOLUTE: Final = definition.Reason(
    name="NameNotAbsolute",
    conditions=(_V,),
    meaning="The server's name is not a whole one: only the search list of a pod would find it.",
    remedy="Write the whole name in smtp.host, such as relay.mail.svc.cluster.local for the Service relay in the"
    " namespace mail.",
)
ADDRESS_DENIED: Final = definition.Reason(
    name="AddressDenied",
    conditions=(_V,),
    meaning="The server's name resolves to an address that is not public, and the policy does not open it.",
    remedy="Use a public server, or have the platform team add its network to policy.endpoints.allow"
    " (for the host's own endpoint: policy.endpoints.hostAllow).",
)
HOST_RELAY: Final = definition.Reason(
    name="HostRelay",
    conditions=(_V,),
    meaning="The server's name leads to the host's server, and the settings bring no credentials for it.",
    remedy="Inherit that server by removing spec.smtp and spec.auth, or set auth.username and auth.passwordSecretRef"
    " instead of mechanism: Anonymous.",
)
HOST_RELAY_UNKNOWN: Final = definition.Reason(
    name="HostRelayUnknown",
    conditions=(_V,),
    meaning="The settings bring no credentials, and their server could not be compared with the host's just now.",
    remedy="Have the platform team look at Verified of HostEmailSettings default and find the cause; the probe is"
    " repeated every few minutes.",
)
HOST_SERVER: Final = definition.Reason(
    name="HostServer",
    conditions=(_V,),
    meaning="The server's name leads to the host's server, where the host's policy forbids these settings.",
    remedy="Use a From address and a login that the message allows, or name another server. Whether logins of"
    " organizations may choose From there is policy.from.ownLogins of HostEmailSettings.",
)
TOO_MANY_REFUSED_LOGINS: Final = definition.Reason(
    name="TooManyRefusedLogins",
    conditions=(_V,),
    meaning="The server refused three logins of this namespace within an hour, or 64 servers refused one, so that no"
    " other is tried for now.",
    remedy="Check username and password at the provider, and wait until the time that the message names. Logins that"
    " succeeded before go on meanwhile.",
)
CONNECT_FAILED: Final = definition.Reason(
    name="ConnectFailed",
    conditions=(_V,),
    meaning="No TCP connection came about.",
    remedy="Check host and port, firewalls and NetworkPolicies between the sender and the server.",
)
GREETING_FAILED: Final = definition.Reason(
    name="GreetingFailed",
    conditions=(_V,),
    meaning="The server did not greet as an SMTP server does, or refused the session.",
    remedy="Check that the port speaks SMTP: Implicit TLS belongs on 465, StartTLS on 587.",
)
TLS_FAILED: Final = definition.Reason(
    name="TlsFailed",
    conditions=(_V,),
    meaning="The TLS handshake failed, or the certificate did not verify.",
    remedy="Check smtp.tls: mode, serverName, caRef for a private CA, and clientCertificateRef for a server that asks"
    " who connects.",
)
TLS_NOT_SPOKEN: Final = definition.Reason(
    name="TlsNotSpoken",
    conditions=(_V,),
    meaning="The server answers in clear where tls.mode: Implicit expects TLS at once.",
    remedy="Set smtp.tls.mode: StartTLS, which is usual on 587 and 25, or use the server's port for Implicit, 465.",
)
TLS_EXPECTED: Final = definition.Reason(
    name="TlsExpected",
    conditions=(_V,),
    meaning="The server sends no greeting in clear, and answers a TLS handshake.",
    remedy="Set smtp.tls.mode: Implicit, which is usual on 465, or use the server's port for StartTLS, 587.",
)
TLS_TOO_OLD: Final = definition.Reason(
    name="TlsTooOld",
    conditions=(_V,),
    meaning="The server has no version of TLS that these settings allow.",
    remedy="Have the server speak TLS 1.2 or 1.3; with smtp.tls.minVersion: TLS1.3 it has to be 1.3.",
)
TLS_NO_COMMON_CIPHER: Final = definition.Reason(
    name="TlsNoCommonCipher",
    conditions=(_V,),
    meaning="The server has no cipher suite in common with the sender, or refused its handshake.",
    remedy="Have the server offer TLS 1.3, or TLS 1.2 with ECDHE and AES or ChaCha20. Finite-field Diffie-Hellman, RSA"
    " key exchange, SHA-1 and RC4 are not used. Servers that demand a client certificate answer the same.",
)
STARTTLS_NOT_OFFERED: Final = definition.Reason(
    name="StartTlsNotOffered",
    conditions=(_V,),
    meaning="The server does not offer STARTTLS, which these settings require.",
    remedy="Use the server's submission port (587), or tls.mode: Implicit on 465.",
)
EHLO_FAILED: Final = definition.Reason(
    name="EhloFailed",
    conditions=(_V,),
    meaning="The server refused EHLO.",
    remedy="Set delivery.heloName to a name the server takes.",
)
CLIENT_NAME_REFUSED: Final = definition.Reason(
    name="ClientNameRefused",
    conditions=(_V,),
    meaning="The server refused the name that the sender gives with EHLO, which some servers say at RCPT only.",
    remedy="Set delivery.heloName to a full name that resolves to the address from which the cluster connects; the"
    " chart's sender.heloName is the default for all.",
)
AUTH_FAILED: Final = definition.Reason(
    name="AuthFailed",
    conditions=(_V,),
    meaning="The server refused the credentials.",
    remedy="Correct the username, and the password or what the token is for; the sender tries again when the Secret or"
    " the settings change, or when `mailtier verify --again` asks for it.",
)
AUTH_REQUIRED: Final = definition.Reason(
    name="AuthRequired",
    conditions=(_V,),
    meaning="The server takes no mail without authentication, and the settings say mechanism: Anonymous.",
    remedy="Set auth.username and auth.passwordSecretRef instead of mechanism: Anonymous.",
)
RELAY_DENIED: Final = definition.Reason(
    name="RelayDenied",
    conditions=(_V,),
    meaning="The server does not relay for this client: deliveries to other domains than its own are refused.",
    remedy="Set auth.username and auth.passwordSecretRef, or have the server's administrator let the cluster's address"
    " relay.",
)
ACCOUNT_DISABLED: Final = definition.Reason(
    name="AccountDisabled",
    conditions=(_V,),
    meaning="The server does not let the account send: it is disabled, suspended or without the right to.",
    remedy="Have the account enabled for sending at the provider; the sender tries one message every 15 minutes.",
)
LIMIT_REACHED: Final = definition.Reason(
    name="LimitReached",
    conditions=(_V,),
    meaning="A limit of the server on what the account or this client may send is reached.",
    remedy="Wait until it ends, have it raised, or set delivery.ratePerMinute below it.",
)
POLICY_REFUSED: Final = definition.Reason(
    name="PolicyRefused",
    conditions=(_V,),
    meaning="The server's policy refuses this client or what it sends, for several recipients or for ten minutes.",
    remedy="Read what the server answered; its administrator knows the rule. The messages wait, and one is tried every"
    " 15 minutes.",
)
AUTH_NOT_OFFERED: Final = definition.Reason(
    name="AuthNotOffered",
    conditions=(_V,),
    meaning="The server does not offer the mechanism that auth.mechanism names.",
    remedy="Choose a mechanism that the server offers.",
)
PROMPT_NOT_RECOGNIZED: Final = definition.Reason(
    name="PromptNotRecognized",
    conditions=(_V,),
    meaning="The server asked for something during AUTH that is neither user name nor password, or asked again for what"
    " it had: nothing is guessed, since a password that answers another prompt ends up in logs.",
    remedy="Set another auth.mechanism (PLAIN needs no prompts), or have the server's prompts mended; the sender tries"
    " again when the Secret or the settings change, or when `mailtier verify --again` asks for it.",
)
SENDER_REFUSED: Final = definition.Reason(
    name="SenderRefused",
    conditions=(_V,),
    meaning="The server refused the sender address: at MAIL FROM, or of a message in whatever phase.",
    remedy="Use a from.envelope or from.address that the account may send as.",
)
SERVER_UNAVAILABLE: Final = definition.Reason(
    name="ServerUnavailable",
    conditions=(_V,),
    meaning="The server ended the session after it had begun, or cannot do what was asked at present.",
    remedy="Look at the server; the probe is repeated every few minutes.",
)
PROBE_TIMEOUT: Final = definition.Reason(
    name="TimedOut",
    conditions=(_V,),
    meaning="A stage of the probe did not end within its total.",
    remedy="Check the server's load and the network between it and the sender.",
)
TOKEN_FAILED: Final = definition.Reason(
    name="TokenFailed",
    conditions=(_V,),
    meaning="The token server could not be reached, or did not answer with an access token.",
    remedy="Check auth.oauth2.tokenURL and scopes, and the network between the sender and the token server.",
)
TOKEN_REFUSED: Final = definition.Reason(
    name="TokenRefused",
    conditions=(_V,),
    meaning="The token server refused the client, its secret or key, or the refresh token.",
    remedy="Correct auth.oauth2 or the Secret, or what the provider knows of the client; the sender asks again when the"
    ' settings or the Secret change, as after `kubectl annotate secret NAME checked-at="$(date)" --overwrite`.',
)
