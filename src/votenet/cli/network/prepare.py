"""What `votenet up` decides before anything runs: election, ports, settings, what goes on from last time.

The same without leaving a trace, for `--dry-run`; and the difference to a network that runs.
"""

from __future__ import annotations

import contextlib
import dataclasses
import shlex
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from votenet.cli import ui
from votenet.cli.election.election_from_file import genesis_from_file, page_settings_of
from votenet.cli.election.election_setup import check_kernel, prepare_genesis
from votenet.cli.election.roll import roll_path
from votenet.cli.network.named_programs import check_quorum, named_programs, refuse_below_quorum
from votenet.cli.network.page import change_page, make_page, page_of_last_time
from votenet.config import DEFAULT_BOOTSTRAP_PORT, DEFAULT_NODE_PORT, InstanceDirs
from votenet.errors import Command, ConfigError, NextStep, NotRunning, VotenetError
from votenet.processes import instance, ports
from votenet.processes.control import ask
from votenet.processes.identity import leftovers, read_identities
from votenet.processes.instance import Claim
from votenet.processes.reconcile import adoptable, end_leftovers
from votenet.processes.restart import RestartPolicy
from votenet.processes.signals import need_pidfds
from votenet.processes.spec import PAGE_NODES, NetworkSpec, WebSpec, expand, votenet_program
from votenet.protocol.wire.address import parse_address
from votenet.storage.files import FileLock
from votenet.storage.genesis_file import read_genesis

ELECTION: Final = (
    "title", "candidates", "candidates_from", "choice_column", "difficulty", "max_choices", "method",
    "opens", "closes", "roll", "genesis", "named_nodes", "grace", "witnesses", "file",
)  # fmt: skip
"""Options that define the election: fixed once it is made."""
_ASKED: Final = (*ELECTION, "kernel", "nodes")
POLICY: Final = {"restart_limit": "limit", "restart_window": "window", "restart_max_delay": "max_delay"}
"""Options to fields of `RestartPolicy`."""
GRACE: Final = 10.0


