"""The process `life` waits for its next look, unless there is something new to tell."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from time import monotonic

import pytest

from living import life_of
from workbench.errors import Unavailable
from workbench_hub.life.servers import Hub, Server
from workbench_hub.life.service import Life
from workbench_hub.policy.work import Announcement

NOW = datetime.now(UTC)
ANNA = Server("anna", "", NOW, NOW, "", "", {}, {})


class Counting(Hub):
    """A hub that counts how often it is asked; it may be away."""

    asked = 0
    away = False

    async def servers(self) -> list[Server]:
        self.asked += 1
        if self.away:
            raise Unavailable("The hub", "is away")
        return [ANNA]

    async def tell(self, server: Server, notices: list[dict[str, object]]) -> None:
        self.told = [notice["text"] for notice in notices]


@pytest.fixture
def life(tmp_path):
    lives = life_of(tmp_path, Counting, look_every=timedelta(minutes=10))
    yield lives
    lives.means.usage.close()


def lived(life: Life, *said) -> None:
    """Let it live; say one thing after the other, each once the one before has led to a round."""

    async def live() -> None:
        hub = life.means.hub
        going = asyncio.create_task(life.run())
        for number, say in enumerate((lambda: None, *said), 1):
            say()
            end = monotonic() + 20
            while hub.asked < number:
                assert monotonic() < end, f"{hub.asked} rounds"
                await asyncio.sleep(0.05)
        await asyncio.sleep(2.5)
        going.cancel()
        await hub.close()

    asyncio.run(live())


def test_an_announcement_is_told_at_once_and_nothing_leads_to_a_second_round(life):
    lived(life, lambda: life.means.announcements.add(Announcement(text="Power cut")))
    assert life.means.hub.told == ["Power cut"]
    assert life.means.hub.asked == 2


def test_so_is_a_warning_and_its_end(life):
    board = life.means.board
    lived(life, lambda: board.warn(ANNA, timedelta(hours=1)), lambda: board.keep(ANNA))
    assert life.means.hub.told == []
    assert life.means.hub.asked == 3


def test_a_round_that_fails_is_not_tried_again_at_once(life):
    life.means.announcements.add(Announcement(text="Power cut"))
    life.means.hub.away = True
    lived(life)
    assert life.means.hub.asked == 1
