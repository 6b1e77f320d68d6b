"""Cast one vote and keep the proof that it is final (without named nodes: on the chain).

python examples/cast_and_receipt.py HOST:PORT VOTER_ID CANDIDATE RECEIPT_FILE
"""

import sys
from pathlib import Path

import votenet
from votenet.client import encode_receipt
from votenet.errors import Rejected, VotenetError


def main(node: str, voter_id: str, candidate: str, receipt_file: str) -> None:
    with votenet.connect(node) as election:
        print(f"{election.election.definition.title}: {', '.join(election.candidates)}")
        try:
            cast = election.cast(voter_id, candidate)
            if cast.state == "final":
                print(f"Your vote is final, signed by {', '.join(cast.signed_by)}.")
            else:
                print(f"Your vote is in block {cast.height}, says {cast.node}.")
        except Rejected as error:
            if error.code != "already-voted":
                raise
            print(f"{voter_id} has voted before: {error.message}.")
        receipt = election.receipt(voter_id)
        Path(receipt_file).write_bytes(encode_receipt(receipt))
        print(f"Wrote {receipt_file}: {', '.join(receipt.vote.choices[0])}.")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except VotenetError as error:
        sys.exit(f"{error.message} [{error.code}] {error.next_step}")
