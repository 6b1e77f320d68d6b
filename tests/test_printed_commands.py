"""Every command that a source or a page names exists, with its options. Run they are in e2e."""

from __future__ import annotations

import ast
import functools
import re
import shlex
from collections.abc import Iterator, Set
from pathlib import Path

import click
import pytest

import votenet
from command_help import top
from support.printed_commands import command_of, commands_in, unknown_options
from votenet.cli.main import main

ROOT = Path(votenet.__file__).parent
PROJECT = Path(__file__).parent.parent
PAGES = [PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md"))]
SOURCES = sorted(ROOT.rglob("*.py"))


def texts_of(tree: ast.AST, silent: Set[int] = frozenset()) -> list[str]:
    """The strings of a source but those that are `silent`; what is put into them is written as X."""
    found: list[str] = []
    inner = set(silent)
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            inner |= {id(part) for part in node.values}
            parts = (part.value if isinstance(part, ast.Constant) else "X" for part in node.values)
            found.append("".join(map(str, parts)))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inner:
            found.append(node.value)
        elif isinstance(node, ast.Call):
            found += command_made(node)
    return found


def command_made(call: ast.Call) -> list[str]:
    """The line of `Command("logs", name)` and `Command.calling("verify", path, options=…)`; X is any word."""
    made = call.func.value if isinstance(call.func, ast.Attribute) else call.func
    if not isinstance(made, ast.Name) or made.id != "Command" or not isinstance(call.args[0], ast.Constant):
        return []
    options = [one.value for one in call.keywords if one.arg == "options"]
    given = options[0].elts if options and isinstance(options[0], ast.Tuple) else []
    known = [*call.args, *(one for one in given if not isinstance(one, ast.Starred))]
    words = [str(one.value) if isinstance(one, ast.Constant) else "X" for one in known]
    return [" ".join(["votenet", *words])]


def test_commands_are_found_as_a_reader_sees_them() -> None:
    text = (
        "Look with: votenet ps, votenet logs node-1; or: votenet vote -i b 'it is; odd, (so)' Ann.\n"
        "`votenet keys list` shows them (votenet doctor). The votenet that runs, votenet's own.\n"
        "  votenet top --once      one picture   VOTENET_HOME='/a b' votenet down -i x"
    )
    assert commands_in(text) == [
        "votenet ps",
        "votenet logs node-1",
        "votenet vote -i b 'it is; odd, (so)' Ann",
        "votenet keys list",
        "votenet doctor",
        "votenet top --once",
        "VOTENET_HOME='/a b' votenet down -i x",
    ]


def test_a_wrong_command_would_be_seen() -> None:
    made = ast.parse('Command("voters", "import", f"{x}", "-o", y, "--no-such"); Command.calling(z)')
    assert "votenet voters import X -o X --no-such" in texts_of(made)
    assert commands_in("votenet lists x") == []
    assert list(unknown_options("votenet voters import x -o y --no-such")) == ["--no-such"]


@functools.cache
def texts_at(path: Path, *, docstrings: bool = True) -> list[str]:
    """The strings of a source that may name a command; a page as it is."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        return [text]
    if "votenet " not in text and "Command" not in text:
        return []
    tree = ast.parse(text)
    if docstrings:
        return texts_of(tree)
    lone = (node.value for node in ast.walk(tree) if isinstance(node, ast.Expr))
    return texts_of(tree, {id(value) for value in lone if isinstance(value, ast.Constant)})


def test_every_command_named_exists_with_its_options() -> None:
    for path in (*SOURCES, *PAGES):
        for part in texts_at(path):
            for line in commands_in(part):
                assert not list(unknown_options(line)), f"{path.name}: {line!r} in {part[:200]!r}"


def _helps() -> Iterator[tuple[str, str]]:
    """Every text of every help, line breaks within a paragraph taken away."""
    todo: list[tuple[str, click.Command]] = [("votenet", main)]
    while todo:
        name, command = todo.pop()
        if isinstance(command, click.Group):
            ctx = click.Context(command)
            known = ((one, command.get_command(ctx, one)) for one in command.list_commands(ctx))
            todo += [(f"{name} {one}", found) for one, found in known if found is not None]
        options = (getattr(one, "help", None) for one in command.params)
        for text in (command.help, command.epilog, *options):
            yield name, re.sub(r"(?<=[^\n ])\n(?=\S)", " ", text or "")


def _said() -> Iterator[tuple[str, str]]:
    """What programs print: the strings of the sources that are no docstrings, and every help."""
    for path in SOURCES:
        for text in texts_at(path, docstrings=False):
            if not re.fullmatch(r"votenet [a-z]+", text):  # the beginning of a command: names follow
                yield path.name, text
    yield from _helps()


def test_printed_commands_are_whole(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing is missing, nothing stands behind it that does not belong to it. X is any name."""
    monkeypatch.setenv("VOTENET_HOME", str(tmp_path))
    said = {(where, line) for where, text in _said() for line in commands_in(text)}
    assert len(said) > 200
    for where, line in sorted(said):
        found = command_of(line)
        assert found is not None
        name, command, _ = found
        if isinstance(command, click.Group) and not command.invoke_without_command:
            continue
        words = shlex.split(line)
        arguments = words[words.index("votenet") + 1 + len(name.split()) :]
        try:
            command.make_context(name, arguments)
        except click.exceptions.Exit:
            continue
        except click.MissingParameter as error:
            pytest.fail(f"{where}: {line}: {error.format_message()}")
        except click.BadParameter:
            continue  # X, or a file that is not here


def examples() -> list[str]:
    """Every line that a help or a page shows as one to type."""
    found = []
    for path in (*SOURCES, *PAGES):
        for part in texts_at(path):
            for block in re.findall(r"^(?: {2,}votenet .*(?:\\\n.*)*\n?)+", part, re.MULTILINE):
                for line in block.replace("\\\n", " ").splitlines():
                    found += commands_in(line)[:1]
    return found


def test_there_are_examples() -> None:
    assert len(examples()) > 100


def test_every_example_is_understood(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Parsed as when it is called, up to the point where the work begins."""
    monkeypatch.setenv("VOTENET_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for name in ("roll.json", "board.toml", "election.toml"):
        (tmp_path / name).touch()
    for line in sorted(set(examples())):
        found = command_of(line)
        assert found is not None
        name, command, _ = found
        words = shlex.split(line.replace("NETWORK_ID", "ab" * 32).replace("PUBLIC_KEY", "58" + "66" * 31))
        words = words[words.index("votenet") + 1 + len(name.split()) :] if name != "votenet" else words[1:]
        if isinstance(command, click.Group) and name != "votenet" and not command.invoke_without_command:
            assert not [word for word in words if not word.startswith("-")], f"{name} has no {words}"
            continue
        try:
            command.make_context(name, words)
        except click.exceptions.Exit:  # --help, --version
            continue
        except click.UsageError as error:
            pytest.fail(f"{line}: {error.format_message()}")


def test_every_command_has_a_man_page_that_says_what_its_help_says() -> None:
    """Spellings and sentences alone are compared: how click shows a default differs between its versions."""
    folder, commands = PROJECT / "man", list(top().each())
    assert {path.name for path in folder.glob("*.1")} == {
        f"{one.name.replace(' ', '-')}.1" for one in commands
    }
    for one in commands:
        page = (folder / f"{one.name.replace(' ', '-')}.1").read_text(encoding="utf-8")
        shown = " ".join(re.sub(r"\\f[BP]|\\&", "", page).replace(r"\-", "-").replace(r"\e", "\\").split())
        said = [text.text for text in one.description]
        for names, text in one.options:
            said += [names.split(" ")[0], text.split("  [")[0].split(" [")[0]]
        for text in said:
            assert " ".join(text.split()) in shown, f"man/ is older than the help of {one.name}: make man"
