"""What a file is, by its first bytes: so that a file of another format is called by its name."""

import re
import zipfile
from typing import BinaryIO

from stgcn_lightning.errors import BadInput
from stgcn_lightning.files.reading import AnyPath, opened

HEAD = 4096  # bytes that are looked at

TORCH = "a file of torch.save (.pt, .pth, .ckpt)"
NPZ = "an .npz archive of numpy"
SAFETENSORS = "a safetensors file"
LEGACY = b"\x80\x02\x8a\n"  # torch's magic number, pickled: how torch wrote before version 1.6

# what is read -> what it is made of, and the kind of that is not another one
WANTED = {
    "annotations": "annotations are a pickle of {'split': ..., 'annotations': [...]}, which "
    "pickle.dump writes",
    "score files": "scores are the .npz of the test door, or a pickle of MMAction2's, PYSKL's or "
    "CTR-GCN's test",
    "checkpoints": "a checkpoint is what torch.save(model.state_dict(), FILE) writes",
}
OWN = {"annotations": (), "score files": (NPZ,), "checkpoints": (TORCH, SAFETENSORS)}

PICKLED_TEXT = r"[(\[\]}c]"  # how a pickle of protocol 0 begins

# first bytes -> what the file is, and what to do about it; None: what `WANTED` says
KINDS: tuple[tuple[bytes, str, str | None], ...] = (
    (b"\x1f\x8b", "a gzip file", "unpack it, gunzip -c FILE > NEW"),
    *(
        (mark, "compressed by zlib", "write it again, pickle.dump(joblib.load(FILE), file)")
        for mark in (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")
    ),
    (b"BZh", "a bzip2 file", "unpack it, bunzip2 -c FILE > NEW"),
    (b"\xfd7zXZ\0", "an xz file", "unpack it, unxz -c FILE > NEW"),
    (b"\x28\xb5\x2f\xfd", "a zstandard file", "unpack it, unzstd -c FILE > NEW"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", "unpack it, 7z x FILE"),
    (b"Rar!", "a RAR archive", "unpack it, unrar x FILE"),
    (b"\x93NUMPY", "one array of numpy (.npy)", None),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file", None),
    (b"MATLAB ", "a MATLAB file (.mat)", None),
    (b"PAR1", "a Parquet table", None),
    (b"ARROW1", "an Arrow table", None),
    (b"SQLite format 3", "an SQLite database", None),
    (LEGACY, TORCH, None),
    (
        b"version https://git-lfs",
        "a Git LFS pointer, which only stands for the file",
        "fetch the file with git lfs pull",
    ),
)
# the same, of text: what it begins with, after white space
TEXTS: tuple[tuple[str, str, str | None], ...] = (
    (
        r"<(!doctype\s+html|html|head|body)\b",
        "a web page, such as a login or an error, that was saved in place of the file",
        "download it again",
    ),
    (
        r"<(\?xml|error)\b",
        "XML, such as a server's error that was saved in place of the file",
        "download it again",
    ),
    (r"[{\[]", "a JSON file", None),
)


def kind_of(path: AnyPath) -> str | None:
    """What a file is, such as `SAFETENSORS`; None: not known.

    Raises:
        BadInput: it cannot be read.
    """
    with opened(path) as file:
        kind = _kind(file, str(path))
    return kind and kind[0]


def refuse_other_kind(path: AnyPath, contents: str) -> None:
    """Refuse a file that its first bytes show to be of another format than the one that is read.

    Args:
        path: of the file.
        contents: what it should hold, one of `WANTED`.

    Raises:
        BadInput: it is of another format, or cannot be read.
    """
    with opened(path) as file:
        kind = _kind(file, str(path))
    if kind is not None and kind[0] not in OWN[contents]:
        what, remedy = kind
        raise BadInput(f"{path} is {what}: {remedy or WANTED[contents]}")


def refuse_text(path: AnyPath, contents: str) -> None:
    """Refuse a table or a text, where the file could not be read: a pickle may be text as well.

    Raises:
        BadInput: it is one.
    """
    with opened(path) as file:
        text = _text(file.read(HEAD))
    if text is None:
        return
    suffix = str(path).lower().rsplit(".", 1)[-1]
    lines = [line for line in text.split("\n")[:-1] if line.strip()] or [text]
    first = lines[0]
    what = {"csv": "a CSV table", "tsv": "a table", "txt": "a text file"}.get(suffix)
    if suffix in ("yaml", "yml") or re.match(r"(---\s*$|#? ?[\w-]+:(\s|$))", first):
        what = "a YAML file"
    elif any(first.count(mark) and _even(lines, mark) for mark in ",;\t"):
        what = "a CSV table"
    elif not what and len(lines) > 1 and not re.match(PICKLED_TEXT, text):
        what = "a text file"
    if what:
        raise BadInput(f"{path} is {what}: {WANTED[contents]}")


def refuse_pickle(path: AnyPath) -> None:
    """Refuse a plain pickle where a checkpoint is read, and say of what it seems to be.

    Raises:
        BadInput: it is one.
    """
    with opened(path) as file:
        head = file.read(HEAD)
        file.seek(max(0, file.seek(0, 2) - 1))
        end = file.read()
    if end != b"." or not re.match(rb"\x80[\x02-\x05]|\(dp|\(lp|\}q|\]q", head):
        return
    if any(name in head for name in (b"pred_score", b"gt_label")):
        raise BadInput(f"{path} is a pickle of scores, no checkpoint: the fuse door reads it")
    if any(name in head for name in (b"frame_dir", b"annotations", b"split")):
        raise BadInput(
            f"{path} is a pickle of annotations, no checkpoint: give it as benchmark.annotations"
        )
    raise BadInput(f"{path} is a plain pickle: {WANTED['checkpoints']}")


def _even(lines: list[str], mark: str) -> bool:
    """Whether there are several lines, with as many marks in each."""
    return len(lines) > 1 and len({line.count(mark) for line in lines}) == 1


def _kind(file: BinaryIO, path: str) -> tuple[str, str | None] | None:
    """What a file is, and the remedy; None: not known."""
    head = file.read(HEAD)
    size = file.seek(0, 2)
    if not head:
        return "empty", "copy or download it again"
    if head[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        return _kind_of_zip(file)
    for beginning, what, remedy in KINDS:
        if head.startswith(beginning):
            if re.search(r"\.(tgz|tar\.\w+)$", path, re.IGNORECASE):
                return f"{what} of an archive", "unpack it, tar xf FILE"
            return what, remedy
    if head[257:262] == b"ustar":
        return "a tar archive", "unpack it, tar xf FILE"
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= size - 8:
        return SAFETENSORS, None
    if re.match(rb"\x08[\x01-\x20]\x12.{1,40}(\x1a|\x22|\x3a)", head, re.DOTALL):
        return "an ONNX model", None
    text = _text(head)
    for beginning, what, remedy in TEXTS:
        if text is not None and re.match(beginning, text.lstrip("\ufeff \t\r\n"), re.IGNORECASE):
            return what, remedy
    return None


def _kind_of_zip(file: BinaryIO) -> tuple[str, str | None] | None:
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
    except Exception:  # damaged: of such a file, zipfile lets more than BadZipFile through
        return None
    if any(re.fullmatch(r"[^/]+/data\.pkl", name) for name in names):
        return TORCH, None
    if names and all(name.endswith(".npy") for name in names):
        return NPZ, None
    if any(re.fullmatch(r"[^/]+/archive_format", name) for name in names):
        return "a program of torch.export", None
    return "a zip archive", "unpack it, unzip FILE"


def _text(head: bytes) -> str | None:
    """The text that a file begins with; None: it is none."""
    for cut in range(4):  # a character may go on after `head`
        try:
            text = head[: len(head) - cut].decode()
        except UnicodeDecodeError:
            continue
        return text if re.fullmatch(r"[^\x00-\x08\x0e-\x1f\x7f]*", text) else None
    return None
