"""A boosted model's text, read so that a damaged one is an error and not the end of the process.

LightGBM jumps through a text by the sizes in its `tree_sizes` line and reads trees side by side; a
text that does not fit them ends the whole process, which no caller can catch. Without that line it
reads one tree after the other and raises.
"""

from typing import Any

from components.contracts.errors import ArtefactError, MissingExtraError

SIZES = "tree_sizes="
END = "end of parameters"


def read_trees(text: str, *, origin: str = "boosted trees") -> Any:
    r"""Return the `lightgbm.Booster` of a model's text.

    Args:
        text: as `Booster.model_to_string` gives it.
        origin: what it is of, for the error.

    Raises:
        ArtefactError: the text is cut short, lacks trees, or cannot be parsed.
        MissingExtraError: lightgbm is not installed.

    >>> read_trees("tree\ntree_sizes=10 12\n\nTree=0\n", origin="model_0.txt")
    Traceback (most recent call last):
    components.contracts.errors.ArtefactError: model_0.txt: holds 1 of 2 trees. Train it again.
    """
    try:
        import lightgbm
    except ImportError as error:
        raise MissingExtraError(
            f"{origin}: boosted trees need the extra `serve` or `pipeline`."
        ) from error
    lines = text.split("\n")
    stated = [len(line.removeprefix(SIZES).split()) for line in lines if line.startswith(SIZES)]
    held = sum(line.startswith("Tree=") for line in lines)
    if stated and stated[0] != held:
        raise ArtefactError(f"{origin}: holds {held} of {stated[0]} trees. Train it again.")
    if END not in lines:
        raise ArtefactError(f"{origin}: the text ends before the model does. Train it again.")
    plain = "\n".join(line for line in lines if not line.startswith(SIZES))
    try:
        return lightgbm.Booster(model_str=plain)
    except (lightgbm.basic.LightGBMError, ValueError) as error:
        raise ArtefactError(f"{origin}: cannot be read ({error}). Train it again.") from error
