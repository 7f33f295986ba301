"""Every exception that Shelfwise raises on purpose.

Each message says what is wrong, where, and what to do; the command line prints it as one line.
"""


class ShelfwiseError(Exception):
    """A mistake or condition that the user can act on; shown as one line, without a traceback."""


class ParamsError(ShelfwiseError):
    """A parameter file that cannot be used: unknown key, wrong type, or value out of range."""


class SourceError(ShelfwiseError):
    """Input data that cannot be read: missing, damaged, or without a column that is needed."""


class TableError(ShelfwiseError):
    """A table that does not agree with its specification."""


class ValidationBlockedError(ShelfwiseError):
    """Data that failed a blocking expectation; nothing downstream may run."""


class ArtefactError(ShelfwiseError):
    """An artefact that is absent, half-written, altered, or made by an incompatible version."""


class RegistryError(ShelfwiseError):
    """A release that cannot be registered, promoted, rolled back to, or found."""


class PromotionRefusedError(RegistryError):
    """A challenger that did not pass the gate; the message carries the reasons."""


class UnknownProductError(ShelfwiseError):
    """A product id that the catalogue does not hold."""


class UnknownVisitorError(ShelfwiseError):
    """A visitor id that is not known, or that asked to be forgotten."""


class StateError(ShelfwiseError):
    """The state database cannot be opened, migrated or written."""


class OfferUsedError(ShelfwiseError):
    """An offer that this household has used already."""


class ServiceError(ShelfwiseError):
    """The service cannot start or answer: port in use, no release, dependency absent."""


class MissingExtraError(ShelfwiseError):
    """An optional dependency is not installed; the message names the extra."""
