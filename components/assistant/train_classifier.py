"""Stage `train_classifier`: fit the intent classifier on generated and paraphrased utterances.

Reads params and the encoder that serves; writes `artefacts/train_classifier` with its accuracy on
templates that were not used for training, by the same seed the same bytes. Without an encoder the
n-grams decide alone.
"""

import logging

from components.assistant.classifier import ARTEFACT, Encode, IntentClassifier
from components.assistant.utterances import utterances
from components.contracts.artefacts import Layout, writing_artefact
from components.contracts.errors import ArtefactError
from components.contracts.params import Params
from components.text.vectors import load_encoder

_HELD_OUT_SHARE = 0.25
logger = logging.getLogger(__name__)


def _encoder_of(layout: Layout) -> Encode | None:
    try:
        return load_encoder(layout.artefacts).encode
    except ArtefactError as error:
        logger.warning("the classifier does without an encoder: %s", error)
        return None


def run(params: Params, layout: Layout) -> None:
    """Fit, measure and write the classifier."""
    section = params.train_classifier
    train = list(utterances(section.utterances, section.seed))
    test = list(
        utterances(
            max(1, int(section.utterances * _HELD_OUT_SHARE)), section.seed + 1, held_out=True
        )
    )
    metrics: dict[str, float] = {}
    with writing_artefact(
        layout.artefact(ARTEFACT),
        kind="intent_classifier",
        stage="train_classifier",
        seed=section.seed,
        params=section.model_dump(mode="json"),
        packages=("numpy", "scipy"),
        metrics=metrics,
    ) as folder:
        model = IntentClassifier.fit(
            [t for t, _ in train], [i for _, i in train], encode=_encoder_of(layout)
        )
        model.save(folder)
        sure = [(model.classify(text), intent) for text, intent in test]
        confident = [(guess, intent) for (guess, share), intent in sure if share >= 0.55]
        metrics["utterances"] = float(len(train))
        metrics["held_out_utterances"] = float(len(test))
        metrics["held_out_accuracy"] = round(sum(g == i for (g, _), i in sure) / len(sure), 6)
        metrics["sure_share"] = round(len(confident) / len(sure), 6)
        metrics["sure_accuracy"] = round(
            sum(g == i for g, i in confident) / max(1, len(confident)), 6
        )
