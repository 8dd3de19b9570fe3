"""The paths at which people ask of the queue."""

from typing import Final

_NAMESPACE: Final = "/v1/namespaces/{namespace}"
LIST: Final = f"{_NAMESPACE}/notifications"
ONE: Final = f"{LIST}/{{id}}"
RETRY: Final = f"{LIST}:retry"
DROP: Final = f"{LIST}:drop"
SUPPRESSIONS: Final = f"{_NAMESPACE}/suppressions"
CLEAR: Final = f"{SUPPRESSIONS}:clear"
RESUME: Final = "/v1/host/queue:resume"
RELEASE: Final = f"{_NAMESPACE}/organizations/{{organization}}:release"
