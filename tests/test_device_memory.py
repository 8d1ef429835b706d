"""The free memory of a GPU, by what torch says of it."""

import pytest
import torch

from replearn.device_memory import free_memory


def test_what_torch_keeps_of_tensors_that_are_gone_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, answer in (
        ("mem_get_info", (100, 1000)),
        ("memory_reserved", 700),
        ("memory_allocated", 50),
    ):
        monkeypatch.setattr(torch.cuda, name, lambda device, answer=answer: answer)
    assert free_memory("cuda") == 750


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_memory_is_as_free_after_a_tensor_is_gone_as_before() -> None:
    torch.zeros(1, device="cuda")
    before = free_memory("cuda")
    held = torch.zeros(2**26, dtype=torch.uint8, device="cuda")
    assert free_memory("cuda") <= before - 2**26
    del held
    assert free_memory("cuda") >= before
