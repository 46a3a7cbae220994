"""Reading files of tensors, `.safetensors` and pickles of PyTorch, without running code.

Which of the tensors are a network's, and which network, is for `mtd.loading`.
"""
