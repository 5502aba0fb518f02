"""Dead letters at the console: found, read, sent again after a dry run."""

import json
import secrets

from playwright.async_api import Page, expect

from bridge import Record, Refusal
from bridge.dead_letters.headers import make_dead_letter
from bridge.refusal import RefusalCode, Stage
from schemas.event_types import EventType
from tests.helpers.browser import Window
from tests.helpers.console.acting import SOON
from tests.helpers.console.letters import set_aside
from tests.helpers.console.running import Console
from tests.helpers.messages.kafka_io import Outgoing


async def open_letters(window: Window, console: Console, order_id: str) -> Page:
    await window.page.goto(console.page(f"/dead-letters?order={order_id}"))
    return window.page


async def test_a_dead_letter_is_found_read_and_never_obeyed(ada: Window, console: Console) -> None:
    order_id = f"o-{secrets.token_hex(4)}"
    await set_aside(
        console,
        f'{{"order_id": "{order_id}", "p": "<script>document.title=1</script>\N{RIGHT-TO-LEFT OVERRIDE}'.encode(),
    )
    page = await open_letters(ada, console, order_id)
    await expect(page.locator("tbody tr")).to_have_count(1)
    await page.locator("tbody tr").get_by_role("link").click()
    await expect(page.get_by_role("heading", level=1)).to_contain_text("Dead letter")
    await expect(page.locator("pre.value")).to_contain_text("<script>document.title=1</script>")
    await expect(page.locator("pre.value")).to_contain_text("\\u202e")
    assert "Dead letter" in await page.title()


async def set_aside_by_an_earlier_version(console: Console, order_id: str) -> None:
    """An approval that is good, and that a bridge once could not read: its dead letter, as that bridge wrote it."""
    topic = console.system.topic_of(EventType.ORDER_APPROVED)
    record = Record(topic, 0, 10_000, 1_764_104_645_000, order_id.encode(), json.dumps({"order_id": order_id}).encode())
    refusal = Refusal(
        Stage.SCHEMA, RefusalCode.DECODER_FAILED, "the bridge failed to read the record: a mistake of the bridge"
    )
    letter = make_dead_letter(record, refusal)
    await console.system.produce(
        [Outgoing(console.system.dead_letters_topic, letter.value, key=letter.key, headers=letter.headers)]
    )


async def test_a_record_that_is_good_now_is_applied_by_its_replay(ada: Window, console: Console) -> None:
    order_id = await console.place()
    await set_aside_by_an_earlier_version(console, order_id)
    page = await open_letters(ada, console, order_id)
    await page.get_by_role("checkbox", name="Select all shown").check()
    await page.get_by_role("button", name="Dry run of 1 selected").click()
    main = page.locator("main")
    await expect(main).to_contain_text("0 records would be replayed, 1 would not.")
    await expect(main).to_contain_text("cannot be proved")
    await page.get_by_role("button", name="Trust 1 record, and look again").click()
    await expect(main).to_contain_text("Nothing was done. 1 record would be replayed.")
    await expect(main).to_contain_text("The approval would be applied.")
    await expect(main).to_contain_text("VALIDATED")
    assert await console.state(order_id) == "VALIDATED", "a dry run did something"

    await page.get_by_role("button", name="Replay 1 record").click()
    await expect(page.locator("#replay")).to_contain_text("Applied.", timeout=2 * SOON)
    await console.wait_until_state(order_id, "COMPLETED")

    await open_letters(ada, console, order_id)
    await page.get_by_role("checkbox", name="Select all shown").check()
    await page.get_by_role("button", name="Dry run of 1 selected").click()
    await page.get_by_role("button", name="Trust 1 record, and look again").click()
    await expect(page.locator("main")).to_contain_text("Nothing: this very event was decided before.")


async def test_a_record_that_is_still_wrong_would_be_set_aside_again(ada: Window, console: Console) -> None:
    order_id = f"o-{secrets.token_hex(4)}"
    body = json.dumps({"order_id": order_id, "payment_id": "p"}).encode()
    await set_aside(console, body, key=b"another-order")
    before = len(await console.system.dead_letters())
    page = await open_letters(ada, console, order_id)
    await page.get_by_role("checkbox", name="Select all shown").check()
    await page.get_by_role("button", name="Dry run of 1 selected").click()
    await expect(page.locator("main")).to_contain_text("It would be set aside again (key_mismatch)")
    await page.get_by_role("link", name="Do nothing").click()
    assert len(await console.system.dead_letters()) == before


async def test_a_replay_says_what_came_of_each_record(ada: Window, console: Console) -> None:
    order_id = f"o-{secrets.token_hex(4)}"
    await set_aside(console, f'{{"order_id": "{order_id}", "payment_id": '.encode())
    page = await open_letters(ada, console, order_id)
    await page.get_by_role("row").filter(has_text="json_truncated").get_by_role("link").click()
    await page.get_by_role("button", name="Dry run of its replay").click()
    await page.get_by_role("button", name="Replay 1 record").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Replay")
    shown = page.locator("#replay")
    await expect(shown).to_contain_text("1 record sent again.", timeout=SOON)
    await expect(shown).to_contain_text("It was set aside again, at", timeout=2 * SOON)
    await expect(shown).to_contain_text("By development.")


async def test_without_a_selection_nothing_is_done(ada: Window, console: Console) -> None:
    order_id = f"o-{secrets.token_hex(4)}"
    await set_aside(console, f'{{"order_id": "{order_id}"'.encode())
    page = await open_letters(ada, console, order_id)
    await page.get_by_role("button", name="Dry run of selected").click()
    await expect(page.locator("#link")).to_contain_text("is selected")
