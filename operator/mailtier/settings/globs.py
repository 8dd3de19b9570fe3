"""The globs by which a policy names hosts and domains."""


def matches(glob: str, name: str) -> bool:
    """Return whether a glob stands for a name: `*` for every one, `*.x` for what is below x, another for itself.

    Args:
        glob: In lower case.
        name: A host or a domain, in lower case.
    """
    if glob == "*":
        return True
    if is_below(glob):
        return name.endswith(glob[1:]) and len(name) > len(glob) - 1
    return name == glob


def is_below(glob: str) -> bool:
    """Return whether a glob stands for what is below a domain."""
    return glob.startswith("*.")
