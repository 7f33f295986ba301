"""Prefect flows: when, again and whether; what is made from which stays with DVC."""

import os

from flows import environment

# A run that a worker started has the worker's environment: give it the homes and switches here.
if "PREFECT__FLOW_RUN_ID" in os.environ:
    environment.apply()
