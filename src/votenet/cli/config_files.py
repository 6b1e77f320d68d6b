"""Configuration files: which are read, what they may say, which of them wins.

Order, strongest first: flag, environment (`VOTENET_UP_NODES`), project file (`votenet.toml` in the
working folder), user file (`votenet.toml` below `$XDG_CONFIG_HOME/votenet` or `VOTENET_HOME`), default.
A file named by `--config` or `VOTENET_CONFIG` is read instead of both. What others can have written is not
read: a file that was named is refused, one that just lies there is left out, and both are told.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click

from votenet.cli import ui
from votenet.cli.config_trust import Untrusted, read_found, read_named
from votenet.cli.options import FlagOnly
from votenet.config import home_dir, parse_toml, xdg_dir
from votenet.errors import Command, ConfigError, NextStep

FILE_NAME: Final = "votenet.toml"
FILES_META: Final = "votenet.files"
"""Key of click's `ctx.meta`: the files that were read, the weakest first."""


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """One file that was read: its tables as nested dicts, keys with underscores."""

    path: Path
    tables: Mapping[str, Any]


def places() -> tuple[Path, ...]:
    """Where files are looked for: the user's (if there is a home), then the project's, which wins."""
    project = Path(FILE_NAME)
    with contextlib.suppress(OSError):  # the working folder is gone: then nothing is in it
        project = project.absolute()
    try:
        user = home_dir() or xdg_dir("XDG_CONFIG_HOME", ".config")
    except ConfigError:  # many a command needs no home; one that does says so
        return (project,)
    return user / FILE_NAME, project


def read_files(named: Path | None, left_out: Callable[[Path, Untrusted], None]) -> list[ConfigFile]:
    """The files that count, the weakest first.

    Args:
        left_out: told of a file that lies there and is not read, because others can have written it.

    Raises:
        ConfigError: one cannot be read, is too big or is not TOML; a named file is not trusted.
    """
    if named is not None:
        return [_parsed(named, read_named(named))]
    found = []
    for path in places():
        if not _is_there(path):
            continue
        try:
            found.append(_parsed(path, read_found(path)))
        except Untrusted as error:
            left_out(path, error)
    return found


def _is_there(path: Path) -> bool:
    """A folder that this user may not look into has no settings for it."""
    try:
        return path.is_file()
    except OSError:
        return False


def say_left_out(path: Path, error: Untrusted) -> None:
    ui.say(f"Not read: {path}, because {error.message}.")
    ui.say(f"  {error.next_step}")


class SettingsContext(click.Context):
    """The context of a command that says, once it is understood, which of its settings are from files."""

    def invoke(self, *args: Any, **kwargs: Any) -> Any:
        if self.command.callback is not None and args[:1] == (self.command.callback,):
            for line in taken_lines(self):
                ui.say(line)
        return super().invoke(*args, **kwargs)


def told(command: click.Command) -> None:
    """Let a command, or those of a group, say which settings it takes from files."""
    command.context_class = SettingsContext
    if isinstance(command, click.Group):
        for other in command.commands.values():
            told(other)


def taken_lines(ctx: click.Context) -> Iterator[str]:
    """`Settings from ./votenet.toml: nodes = 3`: one line for each file that this command follows."""
    found: dict[Path, list[str]] = {}
    for option in options_of(ctx.command):
        if ctx.get_parameter_source(str(option.name)) is not click.core.ParameterSource.DEFAULT_MAP:
            continue
        for file in reversed(ctx.meta[FILES_META]):
            table = _table(file, ctx.command_path.split()[1:])
            if key := next((one for one in aliases(option) if one in table), None):
                found.setdefault(file.path, []).append(f"{key} = {_shown(table[key])}")
                break
    for path, settings in found.items():
        yield f"Settings from {path}: {', '.join(settings)}"


def _table(file: ConfigFile, names: Sequence[str]) -> Mapping[str, Any]:
    table: Any = file.tables
    for name in names:
        table = table.get(name, {})
    found: Mapping[str, Any] = table
    return found


def _shown(value: Any) -> str:
    """As JSON, with nothing in it that a terminal would obey."""
    import json

    text = json.dumps(value, ensure_ascii=False, default=str)
    return "".join(one if one.isprintable() else f"\\u{ord(one):04x}" for one in text)


def defaults_for(files: Sequence[ConfigFile], name: str, command: click.Command) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for file in files:
        table = file.tables.get(name, {})
        _merge(found, checked(file, f"[{name}]", table, command))
    return found


def check_tables(file: ConfigFile, commands: Sequence[str]) -> None:
    """Refuse a table that no command reads. Raises ConfigError."""
    for name, table in file.tables.items():
        if name not in commands:
            raise _refused(file, f"no command is called {name!r}", name, commands)
        if not isinstance(table, dict):
            raise _refused(file, f"{name!r} is a command: write it as a table, [{name}]", "", ())


