"""Batch normalisation: its statistics, measured without training."""

import pytest
import torch
from torch import Tensor, nn

from replearn.encoders.networks.architectures import ARCHITECTURES, Architecture, Encoder
from replearn.encoders.networks.normalisation import measure_statistics
from tests.encoders.networks.small import WIDTH


@pytest.mark.parametrize("count", [200, 258])  # one batch, and one and a little more
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_measured_statistics_standardise_what_the_images_make_of_each_layer(
    architecture: Architecture, count: int
) -> None:
    encoder = Encoder(architecture, 16, 1, WIDTH, outputs=5).eval()
    images = 3 + 2 * torch.randn(count, 1, 16, 16)
    momenta = [m.momentum for m in encoder.modules() if isinstance(m, nn.BatchNorm2d)]
    measure_statistics(encoder, images)
    assert not any(module.training for module in encoder.modules())
    assert momenta == [m.momentum for m in encoder.modules() if isinstance(m, nn.BatchNorm2d)]
    seen: list[Tensor] = []
    for layer in encoder.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            layer.register_forward_hook(lambda module, inputs, output: seen.append(output.clone()))
    with torch.no_grad():
        encoder(images)
    assert seen
    for output in seen:
        units = output.transpose(0, 1).flatten(1)
        # Each of several batches was standardised by itself on its way to the layer.
        near = 1 if count <= 256 else 20
        torch.testing.assert_close(units.mean(1), torch.zeros(len(units)), atol=1e-3 * near, rtol=0)
        torch.testing.assert_close(units.std(1), torch.ones(len(units)), atol=1e-2 * near, rtol=0)
