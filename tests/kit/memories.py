"""What a sender keeps for the next one, without a volume."""

import json


class Memory:
    """What a sender keeps for the next one, in memory.

    Attributes:
        was_used: Whether an earlier process may have sent a moment ago.
    """

    def __init__(self, *, was_used: bool = False) -> None:
        self.was_used = was_used
        self.kept: dict[str, str] = {}

    async def remember(self, key: str, text: str) -> None:
        """Keep a text."""
        self.kept[key] = text

    async def recall(self, key: str) -> str | None:
        """Return a text that was kept."""
        return self.kept.get(key)

    async def recall_all(self, prefix: str) -> dict[str, str]:
        """Return the texts under keys with a beginning."""
        return {key: text for key, text in self.kept.items() if key.startswith(prefix)}

    async def strike(self, key: str, member: str) -> None:
        """Keep a member of an object no longer, and the object with its last one."""
        values = json.loads(self.kept.get(key, "{}"))
        if values.pop(member, None) is not None:
            self.kept[key] = json.dumps(values)
        if not values:
            self.kept.pop(key, None)

    async def forget(self, key: str) -> None:
        """Keep a text no longer."""
        self.kept.pop(key, None)
