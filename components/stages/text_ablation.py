"""What each step of the text encoder bought: as shipped, + MLM, + contrastive.

In: the results that the stages `pretrain` and `finetune` left in their artefacts (each row was
ranked over the whole catalogue there). Out: `reports/text_ablation.json`. Nothing is encoded or
chosen here: the choice was made on validation, the figures are of the test part.
"""

from typing import Any

import numpy as np

from components.contracts.artefacts import Layout
from components.contracts.params import Params
from components.evaluate.bootstrap import paired_interval
from components.evaluate.report import metric_row, write_report
from components.text.pretrain import read_results

STEPS = ("as shipped", "+ MLM", "+ contrastive", "int8")
REPORT_NAME = "text_ablation.json"


def run(params: Params, layout: Layout) -> None:
    """Write `reports/text_ablation.json`.

    Each row says for one step and one task: NDCG@10 and recall@10 with intervals, the gain over the
    encoder as shipped and over the step before (paired, with intervals), and the hash of the
    catalogue's vectors. `shipped` marks what is served.

    Raises:
        OSError: one of the two stages has not run.
    """
    first = read_results(layout.artefact("pretrain"))
    second = read_results(layout.artefact("finetune"))
    results: dict[str, Any] = {**first, **second}
    held = [step for step in STEPS if step in results]
    bootstrap, seed = params.evaluate.bootstrap, params.evaluate.seed
    rows: list[dict[str, Any]] = []
    n = 0
    for step in held:
        earlier = held[held.index(step) - 1] if step != held[0] else None
        for task, values in results[step]["test"].items():
            row = metric_row(
                {name: np.asarray(numbers) for name, numbers in values.items()},
                bootstrap=bootstrap,
                seed=seed,
                model=step,
                slice=task,
                shipped=step == second["chosen"],
                vectors_sha256=results[step]["digest"],
            )
            row["valid_ndcg@10"] = results[step]["valid"][task]["ndcg@10"]
            n = max(n, int(row["n"]))
            for name, other in (("as_shipped", held[0]), ("step_before", earlier)):
                if other is None or other == step:
                    continue
                gain = paired_interval(
                    values["ndcg@10"],
                    results[other]["test"][task]["ndcg@10"],
                    n=bootstrap,
                    seed=seed,
                )
                row[f"gain_over_{name}"] = gain.mean
                row[f"gain_over_{name}_low"] = gain.low
                row[f"gain_over_{name}_high"] = gain.high
            rows.append(row)
    write_report(
        layout.reports / REPORT_NAME,
        protocol="Text ablation: next products and queries by text vectors alone",
        dataset=params.ingest.source,
        split="one global cut-off by shop week; queries by held-out product groups",
        cut_off=f"test from week {params.split.test_from_week}",
        n=n,
        seed=seed,
        rows=rows,
        chosen=second["chosen"],
        chosen_by="geometric mean of the tasks' mean NDCG@100 on the validation part",
        validation={step: results[step]["choice"] for step in held},
    )
