"""All that each side asks of a queue, whichever backend it is."""

from typing import Protocol

from mailtier.sender import ports
from mailtier.sender.between import displays, filing, queued, requests
from mailtier.sender.secrets import logins
from mailtier.sender.storage import upkeep


class IntakeSide(
    ports.IntakeQueue,
    filing.FilingQueue,
    queued.CountingQueue,
    requests.AskingQueue,
    displays.ShownQueue,
    Protocol,
):
    """What the intake asks."""


class DeliverySide(
    upkeep.UpkeepQueue,
    filing.DroppingQueue,
    requests.AnsweringQueue,
    displays.ShowingQueue,
    logins.Memory,
    Protocol,
):
    """What delivery asks."""
