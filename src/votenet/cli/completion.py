"""`votenet completion`: the script that lets a shell complete commands, options and node names."""

from __future__ import annotations

import click

from votenet.cli import ui


@click.command(
    epilog="""\b
Examples:
  eval "$(votenet completion bash)"                              in ~/.bashrc
  eval "$(votenet completion zsh)"                               in ~/.zshrc
  votenet completion fish > ~/.config/fish/completions/votenet.fish

\b
Exit codes: 0 ok, 2 no such shell."""
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, /, shell: str) -> None:
    """Print the completion script of SHELL (bash, zsh or fish)."""
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None
    script = kind(ctx.find_root().command, {}, "votenet", "_VOTENET_COMPLETE").source()
    for line in script.splitlines():
        ui.echo(prefix=line)
