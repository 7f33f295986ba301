import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from components.contracts.artefacts import writing_artefact
from components.contracts.errors import ArtefactError, RegistryError
from components.registry.store import Registry, fold

PARAMS = {"ingest": {"seed": 7}, "promote": {"metric": "ndcg@10"}}


def make_run(root: Path, text: str) -> tuple[Path, Path]:
    """One pipeline run whose content is `text`: two artefacts and a report."""
    for name in ("train_ranker", "pretrain"):
        with writing_artefact(
            root / "artefacts" / name, kind=name, stage=name, seed=1, params={}
        ) as folder:
            (folder / "model.txt").write_text(text)
    (root / "reports").mkdir(exist_ok=True)
    (root / "reports" / "p1_next_basket.json").write_text(
        json.dumps({"text": text, "rows": [{"shipped": True, "slice": "all", "ndcg@10": 0.3}]})
    )
    (root / "reports" / "p8_drift.json").write_text("{}")
    return root / "artefacts", root / "reports"


def registered(registry: Registry, tmp_path: Path, text: str):
    artefacts, reports = make_run(tmp_path, text)
    return registry.register(artefacts, reports=reports, params=PARAMS, git_commit="abc")


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "registry")


def test_equal_content_is_one_release_and_other_content_another(registry, tmp_path):
    first = registered(registry, tmp_path, "one")
    again = registered(registry, tmp_path, "one")
    other = registered(registry, tmp_path, "two")
    assert first.release_id == again.release_id != other.release_id
    assert [r.release_id for r in registry.releases()] == [other.release_id, first.release_id]
    assert [entry.action for entry in registry.history()] == ["register", "register"]
    assert first.git_commit == "abc"
    assert first.registered_at == registry.history()[0].at


def test_a_release_holds_what_serving_needs_and_no_more(registry, tmp_path):
    release = registered(registry, tmp_path, "one")
    assert sorted(release.manifest.files) == [
        "params.json",
        "reports/p1_next_basket.json",
        "train_ranker/manifest.json",
        "train_ranker/model.txt",
    ]
    assert release.metrics == {"ndcg@10": 0.3}
    assert json.loads((release.folder / "params.json").read_text()) == {"ingest": {"seed": 7}}


def test_a_new_run_in_the_same_folder_leaves_the_release_alone(registry, tmp_path):
    first = registered(registry, tmp_path, "one")
    registered(registry, tmp_path, "two")
    assert (first.folder / "train_ranker" / "model.txt").read_text() == "one"
    registry.verify(first.release_id)


@pytest.mark.parametrize("damage", ["alter", "remove", "add", "rename"])
def test_verify_sees_every_damage(registry, tmp_path, damage):
    release = registered(registry, tmp_path, "one")
    folder, file = release.folder, release.folder / "train_ranker" / "model.txt"
    if damage == "alter":
        file.unlink()
        file.write_text("onE")
    elif damage == "remove":
        file.unlink()
    elif damage == "add":
        (folder / "extra.bin").write_text("x")
    else:
        folder = folder.rename(folder.with_name("0" * 12))
    with pytest.raises(RegistryError, match="does not verify"):
        registry.verify(folder.name)


def test_an_altered_release_is_not_promoted_and_is_mended_by_registering_again(registry, tmp_path):
    release = registered(registry, tmp_path, "one")
    file = release.folder / "train_ranker" / "model.txt"
    file.unlink()
    file.write_text("tampered")
    with pytest.raises(RegistryError, match="does not verify"):
        registry.promote(release.release_id, reason="r", by="t")
    assert registry.champion() is None
    registered(registry, tmp_path, "one")
    registry.promote(release.release_id, reason="r", by="t")
    assert registry.champion().release_id == release.release_id


def test_half_written_artefact_is_not_registered(registry, tmp_path):
    artefacts, reports = make_run(tmp_path, "one")
    (artefacts / "train_ranker" / "model.txt").write_text("later")
    with pytest.raises(ArtefactError, match="differs from its manifest"):
        registry.register(artefacts, reports=reports, params=PARAMS)
    assert registry.releases() == []
    assert not list(registry.folder.glob(".staging-*"))


