"""The error tree and the table of refusals: the classes do what the documentation says."""

from __future__ import annotations

import ast
import inspect
import json
import re
import shlex
from pathlib import Path

import pytest

import votenet
from votenet import errors
from votenet.errors import (
    REFUSALS,
    Command,
    ConfigError,
    Kind,
    NextStep,
    PowError,
    Rejected,
    RemoteProtocolError,
    VotenetError,
)

SOURCES = sorted(Path(votenet.__file__).parent.rglob("*.py"))
CLASSES = {
    name: value
    for name, value in vars(errors).items()
    if inspect.isclass(value) and issubclass(value, VotenetError)
}


def documented() -> dict[str, tuple[str | None, str]]:
    """Name to (parent, description) out of the tree in the module's docstring."""
    found: dict[str, tuple[str | None, str]] = {}
    open_branches: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        match = re.fullmatch(r"( {4}(?:[| ]   )*(?:\+-- )?)([A-Z]\w+) +(\S.*)", line)
        if match:
            depth = len(match[1])
            open_branches = [(d, name) for d, name in open_branches if d < depth]
            found[match[2]] = (open_branches[-1][1] if open_branches else None, match[3])
            open_branches.append((depth, match[2]))
    return found


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    tree = {name: parent for name, (parent, _) in documented().items()}
    expected = {
        name: next((base.__name__ for base in value.__bases__ if base.__name__ in CLASSES), None)
        for name, value in CLASSES.items()
    }
    assert tree == expected


@pytest.mark.parametrize("name", CLASSES)
def test_exit_codes_are_as_documented(name: str) -> None:
    match = re.match(r"exit (\d+):", documented()[name][1])
    assert CLASSES[name].exit_code == (int(match[1]) if match else 1)


def test_an_impossible_search_is_also_a_value_error() -> None:
    assert issubclass(PowError, ValueError)


def test_an_error_says_code_message_and_next_step() -> None:
    error = ConfigError("the port is taken", code="port-taken", next_step="Choose another.")
    assert str(error) == error.message == "the port is taken"
    assert error.as_dict() == {
        "code": "port-taken",
        "message": "the port is taken",
        "next_step": "Choose another.",
    }
    assert ConfigError("x").as_dict() == {"code": "bad-configuration", "message": "x"}
    assert ConfigError.code == "bad-configuration", "one error's code is not its class's"
    assert errors.NotRunning("x").next_step == "Start a network with: votenet up --nodes 5 --detach"
    assert errors.NotRunning("x", next_step="").next_step == ""


def test_an_os_error_is_told_with_the_reason_of_the_system() -> None:
    cause = OSError(28, "No space left on device")
    with (
        pytest.raises(errors.StorageError) as caught,
        errors.StorageError.of_os_errors("cannot write it", next_step="Free some space."),
    ):
        raise cause
    told = (caught.value.message, caught.value.code, caught.value.next_step, caught.value.__cause__)
    assert told == ("cannot write it: No space left on device", "storage-failed", "Free some space.", cause)
    with pytest.raises(KeyError), errors.StorageError.of_os_errors("cannot", next_step="", code="x"):
        raise KeyError


def test_a_next_step_is_text_that_knows_its_commands() -> None:
    step = NextStep("Look with: {}, {} then", Command("ps"), Command("logs", "it's"))
    assert step == "Look with: votenet ps, votenet logs 'it'\"'\"'s' then"
    assert step.parts == ("Look with: ", ("ps",), ", ", ("logs", "it's"), " then")
    more = step + "; or: " + NextStep("{}", Command("doctor"))
    assert more.parts[-2:] == ("; or: ", Command("doctor"))
    assert step.with_commands(lambda one: Command(*one, "-x")).startswith("Look with: votenet ps -x, votenet")
    assert type(ConfigError("x", next_step=step).as_dict()["next_step"]) is str
    with pytest.raises(ValueError, match="zip"):
        NextStep("{} and {}", "one")


def test_a_next_step_goes_through_json() -> None:
    step = NextStep("{}: {}", "{} is a name", Command("logs", "node-1"))
    assert NextStep.from_json(json.loads(json.dumps(step.to_json()))) == step
    assert [NextStep.from_json(wrong) for wrong in (None, "text", {}, [1], ["a", {}])] == [None] * 5


