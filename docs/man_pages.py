"""Writes the man pages of all commands, from what click knows of them. click-man gives them their form.

python docs/man_pages.py          writes man/ (make man)
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Final

from click_man.man import ManPage

from command_help import CommandHelp, Paragraph, top
from votenet import __version__

ROOT: Final = Path(__file__).parent.parent
PAGES: Final = ROOT / "man"
RELEASED: Final = re.compile(rf"^## \[?{re.escape(__version__)}\]?.*?(\d{{4}}-\d\d-\d\d)", re.MULTILINE)
"""The heading of this version in CHANGELOG.md, with its day."""

HEADINGS: Final = {"Examples": "EXAMPLES", "Example": "EXAMPLES", "Exit codes": "EXIT STATUS"}
ANNOUNCED: Final = "announced"
"""The section after a paragraph that only says that examples follow."""


def main() -> None:
    PAGES.mkdir(exist_ok=True)
    made = {file_name(one.name): page(one) for one in top().each()}
    for path in PAGES.glob("*.1"):
        if path.name not in made:
            path.unlink()
    for name, text in made.items():
        (PAGES / name).write_text(text, encoding="utf-8")


def file_name(command: str) -> str:
    """votenet-voters-add.1"""
    return command.replace(" ", "-") + ".1"


def page(command: CommandHelp) -> str:
    """The man page of a command, in the language of man(7)."""
    name = command.name.replace(" ", "-")
    made = ManPage(name)
    made.version, made.date = f"votenet {__version__}", released_on()
    made.short_help = escaped(command.summary.rstrip("."))
    made.synopsis = command.usage.removeprefix(command.name).strip()
    made.description = "\n.PP\n".join(escaped(" ".join(one.text.split())) for one in command.description)
    made.options = [(names.replace("\\", "\\e"), escaped(text)) for names, text in command.options]
    lines = [*commands(command.subcommands), *behind(command.epilog), *see_also(command)]
    form = str(made).replace(f".B {name}\n", f".B {command.name}\n")
    return form + "\n".join(lines) + "\n"


def released_on() -> str:
    found = RELEASED.search((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))
    return found[1] if found else ""


def commands(below: Iterable[CommandHelp]) -> Iterator[str]:
    """Each command below this one, with its line and its page."""
    for number, one in enumerate(below):
        if number == 0:
            yield ".SH COMMANDS"
        yield from (".TP", rf"\fB{hyphens(one.name)}\fP", escaped(one.summary))


def behind(epilog: Iterable[Paragraph]) -> Iterator[str]:
    """Examples, exit codes and remarks that stand behind the options in a help."""
    section = ""
    for one in epilog:
        title, _, text = one.text.partition(":")
        heading = HEADINGS.get(title, "EXAMPLES" if section == ANNOUNCED and one.kept else "NOTES")
        text = text.strip("\n ") if title in HEADINGS else one.text
        if not text:
            section = ANNOUNCED
            continue
        if heading != section:
            yield f".SH {heading}"
        elif not one.kept:
            yield ".PP"
        section = heading
        if one.kept and heading != "EXIT STATUS":
            yield from (".nf", *(escaped(hyphens(line.strip())) for line in text.splitlines()), ".fi")
        else:
            yield escaped(" ".join(text.split()))


def see_also(command: CommandHelp) -> Iterator[str]:
    words = command.name.split()
    above = [" ".join(words[:count]) for count in range(1, len(words))]
    others = [one.name for one in command.subcommands]
    pages = [rf".BR {hyphens(file_name(name)[:-2])} (1)" for name in chain(above, others)]
    if pages:
        yield from (".SH SEE ALSO", " ,\n".join(pages))


def hyphens(text: str) -> str:
    """The text with every hyphen as it is typed; else man(7) may break a line there."""
    return text.replace("-", "\\-")


def escaped(text: str) -> str:
    """The text without a meaning in man(7); hyphens of `hyphens` stay."""
    text = re.sub(r"\\(?!-)", r"\\e", text)
    return re.sub(r"^(?=[.'])", r"\\&", text, flags=re.MULTILINE)


if __name__ == "__main__":
    main()
