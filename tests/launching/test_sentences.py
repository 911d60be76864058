"""Hydra's and OmegaConf's errors, each in one sentence with its remedy."""

import sys

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hypothesis import given
from hypothesis import strategies as st

from stgcn_lightning.launching.resolvers import register_resolvers
from stgcn_lightning.launching.sentences import explain
from stgcn_lightning.settings.compose import settings_of
from stgcn_lightning.shipped import CONF

OWN = """defaults:
  - _self_
  - override /skeleton@_global_.skeleton: coco17
name: mine
annotations: a.pkl
dimension: 2d
normalise: 2d
train_split: train
val_split: val
classes: [a, b]
"""


@pytest.fixture
def sentence(monkeypatch, tmp_path):
    """The sentence about a command line: (door, *arguments) -> text."""

    def ends_with(door, *arguments):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", [door, *arguments, "--config-dir", str(tmp_path)])
        register_resolvers()
        GlobalHydra.instance().clear()
        here = f"hydra.searchpath=['file://{tmp_path}']"
        with initialize_config_dir(str(CONF), version_base="1.3"):
            try:
                settings_of(door, compose(door, ["run_dir=run", here, *arguments]))
            except Exception as error:
                return explain(error, door)
        return ""

    return ends_with


@pytest.fixture
def own(tmp_path):
    """Write a benchmark of the user's own: (text) -> its file."""
    path = tmp_path / "benchmark" / "mine.yaml"
    path.parent.mkdir()

    def write(content):
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.mark.parametrize(
    ("door", "argument", "said"),
    [
        ("train", "seed=0,1,2", "seed=0,1,2 is a sweep: add -m"),
        ("train", "seed=range(0,3)", "seed=range(0,3) is a sweep: add -m"),
        ("train", "stream=joint,bone", "stream=joint,bone is a sweep: add -m"),
        ("train", "logger=wandb,csv", "logger takes a list in brackets: logger=[wandb,csv]"),
        ("train", "data.holdout_subjects=1,2", "data.holdout_subjects=[1,2]"),
        ("train", "benchmark.classes=a,b", "benchmark.classes=[a,b]"),
        ("train", "trainer.devices=0,1", "trainer.devices=[0,1]"),
        ("reproduce", "seeds=0,1", "seeds=[0,1]"),
        ("fuse", "apply_softmax=a,b", "apply_softmax=[a,b]"),
        ("train", "+recipe.lr=0.1", ""),  # null is no value
        ("train", "+recipe.epochs=5", "there is a key recipe.epochs already: leave out the +"),
        ("train", "++trainer=cpu", "a group is chosen without plus signs: trainer=cpu"),
        ("fuse", "trainer=cpu", "there is no key trainer: "),
        ("train", "trainer.detect_anomaly=true", "+trainer.detect_anomaly=VALUE adds it"),
        ("train", "trainer.max_epochs=3", "recipe.epochs is the number of epochs"),
        ("train", "trainer.accumulate_grad_batches=4", "recipe.accumulate=8 makes a step of"),
        ("train", "callbacks.best.save_top_k=3", "+callbacks.best.save_top_k=VALUE gives ModelChe"),
        ("train", "callbacks.early_stopping.patience=3", "callbacks=[default,early_stopping]"),
        ("train", "callbacks.best.monitr=x", "did you mean callbacks.best.monitor? or +"),
        ("train", "logger.csv.flush=1", "+logger.csv.flush=VALUE gives MetricsFile another"),
        ("train", "recipe.learning_rate=1", "there is no key recipe.learning_rate: did you mean"),
        ("train", "+recipe.class_weight=x", "there is no key recipe.class_weight: "),
        ("train", "+data.foo=1", "there is no key data.foo: "),
        ("train", "+benchmark.clases=4", "there is no key benchmark.clases: did you mean ben"),
        ("train", "+stream.foo=1", "there is no key stream.foo: a stream of your own has arg"),
        ("train", "+downloads.foldr=x", "did you mean downloads.folder"),
        ("train", "+epochs=1", "there is no key epochs: did you mean recipe.epochs"),
        ("export", "+data.foo=1", "there is no key data.foo: "),
        ("train", "tiny", "cannot read tiny: keys are set by key=value"),
        ("train", "experiment=tinny", "there is no experiment/tinny: "),
        ("train", "~logger.tensorboard", "'logger.tensorboard' does not exist"),
        ("train", "skeleton@foo=coco17", "there is no key skeleton@foo: did you mean skeleton?"),
        ("train", "foo@bar=1", "config group 'foo' does not exist"),
        ("train", "seed.a=1", "seed"),
        ("train", "seed=${sed}", "${sed} of seed refers to no key: did you mean seed"),
        ("train", "seed=${seed}", "the value of seed refers to itself"),
        ("train", "seed=${oc.env:NO_SUCH_NAME}", "variable NO_SUCH_NAME of seed is not set"),
        ("train", "seed=${foo:1}", "${foo:...} of seed is no resolver"),
        ("train", "seed=???", "seed is ???, which must be given: seed=VALUE"),
    ],
)  # fmt: skip
def test_a_mistake_of_the_command_line_is_one_sentence(sentence, door, argument, said):
    text = sentence(door, argument)
    assert said in text
    assert bool(said) == bool(text)
    assert "\n" not in text
    assert "hydra.cc" not in text


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("dimension:", "\tdimension:"), "mine.yaml, line 6, is no YAML: "),
        (("[a, b]", "[a, b"), "mine.yaml, line 11, is no YAML: "),
        (("name: mine", "name: a: b"), "mine.yaml, line 4, is no YAML: "),
        (("name: mine", "name: mine\nname: x"), "mine.yaml, line 5, is no YAML: found dupl"),
        (("name: mine", "name: 'mine"), "mine.yaml, line "),
        (("name: mine", "name: m\u00e9"), "mine.yaml, line 4, is not UTF-8 text: save it as UTF-8"),
        (("name: mine", "name: m\x07"), "mine.yaml, line 4, is no YAML: unacceptable character"),
        (("name: mine", "nmae: mine"), "there is no key benchmark.nmae: did you mean ben"),
        (("name: mine", "name: mine\nfoo: 1"), "there is no key benchmark.foo: "),
        (("name: mine", "name: mine\n_foo: 1"), ""),
        (("name: mine", "name: on"), "benchmark.name=true is no name: in YAML, quote it: 'yes'"),
        (("train_split: train", "train_split: 1"), "benchmark.train_split=1 is no name: in YAML"),
        (("a.pkl", "???"), "benchmark.annotations is ???, which must be given"),
        (("a.pkl", "${.nmae}"), "refers to no key"),
        (("a.pkl", "${"), "the value of annotations has a ${ that begins no reference"),
        (("coco17", "coco71"), "there is no skeleton/coco71: did you mean coco17?"),
        (("/skeleton@_global_.skeleton", "/bones"), "bones"),
        (("/skeleton@_global_.skeleton", "/skeleton"), "write override /skeleton@_global_.skelet"),
        (("  - _self_\n", ""), ""),
        (("  - _self_\n", "  - [a]\n"), "defaults"),
    ],
)  # fmt: skip
def test_a_fault_in_a_file_of_the_user_is_one_sentence(sentence, own, change, said):
    assert change[0] in OWN
    text = OWN.replace(*change)
    own(text.encode("latin-1") if "\u00e9" in text else text)
    found = sentence("train", "benchmark=mine")
    assert said in found
    assert bool(said) == bool(found)
    assert "\n" not in found


