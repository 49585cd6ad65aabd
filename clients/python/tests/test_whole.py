"""Nothing of the contract is missing from the client, and nothing of the one client from the other."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any, get_type_hints

import pytest

from comet_task_runner import AsyncRunner, Runner, _contract, messages

# The method for each call, and the arguments that it cannot do without.
METHODS: dict[str, tuple[str, tuple[str, ...]]] = {
    "Execute": ("execute", ("http://x/",)),
    "GetStatus": ("status", ("t",)),
    "Callback": ("report", ("t", "DONE")),
    "WatchJob": ("watch", ("t",)),
    "ListJobs": ("list_jobs", ()),
    "WatchJobs": ("watch_jobs", ()),
    "GetRunner": ("runner", ()),
    "CancelJob": ("cancel", ("t",)),
    "ListProfiles": ("profiles", ()),
    "RemoveProfile": ("remove_profile", ("p",)),
    "CaptureScreenshot": ("screenshot", ("t",)),
    "ListWindows": ("windows", ()),
    "FocusWindow": ("focus", ("t",)),
    "TileWindows": ("tile", ()),
    "ReadFile": ("read_file", ("t", "f")),
    "ReadLog": ("read_log", ("t",)),
}

# What a method takes otherwise than by a name of its own.
OTHERWISE = {
    "Execute": {"url": "request"},
    "ListJobs": {"page_token": "self"},
    "ListProfiles": {"page_token": "self"},
}


class Stop(Exception):
    """A call has come this far."""


def test_each_call_of_the_contract_has_a_method() -> None:
    assert METHODS.keys() == {method.name for method in _contract.SERVICE.methods}


@pytest.mark.parametrize("rpc", METHODS)
def test_a_method_makes_its_call(rpc: str, monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[str] = []

    def stop(rpc: str, *_: object) -> None:
        called.append(rpc)
        raise Stop

    async def stop_awaited(rpc: str, *_: object) -> None:
        stop(rpc)

    async def use(answer: Any) -> None:
        if inspect.isawaitable(answer):
            await answer
        else:
            async for _ in answer:
                pass

    name, arguments = METHODS[rpc]
    runner, awaited = Runner("http://127.0.0.1:1", "x"), AsyncRunner("http://127.0.0.1:1", "x")
    for connection, stand_in in ((runner._connection, stop), (awaited._connection, stop_awaited)):
        monkeypatch.setattr(connection, "call", stand_in)
        monkeypatch.setattr(connection, "open", stand_in)
    with pytest.raises(Stop):
        list(getattr(runner, name)(*arguments))
    with pytest.raises(Stop):
        asyncio.run(use(getattr(awaited, name)(*arguments)))
    assert called == [rpc, rpc]


@pytest.mark.parametrize("rpc", METHODS)
def test_each_field_of_a_request_can_be_given(rpc: str) -> None:
    taken = parameters(getattr(Runner, METHODS[rpc][0]))
    fields = {field.name for field in _contract.SERVICE.methods_by_name[rpc].input_type.fields}
    if "filter" in fields:
        fields |= {
            field.name for field in _contract._read().FindMessageTypeByName(_contract.PACKAGE + "JobFilter").fields
        }
        fields.remove("filter")
    assert {OTHERWISE.get(rpc, {}).get(field, field) for field in fields} <= taken


def parameters(method: Callable[..., Any]) -> set[str]:
    options = {
        "ExecuteOptions": messages.ExecuteOptions.__annotations__,
        "JobFilterOptions": messages.JobFilterOptions.__annotations__,
    }
    taken: set[str] = set()
    for name, parameter in inspect.signature(method).parameters.items():
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            taken |= options[str(parameter.annotation).removeprefix("Unpack[").removesuffix("]")].keys()
        else:
            taken.add(name)
    return taken


def test_both_clients_take_the_same() -> None:
    names = [name for name in vars(Runner) if not name.startswith("_")]
    assert names == [name for name in vars(AsyncRunner) if not name.startswith("_")]
    for name in names:
        assert parameters(getattr(Runner, name)) == parameters(getattr(AsyncRunner, name))
        assert not inspect.iscoroutinefunction(getattr(Runner, name))


def test_every_message_and_word_of_the_contract_can_be_read() -> None:
    pool = _contract._read()
    for message in pool.FindFileByName("comet/taskrunner/v1/task_runner.proto").message_types_by_name.values():
        check(message)


def check(message: Any) -> None:
    if message.GetOptions().map_entry:
        return
    made = _contract._python_class(message)
    assert [field.name for field in message.fields] == list(get_type_hints(made, vars(messages), made.__dict__))
    for enum in message.enum_types:
        assert [str(word) or "UNSPECIFIED" for word in _contract._words(enum).values()] == [
            "UNSPECIFIED" if value.number == 0 else value.name for value in enum.values
        ]
    for nested in message.nested_types:
        check(nested)
