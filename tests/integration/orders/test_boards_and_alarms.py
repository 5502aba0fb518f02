"""What is in deploy/ for Prometheus and Grafana: read by Prometheus' own tool, and held to the metrics there are."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from orders.processes.metrics_reference import PROCESSES, metrics_of
from tests.helpers.deployed_rules import ALERTS, BOARDS, EXPRESSIONS, PROMETHEUS, RECORDED, ROOT, names_in, panels
from tests.helpers.promtool import promtool
from tests.helpers.system.waiting import patient_seconds

CASES = PROMETHEUS / "tests/alerts_test.yml"
OF_THE_PROCESS = {"process_cpu_seconds_total", "process_resident_memory_bytes", "process_start_time_seconds"}


def run(*arguments: str, cwd: Path = PROMETHEUS) -> str:
    # All cases take promtool 6 s of a core, which a busy machine gives it in minutes.
    seconds = patient_seconds(60)
    command = [str(promtool()), *map(str, arguments)]
    ended = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=seconds, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def known() -> set[str]:
    found = set(RECORDED) | OF_THE_PROCESS
    for one in (one for process in PROCESSES for one in metrics_of(process)):
        found |= (
            {f"{one.name}_{part}" for part in ("bucket", "sum", "count")} if one.kind == "histogram" else {one.name}
        )
    return found


def test_prometheus_takes_the_rules_and_the_configuration() -> None:
    assert f"{len(RECORDED)} rules found" in run("check", "rules", "recording.yml")
    assert f"{len(ALERTS)} rules found" in run("check", "rules", "alerts.yml")
    run("check", "config", "prometheus.yml")


def test_every_alarm_fires_when_it_should_and_only_then() -> None:
    assert "SUCCESS" in run("test", "rules", str(CASES))


@pytest.mark.parametrize("alert", [rule["alert"] for rule in ALERTS])
def test_every_alarm_has_a_case_in_which_it_fires_and_one_in_which_it_is_quiet(alert: str) -> None:
    cases = [case for test in yaml.safe_load(CASES.read_text())["tests"] for case in test["alert_rule_test"]]
    fires = [bool(case["exp_alerts"]) for case in cases if case["alertname"] == alert]
    assert set(fires) == {False, True}


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_every_alarm_says_how_bad_it_is_and_leads_to_a_section(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in {"page", "ticket"}
    page, _, anchor = rule["annotations"]["runbook"].partition("#")
    sections = re.split(r"^#+ (.+)$", (ROOT / page).read_text(), flags=re.MULTILINE)
    of_the_alarm = dict(zip(map(str.lower, sections[1::2]), sections[2::2], strict=True))[anchor]
    assert anchor == rule["alert"].lower()
    told = re.findall(r"^- \*\*(\w+)\*\*", of_the_alarm, re.MULTILINE)
    assert told == ["Means", "Look", "Do", "Over"]
    assert f"**Means** ({rule['labels']['severity']}):" in of_the_alarm


def test_prometheus_understands_every_expression(tmp_path: Path) -> None:
    written = [{"record": f"expression:{number}", "expr": text} for number, (_, text) in enumerate(EXPRESSIONS)]
    named = [{**rule, "record": re.sub(r"\d+", lambda m: "n" * (int(m[0]) + 1), rule["record"])} for rule in written]
    (tmp_path / "all.yml").write_text(yaml.safe_dump({"groups": [{"name": "all", "rules": named}]}))
    assert f"{len(EXPRESSIONS)} rules found" in run("check", "rules", "all.yml", cwd=tmp_path)


@pytest.mark.parametrize(("where", "expression"), EXPRESSIONS, ids=[where for where, _ in EXPRESSIONS])
def test_every_expression_asks_for_metrics_that_there_are(where: str, expression: str) -> None:
    names = names_in(expression)
    assert names, where
    assert names <= known()


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.stem)
def test_a_board_s_panels_have_titles_of_their_own_and_do_not_overlap(board: Path) -> None:
    seen: set[tuple[int, int]] = set()
    titles = [panel["title"] for panel in panels(board)]
    assert len(set(titles)) == len(titles)
    for panel in panels(board):
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & seen
        assert max(x for x, _ in cells) < 24
        seen |= cells


def test_a_metric_that_there_is_not_would_be_found() -> None:
    assert not names_in('sum by (topic) (rate(orders_nothing_total{topic="a"}[5m]))') <= known()
