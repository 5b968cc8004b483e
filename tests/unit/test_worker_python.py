"""A task as a Python function: what it is given, what its answer means, how it is found."""

import asyncio
import subprocess
import sys
import textwrap
import threading

import pytest

from flowlord.model.errors import InvalidConfig
from flowlord.model.task import Result, Task
from flowlord.worker import Context, Outcome, TryAgain, task
from flowlord.worker import Result as public
from flowlord.worker.app import MARK
from flowlord.worker.handler import Why
from flowlord.worker.python import Function
from flowlord.worker.resolve import handlers, load_app
from support.workers import SECOND, run_of

TASK = Task(
    type="load", job="daily", info="s3://b/f?day=2026-01-02&n=a+b&n=c#x", id="7", meta="a=1&a=2&b=x%26y"
)


def ran(function, task=TASK):
    return Function(function).run(run_of(task))


def test_a_function_is_given_the_task():
    given = []
    ran(given.append)
    [context] = given
    assert (context.type, context.job, context.info, context.id) == ("load", "daily", TASK.info, "7")
    assert context.meta == {"a": "1", "b": "x&y"}
    assert context.params == {"day": "2026-01-02", "n": "a b"}
    assert (context.key, context.deliveries, context.deadline) == ("key", 1, None)
    assert not context.cancelled.is_set()


def test_a_function_sees_that_it_was_cancelled_whether_it_asked_before_or_asks_afterwards():
    early, late = Context(TASK), Context(TASK)
    event = early.cancelled
    early.cancel()
    late.cancel()
    assert event.is_set()
    assert early.cancelled is event
    assert late.cancelled.is_set()


def test_what_a_function_returns_is_the_result():
    assert ran(lambda context: None).result is Result.COMPLETE
    assert ran(lambda context: "5 rows").msg == "5 rows"
    assert ran(lambda context: Result.WARN).result is Result.WARN
    found = ran(lambda context: Outcome("alert", "look", {"rows": 5, "files": ["a", "b"]}))
    assert (found.result, found.msg, found.meta) == (
        Result.ALERT,
        "look",
        {"rows": ["5"], "files": ["a", "b"]},
    )


def test_a_message_that_reads_like_a_result_is_a_message():
    found = ran(lambda context: "error")
    assert (found.result, found.msg) == (Result.COMPLETE, "error")


def test_meta_is_added_on_the_way_and_kept_when_the_function_fails_not():
    def add(context):
        context.add_meta(rows=5, note="half \ud800")
        context.add_meta({"file-name": "x"}, rows=6)
        return Outcome(meta={"note": "late"})

    assert ran(add).meta == {"rows": ["6"], "note": ["late"], "file-name": ["x"]}


@pytest.mark.parametrize("answer", [5, {"a": 1}, ("warn", "x"), True])
def test_another_answer_is_an_error_that_says_so(answer):
    found = ran(lambda context: answer)
    assert found.result is Result.ERROR
    assert type(answer).__name__ in found.msg


@pytest.mark.parametrize("answer", [Outcome("great"), Outcome("")])
def test_an_outcome_with_an_unknown_result_is_an_error(answer):
    assert ran(lambda context: answer).result is Result.ERROR


def test_an_exception_is_an_error_with_its_text_and_the_traceback_as_output():
    def fails(context):
        raise ValueError("no such\ncolumn")

    found = ran(fails)
    assert (found.result, found.msg) == (Result.ERROR, r"no such\ncolumn")
    assert "in fails" in found.output
    assert "ValueError: no such" in found.output


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit(), KeyError()])
def test_whatever_is_raised_ends_only_the_task(error):
    def fails(context):
        raise error

    found = ran(fails)
    assert (found.result, found.msg) == (Result.ERROR, repr(error))


def test_try_again_is_no_result():
    def early(context):
        raise TryAgain("not there yet")

    found = ran(early)
    assert (found.again, found.msg) == (True, "not there yet")


def test_a_coroutine_is_awaited():
    async def load(context):
        await asyncio.gather(asyncio.to_thread(lambda: None))
        return f"{context.type} done"

    assert ran(load).msg == "load done"


@pytest.mark.parametrize("why", [Why.TIMEOUT, Why.LOST, Why.SHUTDOWN])
def test_a_coroutine_is_cancelled_when_it_must_end(why):
    began, seen = threading.Event(), []

    async def load(context):
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            seen.append(context.cancelled.is_set())

    run, found = run_of(TASK, timeout_ns=2 * SECOND), []
    thread = threading.Thread(target=lambda: found.append(Function(load).run(run)))
    thread.start()
    began.wait(40)
    run.stop.set(why)
    thread.join(40)
    assert seen == [True]
    if why is Why.TIMEOUT:
        assert (found[0].result, found[0].msg) == (Result.ERROR, "ran longer than its timeout of 2s")
    else:
        assert found[0].stopped is why


