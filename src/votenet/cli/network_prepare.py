"""What `votenet up` decides before anything runs: election, ports, settings, what goes on from last time.

What lives here: options to a `NetworkSpec` and a `Claim`; the same without leaving a trace, for
`--dry-run`; the difference to a network that runs. What must not: starting anything, options themselves
(`network.py`).
"""

from __future__ import annotations

import contextlib
import dataclasses
import shlex
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from votenet.cli.election_setup import check_kernel
from votenet.cli.network_view import say
from votenet.config import DEFAULT_BOOTSTRAP_PORT, DEFAULT_NODE_PORT, InstanceDirs
from votenet.errors import ConfigError, VotenetError
from votenet.processes import instance, ports
from votenet.processes.files import FileLock
from votenet.processes.identity import leftovers, read_identities
from votenet.processes.instance import Claim
from votenet.processes.reconcile import adoptable, end_leftovers
from votenet.processes.restart import RestartPolicy
from votenet.processes.signals import need_pidfds
from votenet.processes.spec import NetworkSpec, expand, votenet_program
from votenet.protocol.address import parse_address

ELECTION: Final = (
    "title", "candidates", "candidates_from", "choice_column", "difficulty", "max_choices", "method",
    "opens", "closes", "roll", "genesis",
)  # fmt: skip
"""Options that define the election: fixed once it is made."""
_ASKED: Final = (*ELECTION, "kernel")
POLICY: Final = {"restart_limit": "limit", "restart_window": "window", "restart_max_delay": "max_delay"}
"""Options to fields of `RestartPolicy`."""
GRACE: Final = 10.0


def as_last_time(
    dirs: InstanceDirs, options: Mapping[str, Any], given: Collection[str]
) -> tuple[dict[str, Any], list[str]]:
    """The options, with what nobody wrote as it was when this network ran last; and that in words.

    A network of seven does not become one of five because its supervisor was killed.
    """
    merged = dict(options)
    try:
        last = instance.load_network(dirs)
    except ConfigError:
        return merged, []
    kernel = last.node_args[last.node_args.index("--kernel") + 1] if "--kernel" in last.node_args else None
    usual = RestartPolicy()
    fields = {option: getattr(last.policy, field) for option, field in POLICY.items()}
    before = {
        "nodes": len(last.node_ports),
        "kernel": kernel,
        "hang_timeout": last.hang_seconds,
        "give_up": last.policy.retry_removed is None,
        **{name: None if value == getattr(usual, POLICY[name]) else value for name, value in fields.items()},
    }
    kept = {name: value for name, value in before.items() if name not in given and value != options[name]}
    merged |= kept
    words = [
        f"--{name.replace('_', '-')}" + ("" if value is True else f" {value}") for name, value in kept.items()
    ]
    return merged, words


def prepare(
    dirs: InstanceDirs, lock: FileLock, options: Mapping[str, Any], *, adopt: bool
) -> tuple[NetworkSpec, Claim]:
    """Everything that can be refused is refused here, before anything is stopped or started.

    Args:
        lock: the instance's, held.
        adopt: whether programs of a dead supervisor may go on.

    Raises:
        VotenetError: with the exit code that the help of `votenet up` lists.
    """
    need_pidfds()
    policy = make_policy(options)
    genesis = prepare_genesis(dirs, options)
    lease = _lease(dirs, options)
    try:
        network = _network(dirs, options, lease.block, str(genesis), policy)
        keep = adoptable(dirs, expand(network, dirs)) if adopt else {}
        _clear(dirs, {record.pid for record in keep.values()})
        instance.save_network(dirs, network)
    except BaseException:
        lease.release()
        raise
    if lease.moved or lease.block.bootstrap != DEFAULT_BOOTSTRAP_PORT:
        why = lease.moved or "as asked, or as last time"
        say(f"ports: {lease.block} ({why})")
    return network, Claim(lock, lease.locks)


def _clear(dirs: InstanceDirs, keep: Collection[int]) -> None:
    _, problems = end_leftovers(dirs, GRACE, say, keep)
    if problems:
        raise VotenetError(
            "; ".join(problems), code="leftovers", next_step="End these processes, then try again."
        )


