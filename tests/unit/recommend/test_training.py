from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
import torch

from components.recommend.sasrec import SASRec, SASRecConfig
from components.recommend.sequence_model import EVENT_KINDS, SequenceModel, event_sequences
from components.recommend.sequence_scorer import SequenceScorer
from components.recommend.train_sasrec import (
    SASRecRecommender,
    next_step_ndcg,
    principal,
    validation_sample,
    warm_table,
)
from components.recommend.training import TrainingData, TrainOptions, train


def ring(n=60, size=12, seed=0):
    rng = np.random.default_rng(seed)
    return [(rng.integers(size) + np.arange(rng.integers(2, 8))) % size for _ in range(n)]


def small_model(dropout=0.2, **more):
    torch.manual_seed(0)
    return SASRec(SASRecConfig(12, width=8, layers=2, heads=2, dropout=dropout, **more))


def state(model):
    return {name: value.detach().clone() for name, value in model.named_parameters()}


def test_each_event_is_asked_for_the_next_one():
    data = TrainingData.of([np.array([3, 1, 4]), np.array([5]), np.array([9, 2])], 12)
    assert data.usable.tolist() == [2, 0, 1]
    batch = data.batch(np.array([0, 2]), TrainOptions(), np.random.default_rng(0))
    assert batch["items"].tolist() == [[3, 1], [9, 12]]
    assert batch["places"].tolist() == [0, 1, 2]
    assert batch["target"].tolist() == [1, 4, 2]


def test_events_of_a_basket_are_asked_for_the_next_basket():
    data = TrainingData.of([np.array([3, 1, 4, 5, 6])], 12, steps=[np.array([0, 0, 1, 1, 2])])
    assert data.usable.tolist() == [4]
    drawn = {
        tuple(
            data.batch(np.array([0]), TrainOptions(), np.random.default_rng(s))["target"].tolist()
        )
        for s in range(40)
    }
    assert {d[0] for d in drawn} == {4, 5}
    assert {d[2:] for d in drawn} == {(6, 6)}


def test_long_histories_keep_their_end():
    data = TrainingData.of([np.arange(10)], 12)
    batch = data.batch(np.array([0]), TrainOptions(max_events=3), np.random.default_rng(0))
    assert batch["items"].tolist() == [[6, 7, 8]]
    assert batch["target"].tolist() == [7, 8, 9]


def test_states_know_nothing_of_the_future_or_of_padding():
    model = small_model(frequency=True).eval()
    one = model(torch.tensor([[3, 1, 4, 5]]))[0]
    other = model(torch.tensor([[3, 1, 7, 2], [3, 1, 12, 12]]))
    assert torch.allclose(one[:2], other[0, :2], atol=1e-6)
    assert torch.allclose(one[:2], other[1, :2], atol=1e-6)
    assert not torch.allclose(one[2], other[0, 2], atol=1e-3)


@pytest.mark.parametrize("loss", ["full_softmax", "sampled_softmax", "gbce"])
def test_a_killed_run_goes_on_as_if_nothing_had_happened(tmp_path, loss):
    data = TrainingData.of(ring(), 12)
    options = TrainOptions(epochs=3, batch_size=16, max_events=6, warmup=3, loss=loss, negatives=5)
    judge = lambda model: float(model.identifier.detach().sum())  # noqa: E731
    whole = small_model()
    first = train(whole, data, options, validate=judge, show=False)
    path = tmp_path / "run.safetensors"
    killed = small_model()
    train(killed, data, options, validate=judge, checkpoint=path, checkpoint_every=2,
          stop_after=6, show=False)  # fmt: skip
    assert path.is_file()
    resumed = small_model()
    second = train(resumed, data, options, validate=judge, checkpoint=path, checkpoint_every=2,
                   show=False)  # fmt: skip
    assert second.step == first.step
    assert second.curve == first.curve
    for name, value in state(whole).items():
        assert torch.equal(value, state(resumed)[name]), name
    assert not path.exists()


def test_a_checkpoint_of_other_options_is_not_used(tmp_path):
    data = TrainingData.of(ring(), 12)
    path = tmp_path / "run.safetensors"
    options = TrainOptions(epochs=1, batch_size=16)
    train(small_model(), data, options, checkpoint=path, checkpoint_every=1, stop_after=2)
    other = TrainOptions(epochs=1, batch_size=16, learning_rate=1e-4)
    fresh, again = small_model(), small_model()
    train(fresh, data, other)
    train(again, data, other, checkpoint=path)
    assert all(torch.equal(v, state(again)[n]) for n, v in state(fresh).items())


