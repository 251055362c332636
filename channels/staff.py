"""A word to the people who run it: chat, pager or mail, by any of the services that Apprise knows.

Setting: `STAFF_URLS`, Apprise URLs set apart by spaces or commas; `CARILLON_STAFF_URLS__LUMI` for one
merchant. The URLs hold secrets, so none is ever quoted.
"""

import asyncio

from channels.base import Credentials, DeliveryError, misconfigured


class StaffAlerts:
    """Apprise waits where it works, so each alert has a thread."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials

    async def alert(self, merchant_id: str, title: str, body: str) -> int:
        """Tell everyone who is named, and answer how many that are; none is no error.

        A DeliveryError where one of them could not be told. Not permanent; doubtful, for others were.
        """
        urls = self._credentials.get("STAFF_URLS", merchant_id)
        if not urls.strip():
            return 0
        return await asyncio.to_thread(_tell, urls, title, body)


def _tell(urls: str, title: str, body: str) -> int:
    from apprise import Apprise  # knows a hundred services: a process without alerts needs none

    services = Apprise()
    if not services.add(urls) or not len(services):
        raise misconfigured("STAFF_URLS", "a list of URLs that Apprise knows")
    if not services.notify(title=title, body=body):
        raise DeliveryError(
            "not everyone of the staff could be told", doubtful=len(services) > 1, code="staff"
        )
    return len(services)
