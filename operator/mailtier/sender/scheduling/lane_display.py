"""What is shown of an organization that waits: why its messages do not go, as JSON between delivery and the intake."""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from mailtier.api import vocabulary
from mailtier.mail import reasons
from mailtier.sender.scheduling import standing


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LaneDisplay:
    """Why messages of an organization do not go.

    Attributes:
        held: Why all of them wait; None where they do not.
        by_category: Why those of a category wait, where all do not.
        awaited_rate: In a few words which rate they wait for; None if for none.
    """

    held: standing.Held | None = None
    by_category: Mapping[vocabulary.Category, standing.Held] = dataclasses.field(default_factory=dict)
    awaited_rate: str | None = None

    def hold_of(self, category: vocabulary.Category | None) -> standing.Held | None:
        """Return why messages of a category are held, or all of them; None where they are not."""
        if self.held is not None or category is None:
            return self.held
        return self.by_category.get(category)


def encode(shown: LaneDisplay) -> str:
    """Return what is shown as JSON, the same for the same."""
    document: dict[str, Any] = {}
    if shown.held is not None:
        document["held"] = _to_pair(shown.held)
    if shown.by_category:
        document["categories"] = {category.value: _to_pair(held) for category, held in shown.by_category.items()}
    if shown.awaited_rate is not None:
        document["rate"] = shown.awaited_rate
    return json.dumps(document, sort_keys=True)


def decode(text: str) -> LaneDisplay:
    """Return what is shown."""
    document: dict[str, Any] = json.loads(text)
    held = document.get("held")
    return LaneDisplay(
        held=None if held is None else _to_held(held),
        by_category={
            vocabulary.Category(category): _to_held(pair) for category, pair in document.get("categories", {}).items()
        },
        awaited_rate=document.get("rate"),
    )


def encode_released(released: standing.Released) -> dict[str, Any]:
    """Return what came of letting messages go, as a document."""
    held = None if released.held is None else _to_pair(released.held)
    return {"waiting": released.is_waiting, "held": held, "triesLogin": released.tries_login}


def decode_released(document: Mapping[str, Any]) -> standing.Released:
    """Return what came of letting messages go; another version may have told less of it."""
    held = document.get("held")
    return standing.Released(
        is_waiting=document["waiting"],
        held=None if held is None else _to_held(held),
        tries_login=document.get("triesLogin", False),
    )


def _to_pair(held: standing.Held) -> tuple[str, str]:
    return held.reason.value, held.message


def _to_held(pair: tuple[str, str]) -> standing.Held:
    reason, message = pair
    return standing.Held(reason=reasons.DeliveryReason(reason), message=message)
