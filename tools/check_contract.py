"""Checks every schema and every example of a contract folder with Python's jsonschema, which shares no line with ours.

    python3 tools/check_contract.py contract
"""

import json
import pathlib
import sys
from datetime import datetime

import jsonschema

FORMATS = jsonschema.FormatChecker(formats=[])


@FORMATS.checks("date-time", raises=ValueError)
def is_date_time(value):
    """RFC 3339, as far as the standard library knows it: a date, a time and an offset."""
    return not isinstance(value, str) or datetime.fromisoformat(value.replace("Z", "+00:00")).tzinfo is not None


def main(folder):
    validators = {}
    for path in sorted(folder.glob("*.schema.json")):
        schema = json.loads(path.read_text(encoding="utf-8"))
        jsonschema.Draft202012Validator.check_schema(schema)
        name = path.name.removesuffix(".schema.json")
        validators[name] = jsonschema.Draft202012Validator(schema, format_checker=FORMATS)
    examples, faults = sorted(folder.glob("examples/*.json")), 0
    for path in examples:
        message = json.loads(path.read_text(encoding="utf-8"))
        name = message["type"].rpartition(".")[2] if "specversion" in message else longest(validators, path.stem)
        for fault in validators[name].iter_errors(message):
            print(f"{path.name}: {fault.json_path}: {fault.message}", file=sys.stderr)
            faults += 1
    if faults or len(examples) < len(validators):
        sys.exit(f"{faults} faults in {len(examples)} examples of {len(validators)} messages")
    print(f"{len(examples)} examples of {len(validators)} messages are sound")


def longest(names, stem):
    """The message of an example without a type: the longest name that its file's name begins with."""
    return max((name for name in names if stem.startswith(name)), key=len)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
