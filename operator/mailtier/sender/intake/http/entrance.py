"""Whose request it is, and whose settings it speaks of."""

from typing import Final

from aiohttp import web

from mailtier.api import names
from mailtier.kube import reviews
from mailtier.sender import settings_source
from mailtier.sender.intake.http import access, problems
from mailtier.serving import connection
from mailtier.settings import effective

_STARTING_SECONDS: Final = 2

CONNECTION: Final = web.RequestKey("CONNECTION", connection.ClientConnection)
"""The connection that a request came on."""


def starting() -> problems.HttpProblem:
    """Return the answer of a sender that has just begun."""
    return problems.HttpProblem(
        problems.UNAVAILABLE,
        "the sender has not read the settings yet; send the request again",
        headers={"Retry-After": str(_STARTING_SECONDS)},
    )


class Entrance:
    """Lets callers in to an organization, or to the host's settings.

    That an organization exists is told to no stranger: the caller is looked at first.
    """

    def __init__(self, gate: access.Gate, settings: settings_source.SettingsSource) -> None:
        self._gate = gate
        self._settings = settings

    async def organization(self, request: web.Request) -> tuple[reviews.Identity, effective.Effective]:
        """Return the caller, and the settings of the organization in the path.

        Raises:
            Problem: The caller may not, or there is no such organization.
        """
        caller = await self._gate.admit(
            request.headers.get("Authorization"),
            request.match_info["namespace"],
            client_address=request[CONNECTION].client,
        )
        request[CONNECTION].admit()
        return caller, self._organization(request)

    async def namespace(self, request: web.Request, verb: access.Verb) -> reviews.Identity:
        """Return the caller, who may do something with the notifications of the namespace in the path.

        Raises:
            Problem: The caller may not.
        """
        caller = await self._gate.admit_people(
            request.headers.get("Authorization"),
            request.match_info["namespace"],
            verb=verb,
            client_address=request[CONNECTION].client,
        )
        request[CONNECTION].admit()
        if not self._settings.synced:
            raise starting()
        return caller

    async def organization_for(
        self, request: web.Request, verb: access.Verb
    ) -> tuple[reviews.Identity, effective.Effective]:
        """Return the caller, who may do something with notifications there, and the organization in the path.

        Raises:
            Problem: The caller may not, or there is no such organization.
        """
        caller = await self.namespace(request, verb)
        return caller, self._organization(request)

    async def host(self, request: web.Request) -> tuple[reviews.Identity, effective.Effective]:
        """Return the caller, and the host's own settings.

        Raises:
            Problem: The caller may not, or there are none.
        """
        caller = await self.platform(request)
        return caller, self._find(effective.HOST, f"there is no HostEmailSettings {names.HOST_NAME}; create it")

    async def platform(self, request: web.Request) -> reviews.Identity:
        """Return the caller, who may change the host's settings, be there some or not.

        Raises:
            Problem: The caller may not.
        """
        caller = await self._gate.admit_platform(
            request.headers.get("Authorization"), client_address=request[CONNECTION].client
        )
        request[CONNECTION].admit()
        return caller

    def _organization(self, request: web.Request) -> effective.Effective:
        key = effective.OrganizationKey(
            namespace=request.match_info["namespace"], name=request.match_info["organization"]
        )
        missing = (
            f"there is no organization {key}: create an OrgEmailSettings of that name, in a namespace that is there"
        )
        return self._find(key, missing)

    def _find(self, key: effective.OrganizationKey, missing: str) -> effective.Effective:
        settings = self._settings.get(key)
        if settings is None and not self._settings.synced:
            raise starting()
        if settings is None:
            raise problems.HttpProblem(problems.UNKNOWN_ORGANIZATION, missing)
        return settings
