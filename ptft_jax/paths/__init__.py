"""Both paths to a small error, measured and predicted as the number of instances grows.

Pretrain on a synthetic world, freeze what is attended to, fine-tune on n real instances
and lay laws and certificates beside the exact errors.
"""