def test_nothing_to_register(registry, tmp_path):
    with pytest.raises(RegistryError, match="no artefact"):
        registry.register(tmp_path / "absent", reports=tmp_path, params={})


def test_promote_rollback_and_who_was_champion_when(registry, tmp_path):
    a, b, c = (registered(registry, tmp_path, t).release_id for t in "abc")
    assert registry.champion() is None
    assert registry.challenger().release_id == c
    for release_id in (a, b, c):
        registry.promote(release_id, reason=f"because {release_id}", by="tester")
    assert registry.champion().release_id == c
    assert json.loads(registry.pointer.read_text())["release_id"] == c
    registry.rollback(reason="worse in the shop", by="tester")
    assert registry.champion().release_id == b
    assert registry.state().withdrawn == {c: "worse in the shop"}
    registry.rollback(reason="still", by="tester")
    assert registry.champion().release_id == a
    with pytest.raises(RegistryError, match="nothing to roll back to"):
        registry.rollback(reason="more", by="tester")
    story = [
        (e.action, e.previous, e.release_id) for e in registry.history() if e.action != "register"
    ]
    assert story == [
        ("promote", None, a),
        ("promote", a, b),
        ("promote", b, c),
        ("rollback", c, b),
        ("rollback", b, a),
    ]


def test_promoting_the_champion_again_changes_nothing(registry, tmp_path):
    a = registered(registry, tmp_path, "a").release_id
    assert registry.promote(a, reason="r", by="t") is not None
    before = registry.history_file.read_bytes()
    assert registry.promote(a, reason="r", by="t") is None
    assert registry.history_file.read_bytes() == before


def test_a_decision_against_another_champion_is_refused(registry, tmp_path):
    a, b, c = (registered(registry, tmp_path, t).release_id for t in "abc")
    registry.promote(a, reason="r", by="t", expected_champion=None)
    registry.promote(b, reason="r", by="t", expected_champion=a)
    with pytest.raises(RegistryError, match="decide again"):
        registry.promote(c, reason="r", by="t", expected_champion=a)
    assert registry.champion().release_id == b


def test_prefix_unknown_and_ambiguous_ids(registry, tmp_path):
    a = registered(registry, tmp_path, "a")
    assert registry.release(a.release_id[:6]).release_id == a.release_id
    with pytest.raises(RegistryError, match="no such release"):
        registry.release("zzz")
    with pytest.raises(RegistryError, match="empty id"):
        registry.release("")


def test_prune_keeps_champion_and_what_a_rollback_needs(registry, tmp_path):
    ids = [registered(registry, tmp_path, t).release_id for t in "abcdef"]
    for release_id in ids[:5]:
        registry.promote(release_id, reason="r", by="t")
    removed = registry.prune(2)
    assert set(removed) == set(ids[:3])
    assert registry.rollback(reason="r", by="t").release_id == ids[3]


def test_after_a_forget_older_releases_are_no_rollback_targets(registry, tmp_path):
    a, b = (registered(registry, tmp_path, t).release_id for t in "ab")
    registry.promote(a, reason="r", by="t")
    registry.promote(b, reason="r", by="t")
    registry.record("forget", None, reason="visitor asked", by="service")
    assert registry.rollback(reason="still allowed before the retrain", by="t").release_id == a
    c = registered(registry, tmp_path, "c").release_id
    registry.promote(c, reason="retrained without the visitor", by="t")
    with pytest.raises(RegistryError, match="nothing to roll back to"):
        registry.rollback(reason="r", by="t")
    with pytest.raises(RegistryError, match="retired"):
        registry.promote(b, reason="r", by="t")


def test_pointer_is_mended_from_the_history(registry, tmp_path):
    a, b = (registered(registry, tmp_path, t).release_id for t in "ab")
    registry.promote(a, reason="r", by="t")
    registry.promote(b, reason="r", by="t")
    registry.pointer.write_text('{"release_id": "' + a)
    assert registry.champion().release_id == b
    assert json.loads(registry.pointer.read_text())["release_id"] == b


