"""Writes the list of components (CycloneDX 1.5) of the package to stdout: crates, ONNX Runtime, models.

Crates come from `cargo metadata` and Cargo.lock, so that the list is what the lock file pins; the models and ONNX
Runtime, which no tool for crates knows, from their files. The same source gives the same bytes.
"""

import hashlib
import json
import pathlib
import subprocess
import sys
import tomllib
import uuid

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGETS = {"x86_64": "x86_64-unknown-linux-gnu", "aarch64": "aarch64-unknown-linux-gnu"}


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def linked(metadata):
    """Ids of what is linked into the program: the root's dependencies without those of builds and tests."""
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    seen, waiting = set(), [metadata["resolve"]["root"]]
    while waiting:
        one = waiting.pop()
        if one not in seen:
            seen.add(one)
            normal = [d for d in nodes[one]["deps"] if any(kind["kind"] is None for kind in d["dep_kinds"])]
            waiting.extend(dependency["pkg"] for dependency in normal)
    return seen


def crates(target):
    command = ["cargo", "metadata", "--locked", "--format-version=1", "--filter-platform", target]
    metadata = json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout)
    lock = tomllib.loads((ROOT / "Cargo.lock").read_text())
    checksums = {(each["name"], each["version"]): each.get("checksum") for each in lock["package"]}
    inside = linked(metadata)
    for package in sorted(metadata["packages"], key=lambda each: (each["name"], each["version"])):
        name, version = package["name"], package["version"]
        if package["id"] not in inside or package["source"] is None:
            continue
        entry = {"type": "library", "name": name, "version": version, "purl": f"pkg:cargo/{name}@{version}"}
        if package["license"]:
            entry["licenses"] = [{"expression": package["license"].replace("/", " OR ")}]
        if checksums.get((name, version)):
            entry["hashes"] = [{"alg": "SHA-256", "content": checksums[name, version]}]
        yield entry


def models():
    for manifest in sorted((ROOT / "models/packs").glob("*/pack.toml")):
        pack = tomllib.loads(manifest.read_text())
        for model in pack["model"]:
            yield {
                "type": "machine-learning-model",
                "name": f"{pack['name']}/{model['file']}",
                "version": pack["version"],
                "licenses": [{"license": {"name": pack["licence"]}}],
                "hashes": [{"alg": "SHA-256", "content": model["sha256"]}],
            }


def main(arch):
    own = tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]
    version = next(line.split("==")[1].split()[0] for line in (ROOT / "tools/onnxruntime.txt").read_text().splitlines() if line.startswith("onnxruntime=="))
    library = ROOT / "third_party/onnxruntime" / arch / "libonnxruntime.so"
    runtime = {
        "type": "library",
        "name": "onnxruntime",
        "version": version,
        "purl": f"pkg:pypi/onnxruntime@{version}",
        "licenses": [{"license": {"id": "MIT"}}],
        "hashes": [{"alg": "SHA-256", "content": sha256(library)}],
    }
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "component": {
                "type": "firmware",
                "name": own["name"],
                "version": own["version"],
                "licenses": [{"license": {"id": own["license"]}}],
            }
        },
        "components": [runtime, *models(), *crates(TARGETS[arch])],
    }
    name = hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
    document["serialNumber"] = f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, name)}"
    print(json.dumps(document, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main(sys.argv[1])