def test_a_stated_key_that_a_benchmark_of_ones_own_lacks_is_added(sentence, own):
    own(OWN)
    found = sentence("train", "benchmark=mine", "benchmark.subject=P")
    assert found == "there is no key benchmark.subject yet: +benchmark.subject=VALUE adds it"


def test_a_list_of_words_that_yaml_makes_booleans_is_refused(sentence, own):
    own(OWN.replace("[a, b]", "[yes, no]"))
    assert sentence("train", "benchmark=mine") == ""  # the job looks at the classes
    said = sentence("train", "data.holdout_subjects=[1,true]")
    assert said.startswith("data.holdout_subjects[1]=true is no name as YAML reads it: quote it")


@given(st.from_regex(r"[a-z]{1,8}", fullmatch=True))
def test_an_unknown_key_is_refused_wherever_it_stands(key):
    from stgcn_lightning.errors import BadInput
    from stgcn_lightning.settings.doors import Trained
    from stgcn_lightning.settings.fields import refuse_unknown, statements

    for group, stated in statements(Trained).items():
        if stated.group and key not in statements(stated.group):
            rest = any(one.rest for one in statements(stated.group).values())
            table = {group: {key: 1}}
            if rest:
                refuse_unknown(Trained, table)
            else:
                with pytest.raises(BadInput, match=f"there is no key {group}.{key}: "):
                    refuse_unknown(Trained, table)
            refuse_unknown(Trained, {group: {f"_{key}": 1}})
