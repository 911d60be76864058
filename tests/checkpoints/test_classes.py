from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stgcn_lightning.checkpoints.classes import agree, mapped, refuse_other_classes
from stgcn_lightning.errors import BadInput

FILE = Path("x.ckpt")
NAMES = st.lists(st.text("abcdef", min_size=1), min_size=2, max_size=8, unique=True)


@given(NAMES, st.data())
def test_a_mapped_head_answers_for_each_class_as_the_checkpoint_does(theirs, data):
    some = st.lists(st.sampled_from(theirs), min_size=1, unique=True)
    ours = data.draw(some, label="ours")
    weight, bias = torch.randn(len(theirs), 5), torch.randn(len(theirs))
    state = {"classify.weight": weight, "classify.bias": bias, "norm.weight": torch.ones(4)}
    again = mapped(state, theirs, ours, FILE)
    features = torch.randn(5)
    before = dict(zip(theirs, weight @ features + bias, strict=True))
    after = again["classify.weight"] @ features + again["classify.bias"]
    torch.testing.assert_close(after, torch.stack([before[name] for name in ours]))
    assert torch.equal(again["norm.weight"], state["norm.weight"])


@given(NAMES, st.data())
def test_another_order_is_refused_with_the_first_class_that_differs(theirs, data):
    ours = data.draw(st.permutations(theirs))
    if ours == theirs:
        refuse_other_classes(theirs, ours, FILE)
        return
    i = next(i for i in range(len(ours)) if ours[i] != theirs[i])
    with pytest.raises(BadInput) as refused:
        refuse_other_classes(theirs, ours, FILE)
    assert f"calls class {i} {theirs[i]!r} but benchmark.classes {ours[i]!r}" in str(refused.value)
    assert "classes=mapped" in str(refused.value)


def test_a_number_of_classes_agrees_with_any_names_of_that_number():
    for theirs, ours in ((["a", "b"], ["0", "1"]), (["0", "1"], ["a", "b"])):
        refuse_other_classes(theirs, ours, FILE)
        assert agree(theirs, ours)
        with pytest.raises(BadInput, match=r"classes=mapped goes by names, of which .* has none"):
            mapped({}, theirs, ours, FILE)
    assert not agree(["a", "b"], ["b", "a"])
    assert not agree(["a", "b"], ["0", "1", "2"])


def test_mapping_is_offered_only_where_it_is_possible():
    with pytest.raises(BadInput, match=r"knows 3 classes but the benchmark has 2: .*=mapped"):
        refuse_other_classes(["a", "b", "c"], ["c", "a"], FILE)
    with pytest.raises(BadInput, match=r"calls class 1 'b' but benchmark.classes 'z': give") as end:
        refuse_other_classes(["a", "b"], ["a", "z"], FILE)
    assert "mapped" not in str(end.value)
    with pytest.raises(BadInput, match=r"knows no class 'jmp', .* did you mean jump"):
        mapped({}, ["sit", "jump"], ["jmp"], FILE)
