"""A new trust root is believed when the old and the new thresholds signed it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from gitops.errors import TrustError
from gitops.model.candidate import Candidate
from gitops.model.trustroot import TrustRoot
from gitops.signatures.bundle import BundleVerifier, sign_message
from gitops.signatures.keys import SigningKey, generate_key
from gitops.trust.release import Memory, verify_release
from gitops.trust.rotation import advance_root, verify_rotation
from tests.support.candidates import NOW, SECOND, Releaser, candidate

OLD, NEW, THIRD = generate_key(), generate_key("p256"), generate_key()
VERIFIER = BundleVerifier()


def make_root(version: int, keys: Sequence[SigningKey], threshold: int = 1) -> TrustRoot:
    base = Releaser(keys=list(keys), threshold=threshold).root
    return replace(base, version=version)


ONE = make_root(1, [OLD])
TWO = make_root(2, [NEW])


def sign(root: TrustRoot, keys: Sequence[SigningKey]) -> Mapping[str, bytes]:
    return {key.public.ident: sign_message(key, root.to_bytes()) for key in keys}


def refused(old: TrustRoot, new: TrustRoot, signatures: Mapping[str, bytes], data: bytes | None = None) -> None:
    with pytest.raises(TrustError) as caught:
        verify_rotation(old, new.to_bytes() if data is None else data, signatures, VERIFIER)
    assert caught.value.code == "T109"


def test_both_thresholds_make_a_new_root() -> None:
    assert verify_rotation(ONE, TWO.to_bytes(), sign(TWO, [OLD, NEW]), VERIFIER) == TWO


@pytest.mark.parametrize("keys", [[], [OLD], [NEW], [THIRD]])
def test_one_side_alone_is_not_enough(keys: list[SigningKey]) -> None:
    refused(ONE, TWO, sign(TWO, keys))


def test_each_sides_threshold_counts() -> None:
    both = make_root(2, [NEW, THIRD], 2)
    refused(ONE, both, sign(both, [OLD, NEW]))
    assert verify_rotation(ONE, both.to_bytes(), sign(both, [OLD, NEW, THIRD]), VERIFIER) == both


def test_a_signature_over_another_root_does_not_count() -> None:
    refused(ONE, TWO, sign(make_root(2, [NEW, THIRD]), [OLD, NEW]))


def test_a_signature_under_another_keys_name_does_not_count() -> None:
    refused(ONE, TWO, {OLD.public.ident: sign_message(NEW, TWO.to_bytes()), **sign(TWO, [NEW])})


@pytest.mark.parametrize("version", [1, 3])
def test_versions_are_dense(version: int) -> None:
    new = make_root(version, [NEW])
    refused(ONE, new, sign(new, [OLD, NEW]))


def test_another_repositorys_root_is_refused() -> None:
    new = replace(TWO, repository="evil")
    refused(ONE, new, sign(new, [OLD, NEW]))


def test_what_is_no_root_is_refused() -> None:
    refused(ONE, TWO, {}, b"{}")


def test_a_host_that_slept_catches_up_step_by_step() -> None:
    three = make_root(3, [THIRD])
    files = {"trust/1.json": ONE.to_bytes(), "trust/2.json": TWO.to_bytes(), "trust/3.json": three.to_bytes()}
    files |= {f"trust/2.sigs/{ident}.sigstore.json": data for ident, data in sign(TWO, [OLD, NEW]).items()}
    files |= {f"trust/3.sigs/{ident}.sigstore.json": data for ident, data in sign(three, [NEW, THIRD]).items()}
    assert advance_root(candidate(files), ONE, VERIFIER) == three
    assert advance_root(candidate(files), three, VERIFIER) == three
    del files["trust/2.json"]
    assert advance_root(candidate(files), ONE, VERIFIER) == ONE


def test_a_rotation_in_a_release_that_is_not_signed_is_refused() -> None:
    with pytest.raises(TrustError):
        advance_root(candidate({"trust/2.json": TWO.to_bytes()}), ONE, VERIFIER)


def test_a_chain_across_a_rotation_is_signed_by_the_roots_of_its_time() -> None:
    releaser = Releaser(keys=[OLD])
    releaser.make()
    memory = releaser.memory
    link = candidate(releaser.make(SECOND))
    releaser.keys = [NEW]
    tip = candidate(releaser.make())

    def verify(older: Sequence[TrustRoot], chain: Sequence[Candidate] = (link,)) -> int:
        return verify_release(
            tip, TWO, "production", memory=memory, now=NOW, verifier=VERIFIER, chain=chain, older_roots=older
        ).manifest.serial

    assert verify([ONE]) == 3
    for older in ([], [make_root(1, [THIRD])]):
        with pytest.raises(TrustError) as caught:
            verify(older)
        assert caught.value.code == "T101"


def test_the_tip_itself_is_never_signed_by_an_older_root() -> None:
    releaser = Releaser(keys=[OLD])
    tip = candidate(releaser.make())
    with pytest.raises(TrustError) as caught:
        verify_release(tip, TWO, "production", memory=Memory(), now=NOW, verifier=VERIFIER, older_roots=[ONE])
    assert caught.value.code == "T101"
