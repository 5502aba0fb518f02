"""How `make test` shares the tests out: what one process had better do alone stays together."""

from pathlib import Path

from tests.helpers.shares import COSTLY_FIXTURES, FOLDERS_BY_WEIGHT, ROOT, share_of


def shares_of(folder: str) -> dict[str, str]:
    return {path.name: share_of(f"{folder}/{path.name}") for path in (ROOT / folder).glob("test_*.py")}


def test_a_file_is_a_share() -> None:
    assert share_of("tests/unit/helpers/test_shares.py") == "tests/unit/helpers/test_shares.py"


def test_the_tests_on_the_two_time_skipping_servers_go_together() -> None:
    assert set(shares_of("tests/workflow").values()) == {"tests/workflow"}


def test_the_files_on_one_running_system_or_on_one_set_of_mortal_servers_go_together() -> None:
    together = shares_of("tests/e2e")
    assert together["test_main_job.py"] == together["test_every_branch.py"]
    assert together["test_main_job.py"] != together["test_up_servers.py"]
    mortal = shares_of("tests/faults")
    assert mortal["test_kafka_faults.py"] == mortal["test_temporal_faults.py"]


def test_the_fixtures_by_which_files_go_together_are_there() -> None:
    for folder, mark in COSTLY_FIXTURES.items():
        assert f"def {mark.partition(':')[0]}(" in (ROOT / folder / "conftest.py").read_text()


def test_every_folder_of_tests_has_its_place_in_the_order() -> None:
    folders = {"/".join(Path(path).relative_to(ROOT).parts[:2]) for path in ROOT.glob("tests/**/test_*.py")}
    assert folders == set(FOLDERS_BY_WEIGHT)