def as_last_time(
    dirs: InstanceDirs, options: Mapping[str, Any], given: Collection[str]
) -> tuple[dict[str, Any], list[str]]:
    """The options, those that are not given as they were when this network ran last; and that in words.

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
        **page_of_last_time(last),
    }
    kept = {name: value for name, value in before.items() if name not in given and value != options[name]}
    merged |= kept
    return merged, [_as_typed(name, value) for name, value in kept.items()]


def _as_typed(name: str, value: Any) -> str:
    option = name.replace("_", "-")
    if isinstance(value, bool):
        return f"--{option}" if value else f"--no-{option}"
    return f"--{option} {value}"


def prepare(
    dirs: InstanceDirs, lock: FileLock, options: Mapping[str, Any], *, adopt: bool
) -> tuple[NetworkSpec, Claim]:
    """The network to start; everything that can be refused is refused here, before anything is stopped.

    Args:
        adopt: whether programs of a dead supervisor may go on.
    """
    need_pidfds()
    policy = make_policy(options)
    genesis = _genesis(dirs, options)
    options = _with_page_of_file(options)
    if not options["force"]:
        _check_named(dirs, genesis, options["nodes"])
    lease = _lease(dirs, options)
    try:
        network_id, roll = read_genesis(genesis).network_hex, roll_path(dirs).exists()
        page, moved = _lease_page(dirs, options, lease, network_id, roll)
        network = _network(dirs, options, lease.block, str(genesis), policy, roll, page)
        with instance.saving_network(dirs, network):  # a full disk refuses before anything is stopped
            _end_others(dirs, network, adopt=adopt)
    except BaseException:
        lease.release()
        raise
    if lease.moved or lease.block.bootstrap != DEFAULT_BOOTSTRAP_PORT:
        why = lease.moved or "as asked, or as last time"
        ui.say(f"ports: {lease.block} ({why})")
    if moved:
        ui.say(f"page: port {page.port if page else 0} ({moved})")
    return network, Claim(lock, lease.locks)


def _with_page_of_file(options: Mapping[str, Any]) -> Mapping[str, Any]:
    """The options, with what the election file says of the page where they say nothing."""
    if not options["file"]:
        return options
    said = page_settings_of(options["file"])
    return {**options, **{name: options[name] or value for name, value in said.items()}}


def _end_others(dirs: InstanceDirs, network: NetworkSpec, *, adopt: bool) -> None:
    """End what a dead supervisor left and may not go on. Raises VotenetError: leftovers."""
    keep = adoptable(dirs, expand(network, dirs)) if adopt else {}
    _, problems = end_leftovers(dirs, GRACE, ui.say, {record.pid for record in keep.values()})
    if problems:
        raise VotenetError(
            "; ".join(problems), code="leftovers", next_step="End these processes, then try again."
        )


def _check_named(dirs: InstanceDirs, genesis: Path, nodes: int) -> None:
    """Refuse a start with fewer nodes than before, where too few named nodes would be up."""
    election = read_genesis(genesis)
    named = named_programs(dirs, election)
    again = Command("up", "--nodes", str(nodes), "--force")
    refuse_below_quorum(election, named, named, named & {f"node-{n}" for n in range(1, nodes + 1)}, again)


def clear_for(dirs: InstanceDirs, network: NetworkSpec, tell: Callable[[str], None]) -> list[int]:
    """End what may not go on of a network; the ports of what may."""
    keep = adoptable(dirs, expand(network, dirs))
    end_leftovers(dirs, network.grace, tell, {record.pid for record in keep.values()})
    return [parse_address(record.address).port for record in keep.values()]


def dry_run(dirs: InstanceDirs, options: Mapping[str, Any], *, adopt: bool) -> dict[str, Any]:
    """What `prepare` would do; leaves nothing behind but free port locks."""
    from votenet.storage.blocks.tables import DATABASE_NAME

    policy = make_policy(options)
    with tempfile.TemporaryDirectory(prefix="votenet-dry-") as folder:
        copy = dataclasses.replace(dirs, state=Path(folder))
        for name in ("genesis.json", "roll.json"):
            if (dirs.state / name).exists():
                shutil.copy(dirs.state / name, folder)
        for database in dirs.state.glob(f"node-*/{DATABASE_NAME}"):  # there are votes: that matters
            (copy.state / database.parent.name).mkdir()
            (copy.state / database.parent.name / DATABASE_NAME).touch()
        genesis = _genesis(copy, options)
        if not options["force"]:
            _check_named(dirs, genesis, options["nodes"])
        roll = roll_path(copy).exists()
    options = _with_page_of_file(options)
    made = dirs.genesis.exists()
    lease = _lease(dirs, options)
    try:
        network_id = read_genesis(dirs.genesis).network_hex if made else ""  # that of the next one is open
        page, moved = _lease_page(dirs, options, lease, network_id, roll)
    finally:
        lease.release()
    network = _network(dirs, options, lease.block, str(dirs.genesis), policy, roll, page)
    goes_on = adoptable(dirs, expand(network, dirs)) if adopt else {}
    kept = {record.pid for record in goes_on.values()}
    return {
        "dry_run": True,
        "instance": dirs.instance,
        "state": str(dirs.state),
        "run": str(dirs.run),
        "genesis": str(dirs.genesis),
        "election": "goes on" if made else "is made",
        "ports_moved": "; ".join(filter(None, (lease.moved, moved))) or None,
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
        given: the options that the user wrote: on the command line, in the environment or a file.

    Raises:
        ConfigError: what was asked cannot change while the network runs.
    """
    _refuse_other_ports(status, options, given)
    if any(name in given for name in ELECTION):
        _genesis(dirs, {name: options[name] if name in given else None for name in _ASKED})
    asked: dict[str, Any] = {"nodes": options["nodes"]} if "nodes" in given else {}
    if asked and not options["force"]:
        again = Command("up", "--nodes", str(options["nodes"]), "--force")
        check_quorum(dirs, status, beyond(status, options["nodes"]), again)
    settings: dict[str, Any] = {}
    if "kernel" in given:
        check_kernel(options["kernel"])
        settings["node_args"] = list(_node_args(dirs, options, roll_path(dirs).exists()))
    if "hang_timeout" in given:
        settings["hang_seconds"] = options["hang_timeout"]
    if {*POLICY, "give_up"}.intersection(given):
        base = msgspec.convert(status["settings"]["policy"], RestartPolicy)
        settings["policy"] = msgspec.to_builtins(make_policy(options, base, given))
    if (page := change_page(status, options, given, _roll_file(dirs, roll_path(dirs).exists()))) is not None:
        settings["web"] = page
    if settings:
        asked["settings"] = settings
    return asked


