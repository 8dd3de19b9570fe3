"""URL paths lead to the kind and object they name, whatever the names are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailtier.kube import errors, paths


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (paths.host_settings("default"), "/apis/mailtier.dev/v1alpha1/hostemailsettings/default"),
        (paths.org_settings(), "/apis/mailtier.dev/v1alpha1/orgemailsettings"),
        (paths.org_settings("a", "b"), "/apis/mailtier.dev/v1alpha1/namespaces/a/orgemailsettings/b"),
        (
            paths.status(paths.notifications("a", "b")),
            "/apis/mailtier.dev/v1alpha1/namespaces/a/notifications/b/status",
        ),
        (paths.config_maps("a", "b.c"), "/api/v1/namespaces/a/configmaps/b.c"),
        (paths.secrets("a", "b"), "/api/v1/namespaces/a/secrets/b"),
        (paths.namespaces("a"), "/api/v1/namespaces/a"),
        (paths.leases("a", "b"), "/apis/coordination.k8s.io/v1/namespaces/a/leases/b"),
        (paths.service_account_token("a", "b"), "/api/v1/namespaces/a/serviceaccounts/b/token"),
        (paths.port_forward("a", "b"), "/api/v1/namespaces/a/pods/b/portforward"),
    ],
)
def test_path_is_that_of_the_api(path: str, expected: str) -> None:
    """Each kind has the path of its group and version."""
    assert path == expected


@pytest.mark.parametrize(
    ("path", "resource"),
    [
        (paths.namespaces(), "namespaces"),
        (paths.namespaces("a"), "namespaces"),
        (paths.status(paths.namespaces("a")), "namespaces"),
        (paths.secrets("a", "b"), "secrets"),
        (paths.config_maps(), "configmaps"),
        (paths.status(paths.org_settings("a", "b")), "orgemailsettings"),
        (paths.host_settings("a"), "hostemailsettings"),
        (paths.TOKEN_REVIEWS, "tokenreviews"),
        (paths.READYZ, "/readyz"),
    ],
)
def test_resource_is_the_plural(path: str, resource: str) -> None:
    """The metrics' label is the plural, without names."""
    assert paths.resource(path) == resource


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a%2Fb", "A", "a?b", "-a", "a..b", "a" * 254, "a\n", "ä"])
def test_impossible_name_has_no_path(name: str) -> None:
    """A name that no object can have is as good as missing."""
    with pytest.raises(errors.NotFoundError):
        paths.secrets("a", name)
    with pytest.raises(errors.NotFoundError):
        paths.config_maps(name, "a")


@given(st.text(), st.text())
def test_no_name_leads_astray(namespace: str, name: str) -> None:
    """Whatever a tenant calls a thing, the path has the same segments."""
    try:
        path = paths.secrets(namespace, name)
    except errors.NotFoundError:
        return
    assert path.split("/") == ["", "api", "v1", "namespaces", namespace, "secrets", name]