def checked(file: ConfigFile, where: str, table: Any, command: click.Command) -> dict[str, Any]:
    """A table with the names that click knows, every value of the right kind. Raises ConfigError."""
    if not isinstance(table, dict):
        raise _refused(file, f"{where} is no table", "", ())
    names = {alias: option for option in options_of(command) for alias in aliases(option)}
    found: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(command, click.Group) and (key in command.commands or not names):
            found[key] = _checked_group(file, where, key, value, command)
            continue
        if key not in names:
            raise _no_setting(file, where, key, command, list(names))
        found[str(names[key].name)] = _checked_value(file, f"{where} {key}", value, names[key], command)
    return found


def options_of(command: click.Command) -> list[click.Option]:
    """What of a command can be set in a file."""
    return [one for one in command.params if isinstance(one, click.Option) and _is_setting(one)]


def _is_setting(option: click.Option) -> bool:
    return not (option.is_eager or option.hidden or isinstance(option, FlagOnly))


def aliases(option: click.Option) -> set[str]:
    """Names of an option in a file: its long flags, with underscores."""
    return {_underscore(name[2:]) for name in (*option.opts, *option.secondary_opts) if name[:2] == "--"} - {
        _underscore(name[2:]) for name in option.secondary_opts
    }


def origins(
    command: click.Command, ctx: click.Context, name: str, files: Sequence[ConfigFile]
) -> Iterator[tuple[str, Any, str]]:
    """Each setting of a command: name, value, and where it comes from (flags left aside)."""
    tables = [(file, checked(file, f"[{name}]", file.tables.get(name, {}), command)) for file in files]
    for option in options_of(command):
        key = min(aliases(option) or {str(option.name)}, key=len)
        if (value := option.value_from_envvar(ctx)) is not None:
            value = option.type_cast_value(ctx, value) if option.is_flag else value  # a file has no "false"
            yield key, value, _variable(option, ctx)
            continue
        for file, table in reversed(tables):
            if option.name in table:
                yield key, table[option.name], str(file.path)
                break
        else:
            value = option.get_default(ctx)
            yield key, None if type(value).__name__ == "Sentinel" else value, "default"


def _variable(option: click.Option, ctx: click.Context) -> str:
    named = [option.envvar] if isinstance(option.envvar, str) else list(option.envvar or ())
    automatic = f"{ctx.auto_envvar_prefix}_{str(option.name).upper()}"
    return next((name for name in (*named, automatic) if os.environ.get(name)), automatic)


def _checked_group(file: ConfigFile, where: str, name: str, value: Any, group: click.Group) -> Any:
    if name not in group.commands:
        raise _refused(file, f"{where} has no command {name!r}", name, list(group.commands))
    return checked(file, f"{where[:-1]}.{name}]", value, group.commands[name])


def _checked_value(
    file: ConfigFile, where: str, value: Any, option: click.Option, command: click.Command
) -> Any:
    listed = isinstance(value, list)
    if isinstance(value, dict) or listed != option.multiple:
        raise _refused(file, f"{where}: expected {'a list' if option.multiple else 'one value'}", "", ())
    wrong_flag = option.is_flag and not isinstance(value, bool)
    if wrong_flag or (isinstance(value, bool) and not option.is_flag):
        raise _refused(file, f"{where}: {value!r} is {'not ' * wrong_flag}true or false", "", ())
    # Checked as text: a number with a fraction must not become a whole one in silence.
    text = [str(one) for one in value] if listed else value if option.is_flag else str(value)
    try:
        option.process_value(click.Context(command), text)
    except click.BadParameter as error:
        raise _refused(file, f"{where}: {error.message}", "", ()) from None
    return value if isinstance(value, str | int | float) else text


def _no_setting(
    file: ConfigFile, where: str, key: str, command: click.Command, known: Sequence[str]
) -> ConfigError:
    options = [one for one in command.params if isinstance(one, click.Option) and key in aliases(one)]
    if options:
        return ConfigError(
            f"{file.path}: {where} {key}: no file may set this",
            next_step=f"Take it out of the file, and give --{key.replace('_', '-')} on the command line.",
        )
    return _refused(file, f"{where} has no setting {key!r}", key, known)


def _refused(file: ConfigFile, message: str, word: str, known: Sequence[str]) -> ConfigError:
    import difflib  # only after a typing mistake: every command starts with this module

    near = difflib.get_close_matches(word, known, n=1) if word else []
    hint = f"Did you mean {near[0]!r}? " if near else ""
    table = message[1:].partition("]")[0].replace(".", " ") if message.startswith("[") else ""
    help_of = Command("help", *table.split())
    return ConfigError(f"{file.path}: {message}", next_step=NextStep("{}What there is: {}", hint, help_of))


def _parsed(path: Path, data: bytes) -> ConfigFile:
    return ConfigFile(path, _underscored(parse_toml(data, path)))


def _underscored(value: Any) -> Any:
    if isinstance(value, dict):
        return {_underscore(key): _underscored(inner) for key, inner in value.items()}
    return value


def _underscore(name: str) -> str:
    return name.replace("-", "_")


def _merge(into: dict[str, Any], other: Mapping[str, Any]) -> None:
    for key, value in other.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value
