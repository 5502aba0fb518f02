"""What the profiles say of the samples that py-spy and perf have written."""

from benchmarks.profiles.stacks import (
    OTHER,
    TEMPORAL_GROUPS,
    call_of_temporal,
    from_perf,
    from_py_spy,
    function_of_ours,
    group_of_go,
    package_of,
    table,
)

OF_PY_SPY = """\
<module> (orders:8);run (asyncio/runners.py:118);publish_events (activities/orders.py:120);dumps (pydantic/main.py:7) 30
<module> (orders:8);run (asyncio/runners.py:118);publish_events (activities/orders.py:121);send (aiokafka/a.py:1) 10
<module> (orders:8);run (asyncio/runners.py:118) 60
"""

OF_PERF = """\
temporal
\t  4a1f20 modernc.org/sqlite/lib.Xsqlite3_step (/bin/temporal)
\t  4a1f21 go.temporal.io/server/common/persistence/sql.(*store).Update (/bin/temporal)
\t  4a1f22 go.temporal.io/server/service/history.(*Handler).RespondWorkflowTaskCompleted (/bin/temporal)

temporal
\t  4a1f30 runtime.memmove (/bin/temporal)
\t  4a1f31 google.golang.org/grpc.(*Server).handleStream (/bin/temporal)

temporal
\t  4a1f40 runtime.futex.abi0 (/bin/temporal)
\t  4a1f41 runtime.schedule (/bin/temporal)
"""


def test_a_python_sample_belongs_to_its_innermost_package_and_counts_for_all_that_it_is_in() -> None:
    samples = from_py_spy(OF_PY_SPY)
    assert samples.total == 100
    assert samples.by_itself(package_of) == [("asyncio", 0.6), ("pydantic", 0.3), ("aiokafka", 0.1)]
    assert dict(samples.with_what_it_calls(package_of))["activities"] == 0.4
    assert samples.with_what_it_calls(function_of_ours) == [("publish_events (activities/orders.py)", 0.4)]


def test_a_package_is_known_wherever_it_is_installed() -> None:
    assert package_of("run (/home/me/lib/python3.11/site-packages/sqlalchemy/engine/base.py:5)") == "sqlalchemy"
    assert package_of("loads (json.py:3)") == "json"
    assert package_of("_start") is None


def test_a_sample_of_go_belongs_to_the_innermost_part_that_is_no_runtime() -> None:
    samples = from_perf(OF_PERF)
    assert samples.total == 3
    shares = dict(samples.by_itself(group_of_go(TEMPORAL_GROUPS)))
    assert set(shares) == {"SQLite, in Go", "gRPC", OTHER}
    assert [name for name, _ in samples.with_what_it_calls(call_of_temporal)] == [
        "history: RespondWorkflowTaskCompleted"
    ]


def test_a_table_leaves_out_what_is_hardly_there() -> None:
    assert table("what", [("much", 0.8), ("little", 0.195), ("hardly", 0.005)], most=5) == [
        "| what | share |",
        "|---|---|",
        "| much | 80% |",
        "| little | 20% |",
        "",
    ]
