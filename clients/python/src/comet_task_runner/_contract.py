"""The contract as it is read at run time, and the way between its messages and Python's own types.

The messages live in a pool of their own, so that they are in nobody's way: neither of a program's own code for this
contract, nor of whichever version of protobuf it has.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import resources
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message

from . import messages
from ._word import Word

PACKAGE = "comet.taskrunner.v1."
TIMESTAMP = "google.protobuf.Timestamp"
DURATION = "google.protobuf.Duration"


def _read() -> descriptor_pool.DescriptorPool:
    pool = descriptor_pool.DescriptorPool()
    made = resources.files(__package__).joinpath("contract.binpb").read_bytes()
    for file in descriptor_pb2.FileDescriptorSet.FromString(made).file:
        pool.AddSerializedFile(file.SerializeToString())
    return pool


SERVICE = _read().FindServiceByName(PACKAGE + "TaskRunner")


def path(rpc: str) -> str:
    """Where a call goes."""
    return f"/{SERVICE.full_name}/{rpc}"


@cache
def response_class(rpc: str) -> type[Message]:
    """What a call is answered with."""
    return message_factory.GetMessageClass(SERVICE.methods_by_name[rpc].output_type)


def request(rpc: str, fields: Mapping[str, Any]) -> Message:
    """What a call asks, from what its caller gave. None is as if it was not given."""
    message = message_factory.GetMessageClass(SERVICE.methods_by_name[rpc].input_type)()
    _fill(message, fields)
    return message


def serialized(message: Message) -> bytes:
    """A request as it is sent."""
    return message.SerializeToString()


def python(message: Any) -> Any:
    """A message of the contract as Python's own type."""
    made, readers = _plan(message.DESCRIPTOR)
    return made(**{name: read(message) for name, read in readers})


def word(message: Any, name: str) -> Any:
    """One field of a message, which holds a word."""
    return dict(_plan(message.DESCRIPTOR)[1])[name](message)


def _python_class(descriptor: Descriptor | EnumDescriptor) -> Any:
    found: Any = messages
    for name in descriptor.full_name.removeprefix(PACKAGE).split("."):
        found = getattr(found, name)
    return found


@cache
def _plan(descriptor: Descriptor) -> tuple[type, tuple[tuple[str, Callable[[Any], Any]], ...]]:
    return _python_class(descriptor), tuple((field.name, _reader(field)) for field in descriptor.fields)


def _reader(field: FieldDescriptor) -> Callable[[Any], Any]:
    name = field.name
    if _is_map(field):
        return lambda message: dict(getattr(message, name))
    convert = _converter(field)
    if field.is_repeated:
        return lambda message: tuple(map(convert, getattr(message, name)))
    if field.has_presence:
        return lambda message: convert(getattr(message, name)) if message.HasField(name) else None
    return lambda message: convert(getattr(message, name))


def _converter(field: FieldDescriptor) -> Callable[[Any], Any]:
    if field.enum_type is not None:
        words = _words(field.enum_type)
        unknown = _python_class(field.enum_type).unknown
        return lambda number: words[number] if number in words else unknown(number)
    if field.message_type is None:
        return lambda value: value
    if field.message_type.full_name == TIMESTAMP:
        return lambda message: message.ToDatetime(tzinfo=UTC)
    if field.message_type.full_name == DURATION:
        return lambda message: message.ToTimedelta()
    return python


@cache
def _words(enum: EnumDescriptor) -> dict[int, Word]:
    word = _python_class(enum)
    return {value.number: word(value.name) if value.number else word.UNSPECIFIED for value in enum.values}


def _is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and bool(field.message_type.GetOptions().map_entry)


def _fill(message: Any, fields: Mapping[str, Any]) -> None:
    known = message.DESCRIPTOR.fields_by_name
    for name, value in fields.items():
        field = known.get(name)
        if field is None:
            raise TypeError(f"{message.DESCRIPTOR.name} has no field {name!r}; it has {', '.join(sorted(known))}")
        if value is None:
            continue
        try:
            _put(message, field, value)
        except (TypeError, ValueError) as error:
            raise type(error)(f"{name}: {error}") from None


def _put(message: Any, field: FieldDescriptor, value: Any) -> None:
    if _is_map(field):
        getattr(message, field.name).update(value)
    elif field.is_repeated:
        if isinstance(value, str):
            raise TypeError(f"wants a list, not the one text {value!r}")
        getattr(message, field.name).extend(_number(field.enum_type, one) if field.enum_type else one for one in value)
    elif field.enum_type is not None:
        setattr(message, field.name, _number(field.enum_type, value))
    elif field.message_type is not None:
        _put_message(getattr(message, field.name), value)
    else:
        try:
            setattr(message, field.name, value)
        except TypeError:
            raise TypeError(f"does not take {value!r}") from None


def _put_message(message: Any, value: Any) -> None:
    # An empty one is set too.
    message.SetInParent()
    name = message.DESCRIPTOR.full_name
    if name == TIMESTAMP:
        if not isinstance(value, datetime):
            raise TypeError(f"wants a datetime, not {value!r}")
        # One without a zone is in local time, as everywhere in Python.
        message.FromDatetime(value.astimezone(UTC))
    elif name == DURATION:
        message.FromTimedelta(value if isinstance(value, timedelta) else timedelta(seconds=value))
    elif dataclasses.is_dataclass(value):
        _fill(message, {field.name: getattr(value, field.name) for field in dataclasses.fields(value)})
    else:
        _fill(message, value)


def _number(enum: EnumDescriptor, word: str) -> int:
    if word == "":
        return 0
    value = enum.values_by_name.get(str(word))
    if value is None:
        words = ", ".join(value.name for value in enum.values if value.number)
        raise ValueError(f"{str(word)!r} is none of {words}")
    return int(value.number)
