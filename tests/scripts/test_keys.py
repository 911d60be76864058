"""docs/keys.md is what the fields of the settings say."""

import subprocess
import sys

from helpers import CHECKOUT


def test_the_page_of_all_keys_is_up_to_date():
    command = [sys.executable, CHECKOUT / "scripts" / "keys.py"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    page = (CHECKOUT / "docs" / "keys.md").read_text()
    assert page == done.stdout, "run `python scripts/keys.py > docs/keys.md`"
