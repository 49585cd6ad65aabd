"""Makes what the package holds of the contract, and its blocking half out of its asynchronous one.

Usage: make.py PROTO_ROOT SOURCES INTO

Reads the contract below PROTO_ROOT and `_async_runner.py` in SOURCES. Writes into INTO: `contract.binpb`, the contract
as it is read at run time; `messages.py`, its messages as Python's own types, with its words on each; `_runner.py`.
"""

import re
import sys
from pathlib import Path

import grpc_tools
from google.protobuf import descriptor_pb2
from grpc_tools import protoc

CONTRACT = "comet/taskrunner/v1/task_runner.proto"
PACKAGE = ".comet.taskrunner.v1."

# Places in the descriptors, by which a comment is found: see SourceCodeInfo.Location.
FILE_MESSAGE, MESSAGE_FIELD, MESSAGE_NESTED, MESSAGE_ENUM, ENUM_VALUE = 4, 2, 3, 4, 2

F = descriptor_pb2.FieldDescriptorProto
SCALARS = {
    F.TYPE_STRING: "str",
    F.TYPE_BYTES: "bytes",
    F.TYPE_BOOL: "bool",
    F.TYPE_DOUBLE: "float",
    F.TYPE_INT32: "int",
    F.TYPE_UINT32: "int",
    F.TYPE_UINT64: "int",
}
KNOWN = {".google.protobuf.Timestamp": "datetime", ".google.protobuf.Duration": "timedelta"}
EMPTY = {"str": '""', "bytes": 'b""', "bool": "False", "float": "0.0", "int": "0"}

# The contract says of each message in a message what its absence means, if it can be absent: by one of these words.
ABSENT = ("Unset", "Default:", " only")

# The requests whose fields callers give as keyword arguments, without those that are arguments of their own.
OPTIONS = {"Timeouts": (), "ExecuteRequest": ("url",), "JobFilter": ()}

# What is called otherwise where nothing is awaited; whole words only.
BLOCKING = {
    "_aio": "_blocking",
    "AsyncIterator": "Iterator",
    "AsyncGenerator": "Generator",
    "AsyncJobList": "JobList",
    "AsyncLog": "Log",
    "AsyncRun": "Run",
    "AsyncRunner": "Runner",
    "AsyncWatch": "Watch",
    "AsyncTold": "Told",
    "__aenter__": "__enter__",
    "__aexit__": "__exit__",
    "__aiter__": "__iter__",
    "aclosing": "closing",
}


def read_contract(root: Path) -> descriptor_pb2.FileDescriptorSet:
    """The contract and what it imports, with its comments."""
    made = Path(sys.argv[3]) / "with_comments.binpb"
    includes = [f"-I{root}", f"-I{Path(grpc_tools.__file__).parent / '_proto'}"]
    asked = [
        "protoc",
        *includes,
        f"--descriptor_set_out={made}",
        "--include_source_info",
        "--include_imports",
        CONTRACT,
    ]
    if protoc.main(asked) != 0:
        sys.exit(f"{CONTRACT} is not read")
    contract = descriptor_pb2.FileDescriptorSet.FromString(made.read_bytes())
    made.unlink()
    return contract