def test_stopping_early_keeps_the_best_weights():
    data = TrainingData.of(ring(), 12)
    scores = iter([0.5, 0.9, 0.8, 0.7, 0.6])
    seen = []

    def judge(model):
        seen.append(state(model))
        return next(scores)

    model = small_model()
    done = train(model, data, TrainOptions(epochs=5, patience=2, batch_size=16), validate=judge)
    assert done.ended == "patience"
    assert len(done.curve) == 4
    assert all(torch.equal(value, state(model)[name]) for name, value in seen[1].items())


def test_a_budget_of_nothing_ends_at_once():
    done = train(small_model(), TrainingData.of(ring(), 12), TrainOptions(seconds=0.0))
    assert done.ended == "time"
    assert done.step == 0


@pytest.mark.parametrize("frequency", [False, True])
def test_numpy_serves_what_torch_learnt(tmp_path, frequency):
    sequences = ring()
    hours = [np.cumsum(np.full(len(s), 3.0)) for s in sequences]
    kinds = [np.arange(len(s)) % 4 for s in sequences]
    text = np.random.default_rng(0).standard_normal((12, 6)).astype(np.float32)
    recommender = SASRecRecommender(
        width=8, heads=2, text_width=3, kinds=4, time_gaps=5, frequency=frequency,
        options=TrainOptions(epochs=2, batch_size=16),
    )  # fmt: skip
    recommender.fit(sequences, 12, text=text, kinds=kinds, hours=hours)
    with torch.no_grad():
        for row in (0, 5):
            buckets = np.clip(np.log2(1 + np.diff(hours[row], prepend=hours[row][:1])), 0, 4)
            states = recommender.model(
                torch.tensor(sequences[row])[None], kinds=torch.tensor(kinds[row])[None],
                time_gaps=torch.tensor(buckets.astype(np.int64))[None],
            )  # fmt: skip
            expected = (states[0, -1] @ recommender.model.table().t()).numpy()
            found = recommender.score([sequences[row]], kinds=[kinds[row]], hours=[hours[row]])
            assert found[0] == pytest.approx(expected, abs=1e-4)
    recommender.save(tmp_path)
    again = SASRecRecommender.load(tmp_path)
    side = {"kinds": kinds, "hours": hours}
    assert np.array_equal(again.score(sequences, **side), recommender.score(sequences, **side))


def test_a_new_product_has_a_vector_at_once():
    text = np.random.default_rng(0).standard_normal((12, 6)).astype(np.float32)
    recommender = SASRecRecommender(
        width=8, heads=2, text_width=6, options=TrainOptions(epochs=2, batch_size=16)
    ).fit(ring(), 12, text=text)
    model = SequenceModel(recommender.scorer, [f"p{i}" for i in range(12)])
    grown = model.with_products(["p3", "new"], np.stack([text[3] * 0, text[5]]))
    assert grown.product_ids[-1] == "new"
    before, after = model.score([["p1", "p2"]]), grown.score([["p1", "p2"]])
    assert after[0, :12] == pytest.approx(before[0], abs=1e-5)
    # Its text is product 5's, so its row is product 5's without what sales added to it.
    identifier = recommender.model.identifier.detach().numpy()[5]
    assert grown.scorer.table[12] == pytest.approx(
        recommender.scorer.table[5] - identifier, abs=1e-5
    )
    assert grown.score([["new"]]).shape == (1, 13)


def test_principal_directions_can_be_applied_to_new_texts():
    text = np.random.default_rng(0).standard_normal((30, 5)).astype(np.float32)
    reduced, (components, offset) = principal(text, 3)
    assert reduced.shape == (30, 3)
    assert np.linalg.norm(reduced, axis=1).mean() == pytest.approx(1.0, abs=1e-4)
    assert text @ components + offset == pytest.approx(reduced, abs=1e-5)


def test_warm_start_puts_products_of_one_neighbourhood_together():
    pairs = [(0, 1), (0, 2), (0, 1), (0, 2), (3, 4), (3, 5)]
    table = warm_table([np.array(pair) for pair in pairs], 8, 4)
    assert table[1] @ table[2] > table[1] @ table[4] + 0.1
    assert np.all(table[7] == 0)