def test_what_a_function_returns_after_it_was_told_to_end_does_not_count():
    def load(context):
        assert context.deadline is not None
        context.cancelled.wait(40)
        return "all is well"

    run, found = run_of(TASK, timeout_ns=SECOND), []
    thread = threading.Thread(target=lambda: found.append(Function(load).run(run)))
    thread.start()
    run.stop.set(Why.TIMEOUT)
    thread.join(40)
    assert (found[0].result, found[0].msg) == (Result.ERROR, "ran longer than its timeout of 1s")


def test_a_function_logs_with_the_id_of_its_task(caplog):
    caplog.set_level("INFO")
    ran(lambda context: context.log.info("read %d rows", 5))
    [record] = caplog.records
    assert (record.action, record.task, record.getMessage()) == ("load:daily", "7", "read 5 rows")


def test_a_context_can_be_made_by_hand_for_a_test_of_the_function():
    assert Context(TASK).meta["a"] == "1"


def test_marking_leaves_the_function_as_it_is():
    @task("load", "extract:hourly")
    def load(context):
        return "x"

    assert load(None) == "x"
    assert getattr(load, MARK) == ("load", "extract:hourly")


@pytest.mark.parametrize("wrong", [(), ("",), (":job",), (lambda context: None,)])
def test_a_mark_without_a_type_is_refused(wrong):
    with pytest.raises(TypeError, match="say which tasks"):
        task(*wrong)


APP = """
    from flowlord.worker import task

    @task("load")
    def load(context): return "load"

    @task("extract:hourly", "extract:daily")
    async def extract(context): return "extract"

    def plain(context): ...

    class Group:
        @staticmethod
        @task("grouped")
        def grouped(context): return "grouped"
"""


@pytest.fixture
def app(tmp_path, monkeypatch):
    """Writes a package whose name no other test uses, in the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))

    def write(name, text=APP):
        (tmp_path / name).mkdir()
        (tmp_path / name / "tasks.py").write_text(textwrap.dedent(text))
        return f"{name}.tasks"

    return write


def test_an_app_is_found_in_the_current_folder(app):
    assert sorted(load_app(app("app_found"))) == ["extract:daily", "extract:hourly", "load"]


def test_an_attribute_of_an_app_may_be_named(app):
    name = app("app_attribute")
    assert sorted(load_app(f"{name}:load")) == ["load"]
    assert sorted(load_app(f"{name}:Group")) == ["grouped"]


@pytest.mark.parametrize(
    "text,attribute,told",
    [
        ("import no_such_module_here", "", "ModuleNotFoundError: No module named 'no_such_module_here'"),
        ("def broken(:", "", "SyntaxError"),
        ("1 / 0", "", "ZeroDivisionError"),
        ("x = 1", "", "no task function"),
        (APP, ":lode", "has no lode"),
        (APP + "\n    @task('load')\n    def other(context): ...", "", "two functions do 'load'"),
    ],
)
def test_an_app_that_cannot_be_used_is_refused(app, request, text, attribute, told):
    name = f"app_broken_{abs(hash(request.node.name))}"
    with pytest.raises(InvalidConfig, match=told):
        load_app(app(name, text) + attribute)


def test_handlers_come_from_all_flags(app):
    found = handlers(workers=["x=true", "y:daily=builtin:echo"], apps=[app("app_all")])
    assert sorted(found) == ["extract:daily", "extract:hourly", "load", "x", "y:daily"]
    assert sorted(handlers(types=["a", "b"], command="true")) == ["a", "b"]
    assert sorted(handlers(workers=["a, b=true"])) == ["a", "b"]
    assert sorted(handlers(types=["noop", "echo"])) == ["echo", "noop"]
    assert sorted(handlers(types=["extract", "noop"], apps=["app_all.tasks"])) == [
        "extract:daily",
        "extract:hourly",
        "noop",
    ]


@pytest.mark.parametrize(
    "flags,told,hint",
    [
        ({}, "nothing to do", "--worker"),
        ({"types": ["noob"]}, "nothing here does 'noob'", "did you mean 'noop'"),
        ({"command": "true"}, "not said which tasks", "--types"),
        ({"workers": ["true"]}, "no '='", "TYPE=COMMAND"),
        ({"workers": ["=true"]}, "no task type", "one word"),
        ({"workers": ["a b=true"]}, "no task type", "one word"),
        ({"workers": ["a,=true"]}, "no task type", "one word"),
        ({"workers": ["a=true", "a=false"]}, "given twice", "one type"),
        ({"workers": ["a=builtin:noob"]}, "no built-in type", "did you mean 'noop'"),
        ({"workers": ["a=no-such-program-here"]}, "no program", "PATH"),
        ({"apps": ["no_such_app_here"]}, "cannot be imported", "the current folder"),
    ],
)
def test_flags_that_cannot_be_honoured_are_refused(flags, told, hint):
    with pytest.raises(InvalidConfig, match=told) as error:
        handlers(**flags)
    assert hint in error.value.problems[0].hint


def test_the_public_names_need_neither_asyncio_nor_msgspec():
    code = f"import sys; sys.path[:0] = {sys.path!r}; import flowlord.worker; print(*sys.modules)"
    told = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True)
    assert {"asyncio", "msgspec", "subprocess"}.isdisjoint(told.stdout.split())
    assert public is Result
