"""Temporal's UI and the codec server of one machine: who is told where the other is, and what a person is told."""

import base64

import pytest

from orders.local.codec import codec_endpoint, decrypted_where, ui_origin
from orders.settings import Settings

KEYS = f"one:{base64.b64encode(bytes(32)).decode()}"
API = "http://127.0.0.1:8000"
UI = "http://127.0.0.1:8233"


def settings(**values: object) -> Settings:
    return Settings(_env_file=None, **values)  # type: ignore[arg-type] # As the environment has them.


@pytest.mark.parametrize(
    ("values", "endpoint"),
    [
        ({}, None),
        ({"temporal_codec_keys": KEYS}, f"{API}/codec"),
        ({"temporal_codec_keys": KEYS, "api_port": 9000}, f"{API}/codec"),
        ({"temporal_codec_keys": KEYS, "api_port": 0}, None),
    ],
)
def test_the_ui_is_told_of_the_api_where_payloads_are_encrypted(
    values: dict[str, object], endpoint: str | None
) -> None:
    assert codec_endpoint(settings(**values), API) == endpoint


def test_the_api_answers_the_local_ui_unless_a_person_has_said_whose_pages() -> None:
    assert ui_origin(settings(temporal_codec_keys=KEYS), UI) == {"API_CODEC_UI_ORIGIN": UI}
    assert ui_origin(settings(temporal_codec_keys=KEYS), None) == {}
    assert ui_origin(settings(), UI) == {}, "there is nothing to decrypt"
    own = settings(temporal_codec_keys=KEYS, api_codec_ui_origin="https://temporal.example")
    assert ui_origin(own, UI) == {}


def test_a_person_is_told_by_whom_the_ui_shows_payloads_and_what_to_do_where_it_does_not() -> None:
    ours, other = f"{API}/codec", "http://127.0.0.1:9000/codec"
    assert decrypted_where(None, ours) is None
    assert decrypted_where(ours, ours) == f"shows payloads decrypted by {ours}"
    for told in (None, other):
        said = decrypted_where(ours, told) or ""
        assert f"choose Codec Server on its pages, and give it {ours}" in said
        assert told is None or told in said
