"""The codec server: an encrypted history, read by Temporal's own command line and as the pages of Temporal's UI ask."""

import asyncio
import base64
import json
import secrets
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from google.protobuf import json_format
from temporalio.api.common.v1 import Payload, Payloads

from orders.clients.payload_codec import PLACE_FIELD
from stack.endpoints import Endpoints
from stack.progress import ProgressBoard
from stack.service import Start
from stack.temporal_cli import ensure_temporal
from tests.helpers.servers.openid_server import OpenIdServer, openid_server
from tests.helpers.system.api_room import ApiRoom, new_order_id, open_api, problem_of
from tests.helpers.system.command_line import run_in_process
from tests.helpers.system.encrypted import encrypted_run, new_keys
from tests.helpers.system.system import OrderSystem
from tests.helpers.system.waiting import patient_timeout
from workflows.converter import ENCRYPTED

CANARY = "canary of 7d21"
KEYS = new_keys()
UI = "http://127.0.0.1:8233"
CLI_SECONDS = 60.0


@dataclass(slots=True)
class Room:
    """An API with keys, its OpenID provider, a viewer's API key, and a workflow whose input is encrypted."""

    api: ApiRoom
    provider: OpenIdServer
    endpoints: Endpoints
    viewer: str
    workflow_id: str
    payload: Payload

    @property
    def namespace(self) -> str:
        """The system's own."""
        return self.api.system.settings["TEMPORAL_NAMESPACE"]

    async def decode(self, *payloads: Payload, **headers: str) -> httpx.Response:
        """Asks as the UI does, with the viewer's key."""
        return await decode(self.api.http, *payloads, Authorization=f"Bearer {self.viewer}", **headers)


@pytest.fixture(scope="module")
async def room(system: OrderSystem, endpoints: Endpoints) -> AsyncIterator[Room]:
    made = await run_in_process(
        ["api-keys", "create", f"codec {secrets.token_hex(6)}", "--role", "viewer"], system.settings
    )
    assert made.returncode == 0, made.stderr
    settings = {"TEMPORAL_CODEC_KEYS": KEYS, "API_CODEC_UI_ORIGIN": UI, "API_IDENTITY": "required"}
    namespace = system.settings["TEMPORAL_NAMESPACE"]
    async with (
        openid_server() as provider,
        encrypted_run(endpoints.temporal_host, namespace, KEYS, new_order_id(), CANARY) as run,
        open_api(system, **settings, **{name.upper(): str(value) for name, value in provider.settings.items()}) as api,
    ):
        yield Room(api, provider, endpoints, made.stdout.strip(), run.workflow_id, run.payload)


async def decode(http: httpx.AsyncClient, *payloads: Payload, **headers: str) -> httpx.Response:
    """Asks as the UI does."""
    sent = {"Content-Type": "application/json", **{name.replace("_", "-"): value for name, value in headers.items()}}
    return await http.post(
        "/codec/decode", content=json_format.MessageToJson(Payloads(payloads=payloads)), headers=sent
    )


def decoded(answer: httpx.Response) -> list[Payload]:
    assert answer.status_code == 200, answer.text
    return list(json_format.Parse(answer.text, Payloads()).payloads)


