"""`votenet node join`: a node takes part in the election of an organiser."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import click

from votenet.cli import ui
from votenet.cli.network.node_init import folder_option
from votenet.cli.network.node_run import run_joined
from votenet.cli.options import FilePath, FlagOnly, address_or_any_port, json_option, network_option
from votenet.config import DEFAULT_NODE_PORT
from votenet.errors import Command, ConfigError, Locked, NextStep, Rejected, StorageError
from votenet.protocol.wire.address import Address, is_loopback, is_own_host, parse_address, parse_peer_address
from votenet.storage.env_file import ENV_NAME, PREFIX, check_values, read_env_file, write_env_file

if TYPE_CHECKING:
    from votenet.client.page_entry import PageEntry
    from votenet.core.election.definition import Election
    from votenet.core.keys import SigningKey

GENESIS_NAME: Final = "genesis.json"
_OF_ELECTION: Final = frozenset(f"{PREFIX}{name}" for name in ("BOOTSTRAP", "PEER", "ROLL", "WITNESS"))
"""Settings of one election: a node that leaves it keeps those of its machine alone."""
CLOCK_SECONDS: Final = 10.0
"""A clock that is further from that of the page is told: votes of a node with a wrong clock are refused."""


@click.command(
    short_help="Join an election, and run the node.",
    epilog="""\b
Examples:
  votenet node join https://vote.example.org --name north --advertise north.example.org:3000
  votenet node join genesis.json --name north --bootstrap boot.example.org:4000
  votenet node join https://vote.example.org --name north --no-start --yes

