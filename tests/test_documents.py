"""What the pages name exists: files of the package and of the checkout, and linked pages."""

import re

import pytest
from helpers import CHECKOUT

PLACES = ("", "src/stgcn_lightning", "conf", "scripts", "scripts/bench")
PAGES = [*sorted(CHECKOUT.glob("*.md")), *sorted(CHECKOUT.glob("docs/*.md"))]
REFERENCE = ("tools/", "configs/")  # of MMAction2


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_names_files_that_exist(page):
    text = page.read_text()
    for name in re.findall(r"`((?:\w+/)*[a-z_]+\.(?:py|sh|yaml))`", text):
        found = any((CHECKOUT / place / name).exists() for place in PLACES)
        assert found or name.startswith(REFERENCE), name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_links_to_pages_that_exist(page):
    for link in re.findall(r"\]\(([^)#\s]+)", page.read_text()):
        assert link.startswith("http") or (page.parent / link).exists(), link