def test_next_step_ndcg_by_hand():
    class Fixed:
        def score(self, sequences):
            return np.tile(np.array([[5.0, 4.0, 3.0, 2.0]], np.float32), (len(sequences), 1))

    kept = next_step_ndcg(Fixed(), [np.array([0])], [np.array([2])], remove_seen=False)
    removed = next_step_ndcg(Fixed(), [np.array([0])], [np.array([2])], remove_seen=True)
    assert kept.tolist() == pytest.approx([1 / np.log2(4)])
    assert removed.tolist() == pytest.approx([1 / np.log2(3)])


def events(rows):
    start = datetime(2017, 1, 1, tzinfo=UTC)
    return pl.DataFrame(
        [
            {
                "event_id": e, "visitor_id": v, "product_id": p, "kind": k, "order_id": o,
                "at": start + timedelta(hours=h),
            }
            for e, v, p, k, o, h in rows
        ]
    )  # fmt: skip


def test_sequences_stand_in_time_order_and_count_each_event_once():
    cut = event_sequences(
        events(
            [
                ("e3", "v1", "b", "purchase", "o2", 9),
                ("e1", "v1", "a", "purchase", "o1", 1),
                ("e2", "v1", "b", "purchase", "o1", 1),
                ("e1", "v1", "a", "purchase", "o1", 1),
                ("e4", "v0", "c", "click", None, 5),
                ("e5", "v0", "unlisted", "click", None, 6),
                ("e6", "v0", "a", "basket_remove", None, 7),
            ]
        ),
        ["a", "b", "c"],
    )
    assert cut.visitor_ids == ["v0", "v1"]
    assert [s.tolist() for s in cut.items] == [[2], [0, 1, 1]]
    assert cut.steps[1].tolist()[0] == cut.steps[1].tolist()[1] < cut.steps[1].tolist()[2]
    assert cut.kinds[0].tolist() == [EVENT_KINDS.index("click")]
    assert np.diff(cut.hours[1]).tolist() == [0.0, 8.0]


def test_validation_visitors_are_drawn_and_keep_their_past_only():
    rows = [
        (f"e{v}{h}", f"v{v:02d}", "abc"[(v + h) % 3], "purchase", f"o{v}{h}", h)
        for v in range(30)
        for h in range(1, 6)
    ]
    cut = event_sequences(events(rows), ["a", "b", "c"])
    start = float(cut.hours[0][3])
    sample = validation_sample(cut, start, n=10, seed=1)
    assert len(sample["histories"]) == 10
    assert all(len(history) == 3 for history in sample["histories"])
    assert all(hours.max() < start for hours in sample["hours"])
    other = validation_sample(cut, start, n=10, seed=2)
    assert [h.tolist() for h in other["histories"]] != [h.tolist() for h in sample["histories"]]


def test_scoring_alone_or_together_is_the_same():
    recommender = SASRecRecommender(
        width=8, heads=2, options=TrainOptions(epochs=1, batch_size=16)
    ).fit(ring(), 12)
    histories = [*ring(seed=5)[:20], np.array([], np.int64)]
    together = recommender.score(histories)
    for row, history in enumerate(histories):
        assert together[row] == pytest.approx(recommender.score([history])[0], abs=1e-5)
    assert np.all(together[-1] == 0)
    assert isinstance(recommender.scorer, SequenceScorer)


def test_masked_events_and_hidden_texts_change_training_alone():
    text = torch.eye(6, 4)
    items = torch.tensor([[0, 1, 2, 3]])
    for way in ({"mask": 1.0}, {"text_dropout": 1.0}):
        torch.manual_seed(1)
        model = SASRec(SASRecConfig(6, width=8, dropout=0.0, text_width=4, **way), text)
        with torch.no_grad():
            model.text_projection.normal_()
        model.eval()
        seen = model(items)
        model.train()
        hidden = model(items)
        assert not torch.allclose(seen, hidden)
        if "mask" in way:  # nothing is left to tell one history from another
            torch.testing.assert_close(hidden, model(items.flip(1)))
        else:  # what is left is the identifiers
            torch.testing.assert_close(hidden, model.eval()(items, table=model.identifier))
