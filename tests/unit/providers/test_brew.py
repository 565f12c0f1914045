"""Where Homebrew is looked for; what it is asked and does is in the cases of `package`."""

from __future__ import annotations

import pytest

from gitops.errors import HostError
from gitops.providers.packages.brew import find_place
from tests.support.casehost import CaseHost


def test_without_brew_both_places_are_named() -> None:
    with pytest.raises(HostError, match="there is no brew at /opt/homebrew/bin/brew or /usr/local/bin/brew"):
        find_place(CaseHost({}))


def test_the_owner_of_brew_itself_counts_before_anything_is_installed() -> None:
    case = {"paths": {"/usr/local/bin/brew": "file"}, "owners": {"/usr/local/bin/brew": "ann"}}
    assert find_place(CaseHost(case)).owner == "ann"