\b
WHERE is the page of the organiser, or a genesis file. Compare the network id with the organiser, on a way
that nobody else controls: the eight numbers are made to be read out. With --network the command compares.
Called again it changes the settings that are given, and starts the node. Exit codes: 0 ok or stopped, 2 no
answer to the question, 75 the node runs already, 78 the election or the folder cannot be used.""",
)
@click.argument("where", metavar="WHERE")
@click.option("--name", metavar="NAME", help="Name of the node, the one that its key was made for.")
@folder_option
@network_option
@click.option("--roll", type=FilePath(), help="Roll file, where the election has one; the page has none.")
@click.option("--relay", is_flag=True, help="Join with a key that the election does not name.")
@click.option(
    "--bootstrap",
    multiple=True,
    metavar="HOST:PORT,…",
    help="Bootstrap servers, in place of those that the page names.",
)
@click.option(
    "--advertise", metavar="HOST:PORT", help="Where others reach this node; needed on several machines."
)
@click.option(
    "--listen",
    metavar="HOST:PORT",
    help="Where it listens  [all addresses at the port of --advertise; else 127.0.0.1:3000].",
)
@click.option(
    "--metrics",
    metavar="HOST:PORT",
    callback=address_or_any_port,
    help="Answer GET /metrics for Prometheus there, on loopback.",
)
@click.option("--yes", cls=FlagOnly, is_flag=True, help="Do not ask; needed where there is no terminal.")
@click.option("--no-start", is_flag=True, help="Only write the settings: systemd or a container starts it.")
@json_option
def join(where: str, **options: Any) -> None:
    """Join the election at WHERE with the key that was made before, and run the node."""
    from votenet.storage.backup.node_backup import refuse_moved
    from votenet.storage.blocks.left_chain import leave

    asked = _Asked(where=where, **options)
    folder = asked.folder
    refuse_moved(folder)
    offer = _offer(asked)
    _check_network(offer.election, asked)
    key = _key(folder, offer.election, asked)
    left = _left_election(folder, offer.election, key, asked)
    election, roll = _with_roll(offer.election, folder, left, asked)
    name = _name_of(offer.election, key, asked)
    settings = _settings(folder, offer, left, asked)
    if not asked.as_json:
        _show(offer, name, settings, asked)
    for warning in _warnings(offer, left, asked):
        ui.say(warning)
    if not asked.no_start:
        _check_stopped(folder, asked)
    _confirm(election, asked)
    if left is not None:
        ui.say(f"What was there is now in {leave(folder, left)}.")
        _forget(folder, roll)
    _write(folder, offer.election, roll, {f"{PREFIX}NAME": name, **settings})
    start = Command.calling("node run", options=asked.place)
    if asked.no_start:
        _say_joined(offer.election, folder, start, asked)
        return
    if not asked.as_json:
        ui.say(f"Joined. Ctrl-C stops the node; to start it again: {start}")
    run_joined(folder, as_json=asked.as_json)


class _Asked(NamedTuple):
    """The options of the command."""

    where: str
    name: str | None
    data_dir: Path | None
    network_hex: str | None
    roll: Path | None
    relay: bool
    bootstrap: tuple[str, ...]
    advertise: str | None
    listen: str | None
    metrics: Address | None
    yes: bool
    no_start: bool
    as_json: bool

    @property
    def folder(self) -> Path:
        from votenet.config import node_dir

        if self.data_dir is None and self.name is None:
            raise click.UsageError("which node? --name NAME, or --data-dir FOLDER")
        return self.data_dir or node_dir(str(self.name))

    @property
    def place(self) -> tuple[str, ...]:
        """The options that say which node it is, for a command to type."""
        named = () if self.name is None else ("--name", self.name)
        return named if self.data_dir is None else ("--data-dir", str(self.data_dir))

    @property
    def init(self) -> Command:
        """The command that makes its key."""
        folder = () if self.data_dir is None else ("--data-dir", str(self.data_dir))
        return Command.calling("node init", options=("--name", self.name or "NAME", *folder))

    def again(self, *more: str) -> Command:
        """This command once more, with an option that was missing or wrong."""
        given = {
            "--network": self.network_hex,
            "--roll": self.roll,
            "--bootstrap": ",".join(self.bootstrap),
            "--advertise": self.advertise,
            "--listen": self.listen,
            "--metrics": self.metrics,
        }
        kept = [(option, str(value)) for option, value in given.items() if value and option not in more]
        words = [word for pair in kept for word in pair]
        if self.relay and "--relay" not in more:
            words.append("--relay")
        return Command.calling("node join", self.where, options=(*self.place, *words, *more))


def _offer(asked: _Asked) -> PageEntry:
    """The election of a page or a file. Raises as `fetch_page` and `read_genesis`."""
    import asyncio

    from votenet.client.page_entry import PageEntry, fetch_page, page_url
    from votenet.storage.genesis_file import read_genesis

    where = asked.where
    if is_page(where):
        return asyncio.run(fetch_page(page_url(where).removesuffix("/genesis.json")))
    try:
        return PageEntry(where, read_genesis(Path(where)))
    except ConfigError as error:
        if not Path(where).exists():
            page = asked._replace(where=f"https://{where}").again()
            error.next_step = NextStep("Name a genesis file; of a page give the whole address: {}", page)
        raise


def is_page(where: str) -> bool:
    """Whether this is the address of a page, and no file."""
    return where.lower().startswith(("http://", "https://"))


def _host_of(page: str) -> str:
    from urllib.parse import urlsplit

    return urlsplit(page).hostname or ""


# -- checks, before anything is written --------------------------------------------------------------


def _check_network(election: Election, asked: _Asked) -> None:
    """Raises ConfigError: network-mismatch."""
    if asked.network_hex not in (None, election.network_hex):
        raise ConfigError(
            f"{asked.where} is of another network: {election.network_hex}",
            code="network-mismatch",
            next_step="One byte makes another network. Ask the organiser, on another way, which id is right,"
            " and join nothing before.",
        )


def _left_election(folder: Path, election: Election, key: SigningKey, asked: _Asked) -> Election | None:
    """The other election that this named node joined and may leave for this one; None if there is none.

    A node that was given a wrong file would be lost otherwise: the right one names its key.

    Raises:
        ConfigError: other-election.
        Locked, StorageError: the node runs there, or its database cannot be read.
    """
    from votenet.storage.blocks.left_chain import may_leave
    from votenet.storage.genesis_file import read_genesis

    held = folder / GENESIS_NAME
    if not held.exists() or (other := read_genesis(held)).network_hex == election.network_hex:
        return None
    if asked.relay or election.node_index(key.public_hex) is None:
        new = Command("node", "init", "--name", "NAME")
        step = NextStep(
            "Nothing was changed. A node is in one election: make another one for this with: {}", new
        )
    elif not may_leave(folder, other):
        step = NextStep(
            "Nothing was changed: it has votes of that election, or has signed in it. Stop it, copy its"
            " node.key alone into a new folder, and join with that: {}",
            asked._replace(data_dir=Path("FOLDER")).again(),
        )
    elif asked.yes and asked.network_hex is None:
        step = NextStep(
            "Nothing was changed. It has no votes there, so it may leave that election. Compare the network"
            " id with the organiser first, and give it: {}",
            asked.again("--network", "ID", "--yes"),
        )
    else:
        return other
    raise ConfigError(
        f"the node in {folder} has joined another election, {other.definition.title!r}, network"
        f" {other.network_hex[:16]}…",
        code="other-election",
        next_step=step,
    )


def _key(folder: Path, election: Election, asked: _Asked) -> SigningKey:
    """The key of the node; one is made for a relay alone. Raises ConfigError: no-key, bad-directory."""
    from votenet.config import private_dir
    from votenet.storage.key_store import NODE_KEY_NAME, load_or_make_key, read_key

    path = folder / NODE_KEY_NAME
    if folder.exists():
        private_dir(folder)
    if path.exists():
        return read_key(path, "node")
    if asked.relay or not election.named:
        return load_or_make_key(private_dir(folder) / NODE_KEY_NAME, "node")
    raise ConfigError(
        f"there is no key of a node in {folder}",
        code="no-key",
        next_step=NextStep(
            "If the election names your node, take the folder in which its key was made. Else make one with:"
            " {}, and hand the line in; or join as a relay: {}",
            asked.init,
            asked.again("--relay"),
        ),
    )


def _name_of(election: Election, key: SigningKey, asked: _Asked) -> str:
    """The name of the node in the election, or of a relay what it likes. Raises ConfigError: not-named."""
    from votenet.cli.election.election_setup import named_node

    usual = asked.name or asked.folder.name
    for node in election.definition.nodes:
        if node.node_key == key.public_hex:
            if named_node(node.name, key) == node:
                return node.name
            what = f"the election names {node.name!r} with this key, and with other keys beside it"
            break
    else:
        what = f"the election does not name the key of the node in {asked.folder}"
    if asked.relay or not election.named:
        return usual
    raise ConfigError(
        what,
        code="not-named",
        next_step=NextStep(
            "The organiser makes the election with the line that this prints: {}. To join as a relay, which"
            " decides nothing: {}",
            asked.init,
            asked.again("--relay"),
        ),
    )


def _with_roll(
    election: Election, folder: Path, left: Election | None, asked: _Asked
) -> tuple[Election, Path | None]:
    """The election with its roll, and the file of that.

    Args:
        left: the election that the node leaves for this one. The roll in the folder is of that.

    Raises:
        ConfigError: roll-missing, roll-mismatch, roll-not-used.
    """
    from votenet.cli.election.roll import ROLL_NAME, election_with_roll

    kept = folder / ROLL_NAME
    path = asked.roll or (kept if left is None and kept.exists() else None)
    try:
        return election_with_roll(election, path), path
    except ConfigError as error:
        if error.code in ("roll-missing", "roll-mismatch"):
            step = "Ask the organiser for the roll of this election, a file roll.json, then: {}"
            error.next_step = NextStep(step, asked.again("--roll", "roll.json"))
        raise


def _settings(folder: Path, offer: PageEntry, left: Election | None, asked: _Asked) -> dict[str, str]:
    """The variables of node.env: those of an earlier join, and over them what is asked for now.

    Of an election that was `left` only those stay that are of the machine.
    """
    path = folder / ENV_NAME
    found = read_env_file(path) if path.exists() else {}
    if left is not None:
        found = _of_machine(found)
    found |= {f"{PREFIX}DATA_DIR": str(folder.absolute())}
    found |= {f"{PREFIX}GENESIS": str((folder / GENESIS_NAME).absolute())}
    kept = found.get(f"{PREFIX}BOOTSTRAP", "")
    told = (kept,) if kept else tuple(map(str, offer.bootstraps))
    servers = _servers(asked.bootstrap or told, asked)
    found[f"{PREFIX}BOOTSTRAP"] = ",".join(map(str, servers))
    elsewhere = not all(is_own_host(server.host) for server in servers)
    found |= _addresses(found, elsewhere, asked)
    if asked.metrics is not None:
        found[f"{PREFIX}METRICS"] = str(asked.metrics)
    return found


def _of_machine(settings: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in settings.items() if name not in _OF_ELECTION}


def _servers(texts: tuple[str, ...], asked: _Asked) -> list[Address]:
    """The bootstrap servers. Raises ConfigError: no-bootstrap, bad-address."""
    try:
        servers = [parse_address(text) for several in texts for text in several.split(",")]
    except Rejected as error:
        raise ConfigError(error.message, code="bad-address", next_step=error.next_step) from error
    ask = NextStep(
        "Ask the organiser for the address of a bootstrap server, as others reach it: {}",
        asked.again("--bootstrap", "HOST:4000"),
    )
    if not servers:
        raise ConfigError("nobody says where this node finds the others", code="no-bootstrap", next_step=ask)
    far = is_page(asked.where) and not is_own_host(_host_of(asked.where))
    if far and not asked.bootstrap and (own := [one for one in servers if is_own_host(one.host)]):
        raise ConfigError(
            f"the page names the bootstrap server {own[0]}, which is this machine itself",
            code="bad-address",
            next_step=ask,
        )
    return servers


def _addresses(kept: Mapping[str, str], elsewhere: bool, asked: _Asked) -> dict[str, str]:
    """HOST, which may be several, PORT and ADVERTISE. Raises ConfigError: bad-address."""
    hosts = kept.get(f"{PREFIX}HOST", "").split() or ["127.0.0.1"]
    host = f"[{hosts[0]}]" if ":" in hosts[0] else hosts[0]
    usual = f"{host}:{kept.get(f'{PREFIX}PORT', DEFAULT_NODE_PORT)}"
    try:
        own = asked.advertise or (None if asked.listen else kept.get(f"{PREFIX}ADVERTISE"))
        if asked.advertise and not asked.listen:
            address = parse_address(asked.advertise)
            every = "::" if ":" in address.host else "0.0.0.0"
            listen = Address(address.host if is_loopback(address.host) else every, address.port)
        else:
            listen = parse_address(asked.listen or usual)
        advertised = parse_peer_address(own or str(listen))
    except Rejected as error:
        raise _bad_address(error.message, asked) from error
    if elsewhere and is_own_host(advertised.host):
        what = (
            f"others cannot dial {advertised}: it is their own machine" if own else "nobody says where others"
        )
        raise _bad_address(what if own else f"{what} reach this node", asked)
    return {
        f"{PREFIX}HOST": listen.host if asked.listen or asked.advertise else " ".join(hosts),
        f"{PREFIX}PORT": str(listen.port),
        f"{PREFIX}ADVERTISE": str(advertised),
    }


def _bad_address(what: str, asked: _Asked) -> ConfigError:
    return ConfigError(
        what,
        code="bad-address",
        next_step=NextStep(
            "Give the name or the address of this machine as others reach it: {}",
            asked.again("--advertise", "HOST:3000"),
        ),
    )


# -- what the operator sees --------------------------------------------------------------------------


def _show(offer: PageEntry, name: str, settings: Mapping[str, str], asked: _Asked) -> None:
    ui.print_fields("The election to join:", list(_fields(offer, name, settings, asked)))


def _fields(
    offer: PageEntry, name: str, settings: Mapping[str, str], asked: _Asked
) -> Iterator[tuple[str, str]]:
    from votenet.cli.election.card_words import hours_text
    from votenet.cli.election.network_id import id_fields

    election, definition = offer.election, offer.election.definition
    yield from id_fields(election)
    yield "title", definition.title
    if definition.organiser:
        yield "organiser", definition.organiser
    if hours := hours_text(definition, definition.closes):
        yield "hours", hours
    for contest in definition.contests:
        yield "contest", f"{contest.title}: {', '.join(one.name for one in contest.candidates)}"
    if definition.nodes:
        yield "nodes", ", ".join(node.name for node in definition.nodes)
    named = any(node.name == name for node in definition.nodes) and not asked.relay
    yield "this node", f"{name}, {'named by the election' if named else 'a relay'}"
    port = int(settings[f"{PREFIX}PORT"])
    yield "listens on", ", ".join(str(Address(host, port)) for host in settings[f"{PREFIX}HOST"].split())
    yield "found at", settings[f"{PREFIX}ADVERTISE"]
    yield "bootstrap", settings[f"{PREFIX}BOOTSTRAP"]
    yield "folder", settings[f"{PREFIX}DATA_DIR"]


def _warnings(offer: PageEntry, left: Election | None, asked: _Asked) -> Iterator[str]:
    """What the operator should know before the answer."""
    if left is not None:
        yield (
            f"The node leaves the election that it had joined, {left.definition.title!r}, network"
            f" {left.network_hex}. It has no votes there and has signed nothing; its files of it are kept."
        )
    plain = asked.where.lower().startswith("http://")
    if plain and asked.network_hex is None and not is_loopback(_host_of(asked.where)):
        yield (
            "Without TLS anybody on the way can put in another election: compare the network id with the"
            " organiser, by telephone, or give it: --network ID"
        )
    ahead = offer.clock_ahead or 0.0
    if abs(ahead) > CLOCK_SECONDS:
        which = "ahead of" if ahead > 0 else "behind"
        yield (
            f"The clock of this machine is {ui.duration(abs(ahead))} {which} that of the page. Set the one"
            " right that is wrong (timedatectl shows it): a node with a wrong clock is of no use."
        )


def _check_stopped(folder: Path, asked: _Asked) -> None:
    """Raises Locked: the node runs, as far as can be seen."""
    from votenet.storage.files import is_locked, last_holder

    if is_locked(folder / "lock"):
        raise Locked(
            f"the node in {folder} runs already, with pid {last_holder(folder / 'lock')}",
            next_step=NextStep(
                "It has joined, and nothing was changed. To change its settings alone: {}",
                asked.again("--no-start"),
            ),
        )


def _confirm(election: Election, asked: _Asked) -> None:
    if asked.yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError("without a terminal to ask at, add --yes.")
    if not click.confirm(f"Join the election {election.definition.title!r}?", err=True):
        ui.say("Not joined.")
        raise click.exceptions.Exit(130)


# -- what is written ---------------------------------------------------------------------------------


def _forget(folder: Path, roll: Path | None) -> None:
    """Remove the settings and the roll of an election that was left; copies are where its chain is now.

    This comes before the new genesis file: beside that, a join that is tried again would take them for its
    own.

    Args:
        roll: of the new election, which may have been put into the folder already.

    Raises:
        ConfigError: bad-value. StorageError: a file cannot be changed.
    """
    from votenet.cli.election.roll import ROLL_NAME

    env, kept = folder / ENV_NAME, folder / ROLL_NAME
    if env.exists():
        write_env_file(env, _of_machine(read_env_file(env)))
    if roll is None or roll.absolute() != kept.absolute():
        with StorageError.of_os_errors(f"cannot change {folder}", next_step="Check the owner and the disk."):
            kept.unlink(missing_ok=True)


def _write(folder: Path, election: Election, roll: Path | None, settings: Mapping[str, str]) -> None:
    """Genesis file, roll and settings, the settings last. Raises ConfigError: bad-value; StorageError."""
    from votenet.cli.election.roll import ROLL_NAME
    from votenet.storage.files import write_atomically

    found = dict(settings)
    check_values(found)
    write_atomically(folder / GENESIS_NAME, election.to_file())
    if roll is not None:
        kept = folder / ROLL_NAME
        if roll.absolute() != kept.absolute():
            write_atomically(kept, _roll_file(roll))
        found[f"{PREFIX}ROLL"] = str(kept.absolute())
    write_env_file(folder / ENV_NAME, found)


def _roll_file(path: Path) -> bytes:
    from votenet.cli.election.roll import read_roll

    return read_roll(path).to_file()


def _say_joined(election: Election, folder: Path, start: Command, asked: _Asked) -> None:
    if asked.as_json:
        files = {"data_dir": str(folder), "env_file": str(folder / ENV_NAME)}
        ui.echo_json({"network_id": election.network_hex, **files, "start": ["votenet", *start]})
        return
    ui.echo(f"Joined. Settings are in {folder / ENV_NAME}.")
    ui.echo(f"Start it with: {start}")