@pytest.mark.parametrize(
    "operands", [("voter123",), ("a b; rm -rf ~",), ("-x", "it's"), ("$HOME", "`id`", "\\"), ("Zoë", "*")]
)
def test_a_command_is_taken_by_a_shell_as_it_was_meant(operands: tuple[str, ...]) -> None:
    words = shlex.split(str(Command.calling("voters check", *operands, options=("-o", "my file"))))
    assert words[:3] == ["votenet", "voters", "check"]
    rest = words[3:]
    assert [word for word in rest if word not in ("-o", "my file", "--")] == list(operands)
    assert not operands[0].startswith("-") or rest.index("--") < rest.index(operands[0])


@pytest.mark.parametrize("code", REFUSALS)
def test_every_refusal_has_a_kind_and_a_next_step(code: str) -> None:
    kind, sentence = REFUSALS[code]
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", code)
    assert re.fullmatch(r"[A-Z].*\.", sentence)
    rejected = Rejected(code, "why", height=7)
    assert rejected.as_dict() == {
        "code": code,
        "kind": kind.value,
        "message": "why",
        "next_step": sentence,
        "height": 7,
    }
    blamed = RemoteProtocolError(code, "why")
    assert blamed.kind is kind
    assert blamed.as_dict() == {
        "code": code,
        "kind": kind.value,
        "message": "why",
        "next_step": sentence,
    }


def test_a_duplicate_is_neither_temporary_nor_permanent() -> None:
    duplicates = {code for code, (kind, _) in REFUSALS.items() if kind is Kind.DUPLICATE}
    assert {"already-voted", "duplicate-vote", "duplicate-block"} <= duplicates
    assert REFUSALS["bad-signature"][0] is Kind.PERMANENT
    assert REFUSALS["pool-full"][0] is Kind.TEMPORARY


@pytest.mark.parametrize("make", [Rejected, RemoteProtocolError])
def test_a_code_that_is_not_in_the_table_is_a_bug_here(make: type[Rejected]) -> None:
    with pytest.raises(KeyError):
        make("no-such-code", "x")


def codes_in_use() -> dict[str, str]:
    """First arguments of Rejected(…) and RemoteProtocolError(…) in the sources, with where they are."""
    found = {}
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            name = node.func.id if isinstance(node.func, ast.Name) else ""
            first = node.args[0]
            if name in ("Rejected", "RemoteProtocolError") and isinstance(first, ast.Constant):
                found[str(first.value)] = f"{path.name}:{node.lineno}"
    return found


def test_the_program_refuses_with_codes_of_the_table_only() -> None:
    used = codes_in_use()
    assert len(used) > 20
    assert {code: where for code, where in used.items() if code not in REFUSALS} == {}


def test_a_group_of_our_errors_is_told_by_its_first_and_a_defect_is_not_hidden() -> None:
    from votenet.errors import votenet_error_in

    ours, other = VotenetError("one"), VotenetError("two")
    assert votenet_error_in(ours) is ours
    assert votenet_error_in(BaseExceptionGroup("", [BaseExceptionGroup("", [ours]), other])) is ours
    assert votenet_error_in(BaseExceptionGroup("", [ours, KeyError()])) is None
    assert votenet_error_in(KeyError()) is None


def test_operator_errors_name_a_next_step() -> None:
    """Every error of the commands and of the supervisor that is no answer to a malformed request."""
    import ast
    from pathlib import Path

    import votenet
    from votenet import errors

    free = {"bad-message", "bad-json", "unknown-type", "line-too-long", "incomplete-line", "command-failed"}
    missing = []
    for folder in ("cli", "lab", "client", "processes"):
        for path in sorted((Path(votenet.__file__).parent / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
                    continue
                kind = getattr(errors, node.func.id, None)
                if not (isinstance(kind, type) and issubclass(kind, errors.VotenetError)):
                    continue
                words = {one.arg: one.value for one in node.keywords}
                code = words.get("code")
                told = (
                    "next_step" in words
                    or kind.default_next_step
                    or issubclass(kind, errors.Rejected | errors.RemoteProtocolError)
                )
                if not told and not (isinstance(code, ast.Constant) and code.value in free):
                    missing.append(f"{path.name}:{node.lineno}")
    assert missing == []
