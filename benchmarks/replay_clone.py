"""Replay served answers on a clean clone that pulled what was trained instead of training it.

Serves a release, logs answers of five endpoints between events that change them, and pushes what
the line made to a DVC remote (a local folder). Then a fresh `git clone` pulls, registers what it
got (content-addressed: the id must be the served one), and every logged answer is computed anew
there. Equal means equal but for the ids drawn for each answer.

    python -m benchmarks.replay_clone [--answers 100] [--origin CHECKOUT] [--out var/replay.json]

Without `--origin` the line is run on the synthetic shop in a temporary copy first. With it, that
checkout's committed state is cloned and its DVC cache is the remote; nothing is written there.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.deployments import TrialError
from benchmarks.story import Service
from components.contracts.artefacts import Layout, write_json
from components.contracts.params import load_params
from components.data.catalogue import Catalogue
from components.registry.store import Registry
from components.stages.replay import replay
from components.state.store import Store

CODE = Path(__file__).parents[1]
MIX = {"recommend": 30, "search": 30, "similar": 15, "explain": 10, "turn": 15}
SAID = ("something for breakfast", "show me {noun} under $5", "cheaper", "add the first one",
        "what is in my basket?", "the second one instead", "{noun}, not that brand")  # fmt: skip
VISITORS = 25


def run(folder: Path, *command: str) -> str:
    """Run a command in a checkout; return what it wrote.

    Raises:
        TrialError: it failed.
    """
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(folder),
        "DVC_SITE_CACHE_DIR": str(folder / "var" / "dvc"),
        "DVC_NO_ANALYTICS": "1",
    }
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise TrialError(f"{' '.join(command)}: {done.stdout[-1500:]}{done.stderr[-1500:]}")
    return done.stdout


def post(port: int, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """Ask the service once."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read())


def ask(port: int, artefacts: Path, answers: int, seed: int = 3) -> list[tuple[str, str]]:
    """Ask all endpoints in turn, with clicks and purchases in between.

    Returns:
        (endpoint, request_id) of each answer.
    """
    draw = random.Random(seed)
    catalogue = Catalogue.load(artefacts)
    products = [catalogue.products[name] for name in catalogue.ids]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/visitors?limit={VISITORS}") as found:
        visitors = [*json.loads(found.read())["visitors"], "nobody-knows-me"]
    whole = sum(MIX.values())
    kinds = [kind for kind, share in MIX.items() for _ in range(round(answers * share / whole))]
    kinds = (kinds + ["recommend"] * answers)[:answers]
    draw.shuffle(kinds)
    asked = []
    for number, kind in enumerate(kinds):
        visitor, product = draw.choice(visitors), draw.choice(products)
        noun = product.type or product.title
        bodies: dict[str, tuple[str, dict[str, Any]]] = {
            "recommend": ("/v1/recommend", {"visitor_id": visitor, "limit": 10}),
            "search": ("/v1/search", {"visitor_id": visitor, "query": noun, "limit": 10}),
            "similar": ("/v1/similar", {"visitor_id": visitor, "product_id": product.product_id}),
            "explain": ("/v1/explain", {"visitor_id": visitor, "product_id": product.product_id}),
            "turn": (
                "/v1/assistant/turn",
                {
                    "session_id": f"s-{visitor}",
                    "visitor_id": visitor,
                    "request_id": f"turn-{number}",
                    "message": draw.choice(SAID).format(noun=noun),
                },
            ),
        }
        answer = post(port, *bodies[kind])
        asked.append((kind, str(answer["request_id"])))
        events = [
            {
                "kind": draw.choice(["click", "basket_add", "purchase"]),
                "event_id": f"between-{number}-{n}",
                "visitor_id": visitor,
                "product_id": draw.choice(products).product_id,
            }
            for n in range(2)
        ]
        post(port, "/v1/events", {"events": events})
    return asked


def make_origin(folder: Path) -> Path:
    """Return a checkout on the synthetic shop with the line run and committed."""
    from tests.pipeline.conftest import copy_checkout

    root = copy_checkout(folder).root
    run(root, "dvc", "repro", "-q")
    run(root, "git", "add", "-A")
    identity = ("-c", "user.name=trial", "-c", "user.email=trial@localhost")
    run(root, "git", *identity, "commit", "-q", "-m", "what the line made")
    return root


def trial(folder: Path, answers: int, origin: Path | None) -> dict[str, Any]:
    """Run the trial in an empty folder; return its account."""
    made, remote = folder / "origin", folder / "remote"
    if origin is None:
        made.mkdir()
        origin = make_origin(made)
        run(origin, "dvc", "remote", "add", "-q", "-d", "store", str(remote))
        run(origin, "dvc", "push", "-q")
    else:
        remote = origin / ".dvc" / "cache"
    served, clone = folder / "served", folder / "clone"
    run(folder, "git", "clone", "-q", str(origin), str(clone))
    run(clone, "dvc", "remote", "add", "-q", "-f", "-d", "store", str(remote))
    began = time.monotonic()
    run(clone, "dvc", "pull", "-q")
    pulled = time.monotonic() - began
    # What is served is what the origin made; the clone must arrive at the same release by itself.
    served.mkdir()
    shutil.copy2(clone / "params.yaml", served / "params.yaml")
    params = load_params(served / "params.yaml")
    first = Registry(Layout(served).registry)
    release = first.register(origin / "artefacts", reports=clone / "reports", params=params)
    first.promote(release.release_id, reason="to be replayed", by="trial")
    service = Service(served, code=CODE)
    (served / "var").mkdir(exist_ok=True)
    with service.running():
        asked = ask(service.port, origin / "artefacts", answers)
        time.sleep(1)  # answers are written behind
    layout = Layout(clone)
    second = Registry(layout.registry)
    own = second.register(
        layout.artefacts, reports=layout.reports, params=load_params(layout.params_file)
    )
    second.promote(own.release_id, reason="pulled", by="trial")
    for path in (served / "var").glob("state.db*"):
        shutil.copy2(path, clone / "var" / path.name)
    store = Store(f"sqlite:///{clone}/var/state.db")
    loaded: dict[str, Any] = {}
    began = time.monotonic()
    differ = []
    for kind, request_id in asked:
        found = replay(request_id, layout, store=store, loaded=loaded)
        if not found.is_equal:
            differ.append({"endpoint": kind, "request_id": request_id, "fields": found.fields})
    store.close()
    return {
        "served_release": release.release_id,
        "clone_release": own.release_id,
        "same_release": release.release_id == own.release_id,
        "pull_seconds": round(pulled, 1),
        "replay_seconds": round(time.monotonic() - began, 1),
        "answers": len(asked),
        "by_endpoint": dict(Counter(kind for kind, _ in asked)),
        "equal": len(asked) - len(differ),
        "differ": differ,
    }


def main() -> int:
    """Run it; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--answers", type=int, default=100)
    parser.add_argument("--origin", type=Path, help="a checkout whose line was run and committed")
    parser.add_argument("--out", type=Path, default=Path("var/replay.json"))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="shelfwise-") as folder:
        origin = given.origin.resolve() if given.origin else None
        found = trial(Path(folder).resolve(), given.answers, origin)
    print(json.dumps(found, indent=2))
    write_json(given.out, {k: v for k, v in found.items() if not k.endswith("_seconds")})
    return 0 if found["same_release"] and found["equal"] == found["answers"] else 1


if __name__ == "__main__":
    sys.exit(main())
