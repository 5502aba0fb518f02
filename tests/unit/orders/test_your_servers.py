import re
from pathlib import Path

import pytest

from orders.settings import Settings

PAGE = (Path(__file__).parents[3] / "docs" / "your-servers.md").read_text()
WORKED = dict(re.findall(r"^## (.+?)\n(?:(?!^## ).*\n)*?```dotenv\n((?:.*\n)*?)```", PAGE, re.MULTILINE))


def test_each_kind_of_cluster_has_a_worked_file() -> None:
    assert set(WORKED) == {
        "A plain cluster",
        "Kafka by SASL_SSL, with Temporal Cloud",
        "Amazon MSK",
        "Confluent Cloud",
        "Redpanda",
    }


@pytest.mark.parametrize("kind", WORKED)
def test_a_worked_file_is_one_that_the_settings_take(kind: str, tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text(WORKED[kind])
    names = {line.partition("=")[0].lower() for line in WORKED[kind].splitlines()}
    assert names <= set(Settings.model_fields), "every name is a setting"
    assert Settings(_env_file=file).model_fields_set >= names
