"""The `votenet` command: which sub-command lives in which module.

What lives here: the command table, global options, the one door where errors become exit codes.
What must not: work, and imports of the command modules (each is loaded when it is called, so that
`votenet --help` and `votenet vote` start fast).
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import sys
from pathlib import Path
from typing import Any, Final

import click

from votenet import __version__
from votenet.cli import output
from votenet.cli.stop_signals import hear_as_process_1
from votenet.errors import ConfigError, OutputError, Unreachable, VotenetError, votenet_error_in
from votenet.text import is_unicode

GROUPS: Final[dict[str, dict[str, tuple[str, str]]]] = {
    # heading: {name: (module, one line of help)}
    "Vote": {
        "vote": ("votenet.cli.vote", "Cast a signed vote and say where it stands."),
        "results": ("votenet.cli.results", "Count the votes on the chain."),
        "receipt": ("votenet.cli.receipt", "Write the proof that a vote is on the chain."),
        "keys": ("votenet.cli.keys", "Make, list and show voters' keys."),
    },
    "Run a network": {
        "up": ("votenet.cli.network", "Start a network: a bootstrap server and its nodes."),
        "down": ("votenet.cli.network", "Stop the network, cleanly and with proof."),
        "ls": ("votenet.cli.ls", "List the networks on this machine and where their files are."),
        "ps": ("votenet.cli.network", "Show the programs of the network and their state."),
        "status": ("votenet.cli.status", "Show height, tip and peers of every node."),
        "top": ("votenet.cli.top", "Watch nodes, rates, heights, waiting votes and the count, live."),
        "logs": ("votenet.cli.network", "Show or follow the logs of the nodes."),
        "events": ("votenet.cli.network_events", "Print every change of a program's state."),
        "wait": ("votenet.cli.network_events", "Wait until the network is ready, high enough, has counted."),
        "start": ("votenet.cli.network_control", "Start nodes that are stopped, removed or failed."),
        "stop": ("votenet.cli.network_control", "Stop nodes, with proof."),
        "restart": ("votenet.cli.network_control", "Restart nodes; --rolling: all, one after the other."),
        "scale": ("votenet.cli.network_control", "Change the number of nodes of the running network."),
        "roll": ("votenet.cli.roll", "Make and check the list of those who may vote."),
    },
    "Check": {
        "verify": ("votenet.cli.receipt", "Check a receipt, offline."),
        "export": ("votenet.cli.archive", "Write the whole election into one archive."),
        "audit": ("votenet.cli.archive", "Check an archive and count it again."),
        "import": ("votenet.cli.archive", "Make a node's data folder out of an archive."),
        "doctor": ("votenet.cli.doctor", "Look at this machine and the network, and explain what is wrong."),
    },
    "Single programs, several machines": {
        "node": ("votenet.cli.node", "Run one node (what the supervisor, systemd or a container starts)."),
        "bootstrap": ("votenet.cli.bootstrap", "Run the bootstrap server."),
        "peers": ("votenet.cli.peers", "Register, list, remove, import and export peers."),
    },
    "Instruments: load, faults, trials": {
        "demo": ("votenet.cli.demo", "Run an election end to end and check it."),
        "replay": ("votenet.cli.replay", "Cast a CSV file of ballots."),
        "chaos": ("votenet.cli.chaos", "Break a network at random and check every promise."),
        "kill": ("votenet.cli.network_control", "Send a signal to nodes: they come back."),
        "pause": ("votenet.cli.network_control", "Stop nodes where they stand (SIGSTOP)."),
        "resume": ("votenet.cli.network_control", "Let paused nodes go on (SIGCONT)."),
        "partition": ("votenet.cli.network_links", "Cut the links between groups of nodes."),
        "heal": ("votenet.cli.network_links", "End a partition."),
        "slow": ("votenet.cli.network_links", "Delay every line between nodes and their peers."),
    },
    "Help and settings": {
        "help": ("votenet.cli.help", "Show the help of votenet, or of one command."),
        "version": ("votenet.cli.help", "Print the version."),
        "config": ("votenet.cli.config", "Show settings and where they come from."),
        "completion": ("votenet.cli.completion", "Print the completion script of a shell."),
    },
}
"""The commands as `votenet --help` shows them."""
HIDDEN: Final = {"supervise": ("votenet.cli.network", "Run the supervisor of a detached network.")}
COMMANDS: Final[dict[str, tuple[str, str]]] = {
    name: found for group in (*GROUPS.values(), HIDDEN) for name, found in group.items()
}
PROGRAMS: Final = {"node", "bootstrap", "supervise"}
"""Started by others with complete argument lists: they read no file but one that they are named."""


class _Text(click.types.StringParamType):
    """Text as an argument: bytes that are not UTF-8 are no name, no address and no candidate."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        text = super().convert(value, param, ctx)
        if not is_unicode(text):
            self.fail(f"{text!r} is not UTF-8.", param, ctx)
        return text


def _for_text(command: click.Command) -> click.Command:
    """The command, its arguments that are text taken as `_Text`. Names of files may be any bytes."""
    for param in command.params:
        if type(param.type) is click.types.StringParamType:
            param.type = _Text()
    if isinstance(command, click.Group):
        for inner in command.commands.values():
            _for_text(inner)
    return command