def beyond(status: Mapping[str, Any], nodes: int) -> list[str]:
    """The nodes of a running network that stop when it gets `nodes` nodes."""
    return [f"node-{number}" for number in range(nodes + 1, len(status["nodes"]) + 1)]


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
                next_step=NextStep(
                    "Ports change only with a new start. Stop it first with: {}", Command("down")
                ),
            )


def make_policy(
    options: Mapping[str, Any], base: RestartPolicy | None = None, given: Collection[str] | None = None
) -> RestartPolicy:
    """The restart policy out of options. Raises ConfigError if its limit could never fire."""
    base = base or RestartPolicy()
    names = [name for name in POLICY if options[name] is not None and (given is None or name in given)]
    fields = {POLICY[name]: options[name] for name in names}
    if given is None or "give_up" in given:
        fields["retry_removed"] = None if options["give_up"] else RestartPolicy().retry_removed
    return dataclasses.replace(base, **fields)


def _genesis(dirs: InstanceDirs, options: Mapping[str, Any]) -> Path:
    wanted = {name: options[name] for name in _ASKED}
    if wanted.pop("file"):
        return genesis_from_file(dirs, options, say=ui.say)
    lists = {name: wanted[name] or () for name in ("candidates", "witnesses")}
    return prepare_genesis(dirs, **wanted | lists, say=ui.say)


def _node_args(dirs: InstanceDirs, options: Mapping[str, Any], roll: bool) -> tuple[str, ...]:
    kernel = ("--kernel", options["kernel"]) if options["kernel"] else ()
    return (*kernel, *(("--roll", _roll_file(dirs, roll)) if roll else ()))


def _roll_file(dirs: InstanceDirs, roll: bool) -> str:
    return str(roll_path(dirs)) if roll else ""


def _network(
    dirs: InstanceDirs,
    options: Mapping[str, Any],
    block: ports.PortBlock,
    genesis: str,
    policy: RestartPolicy,
    roll: bool,
    page: WebSpec | None,
) -> NetworkSpec:
    return NetworkSpec(
        instance=dirs.instance,
        genesis=genesis,
        bootstrap_port=block.bootstrap,
        node_ports=block.nodes,
        node_args=_node_args(dirs, options, roll),
        program=tuple(shlex.split(options["program"])) if options["program"] else votenet_program(),
        hang_seconds=options["hang_timeout"],
        policy=policy,
        web=page,
    )


def _lease(dirs: InstanceDirs, options: Mapping[str, Any]) -> ports.Lease:
    return ports.choose(
        options["nodes"],
        bootstrap_port=options["bootstrap_port"],
        node_port=options["node_port"],
        preferred=ports_of_last_run(dirs, options["nodes"]),
        ours=_ports_of_leftovers(dirs),
    )


def _lease_page(
    dirs: InstanceDirs, options: Mapping[str, Any], lease: ports.Lease, network_id: str, roll: bool
) -> tuple[WebSpec | None, str]:
    """The page, and why its port is not the usual one; the lease gets its lock."""
    last = None
    with contextlib.suppress(ConfigError):
        last = instance.load_network(dirs).web
    page, locks, moved = make_page(
        options, network_id, _roll_file(dirs, roll), last, _ports_of_leftovers(dirs)
    )
    lease.locks.extend(locks)
    return page, moved


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


def ports_of_last_run(dirs: InstanceDirs, nodes: int) -> ports.PortBlock | None:
    """The ports of the last run: peers and scripts may remember them, and adopted programs have them."""
    try:
        last = instance.load_network(dirs)
    except ConfigError:
        return None
    used = last.node_ports[:nodes]
    first = used[-1] + 1 if used else DEFAULT_NODE_PORT
    return ports.PortBlock(last.bootstrap_port, (*used, *range(first, first + nodes - len(used))))


# -- shown and not done ----------------------------------------------------------------------------