class Words:
    """The messages of a file, as Python."""

    def __init__(self, file: descriptor_pb2.FileDescriptorProto) -> None:
        self.comments = {tuple(at.path): at.leading_comments for at in file.source_code_info.location}
        self.messages = file.message_type
        self.lines: list[str] = []
        self.enums: dict[str, list[str]] = {}
        self.maps: dict[str, descriptor_pb2.DescriptorProto] = {}

    def write(self) -> str:
        for message in self.messages:
            self.find(message, message.name)
        for at, message in enumerate(self.messages):
            self.message(message, (FILE_MESSAGE, at), message.name, 0)
        for name, values in self.enums.items():
            words = ", ".join(f'"{value}"' for value in values)
            self.put(0, f"{name.replace('.', '')}Word: TypeAlias = {name} | Literal[{words}]")
            self.put(0, f'"""{name}, or its word."""')
        for at, message in enumerate(self.messages):
            if message.name in OPTIONS:
                self.options(message, (FILE_MESSAGE, at))
        return "\n".join(self.lines) + "\n"

    def find(self, message: descriptor_pb2.DescriptorProto, name: str) -> None:
        for enum in message.enum_type:
            self.enums[f"{name}.{enum.name}"] = [value.name for value in enum.value[1:]]
        for nested in message.nested_type:
            if nested.options.map_entry:
                self.maps[f"{PACKAGE}{name}.{nested.name}"] = nested
            else:
                self.find(nested, f"{name}.{nested.name}")

    def put(self, depth: int, line: str) -> None:
        self.lines.append("    " * depth + line if line else "")

    def comment(self, path: tuple[int, ...], depth: int) -> None:
        lines = [line.strip() for line in self.comments.get(path, "").strip().splitlines()]
        text = f'r"""{lines[0]}' if any("\\" in line for line in lines) else f'"""{lines[0]}'
        if len(lines) == 1:
            # A quotation mark before the closing ones would be taken for one of them.
            self.put(depth, text + (' """' if text.endswith('"') else '"""'))
            return
        self.put(depth, text)
        for line in lines[1:]:
            self.put(depth, line)
        self.put(depth, '"""')

    def message(self, message: descriptor_pb2.DescriptorProto, path: tuple[int, ...], name: str, depth: int) -> None:
        self.put(0, "")
        self.put(depth, "@dataclass(frozen=True, slots=True, kw_only=True)")
        self.put(depth, f"class {message.name}:")
        self.comment(path, depth + 1)
        for at, enum in enumerate(message.enum_type):
            enum_path = (*path, MESSAGE_ENUM, at)
            self.put(0, "")
            self.put(depth + 1, f"class {enum.name}(Word):")
            self.comment(enum_path, depth + 2)
            for number, value in enumerate(enum.value):
                self.put(0, "")
                self.put(depth + 2, f'{value.name} = "{value.name}"' if number else 'UNSPECIFIED = ""')
                self.comment((*enum_path, ENUM_VALUE, number), depth + 2)
        for at, nested in enumerate(message.nested_type):
            if not nested.options.map_entry:
                self.message(nested, (*path, MESSAGE_NESTED, at), f"{name}.{nested.name}", depth + 1)
        for at, field in enumerate(message.field):
            field_path = (*path, MESSAGE_FIELD, at)
            kind, default = self.field(field, self.comments.get(field_path, ""))
            # What is asked is the caller's to leave out.
            if message.name in OPTIONS and field.type == F.TYPE_MESSAGE and not default:
                kind, default = f"{kind} | None", "None"
            self.put(0, "")
            self.put(depth + 1, f"{field.name}: {kind}{f' = {default}' if default else ''}")
            self.comment(field_path, depth + 1)

    def field(self, field: F, comment: str) -> tuple[str, str]:
        """The type of a field, and what it is when nothing was given; nothing if it is always given."""
        if field.type_name in self.maps:
            key, value = (self.plain(part) for part in self.maps[field.type_name].field)
            return f"Mapping[{key}, {value}]", "field(default_factory=dict)"
        kind = self.plain(field)
        if field.label == F.LABEL_REPEATED:
            return f"tuple[{kind}, ...]", "()"
        if field.type == F.TYPE_ENUM:
            return kind, ""
        if field.proto3_optional or field.HasField("oneof_index"):
            return f"{kind} | None", "None"
        if field.type == F.TYPE_MESSAGE:
            return (f"{kind} | None", "None") if any(word in comment for word in ABSENT) else (kind, "")
        return kind, EMPTY[kind]

    def plain(self, field: F) -> str:
        if field.type in (F.TYPE_MESSAGE, F.TYPE_ENUM):
            return KNOWN.get(field.type_name) or field.type_name.removeprefix(PACKAGE)
        return SCALARS[field.type]

    def options(self, message: descriptor_pb2.DescriptorProto, path: tuple[int, ...]) -> None:
        self.put(0, "")
        self.put(0, f"class {message.name.removesuffix('Request')}Options(TypedDict, total=False):")
        self.comment(path, 1)
        for at, field in enumerate(message.field):
            if field.name not in OPTIONS[message.name]:
                self.put(0, "")
                self.put(1, f"{field.name}: {self.given(field)}")
                self.comment((*path, MESSAGE_FIELD, at), 1)

    def given(self, field: F) -> str:
        """What callers may give for a field."""
        if field.type_name in self.maps:
            return self.field(field, "")[0]
        kind = self.plain(field)
        if field.type == F.TYPE_ENUM:
            kind = kind.replace(".", "") + "Word"
        elif kind == "timedelta":
            kind = "timedelta | float"
        elif field.type == F.TYPE_MESSAGE and kind in OPTIONS:
            kind = f"{kind} | {kind}Options"
        return f"Sequence[{kind}]" if field.label == F.LABEL_REPEATED else f"{kind} | None"


HEAD = '''"""The messages of the contract as Python's own types. Made by `check.sh --write`; not for editing.

A field that is unset is None. An enum's UNSPECIFIED is the empty word, and so false. Times are in UTC.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, TypeAlias, TypedDict

from ._word import Word
'''

MADE = '"""Made from `_async_runner.py` by `check.sh --write`; not for editing."""\n'


def blocking(source: str) -> str:
    """The same without awaiting anything."""
    source = re.sub(r'^""".*?"""\n', lambda _: MADE, source, count=1, flags=re.DOTALL)
    source = re.sub(r"\basync (def|for|with)\b", r"\1", source)
    source = re.sub(r"\bawait ", "", source)
    words = re.compile(r"\b(" + "|".join(BLOCKING) + r")\b")
    return words.sub(lambda found: BLOCKING[found[0]], source)


def main() -> None:
    root, sources, into = (Path(argument) for argument in sys.argv[1:])
    contract = read_contract(root)
    (into / "messages.py").write_text(HEAD + Words(contract.file[-1]).write())
    for file in contract.file:
        file.ClearField("source_code_info")
    (into / "contract.binpb").write_bytes(contract.SerializeToString(deterministic=True))
    (into / "_runner.py").write_text(blocking((sources / "_async_runner.py").read_text()))


main()
