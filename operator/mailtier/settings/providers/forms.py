"""The forms that usernames have, as more than one provider asks for them."""

from mailtier.api import addresses


def is_address(username: str) -> bool:
    """Return whether a username is a mail address."""
    return addresses.is_mailbox(username)


def is_domain_account(username: str) -> bool:
    r"""Return whether a username names an account and its domain: `user@domain` or `DOMAIN\user`."""
    domain, backslash, account = username.partition("\\")
    return is_address(username) or bool(domain and backslash and account)


def is_anything(username: str) -> bool:
    """Return whether a username is not empty."""
    return bool(username)