class LazyGroup(click.Group):
    """A group that imports a command's module when the command is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for name in COMMANDS if name not in HIDDEN]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _ = COMMANDS[cmd_name]
        command = getattr(importlib.import_module(module), cmd_name)
        assert isinstance(command, click.Command)
        return _for_text(command)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            import difflib

            near = difflib.get_close_matches(args[0], self.list_commands(ctx), n=1)
            hint = f" Did you mean '{near[0]}'?" if near else " See 'votenet --help'."
            raise click.UsageError(error.format_message() + hint, ctx) from None

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (VotenetError, BaseExceptionGroup) as failure:
            known, instance = votenet_error_in(failure), ctx.meta.get("votenet.instance")
            if known is not None and instance is not None:
                from votenet.cli.hints import for_instance

                known.next_step = for_instance(known.next_step, instance, ctx.meta.get("votenet.node"))
            raise
        except BrokenPipeError as failure:  # click would end with 1, without a word
            if isinstance(failure, output.ReaderGone):
                raise
            raise Unreachable("the other side closed the connection") from failure

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(map(len, COMMANDS))
        for heading, group in GROUPS.items():
            with formatter.section(heading):
                formatter.write_dl([(f"{name:<{width}}", text) for name, (_, text) in group.items()])


@click.command(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "VOTENET"},
    epilog="""\b
Start here:
  votenet up --nodes 5 --detach          five nodes on this machine
  votenet vote voter123 Alice            a vote for one of the three default candidates
  votenet results
  votenet receipt voter123 -o receipt.json
  votenet verify receipt.json
  votenet down

\b
Votes are public by name, and no result is final: votenet help vote, docs/security.md.
Every command has examples: votenet help COMMAND""",
)
@click.version_option(__version__, prog_name="votenet")
@click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    help="TOML file with a table per command, e.g. [up] nodes = 5; see: votenet config",
)
@click.pass_context
def main(ctx: click.Context, config: Path | None) -> None:
    """A voting network on your own machines.

    Several nodes keep one append-only proof-of-work chain of signed votes; a bootstrap server
    introduces them to each other; a supervisor keeps them running.
    """
    name = ctx.invoked_subcommand
    if name in (None, "config", "help", "version") or (name in PROGRAMS and config is None):
        return
    from votenet.cli import config_files

    files = config_files.read_files(config, config_files.say_left_out)
    if not files or (command := main.get_command(ctx, name)) is None:
        return
    for file in files:
        config_files.check_tables(file, list(COMMANDS))
    ctx.default_map = {name: config_files.defaults_for(files, name, command)}
    ctx.meta[config_files.FILES_META] = files
    config_files.told(command)


def run() -> None:
    """Entry point: every error ends here as a sentence, a next step and an exit code."""
    hear_as_process_1()
    output.start()
    try:
        code = _outcome()
    except output.ReaderGone:  # `votenet logs | head`: the reader has what it wanted
        output.give_up()
        code = 0
    except SystemExit as stop:  # commands that end with a signal's code
        code = stop.code if isinstance(stop.code, int) else 0
    sys.exit(output.finish(code))


def _outcome() -> int:
    """Run the command; its exit code."""
    try:
        code: Any = main.main(prog_name="votenet", standalone_mode=False)
    except click.exceptions.Exit as stop:
        code = stop.exit_code
    except click.ClickException as error:
        _show_usage(error)
        code = error.exit_code
    except (KeyboardInterrupt, click.Abort):
        output.echo("Interrupted.", err=True)
        code = 130
    except output.ReaderGone:
        raise
    except MemoryError:
        short = VotenetError(
            "there is not enough memory for this",
            code="out-of-memory",
            next_step="End other programs, or try it on a larger machine.",
        )
        _show(short)
        code = 71  # EX_OSERR
    except (Exception, BaseExceptionGroup) as failure:
        known = votenet_error_in(failure) or _long_name(failure)
        if known is None:
            output.show_defect(failure)
            return output.DEFECT
        _show(known)
        code = known.exit_code
    return code if isinstance(code, int) else 0


def _long_name(failure: BaseException) -> VotenetError | None:
    """The error for a file or folder whose name is longer than the system allows, wherever it was met."""
    if not isinstance(failure, OSError) or failure.errno != errno.ENAMETOOLONG:
        return None
    return ConfigError(
        f"the name of a file or folder is longer than the system allows: {failure.filename}",
        code="name-too-long",
        next_step="Name a shorter one; for the files of votenet itself: export VOTENET_HOME=/some/folder",
    )


def _show(error: VotenetError) -> None:
    """For people on stderr; with --json also as JSON on stdout, where programs look."""
    if isinstance(error, OutputError):
        output.give_up()
    output.show_error(error)
    if not error.reported:
        _show_json(error.as_dict())


def _show_usage(error: click.ClickException) -> None:
    """As click shows it, but through the door: arguments are text of others, too."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        for line in error.format_message().splitlines():
            output.echo(line, err=True)
        return
    if isinstance(error, click.UsageError) and error.ctx is not None:
        for line in error.ctx.get_usage().splitlines():
            output.echo(line, err=True)
        output.echo(f"Try '{error.ctx.command_path} --help' for help.", err=True)
        output.echo(err=True)
    for line in f"Error: {error.format_message()}".expandtabs(4).splitlines():
        output.echo(line, err=True)
    _show_json({"code": "usage", "message": error.format_message()})


def _show_json(error: dict[str, object]) -> None:
    """That stdout is gone or full changes nothing about the error."""
    if "--json" in sys.argv[1:]:
        with contextlib.suppress(OSError, OutputError):
            output.echo_json({"error": error})
