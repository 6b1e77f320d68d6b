"""Members invited, enrolled, taken into the roll; and those who come later, approved by the authority."""

from __future__ import annotations

import csv
import json
import shlex
import stat
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Event

import pytest
from tests.cli.conftest import CommandResult, node_of

from support.amendments import AUTHORITY
from support.elections import key_of, make_election, named_nodes
from support.lying_node import lying_node
from support.secret_definitions import SecretSetup
from votenet.cli.election import enrol
from votenet.cli.election.card_page import Card
from votenet.cli.election.election_from_file import load_source, read_source
from votenet.cli.election.roll import write_roll
from votenet.config import instance_dirs, private_dir
from votenet.core.election.roll import Roll
from votenet.core.election.voting_code import key_of_code, read_code
from votenet.errors import Locked
from votenet.storage.enrolment_store import EnrolmentStore, InvitationsFile
from votenet.storage.files import FileLock
from votenet.storage.key_store import AUTHORITY as OWNER
from votenet.storage.key_store import KeyStore

Cli = Callable[..., CommandResult]
TEXT = 'title = "Board"\ndifficulty = 8\n[[contests]]\ncandidates = ["Ann", "Bo"]\n'


class Club:
    """A folder with a list of members, an election file, and the command line."""

    def __init__(self, cli: Cli, folder: Path) -> None:
        self.cli, self.folder = cli, folder
        self.store = EnrolmentStore(folder / "enrolment")
        (folder / "m.csv").write_text("id,name\nann,Ann\nbo,=HYPERLINK(1)\ncy,Cy\n")
        self.file = folder / "e.toml"
        self.file.write_text('enrolment = "enrolment"\npublic_url = "https://vote.example"\n' + TEXT)

    def invite(self, output: str, *options: str) -> CommandResult:
        where = ("-o", str(self.folder / output), "--enrolment", str(self.store.folder))
        return self.cli(
            "voters", "invite", str(self.folder / "m.csv"), "-f", str(self.file), *where, *options
        )

    def invitations(self, output: str) -> dict[str, str]:
        with (self.folder / output).open(encoding="utf-8-sig") as file:
            return {row["id"]: row["invitation"] for row in csv.DictReader(file)}


@pytest.fixture
def club(cli: Cli, tmp_path: Path) -> Club:
    return Club(cli, tmp_path)


def public(name: str) -> str:
    return key_of(name).public_hex


def test_invitations_are_for_their_member_alone_and_stay_when_others_are_invited(club: Club) -> None:
    done = club.invite("i.csv")
    assert (done.code, "Wrote 3 invitations" in done.out, "vote.example/enrol" in done.out) == (0, True, True)
    text = (club.folder / "i.csv").read_text()
    assert ("bo,'=HYPERLINK(1)," in text, "https://vote.example/enrol#" in text) == (True, True)
    assert stat.S_IMODE((club.folder / "i.csv").stat().st_mode) == 0o600
    uuid = club.store.invitations().uuid
    first = club.invitations("i.csv")
    for invitation in first.values():
        read_code(invitation)
    assert "[file-exists]" in club.invite("i.csv").err
    assert "All members were invited before." in club.invite("j.csv").out
    (club.folder / "m.csv").write_text("id,name\nann,Ann\nbo,Bo\ncy,Cy\ndan,<b>Dan\n")
    club.store.enrol(first["ann"], public("ann"), 5)
    again = json.loads(club.invite("j.html", "--again", "ann", "--json").out)
    assert (again["invitations"], again["members"]) == (2, 4)
    page = (club.folder / "j.html").read_text()
    assert (page.count("<section"), "&lt;b&gt;Dan" in page, "/enrol</strong>" in page) == (2, True, True)
    assert (club.store.invitations().uuid, club.store.enrolled()) == (uuid, {}), "the first key is dropped"
    assert club.store.enrol(first["bo"], public("bo"), 6).voter_id == "bo"
    assert "[not-on-roll]" in club.invite("k.csv", "--again", "eve").err
    (club.folder / "m.csv").write_text("id,name\nzoe,Zoe\n")
    assert (club.invite("z.csv").code, len(club.store.invitations().members)) == (0, 5)
    assert club.store.enrol(first["cy"], public("cy"), 7).voter_id == "cy", "a later list drops nobody"
    told = json.loads(club.cli("voters", "status", "--enrolment", str(club.store.folder), "--json").out)
    assert (told["invited"], told["enrolled"]) == (5, 2)
    shown = club.cli("voters", "status", "--enrolment", str(club.store.folder)).out
    assert ("missing" in shown, "Enrolled: 2 of 5." in shown) == (True, True)