async def temporal(room: Room, *arguments: str) -> str:
    """What Temporal's command line says."""
    with ProgressBoard(lambda _: None) as board:
        program: Path = await asyncio.to_thread(ensure_temporal, Start(board, threading.Event()))
    process = await asyncio.create_subprocess_exec(
        program, *arguments, "--address", room.endpoints.temporal_host, "--namespace", room.namespace,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    async with patient_timeout(CLI_SECONDS):
        said, _ = await process.communicate()
    return said.decode()


async def test_temporal_s_command_line_shows_an_encrypted_input_by_the_codec_server_only(room: Room) -> None:
    show = ("workflow", "show", "-w", room.workflow_id, "--output", "json")
    without = await temporal(room, *show)
    assert base64.b64encode(ENCRYPTED.encode()).decode() in without
    endpoint = ("--codec-endpoint", f"{room.api.http.base_url}/codec")
    by_key = await temporal(room, *show, *endpoint, "--codec-auth", f"Bearer {room.viewer}")
    assert base64.b64encode(json.dumps(CANARY).encode()).decode() in by_key or CANARY in by_key
    by_nobody = await temporal(room, *show, *endpoint)
    assert CANARY not in by_nobody
    assert base64.b64encode(json.dumps(CANARY).encode()).decode() not in by_nobody


async def test_what_is_decrypted_says_which_workflow_it_was_made_for(room: Room) -> None:
    one, plain = decoded(await room.decode(room.payload, Payload(data=b"1"), X_Namespace=room.namespace))
    assert json.loads(one.data) == CANARY
    assert one.metadata[PLACE_FIELD] == f"{room.namespace}/{room.workflow_id}".encode()
    assert plain.data == b"1"


async def test_what_was_changed_or_moved_under_another_name_stays_as_it_came(room: Room) -> None:
    changed, renamed, elsewhere = Payload(), Payload(), Payload()
    for one in (changed, renamed, elsewhere):
        one.CopyFrom(room.payload)
    changed.data = changed.data[:-1] + bytes([changed.data[-1] ^ 1])
    renamed.metadata[PLACE_FIELD] = f"{room.namespace}/order:another".encode()
    elsewhere.metadata[PLACE_FIELD] = b"other/order:another"
    assert decoded(await room.decode(changed, renamed, elsewhere, room.payload))[:3] == [changed, renamed, elsewhere]


async def test_another_namespace_is_refused(room: Room) -> None:
    problem_of(await room.decode(room.payload, X_Namespace="other"), 422, "request_invalid")


async def test_nobody_reads_without_showing_who_he_is(room: Room) -> None:
    refused = await decode(room.api.http, room.payload, Origin=UI)
    problem_of(refused, 401, "not_signed_in")
    assert refused.headers["access-control-allow-origin"] == UI, "else the page hears of no reason"


async def test_a_token_that_the_ui_passes_on_is_read_for_and_one_without_a_role_is_not(room: Room) -> None:
    """In the UI: "Pass the user access token"; beside it comes an ID token, which is not looked at."""
    sent = {"Origin": UI, "Authorization_Extras": "an.id.token"}
    viewer = await room.provider.access_token("job-viewer")
    (shown,) = decoded(await decode(room.api.http, room.payload, Authorization=f"Bearer {viewer}", **sent))
    assert json.loads(shown.data) == CANARY
    nobody = await room.provider.access_token("job-nobody")
    refused = await decode(room.api.http, room.payload, Authorization=f"Bearer {nobody}", **sent)
    problem_of(refused, 403, "not_allowed")
    for wrong in ("", "Bearer", f"Bearer {viewer[:-2]}", "Bearer undefined"):
        # The UI sends the last one where nobody is signed in to it.
        problem_of(await decode(room.api.http, room.payload, Authorization=wrong, **sent), 401, "not_signed_in")


async def test_who_is_signed_in_to_the_console_reads_in_the_ui_of_the_same_site_only(room: Room) -> None:
    """In the UI: "Include cross-origin credentials"; what is between the two is for the browser to say."""
    async with httpx.AsyncClient(base_url=room.api.http.base_url, timeout=60) as browser:
        form = {"api_key": room.viewer, "next": "/console/"}
        signed_in = await browser.post("/console/sign-in", data=form, headers={"Sec-Fetch-Site": "same-origin"})
        assert signed_in.status_code == 303, signed_in.text
        assert "samesite=lax" in signed_in.headers["set-cookie"].lower(), "a browser sends it to the same site only"
        answer = await decode(browser, room.payload, Origin=UI, Sec_Fetch_Site="same-site")
        (shown,) = decoded(answer)
        assert json.loads(shown.data) == CANARY
        assert answer.headers["access-control-allow-credentials"] == "true"
        for origin in ("https://evil.example", "null", UI.replace("8233", "8234")):
            refused = await decode(browser, room.payload, Origin=origin, Sec_Fetch_Site="cross-site")
            problem_of(refused, 403, "cross_site_request")
            assert "access-control-allow-origin" not in refused.headers
        # Signed out in the console is signed out here.
        await browser.post("/console/sign-out", headers={"Sec-Fetch-Site": "same-origin"})
        problem_of(await decode(browser, room.payload, Origin=UI, Sec_Fetch_Site="same-site"), 401, "not_signed_in")


async def test_nothing_is_encrypted_for_anybody(room: Room) -> None:
    headers = {"Authorization": f"Bearer {room.viewer}"}
    problem = problem_of(
        await room.api.http.post("/codec/encode", json={"payloads": []}, headers=headers), 403, "not_allowed"
    )
    assert "orders approve" in problem["what_to_do"]


async def test_pages_of_the_ui_s_origin_may_ask_and_no_others(room: Room) -> None:
    def of(origin: str) -> dict[str, str]:
        return {"Origin": origin, "Access-Control-Request-Method": "POST"}

    async def preflight(origin: str, path: str = "/codec/decode") -> httpx.Headers:
        asked = {**of(origin), "Access-Control-Request-Headers": "authorization,content-type,x-namespace"}
        return (await room.api.http.options(path, headers=asked)).headers

    allowed = await preflight(UI)
    assert allowed["access-control-allow-origin"] == UI
    assert allowed["access-control-allow-credentials"] == "true"
    by_name = UI.replace("127.0.0.1", "localhost")
    assert (await preflight(by_name))["access-control-allow-origin"] == by_name, "what was typed is as good"
    for headers in (await preflight("http://127.0.0.1:9999"), await preflight(UI, "/orders")):
        assert "access-control-allow-origin" not in headers
    answer = await room.decode(room.payload, Origin=UI, Sec_Fetch_Site="same-site")
    assert decoded(answer)
    assert answer.headers["access-control-allow-origin"] == UI
    other = await room.decode(room.payload, Origin="http://127.0.0.1:9999", Sec_Fetch_Site="same-site")
    problem_of(other, 403, "cross_site_request")


BOMB = b'{"payloads":[' + b"{}," * 1_000_000 + b"{}]}"
"""What takes half a minute to read."""


@pytest.mark.parametrize(
    ("body", "code"), [(b"{", 400), (b'{"payloads": 1}', 400), (b" " * 5_000_000, 413), (BOMB, 413)]
)
async def test_what_is_no_payloads_is_said(room: Room, body: bytes, code: int) -> None:
    headers: dict[str, Any] = {"Content-Type": "application/json", "Authorization": f"Bearer {room.viewer}"}
    answer = await room.api.http.post("/codec/decode", content=body, headers=headers)
    assert answer.status_code == code, answer.text


async def test_without_keys_there_is_no_such_address(api: ApiRoom) -> None:
    problem_of(await api.http.post("/codec/decode", json={"payloads": []}), 404, "path_not_found")
