"""What reading query and product together would cost: `python -m benchmarks.cross_encoder_cost`.

A cross-encoder of the shipped encoder's family reads every pair of the head of the list once per
query. Prints the processor milliseconds of such a pass for several lengths of the head, beside the
one encoding of the query that search does now. Quality is not measured here.
"""

import time
from collections.abc import Callable
from itertools import count

import numpy as np

from components.contracts.artefacts import Layout
from components.data.catalogue import Catalogue
from components.text.vectors import load_encoder

HEADS = (5, 10, 20, 50)
ROUNDS = 15
SEED = 7
_NUMBERS = count()  # the encoder remembers texts


def processor_ms(work: Callable[[str], object]) -> float:
    """Return the median processor time of `work` on a query not seen before, in milliseconds."""
    taken = []
    for n in range(ROUNDS):
        query = f"organic whole milk {next(_NUMBERS)} and {n}"
        started = time.process_time()
        work(query)
        taken.append(1000 * (time.process_time() - started))
    return float(np.median(taken))


def main() -> None:
    """Measure on the built catalogue's titles."""
    artefacts = Layout().artefacts
    encoder = load_encoder(artefacts)
    catalogue = Catalogue.load(artefacts)
    generator = np.random.default_rng(SEED)
    titles = [catalogue.products[i].title for i in generator.choice(catalogue.ids, max(HEADS))]
    alone = processor_ms(lambda query: encoder.encode([query]))
    print(f"query alone: {alone:.1f} ms")
    for head in HEADS:
        few = titles[:head]
        taken = processor_ms(lambda q, few=few: encoder.encode([f"{q} {title}" for title in few]))
        print(f"{head} pairs: {taken:.1f} ms")


if __name__ == "__main__":
    main()
