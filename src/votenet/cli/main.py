"""The `votenet` command: which sub-command lives in which module."""

from __future__ import annotations

import contextlib
import errno
import importlib
import sys
from pathlib import Path
from typing import Any, Final

import click

from votenet import __version__
from votenet.cli import ui
from votenet.cli.stop_signals import hear_as_process_1
from votenet.errors import ConfigError, OutputError, Unreachable, VotenetError, votenet_error_in
from votenet.text import is_unicode

GROUPS: Final[dict[str, dict[str, tuple[str, str]]]] = {
    # heading: {name: (module, one line of help)}
    "Vote": {
        "vote": ("votenet.cli.votes.vote", "Cast a signed vote and say where it stands."),
        "results": ("votenet.cli.election.results", "Count the votes on the chain."),
        "report": ("votenet.cli.report.report", "Write the minutes: results, rounds, who signed."),
        "ballots": ("votenet.cli.votes.ballots", "Look into a file of ballots before it is cast."),
        "receipt": ("votenet.cli.votes.receipt", "Write the proof that a vote is final, or was received."),
        "keys": ("votenet.cli.votes.keys", "Make, take in, list and show voters' keys."),
    },
    "Run a network": {
        "up": ("votenet.cli.network.up", "Start a network: a bootstrap server and its nodes."),
        "down": ("votenet.cli.network.down", "Stop the network, cleanly and with proof."),
        "ls": ("votenet.cli.network.ls", "List the networks on this machine and where their files are."),
        "ps": ("votenet.cli.network.status", "Show the programs of the network and their state."),
        "status": ("votenet.cli.network.status", "Show height, tip and peers of every node."),
        "top": ("votenet.cli.network.top", "Watch nodes, rates, heights, waiting votes and the count, live."),
        "blocks": ("votenet.cli.network.blocks", "Show who found, signed and lost which block; forks."),
        "logs": ("votenet.cli.network.logs", "Show or follow the logs of the nodes."),
        "events": ("votenet.cli.network.events", "Print every change of a program's state."),
        "wait": ("votenet.cli.network.events", "Wait until the network is ready, high enough, has counted."),
        "start": ("votenet.cli.network.control", "Start nodes that are stopped, removed or failed."),
        "stop": ("votenet.cli.network.control", "Stop nodes, with proof."),
        "restart": ("votenet.cli.network.control", "Restart nodes; --rolling: all, one after the other."),
        "scale": ("votenet.cli.network.control", "Change the number of nodes of the running network."),
        "election": (
            "votenet.cli.election.election",
            "The file of an election; change the running one's hours, cancel it.",
        ),
        "voters": (
            "votenet.cli.election.voters",
            "The roll: make it, check it, add to it, see who has voted.",
        ),
        "trustee": (
            "votenet.cli.trustee.trustee",
            "The key of secret ballots: made together, decrypts the count.",
        ),
    },
    "Check": {
        "verify": ("votenet.cli.votes.receipt", "Check a receipt, offline."),
        "evidence": ("votenet.cli.votes.evidence", "List, show and check proofs that a named node lied."),
        "compare": ("votenet.cli.votes.compare", "Check that two receipts are of one log."),
        "watch": ("votenet.cli.network.watch", "Follow the signed logs of several nodes and compare them."),
        "export": ("votenet.cli.archive.archive", "Write the whole election into one archive."),
        "audit": ("votenet.cli.archive.archive", "Check an archive and count it again."),
        "import": ("votenet.cli.archive.archive", "Make a node's data folder out of an archive."),
        "doctor": (
            "votenet.cli.network.doctor",
            "Look at this machine and the network, and explain what is wrong.",
        ),
    },
    "Single programs, several machines": {
        "node": (
            "votenet.cli.network.node",
            "Run one node (what the supervisor, systemd or a container starts).",
        ),
        "bootstrap": ("votenet.cli.network.bootstrap", "Run the bootstrap server."),
        "backup": ("votenet.cli.network.backup", "Write all that a node needs into one file, while it runs."),
        "restore": ("votenet.cli.network.backup", "Make a node's folder out of its backup."),
        "witness": ("votenet.cli.network.witness", "Cosign an election's checkpoints from outside."),
        "web": ("votenet.cli.network.web", "Run the page on which members vote, watch and check."),
        "peers": ("votenet.cli.peers.peers", "Register, list, remove, import and export peers."),
    },
    "Instruments: load, faults, trials": {
        "demo": ("votenet.cli.lab.demo", "Run an election end to end and check it."),
        "replay": ("votenet.cli.lab.replay", "Cast a file of ballots: all of them, or none."),
        "chaos": ("votenet.cli.lab.chaos", "Break a network at random and check every promise."),
        "kill": ("votenet.cli.network.control", "Send a signal to nodes: they come back."),
        "pause": ("votenet.cli.network.control", "Stop nodes where they stand (SIGSTOP)."),
        "resume": ("votenet.cli.network.control", "Let paused nodes go on (SIGCONT)."),
        "partition": ("votenet.cli.network.control", "Cut the links between groups of nodes."),
        "heal": ("votenet.cli.network.control", "End a partition."),
        "slow": ("votenet.cli.network.control", "Delay every line between nodes and their peers."),
    },
    "Help and settings": {
        "help": ("votenet.cli.help", "Show the help of votenet, or of one command."),
        "version": ("votenet.cli.help", "Print the version."),
        "config": ("votenet.cli.config", "Show settings and where they come from."),
        "completion": ("votenet.cli.completion", "Print the completion script of a shell."),
    },
}
"""The commands as `votenet --help` shows them."""
HIDDEN: Final = {"supervise": ("votenet.cli.network.run", "Run the supervisor of a detached network.")}
COMMANDS: Final[dict[str, tuple[str, str]]] = {
    name: found for group in (*GROUPS.values(), HIDDEN) for name, found in group.items()
}
PROGRAMS: Final = {"node", "bootstrap", "witness", "web", "supervise"}
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
                from votenet.cli.options import NODE_META, placed

                known.next_step = placed(known.next_step, instance, ctx.meta.get(NODE_META))
            raise
        except BrokenPipeError as failure:  # click would end with 1, without a word
            if isinstance(failure, ui.ReaderGone):
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
Votes are public by name, unless ballots are secret (docs/security.md). What final means, and when
it holds: docs/trust.md.
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
    ui.start()
    try:
        code = _outcome()
    except ui.ReaderGone:  # `votenet logs | head`: the reader has what it wanted
        ui.give_up()
        code = 0
    except SystemExit as stop:  # commands that end with a signal's code
        code = stop.code if isinstance(stop.code, int) else 0
    sys.exit(ui.finish(code))