def show_dry_run(
    dirs: InstanceDirs, *, detach: bool, as_json: bool, options: Mapping[str, Any], given: Collection[str]
) -> None:
    """Print what `up` would do. Raises VotenetError: what `up` would refuse."""
    try:
        status = ask(dirs, {"command": "status"})
    except NotRunning:
        merged, kept = as_last_time(dirs, options, given)
        if kept:
            ui.say(f"as last time: {', '.join(kept)}")
        plan = dry_run(dirs, merged, adopt=detach)
        _print(plan, _start_lines(plan), as_json)
        return
    request = change(dirs, status, options, given)
    nodes = request.get("nodes", len(status["nodes"]))
    idle = lies_idle(status["programs"])
    show_change(status, nodes, as_json, settings=request.get("settings", {}), idle=idle, asked=bool(request))


def show_change(
    status: Mapping[str, Any],
    nodes: int,
    as_json: bool,
    *,
    settings: Mapping[str, Any] | None = None,
    idle: Collection[str] = (),
    asked: bool = True,
) -> None:
    """Print what another number of nodes, or other settings, would do to a running network.

    Args:
        idle: what is started again.
        asked: whether a number or settings were given; then restarts that are due are done, too.
    """
    has = len(status["nodes"])
    changed = {
        name: value for name, value in (settings or {}).items() if value != status["settings"].get(name)
    }
    stops, starts = beyond(status, nodes), [f"node-{number}" for number in range(has + 1, nodes + 1)]
    has_page = any(program["role"] == "web" for program in status["programs"])
    if page := changed.get("web"):
        stops += ["web"] if has_page and not page["on"] else []
        starts += ["web"] if page["on"] and not has_page else []
    due = asked and not changed and nodes == has
    restarts = [name for name in _restarts(status, nodes, changed, due=due) if name not in stops]
    plan = {
        "dry_run": True,
        "instance": status["instance"],
        "stops": stops,
        "starts": [name for name in idle if name not in stops] + starts,
        "settings": changed,
        "restarts": restarts,
    }
    _print(plan, _change_lines(plan, has), as_json)


def _restarts(status: Mapping[str, Any], nodes: int, changed: Collection[str], *, due: bool) -> Iterator[str]:
    """The running programs that a change restarts.

    Args:
        due: nothing is changed, and what an interrupted change has left is done.
    """
    has = len(status["nodes"])
    told_others = min(has, PAGE_NODES) != min(nodes, PAGE_NODES)  # a page is told the first nodes
    changes = {"node": "node_args" in changed, "web": "web" in changed or told_others}
    for program in status["programs"]:
        if program["state"] in ("stopped", "removed", "failed"):
            continue
        if program.get("outdated") if due else changes.get(program["role"], False):
            yield program["name"]


def _print(plan: Mapping[str, Any], lines: Iterator[str], as_json: bool) -> None:
    if as_json:
        ui.echo_json(plan)
        return
    for line in lines:
        ui.echo(line)


def _start_lines(plan: Mapping[str, Any]) -> Iterator[str]:
    yield f"Nothing was started. {plan['instance']!r} would be:"
    yield f"  state      {plan['state']}"
    yield f"  sockets    {plan['run']}"
    yield f"  election   {plan['genesis']} ({plan['election']})"
    if plan["ports_moved"]:
        yield f"  ports      moved: {plan['ports_moved']}"
    for stopped in plan["stops"]:
        yield f"  stops      {stopped}, left from a supervisor that died"
    for program in plan["programs"]:
        adopts = f"  (pid {program['adopts_pid']} goes on)" if program["adopts_pid"] else ""
        yield f"{program['name']}  {program['address']}  {program['data_dir']}{adopts}"
        yield f"    {shlex.join(program['argv'])}"


def _change_lines(plan: Mapping[str, Any], has: int) -> Iterator[str]:
    changes = [(word, plan[word]) for word in ("stops", "starts", "restarts") if plan[word]]
    if not changes and not plan["settings"]:
        yield f"Nothing would change: {plan['instance']!r} runs with {has} nodes."
        return
    yield f"Nothing was changed. {plan['instance']!r}, which runs with {has} nodes, would get:"
    for word, names in changes:
        yield f"  {word:<9} {', '.join(names)}"
    for name, value in plan["settings"].items():
        value = ", ".join(f"{key} {one}" for key, one in value.items()) if name == "web" else value
        yield f"  {name:<9} {value}"
