"""What is shown of an organization that waits: why its messages do not go, as JSON between delivery and the intake."""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any, Final

from mailtier.api import vocabulary
from mailtier.mail import reasons
from mailtier.sender.scheduling import standing, waits


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LaneDisplay:
    """Why messages of an organization do not go.

    Attributes:
        held: Why all of them wait; None where they do not.
        by_category: Why those of a category wait, where all do not.
        brief: What they wait for that is over soon, or lets some of them go all the while; None for nothing.
    """

    held: waits.Wait | None = None
    by_category: Mapping[vocabulary.Category, waits.Wait] = dataclasses.field(default_factory=dict)
    brief: waits.Wait | None = None

    def hold_of(self, category: vocabulary.Category | None) -> waits.Wait | None:
        """Return why messages of a category are held, or all of them; None where they are not."""
        if self.held is not None or category is None:
            return self.held
        return self.by_category.get(category)

    def wait_of(self, category: vocabulary.Category) -> waits.Wait | None:
        """Return what messages of a category wait for, held or not; None for nothing."""
        return self.hold_of(category) or self.brief


NOTHING: Final = LaneDisplay()


def encode(shown: LaneDisplay) -> str:
    """Return what is shown as JSON, the same for the same."""
    document: dict[str, Any] = {}
    if shown.held is not None:
        document["held"] = _to_pair(shown.held)
    if shown.by_category:
        document["categories"] = {category.value: _to_pair(held) for category, held in shown.by_category.items()}
    if shown.brief is not None:
        document["brief"] = _to_pair(shown.brief)
    return json.dumps(document, sort_keys=True)


def decode(text: str) -> LaneDisplay:
    """Return what is shown."""
    document: dict[str, Any] = json.loads(text)
    held, brief = document.get("held"), document.get("brief")
    return LaneDisplay(
        held=None if held is None else _to_wait(held),
        by_category={
            vocabulary.Category(category): _to_wait(pair) for category, pair in document.get("categories", {}).items()
        },
        brief=None if brief is None else _to_wait(brief),
    )


def encode_released(released: standing.Released) -> dict[str, Any]:
    """Return what came of letting messages go, as a document."""
    held = None if released.held is None else _to_pair(released.held)
    return {
        "waiting": released.is_waiting,
        "held": held,
        "triesLogin": released.tries_login,
        "hastened": released.hastened,
    }


def decode_released(document: Mapping[str, Any]) -> standing.Released:
    """Return what came of letting messages go; another version may have told less of it."""
    held = document.get("held")
    return standing.Released(
        is_waiting=document["waiting"],
        held=None if held is None else _to_wait(held),
        tries_login=document.get("triesLogin", False),
        hastened=document.get("hastened", 0),
    )


def _to_pair(wait: waits.Wait) -> tuple[str, str]:
    return wait.reason.value, wait.message


def _to_wait(pair: tuple[str, str]) -> waits.Wait:
    """Return what is shown of a wait: not until when, which would be written anew with each look at its cause."""
    reason, message = pair
    return waits.Wait(reason=reasons.DeliveryReason(reason), message=message, ends_with=waits.WaitEnd.EVENT)