def clear_for(dirs: InstanceDirs, network: NetworkSpec, tell: Callable[[str], None]) -> list[int]:
    """End what may not go on of a network; the ports of what may."""
    keep = adoptable(dirs, expand(network, dirs))
    end_leftovers(dirs, network.grace, tell, {record.pid for record in keep.values()})
    return [parse_address(record.address).port for record in keep.values()]


def dry_run(dirs: InstanceDirs, options: Mapping[str, Any], *, adopt: bool) -> dict[str, Any]:
    """What `up` would do for an instance that does not run; leaves nothing behind but free port locks.

    Raises: as `prepare` does.
    """
    from votenet.storage.block_store import DATABASE_NAME

    policy = make_policy(options)
    with tempfile.TemporaryDirectory(prefix="votenet-dry-") as folder:
        copy = dataclasses.replace(dirs, state=Path(folder))
        for name in ("genesis.json", "roll.json"):
            if (dirs.state / name).exists():
                shutil.copy(dirs.state / name, folder)
        for database in dirs.state.glob(f"node-*/{DATABASE_NAME}"):  # there are votes: that matters
            (copy.state / database.parent.name).mkdir()
            (copy.state / database.parent.name / DATABASE_NAME).touch()
        prepare_genesis(copy, options)
        roll = (copy.state / "roll.json").exists()
    lease = _lease(dirs, options)
    lease.release()
    network = _network(dirs, options, lease.block, str(dirs.genesis), policy, roll=roll)
    goes_on = adoptable(dirs, expand(network, dirs)) if adopt else {}
    kept = {record.pid for record in goes_on.values()}
    return {
        "dry_run": True,
        "instance": dirs.instance,
        "state": str(dirs.state),
        "run": str(dirs.run),
        "genesis": str(dirs.genesis),
        "election": "goes on" if dirs.genesis.exists() else "is made",
        "ports_moved": lease.moved or None,
        "stops": [f"{left.name} (pid {left.pid})" for left in leftovers(dirs) if left.pid not in kept],
        "programs": [
            {
                "name": program.name,
                "address": str(program.address),
                "data_dir": str(program.data_dir),
                "argv": list(program.argv),
                "adopts_pid": goes_on[program.name].pid if program.name in goes_on else None,
            }
            for program in expand(network, dirs)
        ],
    }


def change(
    dirs: InstanceDirs, status: Mapping[str, Any], options: Mapping[str, Any], given: Collection[str]
) -> dict[str, Any]:
    """The control request that makes a running network as asked; `{}` if nothing was asked.

    Args:
        status: of the running network.
        given: the options that somebody wrote: on the command line, in the environment or a file.

    Raises:
        ConfigError: what was asked cannot change while the network runs.
    """
    _refuse_other_ports(status, options, given)
    if any(name in given for name in ELECTION):
        prepare_genesis(dirs, {name: options[name] if name in given else None for name in _ASKED})
    asked: dict[str, Any] = {"nodes": options["nodes"]} if "nodes" in given else {}
    settings: dict[str, Any] = {}
    if "kernel" in given:
        check_kernel(options["kernel"])
        settings["node_args"] = list(_node_args(dirs, options, roll_path_exists(dirs)))
    if "hang_timeout" in given:
        settings["hang_seconds"] = options["hang_timeout"]
    if {*POLICY, "give_up"}.intersection(given):
        base = msgspec.convert(status["settings"]["policy"], RestartPolicy)
        settings["policy"] = msgspec.to_builtins(make_policy(options, base, given))
    if settings:
        asked["settings"] = settings
    return asked


def lies_idle(programs: Iterable[Mapping[str, Any]]) -> list[str]:
    """What of a running network `up` starts again: not what one that is just starting has not come to yet."""
    return [
        one["name"]
        for one in programs
        if one["state"] in ("removed", "failed") or (one["state"] == "stopped" and one["cause"] is not None)
    ]


