"""The pages of the documentation site that no file holds: taken from the code when the site is built.

mkdocs calls the functions `on_…` (mkdocs.yml, hooks). `index.md` is README.md. The reference of the commands
is what click knows, that of the Python API the names of `votenet.client`, that of the page's API its
openapi.json.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from command_help import CommandHelp, Paragraph, groups
from votenet.cli.main import GROUPS
from votenet.client import api
from votenet.web.api.openapi import document_bytes

ROOT: Final = Path(__file__).parent.parent
TOP: Final = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "reporting.md",
}
"""Pages that stand above docs/, and their names in the site."""
MARK: Final = "<!-- reference -->"
"""Where a page names the pages that come from the code."""
NAMED: Final = {
    "client.md": "In this site: [every name with its docstring](python.md).",
    "web-api.md": "In this site: [openapi.json](openapi.json) of this version.",
}
LINK: Final = re.compile(r"\[([^\]]*)\]\(([^)\s#]+)(#[^)\s]*)?\)")
EXIT_CODES: Final = re.compile(r"^Exit codes?:")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the generated pages to those of the folder."""
    made: dict[str, str | bytes] = {
        TOP[path.name]: relinked(path.read_text(encoding="utf-8"), above=True)
        for path in (ROOT / name for name in TOP)
        if path.is_file()
    }
    for heading, commands in groups():
        made[page_name(heading)] = command_page(heading, commands)
    made["python.md"] = python_page()
    made["openapi.json"] = document_bytes()
    for name, content in made.items():
        files.append(File.generated(config, name, content=content))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Links out of docs/ to pages above it lead to their copies in the site; generated pages are named."""
    name = page.file.src_uri
    if name == "commands.md":
        made = "\n".join(f"- [{heading}]({page_name(heading)})" for heading in GROUPS)
    else:
        made = NAMED.get(name, "")
    return relinked(markdown, above=False).replace(MARK, made)


def relinked(markdown: str, *, above: bool) -> str:
    """The text of a page with its links as they are in the site. `above`: it stands above docs/.

    A link to a file that is no page of the site becomes its text.
    """

    def changed(found: re.Match[str]) -> str:
        text, target, anchor = found[1], found[2], found[3] or ""
        if ":" in target or above == target.startswith("../"):
            return found[0]
        inside = target.removeprefix("docs/")
        if above and inside != target:
            return f"[{text}]({inside}{anchor})"
        name = target.removeprefix("../")
        if above or name != target:
            return f"[{text}]({TOP[name]}{anchor})" if name in TOP else text
        return found[0]

    return LINK.sub(changed, markdown)


# -- the commands ----------------------------------------------------------------------------------


def page_name(heading: str) -> str:
    """The page of the commands under a heading of `votenet --help`."""
    return "commands-" + "-".join(re.findall(r"[a-z]+", heading.lower())) + ".md"


def command_page(heading: str, commands: Iterable[CommandHelp]) -> str:
    lines = [
        f"# {heading}",
        "",
        "What `votenet help` says. [Commands](commands.md) has all in one table.",
        "",
    ]
    for command in commands:
        for one in command.each():
            lines += command_section(one, level=one.name.count(" ") + 1)
    return "\n".join(lines)


def command_section(command: CommandHelp, level: int) -> list[str]:
    lines = ["#" * level + f" {command.name}", ""]
    lines += paragraphs(command.description)
    lines += ["```text", command.usage, "```", ""]
    if command.options:
        lines += ["| option | meaning |", "|---|---|"]
        lines += [f"| {spelling(names)} | {plain(text)} |" for names, text in command.options]
        lines.append("")
    if command.subcommands:
        lines += [f"- `{one.name}`: {plain(one.summary)}" for one in command.subcommands]
        lines.append("")
    return lines + paragraphs(command.epilog)


def paragraphs(texts: Iterable[Paragraph]) -> list[str]:
    lines: list[str] = []
    for one in texts:
        if one.kept and not EXIT_CODES.match(one.text):
            lines += ["```text", one.text, "```", ""]
        else:
            lines += [plain(" ".join(one.text.split())), ""]
    return lines


def spelling(names: str) -> str:
    """The spellings of an option as code. In a cell of a table a bar would end it."""
    return "<code>" + html.escape(names).replace("|", "&#124;") + "</code>"


def plain(text: str) -> str:
    """A sentence of a help: what is marked as code stays so, and nothing else means anything in Markdown."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(part if part.startswith("`") else _escaped(part) for part in parts).replace("|", "&#124;")


def _escaped(text: str) -> str:
    return re.sub(r"([*_\[\]<>#\\])", r"\\\1", text)


# -- the Python API --------------------------------------------------------------------------------


def python_page() -> str:
    """Every name of `votenet.client`, with its docstring."""
    lines = ["# The Python API, name by name", ""]
    lines += ["[The Python API](client.md) explains it. Here are all names of `votenet.client`.", ""]
    found = {
        name: value
        for name, value in vars(api).items()
        if not name.startswith("_") and getattr(value, "__module__", "").startswith("votenet.")
    }
    order = sorted(
        found, key=lambda name: (name not in ("ElectionClient", "AsyncElectionClient"), name.lower())
    )
    for name in order:
        value = found[name]
        if value.__name__ == name:  # connect is ElectionClient
            lines += [f"::: {value.__module__}.{name}", ""]
    return "\n".join(lines)
