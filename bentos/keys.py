"""Make and revoke API keys: `python -m bentos.keys add NAME --scopes read,events`."""

import argparse
import sys

from bentos.loading import root, serve_params, state_url
from components.contracts.artefacts import Layout
from components.contracts.errors import ShelfwiseError
from components.state.keys import SCOPES
from components.state.store import Store


def main(arguments: list[str] | None = None) -> int:
    """Run one command; the token is shown once and kept as a digest only."""
    parser = argparse.ArgumentParser(prog="python -m bentos.keys", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    add = commands.add_parser("add", help="make a key and show its token once")
    add.add_argument("name")
    add.add_argument("--scopes", default="read", help=f"comma-separated, of {','.join(SCOPES)}")
    add.add_argument("--visitor", default=None, help="let the key see this visitor only")
    revoke = commands.add_parser("revoke", help="revoke every key of a name")
    revoke.add_argument("name")
    given = parser.parse_args(arguments)
    layout = Layout(root())
    try:
        store = Store(state_url(layout, serve_params(layout)))
        if given.command == "revoke":
            sys.stdout.write(f"revoked {store.key_revoke(given.name)}\n")
            return 0
        scopes = [scope for scope in given.scopes.split(",") if scope]
        unknown = sorted(set(scopes) - set(SCOPES))
        if unknown:
            parser.error(f"unknown scopes {', '.join(unknown)}; there are {', '.join(SCOPES)}")
        sys.stdout.write(store.key_add(given.name, scopes, visitor_id=given.visitor) + "\n")
    except ShelfwiseError as error:
        sys.stderr.write(f"shelfwise: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
