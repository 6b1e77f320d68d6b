"""Check every signature and rule in an archive, and count its votes again.

votenet export -o election.jsonl.xz
python examples/count_archive.py election.jsonl.xz [NETWORK_ID]
"""

import sys
from pathlib import Path

from votenet.client import check_archive
from votenet.errors import NotProven


def main(path: str, network_id: str | None = None) -> None:
    report = check_archive(Path(path), network_id)
    print(
        f"{report.title}: {report.votes} votes in {report.height} blocks, {report.contests[0].outcome.state}"
    )
    for candidate, votes in report.contests[0].counts:
        print(f"{votes:8,}  {candidate}")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except NotProven as error:
        sys.exit(f"{sys.argv[1]} does not hold: {error.message} [{error.code}]")
