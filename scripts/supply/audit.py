"""Known vulnerabilities of the versions that the tests run with.

python scripts/supply/audit.py

pip-audit is installed into an environment of its own and asked about hashes.txt and torch. Ends
with status 1 if a version is known to be vulnerable. Where the list of vulnerabilities cannot be
reached this is said, and is no failure.
"""

import json
import re
import subprocess
import sys
from typing import Any

from pins import CHECKOUT, HASHES, pinned

TOOL = "pip-audit==2.10.1"
SERVICES = ("pypi", "osv")
HOME = CHECKOUT / ".venv" / "audit"


def main() -> None:
    """Audit, and say what was found or what was not looked up."""
    pins = pinned(HASHES.read_text())
    torch = re.search(r"^torch==(\S+)", (CHECKOUT / "constraints.txt").read_text(), re.M)
    assert torch
    pins["torch"] = torch[1]
    answers = audited(pins)
    if answers is None:
        print(f"not audited: no list of vulnerabilities can be reached; {len(pins)} versions")
        return
    found, unknown = findings(answers)
    if unknown:
        print(f"not audited, since the list does not have them: {', '.join(unknown)}")
    if found:
        sys.exit("\n".join(found))
    print(f"{len(pins) - len(unknown)} versions, no known vulnerability")


def audited(pins: dict[str, str]) -> list[dict[str, Any]] | None:
    """What pip-audit says of each version; None where it cannot be had, or reaches no list."""
    if not installed():
        return None
    for service in SERVICES:
        one = asked(service, dict([next(iter(pins.items()))]))
        if one and "skip_reason" not in one[0]:
            return asked(service, pins)
    return None


def installed() -> bool:
    """Whether pip-audit is there, or could be installed."""
    python = HOME / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", HOME], check=True)
    command = [python, "-m", "pip", "install", "--quiet", TOOL]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def asked(service: str, pins: dict[str, str]) -> list[dict[str, Any]] | None:
    """The answers of a service; None if it does not answer."""
    listed = HOME / "versions.txt"
    listed.write_text("".join(f"{name}=={version}\n" for name, version in pins.items()))
    command = [
        HOME / "bin" / "pip-audit", "-r", listed, "--no-deps", "--disable-pip", "--format=json",
        "--progress-spinner=off", f"--vulnerability-service={service}",
    ]  # fmt: skip
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode not in (0, 1):
        return None
    try:
        return json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):  # it ended with a traceback instead
        return None


def findings(answers: list[dict[str, Any]]) -> tuple[list[str], list[str]]:
    """A line for every vulnerability, and the names of which nothing is known."""
    found = []
    for one in answers:
        for flaw in one.get("vulns", []):
            mended = ", ".join(flaw["fix_versions"]) or "no version yet"
            found.append(f"{one['name']} {one['version']}: {flaw['id']}, mended in {mended}")
    return found, [one["name"] for one in answers if "skip_reason" in one]


if __name__ == "__main__":
    main()