def _outcome() -> int:
    try:
        code: Any = main.main(prog_name="votenet", standalone_mode=False)
    except click.exceptions.Exit as stop:
        code = stop.exit_code
    except click.ClickException as error:
        _show_usage(error)
        code = error.exit_code
    except (KeyboardInterrupt, click.Abort):
        ui.say("Interrupted.")
        code = 130
    except ui.ReaderGone:
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
            ui.show_defect(failure)
            return ui.DEFECT
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
        ui.give_up()
    ui.show_error(error)
    if not error.reported:
        _show_json(error.as_dict())


def _show_usage(error: click.ClickException) -> None:
    """As click shows it, but through the door: arguments are text of others, too."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        for line in error.format_message().splitlines():
            ui.say(line)
        return
    if isinstance(error, click.UsageError) and error.ctx is not None:
        for line in error.ctx.get_usage().splitlines():
            ui.say(line)
        ui.say(f"Try '{error.ctx.command_path} --help' for help.")
        ui.echo(err=True)
    for line in f"Error: {error.format_message()}".expandtabs(4).splitlines():
        ui.say(line)
    if isinstance(error, click.NoSuchOption) and error.ctx is not None:
        _show_dashes(error.option_name, error.ctx)
    elif isinstance(error, click.UsageError) and error.ctx is not None:
        _show_option(error.message, error.ctx)
    _show_json({"code": "usage", "message": error.format_message()})


def _show_dashes(option: str, ctx: click.Context) -> None:
    """Where a command takes names: how to give it one that begins with a dash."""
    options, *operands = ctx.command.collect_usage_pieces(ctx)
    if operands:
        word = next((one for one in sys.argv if one.startswith(option)), option)
        usage = " ".join([ctx.command_path, options, "--", *operands])
        ui.say(f"If {word} is a name, give it behind --: {usage}")


EXTRA: Final = "Got unexpected extra argument ("
"""How click begins to tell of one word that a command has no place for; behind it the word and a bracket."""


def _show_option(message: str, ctx: click.Context) -> None:
    """Behind a word that a command has no place for: the option that it was meant for, if that is clear."""
    if not message.startswith(EXTRA):
        return
    word = message[len(EXTRA) : -1]
    known = {name for param in ctx.command.params for name in param.opts}
    _, colon, port = word.rpartition(":")
    if "--node" in known and colon and port.isdigit():
        option = "--node"
    elif "-f" in known and word.endswith(".toml"):
        option = "-f"
    elif "-o" in known:
        option = "-o"
    else:
        return
    ui.say(f"Did you mean '{option} {word}'?")


def _show_json(error: dict[str, object]) -> None:
    """That stdout is gone or full changes nothing about the error."""
    if "--json" in sys.argv[1:]:
        with contextlib.suppress(OSError, OutputError):
            ui.echo_json({"error": error})
