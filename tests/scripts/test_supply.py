"""What is installed, where it comes from, and under which licence."""

import re
import sys
from importlib.metadata import distributions
from types import SimpleNamespace

import audit
import licences
import pins
import pytest
from helpers import CHECKOUT
from packaging.requirements import Requirement

tomllib = pytest.importorskip("tomllib")  # of Python 3.11
PROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
FILE = (CHECKOUT / "hashes.txt").read_text()


def names_in(requirements):
    return {pins.name_of(Requirement(one).name) for one in requirements}


def test_every_pinned_version_has_the_hash_of_its_file():
    lines = [line for line in FILE.splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[a-z0-9-]+==\S+ --hash=sha256:[0-9a-f]{64}", one) for one in lines)
    hashed = pins.pinned(FILE)
    text = (CHECKOUT / "constraints.txt").read_text()
    pinned = [Requirement(line) for line in text.splitlines() if not line.startswith("#")]
    missing = {pins.name_of(one.name): str(one.specifier) for one in pinned}
    assert missing.pop("torch")
    assert {name: f"=={hashed.get(name)}" for name in missing} == missing


def test_every_dependency_is_pinned_but_torch_and_what_the_tests_replace():
    extras = PROJECT["optional-dependencies"]
    wanted = names_in(PROJECT["dependencies"]).union(*map(names_in, extras.values()))
    assert wanted - pins.pinned(FILE).keys() == {"torch", "rtmlib", pins.OURS}


def test_what_only_torch_takes_has_no_hash():
    def one(name, *requires):
        about = {"name": name, "version": "1", "requires_dist": list(requires)}
        return {"metadata": about, "download_info": {"archive_info": {"hashes": {"sha256": "ab"}}}}

    report = [
        one("stgcn_lightning", "torch", 'A_b[x]; extra == "dev"', 'hidden; extra == "other"'),
        one("a_b", 'c; extra == "x"', 'd; python_version < "3"'),
        one("c", "A-b"),
        one("torch", "c", "nvidia-x"),
        one("nvidia-x"),
    ]
    assert pins.hashed(report) == ["a-b==1 --hash=sha256:ab", "c==1 --hash=sha256:ab"]


def test_another_version_and_an_unknown_package_are_found():
    def one(name, version, *requires):
        return SimpleNamespace(name=name, version=version, requires=list(requires))

    installed = [
        one("torch", "2.13.0+cpu", "nvidia_x"), one("nvidia-x", "9"), one("pip", "1"),
        one("Right", "1"), one("other", "2"), one("stranger", "3"),
    ]  # fmt: skip
    wrong = pins.differences({"right": "1", "other": "1", "absent": "1"}, installed)
    assert wrong == ["other 2 in place of 1", "stranger 3"]


def test_the_page_of_licences_lists_every_dependency():
    page = (CHECKOUT / "docs" / "licences.md").read_text()
    extras = PROJECT["optional-dependencies"]
    users = [names_in(one) for extra, one in extras.items() if extra != "dev"]
    for name in names_in(PROJECT["dependencies"]).union(*users):
        assert re.search(rf"^\| {name} \| \w* \| \S.* \|$", page, re.MULTILINE), name


def test_the_page_of_licences_is_up_to_date():
    installed = list(distributions())
    if wrong := pins.differences(pins.pinned(FILE), installed):
        pytest.skip(f"other versions than those of hashes.txt are installed: {wrong[0]}")
    page = licences.page({pins.name_of(one.name): one for one in installed})
    assert f"{page}\n" == (CHECKOUT / "docs" / "licences.md").read_text(), "run `make docs`"


FLAW = {"id": "CVE-2026-1", "fix_versions": ["2.0"], "aliases": []}


def test_a_known_vulnerability_ends_the_audit_with_its_name(monkeypatch):
    answers = [{"name": "a", "version": "1", "vulns": [FLAW]}, {"name": "b", "skip_reason": "?"}]
    monkeypatch.setattr(audit, "audited", lambda pins: answers)
    with pytest.raises(SystemExit, match=r"^a 1: CVE-2026-1, mended in 2\.0$"):
        audit.main()


@pytest.mark.parametrize(
    "program",
    [
        "raise SystemExit('no name server')",  # an error of the connection: a traceback, status 1
        'print(\'{"dependencies": [{"name": "x", "skip_reason": "not found"}]}\')',
        "import sys; sys.exit(2)",
    ],
)
def test_a_list_that_cannot_be_reached_is_said_and_is_no_failure(
    tmp_path, monkeypatch, capsys, program
):
    (tmp_path / "bin").mkdir()
    tool = tmp_path / "bin" / "pip-audit"
    tool.write_text(f"#!{sys.executable}\n{program}\n")
    tool.chmod(0o755)
    monkeypatch.setattr(audit, "HOME", tmp_path)
    monkeypatch.setattr(audit, "installed", lambda: True)
    audit.main()
    assert capsys.readouterr().out.startswith("not audited: no list of vulnerabilities")


def test_an_audit_without_a_finding_says_how_many_versions_it_looked_up(monkeypatch, capsys):
    monkeypatch.setattr(audit, "audited", lambda pins: [{"name": n, "vulns": []} for n in pins])
    audit.main()
    said = capsys.readouterr().out
    assert said == f"{len(pins.pinned(FILE)) + 1} versions, no known vulnerability\n"
