"""What a store was built of: annotation files as they were, by their state and by their content.

The state of a file is what the system says of it, its size and times; while that stays, nobody
wrote to the file. Another state need not mean other annotations: then their content decides.
"""

from pathlib import Path
from typing import Any

import xxhash

from stgcn_lightning.data.building import as_it_is
from stgcn_lightning.sources.registry import Source

JUDGED = 2  # version of what a store keeps of annotations: it is built again when it changes
AT_ONCE = 1 << 24  # bytes that are read at once
STATE, CONTENT = "source_state", "source_content"


def fingerprint(annotations: Path, source: Source) -> dict[str, Any]:
    """The state of an annotation file, or of the files in such a folder, and of their reader."""
    files = _files(annotations)
    states = {str(path.relative_to(annotations)): as_it_is(path) or [0] for path in files}
    found: dict[str, Any] = {
        "source_bytes": sum(size for size, *_ in states.values()),
        STATE: xxhash.xxh3_64_hexdigest(repr(states).encode()),
        "judged": JUDGED,
    }
    if annotations.is_dir():
        found["source_files"] = len(files)
    if source.version:
        found["source_version"] = source.version
    return found


def content_of(annotations: Path) -> str:
    """A digest of the bytes of an annotation file, or of the names and bytes in such a folder.

    Raises:
        OSError: they cannot be read.
    """
    digest = xxhash.xxh3_128()
    for path in _files(annotations):
        digest.update(str(path.relative_to(annotations)).encode())
        with path.open("rb") as file:
            while content := file.read(AT_ONCE):
                digest.update(content)
    return digest.hexdigest()


def beside_are(manifest: dict[str, Any]) -> bool:
    """Whether the files that held arrays besides the annotations are as they were, or gone."""
    files: dict[str, list[int]] = manifest["beside"]
    return all(as_it_is(path) in (None, was) for path, was in files.items())


def _files(annotations: Path) -> list[Path]:
    inside = sorted(path for path in annotations.rglob("*") if path.is_file())  # of a folder
    return inside or [annotations]
