"""How an access token for the SMTP server is come by: the group `auth.oauth2`.

All that is secret lies in one Secret, so that its annotation is read together with every value of it. The annotation
lists the token server beside the SMTP endpoint: the client's secret goes to the one, and the token to the other.
"""

from typing import Annotated, ClassVar, Final

import pydantic

from mailtier.api import schema, types, vocabulary

_JWT, _PUBLIC = vocabulary.ClientAuthentication.PRIVATE_KEY_JWT, vocabulary.ClientAuthentication.PUBLIC

# RFC 6749 section 3.3: scope-token.
_SCOPE: Final = types.whole(
    r"[!#-\[\]-~]+",
    "must be one scope: printable ASCII characters without blanks, quotation marks and backslashes",
)
_Scope = Annotated[str, pydantic.Field(min_length=1, max_length=256), schema.Checked((_SCOPE,))]
_Identifier = Annotated[str, pydantic.Field(min_length=1, max_length=256), schema.Checked((types.ONE_LINE,))]


class OAuth2SecretReference(schema.Model):
    """The Secret with what the token server is shown.

    Its annotation mailtier.dev/endpoint lists the SMTP endpoint and the token server, as in
    `smtp.example.com:587,https://login.example.com`. The host's stands in the operator's namespace, an organization's
    in its own. A Secret that lists a token server holds no password that could be used by passwordSecretRef.
    """

    name: types.ObjectName
    """Name of the Secret."""
    client_secret_key: types.ObjectKey | None = None
    """Key of the client's secret; client-secret when absent."""
    private_key_key: types.ObjectKey | None = None
    """Key of the private key in PEM, RSA or P-256; private-key when absent. A certificate beside it is named in the
    assertion by its thumbprint, which Microsoft Entra ID asks for."""
    refresh_token_key: types.ObjectKey | None = None
    """Key of the refresh token; refresh-token when absent."""


def grant_type_of(oauth2: "OAuth2") -> vocabulary.GrantType:
    """Return the grant that tokens are asked for with, named or by default."""
    return oauth2.grant_type or vocabulary.GrantType.CLIENT_CREDENTIALS


def client_authentication_of(oauth2: "OAuth2") -> vocabulary.ClientAuthentication:
    """Return how the client shows who it is to the token server, named or by default."""
    return oauth2.client_authentication or vocabulary.ClientAuthentication.CLIENT_SECRET


_IS_REFRESH: Final = "has(self.grantType) && self.grantType == 'RefreshToken'"
_IS_JWT: Final = "has(self.clientAuthentication) && self.clientAuthentication == 'PrivateKeyJWT'"
_IS_PUBLIC: Final = "has(self.clientAuthentication) && self.clientAuthentication == 'Public'"


class OAuth2(schema.Model):
    """Where access tokens come from (RFC 6749); the sender asks for one when it needs one, and keeps it to its end."""

    grant_type: vocabulary.GrantType | None = None
    """ClientCredentials (the application acts for itself; the default) or RefreshToken (for an account that agreed)."""
    token_url: types.TokenUrl = pydantic.Field(alias="tokenURL")
    """The token endpoint, https only; redirects are not followed."""
    client_id: _Identifier = pydantic.Field(alias="clientID")
    """The client that was registered with the token server."""
    client_authentication: vocabulary.ClientAuthentication | None = None
    """ClientSecret (in the body; the default), PrivateKeyJWT (RFC 7523) or Public, which goes with RefreshToken."""
    key_id: _Identifier | None = pydantic.Field(default=None, alias="keyID")
    """The `kid` of the assertion, for PrivateKeyJWT."""
    scopes: Annotated[list[_Scope], pydantic.Field(min_length=1, max_length=16), schema.SET] | None = None
    """What the token is for; the token server's own default when absent."""
    secret_ref: OAuth2SecretReference

    RULES: ClassVar = (
        schema.Rule(
            cel=f"!({_IS_PUBLIC}) || ({_IS_REFRESH})",
            holds=lambda oauth2: (
                client_authentication_of(oauth2) != _PUBLIC
                or grant_type_of(oauth2) == vocabulary.GrantType.REFRESH_TOKEN
            ),
            message="clientAuthentication Public goes with grantType RefreshToken alone",
        ),
        schema.Rule(
            cel=f"({_IS_JWT}) || !(has(self.keyID) || has(self.secretRef.privateKeyKey))",
            holds=lambda oauth2: (
                client_authentication_of(oauth2) == _JWT
                or (oauth2.key_id, oauth2.secret_ref.private_key_key) == (None, None)
            ),
            message="keyID and secretRef.privateKeyKey act with clientAuthentication PrivateKeyJWT alone; remove them,"
            " or set it",
        ),
        schema.Rule(
            cel=f"!({_IS_JWT} || {_IS_PUBLIC}) || !has(self.secretRef.clientSecretKey)",
            holds=lambda oauth2: (
                client_authentication_of(oauth2) not in {_JWT, _PUBLIC} or oauth2.secret_ref.client_secret_key is None
            ),
            message="secretRef.clientSecretKey acts with clientAuthentication ClientSecret alone; remove it",
        ),
        schema.Rule(
            cel=f"({_IS_REFRESH}) || !has(self.secretRef.refreshTokenKey)",
            holds=lambda oauth2: (
                grant_type_of(oauth2) == vocabulary.GrantType.REFRESH_TOKEN
                or oauth2.secret_ref.refresh_token_key is None
            ),
            message="secretRef.refreshTokenKey acts with grantType RefreshToken alone; remove it, or set grantType",
        ),
    )
