"""The stream of all orders, fuzzed: schemathesis draws requests from the document, and holds what answers to it.

Its own run (`test_fuzz`) leaves this operation out, as a stream does not end. Here each is left after its first bytes.
"""

from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    status_code_conformance,
)

from orders.web.contract import document
from tests.helpers.system.api_room import ApiRoom

OPERATION = schemathesis.openapi.from_dict(document())["/events"]["GET"]
CHECKS: list[Any] = [
    not_a_server_error,
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    status_code_conformance,
]
ANSWER_SECONDS = 60
DRAWN = settings(
    max_examples=30, deadline=None, database=None, phases=(Phase.generate,), suppress_health_check=list(HealthCheck)
)


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=lambda mode: mode.value)
def test_the_stream_of_all_orders_answers_as_it_is_documented(api: ApiRoom, mode: GenerationMode) -> None:
    statuses = set()

    @seed(1)
    @DRAWN
    @given(case=OPERATION.as_strategy(generation_mode=mode))
    def answers_as_documented(case: Any) -> None:
        sent = case.as_transport_kwargs(base_url=str(api.http.base_url).rstrip("/"))
        with requests.request(**sent, stream=True, timeout=ANSWER_SECONDS) as answer:
            # What has come first, as if it were all.
            answer._content = next(answer.iter_content(None), b"")
            statuses.add(answer.status_code)
            case.validate_response(answer, checks=CHECKS)

    answers_as_documented()
    assert statuses & ({200} if mode is GenerationMode.POSITIVE else {422}), "else nothing was tried"
