import torch

from stgcn_lightning.evaluation.metrics import accuracies


def test_accuracies_of_a_case_done_by_hand():
    scores = torch.tensor([[0.6, 0.3, 0.1], [0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.1, 0.2, 0.7]])
    labels = torch.tensor([0, 0, 0, 2])  # class 1 is predicted once, wrongly
    figures = accuracies(3)(scores, labels)
    assert figures["top1"] == 0.75
    assert figures["top5"] == 1
    torch.testing.assert_close(figures["mean_class_accuracy"], torch.tensor((2 / 3 + 0 + 1) / 3))


def test_classes_that_never_occur_do_not_count():
    figures = accuracies(10)(torch.eye(10)[:2], torch.tensor([0, 1]))
    assert figures["mean_class_accuracy"] == 1