def test_a_torn_last_line_is_cut_off_and_a_broken_middle_line_is_an_error(registry, tmp_path):
    a, b = (registered(registry, tmp_path, t).release_id for t in "ab")
    registry.promote(a, reason="r", by="t")
    with registry.history_file.open("a") as handle:
        handle.write('{"seq": 9, "action": "promo')
    assert registry.champion().release_id == a
    registry.promote(b, reason="r", by="t")
    assert [e.seq for e in registry.history()] == [1, 2, 3, 4]
    lines = registry.history_file.read_text().splitlines()
    registry.history_file.write_text("\n".join([lines[0], "{nonsense", *lines[2:]]) + "\n")
    with pytest.raises(RegistryError, match=":2: no history entry"):
        registry.history()


def test_canary_is_a_pointer_of_its_own(registry, tmp_path):
    a, b = (registered(registry, tmp_path, t).release_id for t in "ab")
    registry.promote(a, reason="r", by="t")
    registry.canary_start(b, share=0.1, reason="try", by="t")
    assert json.loads(registry.canary_pointer.read_text()) == {"release_id": b, "share": 0.1}
    registry.canary_stop(reason="errors", by="t")
    assert not registry.canary_pointer.exists()
    with pytest.raises(ValueError, match="share"):
        registry.canary_start(b, share=1.0, reason="r", by="t")


def test_promotions_at_once_are_serialised(registry, tmp_path):
    ids = [registered(registry, tmp_path, t).release_id for t in "abcd"]
    registry.promote(ids[0], reason="start", by="t")
    outcomes: list[str] = []

    def contend(release_id: str) -> None:
        try:
            Registry(registry.folder).promote(
                release_id, reason="race", by="t", expected_champion=ids[0]
            )
            outcomes.append(release_id)
        except RegistryError:
            outcomes.append("refused")

    threads = [threading.Thread(target=contend, args=(release_id,)) for release_id in ids[1:]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count("refused") == 2
    promoted = [e for e in registry.history() if e.action == "promote"]
    assert len(promoted) == 2
    assert registry.champion().release_id == promoted[-1].release_id


CHURN = """
import sys
from pathlib import Path
sys.path.insert(0, {root!r})
from components.registry.store import Registry
registry = Registry(Path({folder!r}))
base = Path({base!r})
print("ready", flush=True)
turn = 0
while True:
    name = "abcd"[turn % 4]
    run = base / name
    release = registry.register(run / "artefacts", reports=run / "reports", params={{}})
    registry.promote(release.release_id, reason="churn", by="churn")
    if turn % 3 == 2:
        registry.rollback(reason="churn", by="churn")
    registry.prune(2)
    turn += 1
"""


def test_kill_at_any_moment_leaves_a_registry_that_works(registry, tmp_path):
    for name in "abcd":
        (tmp_path / name).mkdir()
        make_run(tmp_path / name, name * 1000)
    root = str(Path(__file__).parents[3])
    script = CHURN.format(root=root, folder=str(registry.folder), base=str(tmp_path))
    for kill in range(6):
        process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(0.05 + 0.037 * kill)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        champion = registry.champion()
        line = fold(registry.history()).line
        assert (champion.release_id if champion else None) == (line[-1] if line else None)
        for release in registry.releases():
            registry.verify(release.release_id)
        sequence = [entry.seq for entry in registry.history()]
        assert sequence == list(range(1, len(sequence) + 1))
        promoted = [e for e in registry.history() if e.action in ("promote", "rollback")]
        assert all(x.release_id != y.release_id for x, y in itertools.pairwise(promoted))
    made = registry.register(
        tmp_path / "a" / "artefacts", reports=tmp_path / "a" / "reports", params={}
    )
    registry.promote(made.release_id, reason="after the kills", by="t")
    assert registry.champion().release_id == made.release_id
    assert not list(registry.folder.glob(".staging-*"))