def test_two_organisers_who_invite_at_one_time_do_not_replace_what_the_other_has_printed(
    club: Club, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One is held while it writes its file, until the other has begun; both files hold afterwards."""
    writing, begun, real = Event(), Event(), enrol._write_csv

    def slow(path: Path, cards: Sequence[Card], url: str) -> None:
        writing.set()
        assert begun.wait(60)
        real(path, cards, url)

    def second() -> None:
        assert writing.wait(60)
        with suppress(Locked):
            FileLock.acquire(club.store.folder / "invitations.lock").release()
            pytest.fail("the first does not hold the folder")
        begun.set()

    monkeypatch.setattr(enrol, "_write_csv", slow)
    with ThreadPoolExecutor(1) as threads:
        other = threads.submit(second)
        assert club.invite("one.csv").code == 0
        other.result()
    monkeypatch.undo()
    assert "All members were invited before. To invite" in club.invite("two.csv").out
    assert club.store.enrol(club.invitations("one.csv")["ann"], public("ann"), 5).voter_id == "ann"
    assert not (club.store.folder / "invitations.lock").exists()


def test_a_refused_invitation_leaves_no_folder_that_was_not_there(cli: Cli, tmp_path: Path) -> None:
    club = Club(cli, tmp_path)
    club.store = EnrolmentStore(tmp_path / "new" / "enrolment")
    (tmp_path / "i.csv").write_text("not handed out yet")
    assert "[file-exists]" in club.invite("i.csv").err
    assert "[not-on-roll]" in club.invite("j.csv", "--again", "eve").err
    assert "[output-failed]" in club.invite("nowhere/k.csv").err
    assert not (tmp_path / "new").exists()
    (tmp_path / "new").mkdir()
    assert "[file-exists]" in club.invite("i.csv").err
    assert list((tmp_path / "new").iterdir()) == []
    club.store.folder.mkdir()
    assert "[file-exists]" in club.invite("i.csv").err
    assert club.store.folder.exists()
    assert club.invite("j.csv").code == 0
    assert len(club.store.invitations().members) == 3


def test_other_names_and_weights_are_kept_where_nobody_is_new(club: Club) -> None:
    club.invite("i.csv")
    before = [one.invitation for one in club.store.invitations().members]
    (club.folder / "m.csv").write_text("id,name,weight\nann,Ann Lee,3\nbo,Bo,1\ncy,Cy,1\n")
    assert "Names and weights are now those of m.csv." in club.invite("j.csv").out
    now = club.store.invitations().members
    assert [(one.name, one.weight) for one in now] == [("Ann Lee", 3), ("Bo", 1), ("Cy", 1)]
    assert [one.invitation for one in now] == before
    told = json.loads(club.invite("j.csv", "--json").out)
    assert (told["file"], told["invitations"], (club.folder / "j.csv").exists()) == (None, 0, False)


def test_nobody_is_invited_or_approved_where_ballots_are_secret(cli: Cli, club: Club) -> None:
    trustees = '[trustees]\nnames = ["A", "B", "C"]\n'
    secret = 'secrecy = "secret"\nmembers = "m.csv"\ncloses = 2060-05-31T20:00:00+02:00\n'
    club.file.write_text(secret + TEXT + trustees)
    refused = club.invite("i.csv")
    assert (refused.code, "[contradiction]" in refused.err) == (78, True)
    assert 'members = "members.csv"' in refused.err
    election = SecretSetup(nodes=1).election
    private_dir(instance_dirs().state)
    instance_dirs().genesis.write_bytes(election.to_file())
    asked = ("voters", "invite", str(club.folder / "m.csv"), "-o", str(club.folder / "i.csv"))
    assert "[contradiction]" in cli(*asked, "--enrolment", str(club.store.folder)).err
    assert not (club.folder / "i.csv").exists()
    assert not club.store.folder.exists()
    club.store.invite(InvitationsFile(uuid=election.definition.uuid, title="x", members=()))
    with lying_node(election, {}) as address:
        approve = ("voters", "approve", "--enrolment", str(club.store.folder), "--node", str(address))
        assert "[contradiction]" in cli(*approve, "--yes").err


def test_the_roll_has_those_who_enrolled_and_the_others_get_cards_where_they_are_listed(club: Club) -> None:
    club.invite("i.csv")
    found, faults = read_source(club.file, 0)
    assert (found, "no member has enrolled" in str(faults)) == (None, True)
    code = read_code("2GMG1-GWNPR-NBJRM-K2JZS-FB25XP")
    uuid = club.store.invitations().uuid
    club.store.enrol(club.invitations("i.csv")["ann"], key_of_code(code, uuid).public_hex, 5)
    made = load_source(club.file, 0).made(0)
    assert made.voters is not None
    assert made.voters.keys == {"ann": key_of_code(code, made.definition.uuid).public_hex}
    assert made.members is not None
    assert [(one.voter_id, one.by) for one in made.members.notes] == [("ann", "own")]
    club.file.write_text('members = "m.csv"\n' + club.file.read_text())
    mixed = load_source(club.file, 0).made(0).members
    assert mixed is not None
    assert [(one.voter_id, one.by) for one in mixed.notes] == [("ann", "own"), ("bo", "card"), ("cy", "card")]
    assert sorted(mixed.codes) == ["bo", "cy"]


@pytest.mark.parametrize("first", ["bo", "ann"])
def test_who_enrols_with_the_key_of_another_member_stops_no_election(
    cli: Cli, club: Club, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    """It is said before anything is made, with the command that helps; a running election goes on."""
    monkeypatch.chdir(club.folder)
    club.invite("i.csv")
    club.store.enrol(club.invitations("i.csv")["bo"], public("ann"), 5)
    rows = [f"ann,Ann,{public('ann')}\n", "bo,Bo,\n"]
    rows.sort(key=lambda row: not row.startswith(first))
    (club.folder / "m.csv").write_text("id,name,public_key\n" + "".join(rows))
    club.file.write_text('members = "m.csv"\n' + club.file.read_text())
    refused = cli("election", "check", str(club.file))
    assert refused.code == 78
    assert "enrolment:" in refused.err
    assert "'bo' has enrolled with the other's" in refused.err
    make = ("election", "create", str(club.file), "--no-named-nodes", "-o", "genesis.json")
    assert "[bad-genesis]" in cli(*make).err
    assert not (club.folder / "authority.key").exists()
    assert load_source(club.file, None).members, "a late member stops no election that was made"
    typed = refused.err[refused.err.index("votenet voters invite") :].splitlines()[0]
    assert cli(*shlex.split(typed)[1:]).code == 0
    assert cli("election", "check", str(club.file)).code == 0
    assert cli(*make).code == 0


def test_members_who_come_later_are_approved(cli: Cli, club: Club, tmp_path: Path) -> None:
    club.invite("i.csv")
    invitations = club.invitations("i.csv")
    roll = Roll([("ann", public("ann"))])
    uuid = club.store.invitations().uuid
    fields = {"nodes": named_nodes(1), "authority_key": AUTHORITY.public_hex, "uuid": uuid}
    election = make_election(roll=roll, created=int(time.time()), **fields)
    write_roll(tmp_path / "roll.json", roll)
    key = KeyStore(tmp_path / "k").put(OWNER, AUTHORITY).path
    files = ("--roll", str(tmp_path / "roll.json"), "--enrolment", str(club.store.folder))
    with node_of(election, tmp_path, "--roll", str(tmp_path / "roll.json")) as node:
        where = ("--node", str(node.address))
        approve = ("voters", "approve", *files, *where, "--authority-key", str(key), "--wait", "150")
        assert "No member is waiting." in cli(*approve).out
        for name in ("ann", "bo", "cy"):
            club.store.enrol(invitations[name], public(f"{name} of the page"), 5)
        assert cli(*approve).code == 2, "there is no terminal to ask at"
        done = cli(*approve, "--yes")
        assert (done.code, "Signed: 3 amendments." in done.out) == (0, True), done.err
        assert f"replace the key of ann (Ann): {public('ann of the page')}" in done.err
        assert "add cy (Cy)" in done.err
        assert json.loads(cli(*approve, "--json").out)["signed"] == []
        vote = ("vote", *where, "--roll", str(tmp_path / "roll.json"), "--wait", "150")
        file = KeyStore(tmp_path / "own").put("cy", key_of("cy of the page")).path
        assert cli(*vote, "cy", "Bob", "--key", str(file)).code == 0
        club.invite("again.csv", "--again", "cy")
        club.store.enrol(club.invitations("again.csv")["cy"], public("third"), 6)
        late = cli(*approve, "--yes")
        assert (late.code, "cy: the amendment is refused: 'cy' has voted" in late.err) == (6, True), late.err
