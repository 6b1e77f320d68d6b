"""Configuration files: which are read, what they may say, which of them wins.

What lives here: finding, checking and joining TOML files, and where each setting comes from. What must
not: settings themselves; every option of a command can be set in the table named after the command.

Order, strongest first: flag, environment (`VOTENET_UP_NODES`), project file (`votenet.toml` in the
working folder), user file (`votenet.toml` below `$XDG_CONFIG_HOME/votenet` or `VOTENET_HOME`), default.
A file named by `--config` or `VOTENET_CONFIG` is read instead of both.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click

from votenet.config import home_dir, load_toml
from votenet.errors import ConfigError

FILE_NAME: Final = "votenet.toml"
MAX_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """One file that was read: its tables as nested dicts, keys with underscores."""

    path: Path
    tables: Mapping[str, Any]


def places() -> tuple[Path, Path]:
    """Where files are looked for: the user's, then the project's, which wins."""
    user = home_dir()
    if user is None:
        import platformdirs

        user = platformdirs.user_config_path("votenet")
    project = Path(FILE_NAME)
    with contextlib.suppress(OSError):  # the working folder is gone: then nothing is in it
        project = project.absolute()
    return user / FILE_NAME, project


def read_files(named: Path | None) -> list[ConfigFile]:
    """The files that count, the weakest first.

    Raises:
        ConfigError: one cannot be read, is too big or is not TOML.
    """
    wanted = [named] if named is not None else [path for path in places() if path.is_file()]
    return [ConfigFile(path, _underscored(_load(path))) for path in wanted]


def defaults_for(files: Sequence[ConfigFile], name: str, command: click.Command) -> dict[str, Any]:
    """What the files say about one command, as click's default map for it.

    Raises:
        ConfigError: a table or key that nothing reads, a value of the wrong kind.
    """
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
    if isinstance(command, click.Group):
        return {name: _checked_group(file, where, name, value, command) for name, value in table.items()}
    names = {alias: option for option in options_of(command) for alias in aliases(option)}
    found: dict[str, Any] = {}
    for key, value in table.items():
        if key not in names:
            raise _refused(file, f"{where} has no setting {key!r}", key, list(names))
        found[str(names[key].name)] = _checked_value(file, f"{where} {key}", value, names[key], command)
    return found


def options_of(command: click.Command) -> list[click.Option]:
    """What of a command can be set in a file."""
    return [one for one in command.params if isinstance(one, click.Option) and not one.is_eager]


def aliases(option: click.Option) -> set[str]:
    """Names that a file may use for an option: those of its long flags, with underscores."""
    return {_underscore(name[2:]) for name in (*option.opts, *option.secondary_opts) if name[:2] == "--"} - {
        _underscore(name[2:]) for name in option.secondary_opts
    }


def origins(
    command: click.Command, ctx: click.Context, name: str, files: Sequence[ConfigFile]
) -> Iterator[tuple[str, Any, str]]:
    """Each setting of a command: name, value, and where it comes from (flags left aside)."""
    tables = [(file, checked(file, f"[{name}]", file.tables.get(name, {}), command)) for file in files]
    for option in options_of(command):
        if option.hidden:
            continue
        key = min(aliases(option) or {str(option.name)}, key=len)
        if (value := option.value_from_envvar(ctx)) is not None:
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
        raise _refused(file, f"{where}: {value!r} is {'not' if wrong_flag else ''} true or false", "", ())
    # Checked as text: a number with a fraction must not become a whole one in silence.
    text = [str(one) for one in value] if listed else value if option.is_flag else str(value)
    try:
        option.process_value(click.Context(command), text)
    except click.BadParameter as error:
        raise _refused(file, f"{where}: {error.message}", "", ()) from None
    return value if isinstance(value, str | int | float) else text


def _refused(file: ConfigFile, message: str, word: str, known: Sequence[str]) -> ConfigError:
    import difflib  # only where somebody mistyped: every command starts with this module

    near = difflib.get_close_matches(word, known, n=1) if word else []
    hint = f"Did you mean {near[0]!r}? " if near else ""
    return ConfigError(f"{file.path}: {message}", next_step=hint + "See: votenet config show --origin")


def _load(path: Path) -> dict[str, Any]:
    try:
        big = path.stat().st_size > MAX_BYTES
    except OSError as error:
        raise ConfigError(
            f"cannot read {path}: {error.strerror or error}", next_step="Check its name, owner and mode."
        ) from error
    if big:
        raise ConfigError(
            f"{path} is longer than a configuration file can be ({MAX_BYTES} bytes)",
            next_step="Name another file, or write one: votenet config show > votenet.toml",
        )
    return load_toml(path)


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
