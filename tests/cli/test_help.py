"""`votenet help` and `votenet version`: typed before anything is known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.conftest import CommandResult

import votenet.cli.help as help_module
from votenet import __version__


@pytest.mark.parametrize(
    ("asked", "same"),
    [((), ("--help",)), (("vote",), ("vote", "--help")), (("peers", "ban"), ("peers", "ban", "--help"))],
)
def test_help_prints_the_same_as_the_option(
    cli: Callable[..., CommandResult], asked: tuple[str, ...], same: tuple[str, ...]
) -> None:
    shown = cli("help", *asked)
    assert (shown.code, shown.err) == (0, "")
    assert shown.out == cli(*same).out


@pytest.mark.parametrize("asked", [("vte",), ("vote", "ban"), ("peers", "bna")])
def test_help_for_an_unknown_command_lists_the_commands(
    cli: Callable[..., CommandResult], asked: tuple[str, ...]
) -> None:
    done = cli("help", *asked)
    assert done.code == 2
    assert f"has no command '{asked[-1]}'" in done.err


def test_the_version_is_told(cli: Callable[..., CommandResult]) -> None:
    first, second = cli("version").out.splitlines()
    assert f"{first}\n" == cli("--version").out == f"votenet, version {__version__}\n"
    folder = Path(second.removeprefix("documents: "))
    assert (folder / "docs/security.md").is_file()
    assert (folder / "verifier/votenet_verifier.py").is_file()


def test_an_installation_finds_the_documents_that_came_with_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(help_module, "__file__", str(tmp_path / "lib/python/votenet/cli/help.py"))
    monkeypatch.setattr(help_module.sysconfig, "get_path", lambda _name, _scheme: str(tmp_path))
    assert help_module.documents() is None
    page = tmp_path / "share/doc/votenet/docs/trust.md"
    page.parent.mkdir(parents=True)
    page.touch()
    assert help_module.documents() == tmp_path / "share/doc/votenet"


def test_a_broken_settings_file_hides_neither(
    cli: Callable[..., CommandResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "votenet.toml").write_text("[up\n", encoding="utf-8")
    assert cli("help").code == cli("version").code == 0