def _refuse_other_ports(
    status: Mapping[str, Any], options: Mapping[str, Any], given: Collection[str]
) -> None:
    has = {"bootstrap_port": status["bootstrap"], "node_port": (status["nodes"] or [None])[0]}
    for name, address in has.items():
        if name in given and address and options[name] != parse_address(address).port:
            raise ConfigError(
                f"{status['instance']!r} runs with another --{name.replace('_', '-')} ({address})",
                code="cannot-change",
                next_step="Ports change only with a new start. Stop it first with: votenet down",
            )


def make_policy(
    options: Mapping[str, Any], base: RestartPolicy | None = None, given: Collection[str] | None = None
) -> RestartPolicy:
    """The restart policy out of options. Raises ConfigError if its limit could never fire."""
    base = base or RestartPolicy()
    names = [name for name in POLICY if options[name] is not None and (given is None or name in given)]
    fields = {POLICY[name]: options[name] for name in names}
    if options["give_up"] and (given is None or "give_up" in given):
        fields["retry_removed"] = None
    return dataclasses.replace(base, **fields)


def prepare_genesis(dirs: InstanceDirs, options: Mapping[str, Any]) -> Path:
    """Make or reuse the election of this instance."""
    from votenet.cli.election_setup import prepare_genesis as prepare_it

    wanted = {name: options[name] for name in _ASKED}
    wanted["candidates"] = wanted["candidates"] or ()
    path: Path = prepare_it(dirs, **wanted, say=say)
    return path


def roll_path_exists(dirs: InstanceDirs) -> bool:
    """Whether the election of this instance has a roll."""
    return bool(roll_args(dirs))


def roll_args(dirs: InstanceDirs) -> tuple[str, ...]:
    """What tells a node where the roll is, if the election has one."""
    from votenet.cli.election_setup import roll_path

    return ("--roll", str(roll_path(dirs))) if roll_path(dirs).exists() else ()


def _node_args(dirs: InstanceDirs, options: Mapping[str, Any], roll: bool) -> tuple[str, ...]:
    from votenet.cli.election_setup import roll_path

    kernel = ("--kernel", options["kernel"]) if options["kernel"] else ()
    return (*kernel, *(("--roll", str(roll_path(dirs))) if roll else ()))


def _network(
    dirs: InstanceDirs,
    options: Mapping[str, Any],
    block: ports.Block,
    genesis: str,
    policy: RestartPolicy,
    *,
    roll: bool | None = None,
) -> NetworkSpec:
    return NetworkSpec(
        instance=dirs.instance,
        genesis=genesis,
        bootstrap_port=block.bootstrap,
        node_ports=block.nodes,
        node_args=_node_args(dirs, options, roll_path_exists(dirs) if roll is None else roll),
        program=tuple(shlex.split(options["program"])) if options["program"] else votenet_program(),
        hang_seconds=options["hang_timeout"],
        policy=policy,
    )


def _lease(dirs: InstanceDirs, options: Mapping[str, Any]) -> ports.Lease:
    return ports.choose(
        options["nodes"],
        bootstrap_port=options["bootstrap_port"],
        node_port=options["node_port"],
        preferred=_last_block(dirs, options["nodes"]),
        ours=_ports_of_leftovers(dirs),
    )


def _ports_of_leftovers(dirs: InstanceDirs) -> set[int]:
    """Ports that programs of a dead supervisor have: they go on, or are ended before anything is started.

    A record may not tell of a process yet (its supervisor died in between) or be damaged: the plan helps.
    """
    names = {left.name for left in leftovers(dirs)}
    told = {name: record.address for name, record in read_identities(dirs).items() if record}
    with contextlib.suppress(ConfigError):
        network = instance.load_network(dirs)
        told = {spec.name: str(spec.address) for spec in expand(network, dirs)} | told
    return {parse_address(told[name]).port for name in names if name in told}


def _last_block(dirs: InstanceDirs, nodes: int) -> ports.Block | None:
    """The ports of the last run: peers and scripts may remember them, and adopted programs have them."""
    try:
        last = instance.load_network(dirs)
    except ConfigError:
        return None
    used = last.node_ports[:nodes]
    first = used[-1] + 1 if used else DEFAULT_NODE_PORT
    return ports.Block(last.bootstrap_port, (*used, *range(first, first + nodes - len(used))))
