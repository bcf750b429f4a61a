"""A reviewer in a process of its own, which can be stopped: it claims, says so, waits for a line, gives its verdict."""

import json
import sys

from tests.faults.clients import Door, Record, verdict


def main() -> None:
    door = Door(Record(), int(sys.argv[1]), sys.argv[2], keep=False)
    claim = door.ask("POST", f"/reviews/{sys.argv[3]}/claim")
    tell(claim.status, claim.json)
    sys.stdin.readline()
    review, token = claim.json["id"], claim.json["lease"]["token"]
    late = door.ask("POST", f"/reviews/{review}/verdict", verdict(token, "approve"))
    tell(late.status, late.json)
    door.close()


def tell(status: int, body: object) -> None:
    sys.stdout.write(json.dumps([status, body]) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
