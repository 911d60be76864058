import pytest
import torch
from torch import nn

from stgcn_lightning.engine.convert import convert
from stgcn_lightning.engine.norms import _RowNorm
from stgcn_lightning.engine.persons import distinct


def test_a_norm_in_evaluation_uses_its_running_statistics():
    norm = nn.BatchNorm2d(3).eval()
    norm.running_mean.fill_(1)
    norm.running_var.fill_(4)
    x = torch.randn(2, 3, 4, 5)
    convert(norm).rows = distinct(torch.ones(1, 2, 1, 1, 1))[1]
    torch.testing.assert_close(norm(x), (x - 1) / (4 + norm.eps) ** 0.5)


@pytest.mark.parametrize(
    ("kind", "shape", "layout"),
    [
        (nn.BatchNorm1d, (3, 4), torch.contiguous_format),
        (nn.BatchNorm1d, (3, 4, 6), torch.contiguous_format),
        (nn.BatchNorm2d, (3, 4, 6, 5), torch.contiguous_format),
        (nn.BatchNorm2d, (3, 4, 6, 5), torch.channels_last),
        (nn.BatchNorm3d, (3, 4, 2, 3, 5), torch.contiguous_format),
        (nn.BatchNorm3d, (3, 4, 2, 3, 5), torch.channels_last_3d),
    ],
)
@pytest.mark.parametrize("momentum", [0.1, None])
def test_rows_that_count_twice_equal_rows_that_stand_there_twice(kind, shape, layout, momentum):
    """Rows 0 and 1 are persons of one clip each, the absent person is two of four."""
    torch.manual_seed(0)
    ours, plain = (kind(4, momentum=momentum).double() for _ in range(2))
    clips = torch.ones(2, 2, 1, 1, 1)
    clips[:, 1] = 0
    _, rows = distinct(clips)
    convert(ours).rows = rows
    for _ in range(2):
        x = torch.randn(shape, dtype=torch.float64).contiguous(memory_format=layout)
        x.requires_grad_()
        padded = x.detach()[[0, 2, 1, 2]].requires_grad_()
        y, expected = ours(x), plain(padded)
        torch.testing.assert_close(y, expected[[0, 2, 1]])
        assert y.stride() == x.stride()
        g = torch.randn_like(expected)
        (expected * g).sum().backward()
        g = torch.stack([g[0], g[2], g[1] + g[3]])
        (y * g).sum().backward()
        assert x.grad is not None
        assert padded.grad is not None
        theirs = torch.stack([padded.grad[0], padded.grad[2], padded.grad[1] + padded.grad[3]])
        torch.testing.assert_close(x.grad, theirs)
    for name, buffer in ours.named_buffers():
        torch.testing.assert_close(buffer, plain.get_buffer(name))


def test_gradients_are_exact_where_the_backward_pass_runs_under_autocast():
    """As a compiled one does: its products would be of 8 bits."""
    x = torch.randn(6, 4, 5, 3, generator=torch.Generator().manual_seed(0))
    group, share = (
        torch.arange(6) // 3,
        torch.rand(2, 6) * (torch.arange(6) // 3 == torch.arange(2)[:, None]),
    )
    found = []
    for half in (False, True):
        given = [x.clone().requires_grad_(), torch.ones(4).requires_grad_(), torch.zeros(4)]
        y, *_ = _RowNorm.apply(*given, group, share / share.sum(1, keepdim=True), 1e-5)
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            y.backward(x.sin())
        found.append([one.grad for one in given[:2]])
    torch.testing.assert_close(*found, rtol=0, atol=0)
