"""The memory of a GPU, as torch sees it."""

import torch


def free_memory(device: str | torch.device) -> int:
    """Return the bytes of a GPU that new tensors may take.

    What torch keeps of tensors that are gone, as of an earlier training, is free for them as well.

    Raises:
        RuntimeError: there is no such GPU, as torch says it.
        AssertionError: this torch knows no GPU.
    """
    free, _ = torch.cuda.mem_get_info(device)
    kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return free + kept
